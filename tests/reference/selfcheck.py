"""Asserts what must hold of the reference itself, without any other program."""

import math
import os
import tempfile

import torch

import golden
import model
import ops
import ops_golden
import presets
import published
import safetensors_io

EPS64 = torch.finfo(torch.float64).eps
LENGTHS = [13, 1, 3, 9]


def relative(a, b):
    return float((a - b).abs().max() / b.abs().max())


def case_of(name):
    """A tiny model in float64 and a packed batch."""
    config = presets.tiny(name, width=16, mlp_width=24)
    params = presets.random_params(config, "selfcheck")
    params = {key: value.to(torch.float64) for key, value in params.items()}
    return config, params, presets.random_batch(config, LENGTHS, "selfcheck")


def packed_equals_separate(config, params, batch):
    rows = ops.Rows(batch["segment_begin"])
    packed = model.forward(config, params, batch["ids"], rows)
    for first, end in zip(rows.begin, rows.begin[1:]):
        alone = model.forward(config, params, batch["ids"][first:end], ops.Rows([0, end - first]))
        assert relative(packed[first:end], alone) < 1e4 * EPS64


def later_tokens_change_nothing(config, params, batch):
    rows, ids = ops.Rows([0, len(batch["ids"])]), batch["ids"]
    changed = ids.clone()
    changed[-3:] = 5
    before, after = (model.forward(config, params, x, rows) for x in (ids, changed))
    assert relative(before[:-3], after[:-3]) < 1e4 * EPS64
    assert relative(before[-3:], after[-3:]) > 1e-3


def every_parameter_matters_as_its_gradient_says(config, params, batch):
    """Central differences of the loss along a random direction of each parameter."""
    rows = ops.Rows(batch["segment_begin"])
    _, loss, grads = model.gradients(config, params, batch["ids"], rows, batch["targets"])
    for name, grad in grads.items():
        rng = presets.generator("direction", name)
        direction = torch.from_numpy(rng.standard_normal(tuple(grad.shape)))
        step = 1e-5 / math.sqrt(grad.numel())

        def loss_at(offset):
            moved = params | {name: params[name] + offset * direction}
            logits = model.forward(config, moved, batch["ids"], rows)
            return float(model.loss_of(config, logits, batch["targets"]))

        slope = (loss_at(step) - loss_at(-step)) / (2 * step)
        predicted = float((grad * direction).sum())
        # Rounding of the two losses and the third-order term of the difference.
        third_order = 1e-6 * float(grad.norm() * direction.norm())
        allowed = 10 * EPS64 * abs(float(loss)) / step + third_order
        assert float(grad.norm()) > 0, f"{config['name']}: {name} has no gradient"
        assert abs(slope - predicted) < allowed, f"{config['name']} {name}: {slope} {predicted}"


def bf16_rounding_is_near_but_not_equal(config, params, batch):
    rows = ops.Rows(batch["segment_begin"])
    exact = model.forward(config, params, batch["ids"], rows)
    rounded = model.forward(config, params, batch["ids"], rows, model.bf16_rounding)
    error = float((rounded - exact).norm() / exact.norm())
    assert 1e-4 < error < 0.1, f"{config['name']}: {error}"


def float32_agrees_with_float64(config, params, batch):
    rows = ops.Rows(batch["segment_begin"])
    exact = model.forward(config, params, batch["ids"], rows)
    single = {name: value.to(torch.float32) for name, value in params.items()}
    logits = model.forward(config, single, batch["ids"], rows)
    assert relative(logits.to(torch.float64), exact) < 1e-5


def a_window_counts_the_query():
    rows = ops.Rows([0, 10, 17])
    seen = rows.visible(4).sum(1).tolist()
    assert seen == [1, 2, 3, 4, 4, 4, 4, 4, 4, 4, 1, 2, 3, 4, 4, 4, 4]


def differential_attention_equals_its_definition():
    """ops.attention(paired) and ops.differential against the specification, pair by pair."""
    heads, kv_heads, d, t, layer, scale = 8, 4, 4, 9, 5, 0.7
    rng = presets.generator("differential")
    q, k, v = (torch.from_numpy(rng.standard_normal((t, n, d)))
               for n in (heads, kv_heads, kv_heads))
    q1, k1, q2, k2 = (torch.from_numpy(rng.standard_normal(d)) for _ in range(4))
    subln = torch.from_numpy(rng.standard_normal(2 * d))
    visible = ops.Rows([0, 4, t]).visible(3)
    both, _ = ops.attention(q, k, v, visible, scale, paired=True)
    lam0 = 0.8 - 0.6 * math.exp(-0.3 * layer)
    out = ops.differential(both, q1, k1, q2, k2, subln, lam0, 1e-5).reshape(t, heads, d)

    def softmax(query, key):
        return torch.softmax((scale * query @ key.T).masked_fill(~visible, -math.inf), -1)

    lam = math.exp(float(q1 @ k1)) - math.exp(float(q2 @ k2)) + lam0
    for n in range(heads // 2):
        m = n // (heads // kv_heads)
        vv = torch.cat([v[:, 2 * m], v[:, 2 * m + 1]], dim=-1)
        o = softmax(q[:, 2 * n], k[:, 2 * m]) @ vv
        o = o - lam * softmax(q[:, 2 * n + 1], k[:, 2 * m + 1]) @ vv
        o = ops.rms_norm(o, subln, 1e-5) * (1 - lam0)
        assert relative(out[:, 2 * n], o[:, :d]) < 100 * EPS64
        assert relative(out[:, 2 * n + 1], o[:, d:]) < 100 * EPS64


def files_survive_a_round_trip():
    tensors = {"a": torch.arange(6, dtype=torch.int32).reshape(2, 3), "none": torch.zeros(0, 4),
               "b": torch.randn(3).to(torch.bfloat16),
               "c": torch.randn(2, 1, 2, dtype=torch.float64),
               "scalar": torch.tensor(7), "bytes": torch.tensor([1, 255], dtype=torch.uint8)}
    with tempfile.TemporaryDirectory() as scratch:
        path = os.path.join(scratch, "file")
        safetensors_io.write(path, tensors)
        back = safetensors_io.read(path)
    assert list(back) == list(tensors)
    for name, tensor in tensors.items():
        assert back[name].dtype == tensor.dtype and torch.equal(back[name], tensor)


def layouts_are_those_of_the_specification():
    examples = {"sambay": "RSRSRAGC", "mambay": "RRRRRAGC", "sambayoco": "RSRSRACC",
                "swayoco": "SSSSSACC", "sambayattnall": "RSRSRAGG", "transformerls": "SSSASSSA"}
    for name, letters in examples.items():
        assert presets.kinds(presets.PRESETS[name], 8) == letters


def biases_of_keys_have_no_effect():
    """Published models have them and ours do not: Wqkv.bias with and without its middle."""
    theirs, tensors = published.tiny_phi4flash("selfcheck")
    config = published.config_of(theirs)
    params = {name: value.to(torch.float64)
              for name, value in published.params_of(config, tensors).items()}
    batch = presets.random_batch(config, LENGTHS, "selfcheck")
    rows = ops.Rows(batch["segment_begin"])
    own = {name: params[name] for name in model.parameter_shapes(config)}
    assert len(own) < len(params)
    with_biases, without = (model.forward(config, p, batch["ids"], rows) for p in (params, own))
    assert relative(with_biases, without) < 1e4 * EPS64


if __name__ == "__main__":
    torch.set_num_threads(1)
    alone = [presets.check_counts, layouts_are_those_of_the_specification,
             files_survive_a_round_trip, a_window_counts_the_query,
             differential_attention_equals_its_definition, biases_of_keys_have_no_effect,
             golden.check, ops_golden.check]
    for test in alone:
        test()
        print(f"ok  {test.__module__}.{test.__name__}")
    of_a_model = [packed_equals_separate, later_tokens_change_nothing, float32_agrees_with_float64,
                  bf16_rounding_is_near_but_not_equal, every_parameter_matters_as_its_gradient_says]
    for preset in presets.PRESETS:
        case = case_of(preset)
        for test in of_a_model:
            test(*case)
        print(f"ok  {preset}: " + ", ".join(test.__name__ for test in of_a_model))
