"""The demo's language model in transformers: its shape, its prompts, a forward pass for training."""

import torch
import torch.nn.functional as F
from transformers import GenerationConfig, HiggsAudioV2Config, HiggsAudioV2ForConditionalGeneration

from codec import ENTRIES, QUANTIZERS

BOS, EOS, SIZE = ENTRIES, ENTRIES + 1, ENTRIES + 2
SYSTEM = "Generate audio following instruction."
SCENE = "Audio is recorded from a quiet room."  # what `generate --text` says where nothing else is asked for
OTHER = "Another voice."  # the scene of voices that the base shall know, and not speak with unasked


def make_config(tokenizer, hidden=256, layers=4, intermediate=512, heads=8, key_value_heads=2):
    token = tokenizer.token_to_id
    return HiggsAudioV2Config(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=hidden, intermediate_size=intermediate,
        num_hidden_layers=layers, num_attention_heads=heads, num_key_value_heads=key_value_heads,
        head_dim=hidden // heads, codebook_size=SIZE, num_codebooks=QUANTIZERS, audio_stream_bos_id=BOS,
        audio_stream_eos_id=EOS, audio_token_id=token("<|AUDIO_OUT|>"), audio_bos_token_id=token("<|audio_out_bos|>"),
        audio_delay_token_id=token("<|reserved_special_token_6|>"), bos_token_id=token("<|begin_of_text|>"),
        eos_token_id=token("<|eot_id|>"), pad_token_id=token("<|end_of_text|>"))


def prompt(tokenizer, text, scene=""):
    scene = f"\n\n<|scene_desc_start|>\n{scene}\n<|scene_desc_end|>" if scene else ""
    return tokenizer.encode(
        f"<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n{SYSTEM}{scene}<|eot_id|><|start_header_id|>user"
        f"<|end_header_id|>\n\n{text}<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n<|audio_out_bos|>",
        add_special_tokens=False).ids


def delay(codes):
    """codes (8, T) -> rows (T + 9, 8): codebook k starts k rows later, BOS before it and EOS behind it."""
    length = codes.shape[1]
    rows = torch.full((length + 9, QUANTIZERS), EOS)
    for k in range(QUANTIZERS):
        rows[: k + 1, k] = BOS
        rows[k + 1: k + 1 + length, k] = codes[k]
    return rows


def collate(prompts, rows):
    """Prompts of one length; rows padded with EOS, labels with -100 (as are those of BOS)."""
    length = max(len(r) for r in rows)
    padded = torch.full((len(rows), length, QUANTIZERS), EOS)
    labels = torch.full((len(rows), length, QUANTIZERS), -100)
    for b, r in enumerate(rows):
        padded[b, : len(r)] = labels[b, : len(r)] = r
    labels[labels == BOS] = -100
    return torch.tensor(prompts), padded, labels


def _rotate(x, cos, sin):
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat((-b, a), -1) * sin


def _attend(q, k, v):
    """Causal attention of q (B, H, L, D) to k and v (B, K, L, D), H / K heads to one of theirs. Faster in training than
    torch's own, whose backward pass on a CPU is made for long sequences."""
    batch, heads, length, width = q.shape
    groups = batch * k.shape[1]
    q = (q * width ** -0.5).reshape(groups, -1, width)
    scores = torch.bmm(q, k.reshape(groups, length, width).transpose(1, 2)).view(groups, -1, length, length)
    scores = scores + torch.full((length, length), float("-inf"), dtype=scores.dtype).triu(1)
    shares = torch.softmax(scores, -1).to(v.dtype).view(groups, -1, length)
    return torch.bmm(shares, v.reshape(groups, length, width)).view(batch, heads, length, width)


def forward(lm, ids, rows, dropout=0.0):
    """ids (B, P), rows (B, L, 8) -> logits (B, L, 8, SIZE); those at position t are of row t, the first row being
    predicted by the prompt's last token. The same function as the model's own forward pass, which takes no batch of
    prompts and rows in one go."""
    model, length = lm.model, ids.shape[1]
    x = torch.cat([model.embed_tokens(ids), model.embed_audio_tokens(rows)], 1)
    batch, total = x.shape[:2]
    cos, sin = (t[:, None] for t in model.rotary_emb(torch.zeros(1, 1, 1), torch.arange(total)[None]))
    x = F.dropout(x, dropout)
    for layer in model.layers:
        attention = layer.self_attn
        h = torch.cat([layer.input_layernorm(x[:, :length]), layer.audio_input_layernorm(x[:, length:])], 1)
        q, k, v = (linear(h).view(batch, total, -1, attention.head_dim).transpose(1, 2)
                   for linear in (attention.q_proj, attention.k_proj, attention.v_proj))
        q, k = _rotate(q, cos, sin), _rotate(k, cos, sin)
        h = _attend(q.to(v.dtype), k.to(v.dtype), v)
        x = x + attention.o_proj(h.transpose(1, 2).reshape(batch, total, -1))
        text = layer.mlp(layer.post_attention_layernorm(x[:, :length]))
        audio = layer.audio_mlp(layer.audio_post_attention_layernorm(x[:, length:]))
        x = x + F.dropout(torch.cat([text, audio], 1), dropout)
    h = model.norm(x)[:, length - 1: -1]
    return lm.audio_lm_head(h).view(batch, -1, QUANTIZERS, SIZE)


def new(tokenizer):
    lm = HiggsAudioV2ForConditionalGeneration(make_config(tokenizer))
    config = lm.config
    lm.generation_config = GenerationConfig(
        do_sample=True, temperature=0.3, top_k=20, max_new_tokens=200, bos_token_id=config.bos_token_id,
        eos_token_id=config.eos_token_id, pad_token_id=config.pad_token_id)
    return lm
