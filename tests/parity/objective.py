"""The training objective from logits and labels, as the reference defines it.

Position p predicts the label of p + 1, for text within a sample, for audio within a clip (a clip's first column has no
label). Text: sum of cross-entropies / number of text labels; codebook k the same with its own count; together text plus
the mean (or sum) over the codebooks. A part without labels is 0.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

IGNORE = -100


@dataclass
class Forward:
    """What a model says of a batch at its N real positions and M audio-out rows, under the names of `inspect forward`."""

    hidden: torch.Tensor  # [N, D]
    kind: torch.Tensor  # [N]
    text_labels: torch.Tensor  # [N]
    audio_labels: torch.Tensor  # [M, K]
    audio_logits: torch.Tensor  # [M, K, C]
    text_logits: torch.Tensor | None  # [N, V]
    lengths: list  # positions of each sample


def mean_loss(logits, labels):
    count = (labels != IGNORE).sum()
    return F.cross_entropy(logits, labels, ignore_index=IGNORE, reduction="sum") / count if count else logits.sum() * 0


def losses(forward, reduction):
    """(text, [K], together)."""
    targets = torch.full_like(forward.text_labels, IGNORE)
    begin = 0
    for length in forward.lengths:
        targets[begin : begin + length - 1] = forward.text_labels[begin + 1 : begin + length]
        begin += length
    if forward.text_logits is None:
        text = torch.zeros(())
    else:
        text = mean_loss(forward.text_logits, targets)
    logits, labels = forward.audio_logits[:-1], forward.audio_labels[1:]
    codebooks = torch.stack([mean_loss(logits[:, k], labels[:, k]) for k in range(labels.shape[1])])
    return text, codebooks, text + (codebooks.sum() if reduction == "sum" else codebooks.mean())
