"""Line charts as SVG text, by the standard library alone.

A chart has a ground of its own, light or dark as the reader's system asks, so that it can be read on any page. Series differ in
colour and in the shape of their points; what was calculated rather than measured is dashed.
"""
import dataclasses
import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 680, 400
LEFT, RIGHT, BOTTOM = 66, 34, 50  # room beside the plot, in pixels; above it are the title and the legend
TITLE_HEIGHT, LEGEND_ROW = 34, 20
LETTER = 7.0  # widest usual advance of a letter at 12 px: fonts differ from reader to reader

# Colours that the colour-blind tell apart (Okabe and Ito), each for a light and a dark ground.
COLOURS = [("#0072b2", "#56b4e9"), ("#c04e00", "#f0923b"), ("#00785a", "#3fc49c"), ("#a3507f", "#dd9cc4")]

STYLE = """text{font:12px sans-serif;fill:#222}.t{font-size:14px;font-weight:bold}.g{stroke:#ddd}.a{stroke:#666}
.b{fill:#fff;stroke:#ccc}.l{fill:none;stroke-width:2}.d{stroke-dasharray:6 4}"""
DARK_STYLE = "text{fill:#ddd}.g{stroke:#383838}.a{stroke:#999}.b{fill:#181a1f;stroke:#444}"


@dataclasses.dataclass
class Series:
    name: str
    points: list  # (x, y), or (x, y, lowest, highest) where the spread is known
    calculated: bool = False
    colour: int | None = None  # index into COLOURS; default: the series' place


class Axis:
    """Values of one direction, mapped to 0..1."""

    def __init__(self, label, values, log, ticks=None):
        self.label, self.log = label, log
        if log and min(values) <= 0:
            raise ValueError(f"'{label}': {min(values)} has no place on a logarithmic axis")
        if ticks:
            self.ticks = list(ticks)
        else:
            self.ticks = log_ticks(min(values), max(values)) if log else linear_ticks(max(values))
        self.low, self.high = min(self.ticks[0], *values), max(self.ticks[-1], *values)
        if self.low >= self.high:
            raise ValueError(f"'{label}': all values are {self.low}")

    def place(self, value):
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def linear_ticks(highest):
    """0 and round numbers up to `highest` or the next above it."""
    if highest <= 0:
        raise ValueError(f"a linear axis begins at 0; nothing is above it ({highest})")
    unit = 10.0 ** math.floor(math.log10(highest))
    step = next(unit * factor for factor in (0.2, 0.25, 0.5, 1, 2) if highest / (unit * factor) <= 6)
    return [i * step for i in range(math.ceil(highest / step - 1e-9) + 1)]


def log_ticks(lowest, highest):
    """Powers of ten around the values; 2 and 5 times these too where there are few."""
    few = highest / lowest < 300
    steps = (1, 2, 5) if few else (1,)
    first = math.floor(math.log10(lowest))
    all_ticks = [factor * 10.0**power for power in range(first, math.ceil(math.log10(highest)) + 1) for factor in steps]
    below = max(tick for tick in all_ticks if tick <= lowest * (1 + 1e-9))
    above = min(tick for tick in all_ticks if tick >= highest * (1 - 1e-9))
    return [tick for tick in all_ticks if below <= tick <= above]


def number(value):
    """A tick's text: 0.05, 2.5, 16,384, 100k, 10M."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= max(size, 1e4) and math.isclose(value % size, 0, abs_tol=1e-6):
            return f"{value / size:g}{letter}"
    return f"{value:,.0f}" if value >= 1000 else f"{value:g}"


def mark(shape, x, y):
    """A point as a path of its own shape: circle, square, triangle, diamond."""
    return [f"M{x - 4} {y}a4 4 0 1 0 8 0a4 4 0 1 0-8 0", f"M{x - 3.5} {y - 3.5}h7v7h-7z", f"M{x} {y - 5}l5 9h-10z",
            f"M{x} {y - 5}l5 5-5 5-5-5z"][shape % 4]


def check(series):
    if not series:
        raise ValueError("a chart needs a series")
    for one in series:
        if not one.points:
            raise ValueError(f"series '{one.name}' is empty")
        for point in one.points:
            if not all(math.isfinite(value) for value in point):
                raise ValueError(f"series '{one.name}': {point} is not finite")


def legend_rows(series):
    """The series with their place in the legend: rows of (x, index)."""
    rows, x = [[]], LEFT
    for i, one in enumerate(series):
        width = 38 + LETTER * len(one.name) + 14
        if rows[-1] and x + width > WIDTH - RIGHT:
            rows.append([])
            x = LEFT
        rows[-1].append((x, i))
        x += width
    return rows


def colour_class(series, i):
    colour = series[i].colour
    return (i if colour is None else colour) % len(COLOURS)


def draw_series(series, i, x_of, y_of):
    one, colour = series[i], colour_class(series, i)
    places = [(round(x_of(p[0]), 1), round(y_of(p[1]), 1)) for p in one.points]
    line = "M" + "L".join(f"{x} {y}" for x, y in places)
    dashed = " d" if one.calculated else ""
    parts = [f'<g class="series"><path class="l c{colour}{dashed}" d="{line}"/>']
    spread = "".join(f"M{x} {y_of(p[2]):.1f}V{y_of(p[3]):.1f}" for (x, _), p in zip(places, one.points) if len(p) > 2)
    if spread:
        parts.append(f'<path class="c{colour}" d="{spread}"/>')
    if not one.calculated:
        parts.append(f'<path class="f{colour}" d="{"".join(mark(colour, x, y) for x, y in places)}"/>')
    return "".join(parts) + "</g>"


def draw_legend(series, rows):
    parts = []
    for row, items in enumerate(rows):
        y = TITLE_HEIGHT + 10 + LEGEND_ROW * row
        for x, i in items:
            colour = colour_class(series, i)
            dashed = " d" if series[i].calculated else ""
            parts.append(f'<path class="l c{colour}{dashed}" d="M{x:.0f} {y}h30"/>')
            if not series[i].calculated:
                parts.append(f'<path class="f{colour}" d="{mark(colour, round(x) + 15, y)}"/>')
            parts.append(f'<text x="{x + 36:.0f}" y="{y + 4}">{escape(series[i].name)}</text>')
    return parts


def draw_axes(x_axis, y_axis, x_of, y_of):
    left, right, top, bottom = LEFT, WIDTH - RIGHT, y_of(y_axis.high), HEIGHT - BOTTOM
    parts = []
    for tick in x_axis.ticks:
        x = round(x_of(tick), 1)
        parts.append(f'<path class="g" d="M{x} {top:.1f}V{bottom}"/>'
                     f'<text class="x" x="{x}" y="{bottom + 17}" text-anchor="middle">{number(tick)}</text>')
    for tick in y_axis.ticks:
        y = round(y_of(tick), 1)
        parts.append(f'<path class="g" d="M{left} {y}H{right}"/>'
                     f'<text class="y" x="{left - 7}" y="{y + 4:.1f}" text-anchor="end">{number(tick)}</text>')
    middle = (top + bottom) / 2
    parts.append(f'<path class="a" fill="none" d="M{left} {top:.1f}V{bottom}H{right}"/>'
                 f'<text x="{(left + right) / 2}" y="{HEIGHT - 12}" text-anchor="middle">{escape(x_axis.label)}</text>'
                 f'<text transform="translate(17 {middle:.0f})rotate(-90)" text-anchor="middle">{escape(y_axis.label)}</text>')
    return parts


def line_chart(title, x_label, y_label, series, *, x_log=False, y_log=False, x_ticks=None):
    """A chart as the text of an SVG file. Labels name their unit. A linear axis begins at 0. ValueError for a series without
    points, for a value that is not finite, and for one below or at zero on a logarithmic axis."""
    check(series)
    x_axis = Axis(x_label, [p[0] for one in series for p in one.points], x_log, x_ticks)
    y_axis = Axis(y_label, [y for one in series for p in one.points for y in p[1:]], y_log)
    rows = legend_rows(series)
    top = TITLE_HEIGHT + LEGEND_ROW * len(rows) + 12

    def x_of(value):
        return LEFT + x_axis.place(value) * (WIDTH - RIGHT - LEFT)

    def y_of(value):
        return HEIGHT - BOTTOM - y_axis.place(value) * (HEIGHT - BOTTOM - top)

    def paint(tone):
        return "".join(f".c{i}{{stroke:{pair[tone]};fill:none}}.f{i}{{fill:{pair[tone]}}}" for i, pair in enumerate(COLOURS))

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
             f'role="img"><title>{escape(title)}</title>',
             f"<style>{STYLE}{paint(0)}\n@media(prefers-color-scheme:dark){{{DARK_STYLE}{paint(1)}}}</style>",
             f'<rect class="b" x=".5" y=".5" width="{WIDTH - 1}" height="{HEIGHT - 1}" rx="6"/>',
             f'<text class="t" x="{LEFT}" y="23">{escape(title)}</text>',
             *draw_legend(series, rows), *draw_axes(x_axis, y_axis, x_of, y_of),
             *(draw_series(series, i, x_of, y_of) for i in range(len(series)))]
    return "\n".join(parts) + "\n</svg>\n"
