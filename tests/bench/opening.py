"""Reads one incident as a process of its own, so that memory is its alone: `python -m tests.bench.opening DIRECTORY`.

Prints seconds as JSON: `bare` (sha256 chain and json.loads over the same file), `read`, `fold`, `more` (one event
more), `verify`, and the memory before and after in bytes.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import psutil

from console.incident.events import Actor
from console.incident.folding import incident_of
from console.incident.journal import Journal
from console.incident.verify import verify

T = TypeVar("T")


def bare(directory: Path) -> int:
    """The least that reading and verifying can be."""
    count = 0
    for path in directory.glob("*.jsonl"):
        head = "0" * 64
        for line in path.read_bytes().splitlines():
            body = line[76:-1]
            head = hashlib.sha256(head.encode() + b"\n" + body).hexdigest()
            assert line[6:70] == head.encode()
            json.loads(body)
            count += 1
    return count


def _seconds(work: Callable[[], T]) -> tuple[float, T]:
    began = time.perf_counter()
    answer = work()
    return time.perf_counter() - began, answer


def main() -> int:
    directory = Path(sys.argv[1])
    out = {"bare": min(_seconds(lambda: bare(directory))[0] for _ in range(2))}
    memory = psutil.Process().memory_info
    out["before"] = memory().rss
    journal = Journal(directory, Actor.current())
    out["open"], incident = _seconds(lambda: incident_of(journal))
    out["after"] = memory().rss
    out["verify"], verdict = _seconds(lambda: verify(directory))
    assert verdict.ok and len(incident.timeline) == len(journal.events())
    print(json.dumps(out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
