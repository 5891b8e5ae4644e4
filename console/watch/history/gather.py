"""What readings give to the history: disks, memory, connections, metrics, probes. What is stale or unknown gives nothing.

The most telling come first: should there ever be more than there are columns, those find room.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import TypeVar

from console.redact import redact
from console.text import clean
from console.watch.containers import ContainersReading
from console.watch.history.series import Sample
from console.watch.host import HostReading
from console.watch.logrecord import LogStats
from console.watch.metrics import MetricsReading
from console.watch.probes import ProbesReading
from console.watch.readings import Readings
from console.watch.source import Reading

T = TypeVar("T")

_OLD = 120.0  # seconds after which a value that is asked for now and then is no longer of now
_DAYS = re.compile(r"(\d+) days?")
_NAME = 120  # characters


def samples(readings: Readings, now: float, project: str = "") -> Iterator[Sample]:
    """One sample of each figure that is known now. `project`: services of others are called project/service."""
    if (host := _of_now(readings.host, now)) is not None:
        yield from _host(host)
    if (metrics := _of_now(readings.metrics, now)) is not None:
        yield from _metrics(metrics, now)
    if (probes := _of_now(readings.probes, now)) is not None:
        yield from _probes(probes, now)
    if (logs := _of_now(readings.logs, now)) is not None:
        yield from _logs(logs)
    if (containers := _of_now(readings.containers, now)) is not None:
        yield from _services(containers, project)


def _of_now(reading: Reading[T], now: float) -> T | None:
    """Its value; None for one that is stale, also where nobody reads because somebody paused."""
    return reading.value if reading.fault is None and _fresh(reading.taken_at, now) else None


def _host(host: HostReading) -> Iterator[Sample]:
    for disk in host.disks:
        if disk.fault:
            continue
        mount = name(disk.mount)
        yield Sample(("disk", mount, "free"), disk.free, "B", disk.used + disk.free)
        if disk.inodes_total and disk.inodes_free is not None:
            yield Sample(("disk", mount, "inodes free"), disk.inodes_free, "", disk.inodes_total)
    if host.memory_total:
        yield Sample(("host", "", "memory"), host.memory_total - host.memory_available, "B", host.memory_total)
    if host.cpu is not None:
        yield Sample(("host", "", "cpu"), host.cpu, "%")
    yield Sample(("host", "", "load"), host.load[0], "")


def _metrics(reading: MetricsReading, now: float) -> Iterator[Sample]:
    for metric in reading.metrics:
        if metric.value is not None and not metric.fault and _fresh(metric.taken_at, now):
            yield Sample(("metric", name(metric.name), "value"), metric.value, metric.unit)


def _probes(reading: ProbesReading, now: float) -> Iterator[Sample]:
    for probe in reading.probes:
        if probe.kind == "tls":
            days = _DAYS.search(probe.detail)
            if days and probe.ok is not None:
                yield Sample(("probe", name(probe.name), "certificate"), float(days[1]), "d")
        elif probe.ok and probe.latency is not None and _fresh(probe.at, now):
            yield Sample(("probe", name(probe.name), "latency"), probe.latency * 1000, "ms")


def _logs(stats: LogStats) -> Iterator[Sample]:
    yield Sample(("logs", "", "errors"), stats.errors_per_minute, "/min")
    yield Sample(("logs", "", "lines"), stats.lines_per_second, "/s")


def _services(reading: ContainersReading, project: str) -> Iterator[Sample]:
    """The memory of each service, all its containers together, and what all of them may take."""
    found: dict[str, tuple[int, int | None]] = {}
    for one in reading.containers:
        if not one.running or one.memory is None:
            continue
        other = project and one.project not in ("", project)
        label = name(f"{one.project}/{one.label}" if other else one.label)
        used, limit = found.get(label, (0, 0))
        limit = None if limit is None or not one.memory_limit else limit + one.memory_limit
        found[label] = (used + one.memory, limit)
    for label, (used, limit) in found.items():
        yield Sample(("service", label, "memory"), used, "B", limit)


def _fresh(at: float | None, now: float) -> bool:
    return at is not None and abs(now - at) <= _OLD


@lru_cache(maxsize=1024)
def name(text: str) -> str:
    """Names go to the disk: without secrets, and in one line."""
    return clean(redact(text), _NAME)
