"""What the host looks like at a declaration from the command line: one short look, kept as an attachment and facts.

A console that is open adds its half hour of readings by itself; this is for when nobody was watching.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from console.incident.events import Actor
from console.incident.journal import Journal

if TYPE_CHECKING:
    from console.config import Config
    from console.watch.readings import Readings
    from console.watch.source import Reading, Source

LIMIT = 2.5  # seconds; the person who declares is waiting
_NAME = "readings at declaration.json"


def add_evidence(journal: Journal, config: Config) -> None:
    """Look for a moment and write down what is there: nothing, if nothing answered. Raises RecordError."""
    from console.checks.facts import backlog, unsaid
    from console.cli.as_json import as_json
    from console.incident.state import fold
    from console.redact import redact_data

    readings = asyncio.run(look(config))
    now = time.time()
    names = ("host", "containers", "probes", "metrics", "logs")
    seen = {name: getattr(readings, name) for name in names if getattr(readings, name).value is not None}
    if not seen:
        return
    watch = Actor.current("watch")
    for fact in unsaid(backlog(readings, config, now), fold(journal.events())):
        journal.append("fact", fact.event(noticed_at=now), id=fact.id, at=fact.at, actor=watch)
    content = json.dumps(redact_data(as_json(seen)), ensure_ascii=False, indent=1).encode("utf-8", "backslashreplace")
    data = {"name": _NAME, "sha256": journal.put_blob(content), "size": len(content), "sources": sorted(seen)}
    journal.append("attach", data, actor=watch)


async def look(config: Config, sources: Iterable[Source[Any]] | None = None, limit: float = LIMIT) -> Readings:
    """One reading of every source that answers within `limit` seconds."""
    from console.watch.live import LiveSources
    from console.watch.readings import Readings
    from console.watch.source import Supervisor

    chosen = list(LiveSources(config).sources if sources is None else sources)
    readings = Readings()
    news = asyncio.Event()

    def publish(name: str, reading: Reading[Any]) -> None:
        nonlocal readings
        readings = readings.with_(name, reading)
        news.set()

    supervisor = Supervisor(chosen, publish)
    running = asyncio.create_task(supervisor.run())
    until = time.monotonic() + limit
    while not all(_answered(getattr(readings, source.name)) for source in chosen):
        left = until - time.monotonic()
        if left <= 0:
            break
        news.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(news.wait(), left)
    await supervisor.close()
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    return readings


def _answered(reading: Reading[Any]) -> bool:
    """It told something, or why it cannot. Probes are waited for until each was tried."""
    value = reading.value
    if value is None:
        return reading.fault is not None
    return all(probe.ok is not None for probe in getattr(value, "probes", ()))
