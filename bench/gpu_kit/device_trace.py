"""What libhiggs_cuda_trace.so wrote of a long run and a short one -> what a step between them costs."""

# The host asks for the numbers of a step when the next one is queued: the one wait of a step that leaves the device busy.
ALLOWED = {"cudaEventSynchronize": 1}

# By words in a kernel's name; the first that fits.
GROUPS = [
    ("kernels of higgs_train", ("higgs::",)),
    ("attention", ("flash", "fmha", "attention")),
    ("matrix products", ("gemm", "cutlass", "cublas", "nvjet", "xmma", "splitk", "gemv")),
    ("copies", ("copy", "memset", "memcpy")),
    ("optimizer", ("adam", "multi_tensor")),
    ("gathers and scatters", ("index", "gather", "scatter", "embedding")),
    ("reductions", ("reduce",)),
    ("elementwise", ("elementwise",)),
]


def group_of(name):
    low = name.lower()
    return next((group for group, words in GROUPS if any(word in low for word in words)), "other")


def difference(long, short, steps):
    """{name: (long - short) / steps} of what isn't zero."""
    names = {**long, **short}
    per_step = {name: (long.get(name, 0) - short.get(name, 0)) / steps for name in names}
    return {name: value for name, value in per_step.items() if value != 0}


def per_step(short, long, steps, wall_seconds):
    """(what goes into the JSON, what is wrong); `steps`: that the long run had more."""
    bad = [f"{key}: {trace[key]}" for trace in (short, long) for key in ("waits_fault", "kernels_fault") if trace[key]]

    def of_device(key):
        return difference(*({name: entry[key] for name, entry in trace["device_time"].items()} for trace in (long, short)),
                          steps)

    seconds, counts = of_device("seconds"), of_device("count")
    busy = sum(seconds.values())
    if not bad and busy <= 0:
        bad.append("CUPTI saw no kernel")
    groups = {}
    for name, value in seconds.items():
        groups[group_of(name)] = groups.get(group_of(name), 0.0) + value
    waits = difference(long["waits"], short["waits"], steps)
    unexpected = sum(max(0.0, count - ALLOWED.get(name, 0)) for name, count in waits.items())
    top = sorted(seconds, key=seconds.get, reverse=True)[:40]
    return {"steps": steps, "host_waits_per_step": waits, "host_synchronisations_per_step": None if bad else unexpected,
            "allocations_per_step": difference(long["allocations"], short["allocations"], steps),
            "wall_seconds_per_step": wall_seconds, "device_seconds_per_step": busy,
            "device_busy_share": busy / wall_seconds,
            "groups": dict(sorted(groups.items(), key=lambda entry: -entry[1])),
            "kernels": [{"name": name[:200], "seconds": seconds[name], "count": counts.get(name, 0)} for name in top]}, bad
