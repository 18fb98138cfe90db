"""The boson layout by boson_multimodal: random bases, samples, collation, forward, generation."""

import os
import shutil
from types import SimpleNamespace

import librosa
import torch
from transformers import AutoTokenizer, WhisperFeatureExtractor
from transformers.models.llama import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaDecoderLayer, LlamaSdpaAttention
from transformers.utils import logging

import chatml
from boson_imports import (
    ChatMLDatasetSample, HiggsAudioConfig, HiggsAudioEncoderConfig, HiggsAudioModel, HiggsAudioSampleCollator,
    prepare_chatml_sample,
)  # fmt: skip
from models import ROPE_SCALING, ROPE_THETA, edit_json, fill, rewrite, write_tokenizer
from objective import Forward

logging.disable_progress_bar()

AUDIO_EMBEDDING = "audio_codebook_embeddings"
COLLATES = True
MEL_BINS = 128


def config_of(plan, special):
    """Ids and rope in the nested way of this layout. Its tower hears 30 s: 3000 mel frames, 1500 positions."""
    text = LlamaConfig(
        vocab_size=plan.text_vocab + len(special) + plan.spare_rows, hidden_size=plan.hidden, intermediate_size=plan.ffn,
        num_hidden_layers=plan.layers, num_attention_heads=plan.heads, num_key_value_heads=plan.kv_heads,
        head_dim=plan.head_dim, max_position_embeddings=2048, rms_norm_eps=plan.eps, rope_theta=ROPE_THETA[plan.rope],
        rope_scaling=ROPE_SCALING[plan.rope], bos_token_id=special["<|begin_of_text|>"],
        eos_token_id=special["<|eot_id|>"], tie_word_embeddings=False,
    )  # fmt: skip
    encoder = HiggsAudioEncoderConfig(
        num_mel_bins=MEL_BINS, d_model=16, encoder_layers=2, encoder_attention_heads=2, encoder_ffn_dim=24,
        pad_token_id=special["<|end_of_text|>"],
    )  # fmt: skip
    return HiggsAudioConfig(
        text_config=text, audio_encoder_config=encoder, use_delay_pattern=True, encode_audio_in_tokens=plan.audio_in,
        audio_adapter_type="dual_ffn_fast_forward" if plan.fast_forward else "dual_ffn",
        audio_dual_ffn_layers=plan.dual, audio_ffn_hidden_size=plan.hidden, audio_ffn_intermediate_size=plan.ffn,
        skip_audio_tower=not plan.tower, encode_whisper_embed=plan.tower, audio_num_codebooks=plan.codebooks,
        audio_codebook_size=plan.codes, audio_stream_bos_id=plan.codes, audio_stream_eos_id=plan.codes + 1,
        audio_in_token_idx=special["<|AUDIO|>"], audio_out_token_idx=special["<|AUDIO_OUT|>"],
        pad_token_id=special["<|end_of_text|>"], audio_out_bos_token_id=special["<|audio_out_bos|>"],
        audio_eos_token_id=special["<|audio_eos|>"],
    )  # fmt: skip


def write_base(folder, plan):
    """Writes a random base; returns the folder that higgs_train gets: with `split` a copy in its form as trained."""
    os.makedirs(folder)
    special = write_tokenizer(folder, plan.text_vocab)
    model = HiggsAudioModel(config_of(plan, special))
    rows = [k * (plan.codes + 2) + plan.codes + 1 for k in range(plan.codebooks)]
    fill(model, plan.seed, rows if plan.generate else None)
    model.to({"bf16": torch.bfloat16, "fp32": torch.float32}[plan.dtype])
    sharded = plan.sharded and not plan.split
    model.save_pretrained(folder, max_shard_size="200KB" if sharded else "5GB")
    if plan.sparse:
        edit_json(os.path.join(folder, "config.json"), lambda config: config["text_config"].pop("rms_norm_eps"))
    if not plan.split:
        return folder
    copy = folder + "_split"
    shutil.copytree(folder, copy)
    rewrite(copy, lambda tensors: split(tensors, plan))
    return copy


def split(tensors, plan):
    """As the reference's training leaves it: embedding and text head in two parts, and tensors without use."""
    cut = plan.text_vocab + 5
    for name, part in (("embed_tokens", "embedding"), ("audio_decoder_proj.text_lm_head", "linear")):
        whole = tensors.pop(f"{name}.weight")
        tensors[f"{name}.{part}_frozen.weight"] = whole[:cut].clone()
        tensors[f"{name}.{part}_trainable.weight"] = whole[cut:].clone()
    tensors["audio_codebook_weights"] = torch.ones(plan.codebooks) / plan.codebooks
    tensors["rotary_emb.inv_freq"] = torch.ones(plan.head_dim // 2)
    return tensors


def load(folder):
    model, report = HiggsAudioModel.from_pretrained(folder, torch_dtype=torch.float32, output_loading_info=True)
    if report["missing_keys"] or report["unexpected_keys"]:
        raise ValueError(f"{folder}: missing {report['missing_keys']}, unexpected {report['unexpected_keys']}")
    mend_plain_layers(model)
    return model.eval()


def mend_plain_layers(model):
    """Plain Llama layers (`dual_ffn` with some layers only) get the attention of all others.

    The reference builds them with eager attention and gives them no mask where nothing is padded: they then attend to
    later positions too, so that a prompt of a length that needs no padding, and every prompt of `generate`, comes out
    different from the same prompt in a padded batch.
    """
    for layer in model.layers:
        if isinstance(layer, LlamaDecoderLayer):
            attention = layer.self_attn
            mended = LlamaSdpaAttention(attention.config, attention.layer_idx)
            mended.load_state_dict(attention.state_dict())
            layer.self_attn = mended


def load_merged(folder, plan):
    """A merged base. One that is in two parts is put together first, as the reference's own loader does."""
    if plan.split:
        rewrite(folder, join)
    return load(folder)


def join(tensors):
    for name, part in (("embed_tokens", "embedding"), ("audio_decoder_proj.text_lm_head", "linear")):
        parts = [tensors.pop(f"{name}.{part}_{which}.weight", None) for which in ("frozen", "trainable")]
        if parts[0] is not None:
            tensors[f"{name}.weight"] = torch.cat(parts)
    return {name: t for name, t in tensors.items() if name not in ("audio_codebook_weights", "rotary_emb.inv_freq")}


class Samples:
    """The samples of a manifest, tokenized, with codes and waves of their clips."""

    def __init__(self, base, plan, folder, samples, codes_of):
        self.tokenizer = AutoTokenizer.from_pretrained(base)
        self.tokens = [self.tokenize(sample) for sample in samples]
        self.samples, self.codes_of, self.plan, self.folder = samples, codes_of, plan, folder

    def tokenize(self, sample):
        ids, labels, audios, speaker = prepare_chatml_sample(dict(sample), self.tokenizer)
        if ids is None:
            raise ValueError(f"boson_multimodal refuses {sample}")
        return ids, labels, [audio.audio_url for audio in audios], speaker

    def dataset_sample(self, ids, labels, urls):
        """Codes of the clips that are spoken, or heard as codes; with a tower the waves of those that are heard."""
        empty, codes, waves = torch.zeros(self.plan.codebooks, 0, dtype=torch.long), [], []
        for url, token in zip(urls, self.placeholders(ids)):
            heard = token == "<|AUDIO|>"
            codes.append(empty if heard and not self.plan.audio_in else self.codes_of(url).long())
            if heard and self.plan.tower:
                waves.append(librosa.load(os.path.join(self.folder, url), sr=None, mono=True))
        return ChatMLDatasetSample(
            input_ids=torch.tensor(ids), label_ids=None if labels is None else torch.tensor(labels),
            audio_ids_concat=torch.cat(codes, 1) if codes else empty, audio_ids_start=starts(codes),
            audio_waveforms_concat=torch.cat([torch.from_numpy(w) for w, _ in waves]) if waves else torch.zeros(0),
            audio_waveforms_start=starts([w for w, _ in waves]),
            audio_sample_rate=torch.tensor([rate for _, rate in waves]),
            audio_speaker_indices=torch.full((len(urls),), -1),
        )  # fmt: skip

    def placeholders(self, ids):
        names = {self.tokenizer.convert_tokens_to_ids(name): name for name in ("<|AUDIO|>", "<|AUDIO_OUT|>")}
        return [names[token] for token in ids if token in names]


def starts(parts):
    lengths = [part.shape[-1] for part in parts]
    return torch.tensor([sum(lengths[:i]) for i in range(len(lengths))], dtype=torch.long)


def collate(config, rows):
    """The collator with generation.py's parameters, which let the model hear reference voices."""
    whisper = SimpleNamespace(feature_extractor=WhisperFeatureExtractor(feature_size=MEL_BINS))
    collator = HiggsAudioSampleCollator(
        whisper_processor=whisper, encode_whisper_embed=config.encode_whisper_embed,
        audio_in_token_id=config.audio_in_token_idx, audio_out_token_id=config.audio_out_token_idx,
        audio_stream_bos_id=config.audio_stream_bos_id, audio_stream_eos_id=config.audio_stream_eos_id,
        pad_token_id=config.pad_token_id, return_audio_in_tokens=config.encode_audio_in_tokens,
        use_delay_pattern=config.use_delay_pattern, audio_num_codebooks=config.audio_num_codebooks, round_to=1,
    )  # fmt: skip
    return collator(rows)


def collated(config, samples):
    return collate(config, [samples.dataset_sample(ids, labels, urls) for ids, labels, urls, _ in samples.tokens])


def forward(model, samples):
    """All samples as one padded batch, of which the real positions are kept."""
    batch = collated(model.config, samples)
    seen = []
    hook = model.norm.register_forward_hook(lambda module, inputs, output: seen.append(output))
    fields = {name: value for name, value in vars(batch).items() if name != "reward"}
    out = model(**fields, use_cache=False)
    hook.remove()
    real = out.attention_mask.bool()
    features = out.audio_in_mask & ~out.audio_in_discrete_codes_mask  # of the tower
    kind = out.audio_in_discrete_codes_mask.long() + 2 * out.audio_out_mask.long() + 3 * features.long()
    none = torch.zeros(0, samples.plan.codebooks, dtype=torch.long)
    labels = batch.label_audio_ids.T if batch.label_audio_ids.numel() else none
    return Forward(
        seen[0][real], kind[real], out.expanded_labels[real], labels, out.audio_logits, out.logits[real],
        real.sum(1).tolist(),
    )  # fmt: skip


def generate(model, samples, num_columns):
    """Columns [K, L] of the greedy continuation of the last sample's prompt, the forced BOS column first."""
    ids, _, urls, _ = samples.tokenize(chatml.prompt_of(samples.samples[-1]))
    ids = ids + samples.tokenizer.encode(chatml.PROMPT_END, add_special_tokens=False)
    batch = collate(model.config, [samples.dataset_sample(ids, None, urls)])
    names = ("input_ids", "attention_mask", "audio_features", "audio_feature_attention_mask", "audio_out_ids",
             "audio_out_ids_start", "audio_in_ids", "audio_in_ids_start")  # fmt: skip
    _, columns = model.generate(
        **{name: getattr(batch, name) for name in names}, do_sample=False, use_cache=True, max_new_tokens=num_columns,
        ras_win_len=None, eos_token_id=model.config.audio_eos_token_id,
    )  # fmt: skip
    return columns[-1]
