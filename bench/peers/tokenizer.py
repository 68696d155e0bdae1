#!/usr/bin/env python3
"""Times encoding of text files, on one thread, in sambay and in Hugging Face's tokenizers in turn, and compares the tokens.

Needs .venv (setup.sh tokenizers) and a built tokenizer_speed (cmake -DSAMBAY_BENCHMARKS=ON). Each round runs Hugging Face's library
(encode and encode_batch_fast) and sambay on the same pieces of each text; its faster form counts. A file of JSON lines counts as the
text of its field "text". Prints a Markdown table; --out keeps every figure as JSON.

    .venv/bin/python tokenizer.py --tokenizer tokenizer.json FILE...
"""

import os

os.environ.update(TOKENIZERS_PARALLELISM="false", RAYON_NUM_THREADS="1")

import argparse
import array
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import machine
import tokenizers

HERE = pathlib.Path(__file__).resolve().parent


def read(path, most):
    """The file as text of at most so many bytes."""
    text = pathlib.Path(path).read_bytes()
    if path.endswith(".jsonl"):
        text = "\n".join(json.loads(line)["text"] for line in text.decode().splitlines()).encode()
    return text[:most].decode(errors="ignore")


def cut(text, least):
    """Pieces of at least so many bytes, cut behind line ends: as tokenizer_speed cuts them."""
    text, pieces, begin = text.encode(), [], 0
    while begin < len(text):
        end = text.find(b"\n", begin + least) + 1 if begin + least < len(text) else 0
        pieces.append(text[begin : end or len(text)].decode())
        begin = end or len(text)
    return pieces


def peer(tokenizer, form, pieces, repeats):
    seconds, processor = [], []
    for _ in range(repeats):
        begin, cpu = time.perf_counter(), time.process_time()
        if form == "encode":
            encodings = [tokenizer.encode(piece, add_special_tokens=False) for piece in pieces]
        else:
            encodings = tokenizer.encode_batch_fast(pieces, add_special_tokens=False)
        seconds.append(time.perf_counter() - begin)
        processor.append(time.process_time() - cpu)
    ids = array.array("i")
    for encoding in encodings:
        ids.extend(encoding.ids)
    return {"seconds": seconds, "processor_seconds": processor, "tokens": len(ids)}, ids.tobytes()


def sambay(options, file, folder):
    ids = pathlib.Path(folder) / "ids"
    command = [options.sambay, options.tokenizer, file, str(options.piece_bytes), str(options.repeats), ids]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(answer.stdout), ids.read_bytes()


def measure(options, tokenizer, path, folder):
    text = read(path, options.bytes)
    pieces = cut(text, options.piece_bytes)
    file = pathlib.Path(folder) / "text"
    file.write_text(text, newline="")
    rounds, equal = [], True
    for _ in range(options.rounds):
        figures = {}
        for form in ("encode", "encode_batch_fast"):
            figures[form], theirs = peer(tokenizer, form, pieces, options.repeats)
        figures["sambay"], ours = sambay(options, str(file), folder)
        equal &= ours == theirs
        rounds.append(figures)
    return {"file": pathlib.Path(path).name, "bytes": len(text.encode()), "pieces": len(pieces), "equal": equal, "rounds": rounds}


def print_table(options, results):
    print(
        f"{machine.processor()}, one thread, tokenizers {tokenizers.__version__}, {options.rounds} rounds of {options.repeats} repeats, "
        f"pieces of {options.piece_bytes} bytes; load {os.getloadavg()[0]:.1f}\n"
    )
    print("| text | MB | tokens | the same tokens | Hugging Face, MB/s | sambay, MB/s | ratio, round by round |")
    print("|---|---|---|---|---|---|---|")
    clock = "processor_seconds" if options.processor_time else "seconds"
    for r in results:
        best = [{name: min(f[clock]) for name, f in figures.items()} for figures in r["rounds"]]
        theirs = [min(b["encode"], b["encode_batch_fast"]) for b in best]
        ours = [b["sambay"] for b in best]
        mb = r["bytes"] / 1e6
        print(
            f"| {r['file']} | {mb:.1f} | {r['rounds'][0]['sambay']['tokens']:,} | {'yes' if r['equal'] else 'NO'} "
            f"| {mb / statistics.median(theirs):.2f} | {mb / statistics.median(ours):.1f} "
            f"| {', '.join(f'{a / b:.1f}' for a, b in zip(theirs, ours))} |"
        )


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("files", nargs="+", help="texts, or JSON lines with a field text")
    p.add_argument("--tokenizer", required=True, help="a tokenizer.json")
    p.add_argument("--bytes", type=int, default=8_000_000, help="of each file at most (%(default)s)")
    p.add_argument("--piece-bytes", type=int, default=4096, help="of what is encoded at a time (%(default)s)")
    p.add_argument("--rounds", type=int, default=3, help="(%(default)s)")
    p.add_argument("--repeats", type=int, default=2, help="in a round; the fastest counts (%(default)s)")
    p.add_argument("--processor-time", action="store_true", help="on a busy machine")
    p.add_argument("--sambay", default=str(HERE.parents[1] / "build/release/bench/text/tokenizer_speed"), help="(%(default)s)")
    p.add_argument("--out", help="file for all figures as JSON")
    options = p.parse_args()

    tokenizer = tokenizers.Tokenizer.from_file(options.tokenizer)
    with tempfile.TemporaryDirectory() as folder:
        results = [measure(options, tokenizer, path, folder) for path in options.files]
    if options.out:
        pathlib.Path(options.out).write_text(json.dumps(results, indent=2) + "\n")
    print_table(options, results)
    if not all(r["equal"] for r in results):
        sys.exit("the tokens differ")


if __name__ == "__main__":
    main()
