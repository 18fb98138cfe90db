"""What the kit runs on: the card, its driver, the versions, and the two rates that everything else is measured by."""
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import statistics
import subprocess
import time

# What a token costs at the released size (28 layers, LoRA r 16 on every linear map), at best: operations of the frozen
# products and of attention over segments of 1,000, seconds of the passes over memory on a card that copies 4.3 TB/s.
PRODUCT_FLOPS = 11.27e9
REFERENCE_FLOPS, REFERENCE_COPY = 790e12, 4.3e12  # an H200's, measured
ATTENTION_SECONDS, MEMORY_SECONDS, LORA_SECONDS, HEAD_SECONDS = 0.8e-6, 2.1e-6, 1.3e-6, 0.13e-6


def composite_tokens_per_second(flops, copy_rate):
    """The roofline: what a card with these two rates could train a second if nothing were lost."""
    by_flops = PRODUCT_FLOPS / flops + (ATTENTION_SECONDS + HEAD_SECONDS) * REFERENCE_FLOPS / flops
    by_memory = (MEMORY_SECONDS + LORA_SECONDS) * REFERENCE_COPY / copy_rate
    return 1.0 / (by_flops + by_memory)


def version_of(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def baseline_missing():
    """What the comparison needs and isn't here; empty when all is."""
    missing = [name for name in ("transformers", "peft") if version_of(name) is None]
    if not missing and importlib.util.find_spec("transformers.models.higgs_audio_v2") is None:
        missing = [f"a transformers with Higgs Audio v2 ({version_of('transformers')} has none)"]
    return missing


def driver():
    if not shutil.which("nvidia-smi"):
        return None
    query = ["nvidia-smi", "--query-gpu=driver_version,name,memory.total,power.limit", "--format=csv,noheader"]
    process = subprocess.run(query, capture_output=True, text=True)
    return process.stdout.strip() or None


def seconds_of(torch, device, work, rounds):
    """Median of several rounds."""
    wait = torch.cuda.synchronize if device == "cuda" else (lambda: None)
    work()
    wait()
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        work()
        wait()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def ceilings(device):
    """Bytes a second of a copy (read and written), and operations a second of a bf16 product, on random values."""
    import torch

    large = device == "cuda"
    source = torch.randint(256, (1 << 32 if large else 1 << 25,), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    copy = 2 * source.numel() / seconds_of(torch, device, lambda: target.copy_(source), 10 if large else 3)
    del source, target
    n = 8192 if large else 256
    a, b = (torch.randn(n, n, device=device).to(torch.bfloat16 if large else torch.float32) for _ in range(2))
    # Ten at a time: the clock is the host's.
    products = 10 if large else 1
    seconds = seconds_of(torch, device, lambda: [torch.mm(a, b) for _ in range(products)], 10 if large else 3)
    return {"copy_bytes_per_second": copy, "product_flops": 2.0 * n**3 * products / seconds,
            "product": f"{n} x {n} x {n}, {'bf16' if large else 'fp32'}"}


def describe(device):
    import torch

    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), None)
    out = {"device": device, "system": platform.platform(), "python": platform.python_version(), "cpu": cpu,
           "cores": os.cpu_count(), "torch": torch.__version__, "cuda": torch.version.cuda,
           "transformers": version_of("transformers"), "peft": version_of("peft"), "nsys": shutil.which("nsys"),
           "driver": driver(), "date": time.strftime("%Y-%m-%d", time.gmtime())}
    if device == "cuda":
        card = torch.cuda.get_device_properties(0)
        out |= {"card": card.name, "capability": f"{card.major}.{card.minor}", "memory_bytes": card.total_memory,
                "multiprocessors": card.multi_processor_count, "l2_bytes": getattr(card, "L2_cache_size", None)}
    return out | ceilings(device)
