"""Patterns of the logs that this console follows: told each line, it sums up every few seconds in a thread of its own.

What was learnt is saved now and then and when the console ends, where a directory is given.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from heapq import nlargest
from pathlib import Path
from typing import TYPE_CHECKING

from console.watch.logrecord import RANK, Burst, PatternStat, Silence

if TYPE_CHECKING:
    from console.watch.logline import Line
    from console.watch.mining.patterns import Pattern, PatternBook

_BEGIN_AFTER = 1.0  # seconds: the first frame comes first, and the miner's own expressions take 20 ms to compile
_SUM_UP = 5.0  # seconds between summaries: two milliseconds each
_SAVE = 300.0
_SHOWN = 30  # patterns in a summary
_NEW_SHOWN = 20
_BURSTS_SHOWN = 20
_LATELY = 3600.0  # seconds within which a pattern was met to be shown


@dataclass(frozen=True, slots=True)
class PatternSummary:
    """What is known now."""

    patterns: tuple[PatternStat, ...] = ()
    bursts: tuple[Burst, ...] = ()
    silent: tuple[Silence, ...] = ()


def place(directory: Path) -> Path:
    """The file of this user in a data directory. It is his alone: all may share the directory."""
    return directory / f"log-patterns.{os.getuid()}.json"


class LogPatterns:
    """Any thread may tell it lines. `note` says when what was learnt before could not be read."""

    def __init__(self, directory: Path | None = None, clock: Callable[[], float] = time.time) -> None:
        self.summary = PatternSummary()
        self.note = ""
        self._path = place(directory) if directory is not None else None
        self._clock = clock
        self._lock = threading.Lock()
        self._book: PatternBook | None = None  # until what was learnt before is read
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log-patterns", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def heard(self, source: str, line: Line, weight: float = 1.0) -> None:
        """Count a line that came now; `weight`: how many it stands for."""
        if line.continuation or self._book is None:
            return
        with self._lock:
            self._book.add(line.message, line.level, source, self._clock(), weight)

    def id_of(self, source: str, message: str, level: str | None) -> str | None:
        """The pattern of a line that was written at any time; None while it is of none that is known."""
        if self._book is None:
            return None
        with self._lock:
            return self._book.id_of(message, level, source)

    def close(self) -> None:
        """Stop, and save. Never waits long for a sick disk."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(0.5)

    @property
    def ready(self) -> bool:
        """Whether what was learnt before is read, so that lines are learnt from."""
        return self._book is not None

    def open(self) -> None:
        """Read what was learnt before."""
        from console.watch.mining.bursts import Counts
        from console.watch.mining.patterns import PatternBook
        from console.watch.mining.state import load

        book, self.note = load(self._path) if self._path is not None else (PatternBook(), "")
        if book.watched is None:
            book.watched = Counts()
        self._book = book

    def sum_up(self) -> None:
        """Make the summary anew."""
        now = self._clock()
        with self._lock:
            if self._book is not None:
                self.summary = _summary(self._book, now)

    def save(self) -> None:
        """Forget what is old, and write the rest. A disk that is full costs only what was learnt lately."""
        from console.watch.mining.state import save, told

        with self._lock:
            if self._book is None:
                return
            self._book.prune(self._clock())
            data = told(self._book)
        if self._path is not None:
            with suppress(OSError):
                save(data, self._path)

    def _run(self) -> None:
        if self._ended.wait(_BEGIN_AFTER):
            return
        self.open()
        saved = time.monotonic()
        while not self._ended.wait(_SUM_UP):
            self.sum_up()
            if time.monotonic() - saved >= _SAVE:
                self.save()
                saved = time.monotonic()
        self.save()


def _summary(book: PatternBook, now: float) -> PatternSummary:
    from console.watch.mining.bursts import SPAN

    span = int(now // SPAN)
    if book.watched is not None:
        book.watched.add(span)
    fresh = book.new(now)[-_NEW_SHOWN:]
    numbers = {number for number, _ in fresh}
    lately = (item for item in book.patterns.items() if item[1].last is not None and now - item[1].last < _LATELY)
    top = [item for item in nlargest(_SHOWN, lately, key=lambda item: _weight(item[1])) if item[0] not in numbers]
    shown = [*reversed(fresh), *top]
    bursts = {(one.source, one.pattern): one for when in (span - 1, span) for one in book.bursts_at(when)}
    return PatternSummary(
        tuple(_stat(book, number, one, number in numbers) for number, one in shown),
        tuple(bursts.values())[:_BURSTS_SHOWN],
        tuple(book.silent(now)),
    )


def _weight(one: Pattern) -> tuple[int, float]:
    return (RANK[one.level] if one.grave and one.level is not None else 0, one.count)


def _stat(book: PatternBook, number: int, one: Pattern, new: bool) -> PatternStat:
    return PatternStat(one.id, book.text(number), one.source, one.level, round(one.count), one.first, one.last, new)
