"""Fills the history from readings: means of a minute in memory, everything that touches the disk in a thread of its own.

One keeper for each process; of several on one host, one writes and the others read what it wrote.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Generic, TypeVar

from console.text import clean
from console.watch.history.gather import samples
from console.watch.history.series import Key, Known, Sample
from console.watch.history.store import Writer, load, place
from console.watch.readings import Readings

T = TypeVar("T")

EVERY = 5.0  # seconds between two samples
_WAITING = 5  # minutes kept for a disk that hangs
_LEAVE = 0.5  # seconds that closing may take

_log = logging.getLogger(__name__)


class Keeper(Generic[T]):
    """Give it the newest readings with `take`, as often as there are.

    Once a minute `look` is called in the keeper's thread, with what reads the history back (of the last seconds, or
    all), and whether it is this process that writes; `latest` has its answer. `note` says why there is no history, or
    that it had to begin anew.
    """

    def __init__(
        self,
        data_dir: Path,
        project: str = "",
        look: Callable[[Callable[[float], Known], bool], T] | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.latest: T | None = None
        self.note = ""
        self._directory, self._project, self._look, self._clock = place(data_dir), project, look, clock
        self._sums: dict[Key, tuple[Sample, float, int]] = {}
        self._minute: int | None = None
        self._taken_at = float("-inf")
        self._more: dict[Key, tuple[Sample, float]] = {}  # what is asked for once a minute, and when it was
        self._jobs: deque[tuple[int, list[Sample]] | None] = deque(maxlen=_WAITING)
        self._work = threading.Condition()
        self._ended = False
        self._writer: Writer | None = None
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)

    @property
    def writing(self) -> bool:
        """Whether it is this process that writes."""
        return self._writer is not None

    def start(self) -> None:
        """Begin to write, and look at what is there."""
        self._thread.start()
        self._hand(None)

    def take(self, readings: Readings) -> None:
        """Remember what is new. Costs microseconds; may be called at any rhythm."""
        now = self._clock()
        if abs(now - self._taken_at) < EVERY:  # abs: a clock that stepped back does not stop us
            return
        self._taken_at = now
        minute = int(now // 60)
        if minute != self._minute:
            self._finish()
            self._minute = minute
        for sample in samples(readings, now, self._project):
            self._add(sample)
        for sample, at in self._more.values():
            if abs(now - at) <= 90.0:
                self._add(sample)

    def also(self, sample: Sample) -> None:
        """A figure that no reading has; it holds for a minute and a half."""
        self._more[sample.key] = (sample, self._clock())

    def close(self) -> None:
        """Keep what there is of this minute. Never waits long for a sick disk."""
        self._finish()
        with self._work:
            self._ended = True
            self._work.notify()
        if self._thread.is_alive():
            self._thread.join(_LEAVE)

    def turn(self) -> None:
        """One turn of the thread: write what waits, then look."""
        with self._work:
            jobs = list(self._jobs)
            self._jobs.clear()
        try:
            self._writer = self._writer or self._begin()
            for job in jobs:
                if job is not None and self._writer is not None:
                    self._writer.write(*job)
        except OSError as error:
            self._let_go()
            why = clean(error.strerror or str(error), 200)
            self.note = (
                f"no history is kept: {self._directory} cannot be written: {why}; free some space, or see its mode"
            )
        else:
            if self.note.startswith("no history"):
                self.note = ""
        if self._look is not None:
            self.latest = self._look(self._recall, self.writing)

    def _recall(self, seconds: float) -> Known:
        return load(self._directory, self._clock(), seconds)

    def _begin(self) -> Writer | None:
        writer = Writer.begin(self._directory)
        if writer is not None and writer.note:
            self.note = writer.note
        return writer

    def _let_go(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _add(self, sample: Sample) -> None:
        _, total, count = self._sums.get(sample.key, (sample, 0.0, 0))
        self._sums[sample.key] = (sample, total + sample.value, count + 1)

    def _finish(self) -> None:
        """Hand the minute over."""
        if self._minute is not None:
            means = [replace(sample, value=total / count) for sample, total, count in self._sums.values()]
            self._sums = {}
            self._hand((self._minute, means) if means else None)

    def _hand(self, job: tuple[int, list[Sample]] | None) -> None:
        with self._work:
            self._jobs.append(job)
            self._work.notify()

    def _run(self) -> None:
        faulty = False
        while True:
            with self._work:
                self._work.wait_for(lambda: self._jobs or self._ended)
                if not self._jobs:
                    break
            try:
                self.turn()
            except Exception:  # a fault of ours must not end it; said once, or it would fill the disk
                if not faulty:
                    _log.exception("a turn of the history")
                faulty = True
        self._let_go()
