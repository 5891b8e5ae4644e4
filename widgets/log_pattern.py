"""Patterns of the logs: the list beside the lines, and the way from one line of a pattern to the next."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.reactive import var

from console.text import clean
from console.watch.logrecord import RANK, LogStats, PatternStat
from console.watch.logs import LogHub
from widgets.choice import ChoiceList, Row
from widgets.format import time_text
from widgets.lines import Line, Span, between, crop, line
from widgets.log_place import LogPlace
from widgets.marks import BAD, WARN, mark
from widgets.pane import wrap

_SECONDS = 0.4  # a step may look; a rare pattern in a large file takes several
_FOOT = 5  # rows below the list that tell of the selected pattern


class PatternSteps:
    """From line to line of one pattern, in what the log view shows."""

    def __init__(self, hub: LogHub, place: LogPlace) -> None:
        self.id = ""
        self._hub = hub
        self._place = place
        self._from: int | None = None  # where a step that found nothing in its time goes on
        self._way = ""

    def begin(self, id: str) -> None:
        """To the newest line of this pattern."""
        self.id, self._from = id, None
        self._place.stop()
        if not self._step("older", self._place.rows.end):
            self._place.hint = self._place.hint or "no line of this pattern is in memory"

    def step(self, way: str) -> None:
        """To the next line, "older" or "newer"."""
        place, current = self._place, self._place.current
        place.stop()
        if way != self._way:
            self._from = None
        if self._from is not None:
            start = self._from
        elif current is None:
            start = place.rows.end
        else:
            start = place.rows.key(current) if way == "older" else place.rows.after_key(current)
        if not self._step(way, start) and not place.hint:
            place.hint = f"no {way} line of this pattern"

    def _step(self, way: str, start: int) -> bool:
        """Whether a line was found from `start` on; the cursor is on it then. Goes on in the file where there is one."""
        place = self._place
        place.hint, self._way, self._from = "", way, None
        found = self._seek(way, start)
        if found is None and self._from is None and way == "older" and place.to_file() and place.records:
            found = self._seek(way, place.rows.key(place.records[0]))
        if found is None:
            return False
        place.around(found)
        return True

    def _seek(self, way: str, start: int) -> int | None:
        rows, id = self._place.rows, self.id
        wanted = replace(self._place.wanted, matches=lambda record: self._hub.pattern_of(record) == id)
        until = time.monotonic() + _SECONDS
        steps = rows.back(start, wanted) if way == "older" else rows.forth(start, wanted)
        for count, (number, _, record) in enumerate(steps):
            if record is not None and not record.continuation and wanted.wants(record):
                return number
            if count % 64 == 63 and time.monotonic() > until:
                self._from = number
                self._place.hint = (
                    f"none in the {count + 1:,} lines {'before' if way == 'older' else 'after'}; again looks further"
                )
                return None
        return None


class PatternList(ChoiceList):
    """Patterns of the last hour: new ones first, then the worst and most frequent."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "choose", show=False)]

    stats: var[LogStats | None] = var(None)
    source: var[str] = var("")  # only those of this source; "" for all
    only: var[str] = var("")  # the pattern that the lines are reduced to

    class Chosen(Message):
        """A person wants to see the lines of a pattern."""

        def __init__(self, id: str) -> None:
            super().__init__()
            self.id = id

    def watch_stats(self) -> None:
        self._fill()

    def watch_source(self) -> None:
        self._fill()

    def watch_only(self) -> None:
        self._fill()

    def action_choose(self) -> None:
        if self.pattern is not None:
            self.post_message(self.Chosen(self.pattern.id))

    @property
    def patterns(self) -> Sequence[PatternStat]:
        known = self.stats.patterns if self.stats is not None else ()
        return [one for one in known if not self.source or one.source == self.source]

    @property
    def pattern(self) -> PatternStat | None:
        """The selected one."""
        return next((one for one in self.patterns if one.id == self.selected), None)

    def _fill(self) -> None:
        if not self.is_mounted:
            return
        found = self.patterns
        unusual = {burst.pattern: burst.usual for burst in self.stats.bursts} if self.stats is not None else {}
        several = len({one.source for one in found}) > 1
        self.rows = [Row(one.id, self._row(one, one.id in unusual, several)) for one in found]

    def _row(self, one: PatternStat, burst: bool, several: bool) -> Line:
        rank = RANK[one.level] if one.level is not None else 0
        glyph = BAD if rank >= RANK["error"] else WARN if rank >= RANK["warning"] else " "
        word = "new " if one.new else "burst " if burst else ""
        return line(
            Span("▸" if one.id == self.only else " ", "key"),
            mark(glyph),
            f" {one.count:>6,} ",
            Span(word, "warn"),
            Span(f"{clean(one.source, 20)} " if several else "", "dim"),
            clean(one.text, 200),
        )

    def heading(self, width: int) -> Sequence[Line]:
        tone = "focus" if self.has_focus else "title"
        left = line(Span("── ", tone), Span("Patterns ", "focus" if self.has_focus else "strong"))
        right = line(Span(f" {len(self.rows)} of the last hour ──" if self.rows else "──", tone))
        return [between(left, right, width, "─", tone)]

    def room(self) -> int:
        return max(1, super().room() - (_FOOT if self._tall else 0))

    @property
    def _tall(self) -> bool:
        return self.size.height >= 2 * _FOOT + 2

    def view(self, width: int, height: int) -> Sequence[Line]:
        """With an empty column before it, which keeps it apart from the lines."""
        return [line(" ", *spans) for spans in self._view(width - 1, height)]

    def _view(self, width: int, height: int) -> Sequence[Line]:
        if not self.rows:
            told = "No patterns yet: they are learnt from lines that come." if self.stats is not None else ""
            return [*self.heading(width), *(line(Span(text, "dim")) for text in wrap(told, width))]
        if not self._tall:
            return super().view(width, height)
        rows = list(super().view(width, height - _FOOT))
        rows += [()] * (height - _FOOT - len(rows))
        return [*rows, *self._foot(width)]

    def _foot(self, width: int) -> list[Line]:
        """The selected pattern whole, and when it was met."""
        one = self.pattern
        if one is None:
            return []
        parts = wrap(clean(one.text, 400), width)
        shown = [line(part) for part in parts[: _FOOT - 2]]
        times = " – ".join(time_text(at) for at in (one.first_at, one.last_at) if at is not None)
        told = line(Span(f"{one.source}  {one.level or 'no level'}  {times}", "dim"))
        return [line(Span("─" * width, "title")), *shown, crop(told, width)]
