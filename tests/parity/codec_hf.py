"""Audio tokenizers of the HF layout by transformers: random ones, encoding with each stage's residual, decoding."""

import os
import random

import torch
from transformers import DacConfig, HiggsAudioV2TokenizerConfig, HiggsAudioV2TokenizerModel, HubertConfig

from codecs_common import CachedCodes, fill_codec, fit_codebooks

GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../golden/hf/codec")
STRIDES = [8, 5, 4, 2, 3]


def write_codec(folder, seed):
    """A random codec with the released one's rates: 24 kHz, hop 960, 8 codebooks of 1024. Returns what was varied."""
    rng = random.Random(f"codec hf {seed}")
    semantic, layers = rng.choice([24, 32]), rng.choice([1, 2, 3])
    acoustic, width = rng.choice([8, 16]), rng.choice([2, 3])
    hubert = HubertConfig(
        hidden_size=semantic, num_hidden_layers=layers, num_attention_heads=rng.choice([2, 4]), intermediate_size=40,
        conv_dim=[rng.choice([8, 16])] * 7, num_conv_pos_embeddings=rng.choice([32, 128]),
        num_conv_pos_embedding_groups=rng.choice([2, 4]), mask_time_prob=0.0, vocab_size=32,
    )  # fmt: skip
    dac = DacConfig(
        encoder_hidden_size=width, downsampling_ratios=STRIDES, decoder_hidden_size=32 * width,
        upsampling_ratios=STRIDES, hidden_size=acoustic,
    )  # fmt: skip
    config = HiggsAudioV2TokenizerConfig(
        acoustic_model_config=dac, semantic_model_config=hubert, target_bandwidths=[0.5, 1, 1.5, 2],
        codebook_dim=rng.choice([4, 8]), codebook_size=1024,
    )  # fmt: skip
    model = HiggsAudioV2TokenizerModel(config).eval()
    fill_codec(model, seed)
    noise = 0.1 * torch.randn(1, 1, 24000 * 6, generator=torch.Generator().manual_seed(seed))
    codec = Codec(model)
    with torch.no_grad():
        residual = codec.embedding(noise)
        layers_of = [(q.project_in, q.project_out, q.codebook.embed, decoder(q)) for q in model.quantizer.quantizers]
        fit_codebooks(residual, layers_of, seed)
    model.save_pretrained(folder)
    return f"semantic {semantic}x{layers} acoustic {acoustic} width {width} codes {config.codebook_dim}"


def decoder(quantizer):
    return lambda codes: quantizer.decode(codes[None])


class Codec(CachedCodes):
    def __init__(self, model, folder=""):
        self.model, self.folder, self.known = model, folder, {}

    @classmethod
    def open(cls, folder):
        return cls(HiggsAudioV2TokenizerModel.from_pretrained(folder, dtype=torch.float32).eval(), folder)

    def embedding(self, wave):
        """[1, D, T]: what the quantizer gets for `wave` [1, 1, n]."""
        seen = []
        hook = self.model.fc.register_forward_hook(lambda module, inputs, output: seen.append(output))
        self.model.encode(wave)
        hook.remove()
        return seen[-1].transpose(1, 2)

    def semantic(self, wave):
        """HuBERT's features [T, W] of a wave [n]."""
        with torch.no_grad():
            return self.model._extract_semantic_features(torch.from_numpy(wave)[None, None])[0]

    def encode(self, wave):
        """(codes [8, T], [projected residual [T, d] before each stage])."""
        wave, points = torch.from_numpy(wave)[None, None], []
        with torch.no_grad():
            codes = self.model.encode(wave).audio_codes[0]
            residual = self.embedding(wave)
            for k, quantizer in enumerate(self.model.quantizer.quantizers):
                points.append(quantizer.project_in(residual.transpose(1, 2))[0])
                residual = residual - quantizer.decode(codes[None, k])
        return codes, points

    def codebook(self, k):
        return self.model.quantizer.quantizers[k].codebook.embed

    def decode(self, codes):
        with torch.no_grad():
            return self.model.decode(codes[None]).audio_values[0, 0]


def shared_folder(folder):
    """The codec that the cases of models use: the goldens'."""
    return GOLDEN
