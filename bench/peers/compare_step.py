#!/usr/bin/env python3
"""Times training steps of Transformer++ in sambay and in PyTorch in turn on this machine, and SambaY's step beside them.

Needs a built sambay and .venv (setup.sh). Each round runs PyTorch (grouped heads by enable_gqa or by repeated keys and values,
and compiled), sambay's Transformer++ and sambay's SambaY; the fastest form of PyTorch counts. Prints a Markdown table; --out keeps
every figure as JSON.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess

import machine

HERE = pathlib.Path(__file__).resolve().parent
FORMS = {"gqa": [], "repeated": ["--repeat-kv"], "compiled": ["--repeat-kv", "--compile"]}
SHAPE = {"depth": 8, "width": 704, "heads": 6, "kv-heads": 2}


def run(command, environment):
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment})
    return json.loads(answer.stdout)


def torch_step(options, *form):
    shape = [f"--{key}={value}" for key, value in SHAPE.items()]
    size = [f"--rows={options.rows}", f"--length={options.length}", f"--threads={options.threads}"]
    answer = run(
        [HERE / ".venv/bin/python", HERE / "torch_step.py", *shape, *size, f"--warmup={options.warmup}", f"--steps={options.steps}", *form],
        {"OMP_NUM_THREADS": str(options.threads)},
    )
    return {"program": answer["program"], "seconds": answer["step_seconds"], "processor_seconds": answer["cpu_seconds"], "parameters": answer["parameters"]}


def sambay_step(options, preset):
    shape = [f"--{key}={value}" for key, value in SHAPE.items()]
    size = [f"--rows={options.rows}", f"--row-length={options.length}", f"--seconds={options.seconds}"]
    answer = run(
        [options.sambay, "bench", "train", f"--preset={preset}", *shape, *size, "--dtype=bf16", "--json"],
        {"SAMBAY_THREADS": str(options.threads)},
    )
    return {
        "program": f"sambay, {preset}",
        "seconds": answer["step"]["median_seconds"],
        "processor_seconds": answer["step"]["processor_seconds"],
        "parameters": answer["model"]["parameters"],
        "matrix_flops": answer["step"]["matrix_flops"],
        "machine": answer["machine"],
    }


def print_table(options, rounds):
    tokens = options.rows * options.length
    clock = "processor_seconds" if options.processor_time else "seconds"
    seconds = {name: [r[name][clock] for r in rounds] for name in rounds[0]}
    torch = min(options.forms, key=lambda form: statistics.median(seconds[form]))
    # The highest of all rounds: a busy moment lowers a ceiling.
    peak, read = (
        max(r[name]["machine"][key] for r in rounds for name in ("transformer", "sambay"))
        for key in ("bf16_flops_per_second", "read_bytes_per_second")
    )
    print(
        f"{machine.processor()}, {options.threads} threads, bf16 peak {peak / 1e9:.0f} GFLOP/s, reads {read / 1e9:.1f} GB/s; "
        f"{options.rows} rows of {options.length} tokens, "
        f"{len(rounds)} rounds; load {os.getloadavg()[0]:.1f}\n"
    )
    seconds_of = "processor s" if options.processor_time else "s"
    print(f"| step | parameters | median {seconds_of} | tokens/s | share of the bf16 peak | PyTorch's time over it, round by round |")
    print("|---|---|---|---|---|---|")
    for name, times in seconds.items():
        first = rounds[0][name]
        # PyTorch multiplies the same matrices as sambay's Transformer++.
        flops = rounds[0][name if name in ("transformer", "sambay") else "transformer"]["matrix_flops"]
        ratios = [a / b for a, b in zip(seconds[torch], times)]
        print(
            f"| {first['program']} | {first['parameters']:,} | {statistics.median(times):.3f} "
            f"| {tokens / statistics.median(times):.0f} | {flops / statistics.median(times) / peak:.2f} "
            f"| {', '.join(f'{ratio:.2f}' for ratio in ratios)} |"
        )


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--rounds", type=int, default=3, help="(%(default)s)")
    p.add_argument("--rows", type=int, default=4, help="of a step (%(default)s)")
    p.add_argument("--length", type=int, default=1024, help="tokens of a row (%(default)s)")
    p.add_argument("--threads", type=int, default=os.cpu_count(), help="(%(default)s)")
    p.add_argument("--warmup", type=int, default=2, help="PyTorch's steps that are not counted (%(default)s)")
    p.add_argument("--steps", type=int, default=3, help="PyTorch's timed steps a round (%(default)s)")
    p.add_argument("--seconds", type=float, default=15, help="sambay's timed work a round (%(default)s)")
    p.add_argument("--forms", nargs="+", choices=FORMS, default=list(FORMS), help="of PyTorch's step (all)")
    p.add_argument("--processor-time", action="store_true", help="on a busy machine, with one thread")
    p.add_argument("--sambay", default=str(HERE.parents[1] / "build/release/src/cli/sambay"), help="(%(default)s)")
    p.add_argument("--out", help="file for all figures as JSON")
    options = p.parse_args()

    rounds = []
    for _ in range(options.rounds):
        figures = {form: torch_step(options, *FORMS[form]) for form in options.forms}
        for preset in ("transformer", "sambay"):
            figures[preset] = sambay_step(options, preset)
        rounds.append(figures)
        if options.out:
            pathlib.Path(options.out).write_text(json.dumps(rounds, indent=2) + "\n")
    print_table(options, rounds)


if __name__ == "__main__":
    main()
