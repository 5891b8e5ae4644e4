"""Where a person is in the logs: which lines are on screen, the cursor, following or standing still.

It walks over the lines in memory and, where one file is shown, goes on in the file on disk. It knows the rows of the
screen by number only; drawing is `widgets.log_view`'s.
"""

from __future__ import annotations

from console.watch.logrecord import LogRecord
from console.watch.logrows import FileRows, LineFilter, RingRows, Rows, Walk, find_time, walk_back, walk_forth
from console.watch.logs import LogHub


class LogPlace:
    """The lines on screen and how they move. `hint` tells a person why something did not move."""

    def __init__(self, hub: LogHub) -> None:
        self.wanted = LineFilter()
        self.room = 1  # lines that fit
        self.following = True
        self.records: list[LogRecord] = []  # on screen, oldest first
        self.cursor = 0
        self.anchor: int | None = None  # the other end of a selection
        self.hint = ""
        self.rows: Rows = RingRows(hub)
        self._hub = hub
        self._seen = 0  # seq up to which lines were shown or passed over
        self._passed = 0  # lines that went by unseen while following
        self._stopped_at = 0  # seq at which following ended

    def close(self) -> None:
        self.rows.close()

    # -- what is there

    @property
    def fresh(self) -> bool:
        """Whether lines arrived that following should show."""
        return self.following and self._hub.buffer.next != self._seen

    @property
    def arrived(self) -> int:
        """Lines that arrived since following ended."""
        return 0 if self.following else self._hub.buffer.next - self._stopped_at

    @property
    def dropped(self) -> int:
        """Lines that went by unseen while following, or left memory unseen while standing still."""
        lost = 0 if self.following else max(0, self._hub.buffer.first - self._stopped_at)
        return self._passed + lost

    @property
    def current(self) -> LogRecord | None:
        """The line under the cursor."""
        return self.records[min(self.cursor, len(self.records) - 1)] if self.records else None

    @property
    def chosen(self) -> range:
        """Numbers of the selected lines."""
        other = self.cursor if self.anchor is None else min(self.anchor, len(self.records) - 1)
        return range(min(self.cursor, other), max(self.cursor, other) + 1)

    @property
    def selected(self) -> list[LogRecord]:
        """The selected lines; while following, all lines on screen."""
        if self.following or not self.records:
            return list(self.records)
        return [self.records[number] for number in self.chosen if number < len(self.records)]

    # -- following and standing still

    def follow(self) -> None:
        """Show the newest lines from now on, and count anew what goes by."""
        self.following = True
        self.hint = ""
        self.anchor = None
        self._passed = 0
        self.refill()

    def stop(self) -> None:
        """Stand still, the cursor on the newest line."""
        if self.following:
            self.following = False
            self._stopped_at = self._seen
            self.cursor = max(0, len(self.records) - 1)

    def refill(self) -> None:
        """Fill the screen anew, keeping the place."""
        if self.following:
            self.walk_over(RingRows(self._hub))
            self._seen = self.rows.end
            self.records = walk_back(self.rows, self._seen, self.room, self.wanted).records
            self.cursor = max(0, len(self.records) - 1)
        elif (current := self.current) is not None:
            self.around(self.rows.key(current))

    def take_new(self) -> None:
        """Show what arrived; what does not fit on the screen any more is counted as passed."""
        end = self.rows.end
        walk = walk_back(self.rows, end, self.room, self.wanted, stop=self._seen)
        self._passed += max(0, walk.reached - max(self._seen, self._hub.backlog_end))
        if walk.records:
            self.records = (self.records + walk.records)[-self.room :]
        self.cursor = max(0, len(self.records) - 1)
        self._seen = end

    def filter(self, wanted: LineFilter) -> None:
        """Show other lines, near the same place where that means something."""
        moved = wanted.source != self.wanted.source
        self.wanted = wanted
        self.hint = ""
        self._passed = 0
        if moved:
            current = self.current
            self.walk_over(RingRows(self._hub))
            if current is None or current.seq is None:  # a place in one file is none in another
                self.following = True
        self.refill()
        if not self.records and not self.following:
            self.follow()

    # -- moving

    def around(self, key: int) -> None:
        """Show the line `key` with what stands around it, the cursor on it."""
        before = walk_back(self.rows, key, self.room // 2, self.wanted).records
        after = walk_forth(self.rows, key, self.room - len(before), self.wanted).records
        if len(before) + len(after) < self.room:
            before = walk_back(self.rows, key, self.room - len(after), self.wanted).records
        self.records = before + after
        self.cursor = min(len(before), max(0, len(self.records) - 1))
        self.anchor = None

    def up(self, *, select: bool = False) -> None:
        """One line up."""
        self.stop()
        self._mark(select)
        self.hint = ""
        if self.cursor > 0:
            self.cursor -= 1
            return
        walk = self._older(1)
        if not walk.records:
            self.hint = self._why_no_older(walk)
            return
        if self.anchor is not None:
            self.anchor += 1
        self.records = (walk.records + self.records)[: max(self.room, (self.anchor or 0) + 1)]

    def down(self, *, select: bool = False) -> None:
        """One line down; nothing while following."""
        if self.following:
            return
        self._mark(select)
        self.hint = ""
        if self.cursor < len(self.records) - 1:
            self.cursor += 1
            return
        walk = self._newer(1)
        gone = max(0, len(self.records) + len(walk.records) - self.room)
        self.records = (self.records + walk.records)[gone:]
        if self.anchor is not None:
            self.anchor = max(0, self.anchor - gone)
        self.cursor = max(0, len(self.records) - 1)
        if not walk.records:
            self.hint = "the newest line; f follows"

    def scroll_up(self, count: int) -> None:
        """Move all that is shown; the cursor stays in its row."""
        self.stop()
        self.hint, self.anchor = "", None
        walk = self._older(count)
        self.records = (walk.records + self.records)[: self.room]
        if not walk.records:
            self.cursor, self.hint = 0, self._why_no_older(walk)

    def scroll_down(self, count: int) -> None:
        if self.following:
            return
        self.hint, self.anchor = "", None
        walk = self._newer(count)
        self.records = (self.records + walk.records)[-self.room :]
        if not walk.records:
            self.cursor, self.hint = max(0, len(self.records) - 1), "the newest line; f follows"

    def oldest(self) -> None:
        """The first line of the file where one file is shown, else the oldest in memory."""
        self.stop()
        self.to_file()
        self.records = walk_forth(self.rows, self.rows.first, self.room, self.wanted, budget=20_000).records
        self.cursor, self.anchor, self.hint = 0, None, ""

    def point_at(self, number: int) -> None:
        """Put the cursor on a row."""
        if 0 <= number < len(self.records):
            self.stop()
            self.cursor, self.anchor = number, None

    def jump(self, moment: float) -> None:
        """Go to the first line at or after `moment` (unix seconds)."""
        self.stop()
        file = self.file()
        if file is not None:
            self.walk_over(file)
        place = find_time(self.rows, moment, self.wanted.source)
        self.hint = ""
        if place >= self.rows.end:
            self.hint = "all lines are older"
        elif place <= self.rows.first and file is None:
            self.hint = "the oldest line in memory; choose one source (s) to read back in its file"
        self.around(place)

    # -- memory and disk

    def file(self) -> FileRows | None:
        """The file behind what is shown, where that is one file."""
        source = self.wanted.source
        if not source:
            sources = self._hub.sources
            source = sources[0] if len(sources) == 1 else ""
        path = self._hub.path_of(source) if source else None
        if path is None:
            return None
        if isinstance(self.rows, FileRows) and self.rows.source == source:
            return self.rows
        try:
            return FileRows(self._hub, source, path)
        except OSError:
            return None

    def walk_over(self, rows: Rows) -> None:
        """Walk over these rows from now on."""
        if rows is self.rows or (type(rows) is RingRows and type(self.rows) is RingRows):
            return
        self.rows.close()
        self.rows = rows

    def to_file(self) -> bool:
        """Walk on in the file instead of memory, at the same place. False where there is none."""
        if isinstance(self.rows, FileRows):
            return True
        rows = self.file()
        if rows is None:
            return False
        held = next((record for record in self.records if record.offset is not None), None)
        if held is None or not rows.holds(held):  # rotated meanwhile
            rows.close()
            return False
        self.walk_over(rows)
        return True

    def _older(self, count: int) -> Walk:
        key = self.rows.key(self.records[0]) if self.records else self.rows.end
        walk = walk_back(self.rows, key, count, self.wanted)
        if len(walk.records) < count and walk.reached <= self.rows.first and self.records and self.to_file():
            walk = walk_back(self.rows, self.rows.key(self.records[0]), count, self.wanted)
        return walk

    def _newer(self, count: int) -> Walk:
        start = self.rows.after_key(self.records[-1]) if self.records else self.rows.first
        return walk_forth(self.rows, start, count, self.wanted)

    def _why_no_older(self, walk: Walk) -> str:
        if walk.reached > self.rows.first:
            return "nothing that passes the filter in the lines before"
        if isinstance(self.rows, FileRows):
            return "the first line of the file"
        if not self.wanted.source and len(self._hub.sources) > 1:
            return "older lines are not in memory; s chooses one source and reads back in its file"
        return "the oldest line in memory"

    def _mark(self, select: bool) -> None:
        if not select:
            self.anchor = None
        elif self.anchor is None:
            self.anchor = self.cursor
