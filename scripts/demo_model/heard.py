"""What is heard in recordings of known texts, as one line of JSON.

usage: heard.py MANIFEST.jsonl [AUDIO_PATTERN] [--target MANIFEST.jsonl]

AUDIO_PATTERN names the files of the manifest's lines in order ('out/prompt_*.wav'); without it they are the clips of the
assistant's messages. --target gives the voice whose likeness is told: cosine of Resemblyzer's speaker vectors, the mean
over the recordings against the mean of the target's clips; and how many semitones their pitch is off its median.
"""

import argparse
import glob
import json
from pathlib import Path

import numpy as np
import soundfile

from measures import DIGITS, edits, pitch, recognize, speaker
from texts import vocabulary


def samples(manifest: Path, pattern):
    lines = [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines()]
    texts = [next(m["content"] for m in line["messages"] if m["role"] == "user") for line in lines]
    files = sorted(glob.glob(pattern)) if pattern else [
        manifest.parent / next(m["content"]["audio_url"] for m in line["messages"] if m["role"] == "assistant")
        for line in lines]
    if len(files) != len(texts):
        raise SystemExit(f"{manifest} has {len(texts)} texts, but there are {len(files)} recordings")
    return [(text.split(), *soundfile.read(file, dtype="float32")) for text, file in zip(texts, files)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("manifest", type=Path)
    parser.add_argument("pattern", nargs="?")
    parser.add_argument("--target", type=Path)
    options = parser.parse_args()
    heard = dict(recordings=0, words=0, word_errors=0, digits=0, digit_errors=0, all_right=0)
    pitches, speakers = [], []
    for words, signal, rate in samples(options.manifest, options.pattern):
        digits_only = set(words) <= set(DIGITS)
        wrong = edits(words, recognize(signal, rate, DIGITS if digits_only else vocabulary()))
        heard["recordings"] += 1
        heard["words"] += len(words)
        heard["word_errors"] += wrong
        heard["digits"] += len(words) * digits_only
        heard["digit_errors"] += wrong * digits_only
        heard["all_right"] += wrong == 0
        pitches.append(pitch(signal, rate))
        if options.target:
            speakers.append(speaker(signal, rate))
    heard["digit_error_rate"] = round(heard["digit_errors"] / max(1, heard["digits"]), 4)
    heard["word_error_rate"] = round(heard["word_errors"] / max(1, heard["words"]), 4)
    heard["pitch"] = round(float(np.nanmedian(pitches)), 1)
    if options.target:
        clips = [(signal, rate) for _, signal, rate in samples(options.target, None)]
        target = np.mean([speaker(*clip) for clip in clips], 0)
        likeness = np.array(speakers) @ target / np.linalg.norm(target)
        heard["likeness"] = round(float(likeness.mean()), 3)
        semitones = 12 * np.log2(np.array(pitches) / np.nanmedian([pitch(*clip) for clip in clips]))
        heard["semitones_off"] = round(float(np.nanmean(np.abs(semitones))), 2)
    print(json.dumps(heard))


if __name__ == "__main__":
    main()
