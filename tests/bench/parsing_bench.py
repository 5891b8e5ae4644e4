"""What one line and one judgement cost: the gates, the line reader, the judge. Processor time, best of several."""

from __future__ import annotations

import time
import timeit
from collections.abc import Callable

from console.checks.judge import judge
from console.config import Config
from console.redact import redact
from console.text import clean
from console.watch.logline import LineReader
from console.watch.readings import Readings
from console.watch.source import Reading
from tests.bench.table import Row
from tests.unit.readings_made import container, readings
from tests.unit.test_logline import SETS, samples

_LINE = "2026-11-22T19:00:00Z INFO request GET /api/orders/123 took 34 ms status 200 from 10.0.0.3"
_WORDS = " ".join(f"word{number}" for number in range(40))


def _cost(call: Callable[[], object], number: int) -> float:
    return min(timeit.repeat(call, timer=time.thread_time, number=number, repeat=9)) / number


def rows() -> list[Row]:
    """Microseconds of one call, beside a yardstick: upper-casing and splitting a line of 40 words."""
    yardstick = _cost(lambda: sum(len(w) for w in _WORDS.upper().split() if w.endswith("7")), 3000)
    reader = LineReader(now=time.time)
    raw = _LINE.encode()
    many = tuple(container(f"svc{n}", depends_on=(f"svc{n + 1}",) if n < 90 else ()) for n in range(100))
    seen: Readings = readings(many)
    assert isinstance(seen.containers, Reading)
    calls: list[tuple[str, Callable[[], object], int, str]] = [
        ("text gate, clean line", lambda: clean(_LINE), 3000, "0.5 us"),
        ("text gate, 1 MB of escapes", lambda: clean("\x1b" * 1_000_000), 1, "50 ms"),
        ("redactor, clean line", lambda: redact(_LINE), 3000, "3 us"),
        ("level and time of a line", lambda: reader.read(raw.decode()), 3000, "15 us"),
        ("judging 100 containers", lambda: judge(seen, Config(), time.time()), 30, "2 ms"),
    ]
    out = []
    for name in SETS:
        lines = [one.raw for one in samples(name)]
        readers = [LineReader(now=time.time) for _ in lines]
        out.append(_row(f"... of {len(lines)} formats, a reader for each", _each(readers, lines), yardstick, "15 us"))
    mixed = [one.raw for name in SETS for one in samples(name)]
    out.append(_row("... of all of them in one file", _each([reader] * len(mixed), mixed), yardstick, ""))
    first = []
    for what, call, number, must in calls:
        first.append(_row(what, _cost(call, number), yardstick, must))
    return first[:4] + out + first[4:]


def _each(readers: list[LineReader], lines: list[str]) -> float:
    """Seconds a line, of lines that all look different."""

    def read() -> None:
        for reader, line in zip(readers, lines, strict=True):
            reader.read(line)

    return _cost(read, 3) / len(lines)


def _row(what: str, cost: float, yardstick: float, must: str) -> Row:
    text = f"{cost * 1e6:.2f} us" if cost < 1e-3 else f"{cost * 1e3:.1f} ms"
    return Row(what, text, f"40 words {yardstick * 1e6:.1f} us", f"{cost / yardstick:.2f} x", must)
