#!/usr/bin/env python3
"""Copies reference outputs into tests/golden, without the tensors that no test reads.

    copy_goldens.py GOLDENS tests/golden

What is left out keeps the repository small: hidden states where the logsumexp of every head at every position is
compared instead, embeddings, expanded ids and masks, the runs with a static cache (equal to the dynamic ones).
"""
import os
import shutil
import sys

from safetensors import safe_open
from safetensors.torch import save_file

WHOLE = [
    "hf/batch_right.safetensors", "hf/batch_left.safetensors", "hf/batch_hf_processor.safetensors",
    "hf/out_base_right.safetensors", "hf/out_base_right_bf16.safetensors", "hf/out_lora_right.safetensors",
    "hf/data/samples.safetensors", "hf/train/trajectory.json", "hf/adapter_dora/adapter_config.json",
    "boson/model/base/config.json", "boson/model/base/model.safetensors",
    "boson/model/fast_forward/config.json", "boson/model/tower/config.json", "boson/lora/forward.safetensors",
    "boson/lora/microbatches.safetensors", "boson/lora/train_log.jsonl", "boson/lora/grads_mb0.safetensors",
    "boson/lora/grads_mb1.safetensors", "boson/codec/config.json", "boson/codec/semantic_model/config.json",
    "boson/codec/model.safetensors",
]
ADAPTERS = ["hf/adapter_lora", "hf/adapter_rslora", "hf/adapter_pattern", "hf/adapter_attn_list",
            "hf/train/adapter_init", "hf/train/adapter_after_step_1", "hf/train/adapter_final",
            "boson/lora/adapter_init"]
WITHOUT = {  # file -> endings or parts of the names left out
    "hf/out_base_left.safetensors": ["last_hidden"], "hf/out_base_hf_processor.safetensors": ["last_hidden"],
    "hf/out_lora_left.safetensors": ["last_hidden"], "hf/out_rslora_right.safetensors": ["last_hidden"],
    "hf/out_pattern_right.safetensors": ["last_hidden"], "hf/out_attn_list_right.safetensors": ["last_hidden"],
    "boson/generate/generate.safetensors": ["_static.", "text_prompt", "_stops_soon", ".reward", "_step_logits"],
}
for variant in ["A_one_sample", "B_three", "B_three_padleft", "C_serve_nolabels", "D_text_only",
                "E_audio_in_placeholder", "F_use_cache", "G_encode_audio_in_tokens"]:
    WITHOUT[f"boson/model/base_{variant}.safetensors"] = ["hidden_0_embeddings", "_codes_mask", "audio_in_mask",
                                                          "expanded_labels"]
FIRST = {}  # file -> {name: how many of its values are kept}
for clip in ["digits_16k_stereo", "digits_24k", "sweep_24k", "word_44k"]:
    # The waves are those of hf/synthetic.
    WITHOUT[f"boson/codec/synthetic/{clip}.safetensors"] = ["wav24k", "wav16k"]
    FIRST[f"boson/codec/synthetic/{clip}.safetensors"] = {"decoded": 2880}
FIRST["boson/codec/synthetic/sweep_24k.safetensors"] = {}


def main():
    source, target = sys.argv[1:3]
    files = WHOLE + [f"{a}/{n}" for a in ADAPTERS for n in ("adapter_config.json", "adapter_model.safetensors")]
    for name in files + list(WITHOUT):
        destination = os.path.join(target, name)
        os.makedirs(os.path.dirname(destination), exist_ok=True)
        if name not in WITHOUT:
            shutil.copyfile(os.path.join(source, name), destination)
            continue
        with safe_open(os.path.join(source, name), "pt") as file:
            kept = {k: file.get_tensor(k) for k in file.keys() if not any(w in k for w in WITHOUT[name])}
            kept.update({k: kept[k][:n].clone() for k, n in FIRST.get(name, {}).items()})
            save_file(kept, destination, metadata=file.metadata())


if __name__ == "__main__":
    main()
