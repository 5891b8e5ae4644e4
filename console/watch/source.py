"""The `Source` protocol and its supervisor: who is read, how often, with what deadline, and how fresh it is.

A source only reads. The supervisor gives each its own task, deadline and backoff, so that a sick source
shows its reason and its last values while the others go on. Blocking calls of a source go through its `Lane`
(`console.watch.lane`).
Nothing here judges what was read.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from console.errors import SevdeckError, SourceError
from console.redact import redact
from console.text import clean
from console.watch.lane import Lane, seconds

__all__ = ["Fault", "Lane", "Reading", "Source", "Supervisor"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_log = logging.getLogger(__name__)

_FIRST_PAUSES = (0.5, 1.0)  # seconds between tries while a failure is young ...
_YOUNG_PAUSE = 1.5  # ... so that recovery shows within 2 s in the first half minute
_YOUNG_FOR = 30.0
_OLD_PAUSES = (4.0, 8.0, 15.0)
_FASTEST = 0.05  # seconds between two reads however often `changed` fires: 20 a second
_FASTEST_SICK = 0.5  # the same while failing: an event may announce recovery, or be a part of the sickness
_CLOSE_DEADLINE = 1.0


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a source is not fresh. `reason` and `remedy` are cleaned, without a final full stop."""

    reason: str
    remedy: str
    since: float  # unix seconds of the first failure in a row


@dataclass(frozen=True, slots=True)
class Reading(Generic[T]):
    """What is known of one source: its last good value, when that was taken, and what is wrong now.

    `value` None: never read. `fault` None: fresh. Both set: stale, show the value greyed with the reason.
    """

    value: T | None = None
    taken_at: float | None = None  # unix seconds
    fault: Fault | None = None

    @property
    def heard(self) -> bool:
        """Whether the source has answered or failed at all."""
        return self.taken_at is not None or self.fault is not None

    def same_as(self, other: Reading[Any]) -> bool:
        """Whether both say the same, whenever they were taken."""
        return self.heard == other.heard and self.value == other.value and self.fault == other.fault

    def age(self, now: float) -> float | None:
        """Seconds since the value was taken; None when there never was one."""
        return None if self.taken_at is None else max(0.0, now - self.taken_at)


class Source(Protocol[T_co]):
    """One kind of live data.

    `read` returns one frozen record or raises `SourceError`; it is never called twice at once.
    `changed` returns when a read is worth while before `every` has passed (an event arrived); a source
    without events awaits for ever.
    """

    name: str
    every: float  # seconds between reads
    deadline: float  # seconds one read may take

    async def read(self) -> T_co: ...

    async def changed(self) -> None: ...

    async def close(self) -> None: ...


class _Watch:
    """One source under supervision: its reading, its failures in a row, and what wakes it."""

    def __init__(self, source: Source[Any]) -> None:
        self.source = source
        self.reading: Reading[Any] = Reading()
        self.failures = 0
        self.sick_since = 0.0  # monotonic
        self.wake = asyncio.Event()
        self.read: asyncio.Task[Any] | None = None  # the read under way, perhaps past its deadline

    def pause_after_failure(self, now: float) -> float:
        """Seconds to the next try, by the number of failures and the age of the sickness."""
        if self.failures <= len(_FIRST_PAUSES):
            return _FIRST_PAUSES[self.failures - 1]
        sick = now - self.sick_since
        if sick < _YOUNG_FOR:
            return _YOUNG_PAUSE
        older = int((sick - _YOUNG_FOR) // _OLD_PAUSES[-1])
        return _OLD_PAUSES[min(older, len(_OLD_PAUSES) - 1)]


class Supervisor:
    """Reads every source in a task of its own and publishes each new `Reading` by the source's name.

    `publish` is called in the event loop, once per try: with the value, or with the last value and a Fault.
    """

    def __init__(
        self,
        sources: Iterable[Source[Any]],
        publish: Callable[[str, Reading[Any]], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._watches = {source.name: _Watch(source) for source in sources}
        self._publish = publish
        self._clock = clock
        self._every: float | None = None
        self._going = asyncio.Event()
        self._going.set()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def paused(self) -> bool:
        return not self._going.is_set()

    def reading(self, name: str) -> Reading[Any]:
        """The last reading published under `name`; KeyError for an unknown name."""
        return self._watches[name].reading

    async def run(self) -> None:
        """Read until cancelled or closed. The first reads of all sources start at once."""
        self._tasks = [
            asyncio.create_task(self._watch(watch), name=f"watch-{name}") for name, watch in self._watches.items()
        ]
        try:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        finally:
            for task in self._tasks:
                task.cancel()

    def pause(self) -> None:
        """Start no read from now on; a read under way is finished and published."""
        self._going.clear()

    def resume(self) -> None:
        """Go on; every source is read at once."""
        self._going.set()
        for watch in self._watches.values():
            watch.wake.set()

    def set_every(self, every: float) -> None:
        """Seconds between reads of the sources that are read every few seconds (not of slower ones)."""
        self._every = every
        for watch in self._watches.values():
            watch.wake.set()

    def refresh(self, name: str) -> None:
        """Read this source now, also while it is backing off; nothing happens while paused."""
        self._watches[name].wake.set()

    async def close(self) -> None:
        """Stop all tasks and close all sources. Takes about a second at the most, however sick they are."""
        reads = [watch.read for watch in self._watches.values() if watch.read is not None]
        for task in [*self._tasks, *reads]:
            task.cancel()
        pending: list[asyncio.Future[Any]] = [*self._tasks, *reads]
        pending += [asyncio.ensure_future(_quietly_close(watch.source)) for watch in self._watches.values()]
        if pending:
            _, late = await asyncio.wait(pending, timeout=_CLOSE_DEADLINE)
            for straggler in late:
                straggler.cancel()
        self._tasks = []

    async def _watch(self, watch: _Watch) -> None:
        while True:
            await self._going.wait()
            watch.wake.clear()
            began = time.monotonic()
            try:
                value = await self._read(watch)
            except asyncio.CancelledError:
                if (task := asyncio.current_task()) is not None and task.cancelling():
                    raise
                self._failed(watch, SourceError("the read was cut off"))
            except Exception as error:
                self._failed(watch, error)
            else:
                watch.failures = 0
                watch.reading = Reading(value, self._clock())
                self._show(watch)
            await self._sleep(watch, began)

    async def _read(self, watch: _Watch) -> Any:
        """One read within its deadline. A read that is past it is waited for, never started a second time."""
        if watch.read is None:
            watch.read = asyncio.create_task(watch.source.read(), name=f"read-{watch.source.name}")
        read = watch.read
        done, _ = await asyncio.wait([read], timeout=watch.source.deadline)
        if not done:
            # A coroutine can be stopped; a blocking call in a Lane goes on, and the Lane says so next time.
            read.cancel()
            await asyncio.wait([read], timeout=_FASTEST)
            if read.done():
                watch.read = None
            with suppress(asyncio.CancelledError):
                if read.done() and read.exception() is not None:
                    _log.debug("%s: after its deadline: %r", watch.source.name, read.exception())
            raise SourceError(f"no answer in {seconds(watch.source.deadline)}", remedy="It is asked again by itself")
        watch.read = None
        return read.result()

    def _failed(self, watch: _Watch, error: Exception) -> None:
        now = self._clock()
        watch.failures += 1
        if watch.failures == 1:
            watch.sick_since = time.monotonic()
        since = watch.reading.fault.since if watch.reading.fault is not None else now
        if not isinstance(error, SevdeckError) and watch.failures == 1:
            # Once per sickness, or a broken source would fill the disk.
            _log.error("source %s failed unexpectedly", watch.source.name, exc_info=error)
        reason, remedy = _plain(error)
        fault = Fault(_sentence(reason), _sentence(remedy), since)
        watch.reading = Reading(watch.reading.value, watch.reading.taken_at, fault)
        self._show(watch)

    def _show(self, watch: _Watch) -> None:
        try:
            self._publish(watch.source.name, watch.reading)
        except Exception:
            _log.exception("showing the reading of %s failed", watch.source.name)

    async def _sleep(self, watch: _Watch, began: float) -> None:
        """Until the next read is due: the rhythm, an event of the source, a wish of the user, or the backoff."""
        now = time.monotonic()
        due = now + watch.pause_after_failure(now) if watch.failures else _beat(began, self._rhythm(watch.source))
        changed = asyncio.create_task(_quietly_changed(watch.source))
        wake = asyncio.create_task(watch.wake.wait())
        waiting = [changed, wake]
        try:
            await asyncio.wait(waiting, timeout=max(0.0, due - now), return_when=asyncio.FIRST_COMPLETED)
            wanted = wake.done()
            rest = began + (_FASTEST_SICK if watch.failures and not wanted else _FASTEST) - time.monotonic()
            if rest > 0:
                await asyncio.sleep(rest)
        finally:
            for future in waiting:
                future.cancel()

    def _rhythm(self, source: Source[Any]) -> float:
        """A chosen refresh holds for sources with a rhythm of seconds; slower ones have their reasons."""
        if self._every is None or source.every > 5.0:
            return source.every
        return self._every


def _beat(began: float, every: float) -> float:
    """When to read again: rhythms of whole seconds meet on the whole second, so that one repaint shows them all.

    >>> _beat(10.02, 1.0), _beat(10.7, 1.0), _beat(10.7, 0.25)
    (11.0, 12.0, 10.95)
    """
    return float(round(began + every)) if float(every).is_integer() else began + every


def _plain(error: Exception) -> tuple[str, str]:
    """What to tell a person about a failed read: reason and remedy."""
    if isinstance(error, SevdeckError):
        return error.message, error.remedy
    remedy = "Details are in sevdeck.log"
    if isinstance(error, TimeoutError):
        return "no answer in time", remedy
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if isinstance(error.filename, str) else ""
        return f"{place}{error.strerror}", remedy
    detail = f": {error}" if str(error) else ""
    return f"unexpected {type(error).__name__}{detail}", remedy


def _sentence(text: str) -> str:
    return clean(redact(text.strip()), 400).rstrip(".")


async def _quietly_changed(source: Source[Any]) -> None:
    """`changed`, where a failure means that the source has no events: its next read tells why."""
    try:
        await source.changed()
    except Exception:
        _log.debug("%s: no events", source.name, exc_info=True)
        await asyncio.Event().wait()


async def _quietly_close(source: Source[Any]) -> None:
    try:
        await source.close()
    except Exception:
        _log.warning("closing %s failed", source.name, exc_info=True)
