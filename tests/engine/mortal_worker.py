"""A run's worker against the real engine that kills itself at a record.

Arguments: data directory, run id, settings file, lock fd, where, "before" or "after" (of the append). `where` is the
number of the record (0: it lives), or a file: then it dies at the first record that the file does not name yet, and
names it there.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from console.actions import gather, offspring, recovery, runs
from console.actions.engine import DockerDriver
from console.actions.facts import Holder
from console.actions.lock import ProjectLock
from console.actions.run import Run
from console.actions.runs import Request
from console.config import read
from console.incident.events import Actor, Event
from console.incident.journal import Journal
from tests.faults.recovery_worker import Mortal

ANA = Actor("ana", host="h", via="cli")


class MortalOnce(Journal):
    """Dies once at each record of a run, however often it is resumed."""

    known: Path
    when = "before"

    def append(self, kind: str, data: Mapping[str, Any], **more: Any) -> Event:
        name = " ".join(filter(None, (kind, str(data.get("step", "")), str(data.get("state", "")))))
        fresh = name not in self.known.read_text().splitlines()
        if fresh:
            with self.known.open("a") as file:
                file.write(f"{name}\n")
            if self.when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
        event = super().append(kind, data, **more)
        if fresh:
            os.kill(os.getpid(), signal.SIGKILL)
        return event


def prepare(data_dir: Path, settings: Path, level: int, backup: str = "") -> str:
    """A confirmed run of this level, not begun. The budget is left out: tests run more often than people."""
    config = read(settings)
    facts = asyncio.run(gather.gather(config, data_dir, restoring=backup))
    plan = recovery.plan(level, "", facts, config)
    assert plan.refused is None or plan.over_budget, plan.refused
    run_id = runs.new_id(plan, time.time())
    runs.create(data_dir, plan, Request(run_id, ANA, plan.confirm, plan.created_at))
    return run_id


def main(argv: list[str]) -> int:
    data_dir, run_id, config = Path(argv[0]), argv[1], read(Path(argv[2]))
    plan, request = runs.load(data_dir, run_id)

    def open_journal(data_dir: Path, request: Request, actor: Actor) -> Journal:
        if not argv[4].isdigit():
            once = MortalOnce(runs.directory(data_dir, run_id), actor)
            once.known, once.when = Path(argv[4]), argv[5]
            return once
        journal = Mortal(runs.directory(data_dir, run_id), actor)
        journal.countdown, journal.when = int(argv[4]), argv[5]
        return journal

    lock = ProjectLock.inherit(int(argv[3]), data_dir, plan.project, Holder(run_id, request.actor.name, request.at, 1))
    programs = offspring.claim(runs.directory(data_dir, run_id))
    driver = DockerDriver(config.docker, keep_fds=(lock.fd, programs))
    view = asyncio.run(Run(data_dir, run_id, config, driver, lock=lock, open_journal=open_journal).run())
    return 0 if view.outcome == "ok" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
