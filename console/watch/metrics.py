"""Business metrics: numbers the company lives by, from SQL, HTTP JSON, JSONL files or counted log lines."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MetricPoint:
    """One metric now. `status` is ok, warn, crit or unknown, by its thresholds and direction."""

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

    @property
    def change(self) -> float | None:
        """Percent against the previous window; None when there is nothing to compare with."""
        if self.value is None or not self.previous:
            return None
        return 100.0 * (self.value - self.previous) / abs(self.previous)


@dataclass(frozen=True, slots=True)
class MetricsReading:
    metrics: tuple[MetricPoint, ...]
