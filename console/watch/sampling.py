"""Three looks at all processes, the containers' cgroups and the disks, within less than a second.

What changed between them is what happens now. Made for checks that are asked for; the console itself watches with
`console.watch.host` and `console.watch.cgroups`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from console.watch import processtable
from console.watch.cgroup_stand import Stand, stand
from console.watch.cgroups import Hierarchies
from console.watch.processtable import PROC, Proc, Thread

SLICE = 0.3  # seconds between two looks: 30 ticks of the kernel's clock
BUSY = 0.05  # of a core within the first slice: a process's threads are looked at, as of one that is about to run
_MOST_IO = 2000  # processes whose reading and writing is counted


@dataclass(frozen=True, slots=True)
class Look:
    """One moment. `at` by a clock that only goes forward."""

    at: float
    processes: Mapping[int, Proc]
    stands: Mapping[str, Stand]  # container id -> its cgroup
    disks: Mapping[str, tuple[float, float]]  # disk -> seconds busy, seconds waited
    cpu: tuple[float, float]  # all cores: busy, total
    moved: Mapping[int, tuple[int, int]]  # pid -> bytes read, written; of the first and last look


@dataclass(frozen=True, slots=True)
class Sample:
    """`where`: pid -> container id, of this host's processes that are in one."""

    looks: tuple[Look, Look, Look]
    where: Mapping[int, str]
    threads: Mapping[int, tuple[Mapping[int, Thread], Mapping[int, Thread]]]  # of busy ones, over the second slice

    @property
    def seconds(self) -> float:
        return self.looks[2].at - self.looks[0].at

    @property
    def host_cpu(self) -> float:
        """Share of all cores that was used, 0-1."""
        (busy, total), (before, before_total) = self.looks[2].cpu, self.looks[0].cpu
        return (busy - before) / (total - before_total) if total > before_total else 0.0

    def cpu(self, pid: int) -> float:
        """Cores that a process used; 0.0 for one that was not there from the first look to the last."""
        return _used(self.looks[0], self.looks[2], pid)

    def own_code(self, pid: int) -> float:
        """Share of its cpu that was not spent in the kernel, 0-1."""
        old, new = self.looks[0].processes.get(pid), self.looks[2].processes.get(pid)
        used = new.cpu - old.cpu if old and new else 0.0
        return (new.user - old.user) / used if old and new and used > 0 else 0.0

    def busiest(self, pids: Iterable[int], most: int = 3) -> list[int]:
        """Those that use more than a twentieth of a core, the busiest first."""
        rates = {pid: rate for pid in pids if (rate := self.cpu(pid)) > 0.05}
        return sorted(rates, key=lambda pid: -rates[pid])[:most]

    def of(self, container: str) -> list[int]:
        """The processes of a container that were there to the end."""
        return [pid for pid, its in self.where.items() if its == container and pid in self.looks[2].processes]


async def take(pids: Mapping[str, int], proc: Path = PROC) -> Sample:
    """`pids`: container id -> its main process. Those that are not on this host are in no `stands`."""
    places = await asyncio.to_thread(_places, pids, proc)
    first = await asyncio.to_thread(_look, places, proc, True)
    await asyncio.sleep(SLICE)
    second = await asyncio.to_thread(_look, places, proc, False)
    where = await asyncio.to_thread(processtable.containers, second.processes, proc)
    busy = [pid for pid in where if _used(first, second, pid) >= BUSY or second.processes[pid].state == "R"]
    before = await asyncio.to_thread(_threads, busy, proc)
    await asyncio.sleep(max(0.0, SLICE - (time.monotonic() - second.at)))
    third = await asyncio.to_thread(_look, places, proc, True)
    after = await asyncio.to_thread(_threads, busy, proc)
    return Sample((first, second, third), where, {pid: (before[pid], after[pid]) for pid in busy})


def _places(pids: Mapping[str, int], proc: Path) -> dict[str, Mapping[str, str]]:
    hierarchies = Hierarchies(proc)
    found = ((container, hierarchies.paths(pid, container)) for container, pid in pids.items() if pid)
    return {container: paths for container, paths in found if paths is not None}


def _look(places: Mapping[str, Mapping[str, str]], proc: Path, io: bool) -> Look:
    at = time.monotonic()
    processes = processtable.table(proc)
    real = [pid for pid, one in processes.items() if not one.kernel][:_MOST_IO] if io else []
    return Look(
        at,
        processes,
        {container: stand(paths) for container, paths in places.items()},
        processtable.disk_times(proc),
        processtable.host_cpu(proc),
        processtable.moved(real, proc),
    )


def _threads(pids: Iterable[int], proc: Path) -> dict[int, Mapping[int, Thread]]:
    return {pid: processtable.threads(pid, proc) for pid in pids}


def _used(old: Look, new: Look, pid: int) -> float:
    before, now = old.processes.get(pid), new.processes.get(pid)
    if before is None or now is None or before.started != now.started:
        return 0.0
    return max(0.0, now.cpu - before.cpu) / (new.at - old.at)
