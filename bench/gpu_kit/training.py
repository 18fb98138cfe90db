"""Trains with higgs_train and with transformers + peft, and reads what they say of it."""
import json
import math
import os
import shutil
import statistics
import subprocess
import time

LORA = {"lora_r": 16, "lora_alpha": 32, "lora_dropout": 0.05}
COURSE = {"lr": 2e-4, "warmup": 2, "seed": 0}  # the same for both


class Failure(Exception):
    """A command or a check of the kit that failed."""


def run(command, env=None, timeout=540):
    """Standard output of a process; Failure with the end of what it said when it fails."""
    words = [str(word) for word in command]
    try:
        process = subprocess.run(words, capture_output=True, text=True, env=env, timeout=timeout)
    except subprocess.TimeoutExpired as error:
        raise Failure(f"{' '.join(words)}: not done after {timeout} s") from error
    if process.returncode != 0:
        raise Failure(f"{' '.join(words)} ended with {process.returncode}: "
                      f"{(process.stderr or process.stdout)[-3000:]}")
    return process.stdout


def warm_steps(steps):
    """Steps at the start that no speed is taken from."""
    return max(1, min(10, steps // 5))


def summary(lines, warm):
    """What metrics.jsonl says of a run: lines of its steps, of which the first `warm` only count for losses and memory."""
    losses = [line["loss"] for line in lines]
    if not lines or not all(math.isfinite(loss) for loss in losses):
        raise Failure(f"no losses, or such that are not finite: {losses}")
    first, last = lines[min(warm, len(lines) - 1) - 1], lines[-1]
    steps, seconds = last["step"] - first["step"], last["seconds"] - first["seconds"]
    return {"steps": len(lines), "losses": losses, "tokens_per_step": (last["tokens"] - first["tokens"]) / steps,
            "seconds_per_step": seconds / steps, "tokens_per_second": (last["tokens"] - first["tokens"]) / seconds,
            "peak_memory_bytes": max(line["memory_bytes"] for line in lines),
            "loader_wait": statistics.mean(line["loader_wait"] for line in lines[warm:])}


class Ours:
    def __init__(self, kit):
        self.kit = kit

    def train(self, flags, steps=None, data="data", env=None):
        """A run with these flags beside those that all have."""
        kit, steps = self.kit, steps or self.kit.steps
        output = kit.work / "run"
        command = [kit.root / "bin/higgs_train", "train", "--train_manifest", kit.work / data / "manifest.jsonl",
                   "--base_ckpt", kit.work / "base", "--output_dir", output, "--overwrite", "--val_split", 0,
                   "--device", kit.device, "--dtype", kit.dtype, "--max_steps", steps, "--self_test", "off",
                   "--log_steps", 1000, "--save_minutes", 0]
        given = {word for word in flags if str(word).startswith("--")}
        for flag, value in (LORA | COURSE).items():
            command += [f"--{flag}", value] if f"--{flag}" not in given else []
        begin = time.perf_counter()
        run(command + list(flags), kit.environment(env))
        lines = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
        shutil.rmtree(output)
        return {"flags": [str(flag) for flag in flags], "wall_seconds": round(time.perf_counter() - begin, 1),
                **summary([line for line in lines if line["kind"] == "train"], warm_steps(steps))}


class Theirs:
    def __init__(self, kit):
        self.kit = kit

    def train(self, flags, steps=None, data="data", warm=None):
        kit, steps = self.kit, steps or self.kit.steps
        warm = warm or warm_steps(steps)
        command = [kit.python, kit.root / "bench/baseline/hf_peft_train.py", "--model", kit.work / "base",
                   "--manifest", kit.work / data, "--dtype", kit.dtype, "--device", kit.device, "--steps", steps,
                   "--warm-steps", warm]
        for flag, value in (LORA | COURSE).items():
            command += [f"--{flag.replace('_', '-')}", value]
        env = os.environ | {"TORCHINDUCTOR_CACHE_DIR": str(kit.work / "inductor")}
        begin = time.perf_counter()
        told = json.loads(run(command + list(flags), env).splitlines()[-1])
        # Of two fair measures the one that is better for them: a step that compiles counts in neither.
        typical = statistics.median(told["step_tokens_per_s"][warm:])
        return {"flags": [str(flag) for flag in flags], "wall_seconds": round(time.perf_counter() - begin, 1),
                "steps": steps, "losses": told["losses"], "tokens_per_second": max(told["tokens_per_s"], typical),
                "tokens_per_second_mean": told["tokens_per_s"], "tokens_per_second_median": typical,
                "seconds_per_step": told["seconds_per_step"], "padding": told["pad_fraction"],
                "peak_memory_bytes": told["peak_memory_bytes"], "profile_ms": told["profile_ms"]}
