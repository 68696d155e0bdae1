"""Writes the golden cases: tiny models with what they must compute, read by the C++ tests.

golden/<case>/config.json, model.safetensors   the model, as any model on disk
golden/<case>/expected.safetensors             batch (ids, segment_begin, targets) and results
golden/phi4flash                               the same in Hugging Face's layout, in two shards
"""

import argparse
import filecmp
import os
import tempfile

import torch

import model
import ops
import presets
import published
import safetensors_io

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden")
SMALL = {"width": 16, "mlp_width": 24}
PAIRS = {"heads": 8, "kv_heads": 4, "head_dim": 4}  # two kv pairs, so that their mapping shows
CASES = {
    "transformer": {"depth": 2},
    "transformerls": {"depth": 4},
    "samba": {"depth": 4},
    "sambay": {},
    "sambayda": PAIRS,
    "swayoco": {},
    "sambaymlp": {},
    "sambayattn": {},
    "phi4miniflash": PAIRS,
}
LENGTHS = [17, 3, 12]  # longer than the window, shorter than the filter, longer than the window
# The others hold their matrices as bfloat16, exact in any arithmetic and half the size.
PUBLISHED = "phi4flash"
FLOAT32_CASES = {"transformer", "samba"}


def expected(folder, batch):
    """What the model in `folder` must give: computed in float64, kept in float32."""
    config, params = published.load(folder, torch.float64)
    rows = ops.Rows(batch["segment_begin"])
    logits, loss, grads = model.gradients(config, params, batch["ids"], rows, batch["targets"])
    with torch.no_grad():
        logits_bf16 = model.forward(config, params, batch["ids"], rows, model.bf16_rounding)
    tensors = dict(batch)
    tensors["logits"] = logits[:, : config["vocab_size"]].to(torch.float32)
    tensors["loss"] = loss.reshape(1).to(torch.float32)
    tensors["logits_bf16"] = logits_bf16[:, : config["vocab_size"]].to(torch.float32)
    names = model.parameter_shapes(config)  # without the biases of keys, whose gradient is 0
    return tensors | {f"grad.{name}": grads[name].to(torch.float32) for name in names}


def write_published(folder):
    config, tensors = published.tiny_phi4flash("golden")
    published.save_phi4flash(folder, config, tensors)
    batch = presets.random_batch(published.config_of(config), LENGTHS, "golden")
    safetensors_io.write(os.path.join(folder, "expected.safetensors"), expected(folder, batch))


def write_case(name, folder):
    if name == PUBLISHED:
        write_published(folder)
        return
    config = presets.tiny(name, **SMALL, **CASES[name])
    params = presets.random_params(config, "golden", bf16_matrices=name not in FLOAT32_CASES)
    model.save(folder, config, params)
    tensors = expected(folder, presets.random_batch(config, LENGTHS, "golden"))
    safetensors_io.write(os.path.join(folder, "expected.safetensors"), tensors)


def check_same(written, committed):
    """Equal but for last bits, which depend on the CPU and may turn a rounding to bf16."""
    written, committed = safetensors_io.read(written), safetensors_io.read(committed)
    assert list(written) == list(committed)
    for name, tensor in written.items():
        other = committed[name]
        assert (tensor.dtype, tensor.shape) == (other.dtype, other.shape), name
        tensor, other = tensor.to(torch.float64), other.to(torch.float64)
        tolerance = 1e-2 if name == "logits_bf16" else 1e-7
        assert (tensor - other).abs().max() <= tolerance * other.abs().max(), name


def check():
    """The committed files are those that this program writes."""
    with tempfile.TemporaryDirectory() as scratch:
        for name in (*CASES, PUBLISHED):
            new, old = os.path.join(scratch, name), os.path.join(FOLDER, name)
            write_case(name, new)
            assert sorted(os.listdir(new)) == sorted(os.listdir(old)), f"golden/{name}"
            for file in os.listdir(new):
                new_file, old_file = os.path.join(new, file), os.path.join(old, file)
                if file.endswith(".json"):
                    assert filecmp.cmp(new_file, old_file, shallow=False), f"golden/{name}/{file}"
                else:
                    check_same(new_file, old_file)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with the committed files")
    torch.set_num_threads(1)  # the same sums in the same order everywhere
    if parser.parse_args().check:
        check()
    else:
        for case in (*CASES, PUBLISHED):
            write_case(case, os.path.join(FOLDER, case))
