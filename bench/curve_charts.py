"""Which charts a measured curve becomes: names of pictures and their SVG."""
import statistics

from draw import Series, line_chart

GIB, MIB = 2**30, 2**20


def times(points, scale=1.0):
    """Median, lowest and highest of the measured seconds."""
    rows = []
    for point in points:
        seconds = [value * scale for value in point["seconds"]]
        rows.append((point["x"], statistics.median(seconds), min(seconds), max(seconds)))
    return rows


def memory(points, key, unit):
    return [(point["x"], point[key] / unit) for point in points]


def measured_and_planned(series, names, unit):
    """Resident memory, as the plan counts weights, which stay pages of a file."""
    rows = []
    for colour, (key, name) in enumerate(names.items()):
        rows.append(Series(name, memory(series[key], "resident_bytes", unit), colour=colour))
        rows.append(Series(f"{name}: plan" if len(names) > 1 else "plan", memory(series[key], "planned_bytes", unit),
                           calculated=True, colour=colour))
    return rows


def tokens(series):
    names = {"plain": "all kept", "checkpointing": "--gradient_checkpointing"}
    x = {"x_log": True, "x_ticks": [point["x"] for point in series["plain"]]}
    label = "tokens per step (--tokens_per_batch)"
    return {"tokens-time": line_chart("Time of a step against its tokens", label, "seconds per step",
                                      [Series(name, times(series[key])) for key, name in names.items()], y_log=True, **x),
            "tokens-memory": line_chart("Memory against tokens per step", label, "peak resident memory, MiB",
                                        measured_and_planned(series, names, MIB),
                                        x_ticks=[0, 2048, 4096, 8192, 12288, 16384])}


def clip_length(series):
    points, x = series["plain"], {"x_log": True, "x_ticks": [1, 2, 5, 10, 20, 30, 60]}
    label = f"seconds of a clip, about {round(points[-1]['tokens'], -2):,} tokens per step"
    return {"clip_length-time": line_chart("Time of a step against the length of its clips", label, "seconds per step",
                                           [Series("median step", times(points))], **x),
            "clip_length-memory": line_chart("Memory against the length of clips", label, "peak resident memory, MiB",
                                             measured_and_planned(series, {"plain": "measured"}, MIB), **x)}


def rank(series):
    names = {"small": "D 256, 4 layers, {:,} tokens", "layer": "D 3072, 1 layer, {:,} tokens"}
    names = {key: name.format(series[key][0]["tokens"]) for key, name in names.items()}
    x = {"x_log": True, "x_ticks": [point["x"] for point in series["small"]]}
    label = "rank of the adapter (--lora_r)"
    return {"rank-time": line_chart("Time of a step against the adapter's rank", label, "seconds per step",
                                    [Series(name, times(series[key])) for key, name in names.items()], **x),
            "rank-memory": line_chart("Memory against the adapter's rank", label, "peak resident memory, GiB",
                                      measured_and_planned(series, names, GIB), **x)}


def manifest(series):
    points, label = series["plain"], "lines of the manifest"
    return {"manifest-time": line_chart("From the start of the process to its first step", label, "seconds",
                                        [Series("median start", times(points))], x_log=True, y_log=True),
            "manifest-memory": line_chart("Memory against lines of the manifest", label, "peak memory, MiB",
                                          [Series("anonymous (RssAnon)", memory(points, "anonymous_bytes", MIB)),
                                           Series("with pages of files (VmHWM)", memory(points, "resident_bytes", MIB))],
                                          x_log=True, y_log=True)}


def charts(document):
    return {"tokens": tokens, "clip_length": clip_length, "rank": rank, "manifest": manifest}[document["curve"]](
        document["series"])
