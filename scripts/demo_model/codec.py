"""The demo's audio tokenizer: the transformers model at toy size, and what its training needs beside it."""

import copy

import torch
from torch import nn
from transformers import (DacConfig, DacFeatureExtractor, HiggsAudioV2TokenizerConfig, HiggsAudioV2TokenizerModel,
                          HubertConfig)

import narrow

QUANTIZERS, ENTRIES, BOTTLENECK = 8, 256, 48
HOP = 960
narrow.use()


def make_config(encoder=8, decoder=288, acoustic=64, semantic=48):
    return HiggsAudioV2TokenizerConfig(
        acoustic_model_config=DacConfig(
            encoder_hidden_size=encoder, downsampling_ratios=[8, 6, 5, 4], decoder_hidden_size=decoder,
            upsampling_ratios=[2, 3, 4, 5, 8], hidden_size=acoustic, sampling_rate=24000, n_codebooks=QUANTIZERS,
            codebook_size=ENTRIES, codebook_dim=8).to_dict(),
        semantic_model_config=HubertConfig(
            hidden_size=semantic, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128,
            conv_dim=(32,) * 7, num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=4, vocab_size=32,
            hidden_dropout=0.0, attention_dropout=0.0, activation_dropout=0.0, final_dropout=0.0, layerdrop=0.0,
            apply_spec_augment=False, mask_time_prob=0.0).to_dict(),
        codebook_dim=BOTTLENECK, codebook_size=ENTRIES, target_bandwidths=[0.4, 0.8, 1.2, 1.6], sample_rate=24000)


class ResidualQuantizer(nn.Module):
    """Residual vector quantization of rows, entries as moving averages of what they stand for."""

    def __init__(self, decay=0.98):
        super().__init__()
        self.decay = decay
        self.register_buffer("embed", torch.zeros(QUANTIZERS, ENTRIES, BOTTLENECK))
        self.register_buffer("average", torch.zeros(QUANTIZERS, ENTRIES, BOTTLENECK))
        self.register_buffer("size", torch.ones(QUANTIZERS, ENTRIES))

    @staticmethod
    def nearest(rows, entries):
        return (2 * rows @ entries.t() - entries.pow(2).sum(1)).argmax(1)

    @torch.no_grad()
    def start(self, rows, rounds=15):
        """k-means of the rows, then of what it leaves, and so on."""
        residual = rows.clone()
        for q in range(QUANTIZERS):
            entries = residual[torch.randperm(len(residual))[:ENTRIES]].clone()
            for _ in range(rounds):
                nearest = self.nearest(residual, entries)
                count = torch.bincount(nearest, minlength=ENTRIES).float()
                total = torch.zeros_like(entries).index_add_(0, nearest, residual)
                spare = residual[torch.randint(len(residual), (ENTRIES,))]
                entries = torch.where(count[:, None] > 0, total / count.clamp(min=1)[:, None], spare)
            nearest = self.nearest(residual, entries)
            share = torch.bincount(nearest, minlength=ENTRIES).float().clamp(min=0.3) * (200.0 / len(residual))
            self.embed[q], self.size[q], self.average[q] = entries, share, entries * share[:, None]
            residual = residual - entries[nearest]
            print(f"quantizer {q}: {residual.pow(2).mean() / rows.pow(2).mean():.3f} of the power left", flush=True)

    def forward(self, rows, used=None, learn=True):
        """rows (N, D), used (N) quantizers per row -> quantized with the gradient passed through, codes (8, N),
        commitment loss."""
        residual, total, codes = rows.detach(), torch.zeros_like(rows), []
        for q in range(QUANTIZERS):
            entries = self.embed[q]
            nearest = self.nearest(residual, entries)
            picked = entries[nearest]
            if learn:
                self._learn(q, residual, nearest)
            if used is not None:
                picked = picked * (used > q).float()[:, None]
            total, residual = total + picked, residual - picked
            codes.append(nearest)
        return rows + (total - rows).detach(), torch.stack(codes), (rows - total.detach()).pow(2).mean()

    @torch.no_grad()
    def _learn(self, q, residual, nearest):
        count = torch.bincount(nearest, minlength=ENTRIES).float()
        total = torch.zeros_like(self.embed[q]).index_add_(0, nearest, residual)
        self.size[q].mul_(self.decay).add_(count, alpha=1 - self.decay)
        self.average[q].mul_(self.decay).add_(total, alpha=1 - self.decay)
        dead = self.size[q] < 0.02
        if dead.any() and torch.rand(()) < 0.05:
            self.average[q][dead] = residual[torch.randint(len(residual), (int(dead.sum()),))] * 0.05
            self.size[q][dead] = 0.05
        self.embed[q] = self.average[q] / self.size[q].clamp(min=1e-4)[:, None]


class Codec(nn.Module):
    """The tokenizer with one bottleneck for all quantizers, which export() folds into the layout of transformers."""

    def __init__(self, config=None):
        super().__init__()
        self.tokenizer = HiggsAudioV2TokenizerModel(config or make_config())
        hidden = self.tokenizer.config.hidden_size
        self.down, self.up = nn.Linear(hidden, BOTTLENECK), nn.Linear(BOTTLENECK, hidden)
        self.quantizer = ResidualQuantizer()
        self._start()

    def _start(self):
        """Weights that keep the variance of a signal from layer to layer; residual units begin close to nothing."""
        model = self.tokenizer
        for module in [*model.acoustic_encoder.modules(), *model.acoustic_decoder.modules()]:
            if isinstance(module, nn.Conv1d):
                nn.init.normal_(module.weight, std=(module.in_channels * module.kernel_size[0]) ** -0.5)
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.ConvTranspose1d):
                nn.init.normal_(module.weight, std=(module.in_channels * 2) ** -0.5)
                nn.init.zeros_(module.bias)
        with torch.no_grad():
            for module in [*model.acoustic_encoder.modules(), *model.acoustic_decoder.modules()]:
                if type(module).__name__ == "DacResidualUnit":
                    module.conv2.weight.mul_(0.3)
            model.acoustic_decoder.conv2.weight.mul_(0.1)
            for module in model.encoder_semantic.modules():
                if isinstance(module, nn.Conv1d):
                    module.weight.mul_(0.5)
        for linear in (model.fc, model.fc1, model.fc2, self.down, self.up):
            nn.init.normal_(linear.weight, std=linear.in_features ** -0.5)
            nn.init.zeros_(linear.bias)

    @torch.no_grad()
    def semantic(self, signal):
        """(B, 1, samples) -> (B, frames, semantic)"""
        return self.tokenizer._extract_semantic_features(signal)

    def latent(self, signal, semantic):
        model = self.tokenizer
        both = torch.cat([model.acoustic_encoder(signal), model.encoder_semantic(semantic.transpose(1, 2))], 1)
        return self.down(model.fc(both.transpose(1, 2)))

    def decode(self, quantized):
        return self.tokenizer.acoustic_decoder(self.tokenizer.fc2(self.up(quantized)).transpose(1, 2))

    def decode_semantic(self, quantized):
        """What the codes say of the semantic features: (B, frames, semantic)."""
        features = self.tokenizer.fc1(self.up(quantized)).transpose(1, 2)
        return self.tokenizer.decoder_semantic(features).transpose(1, 2)

    @torch.no_grad()
    def export(self, folder):
        """fc gives up(down(...)) and each quantizer undoes `up`, so that all work in the bottleneck."""
        model = copy.deepcopy(self.tokenizer).float()
        down, up = self.down.weight.double(), self.up.weight.double()
        down_bias, up_bias = self.down.bias.double(), self.up.bias.double()
        weight, bias = model.fc.weight.double(), model.fc.bias.double()
        model.fc.weight.copy_((up @ down @ weight).float())
        model.fc.bias.copy_((up @ (down @ bias + down_bias) + up_bias).float())
        undo = torch.linalg.pinv(up)
        for q, quantizer in enumerate(model.quantizer.quantizers):
            first = float(q == 0)
            quantizer.project_in.weight.copy_(undo.float())
            quantizer.project_in.bias.copy_((-first * (undo @ up_bias)).float())
            quantizer.project_out.weight.copy_(up.float())
            quantizer.project_out.bias.copy_((first * up_bias).float())
            quantizer.codebook.embed.copy_(self.quantizer.embed[q])
            quantizer.codebook.embed_avg.copy_(self.quantizer.average[q])
            quantizer.codebook.cluster_size.copy_(self.quantizer.size[q])
        model.save_pretrained(folder)
        DacFeatureExtractor(sampling_rate=24000, hop_length=HOP).save_pretrained(folder)
