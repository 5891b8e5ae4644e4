"""One look at all that a container's cgroup tells, version 1 and 2: time, throttling, memory by kind, processes.

For checks that look twice and compare. What is shown all the time is read by `console.watch.cgroups`, which keeps its
files open; here each is opened once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Stand:
    """Counters and amounts of one moment; None where this kernel does not tell."""

    cpu: int | None = None  # nanoseconds used
    periods: int | None = None  # of the quota
    throttled: int | None = None  # of those
    memory: int | None = None  # bytes charged, page cache included
    anonymous: int | None = None  # bytes of its own that no file stands behind, shared memory included
    cache: int | None = None  # bytes of file pages, which the kernel takes back when it needs them
    pids: int | None = None  # processes and threads
    most_pids: int | None = None  # None: no limit


def stand(paths: Mapping[str, str]) -> Stand:
    """`paths` as `Hierarchies.paths` gives them: directories by controller, "" for version 2."""
    if "cpuacct" in paths or "memory" in paths:
        return _version1(paths)
    return _version2(paths.get("", ""))


def _version1(paths: Mapping[str, str]) -> Stand:
    quota, memory = _table(_read(paths, "cpu", "cpu.stat")), _table(_read(paths, "memory", "memory.stat"))
    rss, cache, shared = (memory.get(f"total_{name}") for name in ("rss", "cache", "shmem"))
    # Version 1 counts shared memory (and tmpfs) as cache; it is no more given back than what is anonymous.
    held = shared or 0
    return Stand(
        _number(_read(paths, "cpuacct", "cpuacct.usage")),
        quota.get("nr_periods"),
        quota.get("nr_throttled"),
        _number(_read(paths, "memory", "memory.usage_in_bytes")),
        None if rss is None else rss + held,
        None if cache is None else max(0, cache - held),
        _number(_read(paths, "pids", "pids.current")),
        _number(_read(paths, "pids", "pids.max")),
    )


def _version2(path: str) -> Stand:
    here = {"": path} if path else {}
    cpu, memory = _table(_read(here, "", "cpu.stat")), _table(_read(here, "", "memory.stat"))
    used, anon, file, shared = cpu.get("usage_usec"), memory.get("anon"), memory.get("file"), memory.get("shmem") or 0
    return Stand(
        None if used is None else used * 1000,
        cpu.get("nr_periods"),
        cpu.get("nr_throttled"),
        _number(_read(here, "", "memory.current")),
        None if anon is None else anon + shared,
        None if file is None else max(0, file - shared),
        _number(_read(here, "", "pids.current")),
        _number(_read(here, "", "pids.max")),
    )


def _read(paths: Mapping[str, str], controller: str, name: str) -> str:
    """The file's text, "" where there is none."""
    if controller not in paths:
        return ""
    try:
        return Path(paths[controller], name).read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


def _number(text: str) -> int | None:
    """
    >>> _number("42\\n"), _number("max\\n"), _number("")
    (42, None, None)
    """
    text = text.strip()
    return int(text) if text.isdigit() else None


def _table(text: str) -> dict[str, int]:
    """
    >>> _table("anon 10\\nfile 5\\n")
    {'anon': 10, 'file': 5}
    """
    rows = (line.split() for line in text.splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}
