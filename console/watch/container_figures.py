"""Figures of all running containers at once: from this host's cgroups where it can, else from the stats API."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from console.watch.cgroups import UNKNOWN, Figures, Hierarchies, Meter, OpenFiles, Usage, rates
from console.watch.container_records import Container
from console.watch.engine_api import Engine
from console.watch.engine_stats import StatsPoller

_SOONEST = 0.8  # seconds between two samples: a read that an event asked for must not wait for them
_SECOND = 0.1  # seconds after the very first sample; cpu needs two
_MANY = 50  # containers above which the network is measured at every second sample


class _Metered:
    """One container on this host: its meter, its last measurement and the figures made of it."""

    __slots__ = ("_limited", "figures", "meter", "usage")

    def __init__(self, meter: Meter, limited: bool) -> None:
        self.meter = meter
        self._limited = limited
        self.usage: Usage | None = None
        self.figures = UNKNOWN

    def fits(self, container: Container | None) -> bool:
        """Still the same run of it, with a cpu limit as when the meter was made."""
        limited = container is not None and container.cpu_limit is not None
        return container is not None and container.pid == self.meter.pid and limited == self._limited


class FiguresReader:
    """Keeps meters of running containers and reads them. Used by one thread at a time."""

    def __init__(self, engine: Engine, hierarchies: Hierarchies | None = None) -> None:
        self._engine = engine
        self._hierarchies = hierarchies
        self._files = OpenFiles()
        self._poller = StatsPoller(engine)
        self._metered: dict[str, _Metered] = {}
        self._elsewhere: dict[str, int] = {}  # container -> pid that could not be metered
        self._here = False  # a container of this engine was a process of this host
        self._sampled_at = float("-inf")
        self._samples = 0

    def read(self, containers: Iterable[Container], now: float) -> Mapping[str, Figures]:
        """The figures of `containers` that run, at `now` (monotonic seconds)."""
        running = {c.id: c for c in containers if c.pid and c.status in ("running", "paused")}
        for id_ in [id_ for id_, metered in self._metered.items() if not metered.fits(running.get(id_))]:
            self._metered.pop(id_).meter.close()
        for id_ in [id_ for id_, pid in self._elsewhere.items() if id_ not in running or running[id_].pid != pid]:
            del self._elsewhere[id_]
        if now - self._sampled_at >= (_SOONEST if self._samples > 1 else _SECOND):
            self._sampled_at = now
            self._samples += 1
            self._sample(running)
        found = {id_: metered.figures for id_, metered in self._metered.items()}
        if elsewhere := [id_ for id_ in running if not self._engine.local or id_ in self._elsewhere]:
            found.update(self._poller.figures(elsewhere, now))
        return found

    def close(self) -> None:
        """Close all files and end the poller's threads."""
        for metered in self._metered.values():
            metered.meter.close()
        self._metered.clear()
        self._poller.close()

    def _sample(self, running: Mapping[str, Container]) -> None:
        network = len(running) <= _MANY or self._samples % 2 == 1
        for id_, container in running.items():
            metered = self._metered.get(id_) or self._meter(container)
            if metered is None:
                continue
            try:
                # A new meter starts with a network measurement, or its first rates came two samples late.
                usage = metered.meter.read(time.monotonic(), network=network or metered.usage is None)
            except (OSError, ValueError):  # it ended between the inspect and now
                self._metered.pop(id_).meter.close()
                continue
            metered.figures = rates(metered.usage, usage, metered.figures)
            metered.usage = usage

    def _meter(self, container: Container) -> _Metered | None:
        pid = container.pid
        if not self._engine.local or pid is None or self._elsewhere.get(container.id) == pid:
            return None
        if self._hierarchies is None:
            self._hierarchies = Hierarchies()
        try:
            meter = Meter(
                pid,
                container.id,
                self._hierarchies,
                self._files,
                network=container.networks != ("host",),  # the host's own traffic is not the container's
                quota=container.cpu_limit is not None,
            )
        except OSError:
            # Where others could be metered, a process that is gone has just ended, and is no one else's.
            if not self._here or (self._hierarchies.proc / str(pid)).exists():
                self._elsewhere[container.id] = pid
            return None
        self._here = True
        metered = self._metered[container.id] = _Metered(meter, container.cpu_limit is not None)
        return metered
