"""A run in a process of its own, against a project's twin in a file, that kills itself at the n-th record.

Arguments: data directory, run id, file of the twin, lock fd, n, "before" or "after" (of the n-th append).
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from console.actions import runs
from console.actions.lock import ProjectLock
from console.actions.run import Run
from console.actions.runs import Request
from console.incident.events import Actor, Event
from console.incident.journal import Journal
from tests.unit.project_twin import QUICK, ProjectTwin, config


class Mortal(Journal):
    countdown = 0
    when = "before"

    def append(self, kind: str, data: Mapping[str, Any], **more: Any) -> Event:
        self.countdown -= 1
        if self.countdown == 0 and self.when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        event = super().append(kind, data, **more)
        if self.countdown == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return event


def main(argv: list[str]) -> int:
    data_dir, run_id, twin = Path(argv[0]), argv[1], ProjectTwin(Path(argv[2]))
    plan, request = runs.load(data_dir, run_id)

    def open_journal(data_dir: Path, request: Request, actor: Actor) -> Journal:
        journal = Mortal(runs.directory(data_dir, run_id), actor)
        journal.countdown, journal.when = int(argv[4]), argv[5]
        return journal

    from console.actions.facts import Holder

    lock = ProjectLock.inherit(int(argv[3]), data_dir, plan.project, Holder(run_id, request.actor.name, request.at, 1))
    run = Run(
        data_dir, run_id, config(), twin, lock=lock, run_probe=twin.run_probe, pace=QUICK, open_journal=open_journal
    )
    view = asyncio.run(run.run())
    return 0 if view.outcome == "ok" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
