#!/usr/bin/env python3
"""Baseline: how long the codec of transformers takes to encode clips, one by one as its processor does.

    hf_codec.py --codec DIR --seconds 5 --clips 8

Prints one JSON line. The clips are noise; the first one is encoded once before, untimed.
"""
import argparse
import json
import os
import time

os.environ.setdefault("HF_HUB_OFFLINE", "1")
import torch
from transformers import HiggsAudioV2TokenizerModel


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--codec", required=True)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--clips", type=int, default=8)
    args = parser.parse_args()
    codec = HiggsAudioV2TokenizerModel.from_pretrained(args.codec, local_files_only=True).eval()
    rate = codec.config.sample_rate
    torch.manual_seed(1)
    clips = [0.1 * torch.randn(1, 1, int(rate * args.seconds)) for _ in range(args.clips)]
    with torch.no_grad():
        codec.encode(clips[0])
        begin = time.perf_counter()
        for clip in clips:
            codec.encode(clip)
        seconds = time.perf_counter() - begin
    print(json.dumps({"seconds": seconds, "audio_seconds": args.seconds * args.clips}))


if __name__ == "__main__":
    main()
