#!/usr/bin/env python3
"""Baseline: how long transformers' generate() takes for frames after a prompt of text tokens, greedily, in float32.

    hf_generate.py --model DIR --prompt_tokens 64 --frames 100

Prints one JSON line; the first run, of ten frames, is untimed. A model with random weights may end a clip by itself: the
frames that there are count.
"""
import argparse
import json
import os
import time

os.environ.setdefault("HF_HUB_OFFLINE", "1")
import torch
from transformers import HiggsAudioV2ForConditionalGeneration


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--prompt_tokens", type=int, default=64)
    parser.add_argument("--frames", type=int, default=100)
    args = parser.parse_args()
    model = HiggsAudioV2ForConditionalGeneration.from_pretrained(args.model, dtype=torch.float32,
                                                                 local_files_only=True).eval()
    ids = torch.arange(100, 100 + args.prompt_tokens)[None]
    with torch.no_grad():
        model.generate(input_ids=ids, do_sample=False, max_new_tokens=10)
        begin = time.perf_counter()
        columns = model.generate(input_ids=ids, do_sample=False, max_new_tokens=args.frames)
        seconds = time.perf_counter() - begin
    print(json.dumps({"seconds": seconds, "frames": columns.shape[1]}))


if __name__ == "__main__":
    main()
