"""Who needs whom, at which port, and what an answer means."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from console.checks.check import Status
from console.checks.looks import connectivity, ports
from console.checks.looks.connectivity import Pair
from console.checks.topology import Topology, topology
from console.config import Config, DockerConfig
from console.errors import SourceError
from console.programs.blueprint import Blueprint, ComposeProject, Wanted
from console.watch import inside
from console.watch.containers import ContainersReading
from console.watch.inside import Reached, Socket, _place, sockets
from console.watch.inspected import container_from_inspect

FRONT, BACK = "shop_front", "shop_back"


def document(service: str, number: int, networks: dict[str, str], **more: Any) -> dict[str, Any]:
    return {
        "Id": f"{number:064x}",
        "Name": f"/shop-{service}-1",
        "State": {"Status": "running", "Pid": 0},
        "Config": {
            "Image": f"{service}:1",
            "Labels": {
                "com.docker.compose.project": "shop",
                "com.docker.compose.service": service,
                "com.docker.compose.depends_on": more.get("needs", ""),
            },
            "Env": more.get("env", []),
            "ExposedPorts": {port: {} for port in more.get("ports", ())},
        },
        "NetworkSettings": {
            "Networks": {n: {"IPAddress": a, "Gateway": "10.0.0.1", "Aliases": [service]} for n, a in networks.items()}
        },
    }


def shop(**changes: dict[str, Any]) -> tuple[Topology, dict[str, dict[str, Any]]]:
    """An edge, an app that names its database and its cache in its environment, and both of them."""
    told = {
        "edge": document("edge", 1, {FRONT: "10.1.0.2"}, needs="app:service_healthy:false"),
        "app": document(
            "app",
            2,
            {FRONT: "10.1.0.3", BACK: "10.2.0.3"},
            env=["DATABASE_URL=postgres://shop:pw@db:5433/shop", "REDIS=redis:6379", "MAIL=smtp://mail.example:25"],
            ports=["8000/tcp"],
        ),
        "db": document("db", 3, {BACK: "10.2.0.4"}, ports=["5432/tcp"]),
        "redis": document("redis", 4, {BACK: "10.2.0.5"}),
    }
    for service, change in changes.items():
        told[service] = {**told[service], **change}
    documents = {d["Id"]: d for d in told.values()}
    containers = tuple(container_from_inspect(d) for d in documents.values())
    return topology(ContainersReading("", "", containers, ()), Config()), documents


def heard(outcome: str, *addresses: str, source: str = "dns", took: float | None = None) -> Reached:
    return Reached("db", 5433, addresses, source if addresses else "", outcome, took)


def test_pairs_come_from_what_settings_name_and_from_compose() -> None:
    stack, told = shop()
    found = {(p.caller, p.target, p.port, p.said) for p in connectivity.pairs(stack, told)}
    assert found == {("edge", "app", 8000, False), ("app", "db", 5433, True), ("app", "redis", 6379, True)}


def test_namesakes_of_another_project_are_others() -> None:
    _, told = shop()
    far = document("db", 9, {"far_back": "10.9.0.4"}, ports=["5432/tcp"])
    far["Config"]["Labels"]["com.docker.compose.project"] = "far"
    near = document("redis", 8, {BACK: "10.2.0.9"})
    near["Config"]["Labels"]["com.docker.compose.project"] = "far"
    told |= {far["Id"]: far, near["Id"]: near}
    containers = tuple(container_from_inspect(d) for d in told.values())
    config = Config(docker=DockerConfig(project="shop"))
    stack = topology(ContainersReading("", "", containers, ()), config)
    assert {(p.caller, p.target) for p in connectivity.pairs(stack, told)} == {
        ("edge", "app"),
        ("app", "db"),
        ("app", "redis"),
    }


@pytest.mark.parametrize(
    ("settings", "ports"),
    [
        ("URL=postgresql://u:p@db:5432/x", {5432}),
        ("DB_HOST=db", set()),
        ("URL=http://db/path", {80}),
        ("URL=https://db", {443}),
        ("ALL=db:1234,db:1235", {1234, 1235}),
        ("URL=http://mydb:9000 http://db-2:9001 http://x.db:9002 db.example:1", set()),
        ("", set()),
    ],
)
def test_ports_that_settings_name(settings: str, ports: set[int]) -> None:
    assert connectivity._ports_said(settings, "db") == ports


def test_a_connection_that_stands_is_well() -> None:
    stack, told = shop()
    one = heard("connected", "10.2.0.4", took=0.001)
    assert connectivity.judge_pair(stack, told, Pair("app", "db", 5433, True), one) is None


@pytest.mark.parametrize(
    ("one", "check", "subject", "words"),
    [
        (heard("unknown name"), "alias", "db", "app cannot find db by the name db"),
        (heard("127.0.0.11 does not answer"), "names", "app", "cannot ask for names"),
        (heard("connection refused", "10.2.0.4"), "refused", "db", "nothing listens there"),
        (heard("no answer", "10.2.0.4"), "silent", "db", "no answer"),
        (heard("connected", "10.2.0.9"), "address", "app", "is sent to 10.2.0.9 for db, which has 10.2.0.4"),
        (heard("no answer", "10.9.9.9", source="hosts"), "address", "app", "is sent to 10.9.9.9"),
        (heard("connected", "10.2.0.4", took=1.5), "slow", "db", "waits 1.5 s"),
    ],
)
def test_what_an_answer_means(one: Reached, check: str, subject: str, words: str) -> None:
    stack, told = shop()
    found = connectivity.judge_pair(stack, told, Pair("app", "db", 5433, True), one)
    assert found is not None
    assert (found.check, found.subject) == (f"connectivity.{check}", subject)
    assert words in found.summary
    assert "pw" not in " ".join((found.summary, *found.evidence))


def test_a_target_that_does_not_run_is_said_by_others() -> None:
    stack, told = shop(db={"State": {"Status": "exited", "ExitCode": 1}})
    for one in (heard("unknown name"), heard("connection refused", "10.2.0.4")):
        assert connectivity.judge_pair(stack, told, Pair("app", "db", 5433, True), one) is None


def test_who_lost_a_network_is_read_from_the_files() -> None:
    alone = {"Networks": {FRONT: {"IPAddress": "10.1.0.3"}}}
    stack, told = shop(app={"NetworkSettings": alone})
    files = Blueprint(
        ComposeProject("shop"),
        (Wanted("app", "app:1", networks=(BACK, FRONT)), Wanted("db", "db:1", networks=(BACK,))),
    )
    pair = Pair("app", "db", 5433, True)
    found = connectivity.judge_pair(stack, told, pair, heard("unknown name"), files)
    assert found is not None
    assert (found.check, found.subject) == ("connectivity.network", "app")
    assert "docker network connect --alias app shop_back shop-app-1" in found.suggestions[0].why
    unread = connectivity.judge_pair(stack, told, pair, heard("unknown name"))
    assert unread is not None
    assert "no network in common" in unread.summary
    meant = replace(files, services=(Wanted("app", "app:1", networks=(FRONT,)), files.services[1]))
    assert connectivity.judge_pair(stack, told, pair, heard("unknown name"), meant) is None, "they were never together"


def test_a_service_that_compose_orders_and_nobody_calls_is_no_trouble() -> None:
    stack, told = shop()
    assert connectivity.judge_pair(stack, told, Pair("edge", "db", 5432), heard("unknown name")) is None


def test_one_cause_seen_by_several_is_one_finding() -> None:
    stack, told = shop()
    wanted = [Pair(caller, "db", 5433, True) for caller in ("app", "edge", "redis")]
    found = [connectivity.judge_pair(stack, told, p, heard("connection refused", "10.2.0.4")) for p in wanted]
    (one,) = connectivity._together([f for f in found if f is not None])
    assert len(one.evidence) == 5


def test_a_program_that_keeps_trying_a_dead_address_is_named() -> None:
    stack, told = shop()
    trying = {
        "edge": (Socket("connecting", 4000, "10.1.0.77", 8000), Socket("established", 4001, "10.1.0.3", 8000)),
        "app": (Socket("connecting", 4002, "93.184.216.34", 443), Socket("connecting", 4003, "10.2.0.4", 5433)),
    }
    (found,) = ports.stale(stack, told, trying)
    assert (found.subject, found.status) == ("edge", Status.WARN)
    assert "10.1.0.77:8000" in found.summary


def test_sockets_are_read_from_the_kernels_tables(tmp_path: Path) -> None:
    if sys.byteorder != "little":
        pytest.skip("the lines are those of a little-endian machine")
    place = tmp_path / "7" / "net"
    place.mkdir(parents=True)
    lines = [
        "  sl  local_address rem_address   st tx_queue rx_queue",
        "   0: 00000000:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0 0 1",
        "   1: 0300A8C0:A1B2 0400A8C0:1538 01 00000000:00000000 00:00000000 00000000  0 0 2",
        "   2: 0300A8C0:A1B3 0900A8C0:1538 02 00000000:00000000 00:00000000 00000000  0 0 3",
        "   3: 0300A8C0:A1B4 0900A8C0:1538 06 00000000:00000000 00:00000000 00000000  0 0 4",
    ]
    (place / "tcp").write_text("\n".join(lines))
    assert sockets(7, tmp_path) == (
        Socket("listening", 8000, "", 0),
        Socket("established", 41394, "192.168.0.4", 5432),
        Socket("connecting", 41395, "192.168.0.9", 5432),
    )
    assert sockets(8, tmp_path) == ()
    assert _place("0000000000000000FFFF0000040014AC:1F40") == ("172.20.0.4", 8000)


async def test_who_may_not_enter_asks_from_the_host_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(*_: object) -> tuple[Reached, ...]:
        raise SourceError("its network cannot be entered: Operation not permitted")

    monkeypatch.setattr(inside, "reach", refused)
    stack, told = shop()
    closed = await closed_port()
    told[stack.services["db"][0].id]["NetworkSettings"]["Networks"][BACK]["IPAddress"] = "127.0.0.1"
    pair = Pair("app", "db", closed, True)
    ((_, one),), within = await connectivity._ask(stack, told, "app", [pair])
    assert (within, one.outcome, one.addresses) == (False, "connection refused", ("127.0.0.1",))
    told[stack.services["db"][0].id]["NetworkSettings"]["Networks"][BACK]["Aliases"] = []
    ((_, one),), _ = await connectivity._ask(stack, told, "app", [pair])
    assert (one.outcome, one.addresses) == ("unknown name", ())


async def closed_port() -> int:
    """A port of this host at which nobody listens."""
    server = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
    port = int(server.sockets[0].getsockname()[1])
    server.close()
    await server.wait_closed()
    return port
