"""Reads a folder of event files with the stock tensorboard package: its EventAccumulator, and the pages that
`tensorboard --logdir FOLDER` serves, once with its data server (the default) and once with its loader in Python.
Prints a JSON object for each: tags of scalars and sounds, the points of train/loss, the sound audition/0.

usage: stock_tensorboard.py FOLDER; exits with 77 where the package isn't installed
"""

import io
import json
import logging
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
import wave

try:
    from tensorboard import version
    from tensorboard.backend.event_processing import event_accumulator
except ImportError as error:
    print(f"tensorboard is not installed for {sys.executable}: {error}", file=sys.stderr)
    sys.exit(77)

TAG, SOUND = "train/loss", "audition/0"


def sound_of(step: int, content_type: str, data: bytes) -> dict:
    with wave.open(io.BytesIO(data)) as file:
        return {"step": step, "type": content_type, "frames": file.getnframes(), "rate": file.getframerate()}


def by_accumulator(folder: str) -> dict:
    events = event_accumulator.EventAccumulator(folder).Reload()
    sound = events.Audio(SOUND)[-1]
    return {
        "scalars": sorted(events.Tags()["scalars"]),
        "points": [[point.step, point.value] for point in events.Scalars(TAG)],
        "audio": sorted(events.Tags()["audio"]),
        "sound": sound_of(sound.step, sound.content_type, sound.encoded_audio_string),
    }


class Server:
    """`tensorboard --logdir FOLDER` on a free port."""

    def __init__(self, folder: str, *options: str):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}/data/plugin/"
        command = [sys.executable, "-m", "tensorboard.main", "--logdir", folder, "--port", str(port), *options]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def get(self, page: str, **query) -> bytes:
        address = self.address + page + ("?" + urllib.parse.urlencode(query) if query else "")
        with urllib.request.urlopen(address, timeout=30) as answer:
            self.content_type = answer.headers["Content-Type"]
            return answer.read()

    def tags(self, plugin: str) -> list:
        return sorted(json.loads(self.get(plugin + "/tags")).get(".", {}))

    def wait(self) -> None:
        """Until the folder has been read: sounds come last."""
        for _ in range(600):
            if self.process.poll() is not None:
                sys.exit("tensorboard ended: " + self.process.stderr.read().decode())
            try:
                if self.tags("audio"):
                    return
            except OSError:
                pass  # it doesn't listen yet
            time.sleep(0.1)
        sys.exit("tensorboard shows no sound after a minute")


def by_server(folder: str, *options: str) -> dict:
    with Server(folder, *options) as server:
        server.wait()
        [sound] = json.loads(server.get("audio/audio", run=".", tag=SOUND, sample=0))
        data = server.get("audio/individualAudio?" + sound["query"])
        heard = sound_of(sound["step"], server.content_type, data)
        points = json.loads(server.get("scalars/scalars", run=".", tag=TAG))
        return {
            "scalars": server.tags("scalars"),
            "points": [[step, value] for _, step, value in points],
            "audio": server.tags("audio"),
            "sound": heard,
        }


def main() -> None:
    logging.disable(logging.WARNING)  # it tells of the points that a restart took back
    folder = sys.argv[1]
    print(f"tensorboard {version.VERSION}", file=sys.stderr)
    seen = {
        "EventAccumulator": by_accumulator(folder),
        "data server": by_server(folder, "--load_fast=true"),
        "Python loader": by_server(folder, "--load_fast=false"),
    }
    json.dump(seen, sys.stdout)


if __name__ == "__main__":
    main()
