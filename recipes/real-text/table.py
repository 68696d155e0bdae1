#!/usr/bin/env python3
"""Prints the table of finished runs: validation loss, bits per byte and training speed, mean and deviation over seeds."""

import json
import math
import os
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
NAMES = {
    "transformer": "Transformer++",
    "transformerls": "TransformerLS",
    "samba": "Samba",
    "sambayoco": "Samba+YOCO",
    "sambay": "SambaY",
    "sambayda": "SambaY+DA",
}


def result(run):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    # The first steps touch fresh memory.
    speed = statistics.median(line["tokens_per_second"] for line in lines[min(10, len(lines) // 2) :])
    return lines[-1]["validation_loss"], speed, lines[-1]["tokens"]


def parameters(run):
    sambay = os.environ.get("SAMBAY", str(ROOT / "build/release/src/cli/sambay"))
    answer = subprocess.run(
        [sambay, "inspect", "--json", "--model", run / "model"], check=True, capture_output=True, text=True
    )
    return json.loads(answer.stdout)["parameters"]


def spread(values, digits):
    mean = f"{statistics.mean(values):.{digits}f}"
    return f"{mean} ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else mean


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "runs" / "real-text")
    valid = json.loads((folder / "data" / "valid.json").read_text())
    bits_per_byte = valid["tokens"] / valid["bytes"] / math.log(2)
    print("| architecture | parameters | seeds | tokens | validation loss (nats a token) | bits per byte | tokens/s |")
    print("|---|---|---|---|---|---|---|")
    for key, name in NAMES.items():
        runs = [run for run in sorted(folder.glob(f"{key}-*")) if (run / "model").is_dir()]
        if not runs:
            continue
        losses, speeds, tokens = zip(*map(result, runs))
        print(
            f"| {name} | {parameters(runs[0]):,} | {len(runs)} | {tokens[0]:,} | {spread(losses, 4)} "
            f"| {spread([loss * bits_per_byte for loss in losses], 4)} | {spread(speeds, 0)} |"
        )


if __name__ == "__main__":
    main()
