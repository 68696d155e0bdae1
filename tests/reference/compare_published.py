"""Compares `sambay logits` on Hugging Face's layout of phi4flash with the reference.

Makes a folder of random bfloat16 weights at the published widths (every field of the layout is there
and matters), quantizes it with the program, and runs every instruction set that this CPU has. A row
of the table is a kind of run; errors are against the reference in float64 on the same weights, for
quantized ones on the weights that they stand for:

  largest   max |a - b| / max |b| of logits; where nothing but fp32 rounds
  rms       |a - b| / |b|; bound: twice that of the reference with the same roundings emulated, as of
            two runs whose roundings are independent, whose difference is sqrt(2) times one's error

The last column is the farthest of the other instruction sets from `portable`, under the same bound.
"""

import argparse
import os
import subprocess
import sys
import tempfile

import torch

import compare
import model
import ops
import presets
import published
import quantized
import safetensors_io

# Documents after one longer than the window: shorter than the filter, a lone token, longer. They
# are what the program's scalar oracle, `reference`, has time for.
SHORT = [3, 1, 6]
PAST_WINDOW = 8
CHUNK = 8  # of each of the four documents: no more rows than products with 8-bit inputs take
LEVELS = ("reference", "portable", "avx2", "avx512", "avx512bf16", "amx")


class InDtype(dict):
    """Parameters as they are stored, converted each time that one is asked for: memory holds few."""

    def __init__(self, params, dtype):
        super().__init__(params)
        self.dtype = dtype

    def __getitem__(self, name):
        return super().__getitem__(name).to(self.dtype)


def program(arguments, folder, tokens, isa, options):
    """Logits of `sambay logits` in float64; None where this CPU lacks the instruction set."""
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as scratch:
        out = os.path.join(scratch, "logits.safetensors")
        line = [arguments.sambay, "logits", "--model", folder, "--tokens", tokens, *options]
        result = subprocess.run([*line, "--out", out], env=os.environ | {"SAMBAY_ISA": isa},
                                capture_output=True, text=True, check=False)
        if "this CPU offers" in result.stderr:
            return None
        if result.returncode != 0:
            sys.exit(f"{' '.join(line)} with SAMBAY_ISA={isa}: {result.stderr.strip()}")
        return safetensors_io.read(out)["logits"].to(torch.float64)


def references(folder, batch, weights, dtypes):
    """Logits by what is rounded: nothing, what bf16 rounds, and both with 8-bit inputs."""
    is_plain = weights == "none"
    config, params = (published if weights == "none" else quantized).open_folder(folder)
    roundings = {"f32": model.no_rounding, "bf16": model.bf16_rounding}
    roundings = {dtype: roundings[dtype] for dtype in {"f32": None} | dict.fromkeys(dtypes)}
    if weights != "none":
        roundings |= {f"{dtype} 8-bit": quantized.EightBitInputs(rounding, params)
                      for dtype, rounding in roundings.items()}

    def forward(dtype, rounding):
        rows = ops.Rows(batch["segment_begin"])
        with torch.no_grad():
            logits = model.forward(config, InDtype(params, dtype), batch["ids"], rows, rounding)
        return logits[:, : config["vocab_size"]].to(torch.float64)

    logits = {name: forward(torch.float64, rounding) for name, rounding in roundings.items()}
    error = compare.max_error(forward(torch.float32, model.no_rounding), logits["f32"])
    print(f"{weights}: the reference in float32, largest {error:.1e}", flush=True)
    return logits


def rms_error(a, b):
    return float((a - b).norm() / b.norm())


def divergence(p, q):
    """Mean over rows of KL(p || q) of logits."""
    p, q = (torch.log_softmax(x, dim=-1) for x in (p, q))
    return float((p.exp() * (p - q)).sum(-1).mean())


class Kind:
    """A row of the table: weights, dtype, whole documents or chunks, and how its errors are bounded."""

    def __init__(self, weights, dtype, chunk, logits):
        self.name = f"{weights:4} {dtype:4} {f'chunks of {chunk}' if chunk else 'whole'}"
        self.options = ["--dtype", dtype] + (["--chunk", str(chunk)] if chunk else [])
        eight_bit = weights != "none" and chunk is not None
        self.exact, self.emulated = logits["f32"], logits[dtype + (" 8-bit" if eight_bit else "")]
        self.only_fp32 = self.emulated is self.exact
        # A call of few rows takes 8-bit inputs where weights are quantized.
        self.is_as_few_rows = weights == "none" and chunk is None or eight_bit

    def error(self, a, b):
        return compare.max_error(a, b) if self.only_fp32 else rms_error(a, b)

    def bound(self, rows):
        if self.only_fp32:
            return compare.LOGITS_TOLERANCE
        return 2 * rms_error(self.emulated[rows], self.exact[rows])


def compare_kind(arguments, folder, tokens, kind):
    """Prints the row of the table; true if all is within bounds."""
    few = slice(-sum(SHORT), None)
    cells, portable, farthest, passed = [], None, None, True
    for isa in arguments.isa:
        rows, options, file = slice(None), kind.options, tokens["all"]
        if isa == "reference":
            if not kind.is_as_few_rows:
                cells.append(f"{'-':>10}")
                continue
            rows, options, file = few, kind.options[:2], tokens["few"]
        got = program(arguments, folder, file, isa, options)
        error = kind.error(got, kind.exact[rows])
        cells.append(f"{error:10.1e}")
        passed &= error <= kind.bound(rows)
        if isa == "portable":
            portable = got
        elif portable is not None:
            from_portable = kind.error(got, portable)
            farthest = max(farthest or 0.0, from_portable)
            passed &= from_portable <= kind.bound(rows)
    print(f"{'pass' if passed else 'FAIL'}  {kind.name:22}{'largest' if kind.only_fp32 else 'rms':>8}"
          f"{kind.bound(slice(None)):9.1e} {' '.join(cells)} "
          + (f"{'-':>10}" if farthest is None else f"{farthest:10.1e}"), flush=True)
    return passed


def quantized_folder(arguments, original, weights):
    folder = os.path.join(arguments.scratch, weights)
    subprocess.run([arguments.sambay, "quantize", original, "--bits", weights[len("int"):], "--out",
                    folder, "--json"], check=True, capture_output=True)
    return folder


def write_tokens(arguments, batch):
    """Files for the program: all documents, and those that its scalar oracle has time for."""
    ids, begin = batch["ids"], batch["segment_begin"]
    files = {}
    for name, first in (("all", 0), ("few", 1)):
        files[name] = os.path.join(arguments.scratch, name + ".safetensors")
        safetensors_io.write(files[name], {"ids": ids[begin[first] :],
                                           "segment_begin": begin[first:] - begin[first]})
    return files


def compare_all(arguments):
    original = os.path.join(arguments.scratch, "published")
    sizes = published.phi4flash(depth=arguments.layers, vocab=arguments.vocab_size,
                                window=arguments.window)
    published.save_random_phi4flash(original, sizes, "compare_published")
    lengths = [arguments.window + PAST_WINDOW, *SHORT]
    batch = presets.random_batch(published.config_of(sizes), lengths, "compare_published")
    tokens = write_tokens(arguments, batch)
    count = presets.parameter_count(published.config_of(sizes))
    print(f"{count} parameters, {arguments.layers} layers, window {arguments.window}")
    print(f"{'weights, dtype, rows':28}{'error':>8}{'bound':>9} "
          + " ".join(f"{isa:>10}" for isa in arguments.isa) + f" {'farthest':>10}")
    passed, unquantized = True, None
    for weights in arguments.weights:
        folder = original if weights == "none" else quantized_folder(arguments, original, weights)
        logits = references(folder, batch, weights, arguments.dtype)
        if weights == "none":
            unquantized = logits["f32"]
        elif unquantized is not None:
            print(f"      {weights}: KL from the weights as they were "
                  f"{divergence(unquantized, logits['f32']):.1e} nats a token")
        for dtype in arguments.dtype:
            for chunk in (None, CHUNK):
                kind = Kind(weights, dtype, chunk, logits)
                passed &= compare_kind(arguments, folder, tokens, kind)
    return passed


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sambay", required=True, metavar="PATH", help="the program")
    parser.add_argument("--layers", type=int, default=8, help="of the published 32")
    parser.add_argument("--vocab-size", type=int, default=4001, help="of the published 200,064")
    parser.add_argument("--window", type=int, default=512, help="of attention; the published 512")
    parser.add_argument("--weights", nargs="+", default=["none", "int8", "int4"],
                        choices=["none", "int8", "int4"])
    parser.add_argument("--dtype", nargs="+", default=["f32", "bf16"], choices=["f32", "bf16"])
    parser.add_argument("--isa", nargs="+", default=LEVELS, choices=LEVELS)
    parser.add_argument("--scratch", help="folder for the models, up to 4 bytes a parameter")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as scratch:
        arguments.scratch = scratch
        golden = os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden/phi4flash")
        tokens = os.path.join(golden, "expected.safetensors")
        arguments.isa = [isa for isa in arguments.isa
                         if program(arguments, golden, tokens, isa, []) is not None]
        passed = compare_all(arguments)
    print("all passed" if passed else "FAILED")
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
