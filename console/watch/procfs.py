"""Raw counters of this machine: from files of /proc that stay open, or from psutil where there is no /proc.

It keeps nothing between two looks but open files and computes no rates: `console.watch.host` does.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

_CHUNK = 1 << 16
_SECTOR = 512  # /proc/diskstats counts these, whatever the disk's own sector is
# Traffic through these is counted again at the physical interface, or never leaves the machine.
_INNER_NET = re.compile(r"lo\d*$|veth|docker|br-|virbr|cni|flannel|cali|vxlan|dummy|ifb|bond|team|tun|tap|.*[.@:]")
_WHOLE_DISK = re.compile(r"(?:sd|vd|xvd|hd|dasd)[a-z]+$|nvme\d+n\d+$|mmcblk\d+$|pmem\d+$")
_LAYERED_DISK = re.compile(r"loop|ram|zram|dm-|md|sr|fd|nbd|drbd")


@dataclass(frozen=True, slots=True)
class Pressure:
    """PSI, percent of time stalled over the last 10 s; None where the kernel does not tell."""

    cpu_some: float | None
    io_some: float | None
    io_full: float | None
    memory_some: float | None
    memory_full: float | None


NO_PRESSURE = Pressure(None, None, None, None, None)


@dataclass(frozen=True, slots=True)
class Counters:
    """What the kernel counts, at one moment. Bytes; cpu times in any unit that is the same for all."""

    cpu: tuple[float, float]  # all cores: (busy, total)
    cores: tuple[tuple[float, float], ...]
    load: tuple[float, float, float]
    pressure: Pressure
    memory_total: int
    memory_available: int
    swap_total: int
    swap_used: int
    net: dict[str, tuple[int, int]]  # interface -> (in, out)
    disk: dict[str, tuple[int, int]]  # whole disk -> (read, written)
    uptime: float
    oom_kills: int | None  # since boot; None where the kernel does not tell


class ProcFiles:
    """Files under `root` kept open and read from their start: half the cost of opening them each time."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._open: dict[str, int] = {}

    def read(self, name: str) -> bytes | None:
        """The whole of one file; None when this kernel or container has no such file."""
        fd = self._open.get(name)
        try:
            if fd is None:
                fd = self._open[name] = os.open(self._root / name, os.O_RDONLY | os.O_CLOEXEC)
            parts = [os.pread(fd, _CHUNK, 0)]
            while len(parts[-1]) and sum(map(len, parts)) % _CHUNK == 0:
                parts.append(os.pread(fd, _CHUNK, sum(map(len, parts))))
        except OSError:
            self._drop(name)
            return None
        return b"".join(parts)

    def _drop(self, name: str) -> None:
        fd = self._open.pop(name, None)
        if fd is not None:
            os.close(fd)

    def close(self) -> None:
        for name in list(self._open):
            self._drop(name)


def counters(files: ProcFiles) -> Counters | None:
    """One look at /proc; None when it is not there or hides its cpu and memory figures."""
    stat, meminfo = files.read("stat"), files.read("meminfo")
    if not stat or not meminfo:
        return None
    cpus = [_cpu(line) for line in stat.splitlines() if line.startswith(b"cpu")]
    memory = _memory(meminfo)
    total = memory.get(b"MemTotal", 0)
    loose = memory.get(b"MemFree", 0) + memory.get(b"Buffers", 0) + memory.get(b"Cached", 0)  # before Linux 3.14
    load = (files.read("loadavg") or b"0 0 0").split()
    return Counters(
        cpu=cpus[0],
        cores=tuple(cpus[1:]),
        load=(float(load[0]), float(load[1]), float(load[2])),
        pressure=_pressure(files),
        memory_total=total,
        memory_available=memory.get(b"MemAvailable", loose),
        swap_total=memory.get(b"SwapTotal", 0),
        swap_used=memory.get(b"SwapTotal", 0) - memory.get(b"SwapFree", 0),
        net=_net(files.read("net/dev") or b""),
        disk=_disks(files.read("diskstats") or b""),
        uptime=float((files.read("uptime") or b"0").split()[0]),
        oom_kills=_oom_kills(files.read("vmstat") or b""),
    )


def _cpu(line: bytes) -> tuple[float, float]:
    """(busy, total) of one `cpu` line. Guest time is already inside user time."""
    times = [int(field) for field in line.split()[1:9]]
    total = sum(times)
    waiting = times[3] + (times[4] if len(times) > 4 else 0)
    return float(total - waiting), float(total)


def _memory(meminfo: bytes) -> dict[bytes, int]:
    wanted: dict[bytes, int] = {}
    for line in meminfo.splitlines():
        key, _, rest = line.partition(b":")
        if key in (b"MemTotal", b"MemFree", b"MemAvailable", b"Buffers", b"Cached", b"SwapTotal", b"SwapFree"):
            wanted[key] = int(rest.split()[0]) * 1024
    return wanted


def _pressure(files: ProcFiles) -> Pressure:
    figures: dict[str, float] = {}
    for what in ("cpu", "io", "memory"):
        for line in (files.read(f"pressure/{what}") or b"").splitlines():
            match = re.match(rb"(some|full) avg10=([\d.]+)", line)
            if match:
                figures[f"{what}_{match[1].decode()}"] = float(match[2])
    if not figures:
        return NO_PRESSURE
    return Pressure(
        figures.get("cpu_some"),
        figures.get("io_some"),
        figures.get("io_full"),
        figures.get("memory_some"),
        figures.get("memory_full"),
    )


def _net(table: bytes) -> dict[str, tuple[int, int]]:
    traffic: dict[str, tuple[int, int]] = {}
    for line in table.splitlines()[2:]:
        name, _, rest = line.decode("utf-8", "replace").strip().rpartition(": ")
        if not name:  # very old kernels print "eth0:123"
            name, _, rest = line.decode("utf-8", "replace").strip().partition(":")
        fields = rest.split()
        if len(fields) >= 9 and not _INNER_NET.match(name):
            traffic[name] = (int(fields[0]), int(fields[8]))
    return traffic


def _disks(table: bytes) -> dict[str, tuple[int, int]]:
    rows: dict[str, tuple[int, int]] = {}
    for line in table.splitlines():
        fields = line.decode("utf-8", "replace").split()
        if len(fields) >= 10:
            rows[fields[2]] = (int(fields[5]) * _SECTOR, int(fields[9]) * _SECTOR)
    return _physical(rows)


def _physical(rows: dict[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
    """Whole disks only. Some clouds show a partition without its disk; then everything not layered counts."""
    whole = {name: row for name, row in rows.items() if _WHOLE_DISK.match(name)}
    return whole or {name: row for name, row in rows.items() if not _LAYERED_DISK.match(name)}


def _oom_kills(vmstat: bytes) -> int | None:
    match = re.search(rb"^oom_kill (\d+)$", vmstat, re.MULTILINE)
    return int(match[1]) if match else None


def psutil_counters() -> Counters:
    """The same from psutil, for systems without Linux's /proc."""
    import time

    import psutil

    times, per_core = psutil.cpu_times(), psutil.cpu_times(percpu=True)
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    net, disk = psutil.net_io_counters(pernic=True, nowrap=False), psutil.disk_io_counters(perdisk=True, nowrap=False)
    return Counters(
        cpu=_psutil_cpu(times._asdict()),
        cores=tuple(_psutil_cpu(core._asdict()) for core in per_core),
        load=psutil.getloadavg(),
        pressure=NO_PRESSURE,
        memory_total=memory.total,
        memory_available=memory.available,
        swap_total=swap.total,
        swap_used=swap.used,
        net={name: (row.bytes_recv, row.bytes_sent) for name, row in net.items() if not _INNER_NET.match(name)},
        disk=_physical({name: (row.read_bytes, row.write_bytes) for name, row in (disk or {}).items()}),
        uptime=time.time() - psutil.boot_time(),
        oom_kills=None,
    )


def _psutil_cpu(times: dict[str, float]) -> tuple[float, float]:
    total = sum(value for kind, value in times.items() if kind not in ("guest", "guest_nice"))
    return total - times["idle"] - times.get("iowait", 0.0), total
