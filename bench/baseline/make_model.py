#!/usr/bin/env python3
"""A random model of any size in the Hugging Face layout, with the tokenizer of another folder.

    make_model.py --like tests/golden/hf/model --out DIR --hidden 256 --layers 4 --heads 4 --kv_heads 2 --ffn 704
                  [--vocab 128256] [--dtype fp32] [--seed 1]

`--vocab` above the tokenizer's size adds rows that no text reaches: the cost of a large vocabulary without its words.
"""
import argparse
import json
import pathlib
import shutil

import torch
from transformers import HiggsAudioV2Config, HiggsAudioV2ForConditionalGeneration

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--like", type=pathlib.Path, required=True)
parser.add_argument("--out", type=pathlib.Path, required=True)
for name in ("hidden", "layers", "heads", "kv_heads", "ffn"):
    parser.add_argument(f"--{name}", type=int, required=True)
parser.add_argument("--vocab", type=int)
parser.add_argument("--dtype", choices=["fp32", "bf16"], default="fp32")
parser.add_argument("--seed", type=int, default=1)
args = parser.parse_args()

settings = json.loads((args.like / "config.json").read_text())
settings.update(hidden_size=args.hidden, num_hidden_layers=args.layers, num_attention_heads=args.heads,
                num_key_value_heads=args.kv_heads, intermediate_size=args.ffn, head_dim=args.hidden // args.heads)
if args.vocab:
    settings["vocab_size"] = args.vocab
torch.manual_seed(args.seed)
model = HiggsAudioV2ForConditionalGeneration(HiggsAudioV2Config(**settings), use_text_head=True)
model.to({"fp32": torch.float32, "bf16": torch.bfloat16}[args.dtype]).save_pretrained(args.out)
for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
    shutil.copy(args.like / name, args.out)
print(f"{sum(p.numel() for p in model.parameters()):,} parameters in {args.out}")
