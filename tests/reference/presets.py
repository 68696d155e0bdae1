"""The presets of the specification as config.json, at any size, and random weights for them."""

import dataclasses
import math
import zlib

import numpy as np
import torch

import model
import ops


@dataclasses.dataclass(frozen=True)
class Preset:
    """A row of the preset table; `layout` is all, transformerls, samba or decoder-decoder."""

    ratio: int  # D / L
    layout: str = "decoder-decoder"
    recurrent: str = "mamba"  # or mamba2, gated_deltanet, none
    period: int = 2  # p: R in the lower half where i % p == 0
    window: int = 128
    memory: str = "none"  # what the GMUs read: none, scan, heads, up
    gmu_period: int = 2  # q
    rope: bool = False
    differential: bool = False
    phi4: bool = False  # LayerNorm, tied head, biases


PRESETS = {
    "transformer": Preset(128, layout="all", rope=True),
    "transformerls": Preset(128, layout="transformerls", rope=True),
    "samba": Preset(122, layout="samba", window=2048, rope=True),
    "sambay": Preset(124, memory="scan"),
    "sambayda": Preset(124, memory="scan", differential=True),
    "sambayoco": Preset(126),
    "swayoco": Preset(130, recurrent="none", rope=True),
    "sambay2": Preset(124, recurrent="mamba2", memory="scan"),
    "sambaymlp": Preset(120, memory="up"),
    "sambayattn": Preset(126, memory="heads"),
    "sambayattnall": Preset(126, memory="heads", gmu_period=1),
    "mambay": Preset(120, period=1, memory="scan"),
    "mambay2": Preset(120, recurrent="mamba2", period=1, memory="scan"),
    "gdny": Preset(120, recurrent="gated_deltanet", period=1, memory="scan"),
    "sgdny": Preset(126, recurrent="gated_deltanet", memory="scan"),
    "phi4miniflash": Preset(80, window=512, memory="scan", differential=True, phi4=True),
}


@dataclasses.dataclass(frozen=True)
class Sizes:
    """The numbers of a model; `window` and the mixers' inner sizes follow from the preset."""

    depth: int
    width: int
    heads: int
    kv_heads: int
    head_dim: int
    mlp_width: int
    vocab: int
    padded_vocab: int
    window: int
    training_length: int
    recurrent: dict  # options of the recurrent mixer
    scan_width: int  # of its memory
    parametrization: str


def kinds(preset, depth):
    """The letter of every layer: R, S, A, C, G."""
    if preset.layout == "all":
        return "A" * depth
    if preset.layout == "transformerls":
        return "".join("A" if i % 4 == 3 else "S" for i in range(depth))
    if preset.layout == "samba":
        return "".join("R" if i % 2 == 0 else "S" for i in range(depth))
    assert depth % 4 == 0
    half = depth // 2
    recurrent = preset.recurrent != "none"
    letters = ["R" if recurrent and i % preset.period == 0 else "S" for i in range(half)]
    letters += ["R" if recurrent else "S", "A"]
    letters += ["G" if preset.memory != "none" and i % preset.gmu_period == 0 else "C"
                for i in range(half + 2, depth)]
    return "".join(letters)


def score_scale(sizes):
    """c; muP++ has base head dimension 128."""
    d = sizes.head_dim
    return 1 / math.sqrt(d) if sizes.parametrization == "sp" else math.sqrt(128) / d


def attention_mixer(preset, sizes, i, letter):
    mixer = {
        "kind": "diff_attention" if preset.differential else "attention",
        "heads": sizes.heads, "kv_heads": sizes.kv_heads, "head_dim": sizes.head_dim,
        "window": sizes.window if letter == "S" else 0,
        "rope_base": 10000.0 if preset.rope else 0.0, "score_scale": score_scale(sizes),
        "qkv_bias": preset.phi4, "out_bias": preset.phi4,
    }
    if preset.differential:
        mixer |= {"lambda_init": ops.lambda_init(i), "norm_eps": 1e-5}
    return mixer


def gmu_mixer(preset, sizes):
    width = {"scan": sizes.scan_width, "heads": sizes.heads * sizes.head_dim, "up": sizes.mlp_width}
    mixer = {"kind": "gmu", "memory": width[preset.memory]}
    if preset.recurrent in ("mamba2", "gated_deltanet"):
        mixer = {"kind": "normalized_gmu", "memory": width[preset.memory], "norm_eps": 1e-5}
    return mixer


def layer_list(preset, sizes):
    letters = kinds(preset, sizes.depth)
    memory = {"scan": "ssm", "heads": "heads", "up": "up"}.get(preset.memory)
    half = sizes.depth // 2
    layers = []
    for i, letter in enumerate(letters):
        reads, writes = {}, {}
        if letter == "R":
            mixer = dict(sizes.recurrent)
        elif letter == "G":
            mixer, reads = gmu_mixer(preset, sizes), {"memory": memory}
        else:
            mixer = attention_mixer(preset, sizes, i, letter)
            if letter == "C":
                reads = {"kv": "kv"}
        # A memory that nobody reads is not written.
        if i == half + 1 and "C" in letters:
            writes["kv"] = "kv"
        if "G" in letters and i == (half if preset.memory == "scan" else half + 1):
            writes[preset.memory] = memory
        layers.append({"mixer": mixer, "mlp": {"width": sizes.mlp_width},
                       "reads": reads, "writes": writes})
    return layers


def config_of(name, sizes):
    preset = PRESETS[name]
    plus = sizes.parametrization == "mup++"
    return {
        "format": "sambay", "version": 1, "name": f"{name}-d{sizes.depth}",
        "vocab_size": sizes.vocab, "padded_vocab_size": sizes.padded_vocab, "width": sizes.width,
        "norm": "layer" if preset.phi4 else "rms", "norm_eps": 1e-5,
        "tied_embeddings": preset.phi4, "parametrization": sizes.parametrization,
        "residual_multiplier": 1 / math.sqrt(2 * sizes.depth) if plus else 1.0,
        "logit_multiplier": 1.0 if sizes.parametrization == "sp" else 16 / sizes.depth,
        "training_length": sizes.training_length, "layers": layer_list(preset, sizes),
    }


def real(name, depth):
    """The config at the paper's size."""
    preset = PRESETS[name]
    width = preset.ratio * depth
    recurrent, scan_width = None, 0
    if preset.recurrent == "mamba":
        scan_width = 2 * width
        recurrent = {"kind": "mamba", "inner": scan_width, "state": 16, "conv": 4,
                     "dt_rank": -(-width // 16)}
    elif preset.recurrent == "mamba2":
        scan_width = 512 * -(-2 * width // 512)
        recurrent = {"kind": "mamba2", "inner": scan_width, "state": 128, "conv": 4, "head_dim": 64,
                     "norm_eps": 1e-5}
    elif preset.recurrent == "gated_deltanet":
        heads = -(-(3 * width // 4) // 256)
        scan_width = 512 * heads
        recurrent = {"kind": "gated_deltanet", "heads": heads, "key_dim": 256, "value_dim": 512,
                     "conv": 4, "norm_eps": 1e-5}
    heads, kv_heads, head_dim = (40, 20, 64) if preset.phi4 else (depth, depth // 4, 128)
    vocab = 200064 if preset.phi4 else 32000
    return config_of(name, Sizes(
        depth=depth, width=width, heads=heads, kv_heads=kv_heads, head_dim=head_dim,
        mlp_width=4 * width, vocab=vocab, padded_vocab=vocab, window=preset.window,
        training_length=8192 if preset.phi4 else 4096, recurrent=recurrent, scan_width=scan_width,
        parametrization="sp" if preset.phi4 else "mup++"))


def tiny(name, *, depth=8, width=32, heads=4, kv_heads=2, head_dim=8, mlp_width=None, vocab=61,
         padded_vocab=64, window=6, state=16, dt_rank=3):
    """The config at a size for tests: every role and multiplier, padding in the vocabulary."""
    preset = PRESETS[name]
    inner = 2 * width
    recurrent = {
        "none": None,
        "mamba": {"kind": "mamba", "inner": inner, "state": state, "conv": 4, "dt_rank": dt_rank},
        "mamba2": {"kind": "mamba2", "inner": inner, "state": state, "conv": 4,
                   "head_dim": inner // 4, "norm_eps": 1e-5},
        "gated_deltanet": {"kind": "gated_deltanet", "heads": 2, "key_dim": width // 2,
                           "value_dim": width, "conv": 4, "norm_eps": 1e-5},
    }[preset.recurrent]
    return config_of(name, Sizes(
        depth=depth, width=width, heads=heads, kv_heads=kv_heads, head_dim=head_dim,
        mlp_width=mlp_width or 4 * width, vocab=vocab, padded_vocab=padded_vocab, window=window,
        training_length=256, recurrent=recurrent, scan_width=inner,
        parametrization="sp" if preset.phi4 else "mup++"))


def generator(*words):
    """A NumPy generator that depends on the words alone."""
    return np.random.default_rng(zlib.crc32("/".join(map(str, words)).encode()))


def random_parameter(name, shape, rng):
    """Far from any initialisation, so that each term of each formula shows in the result."""
    normal = rng.standard_normal(shape)
    if name.endswith("A_log"):
        return np.log(rng.uniform(0.3, 8.0, shape))
    if name.endswith("dt_proj.bias") or name.endswith("dt_bias"):
        dt = np.exp(rng.uniform(math.log(0.02), math.log(0.7), shape))
        return dt + np.log(-np.expm1(-dt))
    if name.endswith(".D"):
        return 1 + 0.3 * normal
    if "lambda_" in name:
        return 0.3 * normal
    if name.endswith("bias"):
        return 0.3 * normal
    if "norm" in name or "ln" in name:  # norm_1, norm_2, ln_f, subln and the mixers' own
        return 1 + 0.2 * normal
    if name == "transformer.wte.weight":
        return 0.5 * normal
    return normal / math.sqrt(shape[-1])  # linear layers, filters and the head


def random_params(config, seed, bf16_matrices=False):
    """Random float32 parameters; bf16_matrices keeps what a product reads as bfloat16."""
    rng = generator(config["name"], seed)
    params = {}
    for name, shape in model.parameter_shapes(config).items():
        value = torch.from_numpy(random_parameter(name, shape, rng)).to(torch.float32)
        matrix = value.dim() == 2 and not name.endswith("A_log")
        params[name] = value.to(torch.bfloat16) if bf16_matrices and matrix else value
    return params


def random_batch(config, lengths, seed):
    """Documents of the given lengths: ids, segment_begin and the next-token targets (-1: none)."""
    rng = generator("batch", config["name"], seed)
    begin = np.concatenate([[0], np.cumsum(lengths)])
    ids = rng.integers(3, config["vocab_size"], begin[-1])
    targets = np.full(begin[-1], -1)
    for first, end in zip(begin, begin[1:]):
        if end > first:
            ids[end - 1] = 2  # end of sequence belongs to its document
            targets[first : end - 1] = ids[first + 1 : end]
    return {"ids": torch.from_numpy(ids).to(torch.int32),
            "segment_begin": torch.from_numpy(begin).to(torch.int32),
            "targets": torch.from_numpy(targets).to(torch.int32)}


def parameter_count(config):
    return sum(math.prod(shape) for shape in model.parameter_shapes(config).values())


# Spec section 9: exact counts at depths 8, 16 and 24.
COUNTS = {
    "transformer": (187188224, 1104218112, 3480898560),
    "transformerls": (187188224, 1104218112, 3480898560),
    "samba": (188165968, 1128757664, 3573310704),
    "sambay": (190340000, 1129306688, 3559614432),
    "sambayda": (190343072, 1129312832, 3559623648),
    "sambayoco": (193325328, 1138699296, 3578090544),
    "sambayattn": (193325328, 1138699296, 3578090544),
    "sambayattnall": (193325328, 1138699296, 3578090544),
    "swayoco": (190645520, 1121471520, 3530495280),
    "sambay2": (190873088, 1131945088, 3567169664),
    "sambaymlp": (184238400, 1108206720, 3513424320),
    "mambay": (187368000, 1117653120, 3527766720),
    "mambay2": (189229728, 1129454400, 3564590816),
    "gdny": (186893406, 1112347116, 3507881130),
    "sgdny": (193614306, 1147100316, 3612998574),
}
PHI4_COUNT = 3852551424  # phi4miniflash at depth 32


def check_counts():
    for name, counts in COUNTS.items():
        for depth, expected in zip((8, 16, 24), counts):
            count = parameter_count(real(name, depth))
            assert count == expected, f"{name} d{depth}: {count}, expected {expected}"
    count = parameter_count(real("phi4miniflash", 32))
    assert count == PHI4_COUNT, f"phi4miniflash: {count}, expected {PHI4_COUNT}"


if __name__ == "__main__":
    check_counts()
    for preset_name in PRESETS:
        tiny_config = tiny(preset_name)
        print(f"{preset_name:14} {kinds(PRESETS[preset_name], 8)} {parameter_count(tiny_config):8}")
    print("the parameter counts of all presets are those of the specification")
