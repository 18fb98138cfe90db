"""Curves as an SVG file, without any package."""
import math
from html import escape

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 420, 64, 16, 40, 48
COLOURS = ["#1f77b4", "#d62728", "#2ca02c", "#9467bd"]


def ticks(low, high, wanted=6):
    """Round numbers from low to high."""
    step = 10 ** math.floor(math.log10((high - low) / wanted))
    step = next(step * factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= wanted)
    first = math.ceil(low / step - 1e-9)
    return [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]


def svg(title, x_label, y_label, curves):
    """curves: {name: [y of x = 1, 2, ...]}, all numbers finite."""
    values = [y for curve in curves.values() for y in curve]
    low, high = min(values), max(values)
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    low, high = low - 0.04 * (high - low), high + 0.04 * (high - low)
    longest = max(2, *(len(curve) for curve in curves.values()))

    def x(step):
        return LEFT + (step - 1) / (longest - 1) * (WIDTH - LEFT - RIGHT)

    def y(value):
        return TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM)

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" '
             'font-family="sans-serif" font-size="12">', f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
             f'<text x="{WIDTH / 2}" y="20" text-anchor="middle" font-size="14">{escape(title)}</text>']
    for value in ticks(low, high):
        parts += [f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="#ddd"/>',
                  f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:g}</text>']
    for value in ticks(1, longest):
        if value >= 1 and value == int(value):
            parts.append(f'<text x="{x(value):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{value:g}</text>')
    for i, (name, curve) in enumerate(curves.items()):
        colour = COLOURS[i % len(COLOURS)]
        points = " ".join(f"{x(step):.1f},{y(value):.1f}" for step, value in enumerate(curve, 1))
        parts += [f'<polyline fill="none" stroke="{colour}" stroke-width="1.5" points="{points}"/>',
                  f'<text x="{WIDTH - RIGHT - 4}" y="{TOP + 16 * (i + 1)}" text-anchor="end" fill="{colour}">'
                  f'{escape(name)}</text>']
    parts += [f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 10}" text-anchor="middle">{escape(x_label)}</text>',
              f'<text transform="translate(14 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" text-anchor="middle">'
              f'{escape(y_label)}</text>', "</svg>"]
    return "\n".join(parts) + "\n"
