"""What was wanted, beside what was measured."""
import machine

GIGA = 1e9


def look(parts, *keys):
    """A number deep in the parts; none where the part isn't there."""
    for key in keys:
        if not isinstance(parts, dict) or key not in parts:
            return None
        parts = parts[key]
    return parts


def judge(result):
    """A list of {name, wanted, measured, met}; met is None where nothing was measured."""
    parts, card = result["parts"], result["machine"]
    composite = machine.composite_tokens_per_second(card["product_flops"], card["copy_bytes_per_second"])
    speed_8k = look(parts, "train", "packed_8k", "tokens_per_second")
    compiled = [look(parts, part, "speed_ratio") for part in ("compile_batch_2", "compile_8k")]
    memory = look(parts, "train", "packed_16k", "peak_memory_bytes")
    rows = [
        ("speed_of_eager_batch_2", 2.0, look(parts, "eager", "speed_ratio"), True),
        # Against the better of the two ways to run theirs, and only when both were.
        ("speed_of_compiled_packed", 1.25, min(compiled) if None not in compiled else None, True),
        ("share_of_composite_8k", 0.85, speed_8k / composite if speed_8k else None, True),
        ("peak_memory_gb_16k", 45.0, memory / GIGA if memory else None, False),
        ("host_synchronisations_per_step", 0, look(parts, "profile", "ours", "host_synchronisations_per_step"), False),
    ]
    if card["device"] != "cuda":  # of a toy model on a CPU nothing can be said
        rows = [(name, wanted, None, at_least) for name, wanted, _, at_least in rows]
    return [{"name": name, "wanted": f"{'at least' if at_least else 'at most'} {wanted}", "measured": measured,
             "met": (measured >= wanted if at_least else measured <= wanted) if measured is not None else None}
            for name, wanted, measured, at_least in rows] + [
        {"name": "composite_tokens_per_second", "wanted": "of this card's own two rates", "measured": composite,
         "met": None}]
