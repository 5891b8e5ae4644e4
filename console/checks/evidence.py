"""What the live readings say to the severity wizard: shares, spans, who is down. Unknown stays None."""

from __future__ import annotations

import re
from collections.abc import Iterable

from console.checks.connectivity import ended
from console.checks.containers import looping
from console.checks.topology import Topology, topology
from console.config import Config
from console.incident.severity import Evidence
from console.watch.containers import ContainersReading
from console.watch.probes import ProbeResult
from console.watch.readings import Readings

_TRIES = 12  # the last tries that count as "lately": two minutes at a probe every 10 s
_STATEFUL = ("database", "cache")
_DAYS = re.compile(r"(\d+) days?")


def evidence(readings: Readings, config: Config, now: float) -> Evidence:
    """Answers for `severity.questions`, from the newest readings. Stale containers say nothing of who is down."""
    stack = topology(readings.containers.value, config)
    probes = readings.probes.value.probes if readings.probes.value and readings.probes.fault is None else ()
    edge = [p for p in probes if stack.roles.get(stack.owner(p)) == "edge" and not p.business]
    business = [p for p in probes if p.business and p.ok is not None]
    database = [p for p in probes if p.kind == "postgres" or stack.roles.get(stack.owner(p)) == "database"]
    reading = readings.containers.value if readings.containers.fault is None else None
    host = readings.host.value if readings.host.fault is None else None
    return Evidence(
        edge_failing=_share(edge),
        edge_failing_for=_failing_for(edge, now),
        business_ok=all(p.ok for p in business) if business else None,
        business_failing_for=_failing_for(business, now),
        database_ok=_database(database, stack, reading is not None),
        database_failing_for=_failing_for(database, now),
        down=tuple(_down(stack)) if reading else (),
        looping=tuple(_looping(reading, stack, now)) if reading else (),
        disk_percent=max((d.percent for d in host.disks if not d.fault), default=None) if host else None,
        certificate_days=_certificate(probes),
    )


def _share(probes: Iterable[ProbeResult]) -> float | None:
    """Share of the last tries that failed, over all these probes together."""
    tries = [ok for probe in probes for ok in probe.history[-_TRIES:]]
    return sum(not ok for ok in tries) / len(tries) if tries else None


def _failing_for(probes: Iterable[ProbeResult], now: float) -> float | None:
    """How long the longest failing of them fails; None when none does."""
    since = [probe.since for probe in probes if probe.ok is False]
    return max(0.0, now - min(since)) if since else None


def _database(probes: list[ProbeResult], stack: Topology, fresh: bool) -> bool | None:
    told = [probe.ok for probe in probes if probe.ok is not None]
    if told:
        return all(told)
    services = [c for label in stack.with_role("database") for c in stack.services[label]]
    if not fresh or not services:
        return None
    # That it runs does not show that it takes writes; that it does not run shows that it does not.
    return False if not any(c.running and c.health != "unhealthy" for c in services) else None


def _down(stack: Topology) -> Iterable[str]:
    for label, role in stack.roles.items():
        replicas = stack.services[label]
        if role in _STATEFUL and not any(c.running and c.health != "unhealthy" for c in replicas):
            yield label


def _looping(reading: ContainersReading, stack: Topology, now: float) -> Iterable[str]:
    for label, replicas in stack.services.items():
        if any(looping(c, [e for e in reading.events if e.container == c.id], now) for c in replicas):
            yield label


def _certificate(probes: Iterable[ProbeResult]) -> float | None:
    """Days until the first certificate ends; 0 when one has ended."""
    days = []
    for probe in probes:
        if probe.kind == "tls" and ended(probe):
            days.append(0.0)
        elif probe.kind == "tls" and (found := _DAYS.search(probe.detail)):
            days.append(float(found[1]))
    return min(days, default=None)
