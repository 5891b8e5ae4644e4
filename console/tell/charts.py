"""Line charts as SVG text: pure functions, no script, no font, no address, readable without colour.

A chart has a time axis in UTC, an axis with units, vertical marks for moments, shaded spans for outages, and a
title and description for those who cannot see it. Colours come from the page (`--c0` ... `--c5`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape

Point = tuple[float, float | None]  # unix seconds, value; None from where it was unknown

WIDTH, HEIGHT = 720, 236
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 12, 68, 26
_ROWS = (64, 53, 42)  # where words of marks stand, nearest to the plot first
_LETTER = 5.6  # width of a letter of them
_MOST = 360  # points drawn of one line: two for each pixel column would be seen by nobody
_COLOURS = ("#1f6feb", "#c2410c", "#15803d", "#9333ea", "#b45309", "#0e7490")
_DASHES = ("", "6 3", "2 2", "8 3 2 3", "1 3", "10 4")
_STEPS = (10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400)


@dataclass(frozen=True, slots=True)
class Line:
    label: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment, drawn as a vertical line."""

    at: float
    label: str


def chart(
    title: str,
    unit: str,
    lines: Sequence[Line],
    *,
    start: float,
    end: float,
    marks: Iterable[Mark] = (),
    outages: Iterable[tuple[float, float]] = (),
    id: str = "chart",
) -> str:
    """One SVG element. `id` must be unique on its page; it names title and description for screen readers."""
    end = max(end, start + 1.0)
    top = _nice_top((value for line in lines for _, value in line.points if value is not None), unit)
    frame = _Frame(start, end, top)
    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="{escape(id)}-t {escape(id)}-d"'
        ' xmlns="http://www.w3.org/2000/svg">',
        f'<title id="{escape(id)}-t">{escape(title)}</title>',
        f'<desc id="{escape(id)}-d">{escape(describe(lines, unit, start, end))}</desc>',
        f'<text class="head" x="0" y="13">{escape(title)}</text>',
        *_shades(frame, outages),
        *_value_axis(frame, unit),
        *_time_axis(frame),
        *_marks(frame, marks),
    ]
    for number, line in enumerate(lines):
        parts += _line(frame, line, number)
    parts += _legend(lines) if len(lines) != 1 or lines[0].label not in title else []
    parts.append("</svg>")
    return "\n".join(parts)


@dataclass(frozen=True, slots=True)
class _Frame:
    start: float
    end: float
    top: float

    def x(self, at: float) -> float:
        share = (at - self.start) / (self.end - self.start)
        return round(_LEFT + min(1.0, max(0.0, share)) * (WIDTH - _LEFT - _RIGHT), 1)

    def y(self, value: float) -> float:
        share = min(1.0, max(0.0, value / self.top))
        return round(HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM), 1)


def _nice_top(values: Iterable[float], unit: str = "") -> float:
    """The first round figure that no value exceeds: 1, 2, 2.5, 5 x 10^n; of bytes 1, 2, 4 ... of their unit.

    >>> _nice_top([3.2]), _nice_top([0.07]), _nice_top([]), _nice_top([200e6], "B") / 2**20
    (5.0, 0.1, 1.0, 256.0)
    """
    most = max((v for v in values if math.isfinite(v)), default=0.0)
    if most <= 0:
        return 1.0
    if unit in ("B", "B/s"):
        return float(2 ** max(0, math.ceil(math.log2(most))))
    power = 10.0 ** math.floor(math.log10(most))
    return float(next(round(power * f, 12) for f in (1, 2, 2.5, 5, 10) if power * f >= most))


def _value_axis(frame: _Frame, unit: str) -> list[str]:
    parts = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        value = frame.top * share
        y = frame.y(value)
        parts.append(f'<line class="grid" x1="{_LEFT}" y1="{y}" x2="{WIDTH - _RIGHT}" y2="{y}"/>')
        if share in (0.0, 0.5, 1.0):
            label = escape(quantity(value, unit))
            parts.append(f'<text class="tick" text-anchor="end" x="{_LEFT - 6}" y="{y + 4}">{label}</text>')
    return parts


def _time_axis(frame: _Frame) -> list[str]:
    span = frame.end - frame.start
    step = next((s for s in _STEPS if span / s <= 7), _STEPS[-1])
    parts = []
    at = math.ceil(frame.start / step) * step
    while at <= frame.end:
        x = frame.x(at)
        text = clock(at, seconds=step < 60)
        parts.append(f'<line class="grid" x1="{x}" y1="{_TOP}" x2="{x}" y2="{HEIGHT - _BOTTOM + 4}"/>')
        parts.append(f'<text class="tick" text-anchor="middle" x="{x}" y="{HEIGHT - 8}">{text}</text>')
        at += step
    parts.append(f'<text class="tick" x="0" y="{HEIGHT - 8}">UTC</text>')
    return parts


def _marks(frame: _Frame, marks: Iterable[Mark]) -> list[str]:
    """A line each; its words above the plot, on the first row with room. Marks that touch share their words."""
    places: list[tuple[float, list[str]]] = []
    for mark in sorted(marks, key=lambda m: m.at):
        if not frame.start <= mark.at <= frame.end:
            continue
        x = frame.x(mark.at)
        if places and x - places[-1][0] < 2:
            places[-1][1].append(mark.label)
        else:
            places.append((x, [mark.label]))
    parts: list[str] = []
    texts: list[str] = []
    taken = [-1.0] * len(_ROWS)  # right end of the last words in each row
    for x, labels in places:
        words = ", ".join(labels)
        width = _LETTER * len(words)
        left = x - width if x + width > WIDTH else x
        row = next((n for n, end in enumerate(taken) if left > end), None)
        top = _TOP - 2
        if row is not None:
            taken[row] = left + width + 4
            top = _ROWS[row] + 2
            texts.append(f'<text class="mark" x="{left:.1f}" y="{_ROWS[row]}">{escape(words)}</text>')
        parts.append(f'<line class="mark" x1="{x}" y1="{top}" x2="{x}" y2="{HEIGHT - _BOTTOM}"/>')
    return parts + texts


def _shades(frame: _Frame, outages: Iterable[tuple[float, float]]) -> list[str]:
    parts = []
    for begin, end in outages:
        if end < frame.start or begin > frame.end:
            continue
        x, width = frame.x(begin), max(1.0, frame.x(end) - frame.x(begin))
        parts.append(f'<rect class="bad" x="{x}" y="{_TOP}" width="{width:.1f}" height="{HEIGHT - _TOP - _BOTTOM}"/>')
    return parts


def _line(frame: _Frame, line: Line, number: int) -> list[str]:
    """The line in pieces between gaps; a piece of one point is a dot."""
    style = f'style="stroke:var(--c{number % 6},{_COLOURS[number % 6]})"'
    dash = f' stroke-dasharray="{_DASHES[number % 6]}"' if _DASHES[number % 6] else ""
    parts = []
    inside = [p for p in line.points if frame.start <= p[0] <= frame.end]
    for piece in _pieces(thin(inside)):
        spots = " ".join(f"{frame.x(at)},{frame.y(value)}" for at, value in piece)
        if len(piece) == 1:
            x, y = spots.split(",")
            parts.append(f'<circle class="dot" cx="{x}" cy="{y}" r="1.5" {style}/>')
        else:
            parts.append(f'<polyline class="line" points="{spots}" {style}{dash}/>')
    return parts


def _pieces(points: Iterable[Point]) -> list[list[tuple[float, float]]]:
    pieces: list[list[tuple[float, float]]] = [[]]
    for at, value in points:
        if value is None or not math.isfinite(value):
            pieces.append([])
        else:
            pieces[-1].append((at, value))
    return [piece for piece in pieces if piece]


def thin(points: Sequence[Point], most: int = _MOST) -> list[Point]:
    """At most about `most` points: of each stretch its lowest and highest, so that no spike is lost; gaps stay."""
    if len(points) <= most:
        return list(points)
    size = math.ceil(len(points) / (most / 2))
    kept: list[Point] = []
    for begin in range(0, len(points), size):
        known = [(at, value) for at, value in points[begin : begin + size] if value is not None]
        if len(known) < len(points[begin : begin + size]):
            kept.append((points[begin][0], None))
        if known:
            low, high = min(known, key=lambda p: p[1]), max(known, key=lambda p: p[1])
            kept += sorted({low, high})
    return kept


def _legend(lines: Sequence[Line]) -> list[str]:
    parts, x = [], 0.0
    for number, line in enumerate(lines):
        colour = f"var(--c{number % 6},{_COLOURS[number % 6]})"
        dash = f' stroke-dasharray="{_DASHES[number % 6]}"' if _DASHES[number % 6] else ""
        label = line.label if len(line.label) <= 28 else line.label[:27] + "…"
        parts.append(
            f'<line class="line" x1="{x:.0f}" y1="27" x2="{x + 22:.0f}" y2="27" style="stroke:{colour}"{dash}/>'
        )
        parts.append(f'<text class="tick" x="{x + 27:.0f}" y="31">{escape(label)}</text>')
        x += 40 + 6.4 * len(label)
    return parts


def describe(lines: Sequence[Line], unit: str, start: float, end: float) -> str:
    """The chart in words: from when to when, and for each line lowest, highest and last."""
    told = [f"From {clock(start)} to {clock(end)} UTC."]
    for line in lines:
        values = [value for _, value in line.points if value is not None]
        if not values:
            told.append(f"{line.label}: no value.")
            continue
        low, high, last = (quantity(v, unit) for v in (min(values), max(values), values[-1]))
        told.append(f"{line.label}: lowest {low}, highest {high}, last {last}.")
    return " ".join(told)


def clock(at: float, seconds: bool = False) -> str:
    """
    >>> clock(0), clock(0, seconds=True)
    ('00:00', '00:00:00')
    """
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S" if seconds else "%H:%M")


def quantity(value: float, unit: str) -> str:
    """A figure with its unit, bytes in binary multiples.

    >>> quantity(1572864, "B"), quantity(0.25, "s"), quantity(1500, "ms"), quantity(2048, "B/s")
    ('1.5 MiB', '0.25 s', '1.5 s', '2 KiB/s')
    """
    if unit == "ms" and value >= 1000:
        return f"{value / 1000:.3g} s"
    if unit in ("B", "B/s"):
        for size, name in ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
            if abs(value) >= size:
                return f"{value / size:.3g} {name}{unit[1:]}"
    figure = f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{figure} {unit}".rstrip()
