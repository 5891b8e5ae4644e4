"""The monitor fills the history of its host while no console does: it reads host, containers and metrics, and hands its
probes on. It judges nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from console.config import Config
from console.watch.history import Keeper
from console.watch.history.asked import follow
from console.watch.probes.result import ProbesReading
from console.watch.readings import Readings
from console.watch.source import Reading, Source, Supervisor

EVERY = 5.0  # seconds between samples
_SLOW = 15.0  # seconds between readings: a minute's mean needs no more


class Filling:
    """`live` for as long as the monitor does; `probed` gives what its probes said. `say` hears why none is kept, once."""

    def __init__(
        self,
        config: Config,
        data_dir: Path,
        probed: Callable[[], Reading[ProbesReading]],
        say: Callable[[str], None],
        *,
        sources: Callable[[Config], Iterable[Source[Any]]] | None = None,
        keeper: Keeper[Any] | None = None,
        pause: Callable[[float], Any] = asyncio.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._config, self._probed, self._say = config, probed, say
        self._sources, self._pause, self._clock = sources or _sources, pause, clock
        self._keeper = keeper or Keeper(data_dir, config.docker.project)
        self._readings = Readings()
        self._said = ""

    async def live(self) -> None:
        """Until it is cancelled. While a console writes the history, nothing is read."""
        self._keeper.start()
        asking = asyncio.ensure_future(follow(self._keeper, self._config))
        supervisor: Supervisor | None = None
        reading: asyncio.Future[None] | None = None
        try:
            while True:
                if self._keeper.writing and supervisor is None:
                    supervisor = Supervisor(self._sources(self._config), self._heard, self._clock)
                    supervisor.set_every(_SLOW)
                    reading = asyncio.ensure_future(supervisor.run())
                self._keeper.take(self._known())
                if (note := self._keeper.note) and note != self._said:
                    self._said = note
                    self._say(note)
                await self._pause(EVERY)
        finally:
            asking.cancel()
            if reading is not None:
                reading.cancel()
            if supervisor is not None:
                await supervisor.close()
            self._keeper.close()

    def _heard(self, name: str, reading: Reading[Any]) -> None:
        self._readings = self._readings.with_(name, reading)

    def _known(self) -> Readings:
        """With the probes of the monitor beside those that ask for certificates here."""
        mine, own = self._probed(), self._readings.probes
        both = (*(mine.value.probes if mine.value else ()), *(own.value.probes if own.value else ()))
        return replace(
            self._readings, probes=Reading(ProbesReading(both), max(mine.taken_at or 0.0, own.taken_at or 0.0))
        )


def _sources(config: Config) -> Iterable[Source[Any]]:
    from console.watch.containers import ContainersSource
    from console.watch.host import HostSource
    from console.watch.metrics import MetricsSource
    from console.watch.probes import ProbesSource

    certificates = [probe for probe in config.probes if probe.kind == "tls"]  # the monitor asks all others
    return (
        HostSource(),
        ContainersSource(config.docker),
        MetricsSource(config.metrics, config.database),
        ProbesSource(certificates),
    )
