#!/usr/bin/env python3
"""Random cases of one layout, compared with its Python stack.

    live.py --layout hf|boson --binary build/higgs_train [--models N] [--codecs N] [--seed S] [--keep DIR]
            [--tally FILE]

Prints a line a case: verdict, LAYOUT:SEED, what was varied, the largest deviation of each quantity ("=": equal, as
integers are compared; numbers: share of the largest value), notes. Below a failed case: what failed, where its files
are. Case i has the seed S + i, so that `--seed S --models 1` repeats one. FILE gets the line "PASSED FAILED".
Exit code: 0 all passed, 1 one failed.
"""

import argparse
import gc
import os
import shutil
import sys
import tempfile
import time
import traceback
import warnings

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

from cases_codec import CodecCase
from cases_model import ModelCase
from program import Program


def run(job, folder):
    """Runs a case; what it raises is a failure too."""
    try:
        job.run()
    except Exception as error:
        job.case.fail(type(error).__name__, str(error))
        with open(os.path.join(folder, "traceback.txt"), "w", encoding="utf-8") as file:
            file.write(traceback.format_exc())
    return job.case


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layout", required=True, choices=["hf", "boson"])
    parser.add_argument("--binary", required=True)
    parser.add_argument("--models", type=int, default=0, help="number of cases of models")
    parser.add_argument("--codecs", type=int, default=0, help="number of cases of audio tokenizers")
    parser.add_argument("--seed", type=int, default=0, help="of the first case")
    parser.add_argument("--keep", help="folder for the files of failed cases; default: a new one under /tmp")
    parser.add_argument("--tally", help="file for the numbers of cases that passed and failed")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", category=FutureWarning)
    if arguments.layout == "hf":
        import codec_hf as codecs
        import oracle_hf as oracle
    else:
        import codec_boson as codecs
        import oracle_boson as oracle
    work = tempfile.mkdtemp(prefix=f"parity_{arguments.layout}_")
    keep = arguments.keep or tempfile.mkdtemp(prefix="parity_failed_")
    program, layout = Program(os.path.abspath(arguments.binary), os.path.join(work, "cache")), arguments.layout
    shared = codecs.Codec.open(codecs.shared_folder(os.path.join(work, "codec")))
    golden_base = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../golden/hf/model")
    jobs = [(f"{layout}:{s}", lambda f, s=s: ModelCase(oracle, layout, s, f, program, shared))
            for s in range(arguments.seed, arguments.seed + arguments.models)]  # fmt: skip
    jobs += [(f"{layout}-codec:{s}", lambda f, s=s: CodecCase(codecs, layout, s, f, program, golden_base))
             for s in range(arguments.seed, arguments.seed + arguments.codecs)]  # fmt: skip
    gc.collect()
    gc.freeze()  # transformers collects garbage for every shard it reads, of all that the imports made
    failed = 0
    for name, make in jobs:
        folder, begin = os.path.join(work, name.replace(":", "_")), time.time()
        os.makedirs(folder)
        case = run(make(folder), folder)
        text = f"{case.line()} {time.time() - begin:.1f} s\n".replace(folder + "/", "")
        if case.failures:
            failed += 1
            kept = os.path.join(keep, os.path.basename(folder))
            shutil.copytree(folder, kept, dirs_exist_ok=True)
            text += "".join(f"       {failure}\n" for failure in case.failures[:6]) + f"       files: {kept}\n"
        sys.stdout.write(text)
        sys.stdout.flush()
        shutil.rmtree(folder)
    shutil.rmtree(work)
    if arguments.tally:
        with open(arguments.tally, "w", encoding="utf-8") as file:
            file.write(f"{len(jobs) - failed} {failed}\n")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
