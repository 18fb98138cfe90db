"""Writes a checkpoint of the released model's size with random weights: 11.5 GB of bf16, in shards.

    make_base.py OUT TOKENIZER_FOLDER [--layout hf|boson] [--toy] [--layers N] [--adapter DIR]

The tokenizer is copied; the vocabulary keeps its released size, the special ids are the tokenizer's. --toy: the size of
the tokenizer folder's own model instead. --adapter also writes a PEFT adapter of rank 4 on every linear map, with B not
zero. Needs torch alone.
"""
import argparse
import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))
import safetensors_file  # noqa: E402

CODEBOOKS, ROWS = 8, 1026
SHARD_BYTES = 4_000_000_000
NORMS = ["input_layernorm", "post_attention_layernorm", "audio_input_layernorm", "audio_post_attention_layernorm"]


@dataclass
class Size:
    hidden: int = 3072
    ffn: int = 8192
    heads: int = 24
    kv_heads: int = 8
    head_dim: int = 128
    vocab: int = 128256
    layers: int = 28

    def linears(self):
        """Shape of each linear map of a layer."""
        heads, kv_heads = self.heads * self.head_dim, self.kv_heads * self.head_dim
        shapes = {"self_attn.q_proj": (heads, self.hidden), "self_attn.k_proj": (kv_heads, self.hidden),
                  "self_attn.v_proj": (kv_heads, self.hidden), "self_attn.o_proj": (self.hidden, heads)}
        for ffn in ("mlp", "audio_mlp"):
            shapes |= {f"{ffn}.gate_proj": (self.ffn, self.hidden), f"{ffn}.up_proj": (self.ffn, self.hidden),
                       f"{ffn}.down_proj": (self.hidden, self.ffn)}
        return shapes

    def outside(self):
        """Outside the layers: HF name, boson name, shape."""
        audio, text = (CODEBOOKS * ROWS, self.hidden), (self.vocab, self.hidden)
        return [("model.embed_tokens.weight", "embed_tokens.weight", text),
                ("model.embed_audio_tokens.embed_audio_tokens.weight", "audio_codebook_embeddings.weight", audio),
                ("model.norm.weight", "norm.weight", (self.hidden,)),
                ("audio_lm_head.weight", "audio_decoder_proj.audio_lm_head.weight", audio),
                ("text_lm_head.weight", "audio_decoder_proj.text_lm_head.weight", text)]

    def tensors(self, layout):
        """(name, shape) of every tensor."""
        prefix = "model." if layout == "hf" else ""
        outside = [(names[0 if layout == "hf" else 1], names[2]) for names in self.outside()]
        yield from outside[:2]
        for i in range(self.layers):
            for name, shape in self.linears().items():
                yield f"{prefix}layers.{i}.{name}.weight", shape
            for name in NORMS:
                yield f"{prefix}layers.{i}.{name}.weight", (self.hidden,)
        yield from outside[2:]


class RandomValues:
    """bf16 values ~ N(0, 1/D) from one block of up to 32 Mi values, read from a new place each time."""

    def __init__(self, size):
        self.random = torch.Generator().manual_seed(7)
        self.block = (torch.randn(1 << (25 if size.hidden > 1024 else 20), generator=self.random) / size.hidden**0.5).to(torch.bfloat16)

    def fill(self, flat):
        done = 0
        while done < len(flat):
            begin = int(torch.randint(len(self.block) - 1, (), generator=self.random))
            part = self.block[begin : begin + len(flat) - done]
            flat[done : done + len(part)] = part
            done += len(part)


def write_weights(out, size, layout):
    shards, used = [[]], 0
    for name, shape in size.tensors(layout):
        num_bytes = 2 * torch.Size(shape).numel()
        if used + num_bytes > SHARD_BYTES and shards[-1]:
            shards.append([])
            used = 0
        shards[-1].append((name, torch.bfloat16, shape))
        used += num_bytes
    random, total, weight_map = RandomValues(size), 0, {}

    def fill(name, flat):
        flat.fill_(1) if "norm" in name else random.fill(flat)

    for i, entries in enumerate(shards):
        name = f"model-{i + 1:05d}-of-{len(shards):05d}.safetensors"
        total += safetensors_file.write_with(out / name, entries, fill)
        weight_map |= {tensor: name for tensor, _, _ in entries}
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (out / "model.safetensors.index.json").write_text(json.dumps(index))
    return total


def write_config(out, like, size, layout):
    added = json.loads((like / "tokenizer.json").read_text())["added_tokens"]
    ids = {entry["content"]: entry["id"] for entry in added}
    decoder = {"hidden_size": size.hidden, "intermediate_size": size.ffn, "num_hidden_layers": size.layers,
               "num_attention_heads": size.heads, "num_key_value_heads": size.kv_heads, "head_dim": size.head_dim,
               "vocab_size": size.vocab, "rms_norm_eps": 1e-5, "hidden_act": "silu"}
    rope = {"factor": 32.0, "low_freq_factor": 0.125, "high_freq_factor": 0.5,
            "original_max_position_embeddings": 1024, "rope_type": "llama3"}
    if layout == "hf":
        config = json.loads((like / "config.json").read_text()) | decoder
    else:
        config = {"model_type": "higgs_audio", "audio_adapter_type": "dual_ffn_fast_forward",
                  "audio_dual_ffn_layers": list(range(size.layers)), "skip_audio_tower": True,
                  "use_delay_pattern": True, "encode_audio_in_tokens": True, "audio_num_codebooks": CODEBOOKS,
                  "audio_codebook_size": ROWS - 2, "pad_token_id": 0, "audio_in_token_idx": ids["<|AUDIO|>"],
                  "audio_out_token_idx": ids["<|AUDIO_OUT|>"],
                  "text_config": decoder | {"rope_theta": 500000.0, "rope_scaling": rope}}
    (out / "config.json").write_text(json.dumps(config, indent=2))


def write_adapter(folder, size, layout):
    folder.mkdir(parents=True, exist_ok=True)
    random, tensors = torch.Generator().manual_seed(8), {}
    prefix = "base_model.model.model." if layout == "hf" else "base_model.model."
    for i in range(size.layers):
        for name, (rows, columns) in size.linears().items():
            key = f"{prefix}layers.{i}.{name}."
            tensors[key + "lora_A.weight"] = torch.randn(4, columns, generator=random) / columns**0.5
            tensors[key + "lora_B.weight"] = torch.randn(rows, 4, generator=random) / rows**0.5
    safetensors_file.write(folder / "adapter_model.safetensors", tensors)
    config = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 4, "lora_alpha": 8, "lora_dropout": 0.0,
              "base_model_name_or_path": "", "bias": "none", "target_modules": list(size.linears())}
    (folder / "adapter_config.json").write_text(json.dumps(config))


def size_of(like, toy, layers):
    size = Size()
    if toy:
        config = json.loads((like / "config.json").read_text())
        size = Size(config["hidden_size"], config["intermediate_size"], config["num_attention_heads"],
                    config["num_key_value_heads"], config["head_dim"], config["vocab_size"],
                    config["num_hidden_layers"])
    size.layers = layers or size.layers
    return size


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("tokenizer", type=Path)
    parser.add_argument("--layout", choices=["hf", "boson"], default="hf")
    parser.add_argument("--toy", action="store_true")
    parser.add_argument("--layers", type=int, default=0)
    parser.add_argument("--adapter", type=Path)
    options = parser.parse_args()
    size = size_of(options.tokenizer, options.toy, options.layers)
    options.out.mkdir(parents=True, exist_ok=True)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(options.tokenizer / name, options.out / name)
    write_config(options.out, options.tokenizer, size, options.layout)
    total = write_weights(options.out, size, options.layout)
    if options.adapter:
        write_adapter(options.adapter, size, options.layout)
    print(total)


if __name__ == "__main__":
    main()
