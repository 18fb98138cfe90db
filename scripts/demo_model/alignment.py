"""When each word and phone of a known text is said: pocketsphinx's forced alignment."""

import os
from functools import lru_cache

import numpy as np
import soxr

PHONES = ("SIL AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z "
          "ZH").split()
_LEAD = 0.2  # silence put before and after, seconds


@lru_cache
def _decoder():
    from pocketsphinx import Config, Decoder, get_model_path
    models = get_model_path("en-us")
    return Decoder(Config(hmm=os.path.join(models, "en-us"), dict=os.path.join(models, "cmudict-en-us.dict"), lm=None,
                          bestpath=False, loglevel="FATAL", beam=1e-80, wbeam=1e-80, pbeam=1e-80))


def align(signal: np.ndarray, rate: int, text: str):
    """(words, phones): lists of (name, start, end) in seconds, silence left out of the words. None where the recognizer
    does not find the text in the signal."""
    decoder = _decoder()
    wave = soxr.resample(signal.astype(np.float32), rate, 16000)
    wave = np.pad(wave / max(np.abs(wave).max(), 1e-5) * 0.5, int(_LEAD * 16000))
    data = ((wave + np.random.RandomState(0).randn(len(wave)) * 3e-3) * 32767).astype(np.int16).tobytes()
    try:
        decoder.set_align_text(text)
        for second in (False, True):
            if second:
                decoder.set_alignment()
            decoder.start_utt()
            decoder.process_raw(data, full_utt=True)
            decoder.end_utt()
        words, phones = [], []
        for word in decoder.get_alignment():
            if not word.name.startswith("<"):
                words.append((word.name.split("(")[0], word.start / 100 - _LEAD, (word.start + word.duration) / 100 - _LEAD))
            phones += [(phone.name.split("_")[0], phone.start / 100 - _LEAD, (phone.start + phone.duration) / 100 - _LEAD)
                       for phone in word]
    except (RuntimeError, TypeError, ValueError):
        return None
    return (words, phones) if [word[0] for word in words] == text.split() else None
