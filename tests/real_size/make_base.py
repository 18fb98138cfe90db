"""Writes a checkpoint of the released model's size with random weights: 11.5 GB of bf16, in shards.

    make_base.py OUT TOKENIZER_FOLDER [--layout hf|boson] [--layers 28] [--adapter DIR]

The tokenizer is copied; the vocabulary keeps its released size, the special ids are the tokenizer's. --adapter also
writes a PEFT adapter of rank 4 on every linear map, with B not zero.
"""
import argparse
import json
import shutil
from pathlib import Path

import numpy as np

D, FFN, HEADS, KV_HEADS, HEAD_DIM, VOCAB, CODEBOOKS, ROWS = 3072, 8192, 24, 8, 128, 128256, 8, 1026
SHARD_BYTES = 4_000_000_000
LINEARS = {"self_attn.q_proj": (HEADS * HEAD_DIM, D), "self_attn.k_proj": (KV_HEADS * HEAD_DIM, D),
           "self_attn.v_proj": (KV_HEADS * HEAD_DIM, D), "self_attn.o_proj": (D, HEADS * HEAD_DIM)}
for ffn in ("mlp", "audio_mlp"):
    LINEARS |= {f"{ffn}.gate_proj": (FFN, D), f"{ffn}.up_proj": (FFN, D), f"{ffn}.down_proj": (D, FFN)}
NORMS = ["input_layernorm", "post_attention_layernorm", "audio_input_layernorm", "audio_post_attention_layernorm"]
NAMES = {  # outside the layers: HF, boson, shape
    "embedding": ("model.embed_tokens.weight", "embed_tokens.weight", (VOCAB, D)),
    "audio": ("model.embed_audio_tokens.embed_audio_tokens.weight", "audio_codebook_embeddings.weight",
              (CODEBOOKS * ROWS, D)),
    "norm": ("model.norm.weight", "norm.weight", (D,)),
    "audio_head": ("audio_lm_head.weight", "audio_decoder_proj.audio_lm_head.weight", (CODEBOOKS * ROWS, D)),
    "text_head": ("text_lm_head.weight", "audio_decoder_proj.text_lm_head.weight", (VOCAB, D)),
}


def bf16(values):
    return (values.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)


def tensors(layers, layout):
    """(name, shape) of every tensor."""
    prefix = "model." if layout == "hf" else ""
    column = 0 if layout == "hf" else 1
    yield NAMES["embedding"][column], NAMES["embedding"][2]
    yield NAMES["audio"][column], NAMES["audio"][2]
    for i in range(layers):
        for name, shape in LINEARS.items():
            yield f"{prefix}layers.{i}.{name}.weight", shape
        for name in NORMS:
            yield f"{prefix}layers.{i}.{name}.weight", (D,)
    for name in ("norm", "audio_head", "text_head"):
        yield NAMES[name][column], NAMES[name][2]


class RandomBytes:
    """bf16 values ~ N(0, 1/D) from one block of 32 Mi values, read from a new place each time."""

    def __init__(self):
        self.random = np.random.default_rng(7)
        self.block = bf16(self.random.standard_normal(1 << 25, np.float32) / np.sqrt(D))

    def write(self, file, count):
        while count > 0:
            begin = int(self.random.integers(0, len(self.block) - 1))
            part = self.block[begin : begin + count]
            file.write(part.tobytes())
            count -= len(part)


def write_shard(path, entries, random):
    header, offset = {}, 0
    for name, shape in entries:
        size = 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name, shape in entries:
            if len(shape) == 1:
                file.write(bf16(np.ones(shape)).tobytes())
            else:
                random.write(file, int(np.prod(shape)))
    return offset


def write_weights(out, layers, layout):
    shards, size = [[]], 0
    for name, shape in tensors(layers, layout):
        bytes_ = 2 * int(np.prod(shape))
        if size + bytes_ > SHARD_BYTES and shards[-1]:
            shards.append([])
            size = 0
        shards[-1].append((name, shape))
        size += bytes_
    random, total, weight_map = RandomBytes(), 0, {}
    for i, entries in enumerate(shards):
        name = f"model-{i + 1:05d}-of-{len(shards):05d}.safetensors"
        total += write_shard(out / name, entries, random)
        weight_map |= {tensor: name for tensor, _ in entries}
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (out / "model.safetensors.index.json").write_text(json.dumps(index))
    return total


def write_config(out, layers, layout, ids):
    decoder = {"hidden_size": D, "intermediate_size": FFN, "num_hidden_layers": layers, "num_attention_heads": HEADS,
               "num_key_value_heads": KV_HEADS, "head_dim": HEAD_DIM, "vocab_size": VOCAB, "rms_norm_eps": 1e-5,
               "hidden_act": "silu"}
    rope = {"factor": 32.0, "low_freq_factor": 0.125, "high_freq_factor": 0.5,
            "original_max_position_embeddings": 1024, "rope_type": "llama3"}
    if layout == "hf":
        config = {"model_type": "higgs_audio_v2", "num_codebooks": CODEBOOKS, "codebook_size": ROWS,
                  "audio_stream_bos_id": 1024, "audio_stream_eos_id": 1025, "pad_token_id": 0,
                  "audio_token_id": ids["<|AUDIO_OUT|>"], "rope_parameters": rope | {"rope_theta": 500000.0}} | decoder
    else:
        config = {"model_type": "higgs_audio", "audio_adapter_type": "dual_ffn_fast_forward",
                  "audio_dual_ffn_layers": list(range(layers)), "skip_audio_tower": True, "use_delay_pattern": True,
                  "encode_audio_in_tokens": True, "audio_num_codebooks": CODEBOOKS, "audio_codebook_size": ROWS - 2,
                  "pad_token_id": 0, "audio_in_token_idx": ids["<|AUDIO|>"],
                  "audio_out_token_idx": ids["<|AUDIO_OUT|>"],
                  "text_config": decoder | {"rope_theta": 500000.0, "rope_scaling": rope}}
    (out / "config.json").write_text(json.dumps(config, indent=2))


def write_adapter(folder, layers, layout):
    folder.mkdir(parents=True, exist_ok=True)
    random, arrays = np.random.default_rng(8), {}
    prefix = "base_model.model.model." if layout == "hf" else "base_model.model."
    for i in range(layers):
        for name, (rows, columns) in LINEARS.items():
            key = f"{prefix}layers.{i}.{name}."
            arrays[key + "lora_A.weight"] = random.standard_normal((4, columns), np.float32) / columns**0.5
            arrays[key + "lora_B.weight"] = random.standard_normal((rows, 4), np.float32) / rows**0.5
    header, offset = {}, 0
    for name, array in arrays.items():
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [offset, offset + array.nbytes]}
        offset += array.nbytes
    text = json.dumps(header).encode()
    with open(folder / "adapter_model.safetensors", "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for array in arrays.values():
            file.write(array.tobytes())
    config = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 4, "lora_alpha": 8, "lora_dropout": 0.0,
              "base_model_name_or_path": "", "bias": "none",
              "target_modules": list(LINEARS)}
    (folder / "adapter_config.json").write_text(json.dumps(config))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("tokenizer", type=Path)
    parser.add_argument("--layout", choices=["hf", "boson"], default="hf")
    parser.add_argument("--layers", type=int, default=28)
    parser.add_argument("--adapter", type=Path)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(options.tokenizer / name, options.out / name)
    added = json.loads((options.out / "tokenizer.json").read_text())["added_tokens"]
    write_config(options.out, options.layers, options.layout, {entry["content"]: entry["id"] for entry in added})
    total = write_weights(options.out, options.layers, options.layout)
    if options.adapter:
        write_adapter(options.adapter, options.layers, options.layout)
    print(total)


if __name__ == "__main__":
    main()
