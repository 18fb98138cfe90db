"""What random audio tokenizers of both layouts share: values, codebooks that fit their features, margins, the cache."""

import librosa
import soundfile
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


def has_tie(points, codebook_of):
    """Whether a code's distance is, but for rounding, another's too. `points`: residuals [T, d] of each stage."""
    for step, features in enumerate(points):
        nearest = torch.cdist(features.double(), codebook_of(step).double()).topk(2, largest=False).values
        if bool((nearest[:, 1] ** 2 - nearest[:, 0] ** 2 <= 1e-4 * nearest[:, 0] ** 2).any()):
            return True
    return False


class CachedCodes:
    """`codes_of(path)` for clips of a manifest: codes as stored, or encoded by the Python codec once. A clip with a tie
    becomes a little quieter until it has none: which code it takes would be chance, and all that follows too."""

    def codes_of(self, path):
        if path not in self.known:
            stored = path.endswith(".safetensors")
            self.known[path] = load_file(path)["codes"].long() if stored else self.codes_without_ties(path)
        return self.known[path]

    def codes_without_ties(self, path):
        codes, points = self.encode(self.load(path))
        while has_tie(points, self.codebook):
            wave, rate = soundfile.read(path, dtype="float32")
            soundfile.write(path, 0.97 * wave, rate, subtype=soundfile.info(path).subtype)
            codes, points = self.encode(self.load(path))
        return codes

    def load(self, path):
        """At the codec's rate as the reference loads a clip: mono at its own rate, then librosa's resampling."""
        wave, rate = librosa.load(path, sr=None, mono=True)
        return librosa.resample(wave, orig_sr=rate, target_sr=RATE) if rate != RATE else wave
