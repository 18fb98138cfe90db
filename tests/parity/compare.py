"""What one case compares: each quantity's largest deviation against its tolerance, and the verdict."""

import torch

# fp32 on both sides, other BLAS calls and another order of summation: measured below 3e-6 of the largest value.
FEATURES = 1e-5
# Log-mel features: transformers computes them in fp32 and is 1.0e-5 off its own float64 path on such waves (quiet bins,
# whose logarithm magnifies rounding); two fp32 ways were 1.8e-5 apart.
MEL = 5e-5
# A loss is a mean over many of these.
LOSS = 1e-5
# Sums over positions and through the layers; measured below 3e-5 of each tensor's largest value.
GRADIENTS = 1e-4


class Case:
    """Collects quantities in the order they are compared; nothing raises, so that all of them are seen."""

    def __init__(self, name, plan):
        self.name, self.plan = name, plan
        self.results, self.failures, self.notes = {}, [], []

    def note(self, text):
        self.notes.append(text)

    def fail(self, name, text):
        self.failures.append(f"{name}: {text}")
        self.results.setdefault(name, "FAIL")

    def check(self, good, name, text):
        if not good:
            self.fail(name, text)
        else:
            self.results.setdefault(name, "=")
        return good

    def equal(self, name, ours, theirs):
        """Integers (or text): the same, in the same shape."""
        if not torch.is_tensor(theirs):
            return self.check(ours == theirs, name, f"{ours!r} for {theirs!r}")
        if ours.shape != theirs.shape:
            return self.check(False, name, f"shape {list(ours.shape)} for {list(theirs.shape)}")
        differing = (ours.long() != theirs.long()).nonzero()
        where = (
            f"{len(differing)} of {theirs.numel()} differ, first at {differing[0].tolist()}" if len(differing) else ""
        )
        return self.check(not len(differing), name, where)

    def close(self, name, ours, theirs, tolerance, part=""):
        """Floats: the largest difference as a share of the largest value. `part` names the tensor among several."""
        ours, theirs = ours.detach().double(), theirs.detach().double()
        if ours.shape != theirs.shape:
            return self.fail(name, f"{part} shape {list(ours.shape)} for {list(theirs.shape)}")
        if theirs.numel() == 0:
            return None
        scale = theirs.abs().max().item()
        difference = (ours - theirs).abs()
        share = difference.max().item() / (scale or 1.0)
        seen = self.results.get(name)
        if not isinstance(seen, float) or not share <= seen:
            self.results[name] = share
        if not share <= tolerance:
            where = [int(i) for i in torch.unravel_index(difference.argmax(), difference.shape)]
            self.failures.append(
                f"{name}: {part} differs by {share:.2e} of its largest value {scale:.3g}, most at {where}"
            )
        return None

    def line(self):
        """The case's line of the table."""
        values = " ".join(f"{k} {v:.0e}" if isinstance(v, float) else f"{k}{v}" for k, v in self.results.items())
        notes = "".join(f" [{note}]" for note in self.notes)
        return f"{'FAIL' if self.failures else 'ok  '} {self.name:<14} {self.plan} | {values}{notes}"
