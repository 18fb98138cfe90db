"""What random audio tokenizers of both layouts share: values, codebooks that fit their features, margins, the cache."""

import librosa
import torch
from safetensors.torch import load_file

RATE = 24000


def fill_codec(model, seed):
    """Random values: Snake's alpha near 1, weight norms positive, all else as keeps features near 1."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            values = torch.randn(parameter.shape, generator=generator)
            if name.endswith("alpha"):
                values = 1 + 0.3 * values.abs()
            elif name.endswith(("weight_g", "original0")):
                values = 0.5 + 0.3 * values.abs()
            elif parameter.dim() == 1:
                values = 1 + 0.1 * values if "norm" in name and name.endswith("weight") else 0.05 * values
            else:
                values = values / max(1, parameter[0].numel()) ** 0.5
            parameter.copy_(values)


def fit_codebooks(residual, quantizers, seed):
    """Codebooks like the projected residuals of `residual` [1, D, T] stage after stage, so that codes spread. Each of
    `quantizers`: (project_in, project_out, codebook [n, d], decode(codes [T]) -> [1, D, T])."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for project_in, project_out, codebook, decode in quantizers:
            points = project_in(residual.transpose(1, 2))[0]
            picked = points[torch.randint(0, len(points), (len(codebook),), generator=generator)]
            codebook.copy_(picked + 0.3 * points.std(0) * torch.randn(codebook.shape, generator=generator))
            inverse = torch.linalg.pinv(project_in.weight)  # so that the residual shrinks, as in a trained codec
            project_out.weight.copy_(0.7 * inverse)
            project_out.bias.copy_(-0.7 * inverse @ project_in.bias)
            residual = residual - decode(torch.cdist(points, codebook).argmin(-1))


def is_tie(features, codebook_of, step, frame, ours):
    """Whether our code's distance is the best one's but for rounding. `features`: the projected residual [d] there."""
    distances = (codebook_of(step).double() - features.double()).pow(2).sum(-1)
    best = distances.min()
    return bool(distances[ours] - best <= 1e-4 * best)


class CachedCodes:
    """`codes_of(path)` for clips of a manifest: codes as stored, or encoded by the Python codec once."""

    def codes_of(self, path):
        if path not in self.known:
            stored = path.endswith(".safetensors")
            self.known[path] = load_file(path)["codes"].long() if stored else self.encode(self.load(path))[0]
        return self.known[path]

    def load(self, path):
        """At the codec's rate as the reference loads a clip: mono at its own rate, then librosa's resampling."""
        wave, rate = librosa.load(path, sr=None, mono=True)
        return librosa.resample(wave, orig_sr=rate, target_sr=RATE) if rate != RATE else wave
