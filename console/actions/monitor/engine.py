"""The engine's pulse and its events, for a process that lives for months.

Three pings in a row without an answer, which take less than ten seconds: the engine is down, and nothing is begun.
When it is back, it gets five seconds to settle. Events are heard in a thread of `console.watch.engine_events` and kept bounded.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

from console.actions.engine import EngineDriver
from console.config import DockerConfig
from console.errors import SourceError
from console.text import clean
from console.watch.container_records import EngineEvent
from console.watch.engine_api import Engine, EngineError
from console.watch.engine_events import EventStream, Inbox

PING_EVERY = 3.0  # seconds; three misses take 8 with the 2 s that a ping may take
MISSES = 3  # in a row
SETTLE = 5.0
_TELLING = frozenset(("die", "oom", "health_status", "pause", "stop", "start", "unpause", "destroy"))


class Pulse:
    """`state`: unknown, up, down, settling."""

    def __init__(self, driver: EngineDriver, clock: Callable[[], float] = time.monotonic) -> None:
        self._driver, self._clock = driver, clock
        self._misses = 0
        self._back_at: float | None = None
        self._answered = self._down = False
        self.detail = ""

    @property
    def state(self) -> str:
        if self._down:
            return "down"
        if self._back_at is not None and self._clock() - self._back_at < SETTLE:
            return "settling"
        return "up" if self._answered else "unknown"

    @property
    def answers(self) -> bool:
        """The newest ping was answered: it is worth asking more."""
        return self._answered and not self._misses

    async def beat(self) -> str:
        """Ask once. What has changed by it: "down", "back", "" for nothing."""
        try:
            await self._driver.ping()
        except SourceError as error:
            return self._missed(clean(error.message, 200))
        self._misses = 0
        first, self._answered = not self._answered, True
        if self._down:
            self._down, self._back_at, self.detail = False, self._clock(), ""
            return "back"
        return "back" if first else ""

    def _missed(self, detail: str) -> str:
        self._misses += 1
        self.detail = detail
        if self._down or self._misses < MISSES:
            return ""
        self._down = True
        return "down"


class Hearing(Protocol):
    """What is heard of the engine."""

    def events(self) -> tuple[EngineEvent, ...]: ...

    def turned(self, up: bool, detail: str) -> None: ...

    def close(self) -> None: ...


class EventHearing:
    """Engine events since it was made, the newest 500. `ring` is called in the loop when one tells of a change."""

    def __init__(self, docker: DockerConfig, project: Callable[[], str], ring: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._engine = Engine(docker)
        self._project, self._wake = project, ring
        self._inbox = Inbox(self._rang)
        self._stream: EventStream | None = None

    def events(self) -> tuple[EngineEvent, ...]:
        return self._inbox.events()

    def turned(self, up: bool, detail: str) -> None:
        """The engine went or came back: a stream that lost it unnoticed hears nothing any more."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        self._inbox.set_trouble(None if up else EngineError(detail or "no answer"))
        if up:
            self._stream = EventStream(self._engine, self._inbox, {})
            self._stream.start()

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
        self._engine.close()

    def _rang(self) -> None:
        """In the stream's thread."""
        new, _ = self._inbox.take()
        project = self._project()
        if any(e.action in _TELLING and e.project == project for e in new):
            try:
                self._loop.call_soon_threadsafe(self._wake)
            except RuntimeError:  # the loop is closed: nobody waits any more
                return
