"""Reads and writes safetensors: 8 bytes little-endian header length, JSON header, data."""

import json
import struct

import numpy as np
import torch

DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "BF16": torch.bfloat16,
    "I64": torch.int64, "I32": torch.int32, "U8": torch.uint8,
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}


def read(path):
    """A dict of name -> tensor, in the file's own dtypes."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = bytearray(file.read())
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        flat = torch.empty(0, dtype=DTYPES[entry["dtype"]])
        if end > begin:
            flat = torch.frombuffer(data[begin:end], dtype=DTYPES[entry["dtype"]])
        tensors[name] = flat.reshape(entry["shape"])
    return tensors


def _bytes(tensor):
    tensor = tensor.detach().contiguous()
    if tensor.dtype == torch.bfloat16:  # NumPy has no such type: the bits are what is wanted
        tensor = tensor.view(torch.int16)
    return np.ascontiguousarray(tensor.numpy()).tobytes()


def write(path, tensors):
    """Writes tensors in the dict's order; the same dict gives the same bytes."""
    header, chunks, offset = {}, [], 0
    for name, tensor in tensors.items():
        chunk = _bytes(tensor)
        header[name] = {"dtype": NAMES[tensor.dtype], "shape": list(tensor.shape),
                        "data_offsets": [offset, offset + len(chunk)]}
        chunks.append(chunk)
        offset += len(chunk)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the format wants the data aligned to 8 bytes
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(chunks))
