"""What random models of both layouts share: the tokenizer, the weights' values, the files."""

import json
import os

import torch
from safetensors import safe_open
from safetensors.torch import save_file

GOLDEN_TOKENIZER = os.path.join(os.path.dirname(__file__), "../golden/hf/model/tokenizer.json")

# rope_scaling by the name a plan has for it
ROPE_SCALING = {
    "plain": None,
    "llama3": {"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 0.125, "high_freq_factor": 0.5,
               "original_max_position_embeddings": 1024},
    "llama3b": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                "original_max_position_embeddings": 64},
}  # fmt: skip
ROPE_THETA = {"plain": 10000.0, "llama3": 500000.0, "llama3b": 500.0}


def write_tokenizer(folder, text_vocab):
    """Writes the goldens' tokenizer cut to its first `text_vocab` entries, with the special tokens moved behind them.

    Ids are ranks of merges, so what is left is whole. Returns the ids of the special tokens by their text.
    """
    with open(GOLDEN_TOKENIZER, encoding="utf-8") as file:
        document = json.load(file)
    model = document["model"]
    kept = {piece: i for piece, i in model["vocab"].items() if i < text_vocab}
    shift = text_vocab - len(model["vocab"])
    pairs = [(merge, merge if isinstance(merge, list) else merge.split(" ", 1)) for merge in model["merges"]]
    model["merges"] = [merge for merge, (a, b) in pairs if a in kept and b in kept and a + b in kept]
    model["vocab"] = kept
    for token in document["added_tokens"]:
        token["id"] += shift
    for processor in document["post_processor"]["processors"]:
        for special in processor.get("special_tokens", {}).values():
            special["ids"] = [i + shift for i in special["ids"]]
    with open(os.path.join(folder, "tokenizer.json"), "w", encoding="utf-8") as file:
        json.dump(document, file, ensure_ascii=False)
    with open(os.path.join(folder, "tokenizer_config.json"), "w", encoding="utf-8") as file:
        json.dump({"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False}, file)
    return {token["content"]: token["id"] for token in document["added_tokens"]}


def fill(model, seed, stream_eos=None):
    """Random values that keep activations and logits near 1. `stream_eos`: the audio head's rows that say EOS in a
    codebook's block; they are made loud, so that generation ends by itself within some frames."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            values = torch.randn(parameter.shape, generator=generator)
            if parameter.dim() == 1:
                values = 1 + 0.1 * values if "norm" in name and name.endswith("weight") else 0.05 * values
            elif "embed" in name:
                values = 0.5 * values
            else:
                values = values / parameter[0].numel() ** 0.5
            parameter.copy_(values)
            if name.endswith("audio_lm_head.weight") and stream_eos is not None:
                parameter[stream_eos] *= 1.7


def rewrite(folder, change):
    """Applies `change(tensors)` to the one safetensors file of a checkpoint."""
    path = os.path.join(folder, "model.safetensors")
    with safe_open(path, "pt") as file:
        tensors, metadata = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()
    save_file(change(tensors), path, metadata=metadata)


def edit_json(path, change):
    with open(path, encoding="utf-8") as file:
        document = json.load(file)
    change(document)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=2)


def compare_merged(case, ours, theirs, dtype):
    """Tensors of a merged checkpoint against those of peft's merge, computed in fp32 from the same base. A bf16 file holds
    them rounded once: half a step of bf16 (2^-9 of the value), and a rounding tie of the sums beside it."""
    case.check(set(ours) == set(theirs), "merged", f"tensors on one side only: {sorted(set(ours) ^ set(theirs))[:3]}")
    for name in sorted(set(ours) & set(theirs)):
        a, b = ours[name].double(), theirs[name].double()
        slack = (2.0**-8 * b.abs() if dtype == "bf16" else 0) + 1e-6 * b.abs().max()
        worst = ((a - b).abs() - slack).max().item() if a.numel() else 0
        case.check(worst <= 0, "merged", f"{name} is off by {worst:.1e} more than rounding")
