"""Figures of containers whose cgroups are not on this host, or may not be read here: the stats API.

An engine takes up to a second for one sample (all of 20.10, also "one-shot"), so the containers are asked by many
daemon threads, every five or ten seconds; the reader takes what is known. Used for remote engines, Docker Desktop and hidden /proc.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterable, Mapping
from typing import Any

from console.watch.cgroups import UNKNOWN, Figures, Usage, rates
from console.watch.engine_api import STATS_THREADS, Engine, EngineError
from console.watch.inspected import moment

_log = logging.getLogger(__name__)

_EVERY = 5.0  # seconds between two samples of one container ...
_EVERY_OF_MANY = 10.0  # ... where there are more than 50: a round of 100 costs 320 ms of cpu
_MANY = 50
_DEADLINE = 4.0
_FORGET = 60.0  # seconds after which a container nobody asks for is dropped


class StatsPoller:
    """Samples the containers it is asked for, for as long as it is asked for them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._jobs: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._asked: dict[str, float] = {}  # container -> when it was last put into the queue
        self._waiting: set[str] = set()  # in the queue or with the engine: never asked for twice at once
        self._known: dict[str, tuple[Usage, Figures]] = {}

    def figures(self, containers: Iterable[str], now: float) -> Mapping[str, Figures]:
        """What is known of these containers; asks for a new sample of each that is due. Never waits."""
        ids = list(containers)
        self._start(min(STATS_THREADS, len(ids)) - len(self._threads))
        every = _EVERY if len(ids) <= _MANY else _EVERY_OF_MANY
        due: list[str] = []
        with self._lock:
            for id_ in ids:
                if id_ not in self._waiting and now - self._asked.get(id_, float("-inf")) >= every:
                    self._asked[id_] = now
                    self._waiting.add(id_)
                    due.append(id_)
            for id_ in [id_ for id_, at in self._asked.items() if now - at > _FORGET and id_ not in self._waiting]:
                del self._asked[id_]
                self._known.pop(id_, None)
            found = {id_: known[1] for id_ in ids if (known := self._known.get(id_)) is not None}
        for id_ in due:
            self._jobs.put(id_)
        return found

    def close(self) -> None:
        for _ in self._threads:
            self._jobs.put(None)

    def _start(self, more: int) -> None:
        for _ in range(more):
            thread = threading.Thread(target=self._work, name="engine-stats", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _work(self) -> None:
        while (id_ := self._jobs.get()) is not None:
            usage: Usage | None = None
            try:
                told = self._engine.get(f"/containers/{id_}/stats", _DEADLINE, stream=0, **{"one-shot": 1})
                usage = usage_from_stats(told)
            except EngineError as error:  # the pulse and the next inspect tell the user
                _log.debug("stats of %.12s: %s", id_, error.message)
            except Exception:
                _log.exception("stats of %.12s", id_)
            with self._lock:
                self._waiting.discard(id_)
                before, last = self._known.get(id_, (None, UNKNOWN))
                if usage is not None and (before is None or usage.at > before.at):
                    self._known[id_] = (usage, rates(before, usage, last))


def usage_from_stats(told: object) -> Usage | None:
    """A measurement from the engine's answer to /stats; None for a container that does not run."""
    if not isinstance(told, dict) or (at := moment(told.get("read"))) is None:
        return None
    cpu, memory = _dict(told, "cpu_stats"), _dict(told, "memory_stats")
    used = _int(_dict(cpu, "cpu_usage"), "total_usage")
    quota = _dict(cpu, "throttling_data")
    charged, detail = _int(memory, "usage"), _dict(memory, "stats")
    idle = _int(detail, "total_inactive_file") or _int(detail, "inactive_file") or 0
    networks = [part for part in _dict(told, "networks").values() if isinstance(part, dict)]
    blocks = _dict(told, "blkio_stats").get("io_service_bytes_recursive")
    known_disk = isinstance(blocks, list)
    periods = _int(quota, "periods")
    return Usage(
        at=at,
        cpu=used,
        periods=periods,
        throttled=_int(quota, "throttled_periods"),
        memory=None if charged is None else max(0, charged - idle),
        net_in=sum(_int(part, "rx_bytes") or 0 for part in networks) if networks else None,
        net_out=sum(_int(part, "tx_bytes") or 0 for part in networks) if networks else None,
        net_at=at,
        disk_read=_moved(blocks, "read") if known_disk else None,
        disk_write=_moved(blocks, "write") if known_disk else None,
    )


def _moved(blocks: Any, way: str) -> int:
    return sum(
        _int(block, "value") or 0
        for block in blocks
        if isinstance(block, dict) and str(block.get("op", "")).lower() == way
    )


def _dict(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = data.get(key)
    return found if isinstance(found, dict) else {}


def _int(data: Mapping[str, Any], key: str) -> int | None:
    found = data.get(key)
    return found if isinstance(found, int) else None
