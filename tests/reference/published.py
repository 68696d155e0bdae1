"""Model folders of any layout: ours, and Hugging Face's of model type phi4flash.

Written from section 14 of the specification, and from nothing else: tensors are taken one by one by the
names that it gives, and none may be left over.
"""

import json
import math
import os

import torch

import model
import presets
import safetensors_io

LAMBDAS = ("lambda_q1", "lambda_k1", "lambda_q2", "lambda_k2")
MAMBA = ("in_proj.weight", "conv1d.weight", "conv1d.bias", "x_proj.weight", "dt_proj.weight",
         "dt_proj.bias", "A_log", "D", "out_proj.weight")


def load(folder, dtype):
    """Config and parameters; biases of keys, which our own models do not have, are among them."""
    config, params = open_folder(folder)
    return config, {name: tensor.to(dtype) for name, tensor in params.items()}


def open_folder(folder):
    """The same as they are stored, read when they are used."""
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
        published = json.load(file)
    if "model_type" not in published:
        return model.open_folder(folder)
    assert published["model_type"] == "phi4flash", published["model_type"]
    config = config_of(published)
    params = params_of(config, read_shards(folder))
    for name, shape in model.parameter_shapes(config).items():
        assert tuple(params[name].shape) == shape, f"shape of {name}: {tuple(params[name].shape)}"
    return config, params


def config_of(published):
    """Our config of a published one."""
    width, heads = published["hidden_size"], published["num_attention_heads"]
    rank, inner = published["mamba_dt_rank"], published["mamba_expand"] * width
    vocab = published["vocab_size"]
    config = presets.config_of("phi4miniflash", presets.Sizes(
        depth=published["num_hidden_layers"], width=width, heads=heads,
        kv_heads=published["num_key_value_heads"], head_dim=width // heads,
        mlp_width=published["intermediate_size"], vocab=vocab, padded_vocab=-(-vocab // 64) * 64,
        window=published["sliding_window"], training_length=published["max_position_embeddings"],
        recurrent={"kind": "mamba", "inner": inner, "state": published["mamba_d_state"],
                   "conv": published["mamba_d_conv"],
                   "dt_rank": -(-width // 16) if rank == "auto" else rank},
        scan_width=inner, parametrization="sp"))
    config["norm_eps"] = published["layer_norm_eps"]
    return config


def read_shards(folder):
    """All tensors of model.safetensors or of the shards that its index names."""
    whole = os.path.join(folder, "model.safetensors")
    if os.path.exists(whole):
        return safetensors_io.read(whole)
    with open(whole + ".index.json", encoding="utf-8") as file:
        shard_of = json.load(file)["weight_map"]
    shards = {shard: safetensors_io.read(os.path.join(folder, shard))
              for shard in set(shard_of.values())}
    assert sum(len(shard) for shard in shards.values()) == len(shard_of)
    return {name: shards[shard][name] for name, shard in shard_of.items()}


def params_of(config, tensors):
    """Our parameters of published tensors."""
    tensors = dict(tensors)
    table = tensors.pop("model.embed_tokens.weight")
    padding = config["padded_vocab_size"] - len(table)
    if padding > 0:
        table = torch.cat([table, torch.zeros(padding, table.shape[1], dtype=table.dtype)])
    params = {"transformer.wte.weight": table}
    for kind in ("weight", "bias"):
        params[f"transformer.ln_f.{kind}"] = tensors.pop(f"model.final_layernorm.{kind}")
    for i, layer in enumerate(config["layers"]):
        ours, theirs = f"transformer.h.{i}.", f"model.layers.{i}."
        for kind in ("weight", "bias"):
            params[f"{ours}norm_1.{kind}"] = tensors.pop(f"{theirs}input_layernorm.{kind}")
            params[f"{ours}norm_2.{kind}"] = tensors.pop(f"{theirs}post_attention_layernorm.{kind}")
        params[ours + "mlp.w1.weight"] = tensors.pop(theirs + "mlp.fc1.weight")
        params[ours + "mlp.w3.weight"] = tensors.pop(theirs + "mlp.fc2.weight")
        take_mixer(layer, ours + "attn.", theirs + "attn.", tensors, params)
    assert not tensors, f"tensors left over: {sorted(tensors)}"
    return params


def take_mixer(layer, ours, theirs, tensors, params):
    mixer = layer["mixer"]
    if mixer["kind"] == "mamba":
        for name in MAMBA:
            params[ours + name] = tensors.pop(theirs + name)
    elif mixer["kind"] == "gmu":
        for name in ("in_proj.weight", "out_proj.weight"):
            params[f"{ours}gmu.{name}"] = tensors.pop(theirs + name)
    else:
        q, k = mixer["heads"] * mixer["head_dim"], mixer["kv_heads"] * mixer["head_dim"]
        for kind in ("weight", "bias"):
            fused = tensors.pop(f"{theirs}Wqkv.{kind}")
            params[f"{ours}q_proj.{kind}"] = fused[:q]
            if "kv" in layer["reads"]:
                assert len(fused) == q, theirs
            else:
                assert len(fused) == q + 2 * k, theirs
                params[f"{ours}k_proj.{kind}"] = fused[q : q + k]
                params[f"{ours}v_proj.{kind}"] = fused[q + k :]
            params[f"{ours}proj.{kind}"] = tensors.pop(f"{theirs}out_proj.{kind}")
        for name in LAMBDAS:
            params[f"{ours}da.{name}"] = tensors.pop(f"{theirs}inner_cross_attn.{name}")
        params[ours + "da.subln.weight"] = tensors.pop(theirs + "inner_cross_attn.subln.weight")


def phi4flash(depth=32, width=2560, mlp_width=10240, vocab=200064, heads=40, kv_heads=20,
              window=512, dt_rank="auto", length=262144):
    """A published config."""
    return {
        "architectures": ["Phi4FlashForCausalLM"], "model_type": "phi4flash",
        "num_hidden_layers": depth, "hidden_size": width, "intermediate_size": mlp_width,
        "vocab_size": vocab, "num_attention_heads": heads, "num_key_value_heads": kv_heads,
        "sliding_window": window, "mb_per_layer": 2, "mamba_d_state": 16, "mamba_d_conv": 4,
        "mamba_expand": 2, "mamba_dt_rank": dt_rank, "mamba_conv_bias": True,
        "mamba_proj_bias": False, "hidden_act": "silu", "layer_norm_eps": 1e-05,
        "tie_word_embeddings": True, "max_position_embeddings": length, "rope_theta": 10000.0,
        "torch_dtype": "bfloat16",
        "layer_types": ["sliding_attention" if i % 2 and i < depth // 2 else "full_attention"
                        for i in range(depth)],
    }


def tiny_phi4flash(seed):
    """A published config and random bfloat16 tensors for it, small enough for a test."""
    published = phi4flash(depth=8, width=16, mlp_width=24, vocab=61, heads=8, kv_heads=4, window=6,
                          dt_rank=3, length=256)
    config = config_of(published)
    params = presets.random_params(config, seed)
    rng = presets.generator(seed, "key biases")
    for i, layer in enumerate(config["layers"]):
        mixer = layer["mixer"]
        if mixer["kind"] == "diff_attention" and not layer["reads"]:
            bias = rng.standard_normal(mixer["kv_heads"] * mixer["head_dim"])
            params[f"transformer.h.{i}.attn.k_proj.bias"] = torch.from_numpy(bias)
    params = {name: value.to(torch.bfloat16) for name, value in params.items()}
    return published, tensors_of(config, params)


class RandomParams:
    """Parameters in bfloat16, each made when it is asked for, of its name and the seed alone."""

    def __init__(self, config, seed):
        self.shapes, self.seed = model.parameter_shapes(config), seed

    def __getitem__(self, name):
        # Only published models have biases of keys, which are like those of values.
        shape = self.shapes[name.replace("k_proj.bias", "v_proj.bias")]
        rng = presets.generator(self.seed, name)
        rows = max(1, (1 << 24) // math.prod(shape[1:]))
        return torch.cat([torch.from_numpy(self.draw(name, (count, *shape[1:]), rng))
                          .to(torch.bfloat16) for count in chunks(shape[0], rows)])

    def draw(self, name, shape, rng):
        if name == "transformer.wte.weight":  # so that logits, of a tied head, are about 1
            return rng.standard_normal(shape) / math.sqrt(shape[1])
        return presets.random_parameter(name, shape, rng)


def chunks(total, size):
    return [min(size, total - begin) for begin in range(0, total, size)]


def tensors_of(config, params):
    """Published tensors of our parameters: params_of, backwards."""
    tensors = {}
    for part in parts_of(config, params):
        tensors |= part
    return tensors


def parts_of(config, params):
    """The same as the embedding, each layer and the last norm."""
    yield {"model.embed_tokens.weight": params["transformer.wte.weight"][: config["vocab_size"]]}
    for i, layer in enumerate(config["layers"]):
        tensors = {}
        ours, theirs = f"transformer.h.{i}.", f"model.layers.{i}."
        for kind in ("weight", "bias"):
            tensors[f"{theirs}input_layernorm.{kind}"] = params[f"{ours}norm_1.{kind}"]
            tensors[f"{theirs}post_attention_layernorm.{kind}"] = params[f"{ours}norm_2.{kind}"]
        tensors[theirs + "mlp.fc1.weight"] = params[ours + "mlp.w1.weight"]
        tensors[theirs + "mlp.fc2.weight"] = params[ours + "mlp.w3.weight"]
        give_mixer(layer, ours + "attn.", theirs + "attn.", params, tensors)
        yield tensors
    yield {f"model.final_layernorm.{kind}": params[f"transformer.ln_f.{kind}"]
           for kind in ("weight", "bias")}


def give_mixer(layer, ours, theirs, params, tensors):
    kind_of_mixer = layer["mixer"]["kind"]
    if kind_of_mixer == "mamba":
        for name in MAMBA:
            tensors[theirs + name] = params[ours + name]
    elif kind_of_mixer == "gmu":
        for name in ("in_proj.weight", "out_proj.weight"):
            tensors[theirs + name] = params[f"{ours}gmu.{name}"]
    else:
        parts = ("q",) if layer["reads"] else ("q", "k", "v")
        for kind in ("weight", "bias"):
            tensors[f"{theirs}Wqkv.{kind}"] = torch.cat([params[f"{ours}{part}_proj.{kind}"]
                                                         for part in parts])
            tensors[f"{theirs}out_proj.{kind}"] = params[f"{ours}proj.{kind}"]
        for name in LAMBDAS:
            tensors[f"{theirs}inner_cross_attn.{name}"] = params[f"{ours}da.{name}"]
        tensors[theirs + "inner_cross_attn.subln.weight"] = params[ours + "da.subln.weight"]


def save_phi4flash(folder, published, tensors):
    """Config, two shards and their index."""
    names = list(tensors)
    half = len(names) // 2
    save_shards(folder, published, 2, ({name: tensors[name] for name in part}
                                       for part in (names[:half], names[half:])))


def save_random_phi4flash(folder, published, seed):
    """The same of random tensors, a layer at a time: a shard each."""
    config = config_of(published)
    parts = parts_of(config, RandomParams(config, seed))
    save_shards(folder, published, len(config["layers"]) + 2, parts)


def save_shards(folder, published, count, parts):
    os.makedirs(folder, exist_ok=True)
    index = {"metadata": {"total_size": 0}, "weight_map": {}}
    for i, part in enumerate(parts):
        shard = f"model-{i + 1:05}-of-{count:05}.safetensors"
        safetensors_io.write(os.path.join(folder, shard), part)
        index["metadata"]["total_size"] += sum(t.numel() * 2 for t in part.values())
        index["weight_map"] |= dict.fromkeys(part, shard)
    for file, value in (("config.json", published), ("model.safetensors.index.json", index)):
        with open(os.path.join(folder, file), "w", encoding="utf-8") as out:
            json.dump(value, out, indent=1)
            out.write("\n")
