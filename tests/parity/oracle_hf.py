"""The HF layout by transformers: random bases, forward, generation."""

import os

import torch
from safetensors import safe_open
from transformers import AutoTokenizer, HiggsAudioV2Config, HiggsAudioV2ForConditionalGeneration
from transformers.utils import logging

import chatml
from common import delayed
from models import ROPE_SCALING, ROPE_THETA, edit_json, fill, write_tokenizer
from objective import IGNORE, Forward

logging.disable_progress_bar()

AUDIO_EMBEDDING = "embed_audio_tokens.embed_audio_tokens"
COLLATES = False


def write_base(folder, plan):
    """Writes a random base; returns the folder that higgs_train gets."""
    os.makedirs(folder)
    special = write_tokenizer(folder, plan.text_vocab)
    rope = {"rope_type": "default", "rope_theta": ROPE_THETA[plan.rope]}
    rope.update(ROPE_SCALING[plan.rope] or {})
    config = HiggsAudioV2Config(
        vocab_size=plan.text_vocab + len(special) + plan.spare_rows, hidden_size=plan.hidden, intermediate_size=plan.ffn,
        num_hidden_layers=plan.layers, num_attention_heads=plan.heads, num_key_value_heads=plan.kv_heads,
        head_dim=plan.head_dim, max_position_embeddings=2048, rms_norm_eps=plan.eps, rope_parameters=rope,
        num_codebooks=plan.codebooks, codebook_size=plan.codes + 2, audio_stream_bos_id=plan.codes,
        audio_stream_eos_id=plan.codes + 1, pad_token_id=special["<|end_of_text|>"], bos_token_id=1,
        eos_token_id=special["<|eot_id|>"], audio_bos_token_id=special["<|audio_out_bos|>"],
        audio_delay_token_id=special["<|reserved_special_token_6|>"], audio_token_id=special["<|AUDIO_OUT|>"],
    )  # fmt: skip
    model = HiggsAudioV2ForConditionalGeneration(config, use_text_head=plan.text_head)
    rows = [k * (plan.codes + 2) + plan.codes + 1 for k in range(plan.codebooks)]
    fill(model, plan.seed, rows if plan.generate else None)
    model.to({"bf16": torch.bfloat16, "fp32": torch.float32}[plan.dtype])
    model.save_pretrained(folder, max_shard_size="200KB" if plan.sharded else "5GB")
    edit_json(os.path.join(folder, "config.json"), lambda config: edit_config(config, plan))
    return folder


def edit_config(config, plan):
    if plan.old_rope:
        del config["rope_parameters"]
        config.update(rope_theta=ROPE_THETA[plan.rope], rope_scaling=ROPE_SCALING[plan.rope])
    if plan.sparse:
        del config["rms_norm_eps"]


def has_text_head(folder):
    for name in os.listdir(folder):
        if name.endswith(".safetensors"):
            with safe_open(os.path.join(folder, name), "pt") as file:
                if "text_lm_head.weight" in file.keys():
                    return True
    return False


def load(folder):
    model, report = HiggsAudioV2ForConditionalGeneration.from_pretrained(
        folder, dtype=torch.float32, use_text_head=has_text_head(folder), output_loading_info=True
    )
    if report["missing_keys"] or report["unexpected_keys"]:
        raise ValueError(f"{folder}: missing {report['missing_keys']}, unexpected {report['unexpected_keys']}")
    return model.eval()


def load_merged(folder, plan):
    """A merged base, which must have a text head where its base had one."""
    if has_text_head(folder) != plan.text_head:
        raise ValueError(f"{folder}: has {'a' if plan.text_head is False else 'no'} text head, unlike its base")
    return load(folder)


class Samples:
    """The samples of a manifest, tokenized, with the codes of their clips."""

    def __init__(self, base, plan, folder, samples, codes_of):
        self.tokenizer = AutoTokenizer.from_pretrained(base)
        self.tokens = [chatml.tokenize(sample, self.tokenizer) for sample in samples]
        self.samples, self.codes_of, self.plan = samples, codes_of, plan
        self.clips = [[codes_of(url) for url in urls] for _, _, urls, _ in self.tokens]
        names = ("<|AUDIO|>", "<|AUDIO_OUT|>")
        self.heard, self.spoken = (self.tokenizer.convert_tokens_to_ids(name) for name in names)


def expand(samples, config, ids, labels, clips):
    """One sample as the model takes it: (inputs, kind [S], text labels [S], audio labels [M, K])."""
    frames, expanded, kind, text, audio = [], [], [], [], []
    for token, label in zip(ids, labels):
        if token not in (samples.heard, samples.spoken):
            expanded.append(token), kind.append(0), text.append(label)
            continue
        grid = delayed(clips[len(frames)], config.audio_stream_bos_id, config.audio_stream_eos_id)
        tail = config.num_codebooks - 1
        expanded += [config.audio_token_id] * (len(grid) - tail) + [config.audio_delay_token_id] * tail
        kind += [2 if token == samples.spoken else 1] * len(grid)
        text += [IGNORE] * len(grid)
        frames.append(grid)
        if token == samples.spoken:
            audio.append(labels_of(grid, config) if label != IGNORE else torch.full_like(grid, IGNORE))
    inputs = {"input_ids": torch.tensor([expanded])}
    if frames:
        inputs["audio_input_ids"] = torch.cat(frames)[None]
        inputs["audio_input_ids_mask"] = torch.ones(inputs["audio_input_ids"].shape[:2], dtype=torch.bool)
    none = torch.zeros(0, config.num_codebooks, dtype=torch.long)
    return inputs, torch.tensor(kind), torch.tensor(text), torch.cat(audio) if audio else none


def labels_of(grid, config):
    """Frames -> labels: the codes and each codebook's first EOS."""
    labels = grid.masked_fill(grid == config.audio_stream_bos_id, IGNORE)
    later = (grid == config.audio_stream_eos_id).long().cumsum(0) > 1
    return labels.masked_fill(later, IGNORE)


def forward(model, samples):
    """Each sample on its own: nothing is padded."""
    config, rows = model.config, []
    for (ids, labels, _, _), clips in zip(samples.tokens, samples.clips):
        inputs, kind, text, audio = expand(samples, config, ids, labels, clips)
        hidden = model.model(**inputs, use_cache=False).last_hidden_state[0]
        rows.append((hidden, kind, text, audio))
    hidden, kind, text, audio = (torch.cat(column) for column in zip(*rows))
    logits = model.audio_lm_head(hidden[kind == 2]).view(-1, config.num_codebooks, config.codebook_size)
    text_logits = model.text_lm_head(hidden) if model.text_lm_head is not None else None
    return Forward(hidden, kind, text, audio, logits, text_logits, [len(row[0]) for row in rows])


def generate(model, samples, num_columns):
    """Columns [K, L] of the greedy continuation of the last sample's prompt, the forced BOS column first."""
    prompt = chatml.prompt_of(samples.samples[-1])
    ids, _, urls, _ = chatml.tokenize(prompt, samples.tokenizer)
    ids = ids + samples.tokenizer.encode(chatml.PROMPT_END, add_special_tokens=False)
    inputs, _, _, _ = expand(samples, model.config, ids, [IGNORE] * len(ids), [samples.codes_of(url) for url in urls])
    given = inputs["audio_input_ids"].shape[1] if urls else 0
    columns = model.generate(**inputs, do_sample=False, max_new_tokens=num_columns)
    return columns[0, given:].T
