"""The log pane: follows, pauses, scrolls back (on disk, too), searches, filters, copies, jumps to a time.

It asks the hub for the lines of the screen and no others, and draws them with the line API of `LinePane`: rows that
stay the same are not sent again. While it follows it repaints at most ten times a second, in a dashboard pane at
most once a refresh, but at once after a silence. Lines that passed unseen are counted in its title.
It does not read logs (`console.watch.logs`) and opens no screens: a line to read whole goes up as a message.
"""

from __future__ import annotations

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
from console.watch.logrows import FileRows, LineFilter, RingRows, Rows, Walk, find_time, walk_back, walk_forth
from console.watch.logs import RANK, LogHub, LogRecord, LogStats, whole_line
from console.watch.logsearch import FileSearch
from widgets.lines import Line, LinePane, Span, between, changed_columns, crop, line
from widgets.log_lines import as_selected, differing_columns, joined, record_line, source_width, wrapped

_TICK = 0.1
_LEVELS = ("info", "warning", "error", "trace", "debug")
_LEVEL_LABEL = {"trace": "trace", "debug": "debug", "info": "info", "warning": "warn", "error": "error"}
_PROMPTS = {
    "search": ("/", "word to find; lower case finds any case"),
    "text": ("only lines with ▸ ", "empty shows all"),
    "time": ("jump to ▸ ", "03:12, -5m, 2026-11-22 03:12"),
    "source": ("source ▸ ", "a name or its beginning; empty shows all"),
    "write": ("write to file ▸ ", "the lines on screen, or the selected ones"),
}


class LogView(LinePane, can_focus=True):
    """Lines of all logs, or of one.

    `compact` is for a dashboard pane: repaints once every `every` seconds. `stats` may be bound to the reading;
    without it the view asks the hub itself once a second.
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

    following: var[bool] = var(True)
    minimum: var[str] = var("info")  # a level of console.watch.logs.LEVELS
    source: var[str] = var("")  # "" means all
    contains: var[str] = var("")
    wrapping: var[bool] = var(False)
    every: var[float] = var(1.0)  # seconds between repaints when compact
    stats: var[LogStats | None] = var(None)

    class LineOpened(Message):
        """A person wants to read one line whole."""

        def __init__(self, record: LogRecord) -> None:
            super().__init__()
            self.record = record

    class StateChanged(Message):
        """What the view shows was changed by a person: following, level, source, wrap."""

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
        self._rows: Rows = RingRows(hub)
        self._records: list[LogRecord] = []  # on screen, oldest first
        self._cursor = 0
        self._anchor: int | None = None  # other end of a selection
        self._seen = 0  # seq up to which lines were shown or passed over
        self._passed = 0  # lines that went by unseen while following
        self._paused_at = 0  # seq at which following ended
        self._painted = float("-inf")
        self._counted = float("-inf")
        self._asked: tuple[float, LogStats] | None = None
        self._hint = ""
        self._prompt = ""  # kind of the prompt that is open
        self._typed = ""
        self._needle = ""
        self._search: FileSearch | None = None
        self._hits = 0
        self._want: str = ""  # "older" or "newer": a jump waits for the search
        self._at_hit: int | None = None
        self.set_reactive(LogView.source, source)
        self.set_reactive(LogView.minimum, minimum)

    # -- life

    def on_mount(self) -> None:
        self.set_interval(_TICK, self._tick)
        self._refill()

    def on_unmount(self) -> None:
        if self._search is not None:
            self._search.cancel()
        self._rows.close()

    def on_resize(self) -> None:
        self._refill()
        super().on_resize()

    def on_show(self) -> None:
        self._refill()
        self.redraw()

    @property
    def _visible(self) -> bool:
        return bool(self.size) and self.display and self.app.screen is self.screen

    def _tick(self) -> None:
        if not self._visible:
            return
        now = time.monotonic()
        if self._search is not None and self._follow_search():
            return
        due = self.every if self._compact else _TICK
        fresh = self.following and self._hub.buffer.next != self._seen
        if fresh and now - self._painted >= due * 0.95:
            self._painted = now
            self._take_new()
            self.redraw()
        elif now - self._counted >= max(1.0, due) * 0.95:
            self._counted = now
            self.redraw()

    # -- which lines

    @property
    def _wanted(self) -> LineFilter:
        return LineFilter(RANK[self.minimum], self.source, self.contains.lower())

    @property
    def _room(self) -> int:
        return max(1, self.size.height - 1 - (1 if self._prompt or self._hint else 0))

    def _refill(self) -> None:
        """Fill the screen anew, keeping the place."""
        if not self.size:
            return
        if self.following:
            self._rows_are(RingRows(self._hub))
            self._seen = self._rows.end
            self._records = walk_back(self._rows, self._seen, self._room, self._wanted).records
            self._cursor = max(0, len(self._records) - 1)
        elif self._records:
            self._around(self._rows.key(self._records[min(self._cursor, len(self._records) - 1)]))

    def _take_new(self) -> None:
        """What arrived since the last repaint; what did not fit between is counted as passed."""
        end = self._rows.end
        walk = walk_back(self._rows, end, self._room, self._wanted, stop=self._seen)
        self._passed += max(0, walk.reached - max(self._seen, self._hub.backlog_end))
        if walk.records:
            self._records = (self._records + walk.records)[-self._room :]
        self._cursor = max(0, len(self._records) - 1)
        self._seen = end

    def _around(self, key: int) -> None:
        """Show the line `key` with what stands around it."""
        before = walk_back(self._rows, key, self._room // 2, self._wanted).records
        after = walk_forth(self._rows, key, self._room - len(before), self._wanted).records
        if len(before) + len(after) < self._room:
            before = walk_back(self._rows, key, self._room - len(after), self._wanted).records
        self._records = before + after
        self._cursor = min(len(before), max(0, len(self._records) - 1))
        self._anchor = None

    def _rows_are(self, rows: Rows) -> None:
        if type(rows) is RingRows and type(self._rows) is RingRows:
            return
        self._rows.close()
        self._rows = rows

    def _file(self) -> FileRows | None:
        """The file behind what is shown, where that is one file."""
        source = self.source
        if not source:
            sources = self._hub.sources
            source = sources[0] if len(sources) == 1 else ""
        path = self._hub.path_of(source) if source else None
        if path is None:
            return None
        if isinstance(self._rows, FileRows) and self._rows.source == source:
            return self._rows
        try:
            return FileRows(self._hub, source, path)
        except OSError:
            return None

    def _to_file(self) -> bool:
        """Walk on in the file instead of the ring, at the same place. False where there is none."""
        if isinstance(self._rows, FileRows):
            return True
        rows = self._file()
        if rows is None:
            return False
        held = next((record for record in self._records if record.offset is not None), None)
        if held is None or not rows.holds(held):
            rows.close()
            return False
        self._rows_are(rows)
        return True

    # -- scrolling

    def _stop_following(self) -> None:
        if self.following:
            self.following = False
            self._paused_at = self._seen
            self._cursor = max(0, len(self._records) - 1)

    def _up(self, lines: int, *, select: bool = False) -> None:
        self._stop_following()
        self._mark(select)
        self._hint = ""
        if (lines <= self._cursor and not select) or (select and self._cursor >= lines):
            self._cursor -= lines
            return
        missing = lines - self._cursor
        walk = self._older(missing)
        if not walk.records:
            self._cursor = 0
            self._hint = self._why_no_older(walk)
            return
        if select:
            self._shift_anchor(len(walk.records))
            self._records = (walk.records + self._records)[: max(self._room, (self._anchor or 0) + 1)]
        else:
            self._records = (walk.records + self._records)[: self._room]
        self._cursor = max(0, len(walk.records) - missing)

    def _older(self, count: int) -> Walk:
        key = self._rows.key(self._records[0]) if self._records else self._rows.end
        walk = walk_back(self._rows, key, count, self._wanted)
        if len(walk.records) < count and walk.reached <= self._rows.first and self._to_file() and self._records:
            walk = walk_back(self._rows, self._rows.key(self._records[0]), count, self._wanted)
        return walk

    def _why_no_older(self, walk: Walk) -> str:
        if walk.reached > self._rows.first:
            return "nothing that passes the filter in the lines before; ↑ looks further"
        if isinstance(self._rows, FileRows):
            return "the first line of the file"
        if not self.source and len(self._hub.sources) > 1:
            return "older lines are not in memory; s chooses one source and reads back in its file"
        return "the oldest line in memory"

    def _down(self, lines: int, *, select: bool = False) -> None:
        if self.following:
            return
        self._mark(select)
        self._hint = ""
        below = len(self._records) - 1 - self._cursor
        if lines <= below:
            self._cursor += lines
            return
        missing = lines - below
        start = self._rows.after_key(self._records[-1]) if self._records else self._rows.first
        walk = walk_forth(self._rows, start, missing, self._wanted)
        gone = max(0, len(self._records) + len(walk.records) - self._room)
        self._records = (self._records + walk.records)[gone:]
        self._shift_anchor(-gone)
        self._cursor = len(self._records) - 1
        if not walk.records:
            self._hint = "the newest line; f follows"

    def _mark(self, select: bool) -> None:
        if not select:
            self._anchor = None
        elif self._anchor is None:
            self._anchor = self._cursor

    def _shift_anchor(self, by: int) -> None:
        if self._anchor is not None:
            self._anchor = max(0, self._anchor + by)

    @property
    def selected(self) -> list[LogRecord]:
        """The selected lines; while following, all lines on screen."""
        if self.following or not self._records:
            return list(self._records)
        other = self._cursor if self._anchor is None else min(self._anchor, len(self._records) - 1)
        low, high = min(self._cursor, other), max(self._cursor, other)
        return self._records[low : high + 1]

    # -- commands

    def action_log(self, what: str) -> None:
        """Do what the key or the palette asks for; the names are those of the bindings' ids after `log.`."""
        handler = getattr(self, f"_do_{what}", None)
        if handler is not None:
            handler()
            self.redraw()

    def _do_follow(self) -> None:
        self.following = True
        self._passed = 0
        self._hint = ""
        self._anchor = None
        self._refill()
        self.post_message(self.StateChanged())

    def _do_pause(self) -> None:
        if self.following:
            self._stop_following()
            self.post_message(self.StateChanged())
        else:
            self._do_follow()

    def _do_up(self) -> None:
        self._up(1)

    def _do_down(self) -> None:
        self._down(1)

    def _do_extend_up(self) -> None:
        self._up(1, select=True)

    def _do_extend_down(self) -> None:
        self._down(1, select=True)

    def _do_page_up(self) -> None:
        self._scroll_up(self._room - 1)

    def _do_page_down(self) -> None:
        self._scroll_down(self._room - 1)

    def _scroll_up(self, count: int) -> None:
        """Move all that is shown; the cursor stays in its row."""
        self._stop_following()
        self._mark(False)
        walk = self._older(count)
        self._records = (walk.records + self._records)[: self._room]
        self._hint = ""
        if not walk.records:
            self._cursor, self._hint = 0, self._why_no_older(walk)

    def _scroll_down(self, count: int) -> None:
        if self.following:
            return
        self._mark(False)
        start = self._rows.after_key(self._records[-1]) if self._records else self._rows.first
        walk = walk_forth(self._rows, start, count, self._wanted)
        self._records = (self._records + walk.records)[-self._room :]
        self._hint = ""
        if not walk.records:
            self._cursor, self._hint = max(0, len(self._records) - 1), "the newest line; f follows"

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self._scroll_up(3)
        self.redraw()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self._scroll_down(3)
        self.redraw()

    def on_click(self, event: events.Click) -> None:
        """Select the line; while lines are wrapped only the keys do."""
        if not self.wrapping and 0 < event.y <= len(self._records):
            self._stop_following()
            self._mark(False)
            self._cursor = event.y - 1
            self.redraw()

    def _do_oldest(self) -> None:
        self._stop_following()
        self._to_file()
        self._records = walk_forth(self._rows, self._rows.first, self._room, self._wanted, budget=20_000).records
        self._cursor = 0
        self._anchor = None

    def _do_level(self) -> None:
        self.minimum = _LEVELS[(_LEVELS.index(self.minimum) + 1) % len(_LEVELS)] if self.minimum in _LEVELS else "info"
        self._filter_changed()

    def _do_source(self) -> None:
        names = ("", *self._hub.sources)
        place = names.index(self.source) if self.source in names else 0
        self.show_source(names[(place + 1) % len(names)])

    def show_source(self, source: str) -> None:
        """Show one source; "" shows all."""
        keep = self._records[self._cursor] if self._records and not self.following else None
        self.source = source
        if keep is not None and keep.seq is None:  # a place in a file means nothing elsewhere
            self.following = True
        self._rows_are(RingRows(self._hub))
        self._end_search()
        self._filter_changed()

    def _filter_changed(self) -> None:
        self._hint = ""
        self._passed = 0
        if self._records or self.following:
            self._refill()
        else:
            self._do_follow()
        if not self._records and not self.following:
            self._do_follow()
        self.post_message(self.StateChanged())

    def _do_wrap(self) -> None:
        self.wrapping = not self.wrapping
        self.post_message(self.StateChanged())

    def _do_open(self) -> None:
        if self._records:
            self._stop_following()
            self.post_message(self.LineOpened(self._records[self._cursor]))

    def _do_copy(self) -> None:
        chosen = self.selected
        if not chosen:
            return
        self.app.copy_to_clipboard("\n".join(whole_line(record) for record in chosen))
        lines = "1 line" if len(chosen) == 1 else f"{len(chosen)} lines"
        self._hint = f"copied {lines} (if the terminal allows it); W writes to a file"

    # -- prompts

    def _do_search(self) -> None:
        self._ask("search")

    def _do_text(self) -> None:
        self._ask("text", self.contains)

    def _do_time(self) -> None:
        self._ask("time")

    def _do_ask_source(self) -> None:
        self._ask("source")

    def _do_write(self) -> None:
        self._stop_following()
        self._ask("write", time.strftime("sevdeck-logs-%Y%m%d-%H%M%S.txt"))

    def _ask(self, kind: str, value: str = "") -> None:
        self._prompt, self._typed, self._hint = kind, value, ""
        self.redraw()

    def check_consume_key(self, key: str, character: str | None) -> bool:
        return bool(self._prompt) and character is not None and character.isprintable()

    async def _on_key(self, event: events.Key) -> None:
        if not self._prompt:
            await super()._on_key(event)
            return
        event.stop()
        event.prevent_default()
        if event.key == "escape":
            self._prompt = ""
        elif event.key == "enter":
            kind, typed = self._prompt, self._typed.strip()
            self._prompt = ""
            self._answered(kind, typed)
        elif event.key in ("backspace", "ctrl+h"):
            self._typed = self._typed[:-1]
        elif event.key == "ctrl+u":
            self._typed = ""
        elif event.character is not None and event.character.isprintable():
            self._typed = (self._typed + event.character)[:500]
        self.redraw()

    def on_paste(self, event: events.Paste) -> None:
        if self._prompt:
            event.stop()
            self._typed = (self._typed + clean(event.text.split("\n")[0]))[:500]
            self.redraw()

    def _answered(self, kind: str, typed: str) -> None:
        if kind == "search":
            self.search(typed)
        elif kind == "text":
            self.contains = typed
            self._filter_changed()
        elif kind == "time":
            self.jump(typed)
        elif kind == "source":
            self._choose_source(typed)
        elif kind == "write" and typed:
            self._write(Path(typed).expanduser())

    def _choose_source(self, typed: str) -> None:
        names = self._hub.sources
        exact = [name for name in names if name == typed]
        found = exact or [name for name in names if name.lower().startswith(typed.lower())]
        if not typed:
            self.show_source("")
        elif found:
            self.show_source(found[0])
        else:
            self._hint = f"no source begins with “{clean(typed, 40)}”: {', '.join(names)}"

    def _write(self, path: Path) -> None:
        chosen = self.selected if self._anchor is not None else self._records
        try:
            with path.open("x", encoding="utf-8") as file:
                file.writelines(f"{record.source}: {whole_line(record)}\n" for record in chosen)
        except FileExistsError:
            self._hint = f"{path.name} exists already; nothing was written"
        except OSError as error:
            self._hint = f"not written: {clean(error.strerror or str(error), 120)}"
        else:
            self._hint = f"wrote {len(chosen)} lines to {clean(str(path.absolute()), 200)}"

    # -- time

    def jump(self, typed: str) -> None:
        """Go to the first line at or after a moment as a person writes it."""
        if not typed:
            return
        moment = parse_moment(typed, time.time())
        if moment is None:
            self._hint = f"“{clean(typed, 40)}” is no time: 03:12, 03:12:30, -5m, 2026-11-22 03:12"
            return
        self._stop_following()
        file = self._file()
        if file is not None:
            self._rows_are(file)
        place = find_time(self._rows, moment, self.source)
        if place >= self._rows.end:
            self._hint = "all lines are older"
        elif place <= self._rows.first and file is None:
            self._hint = "the oldest line in memory; choose one source (s) to read back in its file"
        else:
            self._hint = ""
        self._around(place)

    # -- search

    def search(self, text: str) -> None:
        """Find the newest line with this text, then count all; "" ends the search."""
        self._end_search()
        self._needle = text
        if not text:
            return
        self._stop_following()
        file = self._file()
        if file is not None:
            at = self._records[self._cursor] if self._records else None
            origin = None if at is None or at.offset is None else at.offset + len(at.raw) + 1
            self._rows_are(file)
            path = self._hub.path_of(file.source)
            if path is not None:
                json_file = at is not None and at.raw.startswith(b'{"log":')
                self._search = FileSearch(path, text, origin=origin, json_file=json_file).start()
                self._want, self._at_hit = "older", None
                self._search.join(0.05)  # most are found by now, and the screen changes once
                self._follow_search()
                return
        self._hits = self._count_in_ring()
        self._at_hit = (self._rows.after_key(self._records[self._cursor])) if self._records else self._rows.end
        self._step("older")

    def _end_search(self) -> None:
        if self._search is not None:
            self._search.cancel()
        self._search, self._needle, self._want, self._at_hit, self._hits = None, "", "", None, 0

    def _do_next(self) -> None:
        self._step("older")

    def _do_previous(self) -> None:
        self._step("newer")

    def _step(self, way: str) -> None:
        if not self._needle:
            self._hint = "/ searches"
            return
        if self._search is not None:
            self._want = way
            self._follow_search()
            return
        found = self._in_ring(way)
        if found is None:
            self._hint = f"no {way} line in memory has “{clean(self._needle, 40)}”" + (
                "; s chooses one source and searches its file" if not self.source else ""
            )
            return
        self._hint = ""
        self._at_hit = found
        self._around(found)

    def _follow_search(self) -> bool:
        """Jump when the hit that is waited for was found; show progress. True when the screen was redrawn."""
        search = self._search
        if search is None:
            return False
        if self._want:
            self._jump_to_hit(search)
        if search.fault:
            self._hint = f"search: {search.fault}"
        if search.done and not self._want and self._hits == search.count:
            return False
        self._hits = search.count
        self.redraw()
        return True

    def _jump_to_hit(self, search: FileSearch) -> None:
        rows = self._rows
        for _ in range(200):  # hits in lines that the filter hides are passed over
            if self._at_hit is None:
                place, certain = search.older(rows.end + 1)
            elif self._want == "older":
                place, certain = search.older(rows.start_of(self._at_hit))
            else:
                record = walk_forth(rows, rows.start_of(self._at_hit), 1, LineFilter()).records
                place, certain = search.newer(rows.after_key(record[0]) - 1 if record else self._at_hit)
            if place is None:
                if certain:
                    self._hint = f"no {'more ' if self._at_hit is not None else ''}{self._want} hit"
                    self._want = ""
                return
            self._at_hit = place
            start = rows.start_of(place)
            found = walk_forth(rows, start, 1, self._wanted, budget=1).records
            if found and rows.key(found[0]) == start:
                self._want, self._hint = "", ""
                self._around(start)
                return
        self._hint, self._want = "200 hits in lines that the filter hides; n looks further", ""

    def _count_in_ring(self) -> int:
        return sum(1 for _ in self._ring_hits("older", self._rows.end, limit=2000))

    def _in_ring(self, way: str) -> int | None:
        start = self._at_hit if self._at_hit is not None else self._rows.end
        return next(iter(self._ring_hits(way, start, limit=1)), None)

    def _ring_hits(self, way: str, start: int, limit: int) -> Sequence[int]:
        exact = self._needle != self._needle.lower()
        needle = self._needle if exact else self._needle.lower()
        wanted = self._wanted
        found: list[int] = []
        walk = self._rows.back(start, wanted) if way == "older" else self._rows.forth(start + 1, wanted)
        until = time.monotonic() + 0.5
        for number, _, record in walk:
            if record is not None and wanted.wants(record):
                text = record.message if exact else record.message.lower()
                if needle in text:
                    found.append(number)
                    if len(found) >= limit:
                        break
            if number % 256 == 0 and time.monotonic() > until:
                break
        return found

    # -- drawing

    def redraw(self) -> None:
        """Compute the view and repaint what differs of each row that changed."""
        width, height = self.size
        if not self.is_mounted or not width or not height:
            return
        lines = list(self.view(width, height))[:height]
        shown = [joined(crop(spans, width)) for spans in lines]
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
        lines: list[Line] = [self._head(width)]
        body = self._body(width, self._room)
        lines += body
        lines += [()] * (height - len(lines) - (1 if self._prompt or self._hint else 0))
        if self._prompt:
            label, hint = _PROMPTS[self._prompt]
            typed = self._typed[-(width - len(label) - 4) :]
            lines.append(line(Span(label, "key"), f"{typed}▏", Span(f"  {hint}" if not self._typed else "", "dim")))
        elif self._hint:
            lines.append(line(Span(self._hint, "dim")))
        return lines

    def _body(self, width: int, room: int) -> list[Line]:
        if not self._records:
            return self._empty(width)
        names = source_width(self._hub.sources) if not self.source and len(self._hub.sources) > 1 else 0
        rows: list[tuple[int, Line]] = []
        for number, record in enumerate(self._records):
            if self.wrapping:
                parts = wrapped(record, names, width, self._needle, limit=max(1, room))
            else:
                parts = [record_line(record, names, self._needle, width)]
            rows += [(number, part) for part in parts]
        if len(rows) > room:
            rows = self._window(rows, room)
        chosen = set() if self.following else set(self._chosen())
        return [as_selected(crop(spans, width)) if number in chosen else spans for number, spans in rows]

    def _chosen(self) -> range:
        other = self._cursor if self._anchor is None else self._anchor
        return range(min(self._cursor, other), max(self._cursor, other) + 1)

    def _window(self, rows: list[tuple[int, Line]], room: int) -> list[tuple[int, Line]]:
        """The rows that fit: the last ones while following, else those around the cursor."""
        if self.following:
            return rows[-room:]
        mine = [place for place, (number, _) in enumerate(rows) if number == self._cursor]
        start = max(0, min(mine[0], mine[-1] - room + 1)) if mine else 0
        start = min(start, mine[0]) if mine else start
        return rows[start : start + room]

    def _empty(self, width: int) -> list[Line]:
        sources = self._hub.sources
        if not sources:
            return [
                line(Span("No logs are followed: no containers yet, and no [[logs]] in sevdeck.toml.", "dim")),
                line(Span("`sevdeck init` writes one with the log files it finds.", "dim")),
            ]
        if self._hub.buffer.next == 0:
            return [line(Span("Nothing has been written yet.", "dim"))]
        what = f"≥ {_LEVEL_LABEL.get(self.minimum, self.minimum)}"
        where = f" of {self.source}" if self.source else ""
        more = f" with “{clean(self.contains, 30)}”" if self.contains else ""
        return [line(Span(f"No line {what}{where}{more} in memory. l changes the level, s the source.", "dim"))]

    def _head(self, width: int) -> Line:
        stats = self._stats()
        tone = "focus" if self.has_focus else "title"
        words = [self.source or "all", f"≥ {_LEVEL_LABEL.get(self.minimum, self.minimum)}"]
        if self.contains:
            words.append(f"with “{clean(self.contains, 20)}”")
        words.append(self._state())
        left: list[Span] = [
            Span("── ", tone),
            Span(self._title, "focus" if self.has_focus else "strong"),
            Span(f"  {' · '.join(words)} ", "dim"),
        ]
        faults = [one for one in stats.faults if not self.source or one.name == self.source]
        if faults:
            more = f" (+{len(faults) - 1})" if len(faults) > 1 else ""
            left.append(Span(f"⧗ {faults[0].name}: {faults[0].fault}{more} ", "warn"))
        return between(tuple(left), self._figures(stats, tone), width, "─", tone)

    def _stats(self) -> LogStats:
        if self.stats is not None:
            return self.stats
        now = time.monotonic()
        if self._asked is None or now - self._asked[0] > 0.9:
            self._asked = (now, self._hub.stats())
        return self._asked[1]

    def _state(self) -> str:
        if self._needle:
            search = self._search
            share = f" {search.share:.0%}" if search is not None and not search.done else ""
            return f"“{clean(self._needle, 20)}” {self._hits:,} hits{share}"
        if self.following:
            return "following"
        new = self._hub.buffer.next - self._paused_at
        return f"paused, {new:,} new" if new else "paused"

    def _figures(self, stats: LogStats, tone: str) -> Line:
        rate = stats.lines_per_second
        if self.source:
            rate = sum(one.lines_per_second for one in stats.inputs if one.name == self.source)
        dropped = stats.dropped + self._passed
        if not self.following:
            dropped += max(0, self._hub.buffer.first - self._paused_at)
        return line(
            Span(f" {rate:,.0f}/s  ", "dim"),
            Span(f"+{dropped:,} dropped", "warn" if dropped else "dim"),
            Span(" ──", tone),
        )
