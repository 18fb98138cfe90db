"""Manifests of any size, whose clips are already encoded, written line by line."""
import json
import pathlib
import random
import struct

CODEBOOKS, CODES, FRAMES_PER_SECOND = 8, 1024, 25
WORDS = ("the a small river under stone voice answered slowly because nobody wanted to leave before winter came and her "
         "brother carried seven boxes across town while old music played from an open window").split()


def write_clip(path, num_frames, seed):
    """Codes of a clip: a random walk in each codebook, so that there is something to learn."""
    rng, rows = random.Random(seed), []
    for _ in range(CODEBOOKS):
        code = rng.randrange(CODES)
        for _ in range(num_frames):
            code = (code * 5 + rng.randrange(96)) % CODES
            rows.append(code)
    values = struct.pack(f"<{len(rows)}h", *rows)
    header = {"__metadata__": {"format": "higgs-codes-1", "frame_rate": str(FRAMES_PER_SECOND), "codec": "synthetic"},
              "codes": {"dtype": "I16", "shape": [CODEBOOKS, num_frames], "data_offsets": [0, len(values)]}}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(text)) + text + values)


def write_manifest(path, num_lines, frames_of_clips, num_words=24):
    """`num_lines` samples that take turns with a clip of each length in `frames_of_clips`. No two lines have the same text;
    all have about as many tokens."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    clips = []
    for i, num_frames in enumerate(frames_of_clips):
        clips.append(f"codes/{path.stem}-{i}.safetensors")
        write_clip(path.parent / clips[-1], num_frames, i)
    rng = random.Random(1)
    sentences = [" ".join(rng.choice(WORDS) for _ in range(num_words)) for _ in range(997)]
    system = '{"messages": [{"role": "system", "content": "Generate audio following instruction."}, {"role": "user", "content": "'
    answer = '"}, {"role": "assistant", "content": {"type": "audio", "audio_url": "'
    with open(path, "w", encoding="utf-8") as file:
        for i in range(num_lines):
            file.write(f'{system}{i:08d} {sentences[i % 997]}.{answer}{clips[i % len(clips)]}"}}}}], "speaker": "s{i % 5}"}}\n')
    return path


def tensor(path, name):
    """Shape and values of a tensor of integers in a safetensors file."""
    data = pathlib.Path(path).read_bytes()
    size = struct.unpack_from("<Q", data)[0]
    entry = json.loads(data[8:8 + size])[name]
    letter = {"I64": "q", "I32": "i", "I16": "h"}[entry["dtype"]]
    begin, end = (8 + size + offset for offset in entry["data_offsets"])
    return entry["shape"], [value for value, in struct.iter_unpack("<" + letter, data[begin:end])]
