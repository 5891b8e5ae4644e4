"""What this host tells: its processes, disks, memory, pressure, sockets and kernel messages. Programs that only read."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from console.checks.bundle.items import Collector, Got
from console.errors import SourceError
from console.programs.running import run_program
from console.text import clean
from console.watch.lane import Lane

ANSWER = 8.0  # seconds for one program
_LIMIT = 2 * 1024 * 1024  # bytes of one program's output
_LINES = 1000  # of the kernel's messages
_PROGRAMS: dict[str, tuple[str, ...]] = {
    "host/ps.txt": ("ps", "-eo", "pid,ppid,user:20,stat,etime,pcpu,pmem,rss,wchan:20,args", "--sort=-pcpu", "-ww"),
    "host/df.txt": ("df", "-h"),
    "host/df-inodes.txt": ("df", "-i"),
    "host/free.txt": ("free", "-m"),
    "host/sockets.txt": ("ss", "-s"),
    "host/dmesg.txt": ("dmesg", "-T"),
    "host/uptime.txt": ("uptime",),
}


def of_host(
    programs: dict[str, tuple[str, ...]] | None = None, pressure: Path = Path("/proc/pressure")
) -> list[Collector]:
    found = [Collector(name, _program(argv)) for name, argv in (programs or _PROGRAMS).items()]
    return [*found, Collector("host/pressure.txt", lambda: _pressure(pressure))]


def _program(argv: Sequence[str]) -> Callable[[], Awaitable[Got]]:
    async def run() -> Got:
        ran = await run_program(argv, deadline=ANSWER, env={**os.environ, "LC_ALL": "C"})
        if ran.code is None:
            raise TimeoutError
        # df says what it could not look at and ends with 1; the rest of its table is no less true.
        if ran.missing or (not ran.ok and not ran.out):
            raise SourceError(clean(ran.error, 300) or f"{argv[0]} ended with {ran.code}")
        text = ran.out[-_LIMIT:].decode("utf-8", "replace")
        lines = text.splitlines(keepends=True)
        if argv[0] == "dmesg":
            lines = lines[-_LINES:]
        note = "" if ran.ok else f"{argv[0]} ended with {ran.code}: {clean(ran.error, 200)}"
        return Got("".join(lines), note)

    return run


async def _pressure(place: Path) -> Got:
    def read() -> str:
        return "".join(f"{name}\n{(place / name).read_text()}" for name in ("cpu", "io", "memory"))

    lane = Lane("bundle pressure")
    try:
        return Got(await lane.call(read))
    except OSError as error:
        raise SourceError(f"{place}: {error.strerror}: this kernel measures no pressure") from error
    finally:
        lane.close()
