"""How figures are written: bytes, rates, ages, percents, times, sparks. Pure and a few columns each."""

from __future__ import annotations

import time
from collections.abc import Sequence

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_BARS = "▁▂▃▄▅▆▇█"


def bytes_text(size: float | None) -> str:
    """Bytes in binary units, at most four digits.

    >>> bytes_text(0), bytes_text(1536), bytes_text(6.5e9), bytes_text(None)
    ('0 B', '1.5 KiB', '6.1 GiB', '?')
    """
    if size is None:
        return "?"
    unit = 0
    while abs(size) >= 1000 and unit < len(_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:.0f} {_UNITS[unit]}" if unit == 0 or size >= 9.95 else f"{size:.1f} {_UNITS[unit]}"


def rate_text(size: float | None) -> str:
    """Bytes per second, short.

    >>> rate_text(1_258_291), rate_text(None), rate_text(0)
    ('1.2M/s', '?', '0/s')
    """
    if size is None:
        return "?"
    unit = 0
    while abs(size) >= 1000 and unit < len(_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    suffix = "" if unit == 0 else _UNITS[unit][0]
    return f"{size:.0f}{suffix}/s" if unit == 0 or size >= 9.95 else f"{size:.1f}{suffix}/s"


def percent_text(value: float | None, digits: int = 0) -> str:
    """
    >>> percent_text(71.4), percent_text(None), percent_text(2.13, 1)
    ('71 %', '? %', '2.1 %')
    """
    return "? %" if value is None else f"{value:.{digits}f} %"


def age_text(seconds: float | None) -> str:
    """A length of time in its largest unit.

    >>> [age_text(s) for s in (None, 0.4, 59, 61, 7300, 777_600)]
    ['?', '0s', '59s', '1m', '2h', '9d']
    """
    if seconds is None:
        return "?"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{int(max(0.0, seconds))}s"


def clock_text(seconds: float) -> str:
    """A running clock.

    >>> clock_text(461), clock_text(3600 * 30)
    ('00:07:41', '30:00:00')
    """
    whole = int(max(0.0, seconds))
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def countdown_text(seconds: float) -> str:
    """Time left, or over.

    >>> countdown_text(139), countdown_text(-72), countdown_text(7265)
    ('2:19', '1:12 over', '2:01 h')
    """
    whole = int(abs(seconds))
    text = f"{whole // 3600}:{whole // 60 % 60:02d} h" if whole >= 3600 else f"{whole // 60}:{whole % 60:02d}"
    return f"{text} over" if seconds < 0 else text


def time_text(at: float) -> str:
    """Wall-clock time of day in this host's zone."""
    return time.strftime("%H:%M:%S", time.localtime(at))


def number_text(value: float | None) -> str:
    """A business figure in at most seven columns.

    >>> [number_text(v) for v in (None, 3, 41.0, 4.44, 30.04, 123456.7, 0.031, 12_345_678)]
    ['?', '3', '41', '4.44', '30.0', '123457', '0.031', '12.3M']
    """
    if value is None:
        return "?"
    if abs(value) >= 1e9:
        return f"{value / 1e9:.1f}G"
    if abs(value) >= 1e6:
        return f"{value / 1e6:.1f}M"
    if value == int(value) or abs(value) >= 1000:
        return f"{value:.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.3f}"


def spark(values: Sequence[float | None], width: int, top: float | None = None) -> str:
    """One-line chart of the last `width` values; `top` fixes the scale, otherwise the largest value does.

    >>> spark([0, 50, 100], 4, top=100), spark([], 3)
    (' ▁▅█', '   ')
    """
    tail = list(values)[-width:]
    known = [v for v in tail if v is not None]
    low = 0.0 if top is not None or not known or min(known) >= 0 else min(known)
    high = top if top is not None else max(known, default=1.0)
    span = (high - low) or 1.0
    text = "".join(" " if v is None else _BARS[max(0, min(7, round((v - low) / span * 7)))] for v in tail)
    return text.rjust(width)
