"""Trains the demo's audio tokenizer.

usage: train_codec.py CORPUS.npz OUT_FOLDER [--semantic N] [--plain N] [--joint N] [--decoder N] [--seed S]

Four stages, steps each: the semantic model learns to tell phones apart and is frozen; encoder and decoder learn without
quantizers; with them (from k-means on), semantic features being one of the things to restore; the decoder alone, codes
being final. OUT_FOLDER.pt holds what a next run can continue with.
"""

import argparse
import math
import random
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
import torchaudio
from torch import nn

from alignment import PHONES
from clips import Corpus
from codec import BOTTLENECK, HOP, QUANTIZERS, Codec
from voices import RATE

BATCH, SAMPLES = 8, 25 * HOP


class SpectralLoss(nn.Module):
    """Distance of mel spectrograms at five resolutions, of logarithms and of magnitudes."""

    def __init__(self):
        super().__init__()
        self.sizes = [(2048, 128), (1024, 96), (512, 64), (256, 40), (128, 20)]
        for size, bands in self.sizes:
            self.register_buffer(f"mel{size}", torchaudio.functional.melscale_fbanks(size // 2 + 1, 0, RATE / 2, bands, RATE))
            self.register_buffer(f"window{size}", torch.hann_window(size))

    def _mel(self, signal, size):
        spectrum = torch.stft(signal[:, 0], size, size // 4, size, getattr(self, f"window{size}"), return_complex=True)
        power = torch.view_as_real(spectrum).pow(2).sum(-1)
        return (power + 1e-9).sqrt().transpose(1, 2) @ getattr(self, f"mel{size}") / (size / 512)

    def forward(self, made, wanted):
        loss = 0
        for size, _ in self.sizes:
            a, b = self._mel(made, size), self._mel(wanted, size)
            loss = loss + (a.clamp(min=2e-3).log10() - b.clamp(min=2e-3).log10()).abs().mean() + 0.15 * (a - b).abs().mean()
        return loss


def rate_at(step, steps, highest, warmup=50):
    return highest * min(1.0, (step + 1) / warmup) * (0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * step / steps)))


class Training:
    def __init__(self, corpus, seed):
        torch.manual_seed(seed)
        self.rng, self.corpus = random.Random(seed), corpus
        self.clips, self.tests = corpus.part("train"), corpus.part("test")
        self.codec, self.loss = Codec(), SpectralLoss()
        self.began = time.time()

    def batch(self):
        signal, _ = self.corpus.windows(self.clips, BATCH, SAMPLES, HOP, self.rng)
        return signal * torch.empty(BATCH, 1, 1).uniform_(0.6, 1.4)

    def say(self, text):
        print(f"{time.time() - self.began:6.0f} s  {text}", flush=True)

    # ---- The semantic model -----------------------------------------------------------------------------------

    def _phones(self, clips, count, samples):
        signal, places = self.corpus.windows(clips, count, samples, HOP, self.rng)
        seconds = (np.arange(samples // (HOP // 2)) * 320 + 40) / 16000
        labels = np.stack([self.corpus.phone_at(i, seconds + start / RATE, PHONES) for i, start in places])
        return signal, torch.from_numpy(labels)

    def semantic(self, steps):
        """The mean over the hidden states, which is what the tokenizer uses, tells the phone of each 20 ms."""
        model = self.codec.tokenizer.semantic_model
        probe = nn.Linear(model.config.hidden_size, len(PHONES))
        parameters = [*model.parameters(), *probe.parameters()]
        optimizer = torch.optim.AdamW(parameters, lr=1e-3, betas=(0.9, 0.98), weight_decay=0.01)

        def logits(signal):
            wave = torchaudio.functional.resample(signal, RATE, 16000)[:, 0]
            states = model(F.pad(wave, (160, 160)), output_hidden_states=True).hidden_states
            return probe(torch.stack(states).mean(0))

        for step in range(steps):
            optimizer.param_groups[0]["lr"] = rate_at(step, steps, 2e-3)
            signal, labels = self._phones(self.clips, 16, 36 * HOP)
            signal = signal * torch.empty(16, 1, 1).uniform_(0.3, 2.0) + 0.002 * torch.randn_like(signal)
            out = logits(signal)
            loss = F.cross_entropy(out.flatten(0, 1), labels[:, : out.shape[1]].flatten(), label_smoothing=0.05)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            if (step + 1) % 100 == 0:
                with torch.no_grad():
                    signal, labels = self._phones(self.tests, 64, 36 * HOP)
                    out = logits(signal)
                    right = (out.argmax(-1) == labels[:, : out.shape[1]]).float().mean()
                self.say(f"semantic step {step + 1}: loss {loss:.3f}, phones of held-out clips right {right:.1%}")
        for parameter in model.parameters():
            parameter.requires_grad_(False)

    # ---- Encoder, quantizers, decoder -------------------------------------------------------------------------

    def _scale(self):
        """Variance of the semantic features, which their loss is measured in."""
        features = self.codec.semantic(torch.cat([self.batch() for _ in range(8)]))
        return features.var().item()

    def _restore(self, signal, quantized, features=None):
        made = self.codec.decode(quantized)
        spectral, wave = self.loss(made, signal), (made - signal).abs().mean()
        loss = spectral + 15.0 * wave
        if features is not None:
            loss = loss + 0.5 * (self.codec.decode_semantic(quantized) - features).pow(2).mean() / self.scale
        return loss, spectral

    def _run(self, name, steps, parameters, highest, one):
        optimizer = torch.optim.AdamW(parameters, lr=highest, betas=(0.9, 0.98), weight_decay=1e-4)
        total = 0.0
        for step in range(steps):
            optimizer.param_groups[0]["lr"] = rate_at(step, steps, highest)
            loss, spectral = one()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 3.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            total += spectral.item()
            if (step + 1) % 100 == 0:
                self.say(f"{name} step {step + 1}: spectral loss {total / 100:.4f}")
                total = 0.0

    def plain(self, steps):
        self.scale = self._scale()
        parameters = [p for p in self.codec.parameters() if p.requires_grad]

        def one():
            signal = self.batch()
            features = self.codec.semantic(signal)
            latent = self.codec.latent(signal, features)
            noisy = latent + 0.1 * latent.detach().std() * torch.randn_like(latent)
            loss, spectral = self._restore(signal, noisy, features)
            return loss + 1e-3 * latent.pow(2).mean(), spectral

        self._run("without quantizers", steps, parameters, 2e-3, one)

    def joint(self, steps):
        self.scale = self._scale()
        parameters = [p for p in self.codec.parameters() if p.requires_grad]
        with torch.no_grad():
            rows = []
            for _ in range(120):
                signal = self.batch()
                rows.append(self.codec.latent(signal, self.codec.semantic(signal)).reshape(-1, BOTTLENECK))
            self.codec.quantizer.start(torch.cat(rows))

        def one():
            signal = self.batch()
            features = self.codec.semantic(signal)
            latent = self.codec.latent(signal, features)
            used = torch.where(torch.rand(BATCH, 1) < 0.2, torch.randint(1, QUANTIZERS, (BATCH, 1)), QUANTIZERS)
            used = used.expand(BATCH, latent.shape[1]).reshape(-1)
            quantized, _, commitment = self.codec.quantizer(latent.reshape(-1, BOTTLENECK), used)
            loss, spectral = self._restore(signal, quantized.view_as(latent), features)
            return loss + 0.3 * commitment / latent.detach().var(), spectral

        self._run("with quantizers", steps, parameters, 1.5e-3, one)

    def decoder(self, steps):
        parameters = [*self.codec.tokenizer.acoustic_decoder.parameters(), *self.codec.tokenizer.fc2.parameters()]

        def one():
            signal = self.batch()
            with torch.no_grad():
                latent = self.codec.latent(signal, self.codec.semantic(signal))
                quantized, _, _ = self.codec.quantizer(latent.reshape(-1, BOTTLENECK), learn=False)
            return self._restore(signal, quantized.view_as(latent))

        self._run("decoder", steps, parameters, 1e-3, one)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("corpus")
    parser.add_argument("out")
    for stage, steps in (("semantic", 1500), ("plain", 800), ("joint", 3000), ("decoder", 1500)):
        parser.add_argument(f"--{stage}", type=int, default=steps)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.set_flush_denormal(True)
    training = Training(Corpus(options.corpus), options.seed)
    for stage in ("semantic", "plain", "joint", "decoder"):
        done = Path(f"{options.out}.{stage}.pt")
        if done.exists():
            training.codec.load_state_dict(torch.load(done))
            for parameter in training.codec.tokenizer.semantic_model.parameters():
                parameter.requires_grad_(False)
            continue
        getattr(training, stage)(getattr(options, stage))
        torch.save(training.codec.state_dict(), done)
    training.codec.export(options.out)


if __name__ == "__main__":
    main()
