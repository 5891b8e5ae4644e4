"""The host: cpu, memory, pressure, disks, network and the busiest processes.

It reads only this machine, by /proc (psutil where there is none), and never starts a program.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from console.errors import SourceError
from console.text import clean
from console.watch.mounts import Disk, Mount, RemoteDisks, Statvfs, docker_data_root, measure, parse_mounts, that_matter
from console.watch.processes import Process, Processes
from console.watch.procfs import Counters, Pressure, ProcFiles, counters, psutil_counters
from console.watch.source import Lane

__all__ = ["Disk", "HostReading", "HostSource", "Pressure", "Process"]


@dataclass(frozen=True, slots=True)
class HostReading:
    """One look at the host. Rates are bytes per second since the last reading and None at the first."""

    hostname: str
    cores: int
    cpu: float | None  # percent of all cores together, 0-100
    cpu_per_core: tuple[float, ...]
    load: tuple[float, float, float]
    pressure: Pressure
    memory_total: int
    memory_available: int
    swap_total: int
    swap_used: int
    disks: tuple[Disk, ...]
    net_in: float | None
    net_out: float | None
    disk_read: float | None
    disk_write: float | None
    top: tuple[Process, ...]
    uptime: float  # seconds since boot
    unread_mounts: tuple[str, ...] = ()  # "mount: reason" of file systems that never answered
    oom_kills: int | None = None  # processes killed for want of memory since boot
    own_cpu: float = 0.0  # percent of all cores together that this program used itself

    @property
    def memory_percent(self) -> float:
        return 100.0 * (self.memory_total - self.memory_available) / self.memory_total if self.memory_total else 0.0


class HostSource:
    """The host once a second. `proc`, `statvfs` and `clock` stand for the machine itself."""

    name = "host"

    def __init__(
        self,
        *,
        proc: Path = Path("/proc"),
        statvfs: Statvfs = os.statvfs,
        clock: Callable[[], float] = time.monotonic,
        data_paths: tuple[str, ...] | None = None,
    ) -> None:
        self.every = 1.0
        self.deadline = 3.0
        self._files = ProcFiles(proc)
        self._processes = Processes(proc, clock)
        self._statvfs = statvfs
        self._clock = clock
        self._data_paths = data_paths or ("/", docker_data_root(), "/var", "/home")
        self._remote = RemoteDisks(statvfs, clock)
        self._lane = Lane("host")
        self._last: tuple[float, Counters] | None = None
        self._own = time.process_time()
        self._table = b""
        self._mounts: tuple[Mount, ...] = ()

    def begin(self) -> None:
        """Start the first look before there is an event loop."""
        self._lane.begin(self._look)

    async def read(self) -> HostReading:
        reading = await self._lane.call(self._look, deadline=self.deadline)
        remote = [mount for mount in self._mounts if mount.remote]
        if not remote:
            return reading
        disks, silent = await self._remote.look(remote)
        ordered = sorted(reading.disks + disks, key=lambda disk: disk.mount)
        return replace(reading, disks=tuple(ordered), unread_mounts=silent)

    async def changed(self) -> None:
        await asyncio.Event().wait()

    async def close(self) -> None:
        """Let go of open files, in the lane: a reading that is stuck there may still use them."""
        self._remote.close()
        with suppress(SourceError):  # a stuck thread is a daemon; its files go with the process
            await self._lane.call(self._let_go, deadline=0.5)
        self._lane.close()

    def _let_go(self) -> None:
        self._files.close()
        self._processes.close()

    def _look(self) -> HostReading:
        now = self._clock()
        seen = counters(self._files) or self._without_proc()
        last, self._last = self._last, (now, seen)
        before = last[1] if last else None
        seconds = now - last[0] if last else 0.0
        own, self._own = time.process_time() - self._own, time.process_time()
        cores = len(seen.cores) or os.cpu_count() or 1
        net_in, net_out = rates(before.net if before else {}, seen.net, seconds)
        disk_read, disk_write = rates(before.disk if before else {}, seen.disk, seconds)
        return HostReading(
            hostname=clean(os.uname().nodename, 64),
            cores=cores,
            cpu=busy(before.cpu, seen.cpu) if before else None,
            cpu_per_core=_per_core(before, seen),
            load=seen.load,
            pressure=seen.pressure,
            memory_total=seen.memory_total,
            memory_available=seen.memory_available,
            swap_total=seen.swap_total,
            swap_used=seen.swap_used,
            disks=self._disks(),
            net_in=net_in,
            net_out=net_out,
            disk_read=disk_read,
            disk_write=disk_write,
            top=self._processes.top(seen.uptime),
            uptime=float(int(seen.uptime)),
            oom_kills=seen.oom_kills,
            own_cpu=round(min(100.0, 100.0 * own / (seconds * cores)), 1) if seconds > 0 else 0.0,
        )

    @staticmethod
    def _without_proc() -> Counters:
        try:
            return psutil_counters()
        except (ImportError, OSError, NotImplementedError, AttributeError) as error:
            raise SourceError(
                f"this system shows no host figures: {clean(str(error), 120)}", remedy="Is /proc mounted?"
            ) from error

    def _disks(self) -> tuple[Disk, ...]:
        table = self._files.read("self/mountinfo") or b""
        if table != self._table or not self._mounts:
            self._table = table
            listed = parse_mounts(table) or [Mount("0:0", "/", "/", "", "/dev/root")]
            self._mounts = that_matter(listed, self._data_paths)
        local = (measure(mount, self._statvfs) for mount in self._mounts if not mount.remote)
        return tuple(disk for disk in local if disk)


def busy(before: tuple[float, float], after: tuple[float, float]) -> float | None:
    """Percent of the time between two (busy, total) counts; None when no time passed.

    >>> busy((100.0, 1000.0), (150.0, 1200.0))
    25.0
    """
    total = after[1] - before[1]
    if total <= 0:
        return None
    return min(100.0, max(0.0, 100.0 * (after[0] - before[0]) / total))


def _per_core(before: Counters | None, after: Counters) -> tuple[float, ...]:
    if before is None or len(before.cores) != len(after.cores):  # a core went on or off line
        return ()
    return tuple(busy(a, b) or 0.0 for a, b in zip(before.cores, after.cores, strict=True))


def rates(
    before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]], seconds: float
) -> tuple[float | None, float | None]:
    """Bytes per second, summed over devices; None at the first look.

    A counter that went back (it wrapped, or the device was made anew) leaves its device out of this one sum:
    nobody can tell how much passed.

    >>> rates({"eth0": (100, 10), "eth1": (2**32 - 5, 0)}, {"eth0": (300, 30), "eth1": (5, 0)}, 2.0)
    (100.0, 10.0)
    >>> rates({}, {"eth0": (300, 30)}, 0.0)
    (None, None)
    """
    pairs = [
        (after[name][0] - old[0], after[name][1] - old[1])
        for name, old in before.items()
        if name in after and after[name][0] >= old[0] and after[name][1] >= old[1]
    ]
    if not pairs or seconds <= 0:
        return None, None
    return sum(pair[0] for pair in pairs) / seconds, sum(pair[1] for pair in pairs) / seconds
