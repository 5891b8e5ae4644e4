"""The rows of a timeline, made when they are looked at: a long incident has 100,000, a screen shows forty."""

from __future__ import annotations

import bisect
import time
from collections.abc import Callable, Sequence
from typing import overload

from console.incident.records import Entry
from widgets.choice import Row
from widgets.lines import Line, Span, line

_QUARTER = 900  # seconds; days and zones begin at whole quarters of an hour everywhere


def days(entries: Sequence[Entry]) -> list[tuple[int, str]]:
    """The headings: the number of each entry that begins another day than the one before it, and that day."""
    found: list[tuple[int, str]] = []
    day, quarter = "", None
    for number, entry in enumerate(entries):
        now = entry.at // _QUARTER
        if now != quarter:
            quarter = now
            today = time.strftime("%a %d %b %Y (%Z)", time.localtime(entry.at))
            if today != day:
                day = today
                found.append((number, day))
    return found


class Ids(Sequence[str]):
    """The keys of entries, the newest looked at first."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = entries

    def __len__(self) -> int:
        return len(self._entries)

    @overload
    def __getitem__(self, at: int) -> str: ...

    @overload
    def __getitem__(self, at: slice) -> list[str]: ...

    def __getitem__(self, at: int | slice) -> str | list[str]:
        return [entry.id for entry in self._entries[at]] if isinstance(at, slice) else self._entries[at].id

    def find(self, key: object) -> int:
        """The number of the entry with this key; -1 when there is none."""
        entries = self._entries
        return next((n for n in range(len(entries) - 1, -1, -1) if entries[n].id == key), -1)

    def __contains__(self, key: object) -> bool:
        return self.find(key) >= 0

    def index(self, key: object, start: int = 0, stop: int | None = None) -> int:
        return self.find(key)


class TimelineRows(Sequence[Row]):
    """Entries with a heading for each day, in this host's zone; `draw` makes the line of one entry."""

    def __init__(self, entries: Sequence[Entry], headings: Sequence[tuple[int, str]], draw: Callable[[Entry], Line]):
        self.ids = Ids(entries)
        self._entries = entries
        self._headings = headings
        self._places = [number + before for before, (number, _) in enumerate(headings)]  # rows that are headings
        self._draw = draw

    def __len__(self) -> int:
        return len(self._entries) + len(self._headings)

    @overload
    def __getitem__(self, at: int) -> Row: ...

    @overload
    def __getitem__(self, at: slice) -> list[Row]: ...

    def __getitem__(self, at: int | slice) -> Row | list[Row]:
        if isinstance(at, slice):
            return [self[number] for number in range(*at.indices(len(self)))]
        number = range(len(self))[at]
        above = bisect.bisect_right(self._places, number)
        if above and self._places[above - 1] == number:
            return Row("", line(Span(self._headings[above - 1][1], "dim")))
        entry = self._entries[number - above]
        return Row(entry.id, self._draw(entry))

    def place_of(self, key: str) -> int | None:
        """The row with this key."""
        number = self.ids.find(key)
        return None if number < 0 else number + bisect.bisect_right(self._headings, number, key=lambda one: one[0])
