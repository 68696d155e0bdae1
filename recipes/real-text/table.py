#!/usr/bin/env python3
"""Prints what finished runs say: validation loss by seed, mean and deviation, bits a byte, training speed; then how the
training loss fell."""

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


# Points of the training curve.
POINTS = 5


def metrics(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def speed(lines):
    # The first steps touch fresh memory.
    return statistics.median(line["tokens_per_second"] for line in lines[min(10, len(lines) // 2) :])


def recent_loss(lines, step):
    """Mean training loss of the tenth of the run that ends at a step."""
    return statistics.mean(line["loss"] for line in lines[max(0, step - len(lines) // 10) : step])


def parameters(run):
    sambay = os.environ.get("SAMBAY", str(ROOT / "build/release/src/cli/sambay"))
    answer = subprocess.run(
        [sambay, "inspect", "--json", "--model", run / "model"], check=True, capture_output=True, text=True
    )
    return json.loads(answer.stdout)["parameters"]


def spread(values, digits):
    mean = f"{statistics.mean(values):.{digits}f}"
    return f"{mean} ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else mean


def print_results(runs, bits_per_byte):
    """runs: {preset: {run's folder: its metrics}}"""
    print("| architecture | parameters | tokens | validation loss of each seed | mean ± deviation (nats a token) | bits a byte | tokens/s |")
    print("|---|---|---|---|---|---|---|")
    for key, of_seed in runs.items():
        losses = [lines[-1]["validation_loss"] for lines in of_seed.values()]
        print(
            f"| {NAMES[key]} | {parameters(next(iter(of_seed))):,} | {next(iter(of_seed.values()))[-1]['tokens']:,} "
            f"| {', '.join(f'{loss:.3f}' for loss in losses)} | {spread(losses, 3)} "
            f"| {spread([loss * bits_per_byte for loss in losses], 3)} | {spread([speed(lines) for lines in of_seed.values()], 0)} |"
        )


def print_curves(runs):
    steps = min(len(lines) for of_seed in runs.values() for lines in of_seed.values())
    points = [steps * (i + 1) // POINTS for i in range(POINTS)]
    print(f"\nMean training loss of the {steps // 10} steps up to\n\n| step | {' | '.join(f'{p:,}' for p in points)} |")
    print("|---" * (POINTS + 1) + "|")
    for key, of_seed in runs.items():
        means = [statistics.mean(recent_loss(lines, point) for lines in of_seed.values()) for point in points]
        print(f"| {NAMES[key]} | {' | '.join(f'{mean:.3f}' for mean in means)} |")


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "runs" / "real-text")
    valid = json.loads((folder / "data" / "valid.json").read_text())
    finished = {key: [run for run in sorted(folder.glob(f"{key}-*")) if (run / "model").is_dir()] for key in NAMES}
    runs = {key: {run: metrics(run) for run in of_seed} for key, of_seed in finished.items() if of_seed}
    if not runs:
        sys.exit(f"{folder}: no finished run")
    mean_loss = {key: statistics.mean(lines[-1]["validation_loss"] for lines in of_seed.values()) for key, of_seed in runs.items()}
    runs = {key: runs[key] for key in sorted(runs, key=mean_loss.get)}
    print_results(runs, valid["tokens"] / valid["bytes"] / math.log(2))
    print_curves(runs)


if __name__ == "__main__":
    main()
