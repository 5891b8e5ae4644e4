"""What the monitor says, on every way there is: one line out, its own log, the open incident, signs of life.

The disk is asked in a thread of its own. One that is full or hangs is said once, and costs what was to be written.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from console.actions import attempts
from console.actions.attempts import Attempts
from console.actions.monitor import heartbeat
from console.actions.monitor.heartbeat import Beat
from console.actions.monitor.notify import Notifier
from console.actions.monitor.record import Record, line
from console.checks.facts import Fact
from console.errors import SevdeckError, SourceError
from console.incident import outbox
from console.watch.lane import Lane

T = TypeVar("T")
Emit = Callable[[dict[str, Any]], None]

PATIENCE = 5.0  # seconds with our own disk
_BAD, _GOOD = ("opened", "flapping", "frozen"), ("closed", "recovered")
_NEWS = ("opened", "closed", "recovered")  # what people hear of besides pages


class Teller:
    """`incident` is the open one as last looked, "" for none. `emit` gets each line."""

    def __init__(
        self,
        data_dir: Path,
        emit: Emit,
        project: Callable[[], str],
        wall: Callable[[], float],
        metrics_file: str = "",
        channels: Sequence[str] = (),
    ) -> None:
        self._data_dir, self._emit, self._project, self._wall = data_dir, emit, project, wall
        self._metrics = Path(metrics_file) if metrics_file else None
        self._channels = tuple(channels)
        self.record = Record(data_dir, project, wall)
        self.notifier = Notifier()
        self.incident = ""
        self._lane = Lane("monitor-disk")
        self._once = ""

    @property
    def unwritable(self) -> str:
        """Why nothing can be recorded now, "" when it can."""
        return self.record.trouble

    async def tell(self, kind: str, text: str, *, page: bool = False, **more: Any) -> None:
        """Say it everywhere it belongs. `page`: a person is needed."""
        if page:
            more |= {"page": True, "incident": self.incident or None}
            text = text if self.incident else f"{text}. No incident is declared"
        told = line(kind, text, self._wall(), self._project(), **more)
        self._emit(told)
        bad = True if kind in _BAD else False if kind in _GOOD else None

        def write() -> None:
            self.record.log(told)
            self.record.happened(kind, text, bad, page)
            if page or kind in _NEWS:
                self._post(kind, text, page)

        await self.to_disk(write, "lines")

    def _post(self, kind: str, text: str, page: bool) -> None:
        """For people who are not at this host. What happened is recorded whether or not this can be written."""
        project, now = self._project(), self._wall()
        title = f"{project or 'a host'}: {kind}"
        with contextlib.suppress(OSError):
            outbox.put(
                self._data_dir, self._channels, "page" if page else kind, title, text, now,
                project=project, incident=self.incident,
            )  # fmt: skip

    async def tell_once(self, text: str) -> None:
        """Something that holds for long: said when it begins to."""
        if text != self._once:
            self._once = text
            await self.tell("note", text)

    async def look_for_incident(self) -> str:
        self.incident = await self.to_disk(self.record.incident, "incidents") or ""
        return self.incident

    async def facts(self, found: list[Fact]) -> None:
        if found and self.incident:
            await self.to_disk(lambda: self.record.facts(found), "facts")

    async def sign(self, beat: Callable[[], Beat]) -> None:
        """A sign of life: to whoever reads the file, and to node_exporter."""

        def write() -> None:
            told = beat()
            heartbeat.write(self._data_dir, told)
            self.record.writable()
            self._write_metrics(told)

        await self.to_disk(write, "heartbeat")

    def _write_metrics(self, told: Beat) -> None:
        """A collector's directory that is missing is said, and is no reason to begin nothing."""
        if self._metrics is None:
            return
        try:
            heartbeat.write_metrics(self._metrics, told)
            self.record.note("metrics", "")
        except OSError as error:
            self.record.note("metrics", f"{self._metrics} cannot be written: {error.strerror}", harmless=True)

    async def remember(self, change: Callable[[Attempts], Attempts]) -> Attempts:
        project = self._project()
        if not project:
            return Attempts()
        found = await self.to_disk(lambda: attempts.update(self._data_dir, project, change), "attempts")
        return found or Attempts()

    async def to_disk(self, ask: Callable[[], T], what: str) -> T | None:
        """Run it in the disk's thread; None when the disk does not do it. `what`: whose trouble it would be."""
        before = self.record.words
        try:
            return await self._disk(ask, what)
        finally:
            now = self.record.words
            if now != before:
                self._emit(line("trouble", now or "everything can be written again", self._wall(), self._project()))

    async def _disk(self, ask: Callable[[], T], what: str) -> T | None:
        try:
            done = await self._lane.call(ask, deadline=PATIENCE)
        except (SourceError, OSError) as error:
            reason = getattr(error, "strerror", "") or getattr(error, "message", "") or str(error)
            self.record.note(f"disk: {what}", f"the data directory cannot be used: {reason}")
        except SevdeckError as error:
            self.record.note(f"disk: {what}", str(error))
        else:
            self.record.note(f"disk: {what}", "")
            return done
        return None

    def close(self) -> None:
        self._lane.close()
