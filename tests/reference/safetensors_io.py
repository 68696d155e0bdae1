"""Reads and writes safetensors: 8 bytes little-endian header length, JSON header, data."""

import json
import math
import struct

import numpy as np
import torch

DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "BF16": torch.bfloat16,
    "I64": torch.int64, "I32": torch.int32, "U8": torch.uint8,
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}


def _header(path):
    """The header and where the data begins."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        return json.loads(file.read(length)), 8 + length


def read(path):
    """A dict of name -> tensor, in the file's own dtypes; its pages are read when they are used."""
    header, start = _header(path)
    header.pop("__metadata__", None)
    data = np.memmap(path, mode="c")
    tensors = {}
    for name, entry in header.items():
        dtype, count = DTYPES[entry["dtype"]], math.prod(entry["shape"])
        flat = torch.empty(0, dtype=dtype)
        if count > 0:
            begin = start + entry["data_offsets"][0]
            flat = torch.frombuffer(data, dtype=dtype, count=count, offset=begin)
        tensors[name] = flat.reshape(entry["shape"])
    return tensors


def metadata(path):
    return _header(path)[0].get("__metadata__", {})


def _bytes(tensor):
    tensor = tensor.detach().contiguous()
    if tensor.dtype == torch.bfloat16:  # NumPy has no such type: the bits are what is wanted
        tensor = tensor.view(torch.int16)
    return np.ascontiguousarray(tensor.numpy()).tobytes()


def write(path, tensors):
    """Writes tensors in the dict's order; the same dict gives the same bytes."""
    header, offset = {}, 0
    for name, tensor in tensors.items():
        end = offset + tensor.numel() * tensor.element_size()
        header[name] = {"dtype": NAMES[tensor.dtype], "shape": list(tensor.shape),
                        "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the format wants the data aligned to 8 bytes
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            file.write(_bytes(tensor))
