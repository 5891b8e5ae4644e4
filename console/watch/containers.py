"""Containers of a Docker engine, read live: state from the event stream and inspect, figures from cgroups.

At rest the engine is asked for a ping a second and one list with inspects every 30 s; what an event tells is shown
at once and checked by an inspect. The first reading needs no docker-py, since `import docker` would take longer
(65-105 ms) than that whole reading of 20 containers (1 ms for each inspect, on two cores); the thread of the event
stream imports it once the first frame is drawn. Nothing here judges or changes a container.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from console.config import DockerConfig
from console.errors import SourceError
from console.watch.cgroups import UNKNOWN, Figures, Hierarchies
from console.watch.container_figures import FiguresReader
from console.watch.container_records import Container, ContainerDetail, ContainersReading, DetailLine, EngineEvent
from console.watch.container_roster import Roster
from console.watch.engine_api import Engine
from console.watch.engine_events import EventStream, Inbox, Pulse, past_events
from console.watch.engine_host import engine_socket
from console.watch.source import Lane

if TYPE_CHECKING:
    from console.watch.container_detail import DetailReader

__all__ = [
    "Container",
    "ContainerDetail",
    "ContainersReading",
    "ContainersSource",
    "DetailLine",
    "EngineEvent",
    "engine_socket",
]

_SECOND_LOOK = 0.15  # seconds after the first reading: cpu needs two measurements
_IMPORT_DELAY = 0.6  # seconds that the event stream leaves the processor to the first frame


class ContainersSource:
    """Source "containers". Its threads start with the first read and end with `close`.

    `recall`: the first reading holds what happened in the two minutes before it, too. That costs a call of the engine,
    and the event stream tells it anyway half a second later: it is for those who look once.
    """

    name = "containers"

    def __init__(self, docker: DockerConfig, every: float = 1.0, engine: Engine | None = None,
                 hierarchies: Hierarchies | None = None, recall: bool = False) -> None:  # fmt: skip
        self.every = every
        # Who looks once has no second try. That the engine is silent is found by the pulse, and sooner.
        self.deadline = 3.9 if recall else 3.0
        self.engine = engine or Engine(docker)
        self._lane = Lane("containers")
        self._inbox = Inbox(self._ring)
        self._pulse = Pulse(self.engine, self._inbox, self._engine_is_back)
        self._stream: EventStream | None = None
        self._figures = FiguresReader(self.engine, hierarchies)
        self._detail: DetailReader | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._bell = asyncio.Event()
        self._started = self._closed = self._read_once = False
        self._recall = recall
        self._roster = Roster(self.engine)
        self._shown: dict[str, tuple[Container, Figures, int, Container]] = {}  # parts, and what they make
        self._next_look: float | None = None  # monotonic time

    def begin(self) -> None:
        """Start the first look before there is an event loop; `read` answers it."""
        self._lane.begin(self._look)

    async def read(self) -> ContainersReading:
        """All containers now. Raises SourceError with what is wrong with the engine."""
        self._loop = asyncio.get_running_loop()
        self._bell.clear()
        self._next_look = None
        if self._closed:
            raise SourceError("closed")
        if not self._started:
            self._started = True
            self._pulse.start()
        if (trouble := self._inbox.trouble) is not None:
            raise trouble.again()
        reading = await self._lane.call(self._look, deadline=self.deadline)
        self._next_look = self._roster.next_due
        if not self._read_once:
            self._read_once = True
            self._stream = EventStream(self.engine, self._inbox, self._roster.known, _IMPORT_DELAY)
            self._stream.start()
            self._next_look = time.monotonic() + _SECOND_LOOK
        return reading

    async def changed(self) -> None:
        """Returns when an event arrived, when it is time to check one, when the engine falls silent or is back."""
        rest = None if self._next_look is None else max(0.0, self._next_look - time.monotonic())
        with suppress(TimeoutError):
            await asyncio.wait_for(self._bell.wait(), rest)

    async def describe(self, container: str) -> ContainerDetail:
        """Everything about one container (id or name), each part with its own deadline and error."""
        if self._detail is None:
            from console.watch.container_detail import DetailReader

            self._detail = DetailReader(self.engine, self._inbox.events)
        return await self._detail.read(container)

    async def close(self) -> None:
        """End threads, close connections and files. Waits for nothing that hangs."""
        self._closed = True
        self._pulse.close()
        if self._stream is not None:
            self._stream.close()
        if self._lane.stuck_for is None:
            self._figures.close()
        self._lane.close()
        if self._detail is not None:
            self._detail.close()
        self.engine.close()

    # -- from the threads

    def _ring(self) -> None:
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # the loop is closed: nobody listens
                loop.call_soon_threadsafe(self._bell.set)

    def _engine_is_back(self) -> None:
        """A stream opened before the engine fell silent may never speak again: listen anew."""
        old = self._stream
        if old is None or self._closed:
            return
        old.close()
        self._stream = EventStream(self.engine, self._inbox, self._roster.known)
        self._stream.start()

    # -- in the lane

    def _look(self) -> ContainersReading:
        if self._recall:
            self._recall = False
            for event in past_events(self.engine, self._inbox.since):
                self._inbox.add(event)
        events, everything = self._inbox.take()
        try:
            self._roster.look(events, everything)
        except Exception:
            self._inbox.want_all(ring=False)  # what those events told is not known now
            raise
        return self._reading(self._figures.read(self._roster.known.values(), time.monotonic()))

    def _reading(self, figures: Mapping[str, Figures]) -> ContainersReading:
        """What is known, put together; a container of which nothing changed is the same object as before."""
        deaths = self._inbox.deaths(time.time())
        containers = []
        for id_ in [id_ for id_ in self._shown if id_ not in self._roster.known]:
            del self._shown[id_]
        for id_, known in self._roster.known.items():
            told = (known, figures.get(id_, UNKNOWN), deaths.get(id_, 0))
            shown = self._shown.get(id_)
            if shown is None or shown[0] is not known or shown[1:3] != told[1:]:
                shown = self._shown[id_] = (*told, _with(*told))
            containers.append(shown[3])
        containers.sort(key=lambda container: (container.project, container.service, container.name))
        return ContainersReading(
            self.engine.version.label, self.engine.endpoint.host, tuple(containers), self._inbox.events()
        )


def _with(known: Container, figures: Figures, deaths: int) -> Container:
    return replace(
        known,
        deaths=deaths,
        cpu=figures.cpu,
        throttled=figures.throttled,
        memory=figures.memory,
        net_in=figures.net_in,
        net_out=figures.net_out,
        disk_read=figures.disk_read,
        disk_write=figures.disk_write,
    )
