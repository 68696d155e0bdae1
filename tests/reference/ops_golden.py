"""Writes golden/ops.safetensors: the ops' results and gradients in float64, read by the C++ tests.

Tensors are named <op>.<case>.<role>.<name>. Roles: `input` (the arguments, segment_begin and the
upstream gradient d_<output>), `option` (numbers, shape (1)), `output`, `grad` (of
sum(output * d_output)).
Names and shapes are those of the ops' headers.
"""

import argparse
import os
import tempfile

import torch

import golden
import ops
import presets
import safetensors_io

PATH = os.path.join(golden.FOLDER, "ops.safetensors")
BEGIN = {"one": [0, 21], "packed": [0, 9, 9, 11, 25, 26]}  # segments of 9, 0, 2, 14, 1 rows


class Case:
    """Collects one case's tensors: draws inputs, records options, differentiates outputs."""

    def __init__(self, tensors, op, case):
        self.tensors, self.prefix = tensors, f"{op}.{case}."
        self.rng = presets.generator(op, case)
        self.inputs = {}

    def _store(self, role, name, tensor):
        self.tensors[f"{self.prefix}{role}.{name}"] = tensor.detach()

    def normal(self, shape):
        return torch.from_numpy(self.rng.standard_normal(shape))

    def input(self, name, shape, mean=0.0, std=1.0):
        return self.variable(name, mean + std * self.normal(shape))

    def uniform(self, name, shape, low, high):
        return self.variable(name, torch.from_numpy(self.rng.uniform(low, high, shape)))

    def variable(self, name, value):
        self._store("input", name, value)
        self.inputs[name] = value.requires_grad_()
        return self.inputs[name]

    def constant(self, name, values):
        tensor = torch.as_tensor(values).to(torch.int32)
        self._store("input", name, tensor)
        return tensor

    def option(self, name, value):
        self._store("option", name, torch.tensor([value], dtype=torch.float64))
        return value

    def rows(self, packing):
        return ops.Rows(self.constant("segment_begin", BEGIN[packing]))

    def extra_output(self, name, tensor):
        """An output that takes no part in the gradient."""
        self._store("output", name, tensor)

    def finish(self, name, out):
        """Stores the output, an upstream gradient d_<name> and the gradient of every input."""
        upstream = self.normal(tuple(out.shape))
        self._store("output", name, out)
        self._store("input", "d_" + name, upstream)
        self.finish_scalar((out * upstream).sum())

    def finish_scalar(self, total):
        grads = torch.autograd.grad(total, list(self.inputs.values()))
        for name, grad in zip(self.inputs, grads):
            self._store("grad", name, grad)


def norms(tensors):
    for case, width in (("odd", 13), ("wide", 32)):
        c = Case(tensors, "rms_norm", case)
        x, weight = c.input("x", (7, width), mean=0.2), c.input("weight", width, mean=1.0)
        c.finish("out", ops.rms_norm(x, weight, c.option("eps", 1e-5)))
        c = Case(tensors, "layer_norm", case)
        x, weight = c.input("x", (7, width), mean=0.5), c.input("weight", width, mean=1.0)
        c.finish("out", ops.layer_norm(x, weight, c.input("bias", width), c.option("eps", 1e-5)))
    c = Case(tensors, "rms_norm", "small")  # eps is not negligible
    x, weight = c.input("x", (3, 16), std=1e-3), c.input("weight", 16, mean=1.0)
    c.finish("out", ops.rms_norm(x, weight, c.option("eps", 1e-5)))


def elementwise(tensors):
    c = Case(tensors, "silu_mul", "plain")
    c.finish("out", ops.silu_mul(c.input("gate", (5, 19), std=4.0), c.input("up", (5, 19))))
    for base in (10000.0, 640000.0):
        c = Case(tensors, "rope", f"base{int(base)}")
        x = c.input("x", (6, 2, 8))
        positions = c.constant("positions", [0, 1, 2, 7, 100, 4095])
        c.finish("out", ops.rope(x, positions, c.option("base", base)))


def convolutions(tensors):
    cases = (("one", "one", True, True), ("packed", "packed", True, True),
             ("no_bias", "packed", False, True), ("linear", "packed", True, False))
    for case, packing, bias, act in cases:
        c = Case(tensors, "causal_conv1d", case)
        rows = c.rows(packing)
        c.option("silu", float(act))
        x, weight = c.input("x", (rows.count, 11)), c.input("weight", (11, 4), std=0.5)
        out = ops.causal_conv1d(x, weight, c.input("bias", 11) if bias else None, rows)
        c.finish("out", ops.silu(out) if act else out)


def scans(tensors):
    for case, begin, width, n in (("one", [0, 21], 5, 4), ("packed", BEGIN["packed"], 3, 16),
                                  ("small_state", BEGIN["packed"], 3, 5),
                                  ("past_a_checkpoint", [0, 3, 70], 2, 4)):
        c = Case(tensors, "selective_scan", case)
        c.constant("segment_begin", begin)
        rows = ops.Rows(begin)
        t = rows.count
        u, dt_raw = c.input("u", (t, width)), c.input("dt_raw", (t, width))
        b, state_out = c.input("b", (t, n)), c.input("c", (t, n))
        a_log = c.uniform("a_log", (width, n), -2.0, 2.0)
        skip, dt_bias = c.input("skip", width), c.uniform("dt_bias", width, -4.0, 0.5)
        c.finish("y", ops.selective_scan(u, dt_raw, b, state_out, a_log, skip, dt_bias, rows))


def attentions(tensors):
    # heads, kv heads, head dim, packing, window, paired
    cases = {
        "full": (2, 2, 8, "one", 0, False),
        "full_packed_gqa": (4, 2, 4, "packed", 0, False),
        "window_one_kv_head": (3, 1, 6, "packed", 4, False),
        "window_one": (2, 1, 8, "packed", 1, False),
        "window_gqa": (4, 2, 8, "one", 5, False),
        "paired": (4, 2, 4, "one", 0, True),
        "paired_gqa_window": (8, 4, 4, "packed", 3, True),
    }
    for case, (heads, kv_heads, d, packing, window, paired) in cases.items():
        c = Case(tensors, "attention", case)
        rows = c.rows(packing)
        c.option("window", float(window))
        c.option("paired", float(paired))
        q = c.input("q", (rows.count, heads, d))
        k, v = c.input("k", (rows.count, kv_heads, d)), c.input("v", (rows.count, kv_heads, d))
        scale = c.option("scale", 1.5 / d**0.5)
        out, lse = ops.attention(q, k, v, rows.visible(window), scale, paired)
        c.extra_output("lse", lse)
        c.finish("out", out)


def suffix_attention(tensors):
    """Queries only for the last rows of each segment: q's own packing is query_begin."""
    c = Case(tensors, "attention", "suffix_queries")
    rows = ops.Rows(c.constant("segment_begin", [0, 9, 11, 25]))
    c.constant("query_begin", [0, 2, 2, 5])
    last = torch.tensor([7, 8, 22, 23, 24])
    c.option("window", 0.0)
    c.option("paired", 0.0)
    q, k, v = c.input("q", (5, 4, 8)), c.input("k", (25, 2, 8)), c.input("v", (25, 2, 8))
    out, lse = ops.attention(q, k, v, rows.visible(0)[last], c.option("scale", 0.35))
    c.extra_output("lse", lse)
    c.finish("out", out)


def differentials(tensors):
    for layer, d in ((1, 8), (7, 5)):
        c = Case(tensors, "differential", f"layer{layer}")
        attn = c.input("attn", (6, 4, 2 * d))
        lambdas = [c.input(f"lambda_{name}", d, std=0.4) for name in ("q1", "k1", "q2", "k2")]
        subln = c.input("subln", 2 * d, mean=1.0)
        lambda_0 = c.option("lambda_init", ops.lambda_init(layer))
        c.finish("out", ops.differential(attn, *lambdas, subln, lambda_0, c.option("eps", 1e-5)))


def cross_entropies(tensors):
    """Outputs are sums over the rows that count; grad is that of gradient_scale * loss."""
    cases = (("plain", 0.0, 40), ("smoothed", 0.1, 40), ("padded", 0.0, 37),
             ("smoothed_padded", 0.1, 37))
    for case, smoothing, vocabulary in cases:
        c = Case(tensors, "linear_cross_entropy", case)
        hidden, weight = c.input("hidden", (9, 12)), c.input("weight", (40, 12), std=0.5)
        targets = c.constant("targets", [3, 36, -1, 0, 17, 17, -1, 5, 30])
        c.option("vocabulary", float(vocabulary))
        c.option("label_smoothing", smoothing)
        losses, nll = ops.cross_entropy(hidden @ weight.T, targets, vocabulary, smoothing)
        c.extra_output("loss", losses.sum().reshape(1))
        c.extra_output("nll", nll.sum().reshape(1))
        c.finish_scalar(c.option("gradient_scale", 0.25) * losses.sum())


def write(path):
    tensors = {}
    for family in (norms, elementwise, convolutions, scans, attentions, suffix_attention,
                   differentials, cross_entropies):
        family(tensors)
    safetensors_io.write(path, tensors)


def check():
    with tempfile.TemporaryDirectory() as scratch:
        write(os.path.join(scratch, "ops"))
        golden.check_same(os.path.join(scratch, "ops"), PATH)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with the committed file")
    torch.set_num_threads(1)
    if parser.parse_args().check:
        check()
    else:
        write(PATH)
