"""A process that writes notes as fast as it can and says on standard output which ones are acknowledged.

Run as a program: `journal_writer.py DIRECTORY [COUNT]`. It is killed, starved and watched by the tests beside it.
"""

from __future__ import annotations

import mmap
import os
import sys
import threading
import time
from pathlib import Path

from console.incident.disk import RealDisk
from console.incident.events import Actor, new_id
from console.incident.journal import Journal, NotSavedError

_BITE = 128 << 10  # bytes of memory for each entry, of a writer that eats


def eat(hungry: threading.Semaphore) -> None:
    """Take a bite of memory for each entry; in a thread, so that the kill may come in the middle of the next one."""
    memory = memoryview(mmap.mmap(-1, 1 << 30))
    with Path("/dev/zero").open("rb", buffering=0) as zero:
        for at in range(0, len(memory), _BITE):
            hungry.acquire()
            zero.readinto(memory[at : at + _BITE])


def main() -> int:
    directory, count = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 10**9
    disk = RealDisk()
    sync = os.environ.get("TEST_JOURNAL_SYNC")  # the controls: what is lost without it must be noticed
    if sync == "no":
        disk.sync = lambda fd: None  # type: ignore[method-assign]
    journal = Journal(directory, Actor("writer", host="lab", via="cli"), disk=disk)
    number, kept = 0, []
    hungry = threading.Semaphore(0)
    if "TEST_JOURNAL_EATS" in os.environ:
        threading.Thread(target=eat, args=(hungry,), daemon=True).start()
    while number < count:
        id, data = new_id(), {"text": f"{os.getpid()} {number}", "sent": time.time()}
        if sync == "late":
            kept.append((id, data))
        else:
            try:
                journal.append("note", data, id=id)
            except NotSavedError as error:
                os.write(1, f"full {error.message}\n".encode())
                return 3
        os.write(1, f"{id}\n".encode())  # one system call: the parent sees whole lines or none
        number += 1
        hungry.release()
    for id, data in kept:
        journal.append("note", data, id=id)
    journal.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
