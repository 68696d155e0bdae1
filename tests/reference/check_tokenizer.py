"""Compares the tokenizer and its trainer with Hugging Face's `tokenizers` (pip install tokenizers).

  check_tokenizer.py TOOL CORPUS.jsonl [--tokenizer tokenizer.json] [--golden FILE]

TOOL is the built sambay_tokenizer_tool; a line of the corpus is {"text": ...}. Trains a vocabulary on
the corpus with both, or takes the given one, and encodes the corpus, code points in
several contexts and random mixtures with both. --golden writes a few hundred of
Hugging Face's answers as test data.
"""

import argparse
import json
import random
import subprocess
import tempfile

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

MARKS = ["<|endoftext|>", "<|user|>", "<|assistant|>", "<|end|>"]


def run_tool(tool, *args, lines):
    text = "\n".join(json.dumps(line) for line in lines)
    done = subprocess.run([tool, *args], input=text, capture_output=True, text=True, check=True)
    return done.stdout


def results(tool, *args, lines):
    return [json.loads(line) for line in run_tool(tool, *args, lines=lines).split("\n") if line]


def train_reference(texts, vocab_size, pattern):
    """The library's own training, with our alphabet order and our rule for rare pairs."""
    reference = Tokenizer(models.BPE())
    reference.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(pattern), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    reference.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=vocab_size - len(MARKS), min_frequency=2,
                                  show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    reference.train_from_iterator(texts, trainer)
    return json.loads(reference.to_str())["model"]


def code_point_texts():
    """The code points of the scripts in nine contexts; of the large uniform blocks only the edges."""
    contexts = ["a{}b", " {}", "{} ", "1{}2", "A{}", "'{}", "{}{}", "\n{}", "!{}x"]
    uniform = [(0x3500, 0x4D00), (0x4F00, 0x9F00), (0xAD00, 0xD700), (0xD800, 0xE000), (0xE100, 0xF800),
               (0x17100, 0x18700), (0x20100, 0xE0000), (0xE0200, 0x110000)]
    points = [p for p in range(0x110000) if not any(a <= p < b for a, b in uniform)]
    for context in contexts:
        for i in range(0, len(points), 4096):
            yield "\x00".join(context.replace("{}", chr(p)) for p in points[i:i + 4096])


def random_texts(rng, count):
    parts = ["a", "B", "é", "ß", "中", "文", "ا", "ि", "1", "٣", "Ⅷ", " ", "  ", "\n", "\r\n", "\t", "'s",
             "'LL", "’t", "!", "...", "😀", "👩‍👩‍👧", "\u0301", "\u00a0", "\u200b", "\u180e", "\ufeff",
             "\u2028", "ſ", "K", "İ", "<|end|>", "<|user|>", "<|", "|>", "/", "_", "日本", "ǅ", "ª"]
    for _ in range(count):
        yield "".join(rng.choices(parts, k=rng.randrange(0, 30)))


def compare(tool, path, texts, what):
    reference = Tokenizer.from_file(path)
    ours = results(tool, "encode", path, lines=[{"text": t} for t in texts])
    theirs = [e.ids for e in reference.encode_batch(texts, add_special_tokens=False)]
    wrong = [i for i, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b]
    decoded = results(tool, "decode", path, lines=ours)
    undone = [i for i, (a, b) in enumerate(
        zip(decoded, reference.decode_batch(ours, skip_special_tokens=False), strict=True)) if a != b]
    print(f"{what}: {len(texts)} texts, {len(wrong)} encoded and {len(undone)} decoded differently")
    for i in wrong[:3]:
        at = next((k for k, (a, b) in enumerate(zip(ours[i], theirs[i])) if a != b), 0)
        print(f"  at token {at}: {reference.decode(theirs[i][max(0, at - 3):at + 5])!r}")
    return not wrong and not undone


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tool")
    parser.add_argument("corpus")
    parser.add_argument("--tokenizer")
    parser.add_argument("--vocab-size", type=int, default=4096)
    parser.add_argument("--golden")
    args = parser.parse_args()
    rng = random.Random(1)
    with open(args.corpus, encoding="utf-8") as lines:
        documents = [json.loads(line) for line in lines]
    texts = [d["text"] for d in documents]
    good = True
    path = args.tokenizer
    if path is None:
        path = tempfile.mkstemp(suffix=".tokenizer.json")[1]
        for pattern in ("digits", "words"):
            ours = run_tool(args.tool, "train", str(args.vocab_size), pattern, lines=documents)
            with open(path, "w", encoding="utf-8") as file:
                file.write(ours)
            spec = json.loads(ours)
            regex = spec["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"]
            theirs = train_reference(texts, args.vocab_size, regex)
            same = [list(m) for m in theirs["merges"]] == spec["model"]["merges"]
            print(f"training ({pattern}): {len(spec['model']['merges'])} merges, "
                  f"{'the same' if same else 'DIFFERENT'}")
            good = good and same
    good = compare(args.tool, path, texts, "corpus") and good
    good = compare(args.tool, path, list(code_point_texts()), "code points") and good
    mixed = list(random_texts(rng, 20000))
    good = compare(args.tool, path, mixed, "mixtures") and good
    if args.golden:
        reference = Tokenizer.from_file(path)
        with open(args.golden, "w", encoding="utf-8") as file:
            for text in mixed[:300] + [t[:400] for t in texts[:20]]:
                ids = reference.encode(text, add_special_tokens=False).ids
                file.write(json.dumps({"text": text, "ids": ids}, separators=(",", ":")) + "\n")
    raise SystemExit(0 if good else 1)


if __name__ == "__main__":
    main()
