"""What a business metric says: the record that panes, checks and the flight recorder share, and its judgement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from console.config import MetricConfig

NOT_YET = "not measured yet"


@dataclass(frozen=True, slots=True)
class MetricPoint:
    """One metric now. `status` is ok, warn, crit or unknown, by its thresholds and direction.

    `value` is None when the source says that there is none; after a failure it is the last good one, and
    `status` is unknown.
    """

    name: str
    unit: str
    value: float | None
    previous: float | None  # the window before this one
    status: str
    limit: str  # the threshold that was crossed, as text: "> 2 s"; ""
    spark: tuple[float, ...]  # recent values, oldest first, at most 60
    direction: str  # "up": higher is bad; "down": lower is bad; ""
    fault: str  # why this one is unknown; ""
    taken_at: float | None  # unix seconds of the last good value
    note: str = ""  # what else a reader should know: "3 bad lines passed over"; ""

    @property
    def pending(self) -> bool:
        """Whether nobody has answered or failed for it so far."""
        return self.fault == NOT_YET

    @property
    def change(self) -> float | None:
        """Percent against the previous window; None when there is nothing to compare with."""
        if self.value is None or not self.previous:
            return None
        return 100.0 * (self.value - self.previous) / abs(self.previous)


@dataclass(frozen=True, slots=True)
class MetricsReading:
    metrics: tuple[MetricPoint, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement. `value` None: the source answered that there is nothing, for the reason in `fault`."""

    value: float | None
    previous: float | None = None
    fault: str = ""
    note: str = ""


class Gauge(Protocol):
    """How one metric is measured. `measure` raises what its library raises; the source puts it in words."""

    every: float
    deadline: float

    async def measure(self, now: float) -> Sample: ...

    async def close(self) -> None: ...


def judge(config: MetricConfig, value: float) -> tuple[str, str]:
    """(status, limit crossed as text) of a value.

    >>> judge(MetricConfig("p95", "http", unit="s", warn=1.0, crit=2.0), 2.5)
    ('crit', '> 2 s')
    >>> judge(MetricConfig("bookings", "sql", warn=10.0, direction="down"), 7.0)
    ('warn', '< 10')
    """
    down = config.direction == "down"
    for status, limit in (("crit", config.crit), ("warn", config.warn)):
        if limit is not None and (value < limit if down else value > limit):
            return status, f"{'<' if down else '>'} {limit:g} {config.unit}".rstrip()
    return "ok", ""


def number(value: object) -> float | None:
    """A finite number out of what JSON, SQL or a log holds; None for anything else.

    >>> number("12.5"), number(True), number(float("nan")), number("n/a")
    (12.5, None, None, None)
    """
    if isinstance(value, bool) or value is None:
        return None
    try:
        found = float(value)  # type: ignore[arg-type]  # Decimal and the like have __float__
    except (TypeError, ValueError, OverflowError):
        return None
    return found if abs(found) != float("inf") and found == found else None
