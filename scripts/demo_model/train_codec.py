"""Trains the demo's audio tokenizer.

usage: train_codec.py CORPUS.npz OUT_FOLDER [--semantic N] [--phase N] [--plain N] [--joint N] [--fine N] [--decoder N]
                      [--seed S]

Six stages, steps each: the semantic model learns to tell phones apart and is frozen; encoder and decoder learn the wave
below 600 Hz, for pitch is what they never find once spectra have to be right as well; all of the wave, without
quantizers; with them (from k-means on), semantic features being one of the things to restore; the same with less weight on
the wave below 600 Hz, whose gradients were four times those of the spectra; the decoder alone, codes being final. What is
restored should be close in its spectra, its wave and in what the semantic model hears in it. Up to the last stage half of
what is heard has its vocal tract and pitch changed by up to a sixth, for the sake of voices to come. The last one is about
being understood: the corpus as it is, windows around the digits that were misheard most, less weight on the wave, which
asks for silence where a phase can't be told, and on what is too faint to matter.
OUT_FOLDER.STAGE.pt hold the weights after each stage and, of the last 200 steps on, what a stopped run goes on with.
"""

import argparse
import math
import random
import time
from pathlib import Path

import numpy as np
import soxr
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
    """Distance of mel spectrograms at five resolutions, of logarithms (of what is above `floor`) and of magnitudes."""

    def __init__(self, floor=2e-3):
        super().__init__()
        self.floor = floor
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
            logarithms = a.clamp(min=self.floor).log10() - b.clamp(min=self.floor).log10()
            loss = loss + logarithms.abs().mean() + 0.15 * (a - b).abs().mean()
        return loss


class RecognizerLoss(nn.Module):
    """Distance of what a speech recognizer works on: logarithms of the power in 40 bands up to 7 kHz, every 10 ms."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mel", torchaudio.functional.melscale_fbanks(513, 100, 7000, 40, RATE))
        self.register_buffer("window", torch.hann_window(640))

    def _bands(self, signal):
        spectrum = torch.stft(signal[:, 0], 1024, RATE // 100, 640, self.window, return_complex=True)
        return (torch.view_as_real(spectrum).pow(2).sum(-1).transpose(1, 2) @ self.mel + 1e-3).log10()

    def forward(self, made, wanted):
        return (self._bands(made) - self._bands(wanted)).abs().mean()


def rate_at(step, steps, highest, warmup=50):
    return highest * min(1.0, (step + 1) / warmup) * (0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * step / steps)))


class Training:
    def __init__(self, corpus, seed, out):
        torch.manual_seed(seed)
        self.seed, self.out, self.rng, self.corpus = seed, out, random.Random(seed), corpus
        self.clips, self.tests = corpus.part("train"), corpus.part("test")
        self.codec, self.loss, self.wave_weight = Codec(), SpectralLoss(), 15.0
        self.began = time.time()

    def _seed(self, stage, step):
        """A step's random numbers depend on nothing but its place, so that a stopped run goes on as if it had not been."""
        self.rng = random.Random(f"{self.seed} {stage} {step}")
        torch.manual_seed(self.rng.getrandbits(60))

    def _warped(self, count, samples):
        """Windows of `samples` as another speaker would say them, the (clip, first sample) of each, and how many samples of
        the clip one of theirs stands for."""
        factor = self.rng.uniform(1 / 1.18, 1.18)
        signal, places = self.corpus.windows(self.clips, count, round(samples * factor), HOP, self.rng)
        warped = np.stack([soxr.resample(row[0], factor * RATE, RATE, quality="HQ") for row in signal.numpy()])
        warped = np.pad(warped, ((0, 0), (0, max(0, samples - warped.shape[1]))))[:, :samples]
        return torch.from_numpy(warped)[:, None], places, factor

    def batch(self):
        signal, _ = self.corpus.windows(self.clips, BATCH // 2, SAMPLES, HOP, self.rng)
        signal = torch.cat([signal, self._warped(BATCH // 2, SAMPLES)[0]])
        return signal * torch.empty(BATCH, 1, 1).uniform_(0.6, 1.4)

    def hard_batch(self):
        """Windows without changes, three of eight from shortly before a "one" or a "seven"."""
        signal, _ = self.corpus.windows(self.clips, BATCH - 3, SAMPLES, HOP, self.rng)
        hard = [self.corpus.window(i, self._before(second), SAMPLES) for i, second in self.rng.choices(self.hard, k=3)]
        return torch.cat([signal, torch.stack(hard)]) * torch.empty(BATCH, 1, 1).uniform_(0.6, 1.4)

    def _before(self, second):
        return max(0, int((second - self.rng.uniform(0.05, 0.6)) * RATE) // HOP * HOP)

    def say(self, text):
        print(f"{time.time() - self.began:6.0f} s  {text}", flush=True)

    # ---- The semantic model -----------------------------------------------------------------------------------

    def _heard(self, signal):
        """Mean over the hidden states, which is what the tokenizer uses: (B, 50 a second, semantic)."""
        wave = torchaudio.functional.resample(signal, RATE, 16000)[:, 0]
        states = self.codec.tokenizer.semantic_model(F.pad(wave, (160, 160)), output_hidden_states=True).hidden_states
        return torch.stack(states).mean(0)

    def _phones(self, places, samples, factor=1.0):
        """Index of the phone at each of the semantic model's positions."""
        seconds = (np.arange(samples // (HOP // 2)) * 320 + 40) / 16000 * factor
        return torch.from_numpy(
            np.stack([self.corpus.phone_at(i, seconds + start / RATE, PHONES) for i, start in places]))

    def semantic(self, steps):
        """What is heard tells the phone of each 20 ms."""
        model = self.codec.tokenizer.semantic_model
        probe = nn.Linear(model.config.hidden_size, len(PHONES))
        parameters = [*model.parameters(), *probe.parameters()]
        optimizer = torch.optim.AdamW(parameters, lr=1e-3, betas=(0.9, 0.98), weight_decay=0.01)
        samples = 36 * HOP
        for step in range(steps):
            self._seed("semantic", step)
            optimizer.param_groups[0]["lr"] = rate_at(step, steps, 2e-3)
            signal, places = self.corpus.windows(self.clips, 8, samples, HOP, self.rng)
            warped, warped_places, factor = self._warped(8, samples)
            labels = torch.cat([self._phones(places, samples), self._phones(warped_places, samples, factor)])
            signal = torch.cat([signal, warped]) * torch.empty(16, 1, 1).uniform_(0.3, 2.0)
            out = probe(self._heard(signal + 0.002 * torch.randn_like(signal)))
            loss = F.cross_entropy(out.flatten(0, 1), labels[:, : out.shape[1]].flatten(), label_smoothing=0.05)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            if (step + 1) % 250 == 0:
                right = []
                for part in ("test", "stranger"):
                    signal, places = self.corpus.windows(self.corpus.part(part), 64, samples, HOP, self.rng)
                    with torch.no_grad():
                        out = probe(self._heard(signal))
                    right.append((out.argmax(-1) == self._phones(places, samples)[:, : out.shape[1]]).float().mean())
                self.say(f"semantic step {step + 1}: loss {loss:.3f}, phones right {right[0]:.1%} of held-out clips, "
                         f"{right[1]:.1%} of a stranger's")

    # ---- Encoder, quantizers, decoder -------------------------------------------------------------------------

    def _begin(self, stage):
        """Freezes the semantic model; variance of its features, which distances between them are measured in."""
        for parameter in self.codec.tokenizer.semantic_model.parameters():
            parameter.requires_grad_(False)
        self._seed(stage, "scale")
        signal = torch.cat([self.batch() for _ in range(8)])
        with torch.no_grad():
            self.scale, self.heard_scale = self.codec.semantic(signal).var().item(), self._heard(signal).var().item()
        return [p for p in self.codec.parameters() if p.requires_grad]

    @staticmethod
    def _low(made, signal):
        """Mean squared error of what is below 600 Hz, phase and all, over its power: 1 for silence."""
        made, signal = (torchaudio.functional.resample(x, RATE, 1200, lowpass_filter_width=8) for x in (made, signal))
        return ((made - signal).pow(2).mean(-1) / (signal.pow(2).mean(-1) + 1e-5)).mean()

    def _restore(self, signal, quantized, low_weight, features=None):
        made = self.codec.decode(quantized)
        low = self._low(made, signal)
        spectral, wave = self.loss(made, signal), (made - signal).abs().mean()
        with torch.no_grad():
            heard = self._heard(signal)
        loss = spectral + self.wave_weight * wave + 2.0 * (self._heard(made) - heard).pow(2).mean() / self.heard_scale
        if features is not None:
            loss = loss + 0.5 * (self.codec.decode_semantic(quantized) - features).pow(2).mean() / self.scale
        return 0.3 * loss + low_weight * low, torch.stack([spectral, low])

    def _run(self, stage, steps, parameters, highest, one, prepare=lambda: None, apart=False):
        """apart: the last layer's gradients, some fifty times all others', are clipped by themselves."""
        last = [*self.codec.tokenizer.acoustic_decoder.conv2.parameters()] if apart else []
        rest = [p for p in parameters if all(p is not q for q in last)]
        optimizer = torch.optim.AdamW(parameters, lr=highest, betas=(0.9, 0.98), weight_decay=1e-4)
        unfinished, first = Path(f"{self.out}.{stage}.unfinished.pt"), 0
        if unfinished.exists():
            saved = torch.load(unfinished)
            self.codec.load_state_dict(saved["codec"])
            optimizer.load_state_dict(saved["optimizer"])
            first = saved["step"]
            self.say(f"{stage}: on from step {first}")
        else:
            prepare()
        total = torch.zeros(3)
        for step in range(first, steps):
            self._seed(stage, step)
            optimizer.param_groups[0]["lr"] = rate_at(step, steps, highest)
            loss, parts = one()
            loss.backward()
            for clipped in (rest, last):
                torch.nn.utils.clip_grad_norm_(clipped, 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            total += torch.cat([loss[None], parts]).detach()
            if (step + 1) % 200 == 0:
                self.say(f"{stage} step {step + 1}: loss {total[0] / 200:.4f}, of the spectra {total[1] / 200:.4f}, "
                         f"of the wave below 600 Hz {total[2] / 200:.3f}")
                total.zero_()
                torch.save(dict(codec=self.codec.state_dict(), optimizer=optimizer.state_dict(), step=step + 1), unfinished)
        unfinished.unlink(missing_ok=True)

    def phase(self, steps):
        parameters = self._begin("phase")

        def one():
            signal = self.batch()
            silence = torch.zeros(BATCH, SAMPLES // HOP, self.codec.tokenizer.semantic_model.config.hidden_size)
            low = self._low(self.codec.decode(self.codec.latent(signal, silence)), signal)
            return low, torch.stack([torch.zeros(()), low])

        self._run("phase", steps, parameters, 5e-4, one)

    def plain(self, steps):
        parameters = self._begin("plain")

        def one():
            signal = self.batch()
            features = self.codec.semantic(signal)
            latent = self.codec.latent(signal, features)
            noisy = latent + 0.1 * latent.detach().std() * torch.randn_like(latent)
            loss, parts = self._restore(signal, noisy, 10.0, features)
            return loss + 1e-3 * latent.pow(2).mean(), parts

        self._run("plain", steps, parameters, 3e-4, one)

    def joint(self, steps):
        self._quantized("joint", steps, 4.0, True)

    def fine(self, steps):
        self._quantized("fine", steps, 0.8, False)

    def _quantized(self, stage, steps, low_weight, first):
        parameters = self._begin(stage)
        signal = torch.cat([self.batch() for _ in range(8)])
        with torch.no_grad():
            as_before = self.codec.latent(signal, self.codec.semantic(signal)).var().item()

        @torch.no_grad()
        def prepare():
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
            loss, parts = self._restore(signal, quantized.view_as(latent), low_weight, features)
            variance = latent.var()  # left to itself it grows without end, and the entries lag behind
            return loss + commitment / variance.detach() + 0.1 * (variance / as_before).log() ** 2, parts

        self._run(stage, steps, parameters, 1e-3, one, prepare if first else lambda: None, apart=not first)

    def decoder(self, steps):
        self._begin("decoder")
        parameters = [*self.codec.tokenizer.acoustic_decoder.parameters(), *self.codec.tokenizer.fc2.parameters()]
        spectral, recognizer = SpectralLoss(floor=2e-2), RecognizerLoss()
        self.loss = lambda made, wanted: spectral(made, wanted) + 4.0 * recognizer(made, wanted)
        self.wave_weight = 4.0
        self.clips += [i for i in self.clips if self.corpus.meta[i]["voice"].startswith("pico ")]  # the hardest to convey
        self.hard = [(i, start) for i in self.clips for word, start, _ in self.corpus.meta[i]["words"]
                     if word in ("one", "seven")]

        def one():
            signal = self.hard_batch()
            with torch.no_grad():
                latent = self.codec.latent(signal, self.codec.semantic(signal))
                quantized, _, _ = self.codec.quantizer(latent.reshape(-1, BOTTLENECK), learn=False)
            return self._restore(signal, quantized.view_as(latent), 0.5)

        self._run("decoder", steps, parameters, 2e-3, one, apart=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("corpus")
    parser.add_argument("out")
    for stage, steps in (("semantic", 1000), ("phase", 600), ("plain", 800), ("joint", 4000), ("fine", 5500),
                         ("decoder", 6000)):
        parser.add_argument(f"--{stage}", type=int, default=steps)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.set_flush_denormal(True)
    training = Training(Corpus(options.corpus), options.seed, options.out)
    for stage in ("semantic", "phase", "plain", "joint", "fine", "decoder"):
        done = Path(f"{options.out}.{stage}.pt")
        if done.exists():
            training.codec.load_state_dict(torch.load(done))
            continue
        getattr(training, stage)(getattr(options, stage))
        torch.save(training.codec.state_dict(), done)
    training.codec.export(options.out)


if __name__ == "__main__":
    main()
