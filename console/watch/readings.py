"""Everything that is known at one moment: the newest `Reading` of each source, as one frozen record.

Checks judge it and screens show it; it holds no history (`console.watch.recorder` does).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from console.watch.source import Reading

if TYPE_CHECKING:
    from console.watch.containers import ContainersReading
    from console.watch.host import HostReading
    from console.watch.logrecord import LogStats
    from console.watch.metrics import MetricsReading
    from console.watch.probes import ProbesReading

_NEVER: Reading[Any] = Reading()


@dataclass(frozen=True, slots=True)
class Readings:
    """One `Reading` for each source, by the source's name. An empty one was never read."""

    host: Reading[HostReading] = _NEVER
    containers: Reading[ContainersReading] = _NEVER
    probes: Reading[ProbesReading] = _NEVER
    metrics: Reading[MetricsReading] = _NEVER
    logs: Reading[LogStats] = _NEVER

    def with_(self, name: str, reading: Reading[Any]) -> Readings:
        """A copy in which the source `name` has this reading. Raises KeyError for a name that is none.

        >>> Readings().with_("host", Reading(taken_at=5.0)).host.taken_at
        5.0
        """
        if name not in NAMES:
            raise KeyError(name)
        changed: dict[str, Any] = {name: reading}
        return replace(self, **changed)


NAMES = frozenset(field.name for field in fields(Readings))
