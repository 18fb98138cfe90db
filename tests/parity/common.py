"""What the parity checks share: running higgs_train, samples as transformers wants them, a table of results."""

import json
import os
import subprocess
import sys
import tempfile
import warnings

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from transformers import HiggsAudioV2ForConditionalGeneration
from transformers.utils import logging

logging.disable_progress_bar()
warnings.filterwarnings("ignore", category=FutureWarning)


class Table:
    """Prints a line for each check, and remembers whether one failed."""

    def __init__(self):
        self.failed = 0

    def check(self, good, name, text=""):
        self.failed += not good
        print(f"{'ok  ' if good else 'FAIL'}  {name:<44}  {text}", flush=True)
        return good

    def close(self, name, got, want, tolerance):
        return self.check(abs(got - want) <= tolerance, name, f"{got:.6f}, expected {want:.6f} +- {tolerance:g}")

    def end(self):
        print("all good" if self.failed == 0 else f"{self.failed} checks failed")
        sys.exit(1 if self.failed else 0)


def die(message):
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)


def higgs_train(binary, *words):
    """Runs it and returns what it printed."""
    done = subprocess.run([binary, *map(str, words)], capture_output=True, text=True)
    if done.returncode != 0:
        die(f"higgs_train {words[0]} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def inspect(binary, stage, *words):
    """The tensors and the metadata that `higgs_train inspect STAGE` writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "out.safetensors")
        higgs_train(binary, "inspect", stage, "--out", path, *words)
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
        return load_file(path), metadata


def load_base(folder, dtype=torch.float32):
    """A base as transformers loads it; with its text head only when the file has one."""
    with safe_open(os.path.join(folder, "model.safetensors"), "pt") as file:
        names = set(file.keys())
    model, report = HiggsAudioV2ForConditionalGeneration.from_pretrained(
        folder, dtype=dtype, use_text_head="text_lm_head.weight" in names, output_loading_info=True
    )
    if report["missing_keys"] or report["unexpected_keys"]:
        die(f"{folder}: transformers finds missing {report['missing_keys']}, unexpected {report['unexpected_keys']}")
    return model.eval()


def delayed(codes, bos, eos):
    """Codes [8, T] -> frames [T + 9, 8]: codebook k starts k frames late, between its BOS and its EOS."""
    num_codebooks, length = codes.shape
    frames = torch.full((length + num_codebooks + 1, num_codebooks), eos)
    for k in range(num_codebooks):
        frames[: k + 1, k] = bos
        frames[k + 1 : k + 1 + length, k] = codes[k]
    return frames


def forward(model, input_ids, clips, placeholders, config):
    """Final hidden states [S, D] of one sample.

    `input_ids`: one placeholder a clip; each becomes F - 7 audio tokens and 7 delay tokens for F frames, as
    transformers' processor writes it. Clips that are heard and clips that are spoken are alike to the model.
    """
    expanded, frames, clip = [], [], 0
    for token in input_ids.tolist():
        if token not in placeholders:
            expanded.append(token)
            continue
        frames.append(delayed(clips[clip].long(), config.audio_stream_bos_id, config.audio_stream_eos_id))
        tail = config.num_codebooks - 1
        expanded += [config.audio_token_id] * (len(frames[-1]) - tail) + [config.audio_delay_token_id] * tail
        clip += 1
    if clip != len(clips):
        die(f"{clip} placeholders for {len(clips)} clips")
    inputs = {"input_ids": torch.tensor([expanded])}
    if frames:
        grid = torch.cat(frames)[None]
        inputs["audio_input_ids"] = grid
        inputs["audio_input_ids_mask"] = torch.ones(grid.shape[:2], dtype=torch.bool)
    return model.model(**inputs, use_cache=False).last_hidden_state[0]


def placeholder_ids(base):
    """Ids of <|AUDIO|> and <|AUDIO_OUT|> in the base's tokenizer."""
    with open(os.path.join(base, "tokenizer.json"), encoding="utf-8") as file:
        added = json.load(file)["added_tokens"]
    return {token["id"] for token in added if token["content"] in ("<|AUDIO|>", "<|AUDIO_OUT|>")}
