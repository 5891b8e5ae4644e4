"""The console with a pulse: `python -m tests.bench.paced_console FILE [ARGUMENT...]`.

A task of its loop wants to run every 5 ms; whenever it had to wait 10 ms longer than that, when and how long goes to
FILE. With BENCH_SLOW_SYNC every fdatasync of the record takes so many seconds more.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

from console import cli
from console.app import Sevdeck
from console.incident.disk import RealDisk

_EVERY = 0.005


async def _pulse(path: Path) -> None:
    with path.open("a", buffering=1) as out:
        last = time.monotonic()
        while True:
            await asyncio.sleep(_EVERY)
            now = time.monotonic()
            if now - last > _EVERY + 0.010:
                out.write(f"{now} {now - last - _EVERY}\n")
            last = now


class _Paced(Sevdeck):
    def on_load(self) -> None:
        self.pulse = asyncio.ensure_future(_pulse(Path(sys.argv[1])))


def main() -> int:
    slow = float(os.environ.get("BENCH_SLOW_SYNC", "0"))
    if slow:
        sync = RealDisk.sync

        def sync_slowly(self: RealDisk, fd: int) -> None:
            time.sleep(slow)
            sync(self, fd)

        RealDisk.sync = sync_slowly  # type: ignore[method-assign]
    import console.app

    console.app.Sevdeck = _Paced  # type: ignore[misc]
    return cli.main(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
