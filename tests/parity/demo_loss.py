#!/usr/bin/env python3
"""Held-out audio loss of demo/ by transformers and peft, and by `higgs_train evaluate`.

    demo_loss.py --demo demo [--adapter DIR] [--binary build/higgs_train]

Everything from the recordings on is Python's: tokens, the audio tokenizer, forward, loss. Each codebook's codes and one
EOS are supervised; mean over the codebooks of sum / count over the whole set. With --binary, higgs_train must agree to
1e-4.
Exit code: 0 good, 1 a check failed, 2 something can't be used.
"""

import argparse
import json
import os

from common import Table, delayed, forward, higgs_train, load_base, placeholder_ids

import librosa
import peft
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from transformers import HiggsAudioV2TokenizerModel


def load_samples(demo):
    """[(ids of the prompt, codes [8, T] of the clip)] of voice/val.jsonl."""
    codec = HiggsAudioV2TokenizerModel.from_pretrained(os.path.join(demo, "codec"), dtype=torch.float32).eval()
    tokenizer = Tokenizer.from_file(os.path.join(demo, "base", "tokenizer.json"))
    samples = []
    with open(os.path.join(demo, "voice", "val.jsonl"), encoding="utf-8") as file:
        for line in file:
            system, user, assistant = json.loads(line)["messages"]
            text = "<|begin_of_text|>"
            for message in (system, user):
                text += f"<|start_header_id|>{message['role']}<|end_header_id|>\n\n{message['content']}<|eot_id|>"
            text += "<|start_header_id|>assistant<|end_header_id|>\n\n<|audio_out_bos|>"
            clip = os.path.join(demo, "voice", assistant["content"]["audio_url"])
            wave, _ = librosa.load(clip, sr=24000, mono=True)
            with torch.no_grad():
                codes = codec.encode(torch.from_numpy(wave)[None, None]).audio_codes[0]
            samples.append((tokenizer.encode(text, add_special_tokens=False).ids, codes))
    return samples


def labels_of(frames, config):
    """Frames [L, 8] -> labels: codes and one EOS each, -100 elsewhere."""
    labels = frames.masked_fill(frames == config.audio_stream_bos_id, -100)
    for k in range(labels.shape[1]):
        first = (labels[:, k] == config.audio_stream_eos_id).nonzero()[0].item()
        labels[first + 1 :, k] = -100
    return labels


def measure(model, samples, placeholders):
    config = model.config
    sums, counts = torch.zeros(config.num_codebooks).double(), torch.zeros(config.num_codebooks).double()
    for prompt, codes in samples:
        frames = delayed(codes, config.audio_stream_bos_id, config.audio_stream_eos_id)
        with torch.no_grad():
            hidden = forward(model, torch.tensor(prompt + [config.audio_token_id]), [codes], placeholders, config)
            # Frame t is predicted one position before it stands.
            logits = model.audio_lm_head(hidden[len(prompt) - 1 : -1]).view(len(frames), config.num_codebooks, -1)
        labels = labels_of(frames, config)
        losses = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100, reduction="none")
        sums, counts = sums + losses.view(labels.shape).double().sum(0), counts + (labels != -100).sum(0).double()
    return (sums / counts).mean().item()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demo", required=True, help="the demo's folder: base, codec, voice")
    parser.add_argument("--adapter", help="PEFT folder to measure beside the base")
    parser.add_argument("--binary", help="higgs_train, to compare with its `evaluate`")
    arguments = parser.parse_args()
    table = Table()
    base_folder = os.path.join(arguments.demo, "base")
    samples = load_samples(arguments.demo)
    placeholders = placeholder_ids(base_folder)
    for adapter in [None, arguments.adapter] if arguments.adapter else [None]:
        model = load_base(base_folder)
        if adapter:
            model = peft.PeftModel.from_pretrained(model, adapter).eval().get_base_model()
        theirs = measure(model, samples, placeholders)
        print(f"{adapter or 'base'}: {theirs:.4f}")
        if arguments.binary:
            words = ["--base_ckpt", base_folder, "--audio_tokenizer", os.path.join(arguments.demo, "codec")]
            words += ["--manifest", os.path.join(arguments.demo, "voice", "val.jsonl")]
            words += ["--adapter", adapter, "--base", "off"] if adapter else []
            words += ["--speak", "0", "--json", "-"]
            ours = json.loads(higgs_train(arguments.binary, "evaluate", *words))
            table.close("higgs_train evaluate", ours["loss_audio"], theirs, 1e-4)
    table.end()


if __name__ == "__main__":
    main()
