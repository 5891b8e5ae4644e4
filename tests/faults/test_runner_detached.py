"""The run's process family: leaves its parent, survives it, keeps the lock, and replaces a killed worker. No Docker."""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from console.actions import detached, recovery, runner, runs
from console.actions.facts import Holder
from console.actions.lock import ProjectLock, holder
from console.actions.runview import Request
from console.actions.session import Session
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
    (line,) = (runs.directory(tmp_path, run_id) / "runner.log").read_text().splitlines()  # and nothing of its own
    assert line.startswith("started ")
    await asyncio.to_thread(wait_until, lambda: holder(tmp_path, "shop") is None, "the lock to be free", deadline=10)


class Begun:
    """A run whose engine accepts and says nothing, in a host that systemd runs and with this `systemd-run`."""

    def __init__(self, place: Path, program: str, monkeypatch: pytest.MonkeyPatch, uid: int = 0) -> None:
        self.place, self.record = place, place / "record"
        (place / "host/run/systemd/system").mkdir(parents=True)
        (place / "bin").mkdir()
        (place / "bin/systemd-run").write_text(f'#!/bin/sh\necho "$@" >> {self.record}\n{program}\n')
        (place / "bin/systemd-run").chmod(0o755)
        monkeypatch.setenv("PATH", f"{place / 'bin'}:{os.environ['PATH']}")
        self.session = Session(place / "host", uid)

    def run(self) -> None:
        """From the start to the end of the run, which keeps the lock as long as its engine keeps it waiting."""
        with socket.socket(socket.AF_UNIX) as engine:
            engine.bind(f"{self.place}/silent.sock")
            engine.listen()
            docker = DockerConfig(host=f"unix://{self.place}/silent.sock", project="shop")
            settings = replace(config(), docker=docker)
            plan = recovery.plan(1, "", ProjectTwin().facts(), settings)
            self.run_id = runs.new_id(plan, time.time())
            lock = ProjectLock.acquire(self.place, "shop", Holder(self.run_id, "ana", time.time(), 1))
            place = runs.create(self.place, plan, Request(self.run_id, ANA, plan.confirm, time.time(), "", "", ""))
            self.log = place / "runner.log"
            data = pickle.dumps(settings)
            detached.spawn(self.place, self.run_id, lock.fd, data, self.log, session=self.session)
            lock.close()
            self.locked = holder(self.place, "shop") is not None
        wait_until(lambda: holder(self.place, "shop") is None, "the end of the run", deadline=60)

    @property
    def calls(self) -> list[str]:
        """The arguments of each call of systemd-run."""
        return self.record.read_text().splitlines() if self.record.exists() else []

    @property
    def workers(self) -> int:
        """How many processes took the run up: each writes a file of its own."""
        return len(list(self.log.parent.glob("*.jsonl")))

    def well(self) -> None:
        """It was started once, with its settings and the lock, and ended by itself."""
        view = runs.status(self.place, self.run_id)
        assert view is not None and view.over, self.log.read_text()
        assert self.locked and self.workers == 1
        left = [p.pid for p in psutil.process_iter(["cmdline"]) if self.run_id in " ".join(p.info["cmdline"] or ())]
        assert left == []


def test_where_there_is_systemd_the_run_is_in_a_scope_with_its_lock_and_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = Begun(tmp_path, 'while [ "$1" != -- ]; do shift; done; shift; exec "$@"', monkeypatch)
    begun.run()
    begun.well()
    (call,) = begun.calls
    assert call.startswith("--scope ") and f" --unit=sevdeck-run-{begun.run_id}-" in call
    assert begun.log.read_text() == f"started in sevdeck-run-{begun.run_id}-{os.getpid()}.scope\n"


def test_a_systemd_run_without_the_newest_setting_is_asked_again_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse = 'case "$*" in *OOMPolicy*) echo Unknown assignment >&2; exit 1;; esac; '
    begun = Begun(tmp_path, refuse + 'while [ "$1" != -- ]; do shift; done; shift; exec "$@"', monkeypatch)
    begun.run()
    begun.well()
    assert len(begun.calls) == 2
    assert begun.log.read_text().splitlines()[0] == "Unknown assignment"
    assert ".scope" in begun.log.read_text().splitlines()[1]


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("echo Failed to connect to bus >&2; exit 1", "did not start (exit 1)"),
        ("kill -9 $$", "did not start (exit -9)"),
        ("exit 0", "did not start (exit 0)"),
        ("sleep 300", "did not come up in time"),
        # Wakes up when the run was given another way: it must not come to that.
        ('sleep 2; while [ "$1" != -- ]; do shift; done; shift; exec "$@"', "did not come up in time"),
    ],
)
def test_a_systemd_run_that_fails_or_hangs_leaves_the_double_fork(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, why: str
) -> None:
    if "sleep" in program:
        monkeypatch.setattr(detached, "_SCOPE_DEADLINE", 1.0)
    begun = Begun(tmp_path, program, monkeypatch)
    begun.run()
    begun.well()
    assert begun.log.read_text().splitlines()[-1] == f"started by double fork: systemd-run {why}"


def test_who_does_not_linger_has_no_scope_that_would_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = Begun(tmp_path, "exit 1", monkeypatch, uid=54321)
    begun.run()
    begun.well()
    assert begun.calls == []
    assert begun.log.read_text() == "started by double fork: lingering is off for 54321\n"


def test_a_process_that_never_gets_its_settings_does_nothing(tmp_path: Path) -> None:
    """Who starts it may be killed before it hands them over."""
    hearing, telling = os.pipe()
    argv = [sys.executable, "-m", "console.actions.detached", str(tmp_path / "data"), "R1", "0", str(telling)]
    done = subprocess.run(
        argv, cwd=ROOT, input=b"", pass_fds=(telling,), capture_output=True, timeout=30, check=False
    )  # fmt: skip
    os.close(telling)
    with os.fdopen(hearing, "rb") as ready:
        assert ready.read() == b"+"
    assert (done.returncode, done.stderr, (tmp_path / "data").exists()) == (1, b"", False)


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


def test_a_term_signal_reaches_the_worker_through_its_watcher_also_before_it_can_obey(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys, time; from console.actions import detached\n"
        "def work():\n"
        "    print('ready', flush=True)\n"
        "    while signal.SIGTERM not in signal.sigpending(): time.sleep(0.01)\n"
        "    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))\n"
        "    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})\n"
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
