"""What lines of the kernel's log mean: processes killed for want of memory, sick disks, a full connection table, crashes.

The sentences are those of Linux since 4.19, with the older ones where they differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from console.watch.kernellog import KernelLine

_CONTAINER = re.compile(r"[0-9a-f]{64}")
_OOM = re.compile(
    r"oom-kill:constraint=(?P<kind>\w+),.*?(?:oom_memcg=(?P<limit>[^,]*),)?task_memcg=(?P<group>[^,]*),"
    r"task=(?P<task>.*),pid=(?P<pid>\d+),uid="
)
_OLD_GROUP = re.compile(r"^Task in (?P<group>\S+) killed as a result of limit of (?P<limit>\S+)")
_KILLED = re.compile(
    r"(?P<memcg>Memory cgroup )?(?:[Oo]ut of memory: )?Killed process (?P<pid>\d+),? \((?P<task>.*?)\)"
)
_ANON = re.compile(r"anon-rss:(\d+)kB")
_DEVICE = r"(?P<device>[\w!.-]+)"
_DISK = tuple(
    re.compile(words)
    for words in (
        # Grave first: the file system has given up, or has lost what was written.
        rf"^(?P<grave>EXT[234]-fs \({_DEVICE}\): Remounting filesystem read-only)",
        rf"^(?P<grave>EXT[234]-fs error \(device {_DEVICE}\))",
        rf"^(?P<grave>XFS \({_DEVICE}\): .*(?:[Ss]hutting down filesystem|Filesystem has been shut down|Corruption))",
        rf"^(?P<grave>BTRFS(?: error| critical|: error) \(device {_DEVICE}[^)]*\).*(?:forced readonly|failed|corrupt))",
        rf"^(?P<grave>F2FS-fs \({_DEVICE}\): .*(?:[Rr]emounting filesystem read-only|Stopped filesystem))",
        rf"^(?P<grave>Buffer I/O error on dev(?:ice)? {_DEVICE}, logical block \d+, lost (?:async|sync) page write)",
        rf"^Buffer I/O error on dev(?:ice)? {_DEVICE},",
        rf"(?:^|: )(?:I/O|critical medium|critical target|protection) error, dev {_DEVICE},",
    )
)
_FULL = re.compile(r"nf_conntrack: table full, dropping packet")
_CRASH = re.compile(
    r"^(?:traps: )?(?P<task>.{1,15}?)\[(?P<pid>\d+)\]:? "
    r"(?P<what>segfault|general protection|trap invalid opcode|trap divide error|unhandled signal 11)"
)
_HUNG = re.compile(r"^INFO: task (?P<task>.{1,32}?):(?P<pid>\d+) blocked for more than (?P<seconds>\d+) seconds")


@dataclass(frozen=True, slots=True)
class Killed:
    """One process the kernel killed for want of memory. `container` is its id, "" for a process of the host."""

    at: float
    pid: int
    name: str
    container: str = ""
    limited: bool = False  # by a limit of its group; else the whole host had no memory left
    anonymous: int | None = None  # bytes it held of its own


@dataclass(frozen=True, slots=True)
class DiskError:
    """`grave`: the file system has given up, or data was lost."""

    at: float  # of the last one
    device: str
    text: str
    grave: bool
    times: int = 1


@dataclass(frozen=True, slots=True)
class Crash:
    at: float
    pid: int
    name: str
    what: str


@dataclass(slots=True)
class Said:
    """Everything of these lines that speaks of trouble."""

    killed: list[Killed] = field(default_factory=list)
    disks: dict[str, DiskError] = field(default_factory=dict)  # by device
    table_full: list[float] = field(default_factory=list)  # moments
    crashes: list[Crash] = field(default_factory=list)
    hung: dict[int, tuple[str, float]] = field(default_factory=dict)  # pid -> name, seconds


def understand(lines: Iterable[KernelLine]) -> Said:
    said = Said()
    group: tuple[str, bool] | None = None  # told by a kernel before 5.0 on the line before the kill
    for line in lines:
        if (found := _OLD_GROUP.match(line.text)) is not None:
            group = _container(found["group"]), True
        elif (found := _OOM.search(line.text)) is not None:
            limited = found["kind"] == "CONSTRAINT_MEMCG"
            said.killed.append(Killed(line.at, int(found["pid"]), found["task"], _container(found["group"]), limited))
        elif (found := _KILLED.search(line.text)) is not None:
            _kill(said, line, found, group)
            group = None
        elif _FULL.search(line.text):
            said.table_full.append(line.at)
        elif (found := _CRASH.match(line.text)) is not None:
            said.crashes.append(Crash(line.at, int(found["pid"]), found["task"], found["what"]))
        elif (found := _HUNG.match(line.text)) is not None:
            said.hung[int(found["pid"])] = found["task"], float(found["seconds"])
        else:
            _disk(said, line)
    return said


def _kill(said: Said, line: KernelLine, found: re.Match[str], group: tuple[str, bool] | None) -> None:
    """The kill itself; a newer kernel has named its group in the line before."""
    anon = _ANON.search(line.text)
    held = int(anon[1]) * 1024 if anon else None
    pid = int(found["pid"])
    last = said.killed[-1] if said.killed else None
    if last is not None and last.pid == pid and line.at - last.at < 5 and last.anonymous is None:
        said.killed[-1] = replace(last, anonymous=held)
        return
    container, limited = group or ("", bool(found["memcg"]))
    said.killed.append(Killed(line.at, pid, found["task"], container, limited, held))


def _disk(said: Said, line: KernelLine) -> None:
    for words in _DISK:
        if (found := words.search(line.text)) is not None:
            device, grave = found["device"], "grave" in found.groupdict()
            known = said.disks.get(device)
            times = known.times + 1 if known else 1
            text = known.text if known and known.grave and not grave else line.text
            said.disks[device] = DiskError(line.at, device, text, grave or bool(known and known.grave), times)
            return


def _container(path: str) -> str:
    """The container's id in the path of a cgroup, "" where none is."""
    found = _CONTAINER.search(path)
    return found[0] if found else ""
