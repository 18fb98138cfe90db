#!/usr/bin/env python3
"""Copies reference outputs into tests/golden, cut to what the repository has room for.

    copy_goldens.py GOLDENS tests/golden

Nothing is lost but size. Integers are stored in the narrowest type that holds them. A tensor that is left out here is
either another one's values (WITHOUT says whose) or is compared where GOLDENS itself is at hand: tests look for the
whole file under HIGGS_TEST_DATA/goldens first (tests/support/whole_golden.h), and the test GoldenCuts checks every
cut against it.
"""
import os
import shutil
import sys

import torch
from safetensors import safe_open
from safetensors.torch import save_file

WHOLE = [
    "hf/batch_right.safetensors", "hf/batch_left.safetensors", "hf/batch_hf_processor.safetensors",
    "hf/out_base_right.safetensors", "hf/out_base_right_bf16.safetensors", "hf/out_lora_right.safetensors",
    "hf/data/manifest.jsonl", "hf/data/samples.safetensors", "hf/data/codes/clip0.safetensors",
    "hf/data/codes/clip1.safetensors", "hf/data/codes/clip2.safetensors", "hf/data/codes/clip3.safetensors",
    "hf/train/trajectory.json", "hf/tokenizer_golden.json", "boson/lora/merged.safetensors",
    "boson/chatml/manifest.jsonl", "boson/chatml/expected.jsonl", "boson/chatml/objects.jsonl",
    "boson/text/text.jsonl", "boson/text/decode_ids.jsonl",
    "boson/collator/index.json", "boson/collator/cal_num_tokens.json", "boson/collator/delay_pattern.safetensors",
    "boson/model/base/config.json", "boson/model/base/model.safetensors",
    "boson/model/fast_forward/config.json", "boson/model/fast_forward/model.safetensors",
    "boson/model/tower/config.json", "boson/model/tower/model.safetensors",
    "boson/lora/forward.safetensors", "boson/lora/microbatches.safetensors", "boson/lora/train_log.jsonl",
    "boson/lora/info.json", "boson/lora/grads_mb0.safetensors", "boson/lora/grads_mb1.safetensors",
    "boson/generate/index.json", "boson/codec/config.json", "boson/codec/semantic_model/config.json",
    "boson/codec/model.safetensors", "e2e/manifest.jsonl", "e2e/base_boson/config.json",
]
ADAPTERS = ["hf/adapter_lora", "hf/adapter_rslora", "hf/adapter_pattern", "hf/adapter_attn_list", "hf/adapter_dora",
            "hf/train/adapter_init", "hf/train/adapter_after_step_1", "hf/train/adapter_final",
            "boson/lora/adapter_init", "boson/lora/adapter_final", "e2e/adapter_hf"]
WITHOUT = {  # file -> endings or parts of the names left out
    # Waveforms are empty or unread: the program's collator takes codes.
    "boson/collator/merge.safetensors": ["audio_waveforms", "audio_sample_rate"],
    # Runs with a static cache equal the dynamic ones (index.json: static_equals_dynamic).
    "boson/generate/generate.safetensors": ["_static.", ".reward"],
}
# Where both heads' logsumexp at every position is stored too, hidden states are compared from the whole file only.
for name in ["base_left", "base_right", "base_hf_processor", "lora_left", "lora_right", "rslora_right", "dora_right", "pattern_right",
             "attn_list_right"]:
    WITHOUT[f"hf/out_{name}.safetensors"] = ["last_hidden"]
for variant in ["fast_forward_H", "tower_I"]:
    WITHOUT[f"boson/model/{variant}.safetensors"] = ["hidden_0_embeddings", "hidden_final_norm"]
for case in ["audio_out_before_audio_in", "no_audio_in", "b1_24k_resampled", "short_wave_200"]:
    WITHOUT[f"boson/collator/cases/whisper_{case}.safetensors"] = ["every_200th"]
# Embeddings of the batches but A (text, audio out) and G (audio in).
for variant in ["A_one_sample", "B_three", "B_three_padleft", "C_serve_nolabels", "D_text_only",
                "E_audio_in_placeholder", "F_use_cache", "G_encode_audio_in_tokens"]:
    WITHOUT[f"boson/model/base_{variant}.safetensors"] = [] if variant[0] in "AG" else ["hidden_0_embeddings"]
FIRST = {}  # file -> {name: how many of its values are kept}
for clip in ["digits_16k_stereo", "digits_24k", "sweep_24k", "word_44k"]:
    # The waves are those of hf/synthetic.
    WITHOUT[f"boson/codec/synthetic/{clip}.safetensors"] = ["wav24k", "wav16k"]
    FIRST[f"boson/codec/synthetic/{clip}.safetensors"] = {"decoded": 2880}
FIRST["boson/codec/synthetic/sweep_24k.safetensors"] = {}
# A clip that is read without resampling is its own wave; at 16 kHz and decoded whole the other three are compared.
WITHOUT["hf/synthetic/codec_digits_24k_none.safetensors"] = ["wav24k", "wav16k"]
FIRST["hf/synthetic/codec_digits_24k_none.safetensors"] = {"decoded": 11520}
WITHOUT["hf/synthetic/codec_digits_16k_stereo_none.safetensors"] = ["decoded"]
# Every N-th row of what other tensors and the gradients say as well, NAME_rows_every_Nth.
ROWS = {"e2e/expected.safetensors": {"/hidden": 4, "text_logits_every_8th": 16, "audio_logits_every_8th": 8}}


def narrow(tensor):
    """The same integers in the narrowest type that holds them."""
    if tensor.dtype != torch.int64 or tensor.numel() == 0:
        return tensor
    low, high = int(tensor.min()), int(tensor.max())
    for dtype in (torch.int8, torch.int16, torch.int32):
        if torch.iinfo(dtype).min <= low and high <= torch.iinfo(dtype).max:
            return tensor.to(dtype)
    return tensor


def cut(name, key, tensor):
    for part, step in ROWS.get(name, {}).items():
        if key.endswith(part):
            return f"{key}_rows_every_{step}th", tensor[::step].contiguous()
    if key in FIRST.get(name, {}):
        return key, tensor[: FIRST[name][key]].clone()
    return key, narrow(tensor)


def copy(source, destination, name):
    with safe_open(source, "pt") as file:
        kept = dict(cut(name, key, file.get_tensor(key)) for key in file.keys()
                    if not any(part in key for part in WITHOUT.get(name, [])))
        save_file(kept, destination, metadata=file.metadata())


def main():
    source, target = sys.argv[1:3]
    files = WHOLE + [f"{a}/{n}" for a in ADAPTERS for n in ("adapter_config.json", "adapter_model.safetensors")]
    files += [f"boson/collator/cases/{n}" for n in sorted(os.listdir(os.path.join(source, "boson/collator/cases")))
              if not n.startswith("whisper_")]
    files += [f"e2e/codes/c{i}.safetensors" for i in range(9)]
    for name in files + list(WITHOUT) + list(ROWS):
        destination = os.path.join(target, name)
        os.makedirs(os.path.dirname(destination), exist_ok=True)
        if name.endswith(".safetensors") and "model" not in os.path.basename(name) and "/codes/" not in name:
            copy(os.path.join(source, name), destination, name)
        else:
            shutil.copyfile(os.path.join(source, name), destination)


if __name__ == "__main__":
    main()
