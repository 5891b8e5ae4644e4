"""One writer of a load, as a process: `python -m tests.bench.journal_load journal|bare|pace DIRECTORY SECONDS`.

It says "ready", begins when it reads a line, and prints its times in milliseconds and its seconds of cpu as JSON. `pace` writes about 30
events a second, each with the moment before it was written.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

from console.incident.events import Actor
from console.incident.journal import Journal
from tests.bench.timing import BareFile, timed


def main() -> int:
    how, directory, seconds = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])
    size = 390  # bytes of such a line of the journal
    write: Callable[[int], object]
    if how == "bare":
        bare = BareFile(directory / f"bare-{os.getpid()}", size)
        write = lambda number: bare.append()  # noqa: E731
    else:
        journal = Journal(directory, Actor("writer", host="prod-1", via="cli"))
        write = lambda number: journal.append(  # noqa: E731
            "note", {"text": f"looked at worker {number}, which answers in {number % 97} ms", "sent": time.time()}
        )
    write(0)
    print("ready", flush=True)
    sys.stdin.readline()
    taken: list[float] = []
    used, end = time.process_time(), time.monotonic() + seconds
    while time.monotonic() < end:
        if how == "pace":
            time.sleep(random.uniform(0.01, 0.06))
        taken.append(timed(lambda: write(len(taken))))
    print(json.dumps({"taken": taken, "cpu": time.process_time() - used}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
