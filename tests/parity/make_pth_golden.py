#!/usr/bin/env python3
"""Writes a small file with torch.save and what it holds, for the tests of our .pth reader.

    make_pth_golden.py tests/golden/pth

tiny.pth has every number type our reader knows, a shared storage, a transposed view, a view with an offset, a scalar,
an empty tensor, a parameter, dicts and lists in the dict, and values that are no tensors. tiny.safetensors holds the
same tensors under the names our reader gives them.
"""
import collections
import os
import sys

import torch
from safetensors.torch import save_file


def content():
    shared = torch.arange(12, dtype=torch.float32) / 8 - 0.5
    linear = torch.nn.Linear(3, 2)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[0.5, -1.0, 2.0], [4.0, 0.25, -8.0]]))
        linear.bias.copy_(torch.tensor([0.125, -0.0625]))
    return {
        "module": linear.state_dict(),  # an OrderedDict with _metadata
        "parameter": torch.nn.Parameter(torch.tensor([3.0, -3.0])),
        "views": collections.OrderedDict(
            whole=shared, offset=shared[5:9], rows=shared.view(3, 4), transposed=shared.view(3, 4).t(),
            strided=shared[1::3], scalar=shared[7], again=shared),
        "types": {
            str(t).removeprefix("torch."): torch.tensor([0, 1, 100], dtype=t)
            for t in (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32,
                      torch.int16, torch.int8, torch.uint8, torch.bool)},
        "list": [torch.tensor([1, -2]), {"inner": torch.tensor(2.5)}, (torch.tensor([7]),)],
        "empty": torch.zeros(2, 0, 3),
        3: torch.tensor([300]),
        "none": None, "flags": (True, False), "numbers": [0, 255, 256, 70000, -1, 2**40, -2**40, 0.5], "text": "é\n",
    }


def flat(value, name=""):
    if isinstance(value, torch.Tensor):
        return {name: value.detach().contiguous().clone()}
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, (list, tuple)) else ()
    found = {}
    for key, item in items:
        found.update(flat(item, f"{name}.{key}" if name else str(key)))
    return found


def main():
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    tensors = content()
    torch.save(tensors, os.path.join(folder, "tiny.pth"))
    save_file(flat(tensors), os.path.join(folder, "tiny.safetensors"))


if __name__ == "__main__":
    main()
