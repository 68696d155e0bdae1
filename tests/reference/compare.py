"""Runs the sambay program on a model and compares logits, loss and gradients with the reference."""

import argparse
import os
import subprocess
import sys
import tempfile

import torch

import model
import ops
import presets
import published
import safetensors_io

LOGITS_TOLERANCE = 1e-4
GRADIENT_TOLERANCE = 1e-3
LENGTHS = [70, 3, 1, 40]  # past a scan checkpoint, shorter than the filter, a lone token
# Presets of these mixers are checked by --all-presets: those that the C++ registry has.
KINDS = {"mamba", "attention", "diff_attention", "gmu"}
TINY = {"width": 64, "head_dim": 16, "heads": 8, "kv_heads": 4, "window": 9, "dt_rank": 4}


def max_error(a, b):
    """max |a - b| / max |b|; infinite where shapes differ or a number is not finite."""
    if a.shape != b.shape or not torch.isfinite(a).all():
        return float("inf")
    return float((a - b).abs().max() / b.abs().max().clamp(min=1e-30))


class Report:
    """Prints one line a check and remembers whether one failed."""

    def __init__(self):
        self.failed = False

    def line(self, what, error, tolerance):
        passed = error <= tolerance
        self.failed |= not passed
        print(f"{'pass' if passed else 'FAIL'}  {what:44} {error:.2e}  (tolerance {tolerance:.1e})")

    def trouble(self, what, text):
        self.failed = True
        print(f"FAIL  {what:44} {text}")


def run(report, what, sambay, command, options):
    """The tensors that `sambay <command>` wrote, in float64; None after trouble."""
    with tempfile.TemporaryDirectory() as scratch:
        out = os.path.join(scratch, "out.safetensors")
        line = [sambay, command, *options, "--out", out]
        result = subprocess.run(line, capture_output=True, text=True, check=False)
        if result.returncode != 0 or not os.path.exists(out):
            report.trouble(what, f"exit {result.returncode}: {result.stderr.strip()[-300:]}")
            return None
        tensors = safetensors_io.read(out)
        needed = "loss" if command == "gradients" else "logits"
        if needed not in tensors:
            report.trouble(what, f"no tensor {needed} in the output")
            return None
        return {name: tensor.to(torch.float64) for name, tensor in tensors.items()}


def compare_logits(report, sambay, options, logits, logits_bf16, vocabulary, chunks):
    """Whole and in chunks in f32; in bf16 within twice the error that rounding itself makes."""
    logits, logits_bf16 = logits[:, :vocabulary], logits_bf16[:, :vocabulary]
    for chunk in [None, *chunks]:
        what = "logits f32" + (f", chunks of {chunk}" if chunk else "")
        extra = ["--chunk", str(chunk)] if chunk else []
        got = run(report, what, sambay, "logits", [*options, *extra, "--dtype", "f32"])
        if got:
            report.line(what, max_error(got["logits"][:, :vocabulary], logits), LOGITS_TOLERANCE)
    what = "logits bf16, rms"
    got = run(report, what, sambay, "logits", [*options, "--dtype", "bf16"])
    if got:
        error = float((got["logits"][:, :vocabulary] - logits).norm() / logits.norm())
        allowed = 2 * float((logits_bf16 - logits).norm() / logits.norm())
        report.line(what, error, allowed)


def compare_gradients(report, sambay, options, loss, grads, verbose):
    got = run(report, "gradients", sambay, "gradients", options)
    if not got:
        return
    report.line("loss", max_error(got["loss"].reshape(1), loss.reshape(1)), LOGITS_TOLERANCE)
    names = {name[len("grad."):] for name in got if name.startswith("grad.")}
    if names != set(grads):
        report.trouble("names of gradients", f"differ in {sorted(names ^ set(grads))}")
    errors = {name: max_error(got["grad." + name], grads[name]) for name in grads if name in names}
    worst = max(errors, key=errors.get, default=None)
    for name, error in errors.items():
        if verbose or name == worst or not error <= GRADIENT_TOLERANCE:
            report.line("grad " + name, error, GRADIENT_TOLERANCE)


def compare(report, arguments, folder, batch):
    config, params = published.load(folder, torch.float64)
    rows = ops.Rows(batch["segment_begin"])
    logits, loss, grads = model.gradients(config, params, batch["ids"], rows, batch["targets"])
    with torch.no_grad():
        logits_bf16 = model.forward(config, params, batch["ids"], rows, model.bf16_rounding)
    grads = {name: grads[name] for name in model.parameter_shapes(config)}  # no biases of keys
    with tempfile.TemporaryDirectory() as scratch:
        tokens = os.path.join(scratch, "tokens.safetensors")
        safetensors_io.write(tokens, batch)
        options = ["--model", folder, "--tokens", tokens]
        compare_logits(report, arguments.sambay, options, logits, logits_bf16, config["vocab_size"],
                       arguments.chunk)
        compare_gradients(report, arguments.sambay, options, loss, grads, arguments.verbose)


def compare_presets(report, arguments, names):
    for name in names:
        config = presets.tiny(name, **TINY)
        print(f"{name} ({presets.kinds(presets.PRESETS[name], len(config['layers']))})")
        with tempfile.TemporaryDirectory() as folder:
            model.save(folder, config, presets.random_params(config, "compare"))
            compare(report, arguments, folder, presets.random_batch(config, LENGTHS, "compare"))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sambay", required=True, metavar="PATH", help="the program")
    parser.add_argument("--model", metavar="DIR", help="a model folder")
    parser.add_argument("--tokens", metavar="FILE",
                        help="safetensors with ids, segment_begin, targets; random if not given")
    parser.add_argument("--all-presets", action="store_true", help="a tiny model of every preset")
    parser.add_argument("--preset", nargs="+", default=[], choices=sorted(presets.PRESETS))
    parser.add_argument("--chunk", nargs="*", type=int, default=[1, 7],
                        help="also run logits in chunks of these sizes")
    parser.add_argument("--verbose", action="store_true", help="a line for every gradient")
    arguments = parser.parse_args()
    if not (arguments.model or arguments.all_presets or arguments.preset):
        parser.error("give --model, --preset or --all-presets")
    torch.set_num_threads(1)
    report = Report()
    if arguments.model:
        config, _ = published.load(arguments.model, torch.float32)
        batch = presets.random_batch(config, LENGTHS, "compare")
        if arguments.tokens:
            given = safetensors_io.read(arguments.tokens)
            batch = {name: given[name] for name in batch}
        compare(report, arguments, arguments.model, batch)
    names = list(arguments.preset)
    if arguments.all_presets:
        names += [name for name in presets.PRESETS if name not in names and
                  {layer["mixer"]["kind"] for layer in presets.tiny(name)["layers"]} <= KINDS]
    compare_presets(report, arguments, names)
    print("FAILED" if report.failed else "all passed")
    sys.exit(1 if report.failed else 0)


if __name__ == "__main__":
    main()
