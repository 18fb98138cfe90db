"""Records the demo's target voice: clips and manifests as someone would have them who wants to fine-tune.

usage: target_voice.py FOLDER [--train N] [--val N] [--seed S]
"""

import argparse
import json
import random
from pathlib import Path

import soundfile
import soxr

from base_model import SYSTEM
from texts import draw
from voices import RATE, TARGET, speak

OWN_RATE = 16000  # what the synthesizer speaks at


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--train", type=int, default=136)
    parser.add_argument("--val", type=int, default=8)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    (options.folder / "clips").mkdir(parents=True, exist_ok=True)
    said = set()
    for part, count in (("train", options.train), ("val", options.val)):
        lines = []
        while len(lines) < count:
            text = draw(rng, part == "val", 0.75)
            if text in said:
                continue
            said.add(text)
            signal = speak(TARGET, text, rng)
            clip = f"clips/{part}_{len(lines):02}.flac"
            soundfile.write(options.folder / clip, soxr.resample(signal, RATE, OWN_RATE), OWN_RATE, subtype="PCM_16")
            lines.append(json.dumps(dict(
                messages=[dict(role="system", content=SYSTEM), dict(role="user", content=text),
                          dict(role="assistant", content=dict(type="audio", audio_url=clip))], speaker=TARGET.name)))
        (options.folder / f"{part}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
