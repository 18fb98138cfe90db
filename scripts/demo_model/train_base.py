"""Trains the demo's language model on the codes of one corpus or more.

usage: train_base.py CODEC_FOLDER OUT_FOLDER CORPUS.npz... [--steps N] [--batch N] [--lr F] [--seed S]

The target's clips are left out. OUT_FOLDER holds tokenizer.json already. Every 500 steps the state goes to OUT_FOLDER.pt,
from where a run goes on that was stopped. Codes are kept in CODEC_FOLDER.CORPUS.codes.pt.
"""

import argparse
import math
import multiprocessing
import random
import time
from collections import defaultdict
from pathlib import Path

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from transformers import HiggsAudioV2TokenizerModel

import codec  # its kernels replace slower ones
from base_model import BOS, OTHER, SCENE, collate, delay, forward, new, prompt
from clips import Corpus, frames_of
from texts import written
from voices import TARGET

CODEBOOK_WEIGHTS = torch.tensor([2.5, 1.2, 0.9, 0.7, 0.5, 0.4, 0.3, 0.3])
TURN = 4.0  # weight of the frames where one word ends and the next begins, in the first three codebooks


class Encoder:
    """Codes of clips, in a process of its own for each core."""

    def __init__(self, corpus, folder):
        torch.set_num_threads(1)
        Encoder.corpus = corpus
        Encoder.model = HiggsAudioV2TokenizerModel.from_pretrained(folder, dtype=torch.float32).eval()

    @staticmethod
    @torch.no_grad()
    def codes(i):
        signal = torch.from_numpy(frames_of(Encoder.corpus.clip(i)))[None, None]
        return Encoder.model.encode(signal).audio_codes[0].to(torch.int16).numpy()


def encode(corpus, folder, path):
    """Codes (8, T) of every clip, in the file `path` once they are made."""
    if not path.exists():
        with multiprocessing.Pool(initializer=Encoder, initargs=(corpus, folder)) as pool:
            codes = pool.map(Encoder.codes, range(len(corpus.meta)), chunksize=50)
        torch.save([torch.from_numpy(of_clip) for of_clip in codes], path)
    return torch.load(path)


def speaks_unasked(clip) -> bool:
    """Whether the base shall speak like this clip where no voice is asked for: what the audio tokenizer conveys best."""
    engine, tract = clip["voice"].split()[0], float(clip["voice"].split()[-1])
    return engine != "pico" and tract >= 0.94 and not clip["varied"]


class Samples:
    """Clips by the length of their prompts, so that a batch needs no padding of prompts. Two batches in five have a scene
    in their system turns; so have all voices that the base shall not speak with unasked, another one. Those are not
    evaluated."""

    def __init__(self, corpora, tokenizer, part):
        """corpora: pairs of a Corpus and its codes."""
        self.groups = defaultdict(list)
        for corpus, codes in corpora:
            for i in corpus.part(part, without=TARGET):
                clip = corpus.meta[i]
                if not speaks_unasked(clip) and part != "train":
                    continue
                text = clip["text"] if part != "train" else written(clip["text"], random.Random(i))
                ids, in_scene = prompt(tokenizer, text), prompt(tokenizer, text, SCENE)
                if not speaks_unasked(clip):
                    ids = in_scene = prompt(tokenizer, text, OTHER)
                rows = delay(codes[i].long())
                self.groups[len(ids), len(in_scene)].append((ids, in_scene, rows, self._turns(corpus.words(i), len(rows))))
        self.lengths = sorted(self.groups)
        self.sizes = [len(self.groups[length]) for length in self.lengths]

    @staticmethod
    def _turns(words, rows):
        weights = torch.ones(rows, codec.QUANTIZERS)
        ends = [end for _, _, end in words]
        starts = [start for _, start, _ in words[1:]] + [rows]
        for first, last in [(0, words[0][1]), *zip(ends, starts)]:
            for k in range(3):
                weights[max(0, first - 1 + k): last + 3 + k, k] = TURN
        return weights

    def batch(self, count, rng):
        group = self.groups[rng.choices(self.lengths, self.sizes)[0]]
        picked = [rng.choice(group) for _ in range(count)]
        with_scene = rng.random() < 0.4
        ids, rows, labels = collate([p[with_scene] for p in picked], [p[2] for p in picked])
        weights = torch.ones(rows.shape)
        for b, (_, _, _, turns) in enumerate(picked):
            weights[b, : len(turns)] = turns
        return ids, rows, labels, weights

    def all(self):
        for group in self.groups.values():
            for start in range(0, len(group), 32):
                part = group[start: start + 32]
                yield collate([p[0] for p in part], [p[2] for p in part])


def disturb(rows):
    """Some codes of the past become others of the batch, later codebooks more often; what is to be said stays: what the
    model says itself is never quite what it has heard."""
    real = rows < BOS
    other = rows[torch.randperm(len(rows))]
    other = torch.where(other < BOS, other, torch.randint(0, BOS, rows.shape))
    hit = (torch.rand(rows.shape[:2]) < 0.03)[..., None] | (torch.rand(rows.shape) < torch.linspace(0.03, 0.25, codec.QUANTIZERS))
    return torch.where(hit & real, other, rows)


def per_codebook(logits, labels):
    """Cross-entropies (B, L, 8), zero where nothing is to be said, and how many there are of each codebook."""
    losses = F.cross_entropy(logits.flatten(0, 2).float(), labels.flatten(), ignore_index=-100, reduction="none")
    return losses.view(labels.shape), (labels != -100).sum((0, 1))


def evaluate(lm, samples):
    lm.eval()
    total, count = torch.zeros(codec.QUANTIZERS), torch.zeros(codec.QUANTIZERS)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        for ids, rows, labels in samples.all():
            losses, counts = per_codebook(forward(lm, ids, rows), labels)
            total, count = total + losses.sum((0, 1)), count + counts
    lm.train()
    return total / count


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("codec")
    parser.add_argument("out")
    parser.add_argument("corpora", nargs="+", type=Path)
    parser.add_argument("--steps", type=int, default=6500)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.set_flush_denormal(True)
    tokenizer, corpora = Tokenizer.from_file(f"{options.out}/tokenizer.json"), []
    for path in options.corpora:
        corpus = Corpus(path)
        corpora.append((corpus, encode(corpus, options.codec, Path(f"{options.codec}.{path.stem}.codes.pt"))))
    train, test = (Samples(corpora, tokenizer, part) for part in ("train", "test"))
    torch.manual_seed(options.seed)
    lm = new(tokenizer)
    lm.train()
    matrices, vectors = ([p for p in lm.parameters() if (p.ndim > 1) == matrix] for matrix in (True, False))
    optimizer = torch.optim.AdamW([dict(params=matrices, weight_decay=0.05), dict(params=vectors, weight_decay=0.0)],
                                  betas=(0.9, 0.95), fused=True)
    state, first = Path(f"{options.out}.pt"), 0
    if state.exists():
        saved = torch.load(state)
        lm.load_state_dict(saved["lm"])
        optimizer.load_state_dict(saved["optimizer"])
        first = saved["step"]
    print(f"{sum(p.numel() for p in lm.parameters()) / 1e6:.2f} M weights, from step {first}", flush=True)
    began, sums = time.time(), []
    for step in range(first, options.steps):
        rng = random.Random(options.seed * 1_000_000 + step)
        torch.manual_seed(options.seed * 1_000_000 + step)
        for group in optimizer.param_groups:
            group["lr"] = options.lr * min(1, (step + 1) / 100) * (0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * step / options.steps)))
        ids, rows, labels, weights = train.batch(options.batch, rng)
        with torch.autocast("cpu", torch.bfloat16):
            logits = forward(lm, ids, disturb(rows), dropout=0.05)
        losses, counts = per_codebook(logits, labels)
        loss = ((losses * weights).sum((0, 1)) / counts * CODEBOOK_WEIGHTS).sum() / codec.QUANTIZERS
        loss.backward()
        torch.nn.utils.clip_grad_norm_(lm.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        sums.append(losses.detach().sum((0, 1)) / counts)
        if (step + 1) % 250 == 0:
            shown = [" ".join(f"{x:.2f}" for x in v) for v in (torch.stack(sums).mean(0), evaluate(lm, test))]
            print(f"{time.time() - began:6.0f} s  step {step + 1}: train {shown[0]}, held out {shown[1]}", flush=True)
            sums = []
        if (step + 1) % 500 == 0 or step + 1 == options.steps:
            torch.save(dict(lm=lm.state_dict(), optimizer=optimizer.state_dict(), step=step + 1), state)
            lm.to(torch.bfloat16).save_pretrained(options.out)
            lm.to(torch.float32).load_state_dict(torch.load(state)["lm"])


if __name__ == "__main__":
    main()
