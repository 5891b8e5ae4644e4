"""kill -9 of a run's real process at every boundary of its record: the next one goes on, and nothing is done twice."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from console.actions import recovery, runs
from console.actions.facts import Holder
from console.actions.lock import ProjectLock, holder
from console.actions.runs import Request
from console.incident.events import Actor
from console.incident.journal import Journal
from tests.unit.project_twin import ProjectTwin, config

ROOT = Path(__file__).resolve().parents[2]
ANA = Actor("ana", host="h", via="cli")
MOST = 60  # records of a run; level 2 of four services has 49


def worker(data_dir: Path, run_id: str, twin: Path, die_at: int, when: str) -> int:
    """One process that does the run, with the lock handed to it. Returns its exit code."""
    lock = ProjectLock.acquire(data_dir, "shop", Holder(run_id, "ana", time.time(), 1))
    argv = [sys.executable, "-m", "tests.faults.recovery_worker", str(data_dir), run_id, str(twin)]
    process = subprocess.Popen(
        [*argv, str(lock.fd), str(die_at), when], cwd=ROOT, pass_fds=(lock.fd,), stderr=subprocess.PIPE, text=True
    )
    lock.close()
    _, errors = process.communicate(timeout=60)
    assert process.returncode in (0, 1, -signal.SIGKILL), errors
    assert "Traceback" not in errors, errors
    return process.returncode


def prepared(data_dir: Path, level: int) -> tuple[str, Path]:
    data_dir.mkdir()
    file = data_dir / "twin.json"
    twin = ProjectTwin(file)
    plan = recovery.plan(level, "", twin.facts(), config())
    run_id = runs.new_id(plan, plan.created_at)
    runs.create(data_dir, plan, Request(run_id, ANA, plan.confirm, plan.created_at))
    return run_id, file


@pytest.mark.scenario("kill -9 at every record of level 1, at every sixth of level 2 (twin)")
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("level", "step"), [(1, 1), (2, 6)])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_killed_process_is_gone_on_with(tmp_path: Path, level: int, step: int, when: str) -> None:
    """Level 1 at each of its boundaries, level 2 at each sixth (all of them in tests/unit/test_runner.py)."""
    killed = 0
    for n in range(1, MOST, step):
        data_dir = tmp_path / f"{n}"
        run_id, file = prepared(data_dir, level)
        first = worker(data_dir, run_id, file, n, when)
        if first == 0:
            break
        assert first == -signal.SIGKILL
        killed += 1
        assert holder(data_dir, "shop") is None  # the lock went with its process
        view = runs.status(data_dir, run_id)
        assert view is not None
        if not view.over:
            assert view.state == "interrupted"
            assert worker(data_dir, run_id, file, 0, when) == 0
            view = runs.status(data_dir, run_id)
            assert view is not None
        assert view.outcome == "ok", (n, view.reason)
        changes = [c for c in ProjectTwin(file).calls if not c.startswith("exec")]
        assert len(changes) == len(set(changes)) == (1 if level == 1 else 8), (n, changes)
        journal = Journal(runs.directory(data_dir, run_id), ANA)
        assert journal.events()
        assert all(d.torn for d in journal.damage())  # nothing but the line that was being written
    assert killed * step > 10


def test_the_plan_that_was_confirmed_is_never_written_again(tmp_path: Path) -> None:
    run_id, file = prepared(tmp_path / "d", 1)
    place = runs.directory(tmp_path / "d", run_id) / "plan.json"
    before = place.read_bytes(), place.stat().st_mtime_ns
    worker(tmp_path / "d", run_id, file, 5, "after")
    worker(tmp_path / "d", run_id, file, 0, "after")
    assert (place.read_bytes(), place.stat().st_mtime_ns) == before
    assert place.stat().st_mode & 0o222 == 0
