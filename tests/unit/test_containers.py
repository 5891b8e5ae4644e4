"""Containers read from an engine that answers, lies, hangs, dies and comes back."""

from __future__ import annotations

import asyncio
import errno
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from console.config import DockerConfig
from console.errors import SourceError
from console.watch.container_detail import log_lines, summary_lines
from console.watch.container_records import Container, EngineEvent
from console.watch.containers import ContainersReading, ContainersSource, engine_socket
from console.watch.engine_api import (
    Engine,
    EngineError,
    EngineSilentError,
    NoSuchContainerError,
    agreed_version,
    explain,
)
from console.watch.engine_events import EventStream, Inbox
from console.watch.engine_host import Endpoint, find_endpoint
from console.watch.engine_stats import usage_from_stats
from console.watch.inspected import container_after, container_from_inspect, container_from_list, event_from
from tests.unit.engine_twin import EngineTwin, event, inspected, listed

A, B = "a" * 64, "b" * 64


@pytest.fixture
def twin() -> Iterator[EngineTwin]:
    with EngineTwin() as engine:
        engine.put(inspected())
        yield engine


@pytest.fixture
async def source(twin: EngineTwin) -> AsyncIterator[ContainersSource]:
    containers = ContainersSource(DockerConfig(host=twin.host))
    yield containers
    await containers.close()


async def until(source: ContainersSource, wanted: Any, deadline: float = 8.0) -> ContainersReading:
    """Read on every change until `wanted(reading)`; SourceErrors are waited out."""
    async with asyncio.timeout(deadline):
        while True:
            try:
                reading = await source.read()
                if wanted(reading):
                    return reading
            except SourceError:
                pass
            await source.changed()


async def listening(source: ContainersSource, twin: EngineTwin) -> None:
    """Read until the event stream is open and the look that follows its opening is over."""
    await source.read()
    await asyncio.to_thread(twin.streaming.wait, 5)
    await until(source, lambda _: twin.times(f"/containers/{A}/json") >= 2)


def the(reading: ContainersReading, id_: str = A) -> Container:
    return next(container for container in reading.containers if container.id == id_)


# -- what the engine says


def test_a_container_from_inspect() -> None:
    container = container_from_inspect(inspected(Pid=77))
    assert (container.name, container.project, container.service, container.label) == (
        "shop-app-1",
        "shop",
        "app",
        "app",
    )
    assert (container.status, container.running, container.exit_code, container.pid) == ("running", True, None, 77)
    assert (container.cpu_limit, container.memory_limit, container.restart_policy) == (1.5, 1 << 28, "unless-stopped")
    assert container.ports == ("0.0.0.0:8080->80/tcp",)
    assert container.depends_on == ("postgres", "redis")
    assert (container.started_at, container.finished_at) == (1767261600.5, None)
    assert (container.cpu, container.memory, container.health) == (None, None, "")


def test_an_exited_container_keeps_its_code_and_reason() -> None:
    container = container_from_inspect(inspected(Status="exited", ExitCode=137, OOMKilled=True))
    assert (container.exit_code, container.oom_killed, container.pid) == (137, True, None)


def test_the_last_failing_health_check_is_shown_cleaned_and_without_secrets() -> None:
    log = [
        {"ExitCode": 1, "Output": "old"},
        {"ExitCode": 1, "Output": "cannot reach\n\x1b]0;owned\x07 postgres://app:s3cr3tpw@db/shop"},
        {"ExitCode": 0, "Output": "fine"},
    ]
    health = {"Status": "unhealthy", "FailingStreak": 3, "Log": log}
    container = container_from_inspect(inspected(Health=health))
    assert container.health == "unhealthy" and container.failing_streak == 3
    assert container.health_detail.startswith("cannot reach ")
    assert "\x1b" not in container.health_detail and "s3cr3tpw" not in container.health_detail


def test_a_healthy_container_shows_no_old_failure() -> None:
    health = {"Status": "healthy", "FailingStreak": 0, "Log": [{"ExitCode": 1, "Output": "old"}]}
    assert container_from_inspect(inspected(Health=health)).health_detail == ""


def test_names_from_outside_are_cleaned() -> None:
    assert "\x1b" not in container_from_inspect(inspected(name="x\x1b[31m\x1b]0;own\x07")).name


def test_an_engine_that_leaves_everything_out_is_not_an_error() -> None:
    container = container_from_inspect({"Id": A, "State": None, "Config": {"Labels": None}, "HostConfig": None})
    assert (container.status, container.restart_policy, container.networks) == ("", "no", ())
    assert container_from_list({"Id": A}).id == A


def test_the_list_tells_less_but_the_same() -> None:
    full, short = container_from_inspect(inspected()), container_from_list(listed(inspected()))
    assert (short.name, short.service, short.status, short.networks) == (
        full.name,
        full.service,
        full.status,
        full.networks,
    )
    assert short.started_at is None and short.exit_code is None


def test_events_in_words() -> None:
    known = {A: container_from_inspect(inspected())}
    died = event_from(event("die", 5.0, exitCode="137"), known)
    assert died == EngineEvent(5.0, "die", A, "shop-app-1", "app", "shop", "exit 137")
    health = event_from(event("health_status: unhealthy", 5.0), known)
    assert health is not None and (health.action, health.detail) == ("health_status", "unhealthy")
    network = {
        "Type": "network",
        "Action": "disconnect",
        "Actor": {"ID": "n", "Attributes": {"container": A, "name": "back"}},
    }
    cut = event_from(network | {"timeNano": 1}, known)
    assert cut is not None and (cut.action, cut.name, cut.detail) == ("network disconnect", "shop-app-1", "back")
    assert event_from(event("exec_create: sh", 5.0), known) is None


@pytest.mark.parametrize(
    ("action", "detail", "field", "value"),
    [
        ("die", "exit 3", "exit_code", 3),
        ("die", "exit 3", "status", "exited"),
        ("start", "", "started_at", 9.0),
        ("pause", "", "status", "paused"),
        ("oom", "", "oom_killed", True),
        ("health_status", "unhealthy", "health", "unhealthy"),
        ("network disconnect", "shop_back", "networks", ()),
        ("network connect", "other", "networks", ("other", "shop_back")),
    ],
)
def test_an_event_is_believed(action: str, detail: str, field: str, value: object) -> None:
    happened = EngineEvent(9.0, action, A, "", "", "", detail)
    assert getattr(container_after(container_from_inspect(inspected()), happened), field) == value


# -- reading


async def test_a_first_reading_needs_no_docker_py(tmp_path: Path) -> None:
    program = f"""
import asyncio, sys
sys.path.insert(0, {str(Path.cwd())!r})
from tests.unit.engine_twin import EngineTwin, inspected
from console.config import DockerConfig
from console.watch.containers import ContainersSource
async def main():
    with EngineTwin() as twin:
        twin.put(inspected())
        source = ContainersSource(DockerConfig(host=twin.host))
        reading = await source.read()
        print(reading.containers[0].label, 'docker' in sys.modules, 'requests' in sys.modules)
        await source.close()
asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    assert said.decode().split() == ["app", "False", "False"]


async def test_a_reading_names_engine_and_containers(source: ContainersSource, twin: EngineTwin) -> None:
    reading = await source.read()
    assert (reading.engine, reading.host) == ("Docker 20.10.24 (API 1.41)", twin.host)
    assert the(reading).restarts == 2


async def test_at_rest_nothing_is_asked_and_readings_are_equal(source: ContainersSource, twin: EngineTwin) -> None:
    first = await source.read()
    asked = [path for path in twin.asked if path != "/_ping"]
    second = await source.read()
    assert second == first and second.containers[0] is first.containers[0]
    assert [path for path in twin.asked if path != "/_ping"] == asked


async def test_a_death_is_shown_before_the_engine_has_tidied_up(source: ContainersSource, twin: EngineTwin) -> None:
    await listening(source, twin)
    twin.tell(event("die", time.time(), exitCode="137"))  # inspect and list still say running
    reading = await until(source, lambda reading: the(reading).status == "exited")
    assert (the(reading).exit_code, the(reading).deaths) == (137, 1)
    assert reading.events[-1].action == "die"
    twin.put(inspected(Status="restarting", ExitCode=137))
    reading = await until(source, lambda reading: the(reading).status == "restarting")
    assert the(reading).deaths == 1


async def test_what_was_before_the_last_inspect_is_history_not_news(source: ContainersSource, twin: EngineTwin) -> None:
    await listening(source, twin)
    twin.tell(event("die", time.time() - 60, exitCode="1"))
    reading = await until(source, lambda reading: reading.events)
    assert (the(reading).status, the(reading).deaths) == ("running", 1)


async def test_new_and_removed_containers(source: ContainersSource, twin: EngineTwin) -> None:
    await listening(source, twin)
    twin.put(inspected(), inspected(B, "shop-new-1"))
    twin.tell(event("create", time.time(), B))
    await until(source, lambda reading: len(reading.containers) == 2)
    twin.put(inspected(B, "shop-new-1"))
    twin.tell(event("destroy", time.time()))
    reading = await until(source, lambda reading: len(reading.containers) == 1)
    assert reading.containers[0].id == B


async def test_a_lost_stream_is_opened_again_and_everything_looked_at(
    source: ContainersSource, twin: EngineTwin
) -> None:
    await listening(source, twin)
    twin.put(inspected(Status="exited", ExitCode=9))
    twin.cut()
    reading = await until(source, lambda reading: the(reading).status == "exited")
    assert the(reading).exit_code == 9
    assert twin.times("/events") >= 2


async def test_a_container_whose_lock_hangs_is_shown_as_the_list_tells(
    source: ContainersSource, twin: EngineTwin
) -> None:
    twin.put(inspected(), inspected(B, "stuck"))
    twin.hanging.add(f"/containers/{B}/json")
    reading = await source.read()
    assert (the(reading, B).status, the(reading, B).name) == ("running", "stuck")
    assert the(reading, B).health_detail == "the engine does not answer about this container"
    assert the(reading, A).restarts == 2


async def test_a_frozen_engine_is_told_within_three_seconds_and_its_return_within_two(
    source: ContainersSource, twin: EngineTwin
) -> None:
    await source.read()
    twin.freeze()
    began = time.monotonic()
    with pytest.raises(EngineSilentError, match="does not answer"):
        async with asyncio.timeout(5):
            while True:
                await source.read()
                await source.changed()
    assert time.monotonic() - began < 3.0
    twin.thaw()
    began = time.monotonic()
    await until(source, lambda _: True)
    assert time.monotonic() - began < 2.0


async def test_an_engine_frozen_from_the_start_hangs_nothing(source: ContainersSource, twin: EngineTwin) -> None:
    twin.freeze()
    began = time.monotonic()
    with pytest.raises(EngineError, match="does not answer"):
        await source.read()
    assert time.monotonic() - began < 3.0


async def test_closing_waits_for_nothing(twin: EngineTwin) -> None:
    source = ContainersSource(DockerConfig(host=twin.host))
    await source.read()
    twin.freeze()
    began = time.monotonic()
    await source.close()
    assert time.monotonic() - began < 0.5
    with pytest.raises(SourceError, match="closed"):
        await source.read()


def test_deaths_are_counted_over_two_minutes() -> None:
    inbox = Inbox(lambda: None)
    for at in (100.0, 210.0, 215.0):
        inbox.add(EngineEvent(at, "die", A, "", "", "", "exit 1"))
    inbox.add(EngineEvent(216.0, "start", A, "", "", "", ""))
    assert inbox.deaths(220.1) == {A: 2}
    assert inbox.deaths(400.0) == {}


def test_an_event_told_twice_counts_once() -> None:
    inbox = Inbox(lambda: None)
    for _ in range(2):
        inbox.add(EngineEvent(1.0, "die", A, "", "", "", "exit 1"))
    assert len(inbox.events()) == 1


def test_a_closed_stream_hears_nothing(twin: EngineTwin) -> None:
    inbox = Inbox(lambda: None)
    engine = Engine(DockerConfig(host=twin.host))
    stream = EventStream(engine, inbox, {})
    stream.start()
    assert twin.streaming.wait(5)
    stream.close()
    twin.tell(event("die", 1.0))
    assert inbox.events() == ()
    engine.close()


# -- what goes wrong, in words


async def failure(host: str) -> SourceError:
    source = ContainersSource(DockerConfig(host=host))
    try:
        await source.read()
    except SourceError as error:
        return error
    finally:
        await source.close()
    raise AssertionError("it was read")


async def test_no_socket(tmp_path: Path) -> None:
    error = await failure(f"unix://{tmp_path}/docker.sock")
    assert error.message == f"Docker is not installed or not running here: no {tmp_path}/docker.sock"
    assert "[docker] host" in error.remedy


async def test_a_socket_without_an_engine(tmp_path: Path) -> None:
    path = tmp_path / "d.sock"
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(path))
    error = await failure(str(path))
    assert error.message == f"the Docker engine is stopped: nothing listens on {path}"
    assert "systemctl start docker" in error.remedy


def test_permission_denied() -> None:
    denied = PermissionError(errno.EACCES, "Permission denied")
    error = explain(denied, Endpoint("unix:///var/run/docker.sock"))
    assert error.message == "no permission to use /var/run/docker.sock"
    assert "docker group" in error.remedy


async def test_something_else_behind_the_socket(twin: EngineTwin) -> None:
    twin.answers["/version"] = (200, b"<html>")
    assert (await failure(twin.host)).message == "the answer is not that of a Docker engine"
    twin.answers["/version"] = (200, {"hello": "world"})
    assert (await failure(twin.host)).message == "what answers there is no Docker engine"


async def test_the_engine_s_own_words(twin: EngineTwin) -> None:
    twin.answers["/containers/json"] = (500, {"message": "disk \x1b[31m is full"})
    error = await failure(twin.host)
    assert error.message == "Docker engine: disk is full" or "disk" in error.message
    assert "\x1b" not in error.message and isinstance(error, EngineError) and error.status == 500


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"Version": "1.10", "ApiVersion": "1.22"}, "too old"),
        ({"Version": "99", "ApiVersion": "1.99", "MinAPIVersion": "1.90"}, "too new"),
    ],
)
def test_versions_that_cannot_talk(told: dict[str, str], message: str) -> None:
    with pytest.raises(EngineError, match=message):
        agreed_version(told)


def test_a_newer_engine_is_spoken_to_in_our_version() -> None:
    assert agreed_version({"Version": "29.0", "ApiVersion": "1.52", "MinAPIVersion": "1.44"}).api == "1.45"


def test_podman_is_called_by_its_name() -> None:
    told = {"Version": "4.9.3", "ApiVersion": "1.41", "Components": [{"Name": "Podman Engine"}]}
    assert agreed_version(told).label == "Podman 4.9.3 (API 1.41)"


def test_docker_py_speaks_the_pinned_version_and_fails_in_words(twin: EngineTwin) -> None:
    engine = Engine(DockerConfig(host=twin.host))
    client = engine.client(0.3)
    try:
        assert client.api_version == "1.41"
        with pytest.raises(NoSuchContainerError), engine.plain_words():
            client.inspect_container("gone")
        twin.freeze()
        with pytest.raises(EngineSilentError, match=r"does not answer \(0.3 s\)"), engine.plain_words(0.3):
            client.inspect_container(A)
    finally:
        client.close()
        engine.close()


def test_a_client_of_a_frozen_engine_is_refused_in_time(twin: EngineTwin) -> None:
    twin.freeze()
    began = time.monotonic()
    with pytest.raises(EngineSilentError):
        Engine(DockerConfig(host=twin.host)).client(0.5)
    assert time.monotonic() - began < 1.5


def test_a_slow_trickle_does_not_outlast_the_deadline(tmp_path: Path) -> None:
    path = tmp_path / "t.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        began = time.monotonic()
        with pytest.raises(EngineSilentError):
            Engine(DockerConfig(host=str(path))).ping(0.3)  # connects, and is never served
        assert time.monotonic() - began < 1.0


def test_remote_engines_in_words() -> None:
    engine = Engine(DockerConfig(host="tcp://127.0.0.1:1"))
    with pytest.raises(EngineError, match="refuses connections"):
        engine.pin()
    engine.close()


def test_certificates_that_are_not_there(tmp_path: Path) -> None:
    env = {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(tmp_path)}
    with pytest.raises(EngineError, match="no TLS certificates in"):
        Engine(DockerConfig(host="tcp://127.0.0.1:2376"), env).pin()


# -- where the engine is


def test_the_engine_that_the_docker_command_would_use(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path)}
    assert find_endpoint("", home).host == "unix:///var/run/docker.sock"
    assert find_endpoint("", home | {"DOCKER_HOST": "unix:///run/x.sock"}).path == "/run/x.sock"
    assert find_endpoint("ssh://root@web1", home | {"DOCKER_HOST": "unix:///run/x.sock"}).ssh_target == "root@web1"
    tls = find_endpoint("", home | {"DOCKER_HOST": "tcp://h:2376", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/c"})
    assert (tls.certificates, tls.verify) == (Path("/c"), True)
    assert find_endpoint("", home | {"DOCKER_HOST": "tcp://h:2375"}).certificates is None


def test_the_chosen_docker_context(tmp_path: Path) -> None:
    import hashlib

    settings = tmp_path / ".docker"
    meta = settings / "contexts" / "meta" / hashlib.sha256(b"prod").hexdigest() / "meta.json"
    meta.parent.mkdir(parents=True)
    meta.write_text('{"Name":"prod","Endpoints":{"docker":{"Host":"ssh://deploy@prod","SkipTLSVerify":false}}}')
    (settings / "config.json").write_text('{"currentContext":"prod"}')
    env = {"HOME": str(tmp_path)}
    assert find_endpoint("", env).host == "ssh://deploy@prod"
    assert find_endpoint("", env | {"DOCKER_CONTEXT": "default"}).host == "unix:///var/run/docker.sock"
    assert find_endpoint("unix:///a.sock", env).host == "unix:///a.sock"


def test_the_socket_file_of_a_host() -> None:
    assert engine_socket("/run/d.sock") == Path("/run/d.sock")
    assert engine_socket("ssh://root@web1") is None


# -- remote figures and detail


def test_usage_from_the_stats_api() -> None:
    told = {
        "read": "1970-01-01T00:00:10Z",
        "cpu_stats": {"cpu_usage": {"total_usage": 5}, "throttling_data": {"periods": 4, "throttled_periods": 2}},
        "memory_stats": {"usage": 100, "stats": {"inactive_file": 30}},
        "networks": {"eth0": {"rx_bytes": 1, "tx_bytes": 2}, "eth1": {"rx_bytes": 10, "tx_bytes": 20}},
        "blkio_stats": {"io_service_bytes_recursive": [{"op": "Read", "value": 7}, {"op": "write", "value": 8}]},
    }
    usage = usage_from_stats(told)
    assert usage is not None
    assert (usage.at, usage.cpu, usage.memory, usage.net_in, usage.net_out) == (10.0, 5, 70, 11, 22)
    assert (usage.periods, usage.throttled, usage.disk_read, usage.disk_write) == (4, 2, 7, 8)
    assert usage_from_stats({"read": "0001-01-01T00:00:00Z"}) is None


async def test_figures_come_from_the_stats_api_where_the_processes_are_elsewhere(
    source: ContainersSource, twin: EngineTwin
) -> None:
    twin.put(inspected(Pid=1))  # a process of this host, but not the container's: as with an engine in a machine
    stats = {"read": "2026-01-01T00:00:10Z", "memory_stats": {"usage": 8192}}
    twin.answers[f"/containers/{A}/stats"] = (200, stats)
    async with asyncio.timeout(8):
        while the(await source.read()).memory is None:
            await asyncio.wait([asyncio.ensure_future(source.changed())], timeout=0.05)
    assert the(await source.read()).memory == 8192


async def test_detail_parts_fail_apart(source: ContainersSource, twin: EngineTwin) -> None:
    twin.answers[f"/containers/{A}/top"] = (409, {"message": "Container is not running"})
    twin.answers[f"/containers/{A}/logs"] = (501, {"message": "configured logging driver does not support reading"})
    await source.read()
    detail = await source.describe(A)
    assert (detail.id, detail.name, detail.summary_error) == (A, "shop-app-1", "")
    assert "not running" in detail.processes_error
    assert "does not support reading" in detail.logs_error
    gone = await source.describe("nothing")
    assert "No such container" in gone.summary_error and gone.summary == ()


def test_the_environment_is_told_by_name_only() -> None:
    lines = list(summary_lines(inspected()))
    assert ("env", "DATABASE_PASSWORD=***") in lines
    assert not any("hunter2" in value for _, value in lines)
    assert ("cpu limit", "1.5 cores") in lines and ("memory limit", "256 MiB") in lines


def test_log_lines_keep_their_time_and_lose_their_secrets() -> None:
    raw = b"1970-01-01T00:00:01.5Z login password=hunter2 \x1b[2J\n1970-01-01T00:00:02Z \nno time\n"
    first, empty, bare = log_lines("stderr", raw)
    assert (first.at, first.stream) == (1.5, "stderr")
    assert "hunter2" not in first.text and "\x1b" not in first.text
    assert (empty.at, empty.text) == (2.0, "")
    assert (bare.at, bare.text) == (None, "no time")
