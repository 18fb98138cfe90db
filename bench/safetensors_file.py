"""Writes .safetensors files with torch alone, and reads whole numbers from them: neither numpy nor the safetensors
package needs to be there. A file is mapped while it is written, and a large tensor filled piece by piece.
"""
import array
import json
import os

import torch

NAMES = {torch.bfloat16: "BF16", torch.float32: "F32", torch.int16: "I16", torch.int32: "I32", torch.int64: "I64"}


def write_with(path, entries, fill, metadata=None):
    """Writes `entries` (name, dtype, shape); fill(name, flat) puts in the values of each. Returns their bytes."""
    header, offset = {"__metadata__": metadata} if metadata else {}, 0
    for name, dtype, shape in entries:
        size = torch.Size(shape).numel() * dtype.itemsize
        header[name] = {"dtype": NAMES[dtype], "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    begin = 8 + len(text)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(begin + offset)
    if offset == 0:
        return 0
    mapped = torch.from_file(os.fspath(path), shared=True, size=begin + offset, dtype=torch.uint8)
    for name, dtype, _ in entries:
        first, last = header[name]["data_offsets"]
        if last > first:
            part = mapped[begin + first : begin + last]
            if (begin + first) % dtype.itemsize == 0:
                fill(name, part.view(dtype))
            else:  # behind a tensor of narrower values
                flat = torch.empty((last - first) // dtype.itemsize, dtype=dtype)
                fill(name, flat)
                part.copy_(flat.view(torch.uint8))
    return offset


def write(path, tensors, metadata=None):
    """Writes a dict of tensors."""
    entries = [(name, tensor.dtype, tuple(tensor.shape)) for name, tensor in tensors.items()]
    return write_with(path, entries, lambda name, flat: flat.copy_(tensors[name].flatten()), metadata)


def read_integers(path):
    """The int64 tensors of a file, each as a flat list."""
    with open(path, "rb") as file:
        data = file.read()
    begin = 8 + int.from_bytes(data[:8], "little")
    lists = {}
    for name, entry in json.loads(data[8:begin]).items():
        if entry.get("dtype") == "I64":
            first, last = entry["data_offsets"]
            lists[name] = array.array("q", data[begin + first : begin + last]).tolist()
    return lists
