"""Compares the tokenizer and its trainer with Hugging Face's `tokenizers` (pip install tokenizers).

  check_tokenizer.py TOOL CORPUS.jsonl [--tokenizer tokenizer.json] [--golden FILE] [--normalizer-golden FILE]

TOOL is the built sambay_tokenizer_tool; a line of the corpus is {"text": ...}. Trains a vocabulary on
the corpus with both, or takes the given one, and encodes the corpus, code points in
several contexts and random mixtures with both; the same with normalizers and added tokens put in. --golden writes a few hundred of
Hugging Face's answers as test data, --normalizer-golden those of tokenizers with a normalizer.
"""

import argparse
import contextlib
import json
import random
import subprocess
import tempfile
import unicodedata

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

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


STRIP = {"type": "Strip", "strip_left": True, "strip_right": True}
NORMALIZERS = [
    {"type": "NFC"}, {"type": "NFD"}, {"type": "NFKC"}, {"type": "NFKD"}, {"type": "Lowercase"}, {"type": "StripAccents"}, STRIP,
    {"type": "Strip", "strip_left": True, "strip_right": False}, {"type": "Prepend", "prepend": " "},
    {"type": "Replace", "pattern": {"String": "a"}, "content": "bé"},
    {"type": "Replace", "pattern": {"String": " "}, "content": ""},
    {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "},
    {"type": "Replace", "pattern": {"Regex": r"(?i:é)|\p{N}$|^\p{Lu}"}, "content": "$0"},
    {"type": "Sequence", "normalizers": []},
    {"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "StripAccents"}, {"type": "Sequence", "normalizers": [
        {"type": "Lowercase"}, STRIP]}, {"type": "Prepend", "prepend": "_"}]},
    {"type": "Sequence", "normalizers": [STRIP, {"type": "NFC"}, {"type": "Replace", "pattern": {"Regex": " +"}, "content": "▁"},
                                         {"type": "Lowercase"}]},
]
ADDED = [
    {"content": "<|end|>"}, {"content": "<S>", "lstrip": True, "rstrip": True}, {"content": "e\u0301"},
    {"content": "Ab", "normalized": True}, {"content": "\ufb01x", "normalized": True, "special": False},
    {"content": "\u00c9t", "normalized": True, "single_word": True}, {"content": " q ", "normalized": True, "lstrip": True},
    {"content": "\u1100\u1161", "normalized": True, "special": False, "rstrip": True},
]


def with_normalizer(spec, normalizer):
    """The tokenizer with this normalizer and, instead of its added tokens, ADDED."""
    spec = json.loads(json.dumps(spec))
    vocab = spec["model"]["vocab"]
    for token in spec["added_tokens"]:
        vocab.pop(token["content"], None)
    spec["normalizer"], spec["added_tokens"] = normalizer, []
    for token in ADDED:
        token = {"id": len(vocab), "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True} | token
        vocab[token["content"]] = token["id"]
        spec["added_tokens"].append(token)
    return spec


def too_new(point):
    """Whether the character is newer than the library's tables (of forms and marks: Unicode 9) or than Python's, or is none."""
    c = chr(point)
    forms = [(f, getattr(normalizers, f)()) for f in ("NFC", "NFD", "NFKC", "NFKD")]
    return (unicodedata.category(c) == "Cn" or any(n.normalize_str(c) != unicodedata.normalize(f, c) for f, n in forms)
            or normalizers.Lowercase().normalize_str(c) != c.lower()
            or (normalizers.StripAccents().normalize_str(c) == "") != unicodedata.category(c).startswith("M"))


def unnormal_texts(rng, count):
    """Mixtures that normalizers change."""
    parts = ["a", "b", "e", "E", "q", "A", "Ab", "ab", "é", "É", "e\u0301", "E\u0301t", "ét", "Ét", "ﬁ", "ﬁx", "fix", "Å", "Å",
             "Ω", "ｱ", "ﾞ", "カ\u3099", "①", "Ⅷ", "１", "5", "İ", "Σ", "ẞ", "ǅ", "가", "각", "\u1100", "\u1161", "\u11a8", "\u11a7",
             "\u1100\u1161", "\u1112\u1175\u11c2", "ế", "ê\u0301", "\u0344", "\u0fb2\u0f71\u0f80", "ক\u09c7\u09be", "\u0dd9\u0dcf",
             "\u0dca", "\u2126", "\ufdfa", "\u00a0", "\u3000", " ", "  ", " q ", "\n", "\t", "\u1e9b\u0323", "<|end|>", "<S>", "<s>", ".", "_", "😀"]
    marks = [chr(p) for p in range(0x300, 0x370)] + ["\u0591", "\u05bf", "\u064b", "\u0651", "\u093c", "\u20d0", "\u3099", "\u302a"]
    for _ in range(count):
        yield "".join(rng.choice(marks if rng.random() < 0.25 else parts) for _ in range(rng.randrange(0, 16)))


def check_normalizers(tool, path, golden):
    rng = random.Random(2)
    with open(path, encoding="utf-8") as file:
        spec = json.load(file)
    texts = list(unnormal_texts(rng, 3000))
    new = {p for p in range(0x80, 0x30000) if not 0xD800 <= p < 0xE000 and too_new(p)}
    points = ["".join(c for c in t if ord(c) not in new) for t in code_point_texts(["a{}b", "e{}"])]
    print(f"normalizers: {sum(unicodedata.category(chr(p)) != 'Cn' for p in new)} characters left out that the library does not know")
    good, made = True, tempfile.mkstemp(suffix=".tokenizer.json")[1]
    for normalizer in NORMALIZERS:
        with open(made, "w", encoding="utf-8") as file:
            json.dump(with_normalizer(spec, normalizer), file)
        good = compare(tool, made, texts + points, json.dumps(normalizer, ensure_ascii=False)[:100]) and good
        reference = Tokenizer.from_file(made)
        if golden and normalizer is NORMALIZERS[0]:
            golden.write(json.dumps({"added_tokens": json.loads(reference.to_str())["added_tokens"]}, separators=(",", ":")) + "\n")
        for text in texts[:12] if golden else []:
            ids = reference.encode(text, add_special_tokens=False).ids
            golden.write(json.dumps({"normalizer": normalizer, "text": text, "ids": ids}, separators=(",", ":")) + "\n")
    return good


def code_point_texts(contexts=("a{}b", " {}", "{} ", "1{}2", "A{}", "'{}", "{}{}", "\n{}", "!{}x")):
    """The code points of the scripts in several contexts; of the large uniform blocks only the edges."""
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
    parser.add_argument("--normalizer-golden")
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
    with contextlib.ExitStack() as files:
        golden = args.normalizer_golden and files.enter_context(open(args.normalizer_golden, "w", encoding="utf-8"))
        good = check_normalizers(args.tool, path, golden) and good
    if args.golden:
        reference = Tokenizer.from_file(path)
        with open(args.golden, "w", encoding="utf-8") as file:
            for text in mixed[:300] + [t[:400] for t in texts[:20]]:
                ids = reference.encode(text, add_special_tokens=False).ids
                file.write(json.dumps({"text": text, "ids": ids}, separators=(",", ":")) + "\n")
    raise SystemExit(0 if good else 1)


if __name__ == "__main__":
    main()
