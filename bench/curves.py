#!/usr/bin/env python3
"""Cost as work grows: trains random models on the CPU over a range of one quantity, and draws time and memory against it.

    curves.py --program build/higgs_train --work DIR [--curve NAME]... [--steps 5] [--repeats 3] [--max_lines 100000]
        [--base_ckpt DIR] [--out DIR] [--draw]

Every point is a process of its own. Step times: the first step is left out, the median of the others counts; lines in the
charts reach from the fastest to the slowest. Memory: the peak of the resident set, and the highest RssAnon seen, looked at 100
times a second: what the process allocated, without the pages of libraries, weights and other files. Writes bench/results/curves-NAME.json and docs/curves/NAME-*.svg.
"""
import argparse
import json
import os
import pathlib
import statistics
import sys

import curve_charts
from common import BENCH, LAYER, SMALL, machine, make_model, run, training_command
from synthetic import FRAMES_PER_SECOND, tensor, write_manifest
from watch import available_memory, measured_steps, watch

MODELS = {name: {key: size for key, size in sizes.items() if key != "vocab"} for name, sizes in
          {"small": SMALL, "layer": LAYER}.items()}  # the vocabulary is the tokenizer's: no cost without words
TOKENS = [256, 512, 1024, 2048, 4096, 8192, 16384]
SAMPLE_TOKENS = 250  # packed samples: one in 256 tokens, 65 in 16384
CLIP_SECONDS = [1, 2, 5, 10, 20, 30, 60]
CLIPS_OF_LONGEST = 4  # in a step: the tokens of all others
RANKS = [4, 8, 16, 32, 64, 128, 256]
RANK_TOKENS = {"small": 2048, "layer": 512}
START_FRAMES = [25, 40, 60, 100]  # clips that the lines of a long manifest take turns with
LARGE = 100_000  # lines above which a start is measured once
CHECKPOINTING = "--gradient_checkpointing"


class Bench:
    """Makes models and data on demand and runs trainings."""

    def __init__(self, args, num_words=24):
        self.args, self.num_words = args, num_words

    def base(self, name):
        if self.args.base_ckpt:
            return self.args.base_ckpt
        folder = self.args.work / name
        if not (folder / "config.json").exists():
            make_model(folder, MODELS[name])
        return folder

    def parts_of_a_sample(self, model, num_frames):
        """Tokens of a sample of so many frames: all, supervised text, supervised frames with those at their ends."""
        manifest = write_manifest(self.args.work / "one.jsonl", 1, [num_frames], self.num_words)
        out = self.args.work / "one.safetensors"
        run([str(word) for word in (self.args.program, "inspect", "collate", "--manifest", manifest, "--base_ckpt",
                                    self.base(model), "--batch_size", 1, "--out", out)])
        labels, frames = tensor(out, "label_ids")[1], tensor(out, "audio_out_ids")[0][1]
        return len(labels) - 1 + frames, sum(label >= 0 for label in labels), frames  # a placeholder becomes frames

    def planned_bytes(self, model, num_frames, tokens, flags):
        """What `plan` says of a step of `tokens` made of such samples."""
        all_, text, audio = self.parts_of_a_sample(model, num_frames)
        samples = round(tokens / all_)
        command = [self.args.program, "plan", "--json", "--base_ckpt", self.base(model), "--dtype", "fp32", "--batch_size",
                   samples, "--sample_tokens", all_, "--text_tokens", text, "--prompt_tokens", all_ - text - audio, *flags]
        return json.loads(run([str(word) for word in command]))["total_bytes"]

    def steps(self, model, num_frames, batch, plan_flags=()):
        """A point: `batch` are the flags that say how much is in a step; `plan_flags` those that train and plan share."""
        num_steps = self.args.steps
        per_step = batch[1] if batch[0] == "--batch_size" else batch[1] // SAMPLE_TOKENS
        manifest = write_manifest(self.args.work / "train.jsonl", max(per_step, 1) * num_steps, [num_frames],
                                  self.num_words)
        flags = ["--max_steps", num_steps, "--max_tokens", 1 << 20, *batch, *plan_flags]
        output = self.args.work / "run"
        watched = watch(training_command(self.args.program, self.base(model), manifest, output, flags), output)
        seconds, tokens = measured_steps(watched.steps)
        point = {"tokens": statistics.median_low(tokens), "seconds": [round(value, 5) for value in seconds],
                 "anonymous_bytes": watched.peak_anonymous, "resident_bytes": watched.peak_resident,
                 "last_step_bytes": watched.steps[-1]["memory_bytes"]}  # resident, before the checkpoint at the end
        point["planned_bytes"] = self.planned_bytes(model, num_frames, point["tokens"], plan_flags)
        say(f"{' '.join(map(str, flags))}: {point['tokens']} tokens in {statistics.median(seconds):.3f} s, "
            f"{watched.peak_resident / 2**20:.0f} MiB")
        return point


def say(text):
    print(f"  {text}", file=sys.stderr, flush=True)


def tokens_curve(bench):
    """Against tokens per step, samples of 250 tokens packed, with and without gradient checkpointing."""
    num_frames = SAMPLE_TOKENS - bench.parts_of_a_sample("small", FRAMES_PER_SECOND)[0] + FRAMES_PER_SECOND
    series = {}
    for name, flags in (("plain", []), ("checkpointing", [CHECKPOINTING])):
        series[name] = [{"x": budget, **bench.steps("small", num_frames, ["--tokens_per_batch", budget], flags)}
                        for budget in TOKENS]
    return series


def clip_length_curve(bench):
    """Against the length of clips, with as many of them in a step as make the same number of tokens. Texts are short: they
    would make up most of a short clip's sample, and cost other than frames do."""
    bench = Bench(bench.args, num_words=2)
    text = bench.parts_of_a_sample("small", FRAMES_PER_SECOND)[0] - FRAMES_PER_SECOND
    tokens = CLIPS_OF_LONGEST * (text + CLIP_SECONDS[-1] * FRAMES_PER_SECOND)
    points = []
    for wanted in CLIP_SECONDS:
        samples = round(tokens / (text + wanted * FRAMES_PER_SECOND))
        num_frames = tokens // samples - text
        points.append({"x": num_frames / FRAMES_PER_SECOND, **bench.steps("small", num_frames, ["--batch_size", samples])})
    return {"plain": points}


def rank_curve(bench):
    """Against the adapter's rank: a small model, and one layer of the released size."""
    series = {}
    for model, tokens in RANK_TOKENS.items():
        num_frames = SAMPLE_TOKENS - bench.parts_of_a_sample(model, FRAMES_PER_SECOND)[0] + FRAMES_PER_SECOND
        series[model] = [{"x": rank, **bench.steps(model, num_frames, ["--tokens_per_batch", tokens], ["--lora_r", rank])}
                         for rank in RANKS]
    return series


def start(bench, manifest):
    output = bench.args.work / "run"
    flags = ["--batch_size", 1, "--max_steps", 1]
    return watch(training_command(bench.args.program, bench.base("small"), manifest, output, flags), output)


def manifest_curve(bench):
    """Against the lines of the manifest, from the start of the process until its first step is done."""
    points, left_out, lines = [], None, 10
    while lines <= bench.args.max_lines:
        if points and (needed := points[-1]["anonymous_bytes"] + 10 * growth(points)) > 0.7 * available_memory():
            left_out = f"{lines} lines: about {needed / 2**30:.0f} GiB would be needed"
            say("left out, " + left_out)
            break
        manifest = write_manifest(bench.args.work / "lines.jsonl", lines, START_FRAMES)
        if not points:
            start(bench, manifest)  # the files of program and base are read from the disk once
        runs = [start(bench, manifest) for _ in range(1 if lines > LARGE else bench.args.repeats)]
        points.append({"x": lines, "manifest_bytes": manifest.stat().st_size,
                       "seconds": [round(one.first_step_seconds, 3) for one in runs],
                       "anonymous_bytes": int(statistics.median(one.peak_anonymous for one in runs)),
                       "resident_bytes": int(statistics.median(one.peak_resident for one in runs))})
        manifest.unlink()
        if lines >= 1000:  # below, what the process takes anyhow varies by more
            points[-1]["bytes_per_line"] = round((points[-1]["anonymous_bytes"] - points[0]["anonymous_bytes"]) / (lines - 10))
        say(f"{lines} lines: {statistics.median(points[-1]['seconds']):.2f} s, {points[-1]['anonymous_bytes'] / 2**20:.0f} MiB, "
            f"{points[-1].get('bytes_per_line', '-')} bytes a line")
        lines *= 10
    return {"plain": points} | ({"left_out": left_out} if left_out else {})


def growth(points):
    """What the last tenfold manifest took more than the one before."""
    return points[-1]["anonymous_bytes"] - points[-2]["anonymous_bytes"] if len(points) > 1 else 0


CURVES = {"tokens": tokens_curve, "clip_length": clip_length_curve, "rank": rank_curve, "manifest": manifest_curve}


def as_text(document):
    """JSON with a point a line."""
    def value(entry):
        if isinstance(entry, list):
            return "[\n   " + ",\n   ".join(json.dumps(point) for point in entry) + "]"
        return json.dumps(entry)

    series = ",\n  ".join(f"{json.dumps(name)}: {value(entry)}" for name, entry in document["series"].items())
    rest = "".join(f' {json.dumps(key)}: {json.dumps(entry)},\n' for key, entry in document.items() if key != "series")
    return "{\n" + rest + ' "series": {\n  ' + series + "}\n}\n"


def measure(bench, name):
    load = os.getloadavg()[0]
    series = CURVES[name](bench)
    base = str(bench.args.base_ckpt) if bench.args.base_ckpt else MODELS
    return {"curve": name, "machine": machine(), "version": run([str(bench.args.program), "--version"]).strip(),
            "load_average": [round(load, 2), round(os.getloadavg()[0], 2)], "model": base, "series": series}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=pathlib.Path)
    parser.add_argument("--work", type=pathlib.Path)
    parser.add_argument("--curve", action="append", choices=[*CURVES, "all"])
    parser.add_argument("--steps", type=int, default=5, help="of each point; the first is left out")
    parser.add_argument("--repeats", type=int, default=3, help="starts with each manifest of at most 100,000 lines")
    parser.add_argument("--max_lines", type=int, default=100_000)
    parser.add_argument("--base_ckpt", type=pathlib.Path, help="instead of the random models")
    parser.add_argument("--out", type=pathlib.Path, default=BENCH.parent)
    parser.add_argument("--draw", action="store_true", help="only draw what was measured before")
    args = parser.parse_args()
    if not args.draw and (args.program is None or args.work is None):
        parser.error("--program and --work are needed, unless --draw is given")
    if args.steps < 4:
        parser.error("--steps: at least 4, of which 3 count")
    for name in CURVES if not args.curve or "all" in args.curve else args.curve:
        path = args.out / f"bench/results/curves-{name}.json"
        if not args.draw:
            print(f"curve {name}", file=sys.stderr)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(as_text(measure(Bench(args), name)))
        for picture, svg in curve_charts.charts(json.loads(path.read_text())).items():
            target = args.out / "docs/curves" / f"{picture}.svg"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(svg)
            print(target)


if __name__ == "__main__":
    main()
