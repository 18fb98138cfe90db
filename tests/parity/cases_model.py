"""A case of a model: tokens, collation, forward, losses and gradients, generation, training, merging."""

import copy
import json
import os
import random

import torch
from safetensors.torch import load_file

import adapters
import chatml
import objective
from compare import FEATURES, GRADIENTS, LOSS, MEL, Case
from data import random_manifest, random_text
from models import compare_merged
from plan import random_plan
from program import Broken, Refused

# What may be refused, with the reason in the table; anything else must be done.
MAY_REFUSE = {"bias"}
COLLATED = ["input_ids", "attention_mask", "label_ids", "audio_out_ids", "audio_out_ids_start",
            "audio_out_ids_start_group_loc", "audio_in_ids", "audio_in_ids_start", "label_audio_ids"]  # fmt: skip


class ModelCase:
    def __init__(self, oracle, layout, seed, folder, program, codec):
        self.oracle, self.program, self.folder, self.codec = oracle, program, folder, codec
        self.plan = random_plan(layout, seed)
        self.case = Case(f"{layout}:{seed}", self.plan)
        self.rng = random.Random(f"case {layout} {seed}")

    def path(self, name):
        return os.path.join(self.folder, name)

    def words(self, *more):
        return ["--base_ckpt", self.given, "--manifest", self.manifest, "--audio_tokenizer", self.codec.folder, *more]

    def model(self):
        """A fresh copy of the base as Python has it: an adapter changes the model that it is put on."""
        return copy.deepcopy(self.loaded)

    def run(self):
        plan, oracle = self.plan, self.oracle
        self.base = self.path("base")
        self.given = oracle.write_base(self.base, plan)
        self.loaded = oracle.load(self.base)
        self.manifest, samples = random_manifest(self.rng, self.folder, plan)
        self.samples = oracle.Samples(
            self.base, plan, self.folder, samples, lambda url: self.codec.codes_of(self.path(url))
        )
        self.text()
        self.tokens()
        if oracle.COLLATES:
            self.collate()
        self.forward()
        if plan.generate:
            self.generate()
        if plan.train:
            self.train()

    def text(self):
        lines = [random_text(self.rng, longest=20) for _ in range(8)]
        with open(self.path("lines.txt"), "w", encoding="utf-8") as file:
            file.writelines(to_json(line) + "\n" for line in lines)
        ours, _ = self.program.inspect("text", "--base_ckpt", self.given, "--text_file", self.path("lines.txt"))
        theirs = [self.samples.tokenizer.encode(line, add_special_tokens=False) for line in lines]
        self.case.equal("text", ours["ids"].tolist(), sum(theirs, []))

    def tokens(self):
        ours, metadata = self.program.inspect("tokens", *self.words())
        for i, (ids, labels, urls, speaker) in enumerate(self.samples.tokens):
            alike = chatml.tokenize(self.samples.samples[i], self.samples.tokenizer) == (ids, labels, urls, speaker)
            self.case.check(alike, "tokens", "chatml.py differs from boson_multimodal")
            self.case.equal("tokens", ours[f"input_ids.{i}"].tolist(), ids)
            self.case.equal("tokens", ours[f"label_ids.{i}"].tolist(), labels)
            self.case.equal("tokens", metadata[f"audio.{i}"], to_json(urls, separators=(",", ":")))
            self.case.equal("tokens", metadata.get(f"speaker.{i}"), speaker)

    def collate(self):
        theirs = self.oracle.collated(self.loaded.config, self.samples)
        ours, _ = self.program.inspect("collate", *self.words())
        for name in COLLATED:
            value = getattr(theirs, name)
            self.case.check((value is None) == (name not in ours), "collate", f"{name} is there on one side only")
            if value is not None and name in ours and value.numel():
                self.case.equal("collate", ours[name], value)
        if theirs.audio_features is not None and len(theirs.audio_features):
            self.case.close("mel", ours["audio_features"], theirs.audio_features, MEL)
            self.case.equal("collate", ours["audio_feature_attention_mask"], theirs.audio_feature_attention_mask)

    def forward(self):
        """The base alone, then with an adapter that peft made; with gradients where ours takes it."""
        base = self.model()
        with torch.no_grad():
            plain = self.oracle.forward(base, self.samples)
        words = self.words("--codebook_reduction", self.plan.reduction)
        ours, _ = self.program.inspect("forward", *words)
        self.compare_forward("base", ours, plain)
        adapter = self.path("adapter")
        form = self.plan.adapter if self.plan.text_head or self.plan.adapter != "heads" else "head"
        wrapped = adapters.random_adapter(base, form, self.oracle.AUDIO_EMBEDDING, self.plan.seed, adapter)
        theirs = self.oracle.forward(wrapped.get_base_model(), self.samples)
        try:
            ours, _ = self.program.inspect("forward", *words, "--adapter", adapter, "--grads")
        except Refused as reason:
            self.refused("adapter", form, reason)
            return
        self.compare_forward("lora", ours, theirs)
        objective.losses(theirs, self.plan.reduction)[2].backward()
        self.compare_gradients(ours, adapters.gradients(wrapped))
        if self.plan.merge:
            self.merge(adapter, wrapped)

    def refused(self, what, form, reason):
        self.case.note(f"{what} refused: {reason}")
        if form not in MAY_REFUSE:
            self.case.fail(what, f"{form} refused: {reason}")

    def compare_forward(self, prefix, ours, theirs):
        case = self.case
        for name in ("kind", "text_labels", "audio_labels"):
            case.equal(f"{prefix}.labels", ours[name], getattr(theirs, name))
        case.close(f"{prefix}.hidden", ours["hidden"], theirs.hidden, FEATURES, "hidden")
        case.close(f"{prefix}.logits", ours["audio_logits"], theirs.audio_logits, FEATURES, "audio")
        case.equal(f"{prefix}.labels", "text_logits" in ours, theirs.text_logits is not None)
        if theirs.text_logits is not None:
            case.close(f"{prefix}.logits", ours["text_logits"], theirs.text_logits, FEATURES, "text")
        text, codebooks, together = objective.losses(theirs, self.plan.reduction)
        case.close(f"{prefix}.loss", ours["loss_text"], text, LOSS, "text")
        case.close(f"{prefix}.loss", ours["loss_audio"], codebooks, LOSS, "audio")
        case.close(f"{prefix}.loss", ours["loss"], together, LOSS, "together")

    def compare_gradients(self, ours, theirs):
        names = {name[len("grad.") :] for name in ours if name.startswith("grad.")}
        self.case.check(names == set(theirs), "grads", f"for one side only: {sorted(names ^ set(theirs))[:3]}")
        for name in sorted(names & set(theirs)):
            self.case.close("grads", ours["grad." + name], theirs[name], GRADIENTS, name)

    def generate(self):
        """Greedy continuation of the last sample's prompt, up to 12 frames."""
        if self.plan.layout == "boson" and not (self.plan.audio_in or self.plan.tower) and self.hears_a_clip():
            # The reference masks such a clip's placeholder, and counts it in the positions of cached steps only.
            self.case.note("no generation: the prompt's clips are neither seen nor heard")
            return
        frames, single = 12, self.path("last.jsonl")
        with open(self.manifest, encoding="utf-8") as source, open(single, "w", encoding="utf-8") as file:
            file.write(source.readlines()[-1])
        columns = self.oracle.generate(self.loaded, self.samples, frames + self.plan.codebooks + 1)
        theirs, same_rule = codes_of_columns(columns, self.plan)
        words = ["--base_ckpt", self.given, "--audio_tokenizer", self.codec.folder, "--manifest", single, "--greedy"]
        words += ["--max_seconds", (frames + 0.5) / 25, "--out", self.path("said.wav")]
        try:
            self.program.run("generate", *words, "--out_codes", self.path("said.safetensors"))
            ours = load_file(self.path("said.safetensors"))["codes"].long()
        except Broken as reason:
            if "said nothing" not in str(reason):
                raise
            ours = theirs[:, :0]
        self.case.equal("generate", torch.tensor(ours.shape), torch.tensor(theirs.shape))
        if self.plan.layout == "hf" and ours.shape == theirs.shape:
            ours, theirs = ours[same_rule], theirs[same_rule]
        self.case.equal("generate", ours, theirs)
        self.case.note(f"{same_rule.shape[1]} of {frames} frames said")

    def hears_a_clip(self):
        """Whether the last sample's prompt has a clip that is not the assistant's."""
        turns = [m for m in self.samples.samples[-1]["messages"] if m["role"] != "assistant"]
        return "audio_url" in json.dumps(turns)

    def train(self):
        """Three steps by higgs_train; the first one's loss is the base's, and peft takes the result."""
        form, out = self.plan.train, self.path("run")
        words = ["--base_ckpt", self.given, "--audio_tokenizer", self.codec.folder, "--train_manifest", self.manifest]
        words += ["--output_dir", out, "--val_split", 0, "--max_steps", 3, "--batch_size", len(self.samples.samples)]
        words += ["--lr", 0.02, "--warmup", 0, "--lora_r", self.rng.choice([2, 5]), "--lora_alpha", 8]
        words += ["--codebook_reduction", self.plan.reduction]
        modules = ["audio_lm_head", "embed_audio_tokens"] + ["text_lm_head"] * self.plan.text_head
        forms = {"rslora": ["--use_rslora"], "dora": ["--use_dora"], "modules": ["--modules_to_save", ",".join(modules)]}
        words += forms.get(form, [])
        self.program.run("train", *words)
        with open(os.path.join(out, "metrics.jsonl"), encoding="utf-8") as file:
            first = next(row for row in map(json.loads, file) if row["kind"] == "train")
        base = self.model()
        with torch.no_grad():
            plain = self.oracle.forward(base, self.samples)
        together = objective.losses(plain, self.plan.reduction)[2]
        self.case.close("train.loss", torch.tensor(first["loss"]), together, LOSS, "first step")
        adapter = os.path.join(out, "adapter")

        def check(good, name, text):
            self.case.check(good, "peft loads", f"{name}: {text}")

        wrapped = adapters.load_adapter(base, adapter, check)
        with torch.no_grad():
            theirs = self.oracle.forward(wrapped.get_base_model(), self.samples)
        moved = ((theirs.hidden - plain.hidden).abs().max() / plain.hidden.abs().max()).item()
        self.case.check(
            moved > 100 * FEATURES, "peft loads", f"the trained adapter moves hidden states by {moved:.1e} only"
        )
        words = self.words("--codebook_reduction", self.plan.reduction, "--adapter", adapter)
        self.compare_forward("trained", self.program.inspect("forward", *words)[0], theirs)
        quick = ("--base", "off", "--speak", "0", "--json", "-")
        said = json.loads(self.program.run("evaluate", *self.words("--adapter", adapter, *quick)))
        text, codebooks, _ = objective.losses(theirs, "mean")
        self.case.close("evaluate", torch.tensor(said["loss_codebooks"]), codebooks, LOSS, "audio")
        self.case.close("evaluate", torch.tensor(said["loss_text"]), text, LOSS, "text")

    def merge(self, adapter, wrapped):
        """higgs_train's merge loads in Python as it is, holds what peft's merge gives, and says the same."""
        merged = self.path("merged")
        self.program.run("merge", "--base_ckpt", self.given, "--adapter", adapter, "--out", merged)
        words = ["--base_ckpt", merged, "--manifest", self.manifest, "--audio_tokenizer", self.codec.folder]
        ours, _ = self.program.inspect("forward", *words, "--codebook_reduction", self.plan.reduction)
        loaded = self.oracle.load_merged(merged, self.plan)
        with torch.no_grad():
            self.compare_forward("merged", ours, self.oracle.forward(loaded, self.samples))
        compare_merged(self.case, loaded.state_dict(), wrapped.merge_and_unload().state_dict(), self.plan.dtype)


def to_json(value, **options):
    return json.dumps(value, ensure_ascii=False, **options)


def codes_of_columns(columns, plan):
    """(codes [K, T] of generated columns [K, L] with the delay undone, which of them don't hang on the rule of ending).

    They end as boson_multimodal does it, which higgs_train does for both layouts: the lowest codebook that says EOS ends
    those below it, the others follow one by one. transformers lets any codebook's EOS start the end, one column later;
    up to the column of the first EOS both say the same.
    """
    num_codebooks, length = columns.shape
    said = (columns == plan.codes + 1).any(0).nonzero()
    frames, last = length - num_codebooks - 1, length
    if len(said):
        last = int(said[0])
        lowest = int(columns[:, last].eq(plan.codes + 1).nonzero()[0])
        frames = max(0, min(frames, last - 1 - lowest))
    codes = [columns[k, k + 1 : k + 1 + frames] for k in range(num_codebooks)]
    at = torch.arange(frames)[None] + torch.arange(num_codebooks)[:, None] + 1
    return torch.stack(codes).clamp(0, plan.codes - 1), at <= last
