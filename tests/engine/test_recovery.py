"""Recovery on the real stack, through the command line as a person uses it: mended, refused, killed, resumed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from console.actions import runs
from console.actions.lock import holder
from console.actions.runs import RunView
from tests.lab.images import TINY
from tests.lab.lab import Lab, PrivateEngine
from tests.lab.shell import wait_until

ROOT = Path(__file__).resolve().parents[2]
OBSERVED = 3.0  # seconds; people get 60 and more


@dataclass
class Said:
    code: int
    out: str
    err: str

    @property
    def data(self) -> dict[str, Any]:
        return dict(json.loads(self.out))


class Sevdeck:
    """The command, with a data directory of its own for each test."""

    def __init__(self, directory: Path, config: str, observation: float = OBSERVED) -> None:
        self.data = directory / "data"
        self.config = directory / "sevdeck.toml"
        self.config.write_text(f'{config}\n[recovery]\nobservation = "{observation}s"\n', encoding="utf-8")

    def argv(self, *words: str) -> list[str]:
        base = [sys.executable, "-m", "console", "--config", str(self.config), "--data-dir", str(self.data)]
        return [*base, *words]

    def __call__(self, *words: str, deadline: float = 150) -> Said:
        done = subprocess.run(
            self.argv(*words), cwd=ROOT, capture_output=True, text=True, timeout=deadline, stdin=subprocess.DEVNULL
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def background(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.argv(*words),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def view(self) -> RunView | None:
        return runs.status(self.data)

    def until(self, what: str, wanted: Callable[[RunView], bool], deadline: float = 60) -> RunView:
        def seen() -> bool:
            view = self.view()
            return view is not None and wanted(view)

        wait_until(seen, what, deadline=deadline, every=0.05)
        view = self.view()
        assert view is not None
        return view


def configured(lab: Lab) -> str:
    return re.sub(r'(?m)^project = ".*"$', f'project = "{lab.stack.project}"', lab.config(), count=1)


@pytest.fixture
def sevdeck(healthy_lab: Lab, tmp_path: Path) -> Sevdeck:
    return Sevdeck(tmp_path, configured(healthy_lab))


def started_at(lab: Lab, service: str) -> str:
    asked = lab.stack.docker("inspect", "--format", "{{.State.StartedAt}}", lab.stack.container(service))
    return asked.stdout.strip()


@pytest.mark.scenario("app hung: level 1")
def test_a_hung_app_is_planned_restarted_and_validated_through_the_edge(healthy_lab: Lab, sevdeck: Sevdeck) -> None:
    healthy_lab.break_("app-hung")
    plan = sevdeck("recover", "plan", "1", "--json")
    assert plan.code == 0, plan.err
    assert (plan.data["refused"], plan.data["confirm"], plan.data["targets"]) == (None, "restart app", ["app"])
    assert sevdeck("validate").code == 1

    unconfirmed = sevdeck("recover", "run", "1", "--json")
    assert unconfirmed.code == 3
    assert "--confirm 'restart app'" in unconfirmed.err
    assert sevdeck("recover", "run", "1", "--confirm", "yes").code == 3

    done = sevdeck("recover", "run", "1", "--confirm", "restart app", "--json")
    assert done.code == 0, done.out + done.err
    assert done.data["outcome"] == "ok"
    assert done.data["validation"]["verdict"] == "better"
    assert done.data["observation"]["state"] == "stable"
    assert {s["state"] for s in done.data["steps"]} <= {"ok", "skipped"}
    assert healthy_lab.is_well() or not healthy_lab.stack.troubles()
    healthy_lab.mend("app-hung")


@pytest.mark.scenario("all services restarted in order: level 2")
def test_everything_is_restarted_in_order_and_nothing_is_lost(healthy_lab: Lab, sevdeck: Sevdeck) -> None:
    done = sevdeck("recover", "run", "2", "--confirm", "restart 5 services", "--json")
    assert done.code == 0, done.out + done.err
    stops = [s["id"] for s in done.data["steps"] if s["id"].startswith("stop-")]
    starts = [s["id"] for s in done.data["steps"] if s["id"].startswith("start-")]
    assert [s.split("-", 1)[1] for s in starts] == [s.split("-", 1)[1] for s in reversed(stops)]


@pytest.mark.scenario("database stopped: the app is refused, the database started")
def test_a_stopped_database_refuses_the_app_and_is_itself_started(healthy_lab: Lab, sevdeck: Sevdeck) -> None:
    healthy_lab.break_("postgres-stopped")
    plan = sevdeck("recover", "plan", "1", "--json")
    assert plan.code == 3
    assert plan.data["refused"].startswith("app needs postgres: postgres is exited")
    assert plan.data["help"].endswith("recover run 1 --service postgres")
    done = sevdeck("recover", "run", "1", "--service", "postgres", "--confirm", "start postgres", "--json")
    assert done.code == 0, done.out + done.err
    healthy_lab.mend("postgres-stopped")


@pytest.mark.scenario("crash loop of a bad release: levels 1 and 2 refused")
def test_a_bad_release_that_crash_loops_is_refused_with_what_would_help(healthy_lab: Lab, sevdeck: Sevdeck) -> None:
    healthy_lab.break_("bad-release")
    plan: dict[str, Any] = {}

    def refused() -> bool:
        plan.update(sevdeck("recover", "plan", "1", "--json").data)
        return "crash-looping" in str(plan["refused"])

    wait_until(refused, "three deaths of the app", deadline=60)
    assert "last good image or configuration" in plan["help"]
    run = sevdeck("recover", "run", "2", "--confirm", "restart 5 services")
    assert run.code == 3
    assert "crash-looping" in run.err
    healthy_lab.mend("bad-release")


@pytest.mark.scenario("crash loop of a bad release: the previous one in .env, then level 3")
def test_a_bad_release_is_rolled_back_by_a_rebuild(healthy_lab: Lab, sevdeck: Sevdeck) -> None:
    stack = healthy_lab.stack
    healthy_lab.break_("bad-release")
    stack.write_env()  # the previous release again, as a person would write it
    try:
        plan = sevdeck("recover", "plan", "3", "--json").data
        assert plan["refused"] is None
        assert plan["confirm"] == f"{stack.project} with changes to app, worker"
        done = sevdeck("recover", "run", "3", "--confirm", plan["confirm"], "--json")
        assert done.code == 0, done.out + done.err
        assert done.data["validation"]["verdict"] == "better"
        assert stack.troubles() == []
    finally:
        healthy_lab.mend("bad-release")


@pytest.mark.scenario("edge holds a stale address: only reloaded")
def test_an_edge_that_lost_the_app_is_reloaded_without_an_outage(healthy_lab: Lab, sevdeck: Sevdeck) -> None:
    healthy_lab.break_("edge-stale-upstream")
    before = started_at(healthy_lab, "edge")
    plan = sevdeck("recover", "plan", "1", "--json")
    assert "answers directly; only edge fails" in plan.data["refused"]
    done = sevdeck("recover", "run", "1", "--service", "edge", "--confirm", "reload edge", "--json")
    assert done.code == 0, done.out + done.err
    assert started_at(healthy_lab, "edge") == before
    healthy_lab.mend("edge-stale-upstream")


@pytest.mark.scenario("two responders: the second is refused by name, and can follow")
def test_a_second_responder_is_refused_at_once_and_can_follow(healthy_lab: Lab, sevdeck: Sevdeck) -> None:
    first = sevdeck.background("recover", "run", "1", "--confirm", "restart app")
    view = sevdeck.until("a run at its first step", lambda v: bool(v.step) or v.steps[0].state != "pending")
    began = time.monotonic()
    second = sevdeck("recover", "run", "2", "--confirm", "restart 5 services")
    took = time.monotonic() - began
    assert second.code == 3
    assert "level 1, restart app, at step" in second.err
    assert view.run_id in second.err
    print(f"refused in {took:.2f} s, of which Python and imports are most")
    followed = sevdeck("recover", "attach", view.run_id, "--json")
    assert (followed.code, followed.data["outcome"]) == (0, "ok")
    assert first.wait(60) == 0
    first.communicate()


@pytest.mark.scenario("terminal killed in the middle of level 1")
def test_the_run_goes_on_when_the_terminal_that_started_it_is_gone(healthy_lab: Lab, sevdeck: Sevdeck) -> None:
    started = sevdeck.background("recover", "run", "1", "--confirm", "restart app")
    sevdeck.until("the restart", lambda v: v.step.startswith("restart-"))
    os.killpg(started.pid, signal.SIGKILL)
    started.communicate()
    view = sevdeck.until("the end of the run", lambda v: v.over)
    assert view.outcome == "ok", view.reason


def family(sevdeck: Sevdeck, lab: Lab) -> tuple[int, int]:
    """Process ids of the run's watcher and of its worker."""
    held = holder(sevdeck.data, lab.stack.project)
    assert held is not None
    assert held.pid
    return os.getpgid(held.pid), held.pid


@pytest.mark.scenario("runner killed: replaced, nothing is done twice")
def test_a_killed_worker_is_replaced_and_the_restart_is_not_repeated(healthy_lab: Lab, sevdeck: Sevdeck) -> None:
    sevdeck("recover", "run", "1", "--confirm", "restart app", "--detach")
    sevdeck.until("the wait for health", lambda v: v.step.startswith("healthy-"))
    once = started_at(healthy_lab, "app")
    os.kill(family(sevdeck, healthy_lab)[1], signal.SIGKILL)
    view = sevdeck.until("the end of the run", lambda v: v.over)
    assert view.outcome == "ok", view.reason
    assert any("going on after an interruption" in n for n in view.notes)
    assert started_at(healthy_lab, "app") == once


@pytest.mark.scenario("runner and its watcher killed in level 2: resumed")
@pytest.mark.parametrize("at", ["stop-", "start-", "healthy-"])
def test_level_2_killed_with_its_watcher_is_resumed_by_a_person(healthy_lab: Lab, sevdeck: Sevdeck, at: str) -> None:
    sevdeck("recover", "run", "2", "--confirm", "restart 5 services", "--detach")
    sevdeck.until(f"a step {at}", lambda v: v.step.startswith(at))
    os.killpg(family(sevdeck, healthy_lab)[0], signal.SIGKILL)
    view = sevdeck.until("the interruption", lambda v: v.state == "interrupted")
    status = sevdeck("recover", "status", "--json")
    assert (status.data["state"], status.data["run_id"]) == ("interrupted", view.run_id)
    resumed = sevdeck("recover", "resume", "--json")
    assert resumed.code == 0, resumed.out + resumed.err
    assert resumed.data["outcome"] == "ok"


@pytest.mark.scenario("level 2 cancelled: everything runs")
def test_cancelling_level_2_leaves_everything_running(healthy_lab: Lab, sevdeck: Sevdeck) -> None:
    sevdeck("recover", "run", "2", "--confirm", "restart 5 services", "--detach")
    sevdeck.until("a stop", lambda v: v.step.startswith("stop-"))
    assert sevdeck("recover", "cancel").code == 0
    view = sevdeck.until("the end of the run", lambda v: v.over, deadline=90)
    assert view.cancelled
    assert "what was before is back" in view.reason
    healthy_lab.stack.wait_well()


@pytest.mark.scenario("engine frozen: refused; in the middle: unknown, then resumed")
def test_a_frozen_engine_refuses_and_one_that_freezes_in_the_middle_is_unknown(
    private_engine: PrivateEngine, tmp_path: Path
) -> None:
    private_engine.docker(
        "run", "--detach", "--name", "solo-app-1", "--label", "com.docker.compose.project=solo",
        "--label", "com.docker.compose.service=app", "--stop-timeout", "3",
        TINY, "sh", "-c", "trap '' TERM; while :; do sleep 1; done",
    )  # fmt: skip
    config = f'[docker]\nhost = "{private_engine.host}"\nproject = "solo"\n[roles]\napp = ["app"]\n'
    sevdeck = Sevdeck(tmp_path, config)
    assert sevdeck("recover", "plan", "1", "--json").data["refused"] is None
    running = sevdeck.background("recover", "run", "1", "--confirm", "restart app")
    # The app ignores TERM, so the restart takes its 3 s: the engine freezes within it.
    sevdeck.until("the restart", lambda v: v.step.startswith("restart-"))
    private_engine.freeze()
    try:
        out, _ = running.communicate(timeout=120)
        assert running.returncode == 4, out
        assert "UNKNOWN" in out
        began = time.monotonic()
        plan = sevdeck("recover", "plan", "1", "--json")
        assert time.monotonic() - began < 8
        assert plan.code == 3
        assert "does not answer" in plan.data["refused"]
        assert sevdeck("validate", "--json").data["status"] == "unknown"
    finally:
        private_engine.thaw()
    resumed = sevdeck("recover", "resume", "--json")
    assert resumed.code == 0, resumed.out + resumed.err
    restarts = [s for s in resumed.data["steps"] if s["id"].startswith("restart-")]
    assert restarts[0]["state"] == "ok"


@pytest.mark.scenario("engine killed in the middle of a restart")
def test_an_engine_that_dies_in_the_middle_of_a_restart_leaves_a_started_container(
    private_engine: PrivateEngine, tmp_path: Path
) -> None:
    private_engine.docker(
        "run", "--detach", "--name", "solo-app-1", "--label", "com.docker.compose.project=solo",
        "--label", "com.docker.compose.service=app", "--stop-timeout", "3",
        TINY, "sh", "-c", "trap '' TERM; while :; do sleep 1; done",
    )  # fmt: skip
    config = f'[docker]\nhost = "{private_engine.host}"\nproject = "solo"\n[roles]\napp = ["app"]\n'
    sevdeck = Sevdeck(tmp_path, config)
    running = sevdeck.background("recover", "run", "1", "--confirm", "restart app")
    sevdeck.until("the restart", lambda v: v.step.startswith("restart-"))
    private_engine.kill()
    private_engine.start()
    out, _ = running.communicate(timeout=120)
    assert running.returncode == 0, out
    state = private_engine.docker("inspect", "--format", "{{.State.Status}}", "solo-app-1").stdout.strip()
    assert state == "running"
