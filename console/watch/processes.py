"""The busiest processes, read from /proc/PID/stat directly: a tenth of what a walk with psutil costs.

It looks at names, cpu and memory only, and at command lines of the few that are shown.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

from console.redact import redact
from console.text import clean

_SHOWN = 10
_BY_MEMORY = 4  # of the shown ones, places for the largest that are not busy
_COMMAND = 300  # characters
_SHARE = 0.004  # a walk may take this share of the time between two walks
_LONGEST = 10.0  # seconds between walks, however many processes there are


@dataclass(frozen=True, slots=True)
class Process:
    """One process. `cpu` is percent of one core since the last reading; `name` and `command` are cleaned.

    At the first reading `cpu` counts from the start of the process, as `ps` does.
    """

    pid: int
    name: str
    cpu: float
    rss: int  # bytes
    command: str = ""  # its arguments, secrets masked; "" for kernel threads


@dataclass(slots=True)
class _Seen:
    pid: int
    name: bytes
    started: int  # ticks after boot: with the pid it names a process for good
    ticks: int  # cpu used
    rss: int
    share: float = 0.0


class Processes:
    """Walks /proc, keeping files of known processes open (0.5 ms for 114 of them instead of 1.6)."""

    def __init__(self, proc: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._proc = proc
        self._clock = clock
        self._tick = float(os.sysconf("SC_CLK_TCK"))
        self._page = os.sysconf("SC_PAGE_SIZE")
        self._files: dict[int, int] = {}
        self._most_files = min(256, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4)
        self._before: dict[int, _Seen] = {}
        self._walked: float | None = None
        self._pause = 0.0
        self._top: tuple[Process, ...] = ()
        self._commands: dict[tuple[int, int, bytes], str] = {}

    def top(self, uptime: float) -> tuple[Process, ...]:
        """The busiest first. On a host with thousands of processes it is renewed less than once a second."""
        now = self._clock()
        if self._walked is not None and now - self._walked < self._pause:
            return self._top
        began = time.thread_time()
        seen = self._walk()
        elapsed = now - self._walked if self._walked is not None else None
        for process in seen.values():
            process.share = self._cpu(process, elapsed, uptime)
        busiest = sorted(seen.values(), key=attrgetter("share", "rss"), reverse=True)[: _SHOWN - _BY_MEMORY]
        largest = sorted(seen.values(), key=attrgetter("rss"), reverse=True)
        shown = busiest + [process for process in largest[:_SHOWN] if process not in busiest][:_BY_MEMORY]
        self._top = tuple(self._process(process) for process in shown)
        wanted = {(process.pid, process.started, process.name) for process in shown}
        self._commands = {key: text for key, text in self._commands.items() if key in wanted}
        # The first walk opens every file and its cpu is not of this moment: the next follows as soon as asked.
        # A tenth off, so that jitter of the caller's clock does not skip every other walk.
        self._pause = min(_LONGEST, (time.thread_time() - began) / _SHARE) * 0.9 if elapsed else 0.0
        self._before, self._walked = seen, now
        return self._top

    def close(self) -> None:
        for fd in self._files.values():
            os.close(fd)
        self._files.clear()

    def _walk(self) -> dict[int, _Seen]:
        try:
            with os.scandir(self._proc) as entries:
                names = [entry.name for entry in entries]
        except OSError:
            return {}
        seen: dict[int, _Seen] = {}
        for name in names:
            if name.isdigit():
                process = self._stat(int(name))
                if process is not None:
                    seen[process.pid] = process
        for pid in self._files.keys() - seen.keys():
            os.close(self._files.pop(pid))
        return seen

    def _stat(self, pid: int) -> _Seen | None:
        raw = self._read_stat(pid)
        # The name stands in parentheses and may itself hold any byte, parentheses and newlines included.
        end = raw.rfind(b")")
        fields = raw[end + 2 :].split(None, 22)
        if end < 0 or len(fields) < 22:
            return None
        return _Seen(
            pid=pid,
            name=raw[raw.find(b"(") + 1 : end],
            started=int(fields[19]),
            ticks=int(fields[11]) + int(fields[12]),
            rss=int(fields[21]) * self._page,
        )

    def _read_stat(self, pid: int) -> bytes:
        fd = self._files.get(pid)
        try:
            if fd is not None:
                return os.pread(fd, 1024, 0)
        except ProcessLookupError:  # ended; its number may be in use again
            os.close(self._files.pop(pid))
        try:
            fd = os.open(f"{self._proc}/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return b""
        try:
            raw = os.pread(fd, 1024, 0)
        except OSError:
            raw = b""
        if raw and len(self._files) < self._most_files:
            self._files[pid] = fd
        else:
            os.close(fd)
        return raw

    def _cpu(self, process: _Seen, elapsed: float | None, uptime: float) -> float:
        old = self._before.get(process.pid)
        if elapsed and old is not None and old.started == process.started:
            return max(0.0, 100.0 * (process.ticks - old.ticks) / self._tick / elapsed)
        alive = uptime - process.started / self._tick
        return 100.0 * process.ticks / self._tick / alive if alive > 0.1 else 0.0

    def _process(self, seen: _Seen) -> Process:
        key = (seen.pid, seen.started, seen.name)
        if key not in self._commands:
            self._commands[key] = self._command(seen.pid)
        name = clean(seen.name.decode("utf-8", "replace"), 64)
        return Process(seen.pid, name, round(seen.share, 1), seen.rss, self._commands[key])

    def _command(self, pid: int) -> str:
        try:
            with Path(self._proc, str(pid), "cmdline").open("rb") as file:
                raw = file.read(4 * _COMMAND)
        except OSError:
            return ""
        return clean(redact(raw.rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "replace")), _COMMAND)
