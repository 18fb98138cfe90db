"""Adapters: random ones made by peft, and checks that peft takes the ones made by higgs_train."""

import os
import random
import re
import warnings

import peft
import torch
from peft.utils import set_peft_model_state_dict
from safetensors.torch import load_file

ALL = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj",
       "mlp.down_proj", "audio_mlp.gate_proj", "audio_mlp.up_proj", "audio_mlp.down_proj"]  # fmt: skip


def random_config(form, embedding, rng):
    """LoraConfig of an adapter of one of plan.ADAPTERS. Pattern keys start inside a path: peft 0.13 wants a dot before
    what a key matches, so one that begins at the root means another thing in the two versions."""
    rank, alpha = rng.choice([1, 3, 5, 8]), rng.choice([2, 7, 16])
    options = {"r": rank, "lora_alpha": alpha, "lora_dropout": rng.choice([0.0, 0.05]), "target_modules": list(ALL)}
    options["task_type"] = rng.choice([None, "CAUSAL_LM"])
    if form in ("rslora", "dora_rs"):
        options["use_rslora"] = True
    if form in ("dora", "dora_rs"):
        options["use_dora"] = True
    if form == "pattern":
        options["rank_pattern"] = {"q_proj": rank + 2, r"0\.mlp\.(up|down)_proj": 2}
        options["alpha_pattern"] = {"audio_mlp.up_proj": alpha + 3, r"self_attn\.[kv]_proj": 5}
    if form == "list":
        options["target_modules"] = rng.choice(
            [["q_proj", "gate_proj"], ["down_proj"], ["mlp.up_proj", "v_proj", "o_proj"]]
        )
    if form == "regex":
        options["target_modules"] = r"(model\.)?layers\.\d+\.(self_attn\.(q|o)_proj|(audio_)?mlp\.(gate|down)_proj)"
    if form == "all-linear":  # the heads too
        options["target_modules"] = "all-linear"
    if form in ("head", "heads"):
        options["modules_to_save"] = ["audio_lm_head"] + ["text_lm_head"] * (form == "heads")
    if form == "embedding":
        options["modules_to_save"] = [embedding]
    if form == "bias":
        options["bias"] = "all"
    return peft.LoraConfig(**options)


def strength(wrapped, name):
    """Deviation of lora_B that makes the product, scaled, about as strong as the base's weight: a stronger one would
    magnify rounding (measured: 1.5e-5 with products three times as strong)."""
    layer = wrapped.get_submodule(name.split(".lora_B")[0])
    return 1.2 / (layer.scaling["default"] * layer.r["default"] ** 0.5)


def random_adapter(model, form, embedding, seed, folder):
    """Wraps `model` in an adapter with random values, saves it as peft does, and returns the wrapped model.

    `embedding`: the module of the codebooks' embedding.
    lora_B is away from zero and whole modules away from the base's, so that each tensor matters.
    """
    rng, generator = random.Random(f"adapter {seed}"), torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wrapped = peft.get_peft_model(model, random_config(form, embedding, rng))
    with torch.no_grad():
        for name, parameter in wrapped.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if "lora_B" in name:
                parameter.copy_(strength(wrapped, name) * noise)
            elif "lora_magnitude_vector" in name:
                parameter.mul_(1 + 0.2 * noise)
            elif "modules_to_save" in name:
                parameter.add_(0.05 * noise)
    wrapped.save_pretrained(folder)
    return wrapped.eval()


def gradients(wrapped):
    """Gradients of what the adapter holds, by the names of its file."""
    found = {}
    for name, parameter in wrapped.named_parameters():
        if parameter.requires_grad:
            key = re.sub(r"\.(modules_to_save\.)?default(?=\.|$)", "", name)
            key = key.removesuffix(".weight") if "lora_magnitude_vector" in key else key
            found[key] = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
    return found


def load_adapter(base, folder, check):
    """`base` with an adapter that higgs_train wrote, loaded as peft's users do. `check(good, name, text)` hears of keys
    that are missing or unexpected and of values that didn't arrive."""
    stored = load_file(os.path.join(folder, "adapter_model.safetensors"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        wrapped = peft.PeftModel.from_pretrained(base, folder)
    complaints = [str(w.message) for w in caught if "key" in str(w.message).lower()]
    check(not complaints, "from_pretrained has no complaint", "; ".join(complaints)[:200])
    report = set_peft_model_state_dict(wrapped, stored)
    missing = [key for key in report.missing_keys if "lora_" in key or "modules_to_save" in key]
    check(not missing, "no missing key", f"{len(missing)} {missing[:2] or ''}")
    unexpected = list(report.unexpected_keys)
    check(not unexpected, "no unexpected key", f"{len(unexpected)} {unexpected[:2] or ''}")
    own = peft.get_peft_model_state_dict(wrapped)
    differing = sorted(set(own) ^ set(stored))
    check(not differing, "keys are those that peft would save", f"{len(stored)} {differing[:2] or ''}")
    same = all(torch.equal(own[key], stored[key]) for key in own if key in stored)
    check(same, "values are as stored", ", ".join(sorted({str(t.dtype) for t in stored.values()})))
    return wrapped.eval()
