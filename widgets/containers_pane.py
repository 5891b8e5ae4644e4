"""The containers pane: one line a container, those of the own project and the worst first; Enter opens the details."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from textual.message import Message
from textual.reactive import var

from console.watch.source import Reading
from widgets.format import age_text, bytes_text, percent_text
from widgets.lines import Line, Span, fit, line, width_of
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


def _state_in(c: Container, width: int) -> str:
    """The state in so many columns. That memory ran out is never what is cut off."""
    words = state_text(c)
    return fit(f"OOM {c.exit_code}" if c.oom_killed and len(words) > width else words, width)


def _rank(c: Container) -> int:
    return {BAD: 0, WARN: 1, UNKNOWN: 2, OK: 3}[container_mark(c)]


def _well(containers: Sequence[Container]) -> str:
    return f"{sum(container_mark(c) == OK for c in containers)}/{len(containers)} ●"


def ordered(containers: Sequence[Container], sort: str, project: str = "") -> list[Container]:
    """Containers in the chosen order; ties always by name, so that rows do not jump.

    Those of `project` come before all others: what a person is called for must not be searched among neighbours.
    """
    order: Callable[[Container], tuple[Any, ...]] = {
        "cpu": lambda c: (-(c.cpu or 0.0), c.label, c.name),
        "memory": lambda c: (-(c.memory or 0), c.label, c.name),
        "name": lambda c: (c.project, c.label, c.name),
    }.get(sort, lambda c: (_rank(c), c.project, c.label, c.name))
    return sorted(containers, key=lambda c: (bool(project) and c.project != project, order(c)))


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

    def __init__(self, *, project: str = "", id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._project = project  # the configured one, "" for none
        self._ordered: tuple[object, str, str, list[Container]] = (None, "", "", [])
        self._lines: dict[str, tuple[Container, tuple[object, ...], Line]] = {}
        self._crowded: frozenset[tuple[str, str]] = frozenset()  # services with several containers

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
        count = Counter((c.project, c.label) for c in self.reading.value.containers)
        self._crowded = frozenset(key for key, number in count.items() if number > 1)
        if not self.needle:
            return ordered(self.reading.value.containers, self.sort, self._project)
        words = self.needle.lower().split()
        found = [
            c
            for c in self.reading.value.containers
            if all(w in f"{c.name} {c.project}/{c.label} {c.image} {state_text(c)}".lower() for w in words)
        ]
        return ordered(found, self.sort, self._project)

    def current(self) -> Container | None:
        """The selected container."""
        rows = self.rows()
        return next((c for c in rows if c.id == self.selected), rows[0] if rows else None)

    def subtitle(self) -> str:
        value = self.reading.value
        if value is None:
            return ""
        own = [c for c in value.containers if c.project == self._project]
        others = [c for c in value.containers if c.project != self._project]
        if self._project and own and others:
            return f"{self._project} {_well(own)}  others {_well(others)}"
        projects = sorted({c.project for c in value.containers if c.project})
        name = projects[0] if len(projects) == 1 else f"{len(projects)} projects" if projects else ""
        return "  ".join(p for p in (name, _well(value.containers)) if p)

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
        names = fit_width(rows, width, self._crowded)
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
        made_of = (names, width, selected, several, age, self._crowded)
        known = before.get(c.id)
        if known is not None and known[0] is c and known[1] == made_of:
            self._lines[c.id] = known
        else:
            self._lines[c.id] = (c, made_of, self._row(c, names, width, selected, several, age))
        return self._lines[c.id][2]

    def _row(self, c: Container, names: int, width: int, selected: bool, several: bool, age: str) -> Line:
        label = names_of(c, several, self._crowded)
        foreign = bool(self._project) and c.project != self._project
        glyph = container_mark(c)
        tone = {BAD: "bad", WARN: "warn"}.get(glyph, "")
        near = c.memory_limit is not None and c.memory is not None and c.memory > 0.9 * c.memory_limit
        restarts = f"↻{c.restarts}"
        parts: list[str | Span] = [
            mark(glyph),
            Span(f" {fit(label, names)} ", "cursor" if selected else "dim" if foreign else "strong"),
            Span(_state_in(c, _state_width(width)), tone),
        ]
        if width >= 58:
            parts.append(Span(fit(restarts, 4), "warn" if c.restarts else "dim"))
        parts.append(fit(percent_text(c.cpu, 1) if c.running else "", 8, "right"))
        memory = bytes_text(c.memory) if c.running and c.memory is not None else ""
        parts.append(Span(fit(memory, 9, "right"), "warn" if near else ""))
        if width >= 66:
            limit = f"/{bytes_text(c.memory_limit)}" if memory and c.memory_limit else ""
            parts.append(Span(fit(limit, 9), "warn" if near else "dim"))
        parts.append(Span(" ▲" if near else "  ", "warn"))
        parts.append(Span(fit(age, 4, "right"), "dim"))
        if c.health == "unhealthy":
            room = width - width_of(line(*parts))
            parts.append(Span(_illness(c, room), "bad"))
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


def _state_width(width: int) -> int:
    return 15 if width >= 58 else 11


def _illness(c: Container, room: int) -> str:
    """What its health check says, as far as there is room to say something; Enter shows it in full.

    A detail of two or three letters and an ellipsis tells nobody anything.
    """
    count = f"  {c.failing_streak} failed"
    if c.health_detail and room >= len(count) + 14:
        return f"{count}: {c.health_detail}"
    return count if room >= len(count) else ""


def names_of(c: Container, several: bool, crowded: frozenset[tuple[str, str]]) -> str:
    """What a row is called: the service, of a scaled one the replica, with the project where there are `several`."""
    name = c.name.removeprefix(f"{c.project}-") if (c.project, c.label) in crowded else c.label
    return f"{c.project}/{name}" if several and c.project else name


def fit_width(rows: Sequence[Container], width: int, crowded: frozenset[tuple[str, str]]) -> int:
    """Columns for names: enough for the longest, within what the other columns leave."""
    several = len({c.project for c in rows}) > 1
    longest = max(len(names_of(c, several, crowded)) for c in rows)
    fixed = 2 + 1 + _state_width(width) + 8 + 11 + 4 + (4 if width >= 58 else 0) + (9 if width >= 66 else 0)
    return max(8, min(longest, width - fixed))
