#!/usr/bin/env python3
"""Adds up the committed logs of the fault programs and of the fuzzers: python3 tests/faults/totals.py

One line for each program or target: how often it ran, over how many commits, and the sums of its counts.
"""
import json
import pathlib

TESTS = pathlib.Path(__file__).resolve().parent.parent
NOT_COUNTS = {"seed", "ranks", "binary", "commit", "date", "corpus", "edges", "decoded_but_too_short",
              "calls_of_a_save", "calls_of_a_start"}


def totals(path, key):
    sums, commits, runs = {}, {}, {}
    for line in path.read_text().splitlines() if path.exists() else []:
        entry = json.loads(line)
        name = entry[key] + (f", {entry['ranks']} ranks" if entry.get("ranks", 1) > 1 else "")
        runs[name] = runs.get(name, 0) + 1
        commits.setdefault(name, set()).add(entry["commit"])
        counts = sums.setdefault(name, {})
        for field, value in entry.items():
            if isinstance(value, int) and field not in NOT_COUNTS:
                counts[field] = counts.get(field, 0) + value
    for name in sums:
        text = ", ".join(f"{value:,} {field.replace('_', ' ')}" for field, value in sums[name].items())
        print(f"{name}: {runs[name]} runs over {len(commits[name])} commits: {text}")


totals(TESTS / "faults" / "log.jsonl", "program")
totals(TESTS / "fuzz" / "log.jsonl", "target")
