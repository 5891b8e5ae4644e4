"""A process that writes notes as fast as it can and says on standard output which ones are acknowledged.

Run as a program: `journal_writer.py DIRECTORY [COUNT]`. It is killed, starved and watched by the tests beside it.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from console.incident.disk import RealDisk
from console.incident.events import Actor
from console.incident.journal import Journal, NotSavedError


def main() -> int:
    directory, count = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 10**9
    disk = RealDisk()
    if os.environ.get("TEST_JOURNAL_SYNC") == "no":  # the control: what is lost without it must be noticed
        disk.sync = lambda fd: None  # type: ignore[method-assign]
    journal = Journal(directory, Actor("writer", host="lab", via="cli"), disk=disk)
    number = 0
    while number < count:
        try:
            event = journal.append("note", {"text": f"{os.getpid()} {number}", "sent": time.time()})
        except NotSavedError as error:
            os.write(1, f"full {error.message}\n".encode())
            return 3
        os.write(1, f"{event.id}\n".encode())  # one system call: the parent sees whole lines or none
        number += 1
    journal.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
