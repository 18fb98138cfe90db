#!/usr/bin/env python3
"""An audio tokenizer of the released size with random weights, in the layout of transformers.

    make_codec.py --out DIR
"""
import argparse
import os
import pathlib

os.environ.setdefault("HF_HUB_OFFLINE", "1")
import torch
from transformers import HiggsAudioV2TokenizerConfig, HiggsAudioV2TokenizerModel


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    args = parser.parse_args()
    torch.manual_seed(0)
    model = HiggsAudioV2TokenizerModel(HiggsAudioV2TokenizerConfig())
    for name, buffer in model.named_buffers():
        if name.endswith(".inited"):
            buffer.fill_(1.0)
        elif name.endswith(".embed"):
            buffer.normal_()
    model.save_pretrained(args.out)
    print(sum(p.numel() for p in model.parameters()), "parameters")


if __name__ == "__main__":
    main()
