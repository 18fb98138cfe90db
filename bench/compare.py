#!/usr/bin/env python3
"""Does the same work with higgs_train and with transformers + peft, in turns, and prints the ratios.

    compare.py --program build/higgs_train --bench_programs build/bench --work DIR [--case NAME]...
        [--repeats 5] [--samples 48] [--out results.json]

Each repeat runs both, one after the other; the medians are compared, so that what else the machine does meets both alike.
Training: one pass over the samples; tokens are real positions, without padding; the first step is left out; memory is the
process's peak resident size. codec: clips of 5 s encoded one by one by the codec of the released size, random weights. generate:
frames after a prompt of 64 tokens, greedily, by the small model of audio_only.
"""
import argparse
import json
import pathlib
import statistics
import sys

from common import BENCH, LAYER, LIKE, LORA, SMALL, machine, make_model, run, training_command


class Case:
    """What is trained: `ours` and `theirs` are flags of the two programs."""

    def __init__(self, model, batch_size, ours=(), theirs=(), samples=None):
        self.model, self.batch_size, self.samples = model, batch_size, samples
        self.ours, self.theirs = list(ours), list(theirs)


CASES = {
    "text_and_audio": Case(SMALL, 2),
    "audio_only": Case(SMALL, 2, ["--text_weight", "0"], ["--no-text-head"]),
    "audio_only_packed": Case(SMALL, 2, ["--text_weight", "0", "--tokens_per_batch", "2048"], ["--no-text-head"]),
    "real_layer": Case(LAYER, 2, samples=8),
}
CODEC_SECONDS, CODEC_CLIPS = 5, 4
PROMPT_TOKENS, FRAMES = 64, 200


def run_ours(args, case, folder, data):
    output = folder / "ours"
    run(training_command(args.program, folder / "model", data / "manifest.jsonl", output,
                         ["--batch_size", case.batch_size, "--epochs", 1, *case.ours]))
    lines = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    first, last = lines[0], lines[-1]
    return {"tokens_per_second": (last["tokens"] - first["tokens"]) / (last["seconds"] - first["seconds"]),
            "peak_bytes": last["memory_bytes"], "losses": [line["loss"] for line in lines]}


def run_theirs(case, folder, data, steps):
    command = [sys.executable, BENCH / "baseline/hf_peft_train.py", "--model", folder / "model", "--manifest", data,
               "--dtype", "fp32", "--batch-size", case.batch_size, "--steps", steps]
    for flag, value in LORA.items():
        command += [f"--{flag.replace('_', '-')}", value]
    summary = json.loads(run([str(word) for word in command + case.theirs]).splitlines()[-1])
    return {"tokens_per_second": summary["tokens_per_s"], "peak_bytes": summary["peak_memory_bytes"],
            "losses": summary["losses"], "padding": summary["pad_fraction"], "seconds": summary["seconds"]}


def make_inputs(args, case, folder, data):
    if not (folder / "model/config.json").exists():
        make_model(folder / "model", case.model)
    if not (data / "meta.json").exists():
        run([sys.executable, str(BENCH / "baseline/make_bench_data.py"), "--out", str(data), "--tokenizer", str(LIKE),
             "--samples", str(case.samples or args.samples)])


def compare_rates(args, name, what, theirs_command, ours_command):
    """Two programs that print {"seconds": ..., what: ...}."""
    ours, theirs = [], []
    for i in range(args.repeats):
        theirs.append(json.loads(run([str(word) for word in theirs_command])))
        ours.append(json.loads(run([str(word) for word in ours_command])))
        print(f"  {name} {i + 1}/{args.repeats}: {ours[-1]['seconds']:.2f} s against {theirs[-1]['seconds']:.2f} s",
              file=sys.stderr, flush=True)
    mine, other = (statistics.median(one[what] / one["seconds"] for one in runs) for runs in (ours, theirs))
    print(f"{name}: {mine:.2f} {what} a second against {other:.2f} = {mine / other:.2f}x", flush=True)
    return {"case": name, "speed_ratio": mine / other, "ours": ours, "theirs": theirs}


def compare_codec(args):
    codec = args.work / "codec"
    if not (codec / "config.json").exists():
        run([sys.executable, str(BENCH / "baseline/make_codec.py"), "--out", str(codec)])
    theirs = [sys.executable, BENCH / "baseline/hf_codec.py", "--codec", codec, "--seconds", CODEC_SECONDS, "--clips",
              CODEC_CLIPS]
    return compare_rates(args, "codec", "audio_seconds", theirs,
                         [args.bench_programs / "bench_codec", codec, CODEC_SECONDS, CODEC_CLIPS])


def compare_generation(args):
    case, folder = CASES["audio_only"], args.work / "audio_only"
    make_inputs(args, case, folder, args.work / f"data-{args.samples}")
    theirs = [sys.executable, BENCH / "baseline/hf_generate.py", "--model", folder / "model", "--prompt_tokens",
              PROMPT_TOKENS, "--frames", FRAMES]
    return compare_rates(args, "generate", "frames", theirs,
                         [args.bench_programs / "bench_generate", folder / "model", PROMPT_TOKENS, FRAMES])


OTHERS = {"codec": compare_codec, "generate": compare_generation}


def compare(args, name):
    if name in OTHERS:
        return OTHERS[name](args)
    case, folder = CASES[name], args.work / name
    data = args.work / f"data-{case.samples or args.samples}"
    make_inputs(args, case, folder, data)
    steps = (case.samples or args.samples) // case.batch_size
    ours, theirs = [], []
    for i in range(args.repeats):
        theirs.append(run_theirs(case, folder, data, steps))
        ours.append(run_ours(args, case, folder, data))
        print(f"  {name} {i + 1}/{args.repeats}: {ours[-1]['tokens_per_second']:.0f} against "
              f"{theirs[-1]['tokens_per_second']:.0f} tokens/s", file=sys.stderr, flush=True)

    def median(runs, key):
        return statistics.median(run[key] for run in runs)

    result = {"case": name, "model": case.model, "batch_size": case.batch_size, "steps": steps,
              "speed_ratio": median(ours, "tokens_per_second") / median(theirs, "tokens_per_second"),
              "memory_ratio": median(ours, "peak_bytes") / median(theirs, "peak_bytes"), "ours": ours,
              "theirs": theirs}
    print(f"{name}: {median(ours, 'tokens_per_second'):.0f} tokens/s against "
          f"{median(theirs, 'tokens_per_second'):.0f} = {result['speed_ratio']:.2f}x; peak memory "
          f"{median(ours, 'peak_bytes') / 2**30:.2f} GiB against {median(theirs, 'peak_bytes') / 2**30:.2f} = "
          f"{result['memory_ratio']:.2f}x", flush=True)
    return result


def packages():
    versions = run([sys.executable, "-c", "import torch, transformers, peft; "
                    "print(torch.__version__, transformers.__version__, peft.__version__)"]).split()
    return dict(zip(("torch", "transformers", "peft"), versions))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=pathlib.Path, required=True)
    parser.add_argument("--bench_programs", type=pathlib.Path, required=True)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--case", action="append", choices=[*CASES, *OTHERS])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--samples", type=int, default=48)
    parser.add_argument("--out", type=pathlib.Path)
    args = parser.parse_args()
    results = {"machine": machine() | packages(), "cases": [compare(args, name) for name in args.case or [*CASES, *OTHERS]]}
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
