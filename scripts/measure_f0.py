#!/usr/bin/env python3
"""Median pitch of WAV files: measure_f0.py A.wav [B.wav ...]

Prints the median fundamental frequency of each file, its length and the share of voiced frames, then the median over
all voiced frames. YIN (de Cheveigne and Kawahara 2002) on 16-bit PCM, mono or mixed to mono, between 60 and 400 Hz.
Needs nothing beside Python.
"""
import array
import math
import statistics
import sys
import wave

WORKING_RATE = 6000  # Hz; enough for pitch, and keeps plain Python quick
LOWEST, HIGHEST = 60.0, 400.0  # Hz
FRAME_SECONDS, HOP_SECONDS = 0.025, 0.02  # window of the difference function (a lag is added to it), step
THRESHOLD = 0.2  # of the normalised difference: below it a frame counts as voiced
SILENCE = 0.01  # RMS below which a frame is not looked at, of full scale 1


def read_wav(path):
    """Samples in [-1, 1] at about WORKING_RATE, and the rate itself."""
    with wave.open(path, "rb") as file:
        if file.getsampwidth() != 2:
            raise ValueError("16-bit PCM is expected")
        channels, rate = file.getnchannels(), file.getframerate()
        samples = array.array("h", file.readframes(file.getnframes()))
    if sys.byteorder == "big":
        samples.byteswap()
    step = max(1, rate // WORKING_RATE) * channels  # the mean over a step mixes the channels and lowers the rate
    blocks = range(0, len(samples) - step + 1, step)
    return [sum(samples[i : i + step]) / (step * 32768.0) for i in blocks], rate * channels / step


def pitch(samples, start, window, min_lag, max_lag, rate):
    """Pitch in Hz of the frame at `start`; None when it isn't voiced."""
    frame = samples[start : start + window]
    if math.sqrt(sum(x * x for x in frame) / window) < SILENCE:
        return None
    difference, total, normalised = [0.0], 0.0, [1.0]
    for lag in range(1, max_lag + 2):
        shifted = samples[start + lag : start + lag + window]
        difference.append(sum((a - b) * (a - b) for a, b in zip(frame, shifted)))
        total += difference[lag]
        normalised.append(difference[lag] * lag / total if total > 0 else 1.0)
    for lag in range(min_lag, max_lag + 1):
        if normalised[lag] < THRESHOLD and normalised[lag] <= normalised[lag + 1]:
            before, at, after = normalised[lag - 1 : lag + 2]
            bend = before - 2 * at + after
            return rate / (lag + (0.5 * (before - after) / bend if bend > 0 else 0.0))
    return None


def pitches(path):
    """The pitches of the voiced frames, the number of frames, and the length in seconds."""
    samples, rate = read_wav(path)
    min_lag, max_lag = int(rate / HIGHEST), int(rate / LOWEST)
    window, hop = int(rate * FRAME_SECONDS), int(rate * HOP_SECONDS)
    starts = range(0, len(samples) - window - max_lag - 1, hop)
    found = [pitch(samples, start, window, min_lag, max_lag, rate) for start in starts]
    return [f for f in found if f is not None], len(found), len(samples) / rate


def main(paths):
    if not paths or paths[0] in ("-h", "--help"):
        print(__doc__.strip())
        return 0 if paths else 2
    everything = []
    for path in paths:
        try:
            voiced, num_frames, seconds = pitches(path)
        except (OSError, EOFError, ValueError, wave.Error) as error:
            print(f"error: {path}: {error}", file=sys.stderr)
            return 2
        everything += voiced
        median = f"{statistics.median(voiced):6.1f} Hz" if voiced else "  no pitch"
        share = 100 * len(voiced) // max(1, num_frames)
        print(f"{median}  {seconds:5.2f} s  {share:3d} % voiced  {path}")
    if not everything:
        print("error: no voiced frame in any file", file=sys.stderr)
        return 1
    print(f"{statistics.median(everything):6.1f} Hz  median of all {len(everything)} voiced frames")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
