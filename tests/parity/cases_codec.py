"""A case of an audio tokenizer: codes of random clips, decoded waves of random codes."""

import json
import os
import random

import torch
from safetensors.torch import save_file

from codecs_common import is_tie
from compare import FEATURES, Case
from data import write_wave

# Measured: the decoder's convolutions sum in another order, below 1e-5 on random codecs whose output is large.
DECODED = 1e-4


class CodecCase:
    def __init__(self, module, layout, seed, folder, program, base):
        self.module, self.program, self.folder, self.base, self.seed = module, program, folder, base, seed
        self.case, self.rng = Case(f"{layout}-codec:{seed}", ""), random.Random(f"codec case {layout} {seed}")

    def run(self):
        codec_folder = os.path.join(self.folder, "codec")
        self.case.plan = self.module.write_codec(codec_folder, self.seed)
        self.codec = self.module.Codec.open(codec_folder)
        self.words = ["--base_ckpt", self.base, "--audio_tokenizer", codec_folder]
        self.encode()
        self.decode()

    def encode(self):
        paths, manifest = [], os.path.join(self.folder, "manifest.jsonl")
        for i in range(6):
            paths.append(os.path.join(self.folder, f"{i}.{self.rng.choice(['wav', 'wav', 'flac'])}"))
            write_wave(self.rng, paths[-1], self.rng.uniform(0.1, 1.5))
        parts = [{"type": "audio", "audio_url": os.path.basename(path)} for path in paths]
        with open(manifest, "w", encoding="utf-8") as file:
            file.write(json.dumps({"messages": [{"role": "assistant", "content": parts}]}) + "\n")
        ours, _ = self.program.inspect("codes", *self.words, "--manifest", manifest, "--features")
        total = ties = 0
        for i, path in enumerate(paths):
            wave = self.codec.load(path)
            # soxr of another version may differ in the last bit of a float
            self.case.close("wave24", ours[f"wave24.{i}"], torch.from_numpy(wave), 1e-6, os.path.basename(path))
            self.case.close(
                "semantic", ours[f"semantic.{i}"], self.codec.semantic(wave), FEATURES, os.path.basename(path)
            )
            codes, points = self.codec.encode(wave)
            total, ties = total + codes.numel(), ties + self.compare_codes(ours[f"codes.{i}"], codes, points, path)
        self.case.note(f"{total} codes, {ties} ties")

    def compare_codes(self, ours, theirs, points, path):
        """Equal but for ties: the count of frames that part at one. After it a frame's codes are those of another
        residual."""
        if ours.shape != theirs.shape:
            self.case.fail("codes", f"{os.path.basename(path)}: {list(ours.shape)} for {list(theirs.shape)}")
            return 0
        ties = 0
        for frame in (ours != theirs).any(0).nonzero().flatten().tolist():
            step = int((ours[:, frame] != theirs[:, frame]).nonzero()[0])
            tie = is_tie(points[step][frame], self.codec.codebook, step, frame, int(ours[step, frame]))
            self.case.check(tie, "codes", f"{os.path.basename(path)}: codebook {step}, frame {frame} differs")
            ties += tie
        self.case.check(True, "codes", "")
        return ties

    def decode(self):
        generator = torch.Generator().manual_seed(self.seed)
        codes = torch.randint(0, 1024, (8, self.rng.randrange(1, 12)), generator=generator)
        path = os.path.join(self.folder, "codes.safetensors")
        save_file({"codes": codes.to(torch.int16)}, path)
        ours, _ = self.program.inspect("decode", *self.words, "--codes", path)
        self.case.close("decoded", ours["wave.0"], self.codec.decode(codes), DECODED)
