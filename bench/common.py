"""What the measuring programs share: random models, the command that trains one, and what the machine is."""
import os
import pathlib
import platform
import subprocess
import sys
import time

BENCH = pathlib.Path(__file__).resolve().parent
LIKE = BENCH.parent / "tests/golden/hf/model"  # its tokenizer and whatever of config.json isn't a size
SMALL = {"hidden": 256, "layers": 4, "heads": 4, "kv_heads": 2, "ffn": 704, "vocab": 128256}
LAYER = {"hidden": 3072, "layers": 1, "heads": 24, "kv_heads": 8, "ffn": 8192, "vocab": 128256}
LORA = {"lora_r": 16, "lora_alpha": 32, "lora_dropout": 0.05}


def run(command):
    """Standard output of a process; ends the program when that fails."""
    process = subprocess.run(command, capture_output=True, text=True)
    if process.returncode != 0:
        sys.exit(f"bench: {' '.join(map(str, command))} ended with {process.returncode}:\n{process.stderr[-2000:]}")
    return process.stdout


def make_model(folder, sizes):
    words = [word for key, value in sizes.items() for word in (f"--{key}", value)]
    run([str(word) for word in (sys.executable, BENCH / "baseline/make_model.py", "--like", LIKE, "--out", folder, *words)])


def training_command(program, base, manifest, output, flags):
    """Trains in fp32 on the CPU, without validation and self-test. `flags` come last and win over LORA's."""
    command = [program, "train", "--train_manifest", manifest, "--base_ckpt", base, "--output_dir", output, "--overwrite",
               "--val_split", 0, "--dtype", "fp32", "--device", "cpu", "--self_test", "off", "--log_steps", 1000]
    for flag, value in LORA.items():
        if f"--{flag}" not in flags:
            command += [f"--{flag}", value]
    return [str(word) for word in [*command, *flags]]


def machine():
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "")
    commit = subprocess.run(["git", "-C", str(BENCH), "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    return {"cpu": cpu, "cores": os.cpu_count(), "threads": os.environ.get("OMP_NUM_THREADS"),
            "system": platform.platform(), "commit": commit.stdout.strip(),
            "date": time.strftime("%Y-%m-%d", time.gmtime())}
