"""The kernel's own log of the last minutes: from /dev/kmsg, else from journalctl or dmesg, whichever this user may read.

It only reads and times lines; what they mean is said in `console.watch.kernelwords`.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from console.errors import SourceError
from console.programs.running import run_program
from console.text import clean

_DEADLINE = 2.0  # seconds for a program
_RECORD = 8192  # bytes; the kernel refuses smaller buffers than a record
_MOST = 50_000  # records of one read: the largest buffers hold fewer, and a flood must not keep us reading
_ESCAPED = re.compile(r"\\x([0-9a-f]{2})")
_PLAIN = re.compile(r"^(?:<\d+>)?\[ *(\d+\.\d+)\] (.*)$")
_EPOCH = re.compile(r"^(\d+\.\d+) \S+ (?:kernel|unknown)(?:\[\d+\])?: (.*)$")


@dataclass(frozen=True, slots=True)
class KernelLine:
    """`at` in unix seconds; `text` is cleaned."""

    at: float
    text: str


async def recent(now: float, window: float, kmsg: Path = Path("/dev/kmsg")) -> tuple[KernelLine, ...]:
    """What the kernel said within `window` seconds before `now`, oldest first. Raises SourceError when nobody tells."""
    booted = now - time.clock_gettime(time.CLOCK_MONOTONIC)
    try:
        records = await asyncio.to_thread(_records, kmsg)
    except OSError:
        found = await _programs(booted, window)
    else:
        found = tuple(line for one in records if (line := from_kmsg(one, booted)) is not None)
    return tuple(line for line in found if now - window <= line.at <= now + 1)


def _records(kmsg: Path) -> list[bytes]:
    """All records the kernel still has. Raises OSError when they may not be read."""
    fd = os.open(kmsg, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    found: list[bytes] = []
    try:
        while len(found) < _MOST:
            try:
                record = os.read(fd, _RECORD)
            except BrokenPipeError:  # overwritten while we read: the next one is there
                continue
            except BlockingIOError:
                break
            if not record:
                break
            found.append(record)
    finally:
        os.close(fd)
    return found


async def _programs(booted: float, window: float) -> tuple[KernelLine, ...]:
    ways: tuple[tuple[Sequence[str], Callable[[str, float], KernelLine | None]], ...] = (
        (("journalctl", "-k", "--quiet", "--no-pager", "--output=short-unix", f"--since=-{window:.0f}s"), from_journal),
        (("dmesg",), from_dmesg),
    )
    for argv, read in ways:
        ran = await run_program(argv, deadline=_DEADLINE)
        text = ran.out.decode("utf-8", "replace")
        if ran.ok and (text.strip() or argv[0] == "dmesg"):  # an empty journal may be one that we may not read
            return tuple(_lines(text.splitlines(), read, booted))
    raise SourceError("the kernel's log cannot be read", remedy="Run sevdeck as root, or in the group adm")


def _lines(
    lines: Iterable[str], read: Callable[[str, float], KernelLine | None], booted: float
) -> Iterable[KernelLine]:
    return (line for text in lines if (line := read(text, booted)) is not None)


def from_kmsg(record: bytes, booted: float) -> KernelLine | None:
    r"""One record of /dev/kmsg: "priority,number,microseconds,flags;text", then lines of its device.

    >>> from_kmsg(b"6,1,2500000,-;eth0: link\n SUBSYSTEM=net\n", 100.0)
    KernelLine(at=102.5, text='eth0: link')
    """
    head, _, rest = record.decode("utf-8", "replace").partition(";")
    fields = head.split(",")
    if len(fields) < 3 or not (fields[0].isdigit() and fields[2].isdigit()) or int(fields[0]) >= 8:
        return None  # 8 and above: programs wrote it there, not the kernel
    text = _ESCAPED.sub(lambda m: chr(int(m[1], 16)), rest.partition("\n")[0])
    return KernelLine(booted + int(fields[2]) / 1e6, clean(text, 2000))


def from_dmesg(line: str, booted: float) -> KernelLine | None:
    """
    >>> from_dmesg("[   12.500000] eth0: link", 100.0)
    KernelLine(at=112.5, text='eth0: link')
    """
    found = _PLAIN.match(line)
    return KernelLine(booted + float(found[1]), clean(found[2], 2000)) if found else None


def from_journal(line: str, booted: float) -> KernelLine | None:
    """
    >>> from_journal("1790000000.250000 web1 kernel: eth0: link", 100.0)
    KernelLine(at=1790000000.25, text='eth0: link')
    """
    found = _EPOCH.match(line)
    return KernelLine(float(found[1]), clean(found[2], 2000)) if found else None
