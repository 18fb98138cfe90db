#!/usr/bin/env python3
"""Loads an adapter that higgs_train wrote with Python's peft and compares the logits of both.

    check_adapter.py --binary build/higgs_train --base DIR --adapter DIR --manifest M.jsonl [--audio_tokenizer DIR]

1. PeftModel.from_pretrained takes it: no key missing, none unexpected, the key set that peft itself would save, every
   value as stored.
2. transformers' forward with the adapter, over the manifest's samples, gives the hidden states and logits of
   `higgs_train inspect forward` to 1e-4 of their largest value (both in fp32). Only tokens and codes come from
   higgs_train; placeholders are expanded and delayed here.
Exit code: 0 good, 1 a check failed, 2 something can't be used.
"""

import argparse
import json

from common import Table, forward, inspect, load_base, placeholder_ids

import torch

from adapters import load_adapter

TOLERANCE = 1e-4


def samples_of(arguments):
    """[(input_ids with one placeholder a clip, codes of its clips)] for each line of the manifest."""
    base = ["--base_ckpt", arguments.base, "--manifest", arguments.manifest]
    if arguments.audio_tokenizer:
        base += ["--audio_tokenizer", arguments.audio_tokenizer]
    tokens, metadata = inspect(arguments.binary, "tokens", *base)
    codes, _ = inspect(arguments.binary, "codes", *base)
    samples, clip = [], 0
    while f"input_ids.{len(samples)}" in tokens:
        count = len(json.loads(metadata[f"audio.{len(samples)}"]))
        clips = [codes[f"codes.{clip + i}"] for i in range(count)]
        samples.append((tokens[f"input_ids.{len(samples)}"], clips))
        clip += count
    theirs, _ = inspect(arguments.binary, "forward", *base, "--adapter", arguments.adapter)
    return samples, theirs


def compare(table, name, ours, theirs):
    if ours.shape != theirs.shape:
        return table.check(False, name, f"shape {list(ours.shape)} against {list(theirs.shape)}")
    scale = theirs.abs().max().item()
    difference = (ours - theirs).abs().max().item()
    return table.check(
        difference <= TOLERANCE * scale, name, f"differ by at most {difference:.2e}, the largest is {scale:.2f}"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("binary", "base", "adapter", "manifest"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--audio_tokenizer")
    arguments = parser.parse_args()
    table = Table()
    model = load_adapter(load_base(arguments.base), arguments.adapter, table.check)
    if table.failed:
        table.end()
    samples, theirs = samples_of(arguments)
    base = model.get_base_model()
    placeholders = placeholder_ids(arguments.base)

    def hidden_states():
        return torch.cat([forward(base, ids, clips, placeholders, base.config) for ids, clips in samples])

    with torch.no_grad():
        hidden = hidden_states()
        with model.disable_adapter():
            plain = hidden_states()
        moved = (hidden - plain).abs().max().item() / plain.abs().max().item()
        # Else the comparison below would say nothing of the adapter.
        table.check(
            moved > 100 * TOLERANCE, "the adapter changes the hidden states", f"by up to {moved:.3f} of the largest"
        )
        compare(table, f"hidden states of {len(samples)} samples", hidden, theirs["hidden"])
        spoken = hidden[theirs["kind"] == 2]
        audio = base.audio_lm_head(spoken).view(len(spoken), base.config.num_codebooks, -1)
        compare(table, "audio logits", audio, theirs["audio_logits"])
        if "text_logits" in theirs:
            compare(table, "text logits", base.text_lm_head(hidden), theirs["text_logits"])
    table.end()


if __name__ == "__main__":
    main()
