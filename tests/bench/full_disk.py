"""How many entries a full disk still takes: `python -m tests.bench.full_disk PLACE`, where PLACE is a small tmpfs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from console.incident.events import Actor
from console.incident.journal import Journal, NotSavedError
from console.incident.verify import verify


def main() -> int:
    place = Path(sys.argv[1])
    directory = place / "INC-2026-0001"
    directory.mkdir()
    journal = Journal(directory, Actor("ana", host="prod-1", via="console"))
    journal.append("note", {"text": "before"})
    with (place / "hog").open("wb", buffering=0) as hog:
        size = 1 << 20
        while size:
            try:
                hog.write(b"x" * size)
            except OSError:
                size //= 2
    bare, unreserved = os.open(place / "bare", os.O_RDWR | os.O_CREAT), 0
    try:
        while os.pwrite(bare, b"x" * 390, unreserved * 390) == 390:
            unreserved += 1
    except OSError:
        pass
    accepted = 0
    try:
        while accepted < 100_000:
            journal.append("note", {"text": f"looked at worker {accepted}, which answers in 12 ms"})
            accepted += 1
    except NotSavedError:
        pass
    print(accepted, unreserved, verify(directory).ok)
    return 0


if __name__ == "__main__":
    sys.exit(main())
