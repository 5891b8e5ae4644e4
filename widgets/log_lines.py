"""How one log record looks on screen: time, level, source, message, in few toned spans. Pure functions."""

from __future__ import annotations

import time
from collections.abc import Sequence

from console.text import clean
from console.watch.logrecord import LogRecord, LogStats
from widgets.lines import Line, Span, between, fit, width_of

LEVEL_WORD = {
    "trace": "TRC",
    "debug": "DBG",
    "info": "INF",
    "notice": "NTC",
    "warning": "WRN",
    "error": "ERR",
    "critical": "CRT",
}
_TONE = {"warning": "warn", "error": "bad", "critical": "bad", "trace": "dim", "debug": "dim"}
SOURCE_WIDTH = 10


def clock_of(record: LogRecord) -> str:
    """`03:12:01` in this host's zone; `~` before a time of arrival, blanks where none is known."""
    if record.at is not None:
        return time.strftime("%H:%M:%S", time.localtime(record.at)) + " "
    if record.arrived:
        return time.strftime("%H:%M:%S", time.localtime(record.arrived)) + "~"
    return " " * 9


def head_of(record: LogRecord, source_width: int) -> Line:
    """What stands before the message. One span, unless the level has a colour of its own."""
    if record.continuation:
        return (Span(" " * (13 + (source_width + 1 if source_width else 0))),)
    clock = clock_of(record)
    word = LEVEL_WORD.get(record.level or "", "   ")
    source = fit(record.source, source_width) + " " if source_width else ""
    tone = _TONE.get(record.level or "", "")
    if not tone:
        return (Span(f"{clock}{word} {source}"),)
    return (Span(clock), Span(f"{word} ", tone), Span(source))


def message_of(record: LogRecord, needle: str = "", limit: int = 1 << 16) -> Line:
    """The message, with what is searched for marked."""
    text = record.message[:limit].replace("\n", " ")
    tone = "dim" if record.level in ("trace", "debug") else ""
    if not needle:
        return (Span(text, tone),)
    exact = needle != needle.lower()
    hay = text if exact else text.lower()
    spans: list[Span] = []
    at = 0
    while len(spans) < 12 and (place := hay.find(needle, at)) >= 0 and len(hay) == len(text):
        if place > at:
            spans.append(Span(text[at:place], tone))
        spans.append(Span(text[place : place + len(needle)], "focus"))
        at = place + len(needle)
    spans.append(Span(text[at:], tone))
    return tuple(span for span in spans if span.text)


def record_line(record: LogRecord, source_width: int, needle: str = "", width: int = 512) -> Line:
    """The record in one line of about `width` columns; what is far beyond is left out before it is measured."""
    return joined((*head_of(record, source_width), *message_of(record, needle, 2 * width)))


def joined(spans: Line) -> Line:
    """Neighbours of one tone as one span: each change of style costs some 25 bytes on the wire."""
    out: list[Span] = []
    for span in spans:
        if out and out[-1].tone == span.tone:
            out[-1] = Span(out[-1].text + span.text, span.tone)
        elif span.text:
            out.append(span)
    return tuple(out)


def wrapped(record: LogRecord, source_width: int, width: int, needle: str = "", limit: int = 40) -> list[Line]:
    """The record in as many lines as it takes, at most `limit`, indented under its message."""
    head = head_of(record, source_width)
    indent = min(width_of(head), width // 2)
    room = max(10, width - indent)
    parts = split_columns(record.message.replace("\n", " "), room)[:limit]
    lines: list[Line] = []
    for number, part in enumerate(parts):
        body = message_of(_with(record, part), needle)
        lines.append((*head, *body) if number == 0 else (Span(" " * indent), *body))
    return lines or [head]


def _with(record: LogRecord, message: str) -> LogRecord:
    return LogRecord(record.at, record.level, record.source, message)


def split_columns(text: str, width: int) -> list[str]:
    """Text cut into parts of at most `width` columns, at a space near the end where there is one.

    >>> split_columns("one two three", 8)
    ['one two ', 'three']
    """
    if text.isascii():
        parts: list[str] = []
        while len(text) > width:
            cut = text.rfind(" ", width // 2, width) + 1 or width
            parts.append(text[:cut])
            text = text[cut:]
        return [*parts, text]
    from rich.cells import chop_cells

    return list(chop_cells(text, width)) or [""]


def differing_columns(old: Line, new: Line, width: int) -> tuple[int, int] | None:
    """Columns [first, end) to repaint so that `old` becomes `new`, both `width` wide; None when they are equal.

    Lines of a log differ as wholes, so this finds where they begin to differ and where their text ends, by
    comparing strings: thirty times cheaper than comparing cells.

    >>> differing_columns((Span("03:12 a  "),), (Span("03:13 a  "),), 9)
    (4, 7)
    """
    if old == new:
        return None
    before, after = "".join(span.text for span in old), "".join(span.text for span in new)
    if not (before.isascii() and after.isascii()):
        first = _common(before, after) if [s.tone for s in old] == [s.tone for s in new] else 0
        return (first if after[:first].isascii() and len(old) == len(new) == 1 else 0), width
    end = max(len(before.rstrip()), len(after.rstrip()))
    if [(len(s.text), s.tone) for s in old[:-1]] != [(len(s.text), s.tone) for s in new[:-1]] or old[-1].tone != new[
        -1
    ].tone:
        return 0, width
    return _common(before, after), min(width, max(end, 1))


def _common(a: str, b: str) -> int:
    """Characters that two strings have in common at their start."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[:middle] == b[:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def as_selected(spans: Line) -> Line:
    """A line under the cursor: one span."""
    return (Span("".join(span.text for span in spans), "cursor"),)


def source_width(sources: Sequence[str]) -> int:
    """Columns for the source: as wide as the longest name, within reason."""
    return min(SOURCE_WIDTH, max((len(name) for name in sources), default=0))


def moment_of(record: LogRecord) -> str:
    """Date, time with milliseconds and zone; says when only the arrival is known."""
    at = record.at if record.at is not None else record.arrived
    if not at:
        return "no time"
    text = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
    zone = time.strftime("%Z", time.localtime(at))
    arrived = "" if record.at is not None else " (arrived)"
    return f"{text}.{int(at * 1000) % 1000:03d} {zone}{arrived}"


LEVEL_LABEL = {"notice": "notice", "warning": "warn"}


def title_line(
    title: str,
    width: int,
    stats: LogStats,
    *,
    source: str,
    minimum: str,
    contains: str,
    only: str = "",
    state: str,
    dropped: int,
    focused: bool,
) -> Line:
    """The title: what is shown, what is wrong with an input, lines a second, lines nobody saw."""
    tone = "focus" if focused else "title"
    words = [source or "all", f"≥ {LEVEL_LABEL.get(minimum, minimum)}"]
    if contains:
        words.append(f"with “{clean(contains, 20)}”")
    if only:
        words.append(f"only “{fit(clean(only, 400), min(30, len(only)))}”")
    left = [
        Span("── ", tone),
        Span(title, "focus" if focused else "strong"),
        Span(f"  {' · '.join([*words, state])} ", "dim"),
    ]
    faults = [one for one in stats.faults if not source or one.name == source]
    if faults:
        more = f" (+{len(faults) - 1})" if len(faults) > 1 else ""
        left.append(Span(f"⧗ {clean(faults[0].name, 40)}: {faults[0].fault}{more} ", "warn"))
    rate = stats.lines_per_second
    if source:
        rate = sum(one.lines_per_second for one in stats.inputs if one.name == source)
    right = (
        Span(f" {rate:,.0f}/s  ", "dim"),
        Span(f"+{dropped:,} dropped", "warn" if dropped else "dim"),
        Span(" ──", tone),
    )
    return between(tuple(left), right, width, "─", tone)


def empty_lines(sources: Sequence[str], arrived: int, minimum: str, source: str, contains: str) -> list[Line]:
    """What to show in place of lines: why there are none and what to do."""
    if not sources:
        return [
            (Span("No logs are followed: no containers yet, and no [[logs]] in sevdeck.toml.", "dim"),),
            (Span("`sevdeck init` writes one with the log files it finds.", "dim"),),
        ]
    if arrived == 0:
        return [(Span("Nothing has been written yet.", "dim"),)]
    where = f" of {source}" if source else ""
    more = f" with “{clean(contains, 30)}”" if contains else ""
    what = f"No line ≥ {LEVEL_LABEL.get(minimum, minimum)}{where}{more} in memory."
    return [(Span(f"{what} l changes the level, s the source.", "dim"),)]
