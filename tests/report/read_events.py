"""Reads TensorBoard event files with nothing but the standard library, and prints what they hold as JSON.

usage: read_events.py FOLDER

Written from the formats' descriptions, not from the program's writer: TFRecord framing (tensorflow record_writer.h),
CRC-32C (RFC 3720), protobuf's wire format, event.proto and summary.proto. A record that isn't whole, a wrong sum,
or a field that the protos don't have ends it with exit code 1.

{"files": [{"name", "events": [...]}], "points": {tag: [[step, value], ...]}, "sounds": {tag: [[step, {...}], ...]}}:
"points" and "sounds" are what is left when a restart's step has taken back what came before it, as TensorBoard does.
"""

import io
import json
import pathlib
import struct
import sys
import wave


def crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data: bytes) -> int:
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17 & 0xFFFFFFFF)) + 0xA282EAD8) & 0xFFFFFFFF


def records(data: bytes):
    at = 0
    while at < len(data):
        length, length_sum = struct.unpack_from("<QI", data, at)
        if masked(data[at : at + 8]) != length_sum:
            raise ValueError(f"byte {at}: the sum of the length is wrong")
        record = data[at + 12 : at + 12 + length]
        (record_sum,) = struct.unpack_from("<I", data, at + 12 + length)
        if masked(record) != record_sum:
            raise ValueError(f"byte {at}: the sum of the record is wrong")
        yield record
        at += 16 + length


def varint(data: bytes, at: int):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def fields(data: bytes, known: dict) -> dict:
    """{name: [values]}; `known`: {number: (name, kind)}."""
    found, at = {}, 0
    while at < len(data):
        key, at = varint(data, at)
        name, kind = known[key >> 3]
        wire = {"int": 0, "double": 1, "bytes": 2, "text": 2, "float": 5}[kind]
        if key & 7 != wire:
            raise ValueError(f"{name}: wire type {key & 7} instead of {wire}")
        if kind == "int":
            value, at = varint(data, at)
        elif kind in ("double", "float"):
            size, letter = (8, "d") if kind == "double" else (4, "f")
            (value,) = struct.unpack_from("<" + letter, data, at)
            at += size
        else:
            length, at = varint(data, at)
            value = data[at : at + length]
            if len(value) != length:
                raise ValueError(f"{name}: cut short")
            value = value.decode() if kind == "text" else value
            at += length
        found.setdefault(name, []).append(value)
    return found


EVENT = {1: ("wall_time", "double"), 2: ("step", "int"), 3: ("file_version", "text"), 5: ("summary", "bytes"),
         7: ("session_log", "bytes")}
VALUE = {1: ("tag", "text"), 2: ("simple_value", "float"), 6: ("audio", "bytes"), 9: ("metadata", "bytes")}
AUDIO = {1: ("sample_rate", "float"), 2: ("num_channels", "int"), 3: ("length_frames", "int"),
         4: ("encoded_audio_string", "bytes"), 5: ("content_type", "text")}
METADATA = {1: ("plugin_data", "bytes"), 4: ("data_class", "int")}
PLUGIN_DATA = {1: ("plugin_name", "text"), 2: ("content", "bytes")}


def sound(value: dict) -> dict:
    audio = {name: values[0] for name, values in fields(value["audio"][0], AUDIO).items()}
    with wave.open(io.BytesIO(audio.pop("encoded_audio_string"))) as file:
        frames = file.readframes(file.getnframes())
        audio["wav"] = {"channels": file.getnchannels(), "rate": file.getframerate(),
                        "samples": list(struct.unpack(f"<{len(frames) // 2}h", frames))[:16],
                        "frames": file.getnframes()}
    metadata = fields(value["metadata"][0], METADATA)
    plugin = fields(metadata["plugin_data"][0], PLUGIN_DATA)
    audio["plugin"] = [plugin["plugin_name"][0], plugin["content"][0].hex(), metadata["data_class"][0]]
    return audio


def read_event(data: bytes) -> dict:
    found = fields(data, EVENT)
    event = {"wall_time": found["wall_time"][0], "step": found.get("step", [0])[0]}
    if "file_version" in found:
        event["file_version"] = found["file_version"][0]
    if "session_log" in found:
        event["session"] = fields(found["session_log"][0], {1: ("status", "int")})["status"][0]
    for summary in found.get("summary", []):
        for entry in fields(summary, {1: ("value", "bytes")})["value"]:
            value = fields(entry, VALUE)
            if "audio" in value:
                event.setdefault("sounds", []).append([value["tag"][0], sound(value)])
            else:
                event.setdefault("scalars", []).append([value["tag"][0], value["simple_value"][0]])
    return event


def main() -> None:
    assert crc32c(b"123456789") == 0xE3069283 and crc32c(bytes(32)) == 0x8A9136AA, "RFC 3720, B.4"
    files, kept, restarts = [], {"scalars": {}, "sounds": {}}, 0
    for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
        events = [read_event(record) for record in records(path.read_bytes())]
        files.append({"name": path.name, "events": events})
        for event in events:
            if event.get("session") == 1:
                restarts += 1
                for series in [*kept["scalars"].values(), *kept["sounds"].values()] if restarts > 1 else []:
                    series[:] = [point for point in series if point[0] < event["step"]]
            for kind, all_series in kept.items():
                for tag, value in event.get(kind, []):
                    all_series.setdefault(tag, []).append([event["step"], value])
    json.dump({"files": files, "points": kept["scalars"], "sounds": kept["sounds"]}, sys.stdout)


if __name__ == "__main__":
    main()
