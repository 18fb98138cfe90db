"""Running higgs_train: its answer, or the reason it refused with."""

import os
import subprocess
import tempfile

from safetensors import safe_open
from safetensors.torch import load_file


class Refused(Exception):
    """higgs_train ended with exit code 2: something in what it was given can't be used. The text is its reason."""


class Broken(Exception):
    """higgs_train ended in another way than 0 or 2, or refused without a one-line reason."""


class Program:
    """One binary; `cache` keeps its code cache out of the user's."""

    def __init__(self, binary, cache):
        self.binary = binary
        self.environment = dict(os.environ, XDG_CACHE_HOME=str(cache), OMP_NUM_THREADS="1")

    def run(self, *words):
        """What it printed on stdout."""
        done = subprocess.run(
            [self.binary, *map(str, words)], capture_output=True, text=True, env=self.environment, timeout=600
        )
        errors = [line for line in done.stderr.strip().splitlines() if "error" in line.lower()]
        if done.returncode == 2 and len(errors) == 1:
            raise Refused(errors[0].split("error:", 1)[-1].strip())
        if done.returncode != 0:
            raise Broken(f"{' '.join(map(str, words[:2]))} ended with {done.returncode}: {done.stderr.strip()[-400:]}")
        return done.stdout

    def inspect(self, stage, *words):
        """(tensors, metadata) of `higgs_train inspect STAGE`."""
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "out.safetensors")
            self.run("inspect", stage, "--out", path, *words)
            with safe_open(path, "pt") as file:
                metadata = file.metadata() or {}
            return load_file(path), metadata
