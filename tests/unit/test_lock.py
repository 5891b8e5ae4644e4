"""The lock per project: one at a time, who holds it, kept by children, never left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from console.actions.attending import attended
from console.actions.facts import Holder
from console.actions.lock import LockedError, ProjectLock, holder, pid_start, recovering
from console.checks.check import Finding, Status, Suggestion

ANA = Holder("R1", "ana", 1000.0, 1, "restart app")
BO = Holder("R2", "bo", 2000.0, 2, "restart 4 services")


def test_the_second_is_refused_at_once_and_told_who_since_when_and_at_what_step(tmp_path: Path) -> None:
    lock = ProjectLock.acquire(tmp_path, "shop", ANA)
    lock.update(step="healthy app", pid=os.getpid())
    began = time.monotonic()
    with pytest.raises(LockedError) as caught:
        ProjectLock.acquire(tmp_path, "shop", BO)
    assert time.monotonic() - began < 0.5
    held = caught.value.holder
    assert held is not None
    assert (held.run_id, held.who, held.level, held.step) == ("R1", "ana", 1, "healthy app")
    assert held.pid_started == pid_start(os.getpid()) > 0
    assert caught.value.exit_code == 3
    assert "sevdeck recover attach R1" in str(caught.value)
    lock.release()


def test_projects_do_not_wait_for_each_other_whatever_they_are_called(tmp_path: Path) -> None:
    locks = [ProjectLock.acquire(tmp_path, name, ANA) for name in ("shop", "../../etc/x", "a b", "Shop", "x" * 300)]
    assert {p.parent for p in tmp_path.rglob("*.lock")} == {tmp_path / "locks"}
    for lock in locks:
        lock.release()


def test_a_released_lock_is_free_and_says_nothing_of_its_last_holder(tmp_path: Path) -> None:
    assert holder(tmp_path, "shop") is None
    ProjectLock.acquire(tmp_path, "shop", ANA).release()
    assert holder(tmp_path, "shop") is None
    lock = ProjectLock.acquire(tmp_path, "shop", BO)
    found = holder(tmp_path, "shop")
    assert found is not None
    assert found.who == "bo"
    lock.release()


def test_a_child_that_outlives_its_parent_keeps_the_project_locked(tmp_path: Path) -> None:
    lock = ProjectLock.acquire(tmp_path, "shop", ANA)
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=(lock.fd,))
    lock.close()  # as when the runner is killed
    with pytest.raises(LockedError):
        ProjectLock.acquire(tmp_path, "shop", BO)
    child.communicate(b"\n")
    ProjectLock.acquire(tmp_path, "shop", BO).release()


def test_a_killed_holder_leaves_nothing_to_clean_up(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from console.actions.facts import Holder; "
        "from console.actions.lock import ProjectLock; "
        f"ProjectLock.acquire(Path({str(tmp_path)!r}), 'shop', Holder('R9', 'gone', 1.0, 1)); print('held', flush=True); "
        "input()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        found = holder(tmp_path, "shop")
        assert found is not None
        assert found.who == "gone"
        child.kill()
    assert holder(tmp_path, "shop") is None
    ProjectLock.acquire(tmp_path, "shop", BO).release()


def test_looking_at_the_lock_never_makes_somebody_else_fail(tmp_path: Path) -> None:
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            holder(tmp_path, "shop")

    thread = threading.Thread(target=look)
    thread.start()
    try:
        for _ in range(300):
            ProjectLock.acquire(tmp_path, "shop", ANA).release()
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"run_id": 1}', json.dumps({"who": "x\x1b[2J"})])
def test_a_damaged_owner_record_still_refuses(tmp_path: Path, content: str) -> None:
    lock = ProjectLock.acquire(tmp_path, "shop", ANA)
    (tmp_path / "locks" / "shop.owner.json").write_text(content, encoding="utf-8")
    with pytest.raises(LockedError, match="another run is recovering shop"):
        ProjectLock.acquire(tmp_path, "shop", BO)
    found = holder(tmp_path, "shop")
    assert found is not None
    assert found.run_id == ""
    lock.release()


def test_names_in_the_owner_record_cannot_steer_a_terminal(tmp_path: Path) -> None:
    lock = ProjectLock.acquire(tmp_path, "shop", Holder("R1", "ana\x1b[2J", 0.0, 1, "t"))
    found = holder(tmp_path, "shop")
    assert found is not None
    assert "\x1b" not in found.who
    lock.release()


def test_a_recovery_under_way_is_found_without_knowing_its_project_and_a_containment_is_none(tmp_path: Path) -> None:
    assert recovering(tmp_path) is None
    strange = ProjectLock.acquire(tmp_path, "Shop: äöü", Holder("r7", "ana", time.time(), 2, "restart 5 services"))
    short = ProjectLock.acquire(tmp_path, "other", Holder("c1", "ben", time.time(), 0, "isolate app"))
    try:
        seen = recovering(tmp_path)
        assert seen is not None
        assert (seen.who, seen.level) == ("ana", 2)
        assert recovering(tmp_path, "other") is None
        assert recovering(tmp_path, "Shop: äöü") == seen
    finally:
        strange.release()
        short.release()
    assert recovering(tmp_path) is None


def test_while_somebody_recovers_the_findings_say_so_first_and_advise_nothing_else() -> None:
    down = Finding(
        "containers.state", "quick", Status.FAIL, "postgres is down", (), (Suggestion("start postgres", "", "", 1.0),)
    )
    first, second = attended([down], Holder("r7", "ana", 1.0, 3, "rebuild 5 services", "take down 5 containers"))
    assert first.summary == "ana is recovering: level 3, rebuild 5 services; now: take down 5 containers"
    assert first.suggestions[0].title == "R follows it"
    assert (second.summary, second.suggestions) == ("postgres is down", ())
