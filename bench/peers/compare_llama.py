#!/usr/bin/env python3
"""Prompts and decoding in llama.cpp and in sambay, in turn on this machine, each with a model of Phi-4-mini's size.

llama.cpp runs the Transformer that Phi-4-mini is (write_gguf.py), sambay the preset phi4miniflash; weights are random. Needs a built
sambay and .llama (setup_llama.sh). llama-bench times the prompt; decoding is timed by llama_decode.cc, because llama-bench reaches a deep
position only by computing all that stands before it; --check compares the two at --shallow. Prints Markdown; --out keeps every figure.
"""

import argparse
import json
import os
import pathlib
import shlex
import statistics
import subprocess

import machine

HERE = pathlib.Path(__file__).resolve().parent
LLAMA = HERE / ".llama"
LLAMA_BENCH, LLAMA_DECODE = LLAMA / "build/bin/llama-bench", LLAMA / "llama_decode"
# How sambay holds its weights in as many bits.
SAMBAY = {"bf16": ["--dtype=bf16"], "q8_0": ["--bits=8"], "q4_0": ["--bits=4"]}
COMMANDS = []


def run(command, environment=None):
    command = [str(word) for word in command]
    COMMANDS.append(shlex.join(pathlib.Path(word).name if word.startswith("/") else word for word in command))
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})})
    return json.loads(answer.stdout)


def model_file(kind):
    file = LLAMA / f"{kind}.gguf"
    if not file.exists():
        part = file.with_suffix(".part")
        subprocess.run([LLAMA / "venv/bin/python", HERE / "write_gguf.py", kind, part], check=True)
        part.rename(file)
    return file


def llama_bench(options, kind, *tests):
    common = ["-m", model_file(kind), "-t", options.threads, "-r", 1, "-o", "json"]
    return run([LLAMA_BENCH, *common, *tests])


def llama_round(options, kind):
    # A short prompt goes before the one that counts.
    prompt = llama_bench(options, kind, "-p", f"128,{options.prompt}", "-n", 0, "--no-warmup")[-1]
    positions = [options.shallow, options.deep]
    decode = run([LLAMA_DECODE, model_file(kind), options.threads, options.steps, *positions])
    return {
        "program": f"llama.cpp b{prompt['build_number']} ({prompt['build_commit']})",
        "model": "Transformer, 3.84 G",
        "weight_bytes": decode["model_bytes"],
        "prompt": prompt["avg_ts"],
        "decode": [1 / statistics.median(p["seconds"]) for p in decode["positions"]],
    }


def sambay_round(options, kind):
    lengths = [f"--prompts={options.prompt}", f"--positions={options.shallow},{options.deep}", "--batches=1"]
    answer = run(
        [options.sambay, "bench", "survey", *SAMBAY[kind], *lengths, f"--seconds={options.seconds}", "--json"],
        {"SAMBAY_THREADS": str(options.threads)},
    )
    return {
        "program": subprocess.run([options.sambay, "--version"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip(),
        "model": f"{answer['model']['name']}, {answer['model']['parameters'] / 1e9:.2f} G",
        "weight_bytes": answer["steps"][0]["weight_bytes"],
        "prompt": answer["prompts"][0]["tokens_per_second"],
        "decode": [step["tokens_per_second"] for step in answer["steps"]],
        "machine": answer["machine"],
    }


def middle(rounds, figure):
    return statistics.median(figure(r) for r in rounds)


def print_table(options, results):
    """results: {(kind, program): [a round's figures, ...]}"""
    machines = [r["machine"] for rounds in results.values() for r in rounds if "machine" in r]
    print(f"{machine.processor()}, {options.threads} threads; {options.rounds} rounds, medians; load {os.getloadavg()[0]:.1f}")
    if machines:
        read, peak = (max(m[key] for m in machines) for key in ("read_bytes_per_second", "bf16_flops_per_second"))
        print(f"Memory delivers {read / 1e9:.1f} GB/s at best, the bf16 peak is {peak / 1e9:.0f} GFLOP/s.")
    shallow, deep = f"{options.shallow:,}", f"{options.deep:,}"
    columns = ["weights", "program", "model", "GB of weights", f"prompt of {options.prompt:,}, tokens/s"]
    columns += [f"decode at {shallow}, tokens/s", "GB/s of weights there", f"decode at {deep}, tokens/s", "over llama.cpp's: prompt, bytes, deep"]
    print("\n| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))
    for (kind, program), rounds in results.items():
        gigabytes = rounds[0]["weight_bytes"] / 1e9
        figures = [
            middle(rounds, lambda r: r["prompt"]),
            middle(rounds, lambda r: r["decode"][0]),
            middle(rounds, lambda r: r["decode"][0]) * gigabytes,
            middle(rounds, lambda r: r["decode"][1]),
        ]
        ratios = ""
        if program == "sambay":
            other = results[kind, "llama"]
            per_byte = [r["decode"][0] * r["weight_bytes"] for r in rounds], [r["decode"][0] * r["weight_bytes"] for r in other]
            pairs = [
                (figures[0], middle(other, lambda r: r["prompt"])),
                tuple(map(statistics.median, per_byte)),
                (figures[3], middle(other, lambda r: r["decode"][1])),
            ]
            ratios = ", ".join(f"{ours / theirs:.2f}" for ours, theirs in pairs)
        cells = [kind, rounds[0]["program"], rounds[0]["model"], f"{gigabytes:.2f}"]
        cells += [f"{figures[0]:.1f}", f"{figures[1]:.2f}", f"{figures[2]:.1f}", f"{figures[3]:.2f}", ratios]
        print("| " + " | ".join(cells) + " |")
    print("\nCommands of a round:\n")
    for command in dict.fromkeys(COMMANDS):
        print(f"    {command}")


def check(options, kind):
    """How far llama_decode.cc is from llama-bench where both can go."""
    bench = llama_bench(options, kind, "-p", 0, "-n", options.steps, "-d", options.shallow)[-1]["avg_ts"]
    own = run([LLAMA_DECODE, model_file(kind), options.threads, options.steps, options.shallow])
    own = 1 / statistics.median(own["positions"][0]["seconds"])
    print(f"{kind} at {options.shallow}: llama-bench {bench:.2f} tokens/s, llama_decode {own:.2f}")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--rounds", type=int, default=2, help="(%(default)s)")
    p.add_argument("--formats", nargs="+", choices=["bf16", "f16", "q8_0", "q4_0"], default=["bf16"], help="of llama.cpp's weights (%(default)s)")
    p.add_argument("--prompt", type=int, default=2048, help="tokens of the prompt (%(default)s)")
    p.add_argument("--shallow", type=int, default=1024, help="position of decoding (%(default)s)")
    p.add_argument("--deep", type=int, default=32768, help="the other one (%(default)s)")
    p.add_argument("--steps", type=int, default=8, help="llama.cpp's timed steps a round and position (%(default)s)")
    p.add_argument("--seconds", type=float, default=3, help="sambay's timed work a figure and round (%(default)s)")
    p.add_argument("--threads", type=int, default=os.cpu_count(), help="(%(default)s)")
    p.add_argument("--check", action="store_true", help="only compare llama_decode with llama-bench")
    p.add_argument("--sambay", default=str(HERE.parents[1] / "build/release/src/cli/sambay"), help="(%(default)s)")
    p.add_argument("--out", help="file for all figures as JSON")
    options = p.parse_args()

    if options.check:
        for kind in options.formats:
            check(options, kind)
        return
    results = {}
    for _ in range(options.rounds):
        for kind in options.formats:
            results.setdefault((kind, "llama"), []).append(llama_round(options, kind))
            if kind in SAMBAY:
                results.setdefault((kind, "sambay"), []).append(sambay_round(options, kind))
            if options.out:
                figures = [{"format": kind, "rounds": rounds} for (kind, _), rounds in results.items()]
                pathlib.Path(options.out).write_text(json.dumps(figures, indent=2) + "\n")
    print_table(options, results)


if __name__ == "__main__":
    main()
