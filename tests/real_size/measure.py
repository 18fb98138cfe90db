"""Runs a command and prints what memory it took, as one JSON line.

    measure.py COMMAND...

anonymous_bytes: the most that the process had beside mapped files (weights that are mapped can be dropped and read
again; this can't); peak_bytes: the most that was resident at all; seconds; code: the exit code.
"""
import json
import subprocess
import sys
import time


def field(status, name):
    for line in status.splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    return 0


def main():
    start = time.monotonic()
    process = subprocess.Popen(sys.argv[1:])
    anonymous = peak = 0
    while process.poll() is None:
        try:
            with open(f"/proc/{process.pid}/status") as file:
                status = file.read()
        except OSError:
            break
        anonymous = max(anonymous, field(status, "RssAnon"))
        peak = max(peak, field(status, "VmHWM"))
        time.sleep(0.02)
    print(json.dumps({"anonymous_bytes": anonymous, "peak_bytes": peak, "code": process.wait(),
                      "seconds": round(time.monotonic() - start, 1)}))
    sys.exit(process.returncode)


if __name__ == "__main__":
    main()
