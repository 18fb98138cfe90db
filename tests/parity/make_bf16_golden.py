#!/usr/bin/env python3
"""Makes tests/golden/hf/out_lora_right_bf16.safetensors: a PEFT adapter over a base in bfloat16, on the CPU.

    make_bf16_golden.py tests/golden/hf

The adapter's weights stay in float32 (autocast_adapter_dtype, peft's default), the base computes in bfloat16.
Holds the loss and its parts, last_hidden, the logsumexp of both heads at every position and the gradient of every
adapter tensor, under the names of the other out_*.safetensors beside it.
"""
import os
import sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")
import peft
import torch
import transformers
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import HiggsAudioV2ForConditionalGeneration

SEED = 11  # nothing here draws random numbers; set all the same, so that a later version can't by accident


def losses(hidden, base, batch):
    """Cross-entropy of the next text token and of the next frame, as in the README of the goldens."""
    ids, config = batch["input_ids"], base.config
    audio = base.audio_lm_head(hidden).view(*ids.shape, config.num_codebooks, config.codebook_size).float()
    text = base.text_lm_head(hidden).float()
    frames = (ids == config.audio_token_id) | (ids == config.audio_delay_token_id)
    labels = torch.full((*ids.shape, config.num_codebooks), -100)
    labels[frames] = batch["audio_labels"][batch["audio_input_ids_mask"].bool()]
    cross_entropy = torch.nn.functional.cross_entropy
    per_codebook = torch.stack([cross_entropy(audio[:, :-1, k].flatten(0, 1), labels[:, 1:, k].flatten())
                                for k in range(config.num_codebooks)])
    return per_codebook, cross_entropy(text[:, :-1].flatten(0, 1), batch["labels"][:, 1:].flatten()), audio, text


def main():
    folder = sys.argv[1]
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    print(f"seed {SEED}")
    base = HiggsAudioV2ForConditionalGeneration.from_pretrained(
        os.path.join(folder, "model"), dtype=torch.bfloat16, use_text_head=True, attn_implementation="sdpa")
    model = PeftModel.from_pretrained(base, os.path.join(folder, "adapter_lora"), is_trainable=True).eval()
    adapter = {n: p for n, p in model.named_parameters() if p.requires_grad}
    assert all(p.dtype == torch.float32 for p in adapter.values())
    batch = load_file(os.path.join(folder, "batch_right.safetensors"))
    batch = {k: v.long() if v.dtype == torch.int16 else v for k, v in batch.items()}
    inputs = {k: v for k, v in batch.items() if k not in ("labels", "audio_labels")}
    hidden = base.model(**inputs, use_cache=False).last_hidden_state
    assert hidden.dtype == torch.bfloat16
    per_codebook, text_loss, audio, text = losses(hidden, base, batch)
    loss = per_codebook.sum() + text_loss
    loss.backward()
    out = {"loss": loss, "text_loss": text_loss, "audio_loss_per_codebook": per_codebook, "last_hidden": hidden,
           "audio_logsumexp": audio.logsumexp(-1), "text_logsumexp": text.logsumexp(-1)}
    out.update({"grad." + n.replace(".default.", "."): p.grad for n, p in adapter.items()})
    path = os.path.join(folder, "out_lora_right_bf16.safetensors")
    save_file({k: v.detach().contiguous() for k, v in out.items()}, path, metadata={
        "model": "model", "adapter": "adapter_lora", "batch": "batch_right", "dtype": "bf16, adapter float32",
        "attn": "sdpa", "seed": str(SEED), "torch": torch.__version__, "transformers": transformers.__version__,
        "peft": peft.__version__})
    print(f"loss {loss.item():.6f}, text {text_loss.item():.6f}; {len(adapter)} gradients -> {path}")


if __name__ == "__main__":
    main()
