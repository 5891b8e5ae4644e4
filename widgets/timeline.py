"""The timeline of an incident: one line an event, dates as headings, newest last and followed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from textual.reactive import var

from console.incident.durability import MARKS, Standing
from console.incident.records import Entry
from widgets.choice import ChoiceList
from widgets.format import time_text
from widgets.lines import Line, Span, between, crop, fit, line, width_of
from widgets.timeline_rows import TimelineRows, days

FILTERS = ("all", "people", "automatic", "pinned")


def _mark(entry: Entry) -> Span:
    if entry.kind.startswith("recovery"):
        return Span("▶", "key")
    if entry.automatic:
        return Span("⚙", "bad" if entry.data.get("bad") is True else "dim")
    return Span("☻", "ok" if entry.kind == "declared" else "")


_SAFE_TONE = {"unsaved": "bad", "server": "warn"}


def entry_line(entry: Entry, place: str) -> Line:
    """One event: where it is safe, time, who or what, words; pinned, corrected and remarked marks."""
    who = "" if entry.automatic and not entry.kind.startswith("recovery") else f"{entry.actor} "
    marks = ("★ " if entry.pinned else "") + ("corrected " if entry.amended else "")
    return line(
        Span(f"{MARKS[place][0]} ", _SAFE_TONE.get(place, "dim")),
        Span(f"{time_text(entry.at)} ", "dim"),
        _mark(entry),
        Span(f" {who}", "key" if who else ""),
        Span(marks, "warn"),
        entry.summary,
        Span(f"  “{entry.remarks[-1]}”" if entry.remarks else "", "dim"),
    )


def matches(entry: Entry, filter: str, needle: str) -> bool:
    """Whether an event is shown."""
    if filter == "people" and entry.automatic:
        return False
    if filter == "automatic" and not entry.automatic:
        return False
    if filter == "pinned" and not entry.pinned:
        return False
    if not needle:
        return True
    text = f"{entry.summary} {entry.actor} {entry.kind} {' '.join(entry.remarks)}".lower()
    return all(word in text for word in needle.lower().split())


class _Chosen(NamedTuple):
    """What passes the filter, with the days' headings, and what that was found from."""

    of: tuple[Sequence[Entry], Sequence[Entry], str, str]
    entries: Sequence[Entry]
    days: Sequence[tuple[int, str]]

    @classmethod
    def of_all(cls, entries: Sequence[Entry], unsaved: Sequence[Entry], filter: str, needle: str) -> _Chosen:
        found = (*entries, *unsaved) if unsaved else entries
        if filter != "all" or needle:
            found = [entry for entry in found if matches(entry, filter, needle)]
        return cls((entries, unsaved, filter, needle), found, days(found))


class Timeline(ChoiceList):
    """Shows the entries of the incident that pass the filter."""

    entries: var[Sequence[Entry]] = var(())
    filter: var[str] = var("all")
    needle: var[str] = var("")
    standing: var[Standing] = var(Standing())
    follow: var[bool] = var(True)
    _chosen: _Chosen | None = None

    def watch_entries(self) -> None:
        self.refill()

    def watch_filter(self) -> None:
        self.refill()

    def watch_needle(self) -> None:
        self.refill()

    def watch_standing(self) -> None:
        self.refill()
        self.redraw()

    def on_resize(self) -> None:
        self.refill()
        super().on_resize()

    def refill(self) -> None:
        if not self.size.width:
            return
        wanted = (self.entries, self.standing.unsaved, self.filter, self.needle)
        if self._chosen is None or any(a is not b for a, b in zip(wanted, self._chosen.of, strict=True)):
            self._chosen = _Chosen.of_all(*wanted)
        standing, width = self.standing, self.size.width
        self.rows = TimelineRows(
            self._chosen.entries, self._chosen.days, lambda entry: crop(entry_line(entry, standing.place(entry)), width)
        )
        if self.follow and (keys := self.keys()):
            self.selected = keys[-1]

    def keys(self) -> Sequence[str]:
        return self.rows.ids if isinstance(self.rows, TimelineRows) else super().keys()

    def place_of(self, key: str) -> int | None:
        return self.rows.place_of(key) if isinstance(self.rows, TimelineRows) else super().place_of(key)

    def move(self, rows: int) -> None:
        super().move(rows)
        keys = self.keys()
        self.follow = not keys or self.selected == keys[-1]

    def fallback(self, keys: Sequence[str]) -> str:
        return keys[-1]

    def heading(self, width: int) -> Sequence[Line]:
        tone = "focus" if self.has_focus else "title"
        shown = f"{self.filter}{f'  /{self.needle}' if self.needle else ''} · newest last "
        name = line(Span("── ", tone), Span("Timeline ", "focus" if self.has_focus else "strong"))
        left = (*name, Span(shown, "dim"))
        saved = self.standing.line
        loud = "bad" if self.standing.unsaved else "dim"
        right = line(Span(f" {saved} ──", loud)) if saved else line(Span("──", tone))
        if width_of(left) + width_of(right) > width:  # where the entries are safe matters more than their order
            left = name
        if width_of(left) + width_of(right) > width:
            right = line(Span(f" {fit(saved, max(1, width - width_of(left) - 6))} ──", loud))
        warnings = [crop(line(Span(f"▲ {text}", "warn")), width) for text in self.standing.warnings]
        return [between(left, right, width, "─", tone), *warnings]

    def current(self) -> Entry | None:
        return next((e for e in (*self.standing.unsaved, *self.entries) if e.id == self.selected), None)

    def next_filter(self) -> None:
        self.filter = FILTERS[(FILTERS.index(self.filter) + 1) % len(FILTERS)]
