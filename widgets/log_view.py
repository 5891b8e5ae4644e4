"""The log pane: follows, pauses, scrolls back (on disk, too), searches, filters, copies, jumps to a time.

It asks the hub for the lines of the screen and no others, and draws them with the line API of `LinePane`: rows that
stay the same are not sent again. While it follows it repaints at most ten times a second, in a dashboard pane at
most once a refresh, but at once after a silence. Lines that passed unseen are counted in its title.
It does not read logs (`console.watch.logs`) and opens no screens: a line to read whole goes up as a message.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region
from textual.message import Message
from textual.reactive import var

from console.text import clean
from console.watch.logclock import parse_moment
from console.watch.logrows import LineFilter
from console.watch.logs import RANK, LogHub, LogRecord, LogStats, whole_line
from widgets.lines import Line, LinePane, Span, changed_columns, crop, line
from widgets.log_find import LogFind
from widgets.log_lines import (
    as_selected,
    differing_columns,
    empty_lines,
    joined,
    record_line,
    source_width,
    title_line,
    wrapped,
)
from widgets.log_pattern import PatternSteps
from widgets.log_place import LogPlace
from widgets.log_prompt import LogPrompt

_TICK = 0.075  # seconds
_COMPACT_TICK = 0.3  # a pane that is repainted once a second only has to notice that a silence ended
_LEVELS = ("info", "warning", "error", "trace", "debug")  # in the order that one key walks through them


class LogView(LinePane, can_focus=True):
    """Lines of all logs, or of one.

    `compact` is for a dashboard pane: it repaints once every `every` seconds. `stats` may be bound to the reading;
    without it the view asks the hub itself once a second. `source`, `minimum` and `contains` may be set at any time.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f,end", "log('follow')", "follow", id="log.follow", show=False),
        Binding("p", "log('pause')", "pause", id="log.pause", show=False),
        Binding("slash", "log('search')", "search", id="log.search", show=False),
        Binding("n", "log('next')", "older hit", id="log.next", show=False),
        Binding("N", "log('previous')", "newer hit", id="log.previous", show=False),
        Binding("l", "log('level')", "level", id="log.level", show=False),
        Binding("s", "log('source')", "source", id="log.source", show=False),
        Binding("S", "log('ask_source')", "source by name", id="log.ask_source", show=False),
        Binding("ampersand", "log('text')", "only lines with", id="log.text", show=False),
        Binding("x", "log('only')", "only its pattern", id="log.only", show=False),
        Binding("t", "log('time')", "jump to time", id="log.time", show=False),
        Binding("w", "log('wrap')", "wrap", id="log.wrap", show=False),
        Binding("y", "log('copy')", "copy", id="log.copy", show=False),
        Binding("W", "log('write')", "write to file", id="log.write", show=False),
        Binding("enter", "log('open')", "whole line", id="log.open", show=False),
        Binding("up,k", "log('up')", "up", id="log.up", show=False),
        Binding("down,j", "log('down')", "down", id="log.down", show=False),
        Binding("shift+up", "log('extend_up')", "select up", id="log.extend_up", show=False),
        Binding("shift+down", "log('extend_down')", "select down", id="log.extend_down", show=False),
        Binding("pageup,ctrl+u", "log('page_up')", "page up", id="log.page_up", show=False),
        Binding("pagedown,ctrl+d", "log('page_down')", "page down", id="log.page_down", show=False),
        Binding("home,g", "log('oldest')", "oldest", id="log.oldest", show=False),
    ]

    minimum: var[str] = var("info", init=False)  # a level of console.watch.logs.LEVELS
    source: var[str] = var("", init=False)  # "" means all
    contains: var[str] = var("", init=False)
    pattern: var[str] = var("", init=False)  # id of the only pattern to show; "" means all
    wrapping: var[bool] = var(False)
    every: var[float] = var(1.0)  # seconds between repaints when compact
    stats: var[LogStats | None] = var(None)

    class LineOpened(Message):
        """A person wants to read one line whole."""

        def __init__(self, record: LogRecord) -> None:
            super().__init__()
            self.record = record

    class RevealAsked(Message):
        """A person wants to see one line with its secrets."""

        def __init__(self, record: LogRecord) -> None:
            super().__init__()
            self.record = record

    class StateChanged(Message):
        """What the view shows was changed: following, level, source, text, wrap."""

    def __init__(
        self,
        hub: LogHub,
        *,
        compact: bool = False,
        source: str = "",
        minimum: str = "info",
        title: str = "Logs",
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._hub = hub
        self._compact = compact
        self._title = title
        self._place = LogPlace(hub)
        self._find = LogFind(hub, self._place)
        self._steps = PatternSteps(hub, self._place)
        self._prompt = LogPrompt()
        self._painted = float("-inf")
        self._titled = float("-inf")
        self._asked: tuple[float, LogStats] | None = None
        self.set_reactive(LogView.source, source)
        self.set_reactive(LogView.minimum, minimum)
        self._place.wanted = self._wanted

    # -- life

    def on_mount(self) -> None:
        self.set_interval(_COMPACT_TICK if self._compact else _TICK, self._tick)
        self._refill()

    def on_unmount(self) -> None:
        self._find.end()
        self._place.close()

    def on_resize(self) -> None:
        self._refill()
        super().on_resize()

    def on_show(self) -> None:
        self._refill()
        self.redraw()

    def _refill(self) -> None:
        if self.size:
            self._place.room = self._room
            self._place.refill()

    @property
    def _room(self) -> int:
        return max(1, self.size.height - 1 - self._foot)

    @property
    def _foot(self) -> int:
        """Rows taken by what stands below the lines."""
        return 1 if self._prompt.kind or self._place.hint else 0

    def _tick(self) -> None:
        if not self.size or not self.display or self.app.screen is not self.screen:
            return
        now = time.monotonic()
        due = self.every if self._compact else _TICK
        # With stats from outside the pane is painted when they come, and else only after a silence.
        slack = 1.2 if self._compact and self.stats is not None else 0.95
        if self._find.progress():
            self.redraw()
        elif self._place.fresh and now - self._painted >= due * slack:
            self._paint(now)
        elif now - self._titled >= max(1.0, due) * slack:
            self._titled = now
            self.redraw()

    def _paint(self, now: float) -> None:
        self._painted = self._titled = now
        self._place.room = self._room
        self._place.take_new()
        self.redraw()

    def watch_every(self) -> None:
        self.redraw()

    def watch_stats(self) -> None:
        """In a dashboard the pane is repainted with the others, when their figures come."""
        if self._compact and self.is_mounted and self.size and math.isfinite(self.every):
            self._paint(time.monotonic())

    # -- what is shown

    @property
    def following(self) -> bool:
        """Whether new lines are shown as they come."""
        return self._place.following

    @property
    def selected(self) -> list[LogRecord]:
        """The selected lines; while following, all lines on screen."""
        return self._place.selected

    @property
    def _wanted(self) -> LineFilter:
        only = self.pattern
        matches = (lambda record: self._hub.pattern_of(record) == only) if only else None
        return LineFilter(RANK[self.minimum], self.source, self.contains.lower(), matches)

    def watch_source(self) -> None:
        self._find.end()
        self._filter_changed()

    def watch_minimum(self) -> None:
        self._filter_changed()

    def watch_contains(self) -> None:
        self._filter_changed()

    def watch_pattern(self) -> None:
        self._steps.id = self.pattern or self._steps.id
        self._filter_changed()

    def watch_wrapping(self) -> None:
        self.redraw()

    def _filter_changed(self) -> None:
        self._place.room = self._room
        self._place.filter(self._wanted)
        self.post_message(self.StateChanged())
        self.redraw()

    # -- commands

    def action_log(self, what: str) -> None:
        """Do what the key or the palette asks for; the names are those of the bindings' ids after `log.`."""
        handler = getattr(self, f"_do_{what}", None)
        if handler is not None:
            self._place.room = self._room
            handler()
            self.redraw()

    def _do_follow(self) -> None:
        self._place.follow()
        self.post_message(self.StateChanged())

    def _do_pause(self) -> None:
        if self.following:
            self._place.stop()
        else:
            self._place.follow()
        self.post_message(self.StateChanged())

    def _do_up(self) -> None:
        self._place.up()

    def _do_down(self) -> None:
        self._place.down()

    def _do_extend_up(self) -> None:
        self._place.up(select=True)

    def _do_extend_down(self) -> None:
        self._place.down(select=True)

    def _do_page_up(self) -> None:
        self._place.scroll_up(max(1, self._room - 1))

    def _do_page_down(self) -> None:
        self._place.scroll_down(max(1, self._room - 1))

    def _do_oldest(self) -> None:
        self._place.oldest()

    def _do_next(self) -> None:
        self._walk("older")

    def _do_previous(self) -> None:
        self._walk("newer")

    def _walk(self, way: str) -> None:
        """To the next hit of the search, or else to the next line of the pattern that was chosen."""
        if self._steps.id and not self._find.needle:
            self._steps.step(way)
        else:
            self._find.step(way)

    def go_to_pattern(self, id: str) -> None:
        """To the newest line of a pattern; the keys for hits lead to the others."""
        self._find.end()
        if self.pattern and self.pattern != id:
            self.pattern = ""
        self._place.room = self._room
        self._steps.begin(id)
        self.post_message(self.StateChanged())
        self.redraw()

    @property
    def current_pattern(self) -> str:
        """The id of the pattern of the line under the cursor; "" where it is of none that is known."""
        current = self._place.current
        return (self._hub.pattern_of(current) or "") if current is not None else ""

    def _do_only(self) -> None:
        """Only the lines of the current one's pattern; again: all."""
        if self.pattern:
            self.pattern = ""
        elif id := self.current_pattern:
            self.pattern = id
        else:
            self._place.hint = "this line is of no pattern that is known yet"

    def _do_level(self) -> None:
        at = _LEVELS.index(self.minimum) if self.minimum in _LEVELS else -1
        self.minimum = _LEVELS[(at + 1) % len(_LEVELS)]

    def _do_source(self) -> None:
        names = ("", *self._hub.sources)
        at = names.index(self.source) if self.source in names else 0
        self.source = names[(at + 1) % len(names)]

    def _do_wrap(self) -> None:
        self.wrapping = not self.wrapping
        self.post_message(self.StateChanged())

    def _do_open(self) -> None:
        self._place.stop()
        if (record := self._place.current) is not None:
            self.post_message(self.LineOpened(record))

    def _do_reveal(self) -> None:
        self._place.stop()
        if (record := self._place.current) is not None:
            self.post_message(self.RevealAsked(record))

    def _do_copy(self) -> None:
        chosen = self.selected
        if chosen:
            self.app.copy_to_clipboard("\n".join(whole_line(record) for record in chosen))
            lines = "1 line" if len(chosen) == 1 else f"{len(chosen)} lines"
            self._place.hint = f"copied {lines} (if the terminal allows it); W writes to a file"

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self._place.room = self._room
        self._place.scroll_up(3)
        self.redraw()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self._place.room = self._room
        self._place.scroll_down(3)
        self.redraw()

    def on_click(self, event: events.Click) -> None:
        """Select the line; while lines are wrapped only the keys do."""
        if not self.wrapping:
            self._place.point_at(event.y - 1)
            self.redraw()

    # -- questions at the foot

    def _do_search(self) -> None:
        self._ask("search")

    def _do_text(self) -> None:
        self._ask("text", self.contains)

    def _do_time(self) -> None:
        self._ask("time")

    def _do_ask_source(self) -> None:
        self._ask("source")

    def _do_write(self) -> None:
        self._place.stop()
        self._ask("write", time.strftime("sevdeck-logs-%Y%m%d-%H%M%S.txt"))

    def _ask(self, kind: str, value: str = "") -> None:
        self._place.hint = ""
        self._prompt.open(kind, value)

    def check_consume_key(self, key: str, character: str | None) -> bool:
        return bool(self._prompt.kind) and character is not None and character.isprintable()

    async def _on_key(self, event: events.Key) -> None:
        if not self._prompt.kind:
            await super()._on_key(event)
            return
        event.stop()
        event.prevent_default()
        answer = self._prompt.key(event.key, event.character)
        self._place.room = self._room
        if answer is not None:
            self._answered(*answer)
        self.redraw()

    def on_paste(self, event: events.Paste) -> None:
        if self._prompt.kind:
            event.stop()
            self._prompt.paste(event.text)
            self.redraw()

    def _answered(self, kind: str, typed: str) -> None:
        if kind == "search":
            self._find.begin(typed)
        elif kind == "text":
            self.contains = typed
        elif kind == "time" and typed:
            self._jump(typed)
        elif kind == "source":
            self._choose_source(typed)
        elif kind == "write" and typed:
            self._write(Path(typed).expanduser())

    def _jump(self, typed: str) -> None:
        moment = parse_moment(typed, time.time())
        if moment is None:
            self._place.hint = f"“{clean(typed, 40)}” is no time: 03:12, 03:12:30, -5m, 2026-11-22 03:12"
        else:
            self._place.jump(moment)

    def _choose_source(self, typed: str) -> None:
        names = self._hub.sources
        exact = [name for name in names if name == typed]
        found = exact or [name for name in names if name.lower().startswith(typed.lower())]
        if typed and not found:
            self._place.hint = f"no source begins with “{clean(typed, 40)}”: {', '.join(names)}"
        else:
            self.source = found[0] if typed else ""

    def _write(self, path: Path) -> None:
        chosen = self._place.selected if self._place.anchor is not None else self._place.records
        try:
            with path.open("x", encoding="utf-8") as file:
                file.writelines(f"{record.source}: {whole_line(record)}\n" for record in chosen)
        except FileExistsError:
            self._place.hint = f"{clean(path.name, 80)} exists already; nothing was written"
        except OSError as error:
            self._place.hint = f"not written: {clean(error.strerror or str(error), 120)}"
        else:
            self._place.hint = f"wrote {len(chosen)} lines to {clean(str(path.absolute()), 200)}"

    # -- drawing

    def redraw(self) -> None:
        """Compute the view and repaint what differs of each row that changed."""
        width, height = self.size
        if not self.is_mounted or not width or not height:
            return
        shown = [joined(crop(spans, width)) for spans in list(self.view(width, height))[:height]]
        shown += [(Span(" " * width),)] * (height - len(shown))
        before, self._shown = self._shown, shown
        if len(before) != len(shown):
            self.refresh()
            return
        regions = []
        for y, (old, new) in enumerate(zip(before, shown, strict=True)):
            # The title changes by single figures, so its cells are compared.
            columns = changed_columns(old, new) if y == 0 else differing_columns(old, new, width)
            if columns is not None:
                regions.append(Region(columns[0], y, columns[1] - columns[0], 1))
        if regions:
            self.refresh(*regions)

    def view(self, width: int, height: int) -> Sequence[Line]:
        lines = [self._head(width), *self._body(width, self._room)]
        lines += [()] * (height - len(lines) - self._foot)
        if self._prompt.kind:
            lines.append(self._prompt.line(width))
        elif self._place.hint:
            lines.append(line(Span(self._place.hint, "dim")))
        return lines

    def _body(self, width: int, room: int) -> list[Line]:
        place, names = self._place, self._hub.sources
        if not place.records:
            return empty_lines(names, self._hub.buffer.next, self.minimum, self.source, self.contains)
        column = source_width(names) if not self.source and len(names) > 1 else 0
        rows: list[tuple[int, Line]] = []
        for number, record in enumerate(place.records):
            if self.wrapping:
                parts = wrapped(record, column, width, self._find.needle, limit=room)
            else:
                parts = [record_line(record, column, self._find.needle, width)]
            rows += [(number, part) for part in parts]
        chosen = range(0) if place.following else place.chosen
        window = self._window(rows, room)
        return [as_selected(crop(spans, width)) if number in chosen else spans for number, spans in window]

    def _window(self, rows: list[tuple[int, Line]], room: int) -> list[tuple[int, Line]]:
        """The rows that fit: the last ones while following, else those around the cursor."""
        if len(rows) <= room:
            return rows
        if self._place.following:
            return rows[-room:]
        mine = [at for at, (number, _) in enumerate(rows) if number == self._place.cursor]
        start = max(0, mine[-1] - room + 1) if mine else 0
        return rows[start : start + room]

    def _head(self, width: int) -> Line:
        stats = self._known_stats()
        place, find = self._place, self._find.words
        state = "following" if place.following else "paused"
        if math.isinf(self.every):
            state = "paused (space)"
        if find:
            state = f"{state}, {find}" if place.following else find
        elif place.arrived:
            state = f"paused, {place.arrived:,} new"
        return title_line(
            self._title,
            width,
            stats,
            source=self.source,
            minimum=self.minimum,
            contains=self.contains,
            only=self._pattern_text(stats),
            state=state,
            dropped=stats.dropped + place.dropped,
            focused=self.has_focus,
        )

    def _pattern_text(self, stats: LogStats) -> str:
        if not self.pattern:
            return ""
        return next((one.text for one in stats.patterns if one.id == self.pattern), "one pattern")

    def _known_stats(self) -> LogStats:
        if self.stats is not None:
            return self.stats
        now = time.monotonic()
        if self._asked is None or now - self._asked[0] > 0.9:
            self._asked = (now, self._hub.stats())
        return self._asked[1]
