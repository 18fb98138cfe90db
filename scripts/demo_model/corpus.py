"""The training corpus: every speaker says texts of their own. One .npz file.

usage: corpus.py OUT.npz [--clips N] [--seed S] [--for_base] [--varied]

Arrays: `signal` (int16, all clips one after the other), `ends` (where each clip ends), `meta` (JSON: voice, whether varied,
part, text, words and phones with their times in seconds). Parts: train; test (held-out texts of the same voices); stranger
(a voice that is in no other part, held-out texts too, to measure the codec with). With --for_base the target's speaker is in
none of them. With --varied each training clip has a pitch and a pace of its own.
"""

import argparse
import json
import multiprocessing
import random
from dataclasses import replace

import numpy as np

from alignment import align
from texts import draw
from voices import RATE, STRANGER, TARGET, Voice, speak

# Made from recordings; with these vocal tracts a recognizer mishears next to none of their digits.
_TRACTS = (0.82, 0.88, 0.94, 1.0, 1.08)
_SPEAKERS = [("flite", "kal16", _TRACTS), ("flite", "awb", _TRACTS), ("flite", "rms", _TRACTS),
             ("festival", "kal_diphone", _TRACTS), ("festival", "ked_diphone", _TRACTS),
             ("pico", "en-US", _TRACTS[2:]), ("pico", "en-GB", _TRACTS[2:])]
_PITCHES = (0.8, 0.9, 1.0, 1.12, 1.25)


def speakers(for_base: bool) -> list:
    """(voice, weight): the usual vocal tract twice as often as each other one."""
    return [(Voice(engine, name, warp=warp, rate=0.9), 2.0 if warp == 1.0 else 1.0)
            for engine, name, tracts in _SPEAKERS if not (for_base and (engine, name) == (TARGET.engine, TARGET.name))
            for warp in tracts]


def varied(voice, rng) -> Voice:
    """The same speaker at another pitch and pace."""
    return replace(voice, pitch=rng.choice(_PITCHES), rate=rng.uniform(0.75, 1.05))


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
    parser.add_argument("--varied", action="store_true")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    voices, weights = zip(*speakers(options.for_base))
    jobs = []
    for _ in range(options.clips):
        voice = rng.choices(voices, weights)[0]
        jobs.append(("train", varied(voice, rng) if options.varied else voice, draw(rng, False), rng.random()))
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
            meta.append(dict(part=part, voice=f"{voice.speaker} {voice.warp:.2f}", varied=options.varied and part == "train",
                             text=text, words=words, phones=phones))
    np.savez(options.out, signal=np.concatenate(signals), ends=np.array(ends), meta=json.dumps(meta))
    print(f"corpus: {len(meta)} clips, {ends[-1] / RATE / 60:.0f} minutes, {lost} not understood and left out", flush=True)


if __name__ == "__main__":
    main()
