#!/usr/bin/env python3
"""An audio tokenizer of the released size with random weights, in the layout of transformers.

    make_codec.py --out DIR
"""
import argparse
import os
import pathlib

os.environ.setdefault("HF_HUB_OFFLINE", "1")
import torch
from transformers import DacConfig, HiggsAudioV2TokenizerConfig, HiggsAudioV2TokenizerModel

STRIDES = [8, 5, 4, 2, 3]  # 24 kHz -> 25 frames a second


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    args = parser.parse_args()
    torch.manual_seed(0)
    acoustic = DacConfig(encoder_hidden_size=64, hidden_size=256, decoder_hidden_size=1024, downsampling_ratios=STRIDES,
                         upsampling_ratios=STRIDES, hop_length=960)
    model = HiggsAudioV2TokenizerModel(HiggsAudioV2TokenizerConfig(
        acoustic_model_config=acoustic.to_dict(), target_bandwidths=[0.5, 1, 1.5, 2]))
    for name, buffer in model.named_buffers():
        if name.endswith(".inited"):
            buffer.fill_(1.0)
        elif name.endswith(".embed"):
            buffer.normal_()
    model.save_pretrained(args.out)
    print(sum(p.numel() for p in model.parameters()), "parameters")


if __name__ == "__main__":
    main()
