"""A second implementation of the models, in torch, written from the specification alone.

Reads a model folder (config.json, model.safetensors), runs it on packed documents and gives logits,
loss and the gradient of every parameter, in float32, float64 or emulated bfloat16.
"""

import json
import os

import torch

import ops
import safetensors_io

CONFIG_KEYS = {
    "format", "version", "name", "vocab_size", "padded_vocab_size", "width", "norm", "norm_eps",
    "tied_embeddings", "parametrization", "residual_multiplier", "logit_multiplier",
    "training_length", "layers",
}
ATTENTION_KEYS = {"kind", "heads", "kv_heads", "head_dim", "window", "rope_base", "score_scale",
                  "qkv_bias", "out_bias"}
MIXER_KEYS = {
    "attention": ATTENTION_KEYS,
    "diff_attention": ATTENTION_KEYS | {"lambda_init", "norm_eps"},
    "mamba": {"kind", "inner", "state", "conv", "dt_rank"},
    "gmu": {"kind", "memory"},
    "mamba2": {"kind", "inner", "state", "conv", "head_dim", "norm_eps"},
    "gated_deltanet": {"kind", "heads", "key_dim", "value_dim", "conv", "norm_eps"},
    "normalized_gmu": {"kind", "memory", "norm_eps"},
}


class Layer:
    """What a mixer sees of its model: options, parameters, packing, memories read, rounding."""

    def __init__(self, options, prefix, params, rows, reads, rounding):
        self.options, self.prefix, self.params = options, prefix, params
        self.rows, self.reads, self.round = rows, reads, rounding

    def __getitem__(self, name):
        return self.params[self.prefix + name]

    def __contains__(self, name):
        return self.prefix + name in self.params

    def product(self, name, x):
        name = self.prefix + name + ".weight"
        x, weight = self.round.operands(x, self.params[name], name)
        return x @ weight.T

    def linear(self, name, x):
        out = self.product(name, x)
        return self.round(out + self[name + ".bias"] if name + ".bias" in self else out)

    def conv(self, name, x):
        bias = self[name + ".bias"] if name + ".bias" in self else None
        out = ops.causal_conv1d(x, self[name + ".weight"][:, 0], bias, self.rows)
        return self.round(ops.silu(out))


# A mixer gives its output and the values of the ports that it could write.


def mamba(h, m):
    rank, n = m.options["dt_rank"], m.options["state"]
    u, z = m.linear("in_proj", h).chunk(2, dim=-1)
    u = m.conv("conv1d", u)
    dt_low, b, c = m.linear("x_proj", u).split([rank, n, n], dim=-1)
    dt_raw = m.round(m.product("dt_proj", dt_low))  # its bias acts in fp32
    y = m.round(ops.selective_scan(u, dt_raw, b, c, m["A_log"], m["D"], m["dt_proj.bias"], m.rows))
    return m.linear("out_proj", y * ops.silu(z)), {"scan": y}


def mamba2(h, m):
    inner, n = m.options["inner"], m.options["state"]
    heads = inner // m.options["head_dim"]
    z, xbc, dt_raw = m.linear("in_proj", h).split([inner, inner + 2 * n, heads], dim=-1)
    u, b, c = m.conv("conv1d", xbc).split([inner, n, n], dim=-1)
    u = u.reshape(len(h), heads, -1)
    y = ops.mamba2_scan(u, dt_raw, b, c, m["A_log"], m["D"], m["dt_bias"], m.rows)
    y = m.round(y.reshape(len(h), inner))
    gated = ops.rms_norm(y * ops.silu(z), m["norm.weight"], m.options["norm_eps"])
    return m.linear("out_proj", gated), {"scan": y}


def gated_deltanet(h, m):
    heads, key_dim, value_dim = (m.options[key] for key in ("heads", "key_dim", "value_dim"))
    q = m.conv("q_conv1d", m.linear("q_proj", h)).reshape(len(h), heads, key_dim)
    k = m.conv("k_conv1d", m.linear("k_proj", h)).reshape(len(h), heads, key_dim)
    v = m.conv("v_conv1d", m.linear("v_proj", h)).reshape(len(h), heads, value_dim)
    q, k = (x / torch.sqrt((x * x).sum(-1, keepdim=True) + 1e-6) for x in (q, k))
    beta = 2 * torch.sigmoid(m.linear("b_proj", h))
    g = -torch.exp(m["A_log"]) * ops.softplus(m.linear("a_proj", h) + m["dt_bias"])
    o = ops.gated_delta_rule(q / key_dim**0.5, k, v, beta, g, m.rows)
    o = m.round(o.reshape(len(h), heads * value_dim))
    gated = o * ops.silu(m.linear("g_proj", h))
    out = ops.rms_norm(gated, m["norm.weight"], m.options["norm_eps"])
    return m.linear("o_proj", out), {"scan": o}


def queries_keys_values(h, m):
    """q (T, H, d), k, v (T, K, d), q and k rotated where there is RoPE, k also in a kv memory."""
    o = m.options

    def heads(name, count):
        return m.linear(name, h).reshape(len(h), count, o["head_dim"])

    def rotated(x):
        return m.round(ops.rope(x, m.rows.index, o["rope_base"])) if o["rope_base"] else x

    q = rotated(heads("q_proj", o["heads"]))
    if "kv" in m.reads:
        return q, *m.reads["kv"]
    return q, rotated(heads("k_proj", o["kv_heads"])), heads("v_proj", o["kv_heads"])


def attention(h, m):
    q, k, v = queries_keys_values(h, m)
    out, _ = ops.attention(q, k, v, m.rows.visible(m.options["window"]), m.options["score_scale"])
    out = m.round(out.reshape(len(h), -1))
    return m.linear("proj", out), {"kv": (k, v), "heads": out}


def diff_attention(h, m):
    o = m.options
    q, k, v = queries_keys_values(h, m)
    both, _ = ops.attention(q, k, v, m.rows.visible(o["window"]), o["score_scale"], paired=True)
    out = ops.differential(m.round(both), m["da.lambda_q1"], m["da.lambda_k1"], m["da.lambda_q2"],
                           m["da.lambda_k2"], m["da.subln.weight"], o["lambda_init"], o["norm_eps"])
    out = m.round(out.reshape(len(h), -1))
    return m.linear("proj", out), {"kv": (k, v), "heads": out}


def gmu(h, m):
    return m.linear("gmu.out_proj", ops.silu(m.linear("gmu.in_proj", h)) * m.reads["memory"]), {}


def normalized_gmu(h, m):
    gated = m.reads["memory"] * ops.silu(m.linear("gmu.in_proj", h))
    gated = ops.rms_norm(gated, m["gmu.norm.weight"], m.options["norm_eps"])
    return m.linear("gmu.out_proj", gated), {}


def mlp(h, m):
    gate, up = m.linear("w1", h).chunk(2, dim=-1)
    return m.linear("w3", ops.silu_mul(gate, up)), {"up": up}


MIXERS = {
    "mamba": mamba, "mamba2": mamba2, "gated_deltanet": gated_deltanet, "attention": attention,
    "diff_attention": diff_attention, "gmu": gmu, "normalized_gmu": normalized_gmu,
}


class Rounding:
    """What is rounded on the way, and how: here nothing."""

    def __call__(self, x):
        return x

    def operands(self, x, weight, name):
        """Both sides of the product with the matrix `name`."""
        return self(x), self(weight)


class Bf16Rounding(Rounding):
    """To the nearest bfloat16, kept in x's own dtype."""

    def __call__(self, x):
        return x.to(torch.float32).to(torch.bfloat16).to(x.dtype)


no_rounding, bf16_rounding = Rounding(), Bf16Rounding()


def forward(config, params, ids, rows, rounding=no_rounding):
    """Logits (T, padded vocabulary) of packed documents.

    With bf16_rounding: matrices, inputs and results of products, norm outputs and activations are
    rounded; the residual stream, norm statistics, softmax, scans and the logits are not.
    """

    def norm(name, x):
        if config["norm"] == "rms":
            return rounding(ops.rms_norm(x, params[name + ".weight"], config["norm_eps"]))
        return rounding(ops.layer_norm(x, params[name + ".weight"], params[name + ".bias"],
                                       config["norm_eps"]))

    memories = {}
    rho = config["residual_multiplier"]
    x = rounding(params["transformer.wte.weight"][ids.to(torch.int64)])
    for i, spec in enumerate(config["layers"]):
        prefix = f"transformer.h.{i}."
        reads = {port: memories[name] for port, name in spec["reads"].items()}
        layer = Layer(spec["mixer"], prefix + "attn.", params, rows, reads, rounding)
        out, ports = MIXERS[spec["mixer"]["kind"]](norm(prefix + "norm_1", x), layer)
        x = x + rho * out
        layer = Layer(spec["mlp"], prefix + "mlp.", params, rows, {}, rounding)
        out, mlp_ports = mlp(norm(prefix + "norm_2", x), layer)
        x = x + rho * out
        for port, name in spec["writes"].items():
            assert name not in memories, f"layer {i} writes {name} a second time"
            memories[name] = (ports | mlp_ports)[port]
    head = "transformer.wte.weight" if config["tied_embeddings"] else "lm_head.weight"
    x = norm("transformer.ln_f", x) * config["logit_multiplier"]
    x, weight = rounding.operands(x, params[head], head)
    return x @ weight.T


def loss_of(config, logits, targets):
    """Mean over the rows with a target; padding of the vocabulary takes no part in the softmax."""
    return ops.cross_entropy(logits, targets, config["vocab_size"])[0].mean()


def gradients(config, params, ids, rows, targets):
    """Logits, loss and a dict of name -> gradient of the loss."""
    leaves = {name: p.detach().clone().requires_grad_() for name, p in params.items()}
    logits = forward(config, leaves, ids, rows)
    loss = loss_of(config, logits, targets)
    grads = torch.autograd.grad(loss, list(leaves.values()))
    return logits.detach(), loss.detach(), dict(zip(leaves, grads))


def attention_shapes(o, width, reads):
    hq, hk, d = o["heads"] * o["head_dim"], o["kv_heads"] * o["head_dim"], o["head_dim"]
    shapes = {"q_proj.weight": (hq, width), "proj.weight": (width, hq)}
    if "kv" not in reads:
        shapes |= {"k_proj.weight": (hk, width), "v_proj.weight": (hk, width)}
    if o["qkv_bias"]:
        shapes["q_proj.bias"] = (hq,)
        if "kv" not in reads:
            shapes["v_proj.bias"] = (hk,)
    if o["out_bias"]:
        shapes["proj.bias"] = (width,)
    if o["kind"] == "diff_attention":
        shapes |= {f"da.lambda_{name}": (d,) for name in ("q1", "k1", "q2", "k2")}
        shapes["da.subln.weight"] = (2 * d,)
    return shapes


def mixer_shapes(o, width, reads):
    """Name -> shape of a mixer's parameters, without their prefix."""
    kind = o["kind"]
    if kind in ("attention", "diff_attention"):
        return attention_shapes(o, width, reads)
    if kind == "mamba":
        e, n, rank = o["inner"], o["state"], o["dt_rank"]
        return {"in_proj.weight": (2 * e, width), "conv1d.weight": (e, 1, o["conv"]),
                "conv1d.bias": (e,), "x_proj.weight": (rank + 2 * n, e),
                "dt_proj.weight": (e, rank), "dt_proj.bias": (e,), "A_log": (e, n),
                "D": (e,), "out_proj.weight": (width, e)}
    if kind == "mamba2":
        e, n, heads = o["inner"], o["state"], o["inner"] // o["head_dim"]
        return {"in_proj.weight": (2 * e + 2 * n + heads, width),
                "conv1d.weight": (e + 2 * n, 1, o["conv"]), "conv1d.bias": (e + 2 * n,),
                "A_log": (heads,), "D": (heads,), "dt_bias": (heads,), "norm.weight": (e,),
                "out_proj.weight": (width, e)}
    if kind == "gated_deltanet":
        heads, kd, vd = o["heads"], o["heads"] * o["key_dim"], o["heads"] * o["value_dim"]
        shapes = {f"{name}_proj.weight": (rows, width) for name, rows in
                  {"q": kd, "k": kd, "v": vd, "g": vd, "a": heads, "b": heads}.items()}
        shapes |= {f"{name}_conv1d.weight": (rows, 1, o["conv"]) for name, rows in
                   {"q": kd, "k": kd, "v": vd}.items()}
        return shapes | {"A_log": (heads,), "dt_bias": (heads,), "norm.weight": (vd,),
                         "o_proj.weight": (width, vd)}
    memory = o["memory"]
    shapes = {"gmu.in_proj.weight": (memory, width), "gmu.out_proj.weight": (width, memory)}
    if kind == "normalized_gmu":
        shapes["gmu.norm.weight"] = (memory,)
    return shapes


def parameter_shapes(config):
    """Name -> shape of every parameter, in the order of the file."""
    width = config["width"]
    norm = ("weight",) if config["norm"] == "rms" else ("weight", "bias")
    shapes = {"transformer.wte.weight": (config["padded_vocab_size"], width)}
    for i, spec in enumerate(config["layers"]):
        prefix = f"transformer.h.{i}."
        shapes |= {prefix + "norm_1." + part: (width,) for part in norm}
        shapes |= {prefix + "attn." + name: shape for name, shape in
                   mixer_shapes(spec["mixer"], width, spec["reads"]).items()}
        shapes |= {prefix + "norm_2." + part: (width,) for part in norm}
        shapes |= {prefix + "mlp.w1.weight": (2 * spec["mlp"]["width"], width),
                   prefix + "mlp.w3.weight": (width, spec["mlp"]["width"])}
    shapes |= {"transformer.ln_f." + part: (width,) for part in norm}
    if not config["tied_embeddings"]:
        shapes["lm_head.weight"] = (config["padded_vocab_size"], width)
    return shapes


def check_config(config, quantization="none"):
    keys = set(config) - {"quantization"}  # absent in folders made before it existed
    assert keys == CONFIG_KEYS, f"config keys: {keys ^ CONFIG_KEYS}"
    assert config.get("quantization", "none") == quantization, "quantization"
    assert (config["format"], config["version"]) == ("sambay", 1)
    for i, spec in enumerate(config["layers"]):
        assert set(spec) == {"mixer", "mlp", "reads", "writes"}, f"keys of layer {i}"
        mixer = spec["mixer"]
        wrong = set(mixer) ^ MIXER_KEYS[mixer["kind"]]
        assert not wrong, f"keys of layer {i}'s mixer: {wrong}"
        assert set(spec["mlp"]) == {"width"}, f"keys of layer {i}'s mlp"


def open_folder(folder):
    """Config and parameters as they are stored; names and shapes must be exactly those expected."""
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
        config = json.load(file)
    check_config(config)
    params = safetensors_io.read(os.path.join(folder, "model.safetensors"))
    expected = parameter_shapes(config)
    assert set(params) == set(expected), f"parameters: {set(params) ^ set(expected)}"
    for name, shape in expected.items():
        assert tuple(params[name].shape) == shape, f"shape of {name}: {tuple(params[name].shape)}"
    return config, {name: params[name] for name in expected}


def save(folder, config, params):
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as file:
        json.dump(config, file, indent=1)
        file.write("\n")
    safetensors_io.write(os.path.join(folder, "model.safetensors"), params)
