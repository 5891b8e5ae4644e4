"""What one container uses, read from its cgroup (version 1 and 2, any driver) and from its /proc/<pid>/net/dev.

The files stay open and are read again with pread: 18 us for a container with its network where opening them each
time takes 55 (measured with 98 containers, cgroup v1), and 1.0 s of waiting with the stats API. It only measures:
`rates` makes the figures that people read out of two measurements. Nothing here asks the engine.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PAGE = 4096
_BUFFER = 16384  # more than any file read here; io.stat has a line for each device
_STAT_EVERY = 10  # reads after which memory.stat (half of all cost) is read again though nothing changed


@dataclass(frozen=True, slots=True)
class Usage:
    """One measurement. Counters only grow while the container runs. Unknown is None."""

    at: float  # seconds of a clock that only goes forward
    cpu: int | None = None  # nanoseconds used
    periods: int | None = None  # of the CPU quota
    throttled: int | None = None  # of those
    memory: int | None = None  # bytes, without page cache that can be dropped
    net_in: int | None = None  # bytes
    net_out: int | None = None
    net_at: float = 0.0  # when the network was measured; it may be older than `at`
    disk_read: int | None = None  # bytes
    disk_write: int | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """What `Container` shows of two measurements, rounded so that an idle container compares equal."""

    cpu: float | None = None  # percent of one core, to 0.1
    throttled: float | None = None  # share 0-1, to 0.01
    memory: int | None = None  # bytes, whole pages
    net_in: float | None = None  # bytes per second, to 1
    net_out: float | None = None
    disk_read: float | None = None
    disk_write: float | None = None


UNKNOWN = Figures()


def rates(before: Usage | None, now: Usage, last: Figures = UNKNOWN) -> Figures:
    """The figures between two measurements; without an earlier one only the memory is known.

    `last` holds the network rates while no newer measurement of the network exists.

    >>> rates(Usage(1.0, cpu=0, disk_read=0), Usage(2.0, cpu=250_000_000, disk_read=4096)).cpu
    25.0
    """
    memory = None if now.memory is None else now.memory // _PAGE * _PAGE
    if before is None or now.at <= before.at:
        return Figures(memory=memory)
    seconds = now.at - before.at
    cpu = _per_second(before.cpu, now.cpu, seconds)
    if now.net_at > before.net_at:
        between = now.net_at - before.net_at
        net_in = _whole(_per_second(before.net_in, now.net_in, between))
        net_out = _whole(_per_second(before.net_out, now.net_out, between))
    else:
        net_in, net_out = last.net_in, last.net_out
    return Figures(
        cpu=None if cpu is None else round(cpu / 1e7, 1),
        throttled=_share(before, now),
        memory=memory,
        net_in=net_in,
        net_out=net_out,
        disk_read=_whole(_per_second(before.disk_read, now.disk_read, seconds)),
        disk_write=_whole(_per_second(before.disk_write, now.disk_write, seconds)),
    )


def _per_second(before: int | None, now: int | None, seconds: float) -> float | None:
    if before is None or now is None or now < before:
        return None
    return (now - before) / seconds


def _whole(rate: float | None) -> float | None:
    return None if rate is None else float(round(rate))


def _share(before: Usage, now: Usage) -> float | None:
    if now.periods is None or before.periods is None or now.throttled is None or before.throttled is None:
        return None
    periods, throttled = now.periods - before.periods, now.throttled - before.throttled
    if periods < 0 or throttled < 0:
        return None
    return round(min(1.0, throttled / periods), 2) if periods else 0.0


class Hierarchies:
    """Where this host mounts its cgroups: by controller (version 1), and the unified tree (version 2).

    `proc` is for tests. An empty one (no cgroup mounted, or hidden) finds nothing.
    """

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self.proc = proc
        self.version1: dict[str, tuple[str, str]] = {}  # controller -> mount point, its root in the hierarchy
        self.version2: tuple[str, str] | None = None
        with suppress(OSError):
            for line in (proc / "self" / "mountinfo").read_text(encoding="utf-8", errors="replace").splitlines():
                self._add(line)

    def _add(self, line: str) -> None:
        before, dash, after = line.partition(" - ")
        places, kinds = before.split(), after.split()
        if not dash or len(places) < 5 or len(kinds) < 3:
            return
        mount = (_unescape(places[4]), _unescape(places[3]))
        if kinds[0] == "cgroup2" and self.version2 is None:
            self.version2 = mount
        elif kinds[0] == "cgroup":
            for option in kinds[2].split(","):
                self.version1.setdefault(option, mount)

    def paths(self, pid: int, container: str) -> Mapping[str, str] | None:
        """Directories of the container's own cgroup: by controller, "" for version 2.

        None where `pid` is no process of this container on this host (an engine in a virtual machine, a pid
        that was reused) or may not be looked at.
        """
        try:
            text = (self.proc / str(pid) / "cgroup").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None
        found: dict[str, str] = {}
        for line in text.splitlines():
            number, _, rest = line.partition(":")
            controllers, _, path = rest.partition(":")
            if not (own := _of_container(path, container)):
                continue
            if number == "0" and not controllers:
                if self.version2 is not None:
                    found[""] = _below(self.version2, own)
                continue
            for controller in controllers.split(","):
                if (mount := self.version1.get(controller)) is not None:
                    found[controller] = _below(mount, own)
        return found or None


def _of_container(path: str, container: str) -> str:
    """`path` up to the part that bears the container's id; "" where none does.

    A container with an init of its own (systemd, Docker in Docker) puts its processes into cgroups beneath.

    >>> _of_container("/system.slice/docker-abc.scope/init", "abc"), _of_container("/user.slice", "abc")
    ('/system.slice/docker-abc.scope', '')
    """
    parts = path.split("/")
    for at, part in enumerate(parts):
        if container in part:
            return "/".join(parts[: at + 1])
    return ""


def _below(mount: tuple[str, str], path: str) -> str:
    point, root = mount
    if root != "/" and (path == root or path.startswith(root + "/")):
        path = path[len(root) :]
    return point + path


def _unescape(text: str) -> str:
    return text.replace("\\040", " ") if "\\" in text else text


class OpenFiles:
    """How many files may stay open. A login shell allows 1024; the rest of the program needs some."""

    def __init__(self, limit: int | None = None) -> None:
        if limit is None:
            import resource

            soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
            limit = 8192 if soft == resource.RLIM_INFINITY else min(8192, soft - 384)
        self.left = max(0, limit)


class _File:
    """One small kernel file, read again and again: held open while the allowance lasts, else opened each time."""

    __slots__ = ("_fd", "_files", "_path")

    def __init__(self, path: str, files: OpenFiles) -> None:
        """Raises OSError when it cannot be opened."""
        self._path = path
        self._files = files
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        if files.left > 0:
            files.left -= 1
        else:
            os.close(self._fd)
            self._fd = -1

    def read(self) -> bytes:
        if self._fd >= 0:
            return os.pread(self._fd, _BUFFER, 0)
        fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(fd, _BUFFER)
        finally:
            os.close(fd)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            self._files.left += 1


class Meter:
    """The open files of one running container. Close it when the container stops or its pid changes.

    An open net/dev keeps the container's network namespace alive; the engine does not mind, the kernel frees it
    when the meter closes.
    """

    def __init__(
        self, pid: int, container: str, hierarchies: Hierarchies, files: OpenFiles, *, network: bool, quota: bool
    ) -> None:
        """Raises OSError where nothing of the container can be read on this host."""
        paths = hierarchies.paths(pid, container)
        if paths is None:
            raise FileNotFoundError(f"no cgroup of pid {pid} here")
        self.pid = pid
        self._open: list[_File] = []
        self._files = files
        unified = "cpuacct" not in paths and "memory" not in paths
        self._cpu, self._quota, self._memory, self._stat, self._disk = (
            self._version2(paths.get("", ""), quota) if unified else self._version1(paths, quota)
        )
        self._key = b"\ninactive_file " if unified else b"total_inactive_file "
        self._unified = unified
        self._net = self._file(str(hierarchies.proc / str(pid) / "net" / "dev")) if network else None
        if self._cpu is None and self._memory is None:
            self.close()
            raise FileNotFoundError(f"no readable cgroup of pid {pid} here")
        self._total = -1
        self._inactive = 0
        self._age = 0
        self._net_seen: tuple[int | None, int | None, float] = (None, None, 0.0)

    def read(self, at: float, *, network: bool = True) -> Usage:
        """One measurement; `network` False repeats the last known one. Raises OSError once the container is gone."""
        cpu = periods = throttled = None
        if self._unified:
            if self._cpu is not None:
                text = self._cpu.read()
                cpu = None if (used := _value(text, b"usage_usec ")) is None else used * 1000
                if self._quota is not None:
                    periods, throttled = _value(text, b"nr_periods "), _value(text, b"nr_throttled ")
        else:
            cpu = None if self._cpu is None else int(self._cpu.read())
            if self._quota is not None:
                text = self._quota.read()
                periods, throttled = _value(text, b"nr_periods "), _value(text, b"nr_throttled ")
        disk_read, disk_write = _disk(self._disk.read(), self._unified) if self._disk is not None else (None, None)
        if self._net is not None and network:
            self._net_seen = (*_network(self._net.read()), at)
        net_in, net_out, net_at = self._net_seen
        return Usage(
            at, cpu, periods, throttled, self._memory_used(), net_in, net_out, net_at, disk_read, disk_write
        )  # fmt: skip

    def close(self) -> None:
        for file in self._open:
            file.close()
        self._open.clear()

    def _version1(self, paths: Mapping[str, str], quota: bool) -> tuple[_File | None, ...]:
        cpu, memory, block = paths.get("cpuacct"), paths.get("memory"), paths.get("blkio")
        return (
            self._file(f"{cpu}/cpuacct.usage") if cpu else None,
            self._file(f"{paths['cpu']}/cpu.stat") if quota and "cpu" in paths else None,
            self._file(f"{memory}/memory.usage_in_bytes") if memory else None,
            self._file(f"{memory}/memory.stat") if memory else None,
            self._file(f"{block}/blkio.throttle.io_service_bytes_recursive") if block else None,
        )

    def _version2(self, path: str, quota: bool) -> tuple[_File | None, ...]:
        cpu = self._file(f"{path}/cpu.stat")
        return (
            cpu,
            cpu if quota else None,
            self._file(f"{path}/memory.current"),
            self._file(f"{path}/memory.stat"),
            self._file(f"{path}/io.stat"),
        )

    def _file(self, path: str) -> _File | None:
        try:
            file = _File(path, self._files)
        except OSError:  # a controller that is off: its figures stay unknown
            return None
        self._open.append(file)
        return file

    def _memory_used(self) -> int | None:
        """As docker stats counts: all that is charged, without file pages nobody has touched lately."""
        if self._memory is None:
            return None
        total = int(self._memory.read())
        self._age += 1
        if self._stat is not None and (total != self._total or self._age >= _STAT_EVERY):
            self._inactive = _value(self._stat.read(), self._key) or 0
            self._age = 0
        self._total = total
        return max(0, total - self._inactive)


def _value(text: bytes, key: bytes) -> int | None:
    """The number behind `key` in a file of "key number" lines.

    >>> _value(b"nr_periods 5", b"nr_periods ")
    5
    """
    start = text.find(key)
    if start < 0:
        return None
    start += len(key)
    end = text.find(b"\n", start)
    return int(text[start:] if end < 0 else text[start:end])


def _disk(text: bytes, unified: bool) -> tuple[int, int]:
    r"""Bytes read and written, over all devices.

    >>> _disk(b"8:0 rbytes=10 wbytes=5 rios=1 wios=1 dbytes=0 dios=0\n8:16 rbytes=1 wbytes=1\n", True)
    (11, 6)
    >>> _disk(b"8:0 Read 10\n8:0 Write 5\n8:0 Sync 0\nTotal 15\n", False)
    (10, 5)
    """
    read = written = 0
    for line in text.splitlines():
        words = line.split()
        if unified:
            for word in words[1:]:
                if word.startswith(b"rbytes="):
                    read += int(word[7:])
                elif word.startswith(b"wbytes="):
                    written += int(word[7:])
        elif len(words) == 3:
            if words[1] == b"Read":
                read += int(words[2])
            elif words[1] == b"Write":
                written += int(words[2])
    return read, written


def _network(text: bytes) -> tuple[int, int]:
    """Bytes received and sent, over all interfaces but lo."""
    received = sent = 0
    for line in text.splitlines()[2:]:
        name, colon, rest = line.partition(b":")
        if colon and name.strip() != b"lo":
            numbers = rest.split(None, 9)
            received += int(numbers[0])
            sent += int(numbers[8])
    return received, sent
