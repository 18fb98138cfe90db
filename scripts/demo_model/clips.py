"""Reading what corpus.py wrote."""

import json

import numpy as np
import torch

from voices import RATE


class Corpus:
    def __init__(self, path):
        file = np.load(path)
        self.signal, self.ends, self.meta = file["signal"], file["ends"], json.loads(str(file["meta"]))

    def part(self, name, without=None):
        """Clips of one part, without those of one voice's speaker."""
        return [i for i, clip in enumerate(self.meta)
                if clip["part"] == name and not (without and clip["voice"].startswith(without.speaker + " "))]

    def clip(self, i) -> np.ndarray:
        return self.signal[self.ends[i - 1] if i else 0: self.ends[i]].astype(np.float32) / 32767

    def windows(self, clips, count, samples, hop, rng):
        """(count, 1, samples) of random clips, each from a random multiple of `hop`, with silence before some and behind
        some; and (clip, first sample) of each."""
        batch, places = torch.zeros(count, 1, samples), []
        for b in range(count):
            i = rng.choice(clips)
            signal = self.clip(i)
            start = hop * rng.randint(-4, max(0, (len(signal) - samples) // hop + 6))
            batch[b] = self.window(i, start, samples)
            places.append((i, start))
        return batch, places

    def window(self, i, start, samples):
        """(1, samples) from sample `start` of a clip on, with silence before it and behind it."""
        window, part = torch.zeros(1, samples), self.clip(i)[max(0, start): start + samples]
        window[0, max(0, -start): max(0, -start) + len(part)] = torch.from_numpy(part)
        return window

    def phone_at(self, i, seconds, phones) -> np.ndarray:
        """Index in `phones` of what is said at each of the times; 0 (silence) outside."""
        labels = np.zeros(len(seconds), np.int64)
        for name, start, end in self.meta[i]["phones"]:
            labels[(seconds >= start) & (seconds < end)] = phones.index(name) if name in phones else 0
        return labels

    def words(self, i):
        """(word, first frame, frame behind it) at 25 frames a second."""
        return [(word, round(start * 25), round(end * 25)) for word, start, end in self.meta[i]["words"]]


def frames_of(signal: np.ndarray) -> np.ndarray:
    """The signal with silence behind it up to a whole number of 40 ms frames."""
    return np.pad(signal, (0, -len(signal) % (RATE // 25)))
