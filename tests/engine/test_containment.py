"""Containment on the real stack: each measure put into force and taken back, kills, doubt, and who is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from console.actions.facts import Holder
from console.actions.lock import ProjectLock
from tests.engine.test_recovery import ROOT, Sevdeck, configured
from tests.lab.images import TINY
from tests.lab.lab import Lab, PrivateEngine
from tests.lab.shell import run, wait_until


@pytest.fixture
def sevdeck(healthy_lab: Lab, tmp_path: Path) -> Iterator[Sevdeck]:
    made = Sevdeck(tmp_path, configured(healthy_lab))
    with made.config.open("a", encoding="utf-8") as file:
        file.write('[containment]\nsafe_mode_env = "SAFE_MODE=1"\n')
    yield made
    for one in made("contain", "list", "--json").data["containments"]:
        if one["state"] not in ("undone", "failed"):
            made("contain", "undo", one["id"])
    if not healthy_lab.is_well():
        healthy_lab.reset()


def put(sevdeck: Sevdeck, words: str, *more: str) -> dict[str, Any]:
    """Apply `isolate app`; the entry."""
    name, _, target = words.partition(" ")
    done = sevdeck(
        "contain", "apply", name, *(["--target", target] if target else []), "--confirm", words, *more, "--json"
    )
    assert done.code == 0, done.out + done.err
    assert done.data["state"] == "active"
    return done.data


def back(sevdeck: Sevdeck, words: str) -> dict[str, Any]:
    done = sevdeck("contain", "undo", *words.split(), "--json")
    assert done.code == 0, done.out + done.err
    assert done.data["state"] == "undone"
    return done.data


def endpoints(lab: Lab, service: str) -> dict[str, list[str]]:
    """Network -> names of the service's container there."""
    said = lab.stack.docker("inspect", "--format", "{{json .NetworkSettings.Networks}}", lab.stack.container(service))
    return {name: sorted(at["Aliases"] or ()) for name, at in json.loads(said.stdout).items()}


def resolves(lab: Lab, name: str, asker: str) -> bool:
    done = lab.stack.docker("exec", lab.stack.container(asker), "getent", "hosts", name, check=False)
    return done.returncode == 0


def state_of(lab: Lab, service: str) -> str:
    found = lab.stack.state(service)
    assert found is not None
    return found.status


def started(lab: Lab, service: str) -> str:
    found = lab.stack.state(service)
    return found.started_at if found is not None and found.status == "running" else ""


def checks(lab: Lab, service: str) -> set[str]:
    """When the engine last asked for the service's health: it remembers five times."""
    said = lab.stack.docker("inspect", "--format", "{{json .State.Health.Log}}", lab.stack.container(service)).stdout
    return {str(one["Start"]) for one in json.loads(said)}


def standing(sevdeck: Sevdeck) -> dict[str, str]:
    return {
        f"{c['name']} {c['target']}": c["state"] for c in sevdeck("contain", "status", "--json").data["containments"]
    }


# -- isolation


@pytest.mark.scenario("app isolated and released under its name")
def test_an_isolated_app_is_out_of_reach_and_comes_back_under_its_name(healthy_lab: Lab, sevdeck: Sevdeck) -> None:
    stack, before = healthy_lab.stack, endpoints(healthy_lab, "app")
    unconfirmed = sevdeck("contain", "apply", "isolate", "--target", "app")
    assert unconfirmed.code == 3
    assert "--confirm 'isolate app'" in unconfirmed.err
    assert endpoints(healthy_lab, "app") == before

    made = put(sevdeck, "isolate app")
    assert endpoints(healthy_lab, "app") == {}
    assert stack.http("/readyz") in ("502", "504", "timeout")
    assert stack.direct() == "refused"
    assert not resolves(healthy_lab, "app", "edge")
    assert standing(sevdeck) == {"isolate app": "active"}
    again = put(sevdeck, "isolate app")
    assert again["id"] == made["id"]

    plan = sevdeck("recover", "plan", "2", "--json")
    assert plan.code == 3
    assert f"isolate app ({made['id']})" in plan.data["refused"]
    assert plan.data["help"].endswith(f"sevdeck contain undo {made['id']}")

    undone = back(sevdeck, "isolate app")
    assert any("app resolves on" in note for note in undone["notes"])
    assert endpoints(healthy_lab, "app") == before
    assert resolves(healthy_lab, "app", "edge")
    assert resolves(healthy_lab, "postgres", "app")
    wait_until(lambda: stack.http("/readyz") == "200", "the app through the edge", deadline=20)
    assert stack.direct() == "200"


def test_one_network_alone_is_left(healthy_lab: Lab, sevdeck: Sevdeck) -> None:
    project, before = healthy_lab.stack.project, endpoints(healthy_lab, "app")
    asked = sevdeck("contain", "apply", "isolate", "--target", "app:front", "--plan", "--json")
    assert asked.data["confirm"] == f"isolate app:{project}_front"
    put(sevdeck, f"isolate app:{project}_front")
    assert set(endpoints(healthy_lab, "app")) == {f"{project}_back"}
    assert not resolves(healthy_lab, "app", "edge")
    assert resolves(healthy_lab, "app", "worker")
    back(sevdeck, f"isolate app:{project}_front")
    assert endpoints(healthy_lab, "app") == before


def test_a_connect_without_its_name_is_seen_and_mended(healthy_lab: Lab, sevdeck: Sevdeck) -> None:
    """The control of the guard: connected by hand without an alias nobody finds the app; undo gives the name back."""
    before = endpoints(healthy_lab, "app")
    made = put(sevdeck, "isolate app")
    healthy_lab.stack.connect("app", "front", alias=False)
    healthy_lab.stack.connect("app", "back", alias=False)
    assert not resolves(healthy_lab, "app", "edge")
    seen = sevdeck("contain", "status", "--json")
    assert seen.code == 1
    assert "only half in force" in seen.data["containments"][0]["detail"]
    back(sevdeck, made["id"])
    assert endpoints(healthy_lab, "app") == before
    assert resolves(healthy_lab, "app", "edge")


def test_full_isolation_keeps_the_evidence_first(healthy_lab: Lab, sevdeck: Sevdeck) -> None:
    incident = sevdeck("incident", "declare", "--title", "odd traffic", "--severity", "2", "--json").data["id"]
    before = endpoints(healthy_lab, "worker")
    made = put(sevdeck, "full-isolation worker")
    assert made["incident"] == incident  # the open one, without being named
    digest = made["steps"][0]["detail"].split("sha256 ")[1].split(";")[0]
    kept = json.loads((sevdeck.data / "incidents" / incident / "blobs" / digest).read_bytes())
    seen = kept["containers"][healthy_lab.stack.container("worker")]
    assert {"inspect", "top", "logs", "changed_files", "network_0"} <= set(seen)
    assert "correct-horse-7" not in json.dumps(seen)
    assert endpoints(healthy_lab, "worker") == {}
    back(sevdeck, "full-isolation worker")
    assert endpoints(healthy_lab, "worker") == before
    timeline = sevdeck("incident", "show", incident, "--json").data["timeline"]
    assert [e["data"].get("state") for e in timeline if e["kind"] == "containment"] == [
        "applying", "active", "undoing", "undone",
    ]  # fmt: skip


# -- what runs


def test_a_paused_service_stands_still_until_it_is_undone(healthy_lab: Lab, sevdeck: Sevdeck) -> None:
    put(sevdeck, "pause worker")
    assert state_of(healthy_lab, "worker") == "paused"
    refused = sevdeck("recover", "plan", "1", "--service", "worker", "--json")
    assert "deliberate containment: pause worker" in refused.data["refused"]
    back(sevdeck, "pause worker")
    assert state_of(healthy_lab, "worker") == "running"


def test_writers_stop_and_start_again_and_edge_and_database_stay(healthy_lab: Lab, sevdeck: Sevdeck) -> None:
    project = healthy_lab.stack.project
    asked = sevdeck("contain", "apply", "stop-writers", "--confirm", f"stop-writers {project}", "--json")
    assert asked.code == 0, asked.err
    assert {s: state_of(healthy_lab, s) for s in ("app", "worker", "edge", "postgres", "redis")} == {
        "app": "exited", "worker": "exited", "edge": "running", "postgres": "running", "redis": "running",
    }  # fmt: skip
    back(sevdeck, f"stop-writers {project}")
    healthy_lab.stack.wait_well()


def test_what_is_not_to_be_restarted_stays_down_and_gets_its_policy_back(healthy_lab: Lab, sevdeck: Sevdeck) -> None:
    put(sevdeck, "no-restart worker")
    # Not `docker kill`: the engine takes that for a person's stop and would not restart it anyway.
    healthy_lab.stack.docker("exec", "--user", "root", healthy_lab.stack.container("worker"), "sh", "-c",
                             "pkill -9 python3 || kill -9 $(pidof python3)", check=False)  # fmt: skip
    wait_until(lambda: state_of(healthy_lab, "worker") == "exited", "the end of the worker", deadline=15)
    # Its policy would have brought it back at once: another container that dies the same way is back by now.
    died = started(healthy_lab, "redis")
    healthy_lab.stack.docker("exec", "--user", "root", healthy_lab.stack.container("redis"), "sh", "-c",
                             "pkill -9 redis-server || kill -9 $(pidof redis-server)", check=False)  # fmt: skip
    wait_until(lambda: started(healthy_lab, "redis") not in ("", died), "redis to be started anew", deadline=20)
    assert state_of(healthy_lab, "worker") == "exited"
    back(sevdeck, "no-restart worker")
    found = healthy_lab.stack.state("worker")
    assert found is not None
    assert found.restart_policy == "unless-stopped"
    healthy_lab.stack.docker("start", healthy_lab.stack.container("worker"))
    healthy_lab.stack.wait_well()


def test_the_app_goes_into_its_safe_mode_and_out_of_it(healthy_lab: Lab, sevdeck: Sevdeck) -> None:
    before = healthy_lab.stack.state("edge")
    asked = sevdeck("contain", "apply", "safe-mode", "--confirm", "safe-mode app", "--json")
    assert asked.code == 0, asked.out + asked.err
    assert healthy_lab.stack.inside("app", "printenv", "SAFE_MODE") == "1"
    wait_until(lambda: healthy_lab.stack.webhook() == "503", "the app's own refusal", deadline=20)
    # It was made anew, so an isolation of it now would be lost with its end.
    refused = sevdeck("contain", "apply", "isolate", "--target", "app", "--confirm", "isolate app")
    assert refused.code == 3
    assert "safe-mode app is in force on app" in refused.err
    back(sevdeck, "safe-mode app")
    assert healthy_lab.stack.inside("app", "printenv", "SAFE_MODE") == "0"
    healthy_lab.stack.wait_well()
    after = healthy_lab.stack.state("edge")
    assert before is not None
    assert after is not None
    assert before.started_at == after.started_at  # only the app was made anew


# -- the edge, the database, the packet filter


def test_the_edge_shows_the_maintenance_page_and_stays_healthy(healthy_lab: Lab, sevdeck: Sevdeck) -> None:
    ports = healthy_lab.stack.ports
    asked = sevdeck("contain", "apply", "maintenance", "--confirm", "maintenance edge", "--json")
    assert asked.code == 0, asked.out + asked.err
    for url in (f"http://127.0.0.1:{ports.edge}/webhook", f"https://127.0.0.1:{ports.tls}/anything"):
        said = run(["curl", "-sk", "-i", "-m", "5", url], timeout=10, check=False).stdout
        head, _, body = said.replace("\r", "").partition("\n\n")
        assert " 503" in head.splitlines()[0], (url, said)
        assert "Retry-After: 300" in head
        assert "We will be right back" in body
    checked = checks(healthy_lab, "edge")
    wait_until(lambda: len(checks(healthy_lab, "edge") - checked) >= 2, "two health checks of the edge", deadline=30)
    found = healthy_lab.stack.state("edge")
    assert found is not None
    assert found.health == "healthy"
    # What a level would do to the app stays possible; the page is no fault of the edge.
    assert sevdeck("recover", "plan", "1", "--json").data["refused"] is None
    back(sevdeck, "maintenance edge")
    wait_until(lambda: healthy_lab.stack.webhook() == "200", "customers", deadline=10)
    left = healthy_lab.stack.inside("edge", "sh", "-c", "ls /etc/nginx | grep sevdeck || true")
    assert left == ""


def test_an_edge_that_cannot_show_the_page_says_so_and_what_to_configure(healthy_lab: Lab, sevdeck: Sevdeck) -> None:
    refused = sevdeck("contain", "apply", "maintenance", "--target", "redis", "--plan", "--json")
    assert refused.code == 3
    assert "cannot be shown by itself" in refused.data["refused"]
    assert "maintenance_on and maintenance_off" in refused.data["help"]


def test_a_database_takes_a_limit_of_connections_and_gets_its_old_one_back(healthy_lab: Lab, sevdeck: Sevdeck) -> None:
    def limit() -> str:
        return healthy_lab.stack.sql("SELECT datconnlimit FROM pg_database WHERE datname = 'shop'")

    healthy_lab.stack.sql("ALTER DATABASE shop CONNECTION LIMIT 77")
    try:
        put(sevdeck, "connection-limit shop:5")
        assert limit() == "5"
        # The limit is in the data: a restart of the database is no reason to refuse level 1, and leaves it in force.
        assert sevdeck("recover", "plan", "1", "--service", "postgres", "--json").data["refused"] is None
        back(sevdeck, "connection-limit shop:5")
        assert limit() == "77"
    finally:
        healthy_lab.stack.sql("ALTER DATABASE shop CONNECTION LIMIT -1")


@contextmanager
def neighbour_host(name: str) -> Iterator[str]:
    """A host beside this one, whose packets to containers are forwarded; its address."""
    here, there = "10.213.77.1", "10.213.77.2"
    # What a killed run of this test left behind would block the address for ever.
    run(["ip", "netns", "delete", name], check=False)
    rule = ["DOCKER-USER", "-s", f"{there}/32", "-m", "comment", "--comment", "sevdeck", "-j", "DROP"]
    while run(["iptables", "-D", *rule], check=False).returncode == 0:
        pass
    run(["ip", "netns", "add", name])
    try:
        run(["ip", "link", "add", f"{name}0", "type", "veth", "peer", "name", f"{name}1"])
        run(["ip", "link", "set", f"{name}1", "netns", name])
        run(["ip", "addr", "add", f"{here}/30", "dev", f"{name}0"])
        run(["ip", "link", "set", f"{name}0", "up"])
        for words in (["addr", "add", f"{there}/30", "dev", f"{name}1"], ["link", "set", f"{name}1", "up"],
                      ["route", "add", "default", "via", here]):  # fmt: skip
            run(["ip", "-n", name, *words])
        yield there
    finally:
        run(["ip", "netns", "delete", name], check=False)
        run(["ip", "link", "delete", f"{name}0"], check=False)


@pytest.mark.skipif(os.geteuid() != 0, reason="the packet filter is root's")
def test_a_blocked_address_reaches_no_container_until_it_is_undone(healthy_lab: Lab, sevdeck: Sevdeck) -> None:
    url = f"http://{healthy_lab.stack.address('edge', 'front')}/edge-health"
    name = f"{healthy_lab.stack.project[:8]}blk"
    with neighbour_host(name) as address:
        others = run(["iptables", "-S", "DOCKER-USER"]).stdout

        def answers() -> bool:
            command = [
                "ip",
                "netns",
                "exec",
                name,
                "curl",
                "-s",
                "-o",
                "/dev/null",
                "-m",
                "2",
                "-w",
                "%{http_code}",
                url,
            ]
            return run(command, check=False).stdout == "200"

        assert answers()
        put(sevdeck, f"block {address}")
        assert not answers()
        assert healthy_lab.stack.http("/edge-health") == "200"  # nobody else
        assert standing(sevdeck) == {f"block {address}": "active"}
        back(sevdeck, f"block {address}")
        assert answers()
    assert run(["iptables", "-S", "DOCKER-USER"]).stdout == others


# -- doubt, kills, others


@pytest.mark.scenario("kill -9 at every boundary of a containment")
def test_a_kill_at_every_boundary_is_seen_and_undone(healthy_lab: Lab, sevdeck: Sevdeck) -> None:
    before = endpoints(healthy_lab, "worker")
    doubts, at = 0, 0
    while True:
        at += 1
        data = sevdeck.data.with_name(f"kill-{at}")
        words = [str(data), str(sevdeck.config), "isolate", "worker", str(at)]
        done = subprocess.run(
            [sys.executable, "-m", "tests.engine.containment_worker", *words],
            cwd=ROOT, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        sevdeck.data = data
        if done.returncode == 0:
            back(sevdeck, "isolate worker")
            break
        assert done.returncode == -9, done.stderr
        seen = standing(sevdeck)
        assert seen.get("isolate worker") in ("in_doubt", "active"), (at, seen)
        doubts += seen["isolate worker"] == "in_doubt"
        back(sevdeck, "isolate worker")
        assert endpoints(healthy_lab, "worker") == before, at
        assert standing(sevdeck) == {}
    print(f"{at - 1} boundaries, {doubts} of them left a doubt")
    assert doubts >= 3
    assert at >= 8
    assert resolves(healthy_lab, "worker", "app")


@pytest.mark.scenario("engine frozen during a containment: unknown, looked at again")
def test_a_frozen_engine_is_unknown_and_looked_at_again(private_engine: PrivateEngine, tmp_path: Path) -> None:
    private_engine.docker(
        "run", "--detach", "--name", "solo-app-1", "--label", "com.docker.compose.project=solo",
        "--label", "com.docker.compose.service=app", TINY, "sh", "-c", "while :; do sleep 1; done",
    )  # fmt: skip
    config = f'[docker]\nhost = "{private_engine.host}"\nproject = "solo"\n[roles]\napp = ["app"]\n'
    sevdeck = Sevdeck(tmp_path, config)
    put(sevdeck, "pause app")
    private_engine.freeze()
    try:
        assert sevdeck("contain", "status").code == 4
        undone = sevdeck("contain", "undo", "pause app", "--json", deadline=120)
        assert (undone.code, undone.data["state"]) == (4, "unknown"), undone.err
        assert sevdeck("contain", "apply", "pause", "--target", "app", "--confirm", "pause app").code == 3
    finally:
        private_engine.thaw()
    wait_until(lambda: standing(sevdeck) in ({"pause app": "active"}, {"pause app": "lost"}), "a look", deadline=30)
    back(sevdeck, "pause app")
    state = private_engine.docker("inspect", "--format", "{{.State.Status}}", "solo-app-1").stdout.strip()
    assert state == "running"


def test_a_recovery_under_way_refuses_it_and_says_who(healthy_lab: Lab, sevdeck: Sevdeck) -> None:
    holder = Holder("R1", "ben", time.time(), 2, "restart 5 services", "stop app")
    lock = ProjectLock.acquire(sevdeck.data, healthy_lab.stack.project, holder)
    try:
        began = time.monotonic()
        refused = sevdeck("contain", "apply", "isolate", "--target", "app", "--confirm", "isolate app")
        took = time.monotonic() - began
        assert refused.code == 3
        assert "ben is recovering" in refused.err
        assert "restart 5 services" in refused.err
        print(f"refused in {took:.2f} s, of which Python and imports are most")
    finally:
        lock.release()
    assert len(endpoints(healthy_lab, "app")) == 2


def test_an_incident_is_closed_only_when_nothing_is_contained(healthy_lab: Lab, sevdeck: Sevdeck) -> None:
    incident = sevdeck("incident", "declare", "--title", "leak", "--severity", "2", "--json").data["id"]
    made = put(sevdeck, "no-restart worker")
    assert made["incident"] == incident
    refused = sevdeck("incident", "resolve", incident, "--text", "all is well")
    assert refused.code == 3
    assert "no-restart worker" in refused.err
    back(sevdeck, "no-restart worker")
    assert sevdeck("incident", "resolve", incident, "--text", "all is well").code == 0
    assert sevdeck("incident", "close", incident, "--text", "done").code == 0


def test_an_overdue_measure_is_told_again_and_again(healthy_lab: Lab, sevdeck: Sevdeck) -> None:
    made = put(sevdeck, "no-restart worker", "--for", "1s")
    over = datetime.fromisoformat(made["expires_at"]).timestamp()
    wait_until(lambda: time.time() > over, "its end", deadline=5)
    for _ in range(2):
        seen = sevdeck("contain", "status")
        assert seen.code == 1
        assert "OVERDUE" in seen.out
    found = healthy_lab.stack.state("worker")
    assert found is not None
    assert found.restart_policy == "no"
    put(sevdeck, "no-restart worker", "--for", "10m")
    assert sevdeck("contain", "status").code == 0
    back(sevdeck, "no-restart worker")
