"""What the kit measures, part by part. Each returns what goes into the JSON, or raises Failure with a reason."""
import json
import os
import statistics
import time
import xml.etree.ElementTree

import device_trace
import machine
import plot
from training import Failure, run, warm_steps


class LeftOut(Exception):
    """A part that can't be had on this machine, and why."""


def need_baseline():
    missing = machine.baseline_missing()
    if missing:
        raise LeftOut(f"{' and '.join(missing)} not installed here: no baseline")


def told_by(kit, program, env, which):
    """What GoogleTest reports of the tests that `which` names: {name: {status, seconds, reason}}."""
    report = kit.work / "test.xml"  # GoogleTest's JSON doesn't tell why a test was skipped
    report.unlink(missing_ok=True)
    fault = None
    try:
        run([program, f"--gtest_filter={which}", f"--gtest_output=xml:{report}"], env)
    except Failure as error:
        fault = str(error)
    if not report.exists():
        raise Failure(fault or f"{program} wrote no report")
    results = {}
    for test in xml.etree.ElementTree.parse(report).iter("testcase"):
        result = {"status": "ok", "seconds": float(test.get("time"))}
        skipped, failures = test.find("skipped"), test.findall("failure")
        if skipped is not None or test.get("result") == "skipped":
            result |= {"status": "skipped", "reason": (skipped.get("message") if skipped is not None else "").strip()}
        if failures:
            result |= {"status": "failed", "reason": "\n".join(one.get("message") for one in failures)[-2000:]}
        results[f"{test.get('classname')}.{test.get('name')}"] = result
    if fault and not any(one["status"] == "failed" for one in results.values()):
        raise Failure(fault)
    return results


def tests(kit):
    """Every kernel against its CPU twin, layers, steps, NCCL, host waits."""
    program = kit.root / "bin/test_gpu"
    env = kit.environment({"HIGGS_SOURCE_DIR": str(kit.root), "HIGGS_BINARY": str(kit.root / "bin/higgs_train")})
    suite, names = "", []
    for line in run([program, "--gtest_list_tests"], env).splitlines():
        if line.startswith("  "):
            names.append(suite + line.split("#")[0].strip())
        elif line.endswith("."):
            suite = line
    try:
        results = told_by(kit, program, env, "*")
    except Failure:
        results = {}
    if any(name not in results or results[name]["status"] == "failed" for name in names):
        # A test that breaks the process, or its CUDA context, takes others along: each in a process of its own.
        for name in names:
            try:
                results |= told_by(kit, program, env, name)
            except Failure as error:
                results[name] = {"status": "failed", "reason": str(error)}
    bad = [f"{name}: {one['reason']}" for name, one in results.items() if one["status"] == "failed"]
    # Without a GPU all are skipped, which is what --cpu is for; with one only the demo isn't in the bundle.
    allowed = ["the demo is not here"] + (["no GPU here"] if kit.device == "cpu" else [])
    bad += [f"{name} was skipped: {one['reason']}" for name, one in results.items()
            if one["status"] == "skipped" and not any(words in one["reason"] for words in allowed)]
    return {"tests": results}, bad


def kernels(kit):
    """How near each kernel comes to the card's copy rate."""
    command = [kit.root / "bin/bench_kernels", "--device", kit.device, *(["--small"] if kit.device == "cpu" else [])]
    return json.loads(run(command, kit.environment())), []


def train(kit):
    """The settings of training, one after the other, at the released size."""
    settings = {
        "self_test": (["--batch_size", 2, "--self_test", "on"], 2),
        "batch_2": (["--batch_size", 2], None),
        "packed_4k": (["--tokens_per_batch", kit.tokens(4096)], None),
        "packed_8k": (["--tokens_per_batch", kit.tokens(8192)], None),
        "packed_16k": (["--tokens_per_batch", kit.tokens(16384)], None),
        "packed_8k_checkpointing": (["--tokens_per_batch", kit.tokens(8192), "--gradient_checkpointing"], None),
        "packed_16k_checkpointing": (["--tokens_per_batch", kit.tokens(16384), "--gradient_checkpointing"], None),
        "packed_4k_reference_path": (["--tokens_per_batch", kit.tokens(4096), "--reference_path"], None),
    }
    out, bad = {}, []
    for name, (flags, steps) in settings.items():
        kit.say(f"train: {name}")
        try:
            out[name] = kit.ours.train(flags, steps)
        except Failure as error:
            bad.append(f"{name}: {error}")
    # The same samples, seeds and dropout: before anything was learnt, the same loss within bf16's rounding.
    for name, like in (("packed_8k_checkpointing", "packed_8k"), ("packed_4k_reference_path", "packed_4k")):
        if name in out and like in out:
            one, other = out[name]["losses"][0], out[like]["losses"][0]
            if abs(one - other) > 5e-3 * abs(other):
                bad.append(f"{name}: the first loss is {one}, {like}'s {other}")
    return out, bad


def in_turns(kit, theirs, ours):
    """Both, one after the other, three times or as long as there is time; the medians."""
    need_baseline()
    runs, begin = {"theirs": [], "ours": []}, time.perf_counter()
    for i in range(kit.rounds):
        spent = time.perf_counter() - begin
        if i > 0 and spent * (i + 1) / i > kit.part_seconds:
            break
        kit.say(f"round {i + 1}: transformers + peft")
        runs["theirs"].append(theirs())
        kit.say(f"round {i + 1}: higgs_train")
        runs["ours"].append(ours())

    def median(who, key):
        return statistics.median(one[key] for one in runs[who])

    return {"speed_ratio": median("ours", "tokens_per_second") / median("theirs", "tokens_per_second"),
            "memory_ratio": median("ours", "peak_memory_bytes") / median("theirs", "peak_memory_bytes"),
            "tokens_per_second": {who: median(who, "tokens_per_second") for who in runs}, **runs}, []


def eager(kit):
    """Batch 2 beside transformers + peft as it is."""
    return in_turns(kit, lambda: kit.theirs.train(["--batch-size", 2]), lambda: kit.ours.train(["--batch_size", 2]))


def compiled(kit, flags):
    if kit.device == "cpu":
        raise LeftOut("torch.compile is for the GPU here")
    warm = max(kit.steps // 2, warm_steps(kit.steps))
    return in_turns(kit, lambda: kit.theirs.train([*flags, "--compile"], warm=warm),
                    lambda: kit.ours.train(["--tokens_per_batch", kit.tokens(8192)]))


def compile_batch_2(kit):
    """Ours packed to 8k tokens beside theirs under torch.compile at batch 2."""
    return compiled(kit, ["--batch-size", 2, "--pad-to", 128])


def compile_8k(kit):
    """The same with about 8k tokens in their batches too, of samples of like length, so that little is padding."""
    return compiled(kit, ["--batch-size", 20, "--sort", "--pad-to", 128])


def curves(kit):
    """Loss curves of both over one batch of the same samples, which is every step's: neither order nor draw differs."""
    need_baseline()
    ours = kit.ours.train(["--batch_size", kit.curve_samples, "--codebook_reduction", "sum"], data="curve_data")["losses"]
    theirs = kit.theirs.train(["--batch-size", kit.curve_samples], data="curve_data")["losses"]
    kit.plot.write_text(plot.svg(f"Loss of {kit.curve_samples} samples, the same in every step", "step",
                                 "loss: text + sum over codebooks",
                                 {"higgs_train": ours, "transformers + peft": theirs}))
    differences = [abs(a - b) / abs(b) for a, b in zip(ours, theirs)]
    # The adapters begin with different A and B = 0: the first loss is the base's, but for rounding and dropout of nothing.
    bad = [f"first losses {ours[0]} and {theirs[0]} differ by {differences[0]:.2%}"] if differences[0] > 0.01 else []
    return {"ours": ours, "theirs": theirs, "plot": kit.plot.name, "first_relative_difference": differences[0],
            "largest_relative_difference": max(differences)}, bad


def profile(kit):
    """What a step's time goes into, and how often the host waits in one."""
    out, bad = {}, []
    flags = ["--tokens_per_batch", kit.tokens(8192)]
    if kit.device == "cuda":
        short, long = (kit.steps // 5, kit.steps * 3 // 5) if kit.steps >= 25 else (3, 9)
        traces = []
        for steps in (short, long):
            kit.say(f"profile: higgs_train, {steps} steps")
            file = kit.work / f"trace-{steps}.json"
            result = kit.ours.train(flags, steps, env={
                "CUDA_INJECTION64_PATH": str(kit.root / "lib/libhiggs_cuda_trace.so"), "HIGGS_CUDA_TRACE": str(file)})
            if not file.exists():
                raise Failure("libhiggs_cuda_trace.so wrote nothing: was it loaded?")
            traces.append(json.loads(file.read_text()))
        out["ours"], bad = device_trace.per_step(*traces, long - short, result["seconds_per_step"])
        out |= nsys(kit, flags)
    else:
        out["ours"] = "left out: CUPTI needs a GPU"
    try:
        need_baseline()
        kit.say("profile: transformers + peft")
        out["theirs_ms"] = kit.theirs.train(["--batch-size", 2, "--profile"], steps=max(2, kit.steps // 10))["profile_ms"]
    except LeftOut as reason:
        if kit.device == "cpu":
            raise LeftOut(f"CUPTI needs a GPU; {reason}") from None
        out["theirs_ms"] = f"left out: {reason}"
    return out, bad


def nsys(kit, flags):
    """A report to open in Nsight Systems, where that is installed; no part of what is judged."""
    if not kit.nsys:
        return {"nsys": "left out: not installed here"}
    report = kit.out.with_suffix(".nsys-rep")
    output = kit.work / "nsys_run"
    command = [kit.nsys, "profile", "--trace=cuda", "--force-overwrite=true", f"--output={report}",
               kit.root / "bin/higgs_train", "train", "--train_manifest", kit.work / "data/manifest.jsonl", "--base_ckpt",
               kit.work / "base", "--output_dir", output, "--val_split", 0, "--device", "cuda", "--dtype", "bf16",
               "--max_steps", 5, "--self_test", "off", "--lora_dropout", 0.05, *flags]
    try:
        run(command, kit.environment(), timeout=240)
        return {"nsys": os.path.basename(report) if report.exists() else "no report was made"}
    except Failure as error:
        return {"nsys": f"failed: {error}"}


PARTS = {part.__name__: part for part in (tests, kernels, train, eager, compile_batch_2, compile_8k, curves, profile)}
