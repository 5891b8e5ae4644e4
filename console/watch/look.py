"""One look at everything: all sources read for a few seconds at once, and what is known at the end of it.

For commands that judge or print the present and then exit; the console keeps its own supervisor running.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from console.config import Config
from console.watch.readings import NAMES, Readings
from console.watch.source import Reading, Source, Supervisor

LIMIT = 4.1  # seconds; closing takes one more at the most
_LOGS_NEED = 1.5  # seconds until the ends of logs have been read and counted


async def look(config: Config, sources: Iterable[Source[Any]] | None = None, *, limit: float = LIMIT) -> Readings:
    """The readings of this moment. Ends within `limit` + 1 s.

    A source that did not answer has an empty `Reading`, or one with its fault. `sources` stand for the real ones.
    """
    heard: Callable[[str, Reading[Any]], None] = _ignore
    if sources is None:
        sources, heard = _live(config)
    sources = list(sources)
    got: dict[str, Reading[Any]] = {}
    news = asyncio.Event()

    def publish(name: str, reading: Reading[Any]) -> None:
        got[name] = reading
        heard(name, reading)
        news.set()

    supervisor = Supervisor(sources, publish)
    running = asyncio.create_task(supervisor.run())
    began = time.monotonic()
    waits = {source.name: _LOGS_NEED if source.name == "logs" and config.logs else 0.0 for source in sources}
    while (passed := time.monotonic() - began) < limit:
        if all(passed >= least and _settled(name, got.get(name)) for name, least in waits.items()):
            break
        news.clear()
        until = min((least for least in waits.values() if least > passed), default=limit)
        with suppress(TimeoutError):
            await asyncio.wait_for(news.wait(), min(limit, until) - passed)
    # The last beat may be most of a second old: what the logs told since belongs to this look.
    for source in sources:
        if source.name == "logs" and (reading := got.get("logs")) is not None and reading.fault is None:
            got["logs"] = Reading(await source.read(), time.time())
    await supervisor.close()
    running.cancel()
    readings = Readings()
    for name in NAMES & got.keys():
        readings = readings.with_(name, got[name])
    return readings


def _live(config: Config) -> tuple[Iterable[Source[Any]], Callable[[str, Reading[Any]], None]]:
    """The real sources, and what tells the logs which containers there are."""
    from console.watch.live import LiveSources

    live = LiveSources(config, recall=True)
    live.hub.start()
    return live.sources, live.heard


def _ignore(name: str, reading: Reading[Any]) -> None:
    """Sources that were given are told nothing."""


def _settled(name: str, reading: Reading[Any] | None) -> bool:
    """Whether waiting longer would tell nothing new: figures that need two looks have had them."""
    if reading is None or reading.fault is not None:
        return reading is not None
    value: Any = reading.value
    if name == "host":
        return value.cpu is not None
    if name == "probes":
        return all(probe.ok is not None or probe.history for probe in value.probes)
    if name == "metrics":
        return not any(point.pending for point in value.metrics)
    if name == "containers":
        running = [one for one in value.containers if one.running]
        return not running or any(one.cpu is not None for one in running)
    return True
