"""The run's process family: leaves its parent, survives it, keeps the lock, and replaces a killed worker. No Docker."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from console.actions import recovery, runner, runs
from console.actions.lock import holder
from console.config import DockerConfig
from console.incident.events import Actor
from tests.lab.shell import wait_until
from tests.unit.project_twin import ProjectTwin, config

ROOT = Path(__file__).resolve().parents[2]
ANA = Actor("ana", host="h", via="cli")


async def test_a_run_whose_engine_is_gone_ends_untouched_and_says_so_to_who_follows(tmp_path: Path) -> None:
    settings = replace(config(), docker=DockerConfig(host=f"unix://{tmp_path}/none.sock", project="shop"))
    plan = recovery.plan(1, "", ProjectTwin().facts(), settings)
    run_id = runner.start(plan, plan.confirm, settings, tmp_path, ANA)
    seen = [view async for view in runs.follow(tmp_path, run_id)]
    last = seen[-1]
    assert (last.state, last.outcome, last.cancelled) == ("closed", "failed", True)
    assert last.reason.startswith("not started: ")
    assert "interrupted" not in {view.state for view in seen}
    assert (runs.directory(tmp_path, run_id) / "runner.log").read_text() == ""
    await asyncio.to_thread(wait_until, lambda: holder(tmp_path, "shop") is None, "the lock to be free", deadline=10)


_FAMILY = """
import os, sys, time
from pathlib import Path
from console.actions import detached

marks = Path(sys.argv[1])
tries = int(sys.argv[2])

def work():
    n = len(list(marks.iterdir()))
    (marks / f"{n}").write_text(f"{os.getpid()} {os.getppid()} {os.getsid(0)}")
    if n < tries:
        os.kill(os.getpid(), 9)
    return 0

if os.fork() == 0:
    detached._leave_terminal()
    detached._watch(work)
    (marks.parent / "over").write_text("")
    os._exit(0)
"""


def family(tmp_path: Path, killed: int) -> list[list[int]]:
    marks = tmp_path / "marks"
    marks.mkdir()
    subprocess.run([sys.executable, "-c", _FAMILY, str(marks), str(killed)], cwd=ROOT, check=True, timeout=30)
    wait_until((tmp_path / "over").exists, "the end of the family", deadline=20)
    return [[int(w) for w in (marks / f"{i}").read_text().split()] for i in range(len(list(marks.iterdir())))]


def test_a_killed_worker_is_replaced_in_a_session_of_its_own(tmp_path: Path) -> None:
    seen = family(tmp_path, killed=2)
    assert len(seen) == 3  # two killed, the third ended by itself
    assert len({watcher for _, watcher, _ in seen}) == 1
    assert all(session not in (os.getsid(0), 0) for _, _, session in seen)


@pytest.mark.scenario("runner killed again and again: given up")
def test_a_worker_that_is_killed_again_and_again_is_given_up(tmp_path: Path) -> None:
    assert len(family(tmp_path, killed=99)) == 4  # the first and three more


def test_the_new_process_hears_no_hang_up(tmp_path: Path) -> None:
    code = (
        "import os, signal; from console.actions import detached; "
        "detached._leave_terminal(); os.kill(os.getpid(), signal.SIGHUP); os.kill(os.getpid(), signal.SIGINT); "
        "print('alive')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout == "alive\n"


def test_settings_with_secrets_reach_the_process_through_a_pipe_and_never_a_file(tmp_path: Path) -> None:
    secret = "postgres://shop:s3cr3t-of-the-pipe@db/shop"  # not a real one
    settings = replace(config(), docker=DockerConfig(host=f"unix://{tmp_path}/none.sock", project="shop"))
    settings = replace(settings, database=replace(settings.database, dsn=secret))
    plan = recovery.plan(1, "", ProjectTwin().facts(), settings)
    run_id = runner.start(plan, plan.confirm, settings, tmp_path, ANA)
    wait_until(lambda: bool((v := runs.status(tmp_path, run_id)) and v.over), "the end of the run", deadline=20)
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert b"s3cr3t-of-the-pipe" not in path.read_bytes(), path


def test_a_term_signal_reaches_the_worker_through_its_watcher(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from console.actions import detached\n"
        "def work():\n"
        "    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))\n"
        "    print('ready', flush=True)\n"
        "    while True: signal.pause()\n"
        "detached._watch(work)\n"
        "print('over', flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "over\n"
    assert process.returncode == 0
