"""Runs whose worker is killed at their records: at all of one run in turn, or at one record of each of many runs."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from console.actions import runs
from console.actions.facts import Holder
from console.actions.lock import ProjectLock
from console.actions.runview import RunView
from tests.engine.mortal_worker import prepare
from tests.engine.small import SmallStack
from tests.engine.test_recovery import ROOT, Sevdeck

MOST = 60  # records of a run
WHEN = pytest.mark.parametrize("when", ["before", "after"])
ONE_BY_ONE = pytest.mark.nightly  # a run for each record takes minutes: make faults


def mortal(project: str, data: Path, run_id: str, where: int | Path, when: str) -> int:
    """The run's worker as a process that kills itself there; its lock goes with it. Returns its exit code."""
    lock = ProjectLock.acquire(data, project, Holder(run_id, "ana", time.time(), 3))
    argv = [sys.executable, "-m", "tests.engine.mortal_worker", str(data), run_id, str(data.parent / "sevdeck.toml")]
    worker = subprocess.Popen([*argv, str(lock.fd), str(where), when], cwd=ROOT, pass_fds=(lock.fd,))
    lock.close()
    return worker.wait(120)


def at_each_record(stack: SmallStack, sevdeck: Sevdeck, level: int, when: str, backup: str = "") -> list[str]:
    """One run, killed once before (or after) each of its records and gone on with each time. The records' names."""
    run_id = prepare(sevdeck.data, sevdeck.config, level, backup)
    known = sevdeck.data.parent / f"known-{run_id}"
    known.touch()
    for life in range(MOST):
        began = time.monotonic()
        ended = mortal(stack.name, sevdeck.data, run_id, known, when)
        names, view = known.read_text().splitlines(), seen(sevdeck, run_id)
        if ended == 0 or view.over:
            assert view.outcome == "ok", (names, view.reason)
            assert len(names) >= life
            return names
        assert ended == -signal.SIGKILL, (names, view.reason)
        assert len(names) == life + 1
        print(f"{life + 1:2} {when} {names[-1]}  {time.monotonic() - began:.1f} s")
    pytest.fail(f"a run wrote more than {MOST} records")


def at_one_record_each(
    stack: SmallStack,
    sevdeck: Sevdeck,
    level: int,
    spoil: Callable[[], None],
    whole: Callable[[], None],
    backup: str = "",
) -> int:
    """A run for each record, killed there and gone on with; `spoil` before each, `whole` after it. How many there were.

    Odd records are not written any more, even ones are: what they tell was not begun, or is not known to be done.
    """
    for n in range(1, MOST):
        spoil()
        run_id = prepare(sevdeck.data, sevdeck.config, level, backup)
        began = time.monotonic()
        ended = mortal(stack.name, sevdeck.data, run_id, n, "before" if n % 2 else "after")
        view = seen(sevdeck, run_id)
        step = view.step or view.state
        if ended:
            assert ended == -signal.SIGKILL
            assert view.over or mortal(stack.name, sevdeck.data, run_id, 0, "") == 0, (n, step, seen(sevdeck, run_id))
        view = seen(sevdeck, run_id)
        assert view.outcome == "ok", (n, step, view.reason)
        print(f"{n:2} {step}  {time.monotonic() - began:.1f} s")
        whole()
        if ended == 0:
            return n - 1
    pytest.fail(f"a run wrote more than {MOST} records")


def seen(sevdeck: Sevdeck, run_id: str) -> RunView:
    view = runs.status(sevdeck.data, run_id)
    assert view is not None
    return view
