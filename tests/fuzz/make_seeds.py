#!/usr/bin/env python3
"""Writes tests/fuzz/seeds: small valid files of each kind, from tests/golden, demo/ and thin air.

Needs soundfile and torch (tests/parity/requirements-boson.txt). The seeds are committed; run this to change them.
"""
import io
import json
import os
import pathlib
import struct
import zipfile

import numpy as np
import soundfile
import torch

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests/golden"
SEEDS = ROOT / "tests/fuzz/seeds"


def put(target, name, data):
    path = SEEDS / target / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())


def read(path):
    return (ROOT / path).read_bytes()


def safetensors(tensors, metadata=None):
    """tensors: name -> (dtype, shape, bytes), written in this order."""
    header, data = {}, b""
    if metadata:
        header["__metadata__"] = metadata
    for name, (dtype, shape, raw) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def weight_files():
    sizes = {"BOOL": 1, "U8": 1, "I8": 1, "I16": 2, "I32": 4, "I64": 8, "U64": 8, "F16": 2, "BF16": 2, "F32": 4,
             "F64": 8}
    put("safetensors", "every_type", safetensors({f"t.{n}": (n, [2, 3], bytes(6 * s)) for n, s in sizes.items()}))
    put("safetensors", "scalar_and_empty", safetensors({"s": ("F32", [], bytes(4)), "e": ("I64", [0, 7], b"")},
                                                       {"format": "pt"}))
    put("safetensors", "golden", read("tests/golden/pth/tiny.safetensors"))
    name = "model-00001-of-00001.safetensors"
    index = {"metadata": {"total_size": 8}, "weight_map": {"norm.weight": name}}
    put("shards", "index", json.dumps(index))
    put("shards", "up", json.dumps({"weight_map": {"norm.weight": "../" + name}}))
    put("pth", "golden", read("tests/golden/pth/tiny.pth"))

    def saved(value, **options):
        out = io.BytesIO()
        torch.save(value, out, **options)
        return out.getvalue()

    weight = torch.arange(6.0).view(2, 3)
    put("pth", "views", saved({"a": weight, "t": weight.t(), "row": weight[1], "h": weight.half()}))
    put("pth", "nested", saved({"model": {"w": torch.nn.Parameter(weight)}, "list": [weight.bfloat16()], "n": 3}))
    put("pth", "not_weights", saved({"w": weight, "s": {1, 2}}))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model/data.pkl", b"\x80\x02}.")
        archive.writestr("model/data/0", bytes(4096))
    put("pth", "compressed", packed.getvalue())
    for clip in ("c2", "c6"):
        put("codes", clip, read(f"tests/golden/e2e/codes/{clip}.safetensors"))
    put("codes", "four_books", safetensors({"codes": ("I64", [4, 2], bytes(64))}))
    put("codes", "outside", safetensors({"codes": ("I16", [8, 1], struct.pack("<8h", *[1024] * 8))}))


def tokenizers():
    alphabet = [chr(c) for c in [*range(33, 127), *range(161, 173), *range(174, 256), *range(256, 324)]]
    merges = [["h", "e"], ["l", "l"], ["he", "ll"], ["hell", "o"], ["Ġ", "w"]]
    vocab = {token: i for i, token in enumerate(alphabet + ["".join(pair) for pair in merges])}
    split = {"type": "Split", "pattern": {"Regex": "(?i:'s|'t)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|\\s+(?!\\S)|\\s+"},
             "behavior": "Isolated", "invert": False}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    added = [{"id": len(vocab), "content": "<|eot_id|>", "single_word": False, "lstrip": False, "rstrip": False,
              "normalized": False, "special": True},
             {"id": len(vocab) + 1, "content": " world", "lstrip": True, "rstrip": True, "single_word": True,
              "normalized": True, "special": False}]
    document = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
                "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level]}, "post_processor": None,
                "decoder": {"type": "ByteLevel"},
                "model": {"type": "BPE", "dropout": None, "unk_token": None, "ignore_merges": True, "vocab": vocab,
                          "merges": merges}}
    compact = {"separators": (",", ":"), "ensure_ascii": False}
    put("tokenizer", "whole", json.dumps(document, **compact))
    few = {"a": 0, "b": 1, "ab": 2, "Ġ": 3}
    small = {"model": {"type": "BPE", "vocab": few, "merges": ["a b"]},
             "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False}}
    config = {"bos_token": "a", "added_tokens_decoder": {"4": {"content": "<|eot_id|>", "special": True}},
              "additional_special_tokens": [{"content": "ab"}]}
    put("tokenizer", "small", json.dumps(small, **compact))
    put("tokenizer", "companion", json.dumps(small, **compact) + "\x1e" + json.dumps(config, **compact))
    small["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [split, byte_level]}
    put("tokenizer", "small_split", json.dumps(small, **compact))


def configs():
    for name in ("demo/base", "demo/codec", "tests/golden/hf/model", "tests/golden/boson/model/base",
                 "tests/golden/boson/model/tower", "tests/golden/boson/codec"):
        document = json.loads(read(name + "/config.json"))
        put("config", name.replace("tests/golden/", "").replace("/", "_"), json.dumps(document, separators=(",", ":")))


def manifests():
    lines = read("tests/golden/boson/chatml/manifest.jsonl").decode().splitlines()
    objects = read("tests/golden/boson/chatml/objects.jsonl").decode().splitlines()
    for i in (0, 4, 5, 9, 14, 20):
        if i < len(lines):
            put("chatml", f"golden_{i}", lines[i])
    put("chatml", "objects", "\n".join(objects[:6]))
    put("chatml", "e2e", "\n".join(read("tests/golden/e2e/manifest.jsonl").decode().splitlines()[:3]) + "\n")
    inline = {"messages": [{"role": "user", "content": {"type": "audio", "audio_url": "", "raw_audio": "UklGRg==",
                                                        "offset": 0.5, "duration": 1, "row_id": 3}},
                           {"role": "assistant", "content": ["ja", {"type": "audio", "audio_url": "m.jsonl"}],
                            "recipient": "x"}],
              "start_index": 1, "speaker": None, "misc": {"speaker": 7}}
    put("chatml", "inline", json.dumps(inline) + "\r\n\n  \n" + json.dumps(inline).replace("0.5", "NaN"))
    put("chatml", "paths", "\n".join(json.dumps({"messages": [{"role": "assistant", "content": {"audio_url": url}}]})
                                     for url in ("../a.wav", "/etc/hostname", "file:///a", "a\0b", "x" * 300)))


def transcripts():
    put("transcripts", "srt", "1\n00:00:01,500 --> 00:00:06,250\n<i>Hello</i> there.\n\n2\n00:00:06,300 --> "
        "00:00:09,000\n[SPEAKER_01]: {\\an8}You &amp; me.\n")
    put("transcripts", "vtt", "WEBVTT\n\nNOTE x\n\nid\n00:01.000 --> 00:05.500 align:start\n<v.loud Ann>Hi <00:01.200>"
        "<c.x>all</c>&nbsp;</v>\n\n00:05.000 --> 00:09.000\n<v Bob>Ho\n")
    words = [{"word": f" w{i}", "start": i * 0.5, "end": i * 0.5 + 0.4} for i in range(60)]
    words[7] = {"word": " w7"}  # whisperX couldn't place it
    segments = [{"start": 0, "end": 30, "text": "".join(w["word"] for w in words), "words": words, "speaker": "SPEAKER_00"},
                {"start": 29, "end": 34, "text": "No.", "avg_logprob": float("nan")}]
    put("transcripts", "whisper", json.dumps({"segments": segments}))
    put("transcripts", "chunks", json.dumps({"chunks": [{"timestamp": [0.0, 4.5], "text": " A"}], "transcription": [
        {"offsets": {"from": 250, "to": 1750}, "text": "B"}]}))
    grid = ('"ooTextFile"\n"TextGrid"\n0\n9\n<exists>\n3\n"IntervalTier"\n"Ann - words"\n0\n9\n2\n0\n4\n"one ""1"""\n'
            '4.1\n9\n"two"\n! comment\n"IntervalTier"\n"phones"\n0\n2\n1\n0\n2\n"w"\n"TextTier"\n"p"\n0\n9\n1\n2\n"x"\n')
    put("transcripts", "textgrid", grid)
    put("transcripts", "textgrid_utf16", b"\xfe\xff" + grid.encode("utf-16-be"))
    put("transcripts", "csv", 'file_name,text\n"a,1.wav","One, ""two"",\nthree."\nb.wav,"x" y\nc\td,"open\n')


def adapters():
    def adapter(folder, keep):
        raw = read(folder + "/adapter_model.safetensors")
        size = struct.unpack("<Q", raw[:8])[0]
        header = json.loads(raw[8:8 + size])
        tensors = {}
        for name, entry in header.items():
            if name != "__metadata__" and keep(name):
                begin, end = entry["data_offsets"]
                shape = [min(n, 8) for n in entry["shape"]]
                count = int(np.prod(shape)) * {"F32": 4, "BF16": 2, "F16": 2}[entry["dtype"]]
                tensors[name] = (entry["dtype"], shape, raw[8 + size + begin:8 + size + end][:count])
        return read(folder + "/adapter_config.json") + b"\x1e" + safetensors(tensors)

    module = "layers.0.self_attn.q_proj"
    for name in ("adapter_lora", "adapter_dora", "adapter_rslora", "adapter_pattern"):
        put("adapter", name, adapter("tests/golden/hf/" + name, lambda key: module in key))
    config = {"peft_type": "LORA", "r": 1, "lora_alpha": 2, "target_modules": ".*q", "modules_to_save": ["head"]}
    tensors = {"base_model.model.q.lora_A.weight": ("F32", [1, 2], bytes(8)),
               "base_model.model.q.lora_B.weight": ("F32", [2, 1], bytes(8)),
               "base_model.model.head.weight": ("BF16", [1, 2], bytes(4))}
    put("adapter", "saved_module", json.dumps(config).encode() + b"\x1e" + safetensors(tensors))


def clips():
    rate = 16000
    time = np.arange(int(0.06 * rate)) / rate
    tone = (0.4 * np.sin(2 * np.pi * (300 + 2000 * time) * time)).astype(np.float32)
    both = np.stack([tone, -0.5 * tone], axis=1)
    for name, format_, subtype, wave in (
            ("wav_16", "WAV", "PCM_16", tone), ("wav_24_stereo", "WAV", "PCM_24", both[:200]),
            ("wav_float", "WAV", "FLOAT", tone[:300]), ("wav_u8", "WAV", "PCM_U8", tone[:300]),
            ("wav_ulaw", "WAV", "ULAW", tone[:300]), ("wav_ima", "WAV", "IMA_ADPCM", tone),
            ("wav_ms", "WAV", "MS_ADPCM", tone), ("wav_gsm", "WAV", "GSM610", tone),
            ("wavex", "WAVEX", "PCM_16", both[:200]), ("rf64", "RF64", "PCM_16", tone[:200]),
            ("flac_16", "FLAC", "PCM_16", tone), ("flac_24_stereo", "FLAC", "PCM_24", both),
            ("ogg_vorbis", "OGG", "VORBIS", tone), ("ogg_opus", "OGG", "OPUS", tone),
            ("mp3", "MP3", "MPEG_LAYER_III", np.tile(tone, 3))):
        out = io.BytesIO()
        try:
            soundfile.write(out, wave, rate, format=format_, subtype=subtype)
        except Exception as error:  # pylint: disable=broad-except
            print(f"{name}: not written: {error}")
            continue
        put("audio", name, out.getvalue())


def main():
    for work in (weight_files, tokenizers, configs, manifests, transcripts, adapters, clips):
        work()
    sizes = {target: sum(p.stat().st_size for p in (SEEDS / target).iterdir()) for target in sorted(os.listdir(SEEDS))}
    print(sizes, sum(sizes.values()))


if __name__ == "__main__":
    main()
