"""Runs a training as a process and watches what it takes from outside: time to the first step, memory by kind."""
import dataclasses
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

SECONDS_BETWEEN_LOOKS = 0.01


@dataclasses.dataclass
class Watched:
    steps: list                # lines of metrics.jsonl about training steps
    peak_anonymous: int        # bytes: the highest RssAnon seen; what no file stands behind
    peak_resident: int         # bytes: VmHWM, pages of files included
    first_step_seconds: float  # from the start of the process until its first step is in metrics.jsonl


def status_bytes(pid, key):
    """A field of /proc/PID/status; 0 when the process is gone."""
    try:
        with open(f"/proc/{pid}/status") as file:
            for line in file:
                if line.startswith(key + ":"):
                    return int(line.split()[1]) * 1024
    except (FileNotFoundError, ProcessLookupError):
        pass
    return 0


def available_memory():
    with open("/proc/meminfo") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable:"))


def has_a_step(metrics):
    try:
        return b'"kind":"train"' in metrics.read_bytes()
    except FileNotFoundError:
        return False


def watch(command, output):
    """Runs `command`, a training into the folder `output`, which is removed before and after. Ends the program when the
    training fails."""
    output = pathlib.Path(output)
    shutil.rmtree(output, ignore_errors=True)
    first_step, peak_anonymous = None, 0
    with tempfile.TemporaryFile() as errors:
        begin = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        try:
            while True:
                pid, status, usage = os.wait4(process.pid, os.WNOHANG)
                if pid:
                    break
                peak_anonymous = max(peak_anonymous, status_bytes(process.pid, "RssAnon"))
                if first_step is None and has_a_step(output / "metrics.jsonl"):
                    first_step = time.monotonic() - begin
                time.sleep(SECONDS_BETWEEN_LOOKS)
        except BaseException:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            raise
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            errors.seek(0)
            said = errors.read().decode(errors="replace")[-2000:]
            sys.exit(f"bench: {' '.join(command)} ended with {process.returncode}:\n{said}")
    lines = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    shutil.rmtree(output)
    steps = [line for line in lines if line["kind"] == "train"]
    return Watched(steps, peak_anonymous, usage.ru_maxrss * 1024, first_step or time.monotonic() - begin)


def measured_steps(steps):
    """Seconds and tokens of every step but the first, which also warms up."""
    pairs = list(zip(steps, steps[1:]))
    return [b["seconds"] - a["seconds"] for a, b in pairs], [b["tokens"] - a["tokens"] for a, b in pairs]
