"""Prints a manifest of texts that nobody was trained on: unseen_texts.py COUNT [SEED]. Strings of four digits."""

import json
import random
import sys

from base_model import SYSTEM
from texts import DIGITS, is_held_out

rng = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 99)
said = set()
while len(said) < int(sys.argv[1]):
    text = " ".join(rng.choice(DIGITS) for _ in range(4))
    if is_held_out(text) and text not in said:
        said.add(text)
        print(json.dumps(dict(messages=[
            dict(role="system", content=SYSTEM), dict(role="user", content=text),
            dict(role="assistant", content=dict(type="audio", audio_url="to_be_spoken.wav"))])))
