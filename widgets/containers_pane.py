"""The containers pane: one line a container, worst first, with a selection that opens its details."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.message import Message
from textual.reactive import var

from console.watch.source import Reading
from widgets.format import age_text, bytes_text, percent_text
from widgets.lines import Line, Span, fit, line
from widgets.marks import BAD, OK, UNKNOWN, WARN, mark
from widgets.pane import Pane

if TYPE_CHECKING:
    from console.watch.containers import Container, ContainersReading

SORTS = ("state", "name", "cpu", "memory")


def container_mark(c: Container) -> str:
    """How a container is, in one mark.

    A container that somebody stopped (exit 0, 143) is unknown, not bad: only its owner can tell.
    """
    if c.oom_killed or c.status in {"dead", "restarting"} or c.health == "unhealthy" or c.deaths >= 3:
        return BAD
    if c.status == "exited":
        return UNKNOWN if c.exit_code in {0, 143} else BAD
    if c.status in {"paused", "created", "removing"} or c.health == "starting":
        return WARN
    return OK if c.running else UNKNOWN


def state_text(c: Container) -> str:
    """The state in words: health where there is a check, exit code and OOM where it ended."""
    if c.status == "exited":
        return f"exited {c.exit_code if c.exit_code is not None else '?'}" + (" OOM" if c.oom_killed else "")
    if c.running and c.health:
        return c.health
    return c.status


def _rank(c: Container) -> int:
    return {BAD: 0, WARN: 1, UNKNOWN: 2, OK: 3}[container_mark(c)]


def ordered(containers: Sequence[Container], sort: str) -> list[Container]:
    """Containers in the chosen order; ties always by name, so that rows do not jump."""
    if sort == "cpu":
        return sorted(containers, key=lambda c: (-(c.cpu or 0.0), c.label, c.name))
    if sort == "memory":
        return sorted(containers, key=lambda c: (-(c.memory or 0), c.label, c.name))
    if sort == "name":
        return sorted(containers, key=lambda c: (c.project, c.label, c.name))
    return sorted(containers, key=lambda c: (_rank(c), c.project, c.label, c.name))


class ContainersPane(Pane):
    """Shows one `Reading[ContainersReading]`; sorts, filters and selects."""

    TITLE = "Containers"
    reading: var[Reading[ContainersReading]] = var(Reading())
    sort: var[str] = var("state")
    needle: var[str] = var("")
    selected: var[str] = var("")  # container id

    class Opened(Message):
        """A person wants the details of a container."""

        def __init__(self, container: Container) -> None:
            super().__init__()
            self.container = container

    def watch_reading(self) -> None:
        self.redraw()

    def watch_sort(self) -> None:
        self.redraw()

    def watch_needle(self) -> None:
        self.redraw()

    def watch_selected(self) -> None:
        self.redraw()

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._ordered: tuple[object, str, str, list[Container]] = (None, "", "", [])
        self._lines: dict[str, tuple[Container, tuple[object, ...], Line]] = {}

    def rows(self) -> list[Container]:
        """The containers shown, in order."""
        value, sort, needle, rows = self._ordered
        if value is not self.reading.value or (sort, needle) != (self.sort, self.needle):
            rows = self._in_order()
            self._ordered = (self.reading.value, self.sort, self.needle, rows)
        return rows

    def _in_order(self) -> list[Container]:
        if self.reading.value is None:
            return []
        if not self.needle:
            return ordered(self.reading.value.containers, self.sort)
        words = self.needle.lower().split()
        found = [
            c
            for c in self.reading.value.containers
            if all(w in f"{c.name} {c.project}/{c.label} {c.image} {state_text(c)}".lower() for w in words)
        ]
        return ordered(found, self.sort)

    def current(self) -> Container | None:
        """The selected container."""
        rows = self.rows()
        return next((c for c in rows if c.id == self.selected), rows[0] if rows else None)

    def subtitle(self) -> str:
        value = self.reading.value
        if value is None:
            return ""
        well = sum(container_mark(c) == OK for c in value.containers)
        projects = sorted({c.project for c in value.containers if c.project})
        name = projects[0] if len(projects) == 1 else f"{len(projects)} projects" if projects else ""
        return "  ".join(p for p in (name, f"{well}/{len(value.containers)} ●") if p)

    def figures(self) -> str:
        return (f"/{self.needle}  " if self.needle else "") + (
            "worst first" if self.sort == "state" else f"by {self.sort}"
        )

    def body(self, width: int, height: int) -> Sequence[Line]:
        value = self.reading.value
        if value is None:
            return [] if self.reading.fault else [line(Span("asking the Docker engine …", "dim"))]
        rows = self.rows()
        if not rows:
            empty = (
                f"no container matches “{self.needle}”"
                if self.needle
                else "no containers on this engine: `docker compose up -d` starts a stack"
            )
            return [line(Span(empty, "dim"))]
        names = fit_width(rows, width)
        current = self.current() if self.has_focus else None
        several = len({c.project for c in rows}) > 1
        top = min(self.top, max(0, len(rows) - height))
        before, self._lines = self._lines, {}
        # The rows above and below are only counted.
        return [
            self._line(c, before, names, width, current is not None and c.id == current.id, several)
            if top <= at <= top + height
            else ()
            for at, c in enumerate(rows)
        ]

    def _line(
        self,
        c: Container,
        before: dict[str, tuple[Container, tuple[object, ...], Line]],
        names: int,
        width: int,
        selected: bool,
        several: bool,
    ) -> Line:
        """The row as it was drawn before where nothing of it changed, which is most rows of most seconds."""
        since = c.started_at if c.running else c.finished_at
        age = age_text(self.now - since) if since and self.now else ""
        made_of = (names, width, selected, several, age)
        known = before.get(c.id)
        if known is not None and known[0] is c and known[1] == made_of:
            self._lines[c.id] = known
        else:
            self._lines[c.id] = (c, made_of, self._row(c, names, width, selected, several, age))
        return self._lines[c.id][2]

    def _row(self, c: Container, names: int, width: int, selected: bool, several: bool, age: str) -> Line:
        label = f"{c.project}/{c.label}" if several and c.project else c.label
        glyph = container_mark(c)
        tone = {BAD: "bad", WARN: "warn"}.get(glyph, "")
        near = c.memory_limit is not None and c.memory is not None and c.memory > 0.9 * c.memory_limit
        restarts = f"↻{c.restarts}"
        parts: list[str | Span] = [
            mark(glyph),
            Span(f" {fit(label, names)} ", "cursor" if selected else "strong"),
            Span(fit(state_text(c), 11), tone),
        ]
        if width >= 58:
            parts.append(Span(fit(restarts, 4), "warn" if c.restarts else "dim"))
        parts.append(fit(percent_text(c.cpu, 1) if c.running else "", 8, "right"))
        memory = bytes_text(c.memory) if c.running and c.memory is not None else ""
        if width >= 66 and memory and c.memory_limit:
            memory += f"/{bytes_text(c.memory_limit)}"
        parts.append(
            Span(
                fit(memory, 18 if width >= 66 else 9, "right") + (" ▲" if near else "  "),
                "warn" if near else "",
            )
        )
        parts.append(Span(fit(age, 4, "right"), "dim"))
        if c.health_detail and c.health == "unhealthy":
            parts.append(Span(f"  {c.failing_streak} failed: {c.health_detail}", "bad"))
        return line(*parts)

    def move(self, rows: int) -> None:
        found = self.rows()
        if not found:
            return
        ids = [c.id for c in found]
        at = ids.index(self.selected) if self.selected in ids else 0
        at = min(len(ids) - 1, max(0, at + rows))
        self.selected = ids[at]
        room = self.size.height - 2
        if at < self.top:
            self.top = at
        elif at >= self.top + room:
            self.top = at - room + 1

    def on_click(self) -> None:
        self.focus()

    def next_sort(self) -> None:
        """The next order."""
        self.sort = SORTS[(SORTS.index(self.sort) + 1) % len(SORTS)]

    def open_selected(self) -> None:
        """Tell that the selected container is to be opened."""
        if (container := self.current()) is not None:
            self.post_message(self.Opened(container))


def fit_width(rows: Sequence[Container], width: int) -> int:
    """Columns for names: enough for the longest, within what the other columns leave."""
    several = len({c.project for c in rows}) > 1
    longest = max(len(f"{c.project}/{c.label}" if several and c.project else c.label) for c in rows)
    fixed = 2 + 1 + 11 + 8 + 11 + 4 + (4 if width >= 58 else 0) + (9 if width >= 66 else 0)
    return max(8, min(longest, width - fixed))
