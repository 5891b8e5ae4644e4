"""What the history holds, as records: a series is one figure of one thing, on two grids of time."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isnan, nan

Key = tuple[str, str, str]  # group, subject, name: ("host", "/srv", "free")


@dataclass(frozen=True, slots=True)
class Sample:
    """One value now. `limit`: what it can reach at most (a disk's size, a memory limit), where there is such a thing."""

    key: Key
    value: float
    unit: str
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class Grid:
    """Means of equal steps, oldest first; NaN where nothing was seen. The last step may be under way.

    `start` in unix seconds, `step` in seconds.
    """

    start: float
    step: float
    values: Sequence[float]

    @property
    def end(self) -> float:
        """When the newest step began, unix seconds."""
        return self.start + self.step * (len(self.values) - 1)

    @property
    def known(self) -> list[tuple[float, float]]:
        """(unix seconds, value) of the steps that are known."""
        return [(self.start + i * self.step, v) for i, v in enumerate(self.values) if not isnan(v)]

    def coarser(self, times: int) -> Grid:
        """Means over so many steps at once, the newest whole.

        >>> Grid(0.0, 60.0, [9.0, 1.0, 3.0, nan, 5.0]).coarser(2)
        Grid(start=60.0, step=120.0, values=[2.0, 5.0])
        """
        rest = len(self.values) % times
        found = []
        for at in range(rest, len(self.values), times):
            some = [v for v in self.values[at : at + times] if not isnan(v)]
            found.append(sum(some) / len(some) if some else nan)
        return Grid(self.start + rest * self.step, self.step * times, found)


EMPTY = Grid(0.0, 60.0, array("f"))


@dataclass(frozen=True, slots=True)
class Series:
    """One figure: minutes of the last 48 hours, means of ten minutes of the last 5 weeks."""

    key: Key
    unit: str
    limit: float | None
    minutes: Grid = EMPTY
    tens: Grid = EMPTY


@dataclass(frozen=True, slots=True)
class Known:
    """All that the history holds. `newest`: unix seconds of the newest minute, None when there is none."""

    series: dict[Key, Series] = field(default_factory=dict)
    newest: float | None = None

    def of(self, group: str, name: str = "") -> list[Series]:
        """The series of a group, of one name where it is told."""
        return [one for key, one in self.series.items() if key[0] == group and name in ("", key[2])]
