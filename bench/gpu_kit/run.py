#!/usr/bin/env python3
"""Checks and measures higgs_train on the GPU of this machine, beside transformers + peft where they are installed, and
writes one JSON. What it takes is in this bundle, but for python3 with torch 2.11; nothing is fetched.

    ./run --out kit.json                 all parts, one after the other; each takes less than 10 minutes
    ./run --out kit.json --part train    only this one; the others that the file holds stay

Parts: {parts}.
A part that fails is written down with its reason and the rest goes on; the exit code is then 1. Started again with the
same file, it goes on with what isn't in it: what was measured by another build begins it anew.

Environment: PYTHON (the python3 to use), TORCH_ROOT (a torch 2.11 package or libtorch folder, instead of that python3's).
"""
import argparse
import contextlib
import importlib.util
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

import machine
import parts
import targets
from training import Failure, Ours, Theirs, run

ROOT = Path(__file__).resolve().parents[2]
BASE_BYTES = 11_500_000_000  # of the released size
ROOM_BYTES = 2 * BASE_BYTES  # beside the base: checkpoints of a run, torch.compile's cache


class Kit:
    """Where things are and how large they are to be."""

    def __init__(self, options, work):
        self.root, self.work, self.python = ROOT, work, sys.executable
        self.device, self.dtype = ("cpu", "fp32") if options.cpu else ("cuda", "bf16")
        self.steps = 2 if options.cpu else 10 if options.quick else 50
        self.rounds = 1 if options.quick else 3
        self.part_seconds = 480
        self.samples, self.curve_samples = (12, 2) if options.cpu else (512, 8)
        self.out = Path(options.out).resolve()
        self.plot = self.out.with_name(self.out.stem + "_curves.svg")
        self.nsys = shutil.which("nsys")
        self.ours, self.theirs = Ours(self), Theirs(self)
        self.torch_root = torch_root()

    def tokens(self, count):
        """A budget of tokens, or what stands for it with the toy model's short samples."""
        return count // 16 if self.device == "cpu" else count

    def environment(self, more=None):
        """Of our own programs: they find LibTorch and the libraries of this bundle."""
        folders = [self.root / "lib", self.torch_root / "lib", self.torch_root.parent / "nvidia/cu13/lib"]
        before = os.environ.get("LD_LIBRARY_PATH")
        paths = [str(folder) for folder in folders] + ([before] if before else [])
        return os.environ | {"LD_LIBRARY_PATH": ":".join(paths)} | (more or {})

    def say(self, text):
        print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)

    def prepare(self):
        """Base and samples, where they aren't there from before."""
        toy = ["--toy"] if self.device == "cpu" else []
        like = self.root / "tests/golden/hf/model"
        if not (self.work / "ready").exists():
            self.say(f"making a random base and {self.samples} samples in {self.work}")
            run([self.python, self.root / "tests/real_size/make_base.py", self.work / "base", like, *toy])
            for folder, count, seed in (("data", self.samples, 7), ("curve_data", self.curve_samples, 8)):
                run([self.python, self.root / "bench/baseline/make_bench_data.py", "--out", self.work / folder,
                     "--tokenizer", like, "--samples", count, "--seed", seed, "--program", self.root / "bin/higgs_train",
                     *(["--min-s", 1, "--max-s", 2.5] if toy else [])], self.environment())
            (self.work / "ready").touch()
        return {folder: json.loads((self.work / folder / "meta.json").read_text()) for folder in ("data", "curve_data")}


def torch_root():
    given = os.environ.get("TORCH_ROOT")
    if not given:
        spec = importlib.util.find_spec("torch")
        if spec is None:
            sys.exit(f"error: {sys.executable} has no torch; PYTHON=<a python3 that has torch 2.11>")
        given = spec.submodule_search_locations[0]
    root = Path(given).resolve()
    if not (root / "lib/libtorch_cpu.so").exists():
        sys.exit(f"error: {root} holds no LibTorch (lib/libtorch_cpu.so); TORCH_ROOT=<a torch package or libtorch folder>")
    return root


@contextlib.contextmanager
def work_folder(options):
    """Given, and then it stays; else in memory where there is room, and removed at the end."""
    if options.work:
        path = Path(options.work).resolve()
        path.mkdir(parents=True, exist_ok=True)
        yield path
        return
    needed = 1 << 28 if options.cpu else BASE_BYTES + ROOM_BYTES
    memory = next(int(line.split()[1]) * 1024 for line in open("/proc/meminfo") if line.startswith("MemAvailable"))
    shared = "/dev/shm"
    in_memory = os.path.isdir(shared) and shutil.disk_usage(shared).free > needed and memory > 2 * needed
    with tempfile.TemporaryDirectory(prefix="higgs_kit.", dir=shared if in_memory else None) as path:
        if shutil.disk_usage(path).free < needed:
            sys.exit(f"error: {path} has no room for {needed / 1e9:.0f} GB; give another place with --work DIR")
        yield Path(path)


def before(options, head):
    """The parts that the file holds of the same build and size."""
    try:
        held = json.loads(Path(options.out).read_text())
    except FileNotFoundError:
        return {}
    except ValueError:
        sys.exit(f"error: {options.out} is there and isn't the JSON of a kit; give another file")
    return held.get("parts", {}) if held.get("kit") == head else {}


def write(result, path):
    """Whole or not at all: it is written after each part."""
    temporary = path.with_name(path.name + ".new")
    temporary.write_text(json.dumps(result, indent=1) + "\n")
    os.replace(temporary, path)


def run_part(kit, name):
    begin = time.perf_counter()
    kit.say(f"part {name}")
    try:
        out, faults = parts.PARTS[name](kit)
        result = {"status": "failed" if faults else "done", **({"faults": faults} if faults else {}), **out}
    except parts.LeftOut as reason:
        result = {"status": "left out", "reason": str(reason)}
    except Failure as error:
        result = {"status": "failed", "faults": [str(error)]}
    except Exception:  # a mistake of the kit's own takes no other part along
        result = {"status": "failed", "faults": [traceback.format_exc()]}
    result["seconds"] = round(time.perf_counter() - begin, 1)
    for fault in result.get("faults", []):
        kit.say(f"part {name} FAILED: {fault}")
    return result


def parse():
    parser = argparse.ArgumentParser(description=__doc__.replace("{parts}", ", ".join(parts.PARTS)),
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, metavar="FILE", help="the JSON; FILE_curves.svg comes beside it")
    parser.add_argument("--part", action="append", choices=list(parts.PARTS), metavar="NAME", help="only this one; again too")
    parser.add_argument("--quick", action="store_true", help="10 steps and one round, to see that all works")
    parser.add_argument("--cpu", action="store_true", help="toy size, 2 steps, on the CPU: tests the kit, measures nothing")
    parser.add_argument("--work", metavar="DIR", help="keep base and samples there, for a later --part")
    return parser.parse_args()


def main():
    options = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # through what cleans up: the base is large
    if not options.cpu:
        import torch

        if not torch.cuda.is_available():
            sys.exit("error: torch sees no GPU here; --cpu tests the kit itself")
    head = json.loads((ROOT / "kit.json").read_text()) | {"mode": "cpu" if options.cpu else "gpu", "quick": options.quick}
    result = {"kit": head, "machine": {}, "inputs": {}, "parts": before(options, head), "targets": []}
    names = options.part or [name for name in parts.PARTS if result["parts"].get(name, {}).get("status") != "done"]
    with work_folder(options) as work:
        kit = Kit(options, work)
        result["machine"] = machine.describe(kit.device)
        try:
            result["inputs"] = kit.prepare()
        except Failure as error:
            sys.exit(f"error: no base or samples to work with: {error}")
        for name in names:
            result["parts"][name] = run_part(kit, name)
            result["targets"] = targets.judge(result)
            write(result, kit.out)
    for row in result["targets"]:
        measured = "not measured" if row["measured"] is None else f"{row['measured']:.4g}"
        print(f"{row['name']:32s} {row['wanted']:30s} {measured:14s} "
              f"{ {True: 'met', False: 'NOT MET', None: ''}[row['met']]}".rstrip())
    for name, part in result["parts"].items():
        print(f"{name:32s} {part['status']} {part.get('reason', '')} ({part['seconds']} s)")
    return 1 if any(part["status"] == "failed" for part in result["parts"].values()) else 0


if __name__ == "__main__":
    sys.exit(main())
