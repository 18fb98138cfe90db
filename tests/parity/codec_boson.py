"""Audio tokenizers of the boson layout by boson_multimodal: random ones, encoding with each stage's residual, decoding.

The reference's constructor fixes all widths (DAC 64 and 1024, HuBERT 768); here its parts are put together in small
sizes, and its own encode and decode run on them.
"""

import json
import os
import random

import torch
from torch import nn
from transformers import HubertConfig, HubertModel

from boson_imports import higgs_audio_tokenizer as reference
from codecs_common import RATE, CachedCodes, fill_codec, fit_codebooks

STRIDES = [8, 5, 4, 2, 3]


class SmallTokenizer(reference.HiggsAudioTokenizer):
    def __init__(self, config, hubert, width, decoder_width):
        nn.Module.__init__(self)
        acoustic, semantic = config["D"], hubert.hidden_size
        self.sample_rate, self.n_q, self.device = config["sample_rate"], config["n_q"], "cpu"
        self.semantic_techer, self.semantic_sample_rate = config["semantic_techer"], 16000
        self.hop_length, self.frame_rate, self.downsample_mode = 960, 25, "step_down"
        self.semantic_downsample_factor = 2
        self.encoder = reference.dac2.Encoder(width, config["ratios"], acoustic)
        self.decoder_2 = reference.dac2.Decoder(acoustic, decoder_width, config["ratios"])
        self.semantic_model = HubertModel(hubert).eval()
        self.encoder_semantic = reference.Encoder(input_channels=semantic, encode_channels=semantic)
        self.decoder_semantic = reference.Decoder(code_dim=semantic, output_channels=semantic, decode_channels=semantic)
        self.quantizer_type = "RVQ"
        self.quantizer = reference.ResidualVectorQuantizer(
            dimension=acoustic + semantic, codebook_dim=config["codebook_dim"], n_q=config["n_q"], bins=config["bins"]
        )
        self.fc_prior = nn.Linear(acoustic + semantic, acoustic + semantic)
        self.fc_post1 = nn.Linear(acoustic + semantic, semantic)
        self.fc_post2 = nn.Linear(acoustic + semantic, acoustic)
        self.audio_tokenizer_feature_extractor = reference.HiggsAudioFeatureExtractor(sampling_rate=RATE)


def write_codec(folder, seed):
    """A random codec: config.json, model.pth, HuBERT's settings beside it. Returns what was varied."""
    rng = random.Random(f"codec boson {seed}")
    semantic, layers = rng.choice([32, 48]), rng.choice([1, 2, 3])
    acoustic, width = rng.choice([16, 32]), rng.choice([2, 3])
    config = {
        "n_filters": 32, "D": acoustic, "target_bandwidths": [0.5, 1, 1.5, 2], "ratios": STRIDES, "sample_rate": RATE,
        "bins": 1024, "n_q": 8, "codebook_dim": rng.choice([4, 8]), "normalize": False, "causal": False,
        "semantic_techer": "hubert_base_general", "last_layer_semantic": True, "merge_mode": "concat",
        "downsample_mode": "step_down", "semantic_mode": "classic", "vq_scale": 1, "semantic_sample_rate": 16000,
    }  # fmt: skip
    hubert = HubertConfig(
        hidden_size=semantic, num_hidden_layers=layers, num_attention_heads=rng.choice([2, 4]), intermediate_size=40,
        conv_dim=[rng.choice([8, 16])] * 7, num_conv_pos_embeddings=rng.choice([32, 128]),
        num_conv_pos_embedding_groups=rng.choice([2, 4]), mask_time_prob=0.0, vocab_size=32,
    )  # fmt: skip
    model = SmallTokenizer(config, hubert, width, 32 * rng.choice([1, 2])).eval()
    fill_codec(model, seed)
    layers_of = model.quantizer.vq.layers
    for layer in layers_of:
        layer._codebook.inited.fill_(1)
    noise = 0.1 * torch.randn(1, 1, RATE * 6, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        residual = Codec(model).embedding(noise)
        stages = [(q.project_in, q.project_out, q._codebook.embed, decoder(q)) for q in layers_of]
        fit_codebooks(residual, stages, seed)
    os.makedirs(os.path.join(folder, "semantic_model"))
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as file:
        json.dump(config, file)
    torch.save(model.state_dict(), os.path.join(folder, "model.pth"))
    hubert.save_pretrained(os.path.join(folder, "semantic_model"))
    return f"semantic {semantic}x{layers} acoustic {acoustic} width {width} codes {config['codebook_dim']}"


def decoder(quantizer):
    return lambda codes: quantizer.decode(codes[None])


class Codec(CachedCodes):
    def __init__(self, model, folder=""):
        self.model, self.folder, self.known = model, folder, {}

    @classmethod
    def open(cls, folder):
        """From model.pth, as the reference loads it; widths as the tensors have them."""
        with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
            config = json.load(file)
        tensors = torch.load(os.path.join(folder, "model.pth"))
        widths = [len(tensors[f"{name}.0.weight_v"]) for name in ("encoder.block", "decoder_2.model")]
        hubert = HubertConfig.from_pretrained(os.path.join(folder, "semantic_model"))
        model = SmallTokenizer(config, hubert, *widths)
        model.load_state_dict(tensors, strict=True)
        return cls(model.eval(), folder)

    def embedding(self, wave):
        """[1, D, T]: what the quantizer gets for `wave` [1, 1, n]."""
        seen = []
        hook = self.model.fc_prior.register_forward_hook(lambda module, inputs, output: seen.append(output))
        self.model._xcodec_encode(wave)
        hook.remove()
        return seen[-1].transpose(1, 2)

    def semantic(self, wave):
        """HuBERT's features [T, W] of a wave [n]."""
        return self.model.get_regress_target(torch.from_numpy(wave)[None, None])[0]

    def encode(self, wave):
        """(codes [8, T], [projected residual [T, d] before each stage])."""
        points = []
        with torch.no_grad():
            codes = self.model.encode(wave, RATE)
            residual = self.embedding(torch.from_numpy(wave)[None, None])
            for k, quantizer in enumerate(self.model.quantizer.vq.layers):
                points.append(quantizer.project_in(residual.transpose(1, 2))[0])
                residual = residual - quantizer.decode(codes[None, k])
        return codes, points

    def codebook(self, k):
        return self.model.quantizer.vq.layers[k]._codebook.embed

    def decode(self, codes):
        return torch.from_numpy(self.model.decode(codes[None]))[0, 0]


def shared_folder(folder):
    """The codec that the cases of models use: a random one."""
    write_codec(folder, 0)
    return folder
