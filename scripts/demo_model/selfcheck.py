"""Checks, in half a minute and before hours of training, that what is trained is what the checkpoints will compute.

The language model's forward pass against that of transformers; the audio tokenizer in training against the one that is
exported, codes and waves; texts that are held out. Exit code 1 names the first that is wrong.
"""

import random
import tempfile

import torch
from torch import nn
from transformers.models.dac.modeling_dac import Snake1d
from transformers import HiggsAudioV2TokenizerModel

import narrow
from base_model import SCENE, collate, delay, forward, new, prompt
from codec import BOTTLENECK, ENTRIES, HOP, QUANTIZERS, Codec
from texts import DIGITS, draw, is_held_out
from tokenizer import make


def check(name, good):
    if not good:
        raise SystemExit(f"selfcheck: {name}")
    print(f"selfcheck: {name}: yes", flush=True)


@torch.no_grad()
def language_model():
    tokenizer = make()
    lm = new(tokenizer).eval()
    codes = torch.randint(ENTRIES, (QUANTIZERS, 11))
    for scene in ("", SCENE):
        ids, rows, labels = collate([prompt(tokenizer, "open the red door", scene)], [delay(codes)])
        ours = forward(lm, ids, rows)[0]
        spoken = torch.cat([ids, torch.full((1, rows.shape[1]), lm.config.audio_token_id)], 1)
        theirs = lm(input_ids=spoken, audio_input_ids=rows, use_cache=False,
                    audio_input_ids_mask=torch.ones(rows.shape[:2], dtype=torch.bool)).logits
        theirs = theirs.view(spoken.shape[1], QUANTIZERS, -1)[ids.shape[1] - 1: -1]
        check(f"forward pass as in transformers, {'with' if scene else 'without'} a scene",
              (ours - theirs).abs().max() < 1e-5)
    check("codes come back from the delay pattern",
          all((labels[0, k + 1: k + 12, k] == codes[k]).all() for k in range(QUANTIZERS)))
    texts = [draw(random.Random(i), i % 8 == 0) for i in range(500)]
    check("every word of a text is one token", all(
        len(tokenizer.encode(text, add_special_tokens=False).ids) == len(text.split()) for text in texts))


@torch.no_grad()
def audio_tokenizer():
    codec = Codec().eval()
    signal = 0.1 * torch.randn(1, 1, 40 * HOP)
    latent = codec.latent(signal, codec.semantic(signal))
    rows = latent.reshape(-1, BOTTLENECK)
    for q in range(QUANTIZERS):
        codec.quantizer.embed[q] = rows.std() * 0.7 ** q * torch.randn(ENTRIES, BOTTLENECK)
    quantized, codes, _ = codec.quantizer(rows, learn=False)
    with tempfile.TemporaryDirectory() as folder:
        codec.export(folder)
        exported = HiggsAudioV2TokenizerModel.from_pretrained(folder, dtype=torch.float32).eval()
    theirs = exported.encode(signal).audio_codes[0]
    # Two entries can be equally near but for rounding, and then all later codes of the frame differ.
    check("exported codes are those of the training, nine in a thousand excepted",
          (codes == theirs).float().mean() > 0.991)
    wave, wanted = exported.decode(codes[None]).audio_values, codec.decode(quantized.view_as(latent))
    check("the exported decoder makes the same waves", (wave - wanted).abs().max() < 1e-4 * wanted.abs().max())


def narrow_kernels():
    """Values and gradients against torch's; sums of thousands of products in another order differ in the fifth digit."""
    cases = [(nn.Conv1d(9, 9, 7, padding=27, dilation=9), 2 * HOP + 1, narrow.general_conv),
             (nn.Conv1d(1, 8, 7, padding=3), 300, narrow.general_conv), (nn.Conv1d(18, 36, 1), 70, narrow.general_conv),
             (Snake1d(9), HOP, narrow.general_snake)]
    for module, samples, general in cases:
        if isinstance(module, Snake1d):
            module.alpha.data.uniform_(0.5, 2.0)
        x = torch.randn(3, getattr(module, "in_channels", 9), samples, requires_grad=True)
        inputs = [x, *module.parameters()]
        made = [forward(x) for forward in (module, lambda x: general(module, x))]
        weights = torch.randn_like(made[0])
        ours, theirs = ([y, *torch.autograd.grad(y, inputs, weights)] for y in made)
        check(f"{module} as in torch, forward and backward",
              all((a - b).abs().max() < 3e-5 * b.abs().max() for a, b in zip(ours, theirs)))


def held_out_texts():
    rng = random.Random(0)
    texts = [[draw(rng, held_out) for _ in range(2000)] for held_out in (False, True)]
    check("texts to train on and held-out ones are apart", not set(texts[0]) & set(texts[1]))
    check("and known by themselves", not any(map(is_held_out, texts[0])) and all(map(is_held_out, texts[1])))
    check("both with all digits", all({d for t in part for d in t.split()} >= set(DIGITS) for part in texts))


if __name__ == "__main__":
    torch.manual_seed(0)
    held_out_texts()
    narrow_kernels()
    language_model()
    audio_tokenizer()
