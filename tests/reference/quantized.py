"""Reads model folders that `sambay quantize` made, and emulates products with 8-bit inputs.

Written from docs/quantization.md, and from nothing else.
"""

import json
import math
import os
import re

import torch

import model
import safetensors_io

GROUP, ROWS, COLUMNS, SCALE_BYTES = 32, 16, 64, 64  # of a record: 16 rows, two groups of columns


class QuantizedMatrix:
    """Stored blocks; as floating-point numbers when asked for."""

    def __init__(self, stored, bits, shape):
        self.stored, self.bits, self.shape = stored, bits, shape

    def to(self, dtype):
        rows, columns = self.shape
        blocks, records, _ = self.stored.shape
        scales = self.stored[..., :SCALE_BYTES].contiguous().view(torch.bfloat16)
        scales = scales.reshape(blocks, records, ROWS, 2, 1)
        # (block, record, group, line, row, i): columns 4 line + i, or 8 line + i and 8 line + 4 + i.
        lines = self.stored[..., SCALE_BYTES:].reshape(blocks, records, 2, -1, ROWS, 4)
        if self.bits == 8:
            integers = lines.to(torch.int16) - 128
        else:
            halves = torch.stack([lines & 15, lines >> 4], dim=4)
            integers = halves.reshape(blocks, records, 2, 8, ROWS, 4).to(torch.int16) - 8
        integers = integers.permute(0, 1, 4, 2, 3, 5).reshape(blocks, records, ROWS, 2, GROUP)
        weights = integers.to(dtype) * scales.to(dtype)
        weights = weights.reshape(blocks, records, ROWS, COLUMNS).transpose(1, 2)
        return weights.reshape(blocks * ROWS, records * COLUMNS)[:rows, :columns]


def open_folder(folder):
    """Config and parameters, matrices that are quantized as such."""
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
        config = json.load(file)
    quantization = config["quantization"]
    assert quantization in ("int8", "int4"), quantization
    model.check_config(config, quantization)
    path = os.path.join(folder, "model.safetensors")
    params, notes = safetensors_io.read(path), safetensors_io.metadata(path)
    assert notes["quantization"] == quantization
    for name, shape in model.parameter_shapes(config).items():
        if name in notes:
            bits, *noted = map(int, re.findall(r"\d+", notes[name]))
            size = {8: 1088, 4: 576}[bits]
            expected = (math.ceil(shape[0] / ROWS), math.ceil(shape[1] / COLUMNS), size)
            assert tuple(noted) == shape and tuple(params[name].shape) == expected, name
            params[name] = QuantizedMatrix(params[name], bits, shape)
        assert tuple(params[name].shape) == shape, f"shape of {name}"
    return config, params


class EightBitInputs(model.Rounding):
    """Inputs of products with quantized matrices in 8 bits, a scale for each 32 along a row; what
    else is rounded says `other`."""

    def __init__(self, other, params):
        self.other = other
        self.names = {name for name, p in params.items() if isinstance(p, QuantizedMatrix)}

    def __call__(self, x):
        return self.other(x)

    def operands(self, x, weight, name):
        if name not in self.names:
            return self.other.operands(x, weight, name)
        groups = self.other(x).reshape(len(x), -1, GROUP)
        scale = groups.abs().amax(-1, keepdim=True).clamp(min=1e-30) / 127
        return (torch.round(groups / scale) * scale).reshape(x.shape), weight
