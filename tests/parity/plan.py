"""What a case varies, drawn from its seed alone.

Sizes, files and data are random; the adapter's form and the extra checks (generation, training, merging) take turns
over the seeds, so that a short run sees all of them.
"""

import random
from dataclasses import dataclass, field

ADAPTERS = [
    "plain", "rslora", "dora", "pattern", "head", "list", "regex", "dora_rs", "heads",
    "embedding", "all-linear", "bias",
]  # fmt: skip
TRAINED = ["plain", "rslora", "dora", "modules"]


@dataclass
class Plan:
    layout: str
    seed: int
    hidden: int = 0
    layers: int = 0
    heads: int = 0
    kv_heads: int = 0
    head_dim: int = 0
    ffn: int = 0
    text_vocab: int = 0  # entries of the tokenizer before the special tokens
    spare_rows: int = 0  # rows of the embedding without a token
    codebooks: int = 8
    codes: int = 1024  # of a codebook, without its BOS and EOS
    rope: str = "llama3"
    eps: float = 1e-5
    sparse: bool = False  # config.json without the norms' epsilon where it is the class's default
    dtype: str = "bf16"
    sharded: bool = False
    adapter: str = "plain"
    waves: bool = False  # some clips are audio files
    generate: bool = False
    train: str = ""  # form of the adapter that is trained
    merge: bool = False
    reduction: str = "mean"  # of the codebooks' losses
    text_head: bool = True  # hf
    old_rope: bool = False  # hf: rope_theta and rope_scaling, as files of older versions have it
    audio_in: bool = True  # boson: encode_audio_in_tokens
    split: bool = False  # boson: embedding and text head in a frozen and a trainable part
    dual: list = field(default_factory=list)  # boson: audio_dual_ffn_layers
    fast_forward: bool = True  # boson: dual_ffn_fast_forward, else dual_ffn
    tower: bool = False  # boson: Whisper features
    long: bool = False  # boson: a clip of more than 30 s, which the tower hears in chunks

    def __str__(self):
        heads = f"H{self.heads}/{self.kv_heads}x{self.head_dim}"
        words = [f"D{self.hidden} L{self.layers} {heads} F{self.ffn} V{self.text_vocab}+{self.spare_rows}"]
        words += [f"K{self.codebooks}x{self.codes}", self.rope + ("-old" if self.old_rope else ""), self.dtype]
        if self.layout == "boson":
            words += ["dual_ffn"] * (not self.fast_forward) + ["no-audio-in"] * (not self.audio_in)
            words += [f"dual{self.dual}".replace(" ", "")] * (len(self.dual) < self.layers)
            words += ["tower"] * self.tower + [">30s"] * self.long + ["split"] * self.split
        words += (
            ["sparse"] * self.sparse
            + ["shards"] * self.sharded
            + ["waves"] * self.waves
            + ["no-text-head"] * (not self.text_head)
        )
        words += ["sum"] * (self.reduction == "sum") + [self.adapter]
        return " ".join(words)


def random_plan(layout, seed):
    rng = random.Random(f"{layout} {seed}")
    plan = Plan(layout, seed)
    plan.kv_heads = rng.choice([1, 2, 3])
    plan.heads = plan.kv_heads * rng.choice([1, 2, 3])
    plan.head_dim = rng.choice([8, 12, 16])
    plan.hidden = rng.choice([24, 32, 40, 56])
    plan.layers = rng.choice([1, 2, 2, 3])
    plan.ffn = rng.choice([24, 48, 80])
    plan.text_vocab = rng.randrange(300, 1793)
    plan.spare_rows = rng.choice([0, 0, 7])
    plan.rope = rng.choice(["plain", "llama3", "llama3", "llama3b"])
    plan.eps = rng.choice([1e-5, 1e-6])
    plan.sparse = plan.eps == (1e-5 if layout == "hf" else 1e-6) and rng.random() < 0.5
    plan.dtype = rng.choice(["bf16", "bf16", "fp32"])
    plan.sharded = rng.random() < 0.3
    plan.reduction = rng.choice(["mean", "mean", "sum"])
    plan.adapter = ADAPTERS[seed % len(ADAPTERS)]
    turn = (seed + seed // len(ADAPTERS)) % 4  # so that each form meets each extra check
    plan.waves = turn == 0
    plan.generate = turn == 1
    plan.train = TRAINED[seed // 4 % len(TRAINED)] if turn == 2 else ""
    plan.merge = turn == 3 and plan.adapter != "bias"
    if not plan.waves and not plan.generate:  # the codec has 8 codebooks of 1024
        plan.codebooks, plan.codes = rng.choice([(8, 1024), (8, 62), (4, 126), (8, 1024)])
    if layout == "hf":
        plan.hidden = plan.heads * rng.choice([8, 12]) if plan.heads > 3 else plan.heads * rng.choice([16, 24])
        plan.text_head = rng.random() < 0.75
        plan.old_rope = rng.random() < 0.25
    else:
        boson_choices(plan, rng, seed)
    return plan


def boson_choices(plan, rng, seed):
    plan.tower = seed % 7 == 4
    plan.audio_in = rng.random() < 0.7
    plan.split = rng.random() < 0.3
    plan.dual = list(range(plan.layers))
    if seed % 5 == 3:
        plan.layers = max(plan.layers, 2)
        plan.dual = sorted(rng.sample(range(plan.layers), rng.randrange(1, plan.layers)))
    plan.fast_forward = rng.random() < 0.7
    if plan.tower:
        plan.waves, plan.generate, plan.codebooks, plan.codes = True, False, 8, 1024
        plan.adapter = "regex"
        plan.long = seed // 7 % 2 == 1
        plan.audio_in = plan.audio_in and not plan.long
