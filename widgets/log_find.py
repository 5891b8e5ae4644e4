"""Find a word in what the log view shows: in the file on disk where it is one file, else in memory."""

from __future__ import annotations

import time

from console.text import clean
from console.watch.logrows import LineFilter, walk_forth
from console.watch.logs import LogHub
from console.watch.logsearch import FileSearch
from widgets.log_place import LogPlace

_HIDDEN = 200  # hits in lines that the filter hides, passed over at once
_IN_MEMORY = 2000  # hits in memory that are counted
_SECONDS = 0.5  # a search in memory may take


class LogFind:
    """One search at a time over a `LogPlace`; `older` and `newer` step through its hits."""

    def __init__(self, hub: LogHub, place: LogPlace) -> None:
        self.needle = ""
        self.hits = 0
        self._hub = hub
        self._place = place
        self._search: FileSearch | None = None
        self._way = ""  # "older" or "newer": a step waits for the search in the file
        self._at: int | None = None  # the hit a person is at

    @property
    def words(self) -> str:
        """The search in words, "" when there is none."""
        if not self.needle:
            return ""
        running = self._search is not None and not self._search.done
        share = f" {self._search.share:.0%}" if running and self._search is not None else ""
        return f"“{clean(self.needle, 20)}” {self.hits:,} hits{share}"

    def end(self) -> None:
        """Forget the search and stop its thread."""
        if self._search is not None:
            self._search.cancel()
        self._search, self.needle, self._way, self._at, self.hits = None, "", "", None, 0

    def begin(self, text: str) -> None:
        """Go to the newest hit before the cursor, then count all of them; "" only ends the search before."""
        self.end()
        self.needle = text
        if not text:
            return
        place = self._place
        place.stop()
        if self._begin_in_file(text):
            return
        self.hits = len(self._in_memory("older", place.rows.end, _IN_MEMORY))
        current = place.current
        self._at = place.rows.after_key(current) if current is not None else place.rows.end
        self.step("older")

    def step(self, way: str) -> None:
        """To the next hit, "older" or "newer"."""
        place = self._place
        if not self.needle:
            place.hint = "/ searches"
        elif self._search is not None:
            self._way = way
            self.progress()
        else:
            start = self._at if self._at is not None else place.rows.end
            found = self._in_memory(way, start, 1)
            place.hint = "" if found else self._none_in_memory(way)
            if found:
                self._at = found[0]
                place.around(found[0])

    def progress(self) -> bool:
        """Go where a step waits to go, as soon as it is known. True when there is something new to show."""
        search = self._search
        if search is None:
            return False
        if self._way:
            self._jump(search)
        if search.fault:
            self._place.hint = f"search: {search.fault}"
        if search.done and not self._way and self.hits == search.count:
            return False
        self.hits = search.count
        return True

    def _begin_in_file(self, text: str) -> bool:
        place = self._place
        current = place.current
        file = place.file()
        path = self._hub.path_of(file.source) if file is not None else None
        if file is None or path is None:
            return False
        origin = None if current is None or current.offset is None else current.offset + len(current.raw) + 1
        json_file = current is not None and current.raw.startswith(b'{"log":')
        place.walk_over(file)
        self._search = FileSearch(path, text, origin=origin, json_file=json_file).start()
        self._way = "older"
        self._search.join(0.05)  # the nearest hit is mostly found by now, and the screen changes once
        self.progress()
        return True

    def _jump(self, search: FileSearch) -> None:
        place, rows = self._place, self._place.rows
        for _ in range(_HIDDEN):
            found, certain = self._next(search)
            if found is None:
                if certain:
                    place.hint = f"no {'more ' if self._at is not None else ''}{self._way} hit"
                    self._way = ""
                return
            self._at = found
            start = rows.start_of(found)
            line = walk_forth(rows, start, 1, place.wanted, budget=1).records
            if line and rows.key(line[0]) == start:
                self._way, place.hint = "", ""
                place.around(start)
                return
        self._way, place.hint = "", f"{_HIDDEN} hits in lines that the filter hides; n looks further"

    def _next(self, search: FileSearch) -> tuple[int | None, bool]:
        """The next hit in another line, and whether that is certain already."""
        rows = self._place.rows
        if self._at is None:
            return search.older(rows.end + 1)
        start = rows.start_of(self._at)
        if self._way == "older":
            return search.older(start)
        line = walk_forth(rows, start, 1, LineFilter()).records
        return search.newer(rows.after_key(line[0]) - 1 if line else self._at)

    def _in_memory(self, way: str, start: int, limit: int) -> list[int]:
        place = self._place
        exact = self.needle != self.needle.lower()
        found: list[int] = []
        until = time.monotonic() + _SECONDS
        steps = place.rows.back(start, place.wanted) if way == "older" else place.rows.forth(start + 1, place.wanted)
        for number, _, record in steps:
            if record is not None and place.wanted.wants(record):
                if self.needle in (record.message if exact else record.message.lower()):
                    found.append(number)
                if len(found) >= limit:
                    break
            if number % 256 == 0 and time.monotonic() > until:
                break
        return found

    def _none_in_memory(self, way: str) -> str:
        more = "" if self._place.wanted.source else "; s chooses one source and searches its file"
        return f"no {way} line in memory has “{clean(self.needle, 40)}”{more}"
