"""Find a word in a log file of any size: from the newest hit backwards, then all of them counted, in a thread.

The file is read in blocks and searched as bytes. A word in lower case finds any case (of ASCII letters), one with a
capital only itself.
"""

from __future__ import annotations

import json
import os
import threading
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from pathlib import Path

BLOCK = 256 << 10  # fits the second-level cache: twice as fast as 1 MB
KEEP = 200_000  # hits whose places are kept; the others are only counted
_LONGEST = 1000  # bytes of a needle


def needle_of(text: str, *, json_file: bool = False) -> tuple[bytes, bool]:
    """The bytes to look for and whether case counts.

    >>> needle_of("timeout"), needle_of("ERR")
    ((b'timeout', False), (b'ERR', True))
    """
    exact = text != text.lower()
    if json_file:  # the engine's json-file writes the line as a JSON string
        text = json.dumps(text, ensure_ascii=False)[1:-1]
        text = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return text.encode("utf-8", "replace")[:_LONGEST], exact


class FileSearch:
    """One search in one file. `older` and `newer` walk the hits as they are found; `cancel` ends it.

    It begins at `origin` (a byte offset, the end by default), goes back to the start of the file, then from the end
    back to `origin`. Attributes may be read from any thread at any time.
    """

    def __init__(
        self,
        path: Path,
        text: str,
        *,
        origin: int | None = None,
        json_file: bool = False,
        on_progress: Callable[[], None] | None = None,
    ) -> None:
        self.text = text
        self.count = 0  # hits so far
        self.done = False
        self.fault = ""
        self.size = 0
        self.scanned = 0  # bytes
        self._path = path
        self._needle, self._exact = needle_of(text, json_file=json_file)
        self._asked = origin
        self._origin = 0
        self._below: array[int] = array("Q")  # hits before the origin, newest first
        self._above: array[int] = array("Q")  # hits from the end down to the origin, newest first
        self._low = 0  # everything in [low, origin) was searched
        self._high = 0  # everything in [high, size) was searched
        self._cancelled = threading.Event()
        self._progress = on_progress
        self._thread = threading.Thread(target=self._run, name="log-search", daemon=True)

    def start(self) -> FileSearch:
        self._thread.start()
        return self

    def cancel(self) -> None:
        self._cancelled.set()

    def join(self, timeout: float | None = None) -> None:
        """Wait for the end of the search."""
        self._thread.join(timeout)

    @property
    def share(self) -> float:
        """How much of the file was searched, 0 to 1."""
        return 1.0 if self.done else self.scanned / self.size if self.size else 0.0

    def older(self, before: int) -> tuple[int | None, bool]:
        """(offset of the newest hit before `before` or None, whether that is certain already)."""
        if before > self._origin:
            found = _last_below(self._above, before)
            if found is not None and found >= self._high:
                return found, True
            if self._high > self._origin:
                return None, False
            before = self._origin
        found = _last_below(self._below, before)
        return (found, True) if found is not None else (None, self.done or self._low == 0)

    def newer(self, after: int) -> tuple[int | None, bool]:
        """(offset of the oldest hit after `after` or None, whether that is certain already)."""
        if after < self._origin:
            if (found := _first_above(self._below, after)) is not None:
                return found, True
            after = self._origin - 1
        if self._high > self._origin and not self.done:
            return None, False
        return _first_above(self._above, after), True

    def _run(self) -> None:
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            self.fault = (error.strerror or "cannot be read").lower()
            self.done = True
            return
        try:
            self.size = os.fstat(fd).st_size
            self._origin = self._low = self.size if self._asked is None else min(self._asked, self.size)
            self._high = self.size
            if self._needle:
                self._search(fd, 0, self._origin, self._below, below=True)
                self._search(fd, self._origin, self.size, self._above, below=False)
        except OSError as error:
            self.fault = (error.strerror or "cannot be read").lower()
        finally:
            os.close(fd)
            self.done = True
            if self._progress is not None:
                self._progress()

    def _search(self, fd: int, start: int, end: int, hits: array[int], *, below: bool) -> None:
        """Search [start, end) from its end; a hit counts where it begins."""
        needle = self._needle if self._exact else self._needle.lower()
        lower = not self._exact and needle.upper() != needle
        overlap = len(needle) - 1
        block = 64 << 10  # small first: what is asked for is often near
        at = end
        while at > start and not self._cancelled.is_set():
            begin = max(start, at - block)
            data = os.pread(fd, at - begin + overlap, begin)
            if lower:
                data = data.lower()
            if len(hits) < KEEP:
                found = _places(data, needle, at - begin)
                self.count += len(found)
                hits.extend(begin + place for place in reversed(found))
            else:
                self.count += data.count(needle, 0, at - begin + overlap)
            self.scanned += at - begin
            at = begin
            if below:
                self._low = at
            else:
                self._high = at
            block = BLOCK
            if self._progress is not None:
                self._progress()


def _places(data: bytes, needle: bytes, end: int) -> list[int]:
    """Where `needle` begins in data[:end]; hits do not overlap."""
    found: list[int] = []
    place = data.find(needle)
    while 0 <= place < end:
        found.append(place)
        place = data.find(needle, place + len(needle))
    return found


def _last_below(hits: array[int], before: int) -> int | None:
    """The largest hit below `before`; hits are in falling order."""
    place = bisect_right(hits, -before, key=lambda hit: -hit)
    return hits[place] if place < len(hits) else None


def _first_above(hits: array[int], after: int) -> int | None:
    place = bisect_left(hits, -after, key=lambda hit: -hit)
    return hits[place - 1] if place > 0 else None
