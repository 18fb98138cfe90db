#!/usr/bin/env python3
"""What peft makes of demo/: plain LoRA of rank 16 on the same clips, by transformers + peft on the CPU.

    demo_peft.py [--demo demo] [--steps 100] [--threads 1] [--adapter higgs_train's adapter folder]

Prints CPU seconds of encoding and of training, and the held-out loss before and after as higgs_train reports it: each
codebook's codes and one EOS, mean over the codebooks.
With --adapter the folder is loaded with peft and measured as well.
"""
import argparse
import json
import math
import os
import random
import time
import warnings

os.environ.setdefault("HF_HUB_OFFLINE", "1")
warnings.filterwarnings("ignore")
import librosa
import torch
import torch.nn.functional as F
from peft import LoraConfig, PeftModel, get_peft_model
import transformers
from transformers import AutoTokenizer, HiggsAudioV2ForConditionalGeneration, HiggsAudioV2TokenizerModel

transformers.utils.logging.disable_progress_bar()
CODEBOOKS = 8
TARGETS = r".*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"


def load_samples(demo, name, tokenizer, codec, config):
    """[(prompt ids, rows [L, 8])] with the delay pattern applied."""
    samples = []
    for line in open(f"{demo}/voice/{name}", encoding="utf-8"):
        system, user, assistant = json.loads(line)["messages"]
        wave, _ = librosa.load(f"{demo}/voice/{assistant['content']['audio_url']}", sr=24000, mono=True)
        codes = codec.encode(torch.from_numpy(wave)[None, None]).audio_codes[0]
        length = codes.shape[1]
        rows = torch.full((length + 9, CODEBOOKS), config.audio_stream_eos_id)
        for k in range(CODEBOOKS):
            rows[: k + 1, k] = config.audio_stream_bos_id
            rows[k + 1 : k + 1 + length, k] = codes[k]
        turn = "<|start_header_id|>{}<|end_header_id|>\n\n{}"
        prompt = ("<|begin_of_text|>" + turn.format("system", system["content"] + "<|eot_id|>")
                  + turn.format("user", user["content"] + "<|eot_id|>") + turn.format("assistant", "<|audio_out_bos|>"))
        samples.append((tokenizer(prompt, add_special_tokens=False).input_ids, rows))
    return samples


def labels_of(rows, config):
    labels = rows.clone()
    labels[labels == config.audio_stream_bos_id] = -100
    for k in range(CODEBOOKS):
        end = (labels[:, k] == config.audio_stream_eos_id).nonzero()[0]
        labels[int(end) + 1 :, k] = -100
    return labels


def collate(samples, config):
    """Right-padded batch as a user of transformers would make it; labels [B, F, 8]."""
    width = max(len(ids) + len(rows) for ids, rows in samples)
    frames = max(len(rows) for _, rows in samples)
    batch = {
        "input_ids": torch.full((len(samples), width), config.pad_token_id),
        "attention_mask": torch.zeros(len(samples), width, dtype=torch.long),
        "audio_input_ids": torch.full((len(samples), frames, CODEBOOKS), config.audio_stream_eos_id),
        "audio_input_ids_mask": torch.zeros(len(samples), frames, dtype=torch.bool),
    }
    targets = torch.full((len(samples), width, CODEBOOKS), -100)
    for b, (ids, rows) in enumerate(samples):
        end = len(ids) + len(rows)
        batch["input_ids"][b, : len(ids)] = torch.tensor(ids)
        batch["input_ids"][b, len(ids) : end] = config.audio_token_id
        batch["attention_mask"][b, :end] = 1
        batch["audio_input_ids"][b, : len(rows)] = rows
        batch["audio_input_ids_mask"][b, : len(rows)] = True
        targets[b, len(ids) - 1 : end - 1] = labels_of(rows, config)  # position p predicts p + 1
    return batch, targets


def codebook_sums(model, batch, target):
    """Sums of cross-entropy and counts, each [8]."""
    logits = model(**batch, use_cache=False).logits
    keep = (target != -100).any(-1)
    loss = F.cross_entropy(logits[keep].view(-1, model.config.codebook_size), target[keep].view(-1), ignore_index=-100, reduction="none")
    return loss.view(-1, CODEBOOKS).sum(0), (target != -100).sum((0, 1))


@torch.no_grad()
def evaluate(model, samples, config):
    model.eval()
    total, count = torch.zeros(CODEBOOKS), torch.zeros(CODEBOOKS)
    for sample in samples:
        sums, counts = codebook_sums(model, *collate([sample], config))
        total, count = total + sums, count + counts
    return float((total / count).mean())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demo", default="demo")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--adapter")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    generator = random.Random(0)
    base = f"{args.demo}/base"
    tokenizer = AutoTokenizer.from_pretrained(base)
    codec = HiggsAudioV2TokenizerModel.from_pretrained(f"{args.demo}/codec").eval()

    def load_base():
        return HiggsAudioV2ForConditionalGeneration.from_pretrained(base, dtype=torch.float32)

    model = load_base()
    config = model.config
    start = time.process_time()
    with torch.no_grad():
        training, held_out = (load_samples(args.demo, f"{name}.jsonl", tokenizer, codec, config) for name in ("train", "val"))
    seconds = time.process_time() - start
    print(f"encoding {len(training) + len(held_out)} clips: {seconds:.1f} s of CPU time")
    rows = [("base", evaluate(model, held_out, config))]
    model = get_peft_model(model, LoraConfig(r=16, lora_alpha=32, lora_dropout=0.05, target_modules=TARGETS))
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.01)
    warmup = math.ceil(0.03 * args.steps)
    model.train()
    order, start = [], time.process_time()
    for step in range(args.steps):
        while len(order) < 8:
            order += generator.sample(range(len(training)), len(training))
        batch, targets = collate([training[order.pop(0)] for _ in range(8)], config)
        factor = (step + 1) / warmup if step < warmup else 0.5 * (1 + math.cos(math.pi * (step - warmup) / (args.steps - warmup)))
        optimizer.param_groups[0]["lr"] = 1e-3 * factor
        total, count = codebook_sums(model, batch, targets)
        (total / count).mean().backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    print(f"training {args.steps} steps of 8 clips: {time.process_time() - start:.1f} s of CPU time")
    rows.append((f"peft, {args.steps} steps", evaluate(model, held_out, config)))
    if args.adapter:
        rows.append(("higgs_train", evaluate(PeftModel.from_pretrained(load_base(), args.adapter), held_out, config)))
    print("held-out audio loss")
    for name, loss in rows:
        print(f"{name:24} {loss:7.4f}")


if __name__ == "__main__":
    main()
