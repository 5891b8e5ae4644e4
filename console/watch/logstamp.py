"""Find the time a log line tells about itself.

The digits of a line are first blanked to one letter ("2026-11-22" becomes "0000-00-00"), so that one substring
test tells which of the shapes (`console.watch.stampshapes`) can be there at all; only those regular expressions
run. A stamp must stand before the message: prose in front of it makes it a time the line talks about, not the
time it was written.

Dates without a year are resolved to the year that puts them nearest to now, at most two days ahead of it.
A time of day without a date is no stamp.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, tzinfo
from typing import NamedTuple

from console.watch.latepattern import LatePattern
from console.watch.stampshapes import SHAPES, Reader, Shape, epoch, read_zone

HEAD = 200  # characters looked at
_BLANK = bytes.maketrans(b"123456789", b"000000000")
_GATED = tuple((shape.gate, shape) for shape in SHAPES)
_WITHOUT_COLON = tuple((gate, shape) for gate, shape in _GATED if ":(?P<M>" not in shape.pattern.source)
_MONTH = LatePattern(r"[JFMASOND](?:an|eb|ar|pr|ay|un|ul|ug|ep|ct|ov|ec|AN|EB|AR|PR|AY|UN|UL|UG|EP|CT|OV|EC)")


class Stamp(NamedTuple):
    """`when` is naive where the line names no zone. `start` and `end` bound its characters in the line."""

    when: datetime
    start: int
    end: int


_PROSE = LatePattern(
    r"[a-z]{2,} [a-z]{2,} |[a-z]{3,}, |\b(?:at|for|on|since|until|from|before|after|to|by|is|was|in|of) $"
)
_TIME_KEY = LatePattern(
    r"(?:^|[^\w])@?(?:t|ts|at|time|date|datetime|timestamp|time_local|asctime|when|start_?time|created|logged|[a-z_]*time)"
    r"[\"']?\s*[=:]\s*[\"'\[]?$",
    re.I,
)
_PREFIX_LIMIT = 120


class StampReader:
    """Reads stamps of one source; remembers which shape stood where, and the order of day and month.

    `zone` is that of stamps that name none, where it is known; `now` (unix seconds) resolves missing years.
    """

    def __init__(self, zone: tzinfo | None = None, now: Callable[[], float] | None = None) -> None:
        self.zone = zone
        self.day_first = False
        self._now = now or (lambda: datetime.now(UTC).timestamp())
        self._last: Shape | None = None
        self._misses = 0

    def nearest(self, build: Callable[[int], datetime]) -> datetime:
        """The stamp in the year that puts it nearest to now; ValueError when it is valid in none (29 February)."""
        now = self._now()
        today = datetime.fromtimestamp(now, UTC)
        this = today.year
        with suppress(ValueError):
            candidate = build(this)
            if 1 < today.toordinal() - candidate.toordinal() < 180:
                return candidate  # the ordinary case, without asking for zones
        best: datetime | None = None
        best_gap = 0.0
        for year in (this, this - 1, this + 1, this - 2, this - 3, this - 4):
            try:
                candidate = build(year)
            except ValueError:
                continue
            ahead = self.seconds(candidate) - now
            gap = -ahead if ahead <= 2 * 86400 else ahead + 1e9
            if best is None or gap < best_gap:
                best, best_gap = candidate, gap
            if year == this and 0 <= gap < 180 * 86400:
                break
        if best is None:
            raise ValueError("no year has this day")
        return best

    def seconds(self, when: datetime) -> float:
        """Unix seconds; a stamp without a zone is taken in the source's zone, else in this host's."""
        if when.tzinfo is None and self.zone is not None:
            when = when.replace(tzinfo=self.zone)
        return when.timestamp()

    def find(self, line: str) -> Stamp | None:
        """The stamp of a line, or None."""
        if self._last is not None:  # locked: the shape that stood at the very start of earlier lines
            m = self._last.pattern.match(line)
            if m is not None:
                self._misses = 0
                stamp = self._read(m, self._last.read)
                if stamp is not None:
                    return stamp
            else:
                self._misses += 1
                if self._misses > 20:
                    self._last = None
        return self._probe(line[:HEAD])

    def _probe(self, head: str) -> Stamp | None:
        # As bytes it takes a tenth of the time; a character outside Latin-1 becomes "?" and keeps its place.
        blank = head.encode("latin-1", "replace").translate(_BLANK).decode("latin-1")
        if "00" not in blank:
            return None
        gated = _GATED if ":00" in blank else _WITHOUT_COLON
        named: bool | None = None
        best: Stamp | None = None
        for gate, shape in gated:
            if gate not in blank:
                continue
            if shape.named:
                if named is None:
                    named = _MONTH.search(head) is not None
                if not named:
                    continue
            m = shape.pattern.search(head)
            if (
                m is None
                or (best is not None and m.start() >= best.start)
                or not _is_header(head[: m.start()], head[m.end() :])
            ):
                continue
            stamp = self._read(m, shape.read)
            if stamp is None:
                continue
            best = stamp
            if m.start() == 0:
                self._last, self._misses = shape, 0
                break
            blank = blank[: m.start()]  # only a stamp wholly before this one would count more
        return best

    def _read(self, m: re.Match[str], read: Reader) -> Stamp | None:
        try:
            when = read(m, self)
        except (ValueError, OverflowError):
            return None
        return None if when is None else Stamp(when, m.start(), m.end())

    def value(self, text: str) -> datetime | None:
        """The time in a field that holds nothing else: any shape, or a Unix time."""
        text = text.strip().strip("\"'[]")
        if not text:
            return None
        if text[0] in "12" and text[4:5] == "-" and text[10:11] in ("T", " ") and len(text) > 16:
            with suppress(ValueError):
                return datetime.fromisoformat(text)
        if text.isascii() and text.replace(".", "", 1).isdigit():
            return epoch(float(text)) if len(text) < 25 else None
        stamp = self.find(text)
        return stamp.when if stamp is not None and stamp.start <= 5 else None


def zone_named(name: str) -> tzinfo | None:
    """The zone that `timezone` of [[logs]] names; None for "", "local" and what this host does not know."""
    if not name or name.lower() == "local":
        return None
    if (offset := read_zone(name.upper())) is not None:
        return offset
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # 4 ms that most consoles never need

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _is_header(prefix: str, rest: str) -> bool:
    """What stands before a stamp is a header: addresses, ids, level words, keys; not a sentence."""
    if not prefix:
        return True
    if len(prefix) > _PREFIX_LIMIT:
        return False
    if prefix[0] == "[" and prefix.endswith(" [") and rest[:1] == "]":
        return True  # fields in brackets, the stamp among them
    if _PROSE.search(prefix):
        return False
    if prefix.endswith("== "):
        return True  # Erlang's "=ERROR REPORT==== "
    last = prefix.rstrip("\"'[ ")[-1:]
    if last in "=:" and prefix.rstrip()[-1:] in "=:\"'[" and not prefix.endswith(": ") and "=" in prefix[-16:]:
        return bool(_TIME_KEY.search(prefix))
    return True
