"""What it costs until an event of the record is on disk, beside a bare write and sync on the same disk."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from console.incident.events import Actor
from console.incident.store import IncidentStore
from tests.bench.table import Row


def rows(quick: bool) -> list[Row]:
    """Milliseconds of one append, p50 and p99; turn by turn with the bare write, so that both meet the same disk."""
    with tempfile.TemporaryDirectory(prefix="bench-journal-", dir=Path.home()) as folder:
        journal = IncidentStore(Path(folder), Actor.current()).create("the shop does not answer", 2)
        first = journal.append("note", {"text": "looked at the edge"})
        size = max(len(line) for file in Path(folder).rglob("*.jsonl") for line in file.read_bytes().splitlines())
        bare = os.open(Path(folder) / "bare", os.O_RDWR | os.O_CREAT, 0o600)
        os.posix_fallocate(bare, 0, 1 << 20)
        os.fsync(bare)
        offset = 0
        appends, writes = [], []
        for number in range(200 if quick else 1000):
            line = f"{number:06d}".encode().ljust(size, b".")
            writes.append(_timed(lambda line=line, at=offset: _write(bare, line, at)))  # type: ignore[misc]
            offset += len(line)
            data = {"text": f"looked at worker {number}, which answers in {number % 97} ms"}
            appends.append(_timed(lambda data=data: journal.append("note", data)))  # type: ignore[misc]
        os.close(bare)
        assert first is not None
    return [
        Row(
            f"append of an event, {len(appends)} times: p50 / p99",
            f"{_at(appends, 0.5):.2f} / {_at(appends, 0.99):.2f} ms",
            f"pwrite + fdatasync {_at(writes, 0.5):.2f} / {_at(writes, 0.99):.2f} ms",
            f"p99 {_at(appends, 0.99) - _at(writes, 0.99):+.2f} ms",
            "p99 at most +5 ms",
        )
    ]


def _write(fd: int, line: bytes, at: int) -> None:
    os.pwrite(fd, line, at)
    os.fdatasync(fd)


def _timed(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return 1000.0 * (time.monotonic() - began)


def _at(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
