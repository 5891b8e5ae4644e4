"""Level 3 on real engines: what it rebuilds, what it refuses to touch, and that no kill leaves anything down."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from console.actions import offspring, runs
from console.actions.lock import holder
from tests.engine.small import SmallStack
from tests.engine.test_recovery import Sevdeck, configured
from tests.lab.images import BAD_RELEASE
from tests.lab.lab import Lab
from tests.lab.shell import wait_until


@pytest.fixture
def sevdeck(healthy_lab: Lab, tmp_path: Path) -> Sevdeck:
    return Sevdeck(tmp_path, configured(healthy_lab))


def volumes_of(lab: Lab) -> str:
    label = f"label=com.docker.compose.project={lab.stack.project}"
    return lab.stack.docker("volume", "ls", "--quiet", "--filter", label).stdout


@pytest.mark.scenario("everything made anew: level 3")
def test_everything_is_made_anew_and_no_row_is_lost(healthy_lab: Lab, sevdeck: Sevdeck) -> None:
    stack = healthy_lab.stack
    rows, volumes, before = stack.sql("select count(*) from messages"), volumes_of(healthy_lab), stack.containers()
    done = sevdeck("recover", "run", "3", "--confirm", stack.project, "--json")
    assert done.code == 0, done.out + done.err
    assert [s["id"] for s in done.data["steps"]] == [
        "evidence",
        "page",
        "keep",
        "safety",
        "down",
        "create",
        "up-data",
        "up-app",
        "up-edge",
    ]
    assert {s["state"] for s in done.data["steps"]} == {"ok"}
    assert stack.containers().keys() == before.keys()
    assert int(stack.sql("select count(*) from messages")) >= int(rows)
    assert volumes_of(healthy_lab) == volumes
    assert stack.troubles() == []


@pytest.mark.scenario("app reconnected without its alias: levels 1 and 2 refused, level 3")
def test_a_container_that_lost_its_name_on_the_network_gets_it_back(healthy_lab: Lab, sevdeck: Sevdeck) -> None:
    stack = healthy_lab.stack
    stack.disconnect("app", "front")
    stack.connect("app", "front", alias=False)
    assert "without the name app" in sevdeck("recover", "plan", "1", "--json").data["refused"]
    assert "without the name app" in sevdeck("recover", "plan", "2", "--json").data["refused"]
    done = sevdeck("recover", "run", "3", "--confirm", stack.project, "--json")
    assert done.code == 0, done.out + done.err
    assert stack.troubles() == []


@pytest.mark.scenario("half-created stack: level 3 completes it")
def test_a_half_created_stack_is_completed_without_an_outage(healthy_lab: Lab, sevdeck: Sevdeck) -> None:
    stack = healthy_lab.stack
    postgres = stack.docker("inspect", "--format", "{{.Id}}", stack.container("postgres")).stdout
    for service in ("edge", "worker"):
        stack.docker("rm", "--force", stack.container(service))
    plan = sevdeck("recover", "plan", "3", "--json").data
    assert (plan["title"], plan["refused"], plan["expected_downtime"]) == ("create edge, worker", None, 0.0)
    done = sevdeck("recover", "run", "3", "--confirm", stack.project, "--json")
    assert done.code == 0, done.out + done.err
    assert stack.docker("inspect", "--format", "{{.Id}}", stack.container("postgres")).stdout == postgres
    stack.wait_well()


@pytest.mark.scenario("a bad release comes up in level 3: back to the image that ran")
def test_a_release_that_does_not_come_up_is_rolled_back_to_the_image_that_ran(
    healthy_lab: Lab, sevdeck: Sevdeck
) -> None:
    stack = healthy_lab.stack
    stack.write_env(BAD_RELEASE)  # written, not brought up: the files are not what runs
    try:
        plan = sevdeck("recover", "plan", "3", "--json").data
        words = f"{stack.project} with changes to app, worker"
        assert plan["confirm"] == words
        assert sevdeck("recover", "run", "3", "--confirm", stack.project).code == 3
        done = sevdeck("recover", "run", "3", "--confirm", words, "--json", deadline=280)
        assert done.code == 1, done.out + done.err
        assert done.data["outcome"] == "rolled_back", done.out
        image = stack.docker("inspect", "--format", "{{.Config.Image}}", stack.container("app")).stdout.strip()
        assert image.startswith("sha256:")
        stack.wait_well()
        assert "200" in stack.http("/readyz")
    finally:
        stack.write_env()
        healthy_lab.reset()


# --- what it will not touch ---------------------------------------------------------------------------------------


def refused(small: SmallStack, tmp_path: Path) -> str:
    found = Sevdeck(tmp_path, small.config)("recover", "plan", "3", "--json")
    return str(found.data["refused"])


@pytest.mark.scenario("anonymous volume, missing image, volume, path or file: level 3 refused")
def test_what_would_not_come_back_is_refused_before_anything_is_touched(small: SmallStack, tmp_path: Path) -> None:
    whole = small.file.read_text(encoding="utf-8")

    def changed(old: str, new: str) -> str:
        small.file.write_text(whole.replace(old, new), encoding="utf-8")
        return refused(small, tmp_path)

    app, edge = "depends_on: [store]", "depends_on: [app]"
    assert refused(small, tmp_path) == "None"
    assert "app keeps data in a volume without a name" in changed(app, f"{app}\n    volumes: [/cache]")
    assert "not on this host: image nowhere/at-all:1" in changed(edge, f"{edge}\n    image: nowhere/at-all:1")
    assert "otherdata does not exist" in changed("storedata", "otherdata")
    assert "is mounted and does not exist" in changed("storedata:/data", f"{tmp_path}/nowhere:/data")
    assert "nothing could be built again" in changed("services:", "services: [")
    small.file.unlink()
    assert "Compose files of the project are not on this host" in refused(small, tmp_path)
    assert small.running


def test_a_port_of_somebody_else_is_seen(small: SmallStack, tmp_path: Path) -> None:
    import socket

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        whole = small.file.read_text(encoding="utf-8")
        small.file.write_text(whole.replace("depends_on: [app]", f'depends_on: [app]\n    ports: ["{port}:80"]'))
        assert refused(small, tmp_path) == f"port {port} is taken by another program of this host"


@pytest.mark.scenario("somebody else changes the stack: the run pauses")
def test_a_run_pauses_while_somebody_else_changes_the_stack(small: SmallStack, tmp_path: Path) -> None:
    sevdeck = Sevdeck(tmp_path, small.config, observation=0.1)
    assert sevdeck("recover", "run", "2", "--confirm", "restart 3 services", "--detach").code == 0
    sevdeck.until("the first stop", lambda v: v.steps[1].state != "pending")
    small.docker("update", "--restart", "no", f"{small.name}-store-1")
    view = sevdeck.until("the end of the run", lambda v: v.over, deadline=90)
    assert view.outcome == "ok", view.reason
    assert any(f"paused: somebody else changes the stack ({small.name}-store-1: update)" in n for n in view.notes)


# --- kills ----------------------------------------------------------------------------------------------------------


@pytest.mark.scenario("runner killed, its Compose at work: nobody begins before its end")
def test_nobody_begins_while_the_compose_of_a_killed_run_is_at_work(small: SmallStack, tmp_path: Path) -> None:
    """The whole family of the run is killed while `docker compose` works: the lock stays until that has ended."""
    whole = small.file.read_text(encoding="utf-8")
    small.file.write_text(whole.replace("stop_signal: SIGKILL", "stop_grace_period: 4s"), encoding="utf-8")
    small.up()
    sevdeck = Sevdeck(tmp_path, small.config, observation=0.1)
    assert sevdeck("recover", "run", "3", "--confirm", small.name, "--detach").code == 0
    view = sevdeck.until("down", lambda v: v.step == "down")
    programs = runs.directory(sevdeck.data, view.run_id) / "programs.lock"
    held = holder(sevdeck.data, small.name)
    assert held is not None
    ours = {held.pid, os.getpgid(held.pid)}
    wait_until(lambda: bool(set(offspring.holders(programs)) - ours), "the compose process", deadline=10, every=0.02)
    os.killpg(os.getpgid(held.pid), signal.SIGKILL)
    second = sevdeck("recover", "run", "3", "--confirm", small.name)
    assert (second.code, "is recovering" in second.err) == (3, True), second.err
    wait_until(lambda: holder(sevdeck.data, small.name) is None, "the end of the orphan", deadline=30, every=0.05)
    resumed = sevdeck("recover", "resume", "--json")
    assert resumed.code == 0, resumed.out + resumed.err
    assert small.running


@pytest.mark.scenario("runner killed, its Compose at work: the next runner waits")
def test_a_killed_worker_is_replaced_and_waits_for_its_compose(small: SmallStack, tmp_path: Path) -> None:
    whole = small.file.read_text(encoding="utf-8")
    small.file.write_text(whole.replace("stop_signal: SIGKILL", "stop_grace_period: 3s"), encoding="utf-8")
    small.up()
    sevdeck = Sevdeck(tmp_path, small.config, observation=0.1)
    assert sevdeck("recover", "run", "3", "--confirm", small.name, "--detach").code == 0
    view = sevdeck.until("down", lambda v: v.step == "down")
    held = holder(sevdeck.data, small.name)
    assert held is not None
    os.kill(held.pid, signal.SIGKILL)
    view = sevdeck.until("the end of the run", lambda v: v.over, deadline=90)
    assert view.outcome == "ok", view.reason
    assert json.dumps([s.step.id for s in view.steps if s.attempt > 2]) == "[]"
    assert small.running
