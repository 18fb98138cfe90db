"""The speakers of the demo: free speech synthesizers made from recordings, at other paces and with other vocal tracts.

A voice is a way to turn a text into a mono signal. `warp` lengthens (above 1) the vocal tract by resampling: pitch and
formants move together, which makes another speaker of the same engine.
"""

import random
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
import ttspico

RATE = 24000


@dataclass(frozen=True)
class Voice:
    engine: str  # flite, festival or pico
    name: str  # the engine's name of it
    warp: float = 1.0
    rate: float = 1.0  # words per second, against the engine's own
    pitch: float = 1.0  # against the engine's own; flite's rms has no such setting

    @property
    def speaker(self) -> str:
        return f"{self.engine} {self.name}"


TARGET = Voice("flite", "awb", rate=0.9)  # the base never hears this speaker
STRANGER = Voice("flite", "slt")  # and the audio tokenizer never hears this one either


def _flite(voice, text, rate, path):
    subprocess.run(["flite", "-voice", voice.name, "--setf", f"duration_stretch={1 / rate:.3f}", "--setf",
                    f"f0_shift={voice.pitch:.3f}", "-t", text, "-o", path], check=True, stderr=subprocess.DEVNULL)


def _festival(voice, text, rate, path):
    script = (f"(begin (voice_{voice.name}) (Parameter.set 'Duration_Stretch {1 / rate:.3f})"
              f" (set! int_lr_params (cons (list 'target_f0_mean (* {voice.pitch} (cadr (car int_lr_params))))"
              " (cdr int_lr_params)))"
              f" (utt.save.wave (utt.synth (Utterance Text \"{text}\")) \"{path}\" 'riff))")
    subprocess.run(["festival", "--batch", script], check=True, stderr=subprocess.DEVNULL)


def _pico(voice, text, rate, path):
    engine = ttspico.TtsEngine(voice.name)
    engine.rate, engine.pitch = round(100 * rate), round(100 * voice.pitch)
    soundfile.write(path, np.frombuffer(engine.speak(text), np.int16), 16000)


ENGINES = {"flite": _flite, "festival": _festival, "pico": _pico}


def speak(voice: Voice, text: str, rng: random.Random) -> np.ndarray:
    """24 kHz float32 without silence at the ends, at an RMS of 0.08; each take at a pace of its own."""
    rate = voice.rate * rng.uniform(0.92, 1.08)
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "take.wav")
        ENGINES[voice.engine](voice, text, rate / voice.warp, path)
        signal, source_rate = soundfile.read(path, dtype="float32")
    signal = soxr.resample(signal, source_rate, RATE * voice.warp, quality="HQ")
    loud = np.flatnonzero(np.abs(signal) > 0.01 * np.abs(signal).max())
    signal = signal[max(0, loud[0] - 960): loud[-1] + 1440]
    signal = signal * (0.08 / max(1e-4, np.sqrt((signal ** 2).mean())))
    return np.clip(signal, -0.95, 0.95).astype(np.float32)
