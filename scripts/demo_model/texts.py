"""What the demo's speakers say: strings of digits, and short sentences of a few dozen everyday words."""

import hashlib
import random

DIGITS = "zero one two three four five six seven eight nine".split()

_SENTENCES = [
    "please call {d} {d} {d}", "my number is {d} {d} {d} {d}", "the {color} {thing}", "open the {color} {thing}",
    "close the {thing} please", "turn the {device} {switch}", "{d} {color} {thing} and {d} {color} {thing}",
    "good {daytime}", "hello good {daytime}", "thank you and good {daytime}", "yes please {d} {d}", "no thank you",
    "turn {side} at the {color} {thing}", "the {color} {thing} is on the {side}", "stop at number {d}",
    "water and coffee please", "coffee or tea", "go {side} and stop", "the {device} is {switch}",
]
_CHOICES = {
    "d": DIGITS,
    "color": "red blue green black white".split(),
    "thing": "house door window car table book".split(),
    "device": "light music radio".split(),
    "switch": ["on", "off"],
    "daytime": "morning evening night".split(),
    "side": ["left", "right"],
}


def is_held_out(text: str) -> bool:
    """One text in eight is never trained on, by anyone; which one depends on nothing but the text."""
    return hashlib.sha256(text.encode()).digest()[0] % 8 == 0


def digit_string(rng: random.Random) -> str:
    return " ".join(rng.choice(DIGITS) for _ in range(rng.choice([2, 3, 3, 4, 4, 5, 5, 6])))


def sentence(rng: random.Random) -> str:
    text = rng.choice(_SENTENCES)
    while "{" in text:
        start, end = text.index("{"), text.index("}")
        text = text[:start] + rng.choice(_CHOICES[text[start + 1: end]]) + text[end + 1:]
    return text


def draw(rng: random.Random, held_out: bool, digits_share: float = 0.65) -> str:
    while True:
        text = digit_string(rng) if rng.random() < digits_share else sentence(rng)
        if is_held_out(text) == held_out:
            return text


def written(text: str, rng: random.Random) -> str:
    """As people type it: in two texts of five with marks between words, a capital at the start or a mark at the end."""
    if rng.random() < 0.6:
        return text
    words = text.split()
    words[:-1] = [word + rng.choice(",;.") * (rng.random() < 0.15) for word in words[:-1]]
    if rng.random() < 0.5:
        words[0] = words[0].capitalize()
    return " ".join(words) + rng.choice(["", ".", ".", "!", ";"])


def vocabulary() -> list:
    words = set(DIGITS)
    for text in _SENTENCES:
        words.update(word for word in text.split() if "{" not in word)
    for choices in _CHOICES.values():
        words.update(choices)
    return sorted(words)
