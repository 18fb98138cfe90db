#!/usr/bin/env python3
"""The GPU kit as far as a CPU goes: its arithmetic, and the whole of it in a folder of its own, with a toy model.

    kit_test.py BUILD_FOLDER     (a python3 with torch; the kit is made of this folder's programs)
"""
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
import unittest.mock
import xml.etree.ElementTree
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(SOURCE / "bench/gpu_kit"))
import device_trace  # noqa: E402
import machine  # noqa: E402
import parts  # noqa: E402
import plot  # noqa: E402
import run as kit_run  # noqa: E402
import targets  # noqa: E402
import training  # noqa: E402

BUILD = None
LIMIT = 20 << 20


def metrics(losses):
    """100 tokens a step; the second takes 100 s, those after it two."""
    return [{"kind": "train", "step": i + 1, "loss": loss, "tokens": 100 * (i + 1), "seconds": 3.0 + (i > 0) * (98 + 2.0 * i),
             "memory_bytes": 1000 + i, "loader_wait": 0.0} for i, loss in enumerate(losses)]


class Arithmetic(unittest.TestCase):
    def test_the_roofline_of_an_h200_is_54_thousand_tokens(self):
        h200 = machine.composite_tokens_per_second(machine.REFERENCE_FLOPS, machine.REFERENCE_COPY)
        self.assertAlmostEqual(h200 / 54e3, 1.0, delta=0.01)
        # Twice the rates, twice the speed; more of only one of them, less than that.
        self.assertAlmostEqual(machine.composite_tokens_per_second(1580e12, 8.6e12) / h200, 2.0)
        self.assertLess(machine.composite_tokens_per_second(1580e12, 4.3e12) / h200, 2.0)

    def test_speed_leaves_out_the_first_steps(self):
        told = training.summary(metrics([9.0, 8.0, 7.0, 6.0]), warm=2)
        self.assertEqual((told["steps"], told["tokens_per_second"], told["seconds_per_step"]), (4, 50.0, 2.0))
        self.assertEqual(told["peak_memory_bytes"], 1003)

    def test_losses_that_are_not_finite_are_a_failure(self):
        for losses in ([], [9.0, float("nan")]):
            with self.assertRaises(training.Failure):
                training.summary(metrics(losses), warm=1)

    def test_a_step_is_what_the_longer_run_had_more(self):
        def trace(steps, synchronised):
            kernel = {"count": 10 + 3 * steps, "seconds": 1.0 + 0.2 * steps, "bytes": 0}
            return {"waits_fault": "", "kernels_fault": "", "allocations": {"cudaMalloc": 7},
                    "waits": {"cudaEventSynchronize": steps, "cudaStreamSynchronize": 5 + synchronised},
                    "device_time": {"void higgs::kernels::swiglu(x)": kernel, "gone": {"count": 1, "seconds": 1.0, "bytes": 0}}}

        told, bad = device_trace.per_step(trace(10, 0), trace(30, 0), 20, 0.25)
        self.assertEqual(bad, [])
        self.assertEqual(told["host_waits_per_step"], {"cudaEventSynchronize": 1.0})
        self.assertEqual(told["host_synchronisations_per_step"], 0)
        self.assertEqual(told["allocations_per_step"], {})
        self.assertAlmostEqual(told["device_busy_share"], 0.8)
        self.assertEqual([one["name"] for one in told["kernels"]], ["void higgs::kernels::swiglu(x)"])
        self.assertEqual(told["kernels"][0]["count"], 3)
        self.assertEqual(list(told["groups"]), ["kernels of higgs_train"])
        told, _ = device_trace.per_step(trace(10, 0), trace(30, 40), 20, 0.25)
        self.assertEqual(told["host_synchronisations_per_step"], 2)

    def test_what_cupti_did_not_see_is_no_zero(self):
        silent = {"waits_fault": "CUPTI: no", "kernels_fault": "", "waits": {}, "allocations": {}, "device_time": {}}
        told, bad = device_trace.per_step(silent, silent, 20, 0.25)
        self.assertIsNone(told["host_synchronisations_per_step"])
        self.assertTrue(bad)

    def test_targets_are_judged_by_what_was_measured(self):
        card = {"device": "cuda", "product_flops": machine.REFERENCE_FLOPS, "copy_bytes_per_second": machine.REFERENCE_COPY}
        parts = {"eager": {"speed_ratio": 2.5}, "compile_batch_2": {"speed_ratio": 1.9}, "compile_8k": {"speed_ratio": 1.2},
                 "train": {"packed_8k": {"tokens_per_second": 46e3}, "packed_16k": {"peak_memory_bytes": 42e9}}}
        met = {row["name"]: row["met"] for row in targets.judge({"machine": card, "parts": parts})}
        self.assertEqual(met, {"speed_of_eager_batch_2": True, "speed_of_compiled_packed": False,
                               "share_of_composite_8k": True, "peak_memory_gb_16k": True,
                               "host_synchronisations_per_step": None, "composite_tokens_per_second": None})
        on_cpu = targets.judge({"machine": card | {"device": "cpu"}, "parts": parts})
        self.assertTrue(all(row["met"] is None for row in on_cpu))

    def test_a_plot_holds_every_curve(self):
        root = xml.etree.ElementTree.fromstring(plot.svg("a < b", "step", "loss", {"x": [3.0, 1.0, 2.0], "y": [2.0, 2.0]}))
        lines = root.findall("{http://www.w3.org/2000/svg}polyline")
        self.assertEqual([len(line.get("points").split()) for line in lines], [3, 2])
        heights = [float(point.split(",")[1]) for point in lines[0].get("points").split()]
        self.assertEqual(sorted(heights), [heights[0], heights[2], heights[1]])  # down the page is less

    def test_only_the_same_build_goes_on(self):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "kit.json"
            options = type("Options", (), {"out": str(file)})
            self.assertEqual(kit_run.before(options, {"commit": "a"}), {})
            file.write_text(json.dumps({"kit": {"commit": "a"}, "parts": {"train": {"status": "done"}}}))
            self.assertEqual(list(kit_run.before(options, {"commit": "a"})), ["train"])
            self.assertEqual(kit_run.before(options, {"commit": "b"}), {})


class StandIn:
    """A kit on a GPU whose runs are made up: ours at 300, 200, 100 tokens/s, theirs at 100, whatever is asked of them."""

    def __init__(self, folder):
        self.device, self.steps, self.rounds, self.part_seconds = "cuda", 50, 3, 480
        self.root = self.work = Path(folder)
        self.out, self.nsys, self.curve_samples = self.work / "kit.json", None, 8
        self.plot = self.work / "kit_curves.svg"
        self.ours, self.theirs = unittest.mock.Mock(), unittest.mock.Mock()
        self.ours.train.side_effect = self.train_ours
        self.theirs.train.side_effect = lambda *_, **__: {"tokens_per_second": 100.0, "peak_memory_bytes": 4,
                                                          "losses": [2.0, 1.5], "profile_ms": {"rest": 1.0}}
        self.first_loss = 2.0
        self.rates = [300.0, 200.0, 100.0]

    def say(self, text):
        pass

    def tokens(self, count):
        return count

    def train_ours(self, flags, steps=None, data="data", env=None):
        if env:
            kernel = {"count": steps, "seconds": 0.5 * steps, "bytes": 0}
            Path(env["HIGGS_CUDA_TRACE"]).write_text(json.dumps(
                {"waits_fault": "", "kernels_fault": "", "waits": {"cudaEventSynchronize": steps - 1}, "allocations": {},
                 "device_time": {"flash_fwd": kernel}}))
        return {"tokens_per_second": self.rates[self.ours.train.call_count % 3], "peak_memory_bytes": 2,
                "losses": [self.first_loss, 1.4], "seconds_per_step": 1.0}


@unittest.mock.patch.object(machine, "baseline_missing", lambda: [])
class PartsOnAGpu(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.kit = StandIn(folder.name)

    def test_both_run_in_turns_and_medians_are_compared(self):
        for part in (parts.eager, parts.compile_batch_2, parts.compile_8k):
            told, bad = part(self.kit)
            self.assertEqual((told["speed_ratio"], told["memory_ratio"], len(told["ours"]), bad), (2.0, 0.5, 3, []))

    def test_a_part_ends_before_its_time_is_over(self):
        self.kit.part_seconds = 0
        told, _ = parts.eager(self.kit)
        self.assertEqual((len(told["theirs"]), len(told["ours"])), (1, 1))

    def test_a_step_is_profiled_by_two_runs(self):
        told, bad = parts.profile(self.kit)
        self.assertEqual((bad, told["ours"]["steps"]), ([], 20))
        self.assertEqual(told["ours"]["host_synchronisations_per_step"], 0)
        self.assertEqual(told["ours"]["groups"], {"attention": 0.5})
        self.assertEqual(told["theirs_ms"], {"rest": 1.0})

    def test_curves_that_begin_elsewhere_are_a_fault(self):
        told, bad = parts.curves(self.kit)
        self.assertEqual((bad, told["plot"]), ([], "kit_curves.svg"))
        self.assertIn("polyline", self.kit.plot.read_text())
        self.kit.first_loss = 2.1
        self.assertTrue(parts.curves(self.kit)[1])

    def test_checkpointing_and_the_reference_path_must_give_the_same_loss(self):
        self.assertEqual(parts.train(self.kit)[1], [])
        self.kit.ours.train.side_effect = lambda flags, steps=None: {
            "losses": [2.0 + 0.1 * ("--reference_path" in flags)], "tokens_per_second": 1.0}
        told, bad = parts.train(self.kit)
        self.assertEqual(len(told), 8)
        self.assertEqual([fault.split(":")[0] for fault in bad], ["packed_4k_reference_path"])


@unittest.skipIf(importlib.util.find_spec("torch") is None, "this python3 has no torch")
class Bundle(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="gpu kit ")
        cls.place = Path(cls.folder.name)
        bundle = cls.place / "kit.tar.gz"
        subprocess.run([SOURCE / "scripts/gpu_kit", "--from", BUILD, "--out", bundle], check=True)
        cls.size = bundle.stat().st_size
        subprocess.run(["tar", "xzf", bundle, "-C", cls.place], check=True)
        cls.kit = cls.place / "gpu_kit"

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def start(self, *words):
        env = os.environ | {"PYTHON": sys.executable, "OMP_NUM_THREADS": "1"}
        env.pop("LD_LIBRARY_PATH", None)
        return subprocess.run([self.kit / "run", "--cpu", "--quick", "--out", self.place / "kit.json", "--work",
                               self.place / "work", *words], cwd="/", env=env, capture_output=True, text=True)

    def test_it_holds_what_a_bare_machine_lacks_and_no_more(self):
        self.assertLessEqual(self.size, LIMIT)
        names = [path.name for path in (self.kit / "lib").iterdir()]
        self.assertFalse([name for name in names if re.match(r"lib(cu|nv|nccl|torch|c10|c\.|stdc)", name)])
        self.assertTrue(any(name.startswith("libsoxr") for name in names))
        for program in (self.kit / "bin").iterdir():
            told = subprocess.run(["readelf", "-d", program], capture_output=True, text=True, check=True).stdout
            self.assertNotRegex(told, "RUNPATH|RPATH")
        # Whatever this machine has besides: nothing comes from it but the C and C++ runtime.
        env = kit_run.Kit.environment(unittest.mock.Mock(root=self.kit, torch_root=kit_run.torch_root()))
        told = subprocess.run(["ldd", *(self.kit / "bin").iterdir()], capture_output=True, text=True, check=True, env=env)
        self.assertNotIn("not found", told.stdout)
        found = re.findall(r"=> (\S.*) \(0x", told.stdout)
        others = [path for path in found if not path.startswith(str(self.kit)) and "site-packages" not in path
                  and str(kit_run.torch_root()) not in path]
        self.assertEqual([path for path in others if not re.search(
            r"/lib(c|m|dl|pthread|rt|util|stdc\+\+|gcc_s)\.so", path)], [])

    def test_it_runs_whole_on_the_cpu_and_tells_what_fails(self):
        process = self.start()
        self.assertEqual(process.returncode, 0, process.stderr)
        result = json.loads((self.place / "kit.json").read_text())
        parts = result["parts"]
        self.assertEqual([parts[name]["status"] for name in ("tests", "kernels", "train")], ["done"] * 3)
        for name in ("eager", "curves", "profile"):
            self.assertEqual(parts[name]["status"], "left out" if machine.baseline_missing() else "done", parts[name])
        self.assertGreater(result["machine"]["copy_bytes_per_second"], 0)
        # Each kernel that has a CUDA twin is measured.
        declared = set(re.findall(r"^int (\w+)_cuda\(", (SOURCE / "src/kernels/args.h").read_text(), re.MULTILINE))
        self.assertEqual({one["kernel"] for one in parts["kernels"]["kernels"]}, declared)
        self.assertTrue(all(one["bytes_per_second"] > 0 for one in parts["kernels"]["kernels"]))
        settings = [value for value in parts["train"].values() if isinstance(value, dict)]
        self.assertEqual([one["steps"] for one in settings], [2] * 8)
        told = {name: one["status"] for name, one in parts["tests"]["tests"].items()}
        self.assertIn("HostWaits.AStepWaitsForNothingButTheNumbersOfTheOneBefore", told)
        if not any(Path("/dev").glob("nvidia[0-9]*")):
            self.assertEqual(set(told.values()), {"skipped"})

        broken = self.kit / "bin/bench_kernels"
        broken.unlink()
        broken.write_text("#!/bin/sh\necho it is broken >&2\nexit 3\n")
        broken.chmod(0o755)
        process = self.start("--part", "kernels")
        self.assertEqual(process.returncode, 1, process.stderr)
        after = json.loads((self.place / "kit.json").read_text())["parts"]
        self.assertEqual(after["kernels"]["status"], "failed")
        self.assertIn("it is broken", after["kernels"]["faults"][0])
        self.assertEqual(after["train"], parts["train"])


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    BUILD = Path(sys.argv.pop(1)).resolve()
    unittest.main(verbosity=2)
