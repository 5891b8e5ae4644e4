"""A process that contains something and is killed at a boundary: DATA_DIR CONFIG NAME TARGET N (0: it lives)."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from console.actions.containment import control
from console.config import load
from console.incident.events import Actor


async def main(data: str, config: str, name: str, target: str, at: int) -> None:
    passed = 0

    def boundary(where: str) -> None:
        nonlocal passed
        passed += 1
        if passed == at:
            os.kill(os.getpid(), signal.SIGKILL)

    room = control.Room(load(Path(config)), Path(data), Actor.current("cli"), boundary=boundary)
    proposal = await control.propose(room, name, target)
    await control.apply(room, proposal, proposal.confirm)
    print(passed)


if __name__ == "__main__":
    data_dir, settings, measure, target, number = sys.argv[1:]
    asyncio.run(main(data_dir, settings, measure, target, int(number)))
