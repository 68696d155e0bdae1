#!/usr/bin/env python3
"""Writes runs/real-text/recipes/ARCHITECTURE-SEED.json: models of equal parameters, equal tokens.

For each architecture the width (a multiple of 8, MLP four times as wide) that comes closest to the wanted number of parameters is
taken, then the MLP width (a multiple of 8) that comes closest.
"""

import argparse
import json
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
RUN = ROOT / "runs" / "real-text"
SHAPE = {"depth": 8, "heads": 8, "kv_heads": 2, "head_dim": 32, "vocab_size": 4096, "training_length": 1024}
BASE = {"base_depth": 8, "base_head_dim": 32}
# The window keeps each preset's share of the training length, but is not below 128.
WINDOWS = {"transformer": 128, "transformerls": 128, "samba": 512, "sambayoco": 128, "sambay": 128, "sambayda": 128}


def model(architecture, width, mlp_width):
    return {"preset": architecture, **SHAPE, "width": width, "mlp_width": mlp_width, "window": WINDOWS[architecture]}


def parameters(sambay, architecture, width, mlp_width):
    options = []
    for key, value in model(architecture, width, mlp_width).items():
        options += [f"--{key.replace('_', '-')}", str(value)]
    answer = subprocess.run([sambay, "inspect", "--json", *options], check=True, capture_output=True, text=True)
    return json.loads(answer.stdout)["parameters"]


def closest(candidates, count, wanted):
    """The candidate with the count nearest to `wanted`; counts grow with the candidates."""
    low, high = 0, len(candidates) - 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(candidates[middle]) < wanted else (low, middle)
    return min(candidates[low : high + 1], key=lambda c: abs(count(c) - wanted))


def solve(sambay, architecture, wanted):
    width = closest(range(64, 1025, 8), lambda w: parameters(sambay, architecture, w, 4 * w), wanted)
    mlp_width = closest(range(2 * width, 6 * width + 1, 8), lambda f: parameters(sambay, architecture, width, f), wanted)
    return width, mlp_width


def recipe(architecture, seed, size, options, validation_rows):
    return {
        "model": {**model(architecture, *size), "parametrization": "mup++", **BASE},
        "tokenizer": "../data/tokenizer.json",
        "data": {
            "sources": [{"shard": "../data/train.safetensors", "weight": 1.0}],
            "row_length": 1024,
            "rows": options.batch_tokens // 1024,
            "whole_documents": False,
            "validation": "../data/valid.safetensors",
            "validation_rows": validation_rows,
        },
        "batch_tokens": options.batch_tokens,
        "steps": options.steps,
        "optimizer": {
            "learning_rate": options.learning_rate,
            "base_depth": BASE["base_depth"],
            "base_batch_tokens": 0,
            "weight_decay": 0.1,
            "independent_decay": False,
            "betas": [0.9, 0.95],
            "epsilon": 1e-8,
            "clip": 1.0,
        },
        "schedule": {"unit": "steps", "decay": "linear", "warmup": options.steps // 20, "floor": 0.0},
        "label_smoothing": 0.0,
        "precision": "bf16",
        "recompute_layers": False,
        "seed": seed,
        "checkpoint_every": 200,
        "validate_every": 0,
        "keep": 1,
    }


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--parameters", type=int, default=10_000_000, help="of each model (%(default)s)")
    p.add_argument("--steps", type=int, default=1000, help="of each run (%(default)s)")
    p.add_argument("--batch-tokens", type=int, default=1024, help="of a step, a multiple of 1,024 (%(default)s)")
    p.add_argument("--learning-rate", type=float, default=0.002, help="of the base depth (%(default)s)")
    p.add_argument("--seeds", type=int, default=3, help="runs of each architecture (%(default)s)")
    options = p.parse_args()
    sambay = os.environ.get("SAMBAY", str(ROOT / "build/release/src/cli/sambay"))
    validation_rows = json.loads((RUN / "data" / "valid.json").read_text())["tokens"] // 1024
    (RUN / "recipes").mkdir(parents=True, exist_ok=True)
    for architecture in WINDOWS:
        size = solve(sambay, architecture, options.parameters)
        print(f"{architecture}: {parameters(sambay, architecture, *size)} parameters, width {size[0]}, MLP {size[1]}")
        for seed in range(1, options.seeds + 1):
            file = RUN / "recipes" / f"{architecture}-{seed}.json"
            text = json.dumps(recipe(architecture, seed, size, options, validation_rows), indent=2) + "\n"
            # A run is not continued with another recipe than it began with.
            if file.exists() and file.read_text() != text:
                raise SystemExit(f"{file}: was made with other options; remove it and its run to start anew")
            file.write_text(text)


if __name__ == "__main__":
    main()
