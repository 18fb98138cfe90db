"""Random ChatML manifests: turns, references, several clips, scenes, unicode, special tokens; codes and waves."""

import json
import os

import numpy as np
import soundfile
import torch
from safetensors.torch import save_file

WORDS = [
    "the", "Train", "station", "isn't", "we've", "I'M", "naïve", "Straße", "Ærø", "über", "e\u0301te\u0301", "你好",
    "世界，", "こんにちは", "안녕", "Привет", "عربي", "हिन्दी", "😀", "👩‍👩‍👧", "12345", "3.14", "2024-05-17", "$9.99", "a_b", "x=y+1;",
    "...", "—", "\u00a0", "\u200b", "\t", "\n", "\r\n", "  ", "   \n  ", "ﬁ", "İ", "ſ", "'S", "’s", "<|", "|>", "<|nothing|>",
]  # fmt: skip
SPECIAL = ["<|eot_id|>", "<|begin_of_text|>", "<|recipient|>", "<|scene_desc_start|>", "<|reserved_special_token_12|>",
           "<|end_header_id|>", "<|audio_eos|>"]  # fmt: skip
SCENE = "Generate audio following instruction.\n\n<|scene_desc_start|>\n{}\n<|scene_desc_end|>"


def random_text(rng, longest=9):
    words = rng.choices(WORDS + SPECIAL[:1], k=rng.randrange(longest + 1))
    if rng.random() < 0.1:
        words += rng.choices(SPECIAL, k=2)
    return rng.choice(["", " ", " "]).join(words)


def random_wave(rng, seconds):
    """A voice-like signal: harmonics that glide, noise, a silent part."""
    rate = rng.choice([16000, 22050, 24000, 24000, 44100, 48000])
    numbers = np.random.default_rng(rng.randrange(2**32))
    count = int(seconds * rate)
    time = np.arange(count) / rate
    pitch = rng.uniform(80, 300) * (1 + 0.2 * np.sin(2 * np.pi * rng.uniform(0.5, 4) * time))
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    wave = sum(numbers.normal() / k * np.sin(k * phase) for k in range(1, 8)) + 0.2 * numbers.normal(size=count)
    wave *= 0.3 / (np.abs(wave).max() + 1e-9) * (1 + np.sin(2 * np.pi * 3 * time + numbers.normal()))
    wave[: count // 10] = 0
    if rng.random() < 0.3:
        wave = np.stack([wave, numbers.normal(size=count) * 0.05 + wave[::-1] * 0.5], 1)
    return wave.astype(np.float32), rate


def write_wave(rng, path, seconds):
    wave, rate = random_wave(rng, seconds)
    subtype = "PCM_16" if path.endswith(".flac") else rng.choice(["PCM_16", "PCM_24", "FLOAT"])
    soundfile.write(path, wave, rate, subtype=subtype)


class Maker:
    """Makes the samples of one manifest and their clips."""

    def __init__(self, rng, folder, plan):
        self.rng, self.folder, self.plan, self.clips = rng, folder, plan, 0
        os.makedirs(os.path.join(folder, "clips"), exist_ok=True)

    def audio(self, heard=False, seconds=None):
        """`heard`: a clip that the model is given; a tower needs its samples."""
        self.clips += 1
        if self.plan.waves and (self.rng.random() < 0.6 or (heard and self.plan.tower)):
            url = f"clips/{self.clips}.{self.rng.choice(['wav', 'wav', 'flac'])}"
            write_wave(self.rng, os.path.join(self.folder, url), seconds or self.rng.uniform(0.15, 0.8))
        else:
            url = f"clips/{self.clips}.safetensors"
            length = self.rng.choice([1, 2, 5, 9, 14])
            numbers = torch.Generator().manual_seed(self.rng.randrange(2**32))
            codes = torch.randint(
                0, self.plan.codes, (self.plan.codebooks, length), generator=numbers, dtype=torch.int16
            )
            save_file({"codes": codes}, os.path.join(self.folder, url))
        return {"type": "audio", "audio_url": url}

    def text(self):
        text = random_text(self.rng)
        return {"type": "text", "text": text} if self.rng.random() < 0.3 else text

    def turn(self, role, content):
        return {"role": role, "content": content}

    def plain(self):
        scene = self.rng.choice([random_text(self.rng), SCENE.format(random_text(self.rng))])
        return {"messages": [self.turn("system", scene), self.turn("user", self.text()),
                             self.turn("assistant", self.audio())]}  # fmt: skip

    def clone(self):
        messages = [self.turn("user", self.text()), self.turn("assistant", self.audio())]
        messages += [self.turn("user", self.text()), self.turn("assistant", [self.audio()])]
        return {"messages": messages, "start_index": 3, "speaker": self.rng.choice(["belle", "", None])}

    def references(self):
        parts = []
        for speaker in range(self.rng.randrange(1, 3)):
            parts += [f"SPEAKER{speaker}: ", self.audio(heard=True)]
        spoken = [self.audio() for _ in range(self.rng.randrange(1, 3))]
        text = "[SPEAKER0] " + random_text(self.rng) + " [SPEAKER1] " + random_text(self.rng)
        return {"messages": [self.turn("system", parts), self.turn("user", text), self.turn("assistant", spoken)],
                "misc": {"speaker": "both", "note": random_text(self.rng)}}  # fmt: skip

    def text_only(self):
        return {"messages": [self.turn("user", self.text()), self.turn("assistant", "yes " + random_text(self.rng))]}

    def long(self):
        """A clip in two chunks. boson_multimodal fails when a clip is spoken after it, so the answer is text."""
        parts = [self.text(), self.audio(heard=True), self.audio(heard=True, seconds=self.rng.uniform(30.1, 40))]
        return {"messages": [self.turn("user", parts), self.turn("assistant", self.text())]}

    def wild(self):
        """Any roles in any order, several parts a turn. With a tower all clips heard come before the first one spoken:
        boson_multimodal looks waves up by another index than it stored them by."""
        messages, spoken = [], False
        for _ in range(self.rng.randrange(1, 6)):
            again = messages and messages[-1]["role"] == "assistant" and self.rng.random() < 0.5
            role = "assistant" if again else self.rng.choice(["system", "user", "user", "assistant"])
            silent = self.plan.tower and spoken and role != "assistant"
            parts = []
            for _ in range(self.rng.randrange(0, 4)):
                clip = self.rng.random() < 0.4 and not silent
                parts.append(self.audio(heard=role != "assistant") if clip else self.text())
                spoken = spoken or (clip and role == "assistant")
            message = self.turn(role, parts if len(parts) != 1 or self.rng.random() < 0.5 else parts[0])
            if role == "assistant" and self.rng.random() < 0.3:
                message["recipient"] = self.rng.choice(["tool", "", "someone else"])
            messages.append(message)
        sample = {"messages": messages, "unknown key": 1}
        if self.rng.random() < 0.4:
            sample["start_index"] = self.rng.choice([0, 1, 2, -1, 99, None])
        return sample


def random_manifest(rng, folder, plan):
    """Writes manifest.jsonl with its clips; returns (path, samples). The last one ends with a spoken clip, but for some
    manifests without any clip."""
    maker = Maker(rng, folder, plan)
    forms = [maker.plain, maker.clone, maker.references, maker.text_only, maker.wild]
    if rng.random() < 0.05 and not plan.generate:
        samples = [maker.text_only() for _ in range(2)]
    else:
        samples = [form() for form in rng.sample(forms, rng.randrange(1, 4))] + [maker.wild()]
        if plan.tower:
            samples.append(maker.long() if plan.long else maker.references())
        samples.append(rng.choice([maker.plain, maker.clone, maker.references])())
    path = os.path.join(folder, "manifest.jsonl")
    with open(path, "w", encoding="utf-8") as file:
        for sample in samples:
            file.write(json.dumps(sample, ensure_ascii=rng.random() < 0.5) + "\n")
    return path, samples
