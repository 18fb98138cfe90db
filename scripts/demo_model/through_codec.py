"""Clips of a manifest as the audio tokenizer gives them back: through_codec.py PROGRAM DEMO MANIFEST.jsonl OUT_FOLDER

Codes and waves are made by `higgs_train inspect`; OUT_FOLDER gets clip_000.wav and so on, in the manifest's order.
"""

import subprocess
import sys
from pathlib import Path

import soundfile
from safetensors.torch import load_file, save_file

from voices import RATE


def main():
    program, demo, manifest, out = sys.argv[1:]
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    codes, codes_of_one, wave = (folder / f"{name}.safetensors" for name in ("codes", "one", "wave"))

    def inspect(stage, *arguments):
        subprocess.run([program, "inspect", stage, "--base_ckpt", f"{demo}/base", "--audio_tokenizer", f"{demo}/codec",
                        *map(str, arguments)], check=True, stderr=subprocess.DEVNULL)

    inspect("codes", "--manifest", manifest, "--out", codes)
    clips = load_file(codes)
    for i in range(len(clips)):
        save_file({"codes": clips[f"codes.{i}"]}, codes_of_one)
        inspect("decode", "--codes", codes_of_one, "--out", wave)
        signal = next(iter(load_file(wave).values())).flatten().clamp(-1, 1)
        soundfile.write(folder / f"clip_{i:03}.wav", signal.numpy(), RATE, subtype="PCM_16")
    for file in (codes, codes_of_one, wave):
        file.unlink()


if __name__ == "__main__":
    main()
