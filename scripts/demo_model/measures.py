"""What a listener would say of a clip, in figures: which words, which pitch, which speaker."""

import os
import tempfile
from functools import lru_cache

import numpy as np
import soxr

DIGITS = "zero one two three four five six seven eight nine".split()


@lru_cache
def _recognizer(words: tuple):
    from pocketsphinx import Config, Decoder, get_model_path
    models = get_model_path("en-us")
    with tempfile.TemporaryDirectory() as folder:
        grammar = os.path.join(folder, "words.gram")
        with open(grammar, "w", encoding="utf-8") as file:
            file.write(f"#JSGF V1.0; grammar g; public <g> = ({' | '.join(words)})+;")
        return Decoder(Config(hmm=os.path.join(models, "en-us"), dict=os.path.join(models, "cmudict-en-us.dict"),
                              jsgf=grammar, loglevel="FATAL", wip=1e-3, silprob=0.1, beam=1e-60, wbeam=1e-40,
                              pbeam=1e-60))


def recognize(signal: np.ndarray, rate: int, words=tuple(DIGITS)) -> list:
    """The words that pocketsphinx hears, out of `words`. A little noise under it: its models know no digital silence.

    Settings were chosen by original recordings, the target's among them: with a word penalty of 1e-6 words were dropped."""
    decoder = _recognizer(tuple(words))
    signal = soxr.resample(signal.astype(np.float32), rate, 16000)
    signal = np.concatenate([np.zeros(4800), signal, np.zeros(4800)])
    signal = signal / max(np.abs(signal).max(), 1e-5) * 0.5
    signal = signal + np.random.RandomState(0).randn(len(signal)) * 1e-3
    decoder.start_utt()
    decoder.process_raw((signal * 32767).astype(np.int16).tobytes(), full_utt=True)
    decoder.end_utt()
    heard = decoder.hyp()
    return [word.split("(")[0] for word in heard.hypstr.split()] if heard else []


def edits(said: list, heard: list) -> int:
    """Levenshtein distance in words."""
    row = list(range(len(heard) + 1))
    for i, a in enumerate(said, 1):
        diagonal, row[0] = row[0], i
        for j, b in enumerate(heard, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (a != b))
    return row[-1]


def pitch(signal: np.ndarray, rate: int) -> float:
    """Median of the fundamental frequency where there is one (WORLD's harvest), Hz."""
    import pyworld
    f0, _ = pyworld.harvest(signal.astype(np.float64), rate, f0_floor=60.0, f0_ceil=450.0, frame_period=10.0)
    voiced = f0[f0 > 0]
    return float(np.median(voiced)) if len(voiced) else float("nan")


@lru_cache
def _speaker_encoder():
    from resemblyzer import VoiceEncoder
    return VoiceEncoder("cpu", verbose=False)


def speaker(signal: np.ndarray, rate: int) -> np.ndarray:
    """Unit vector of who speaks (Resemblyzer's GE2E encoder); dot products are similarities."""
    from resemblyzer import preprocess_wav
    return _speaker_encoder().embed_utterance(preprocess_wav(signal.astype(np.float32), source_sr=rate))
