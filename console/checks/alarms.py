"""Values against thresholds, each with the level at which it counts as over again. No memory: `facts` compares."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from console.checks.wording import figure
from console.config import Config, Limits
from console.watch.readings import Readings

CLEAR = 0.95  # of a threshold: a value must fall below this share before it counts as cleared


@dataclass(frozen=True, slots=True)
class Alarm:
    """One value against one threshold. `clear`: well enough to say that it is over."""

    key: str
    subject: str
    text: str
    over: bool
    clear: bool
    at: float
    state: str = "over"


def alarms(readings: Readings, config: Config) -> Iterator[Alarm]:
    """Every value that has a threshold and is known."""
    yield from _host_levels(readings, config)
    at = readings.metrics.taken_at
    for metric in readings.metrics.value.metrics if readings.metrics.value and at is not None else ():
        if metric.value is None or metric.status == "unknown":
            continue
        value = f"{metric.name} is {figure(metric.value)} {metric.unit}".rstrip()
        limit = f" ({metric.limit})" if metric.limit else ""
        over = metric.status in ("warn", "crit")
        when = metric.taken_at or at or 0.0
        yield Alarm(f"metric:{metric.name}", metric.name, value + limit, over, not over, when)
    bound = config.thresholds.get("errors_per_minute", Limits()).warn
    logs, at = readings.logs.value, readings.logs.taken_at
    for one in logs.inputs if logs is not None and at is not None and bound is not None else ():
        rate, limit_ = one.errors_per_minute, bound or 0.0
        text = f"{one.name} logs {rate:.0f} errors a minute"
        yield Alarm(f"log:{one.name}", one.name, text, rate >= limit_, rate < limit_ / 2, at or 0.0, "burst")


def _host_levels(readings: Readings, config: Config) -> Iterator[Alarm]:
    host, at = readings.host.value, readings.host.taken_at
    if host is None or at is None:
        return
    values = [
        ("memory", "memory", host.memory_percent, "%"),
        ("load", "load per core", host.load[0] / max(1, host.cores), ""),
    ]
    for disk in (disk for disk in host.disks if not disk.fault):
        values.append(("disk", f"disk {disk.mount}", disk.percent, "%"))
        if disk.inodes_percent is not None:
            values.append(("inodes", f"inodes of {disk.mount}", disk.inodes_percent, "%"))
    for threshold, subject, value, unit in values:
        limits = config.thresholds.get(threshold, Limits())
        for name, limit in (("warn", limits.warn), ("crit", limits.crit)):
            if limit is None:
                continue
            text = f"{subject} is {value:.3g} {unit}".rstrip() + f" ({name} at {limit:g})"
            yield Alarm(f"{subject}:{name}", subject, text, value >= limit, value < limit * CLEAR, at)
