"""The training corpus: every speaker says texts of their own. One .npz file.

usage: corpus.py OUT.npz [--clips N] [--seed S] [--for_base]

Arrays: `signal` (int16, all clips one after the other), `ends` (where each clip ends), `meta` (JSON: voice, part, text,
words and phones with their times in seconds). Parts: train; test (held-out texts of the same voices); stranger (a voice
that is in no other part, held-out texts too, to measure the codec with). With --for_base the target's speaker is in none
of them, and espeak-ng, which is the hardest to understand, speaks half as often.
"""

import argparse
import json
import multiprocessing
import random

import numpy as np

from alignment import align
from texts import draw
from voices import RATE, STRANGER, TARGET, Voice, speak

# What an English recognizer understands of espeak-ng: variants and accents with at most 17 % of their digits misheard.
_VARIANTS = "f1 f2 f4 f5 m1 m2 m6 Alex adam klatt klatt2 klatt3".split()
_ACCENTS = ["en-us"] * 6 + ["en-gb", "en-gb-x-rp"]
# The synthesizers made from recordings, of whose digits it mishears next to none.
_RECORDED = [("flite", "kal16"), ("flite", "awb"), ("flite", "rms"), ("festival", "kal_diphone"),
             ("festival", "ked_diphone"), ("pico", "en-US"), ("pico", "en-GB")]


def speakers(rng: random.Random, for_base: bool) -> list:
    """(voice, weight): the recorded ones with five vocal tracts each, and 36 of espeak-ng's."""
    chosen = [(Voice(engine, name, warp=warp, rate=0.9), 4.0 if warp == 1.0 else 2.0)
              for engine, name in _RECORDED if not (for_base and (engine, name) == (TARGET.engine, TARGET.name))
              for warp in (0.82, 0.88, 0.94, 1.0, 1.08)]
    for i in range(36):
        chosen.append((Voice("espeak", _VARIANTS[i % len(_VARIANTS)], rng.choice(_ACCENTS), rng.randint(30, 70),
                             rng.uniform(0.9, 1.1), rng.uniform(0.8, 1.05)), 0.5 if for_base else 1.0))
    return chosen


def _take(job):
    part, voice, text, seed = job
    signal = speak(voice, text, random.Random(seed))
    found = align(signal, RATE, text)
    return None if found is None else (part, voice, text, (signal * 32767).astype(np.int16), *found)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("--clips", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--for_base", action="store_true")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    voices, weights = zip(*speakers(rng, options.for_base))
    jobs = [("train", rng.choices(voices, weights)[0], draw(rng, False), rng.random()) for _ in range(options.clips)]
    jobs += [("test", voice, draw(rng, True, 1.0), rng.random()) for voice in voices for _ in range(3)]
    jobs += [("stranger", STRANGER, draw(rng, True, 1.0), rng.random()) for _ in range(60)]
    signals, meta, ends, lost = [], [], [], 0
    with multiprocessing.Pool() as pool:
        for i, take in enumerate(pool.imap(_take, jobs, chunksize=8)):
            if i % 500 == 0:
                print(f"corpus: {i} of {len(jobs)} clips", flush=True)
            if take is None:
                lost += 1
                continue
            part, voice, text, signal, words, phones = take
            signals.append(signal)
            ends.append((ends[-1] if ends else 0) + len(signal))
            meta.append(dict(part=part, voice=f"{voice.speaker} {voice.accent} {voice.pitch} {voice.warp:.2f}",
                             text=text, words=words, phones=phones))
    np.savez(options.out, signal=np.concatenate(signals), ends=np.array(ends), meta=json.dumps(meta))
    print(f"corpus: {len(meta)} clips, {ends[-1] / RATE / 60:.0f} minutes, {lost} not understood and left out", flush=True)


if __name__ == "__main__":
    main()
