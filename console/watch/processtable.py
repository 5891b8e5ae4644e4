"""All processes of this host at one moment: state, cpu, parent, container; and what single ones tell more of.

For checks that look a few times and compare. It keeps no files open: `console.watch.processes` does, for every second.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from console.redact import redact
from console.text import clean

PROC = Path("/proc")
_KERNEL = 0x00200000  # PF_KTHREAD
_COMMAND = 200  # characters
_CONTAINER = re.compile(rb"[0-9a-f]{64}")
_SWITCHES = re.compile(rb"^voluntary_ctxt_switches:\s+(\d+)", re.MULTILINE)
_OTHER_SWITCHES = re.compile(rb"^nonvoluntary_ctxt_switches:\s+(\d+)", re.MULTILINE)
_INNER = re.compile(rb"^NSpid:((?:\s+\d+)+)$", re.MULTILINE)
_OPEN_LIMIT = re.compile(rb"^Max open files\s+(\d+)", re.MULTILINE)
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Proc:
    """`user` and `system` in seconds of cpu since its start. `started` with the pid names it for good."""

    pid: int
    name: str
    state: str
    parent: int
    user: float
    system: float
    started: int
    rss: int  # bytes
    threads: int
    kernel: bool  # a thread of the kernel itself

    @property
    def cpu(self) -> float:
        return self.user + self.system


@dataclass(frozen=True, slots=True)
class Thread:
    """How often it waited of itself, how often it was made to wait, and the seconds of cpu it had.

    `ready`: seconds in which it ran or would have, had there been a core; None where the kernel does not tell.
    `state` is R also while its quota holds it back.
    """

    voluntary: int
    forced: int
    cpu: float
    ready: float | None = None
    state: str = ""


def table(proc: Path = PROC) -> dict[int, Proc]:
    """pid -> process. Empty where there is no /proc."""
    found = (parse(_read(proc / name / "stat", 1024)) for name in _names(proc) or () if name.isdigit())
    return {one.pid: one for one in found if one is not None}


def parse(stat: bytes) -> Proc | None:
    """One process from its /proc/PID/stat; None for what is none.

    >>> parse(b"7 (a) b) R 1 7 7 0 -1 0 0 0 0 0 150 50 0 0 20 0 2 0 99 4096 3 0").cpu
    2.0
    """
    end = stat.rfind(b")")
    fields = stat[end + 2 :].split(None, 22)
    if end < 0 or len(fields) < 22:
        return None
    return Proc(
        pid=int(stat[: stat.find(b" ")]),
        name=clean(stat[stat.find(b"(") + 1 : end].decode("utf-8", "replace"), 64),
        state=fields[0].decode("ascii", "replace"),
        parent=int(fields[1]),
        user=int(fields[11]) / _TICK,
        system=int(fields[12]) / _TICK,
        started=int(fields[19]),
        rss=int(fields[21]) * os.sysconf("SC_PAGE_SIZE"),
        threads=int(fields[17]),
        kernel=bool(int(fields[6]) & _KERNEL),
    )


def containers(pids: Iterable[int], proc: Path = PROC) -> dict[int, str]:
    """pid -> id of the container whose cgroup it is in; those of the host are left out."""
    found = {}
    for pid in pids:
        if (match := _CONTAINER.search(_read(proc / str(pid) / "cgroup"))) is not None:
            found[pid] = match[0].decode()
    return found


def threads(pid: int, proc: Path = PROC) -> dict[int, Thread]:
    """What each of its threads did since it began. Empty once it has ended."""
    found: dict[int, Thread] = {}
    for name in (_names(proc / str(pid) / "task") or ())[:500]:
        place = proc / str(pid) / "task" / name
        status, told = _read(place / "status"), parse(_read(place / "stat", 1024))
        own, forced = _SWITCHES.search(status), _OTHER_SWITCHES.search(status)
        if told is not None and own is not None and forced is not None:
            ready = _ready(_read(place / "schedstat"))
            found[int(name)] = Thread(int(own[1]), int(forced[1]), told.cpu, ready, told.state)
    return found


def _ready(schedstat: bytes) -> float | None:
    """
    >>> _ready(b"1500000000 500000000 90\\n")
    2.0
    """
    fields = schedstat.split()
    return (int(fields[0]) + int(fields[1])) / 1e9 if len(fields) == 3 else None


def moved(pids: Iterable[int], proc: Path = PROC) -> dict[int, tuple[int, int]]:
    """pid -> bytes it had read from and written to disks. Others' processes tell that to root only."""
    found = {}
    for pid in pids:
        rows = dict(line.split(b": ", 1) for line in _read(proc / str(pid) / "io").splitlines() if b": " in line)
        if b"read_bytes" in rows and b"write_bytes" in rows:
            found[pid] = int(rows[b"read_bytes"]), int(rows[b"write_bytes"])
    return found


def open_files(pid: int, proc: Path = PROC) -> tuple[int, int] | None:
    """(open, how many it may have open); None where that may not be seen, or it has ended."""
    names = _names(proc / str(pid) / "fd")
    limit = _OPEN_LIMIT.search(_read(proc / str(pid) / "limits"))
    return (len(names), int(limit[1])) if names is not None and limit else None


def command(pid: int, proc: Path = PROC) -> str:
    """Its command line, secrets masked; "" for one that has ended."""
    raw = _read(proc / str(pid) / "cmdline", 4 * _COMMAND)
    return clean(redact(raw.rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "replace")), _COMMAND)


def waits_in(pid: int, proc: Path = PROC) -> str:
    """The function of the kernel that it waits in; "" when not told."""
    told = clean(_read(proc / str(pid) / "wchan").decode("ascii", "replace"), 60)
    return "" if told == "0" else told


def inner_pid(pid: int, proc: Path = PROC) -> int | None:
    """The number by which it is known within its container."""
    found = _INNER.search(_read(proc / str(pid) / "status"))
    return int(found[1].split()[-1]) if found else None


def disk_times(proc: Path = PROC) -> Mapping[str, tuple[float, float]]:
    """Whole disk -> (seconds it was busy, seconds that all requests together waited)."""
    found: dict[str, tuple[float, float]] = {}
    for line in _read(proc / "diskstats").decode("ascii", "replace").splitlines():
        fields = line.split()
        if len(fields) >= 14 and not _PART.match(fields[2]):
            found[fields[2]] = int(fields[12]) / 1000, int(fields[13]) / 1000
    return found


_PART = re.compile(r"loop|ram|zram|sr|fd|nbd|md|(?:sd|vd|xvd|hd)[a-z]+\d+$|(?:nvme\d+n\d+|mmcblk\d+)p\d+$")


def host_cpu(proc: Path = PROC) -> tuple[float, float]:
    """(busy, total) of all cores, in ticks."""
    first = _read(proc / "stat").partition(b"\n")[0].split()
    times = [int(field) for field in first[1:9]]
    return (float(sum(times) - sum(times[3:5])), float(sum(times))) if len(times) > 4 else (0.0, 0.0)


def _names(path: Path) -> list[str] | None:
    """What is in a directory; None where it may not be looked into."""
    try:
        with os.scandir(path) as entries:
            return [entry.name for entry in entries]
    except OSError:
        return None


def _read(path: Path, most: int = -1) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(most)
    except OSError:
        return b""
