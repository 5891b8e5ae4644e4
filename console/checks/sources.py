"""Sources that cannot be read: what is not known is said, and never taken for well."""

from __future__ import annotations

from typing import Any

from console.checks.check import Finding, Status
from console.checks.wording import since
from console.watch.readings import Readings
from console.watch.source import Reading

_CALLED = {
    "host": "the host's figures",
    "containers": "the Docker engine",
    "probes": "the probes",
    "metrics": "business metrics",
    "logs": "logs",
}


def source_findings(readings: Readings, now: float) -> list[Finding]:
    """One UNKNOWN finding a dead source."""
    found: list[Finding] = []
    for name, called in _CALLED.items():
        reading: Reading[Any] = getattr(readings, name)
        fault = reading.fault
        if fault is None:
            continue
        verb = "cannot be read" if name != "containers" else "is out of reach"
        text = f"{called} {verb}{since(fault.since, now)}: {fault.reason}"
        evidence = [fault.remedy] if fault.remedy else []
        if reading.taken_at is not None:
            evidence.append(f"last good look{since(reading.taken_at, now)}".replace(" since", " at"))
        group = "logs" if name == "logs" else "quick"
        found.append(
            Finding(
                f"sources.{name}",
                group,
                Status.UNKNOWN,
                text,
                tuple(evidence),
                subject=name,
                since=fault.since,
            )
        )
    return found
