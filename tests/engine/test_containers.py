"""Containers of real engines: the lab's stack as it lives, and a private engine to freeze and kill."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from console.config import DockerConfig
from console.watch.containers import Container, ContainersReading, ContainersSource, engine_socket
from console.watch.engine_api import Engine
from console.watch.engine_host import find_endpoint
from console.watch.source import Reading, Supervisor
from tests.engine.conftest import without
from tests.engine.far import WAYS, reached
from tests.lab.images import TINY
from tests.lab.lab import Lab, PrivateEngine
from tests.sshd import missing

Watch = Callable[[str], Awaitable["Watched"]]


class Watched:
    """A source under its supervisor, and what it published last."""

    def __init__(self, host: str) -> None:
        self.source = ContainersSource(DockerConfig(host=host))
        self.supervisor = Supervisor([self.source], self._published)
        self.reading: Reading[ContainersReading] = Reading()
        self._news = asyncio.Event()

    def _published(self, _: str, reading: Reading[ContainersReading]) -> None:
        self.reading = reading
        self._news.set()

    async def until(self, wanted: Callable[[Reading[ContainersReading]], bool], deadline: float = 20) -> float:
        """Seconds until a published reading is as wanted."""
        began = time.monotonic()
        async with asyncio.timeout(deadline):
            while not wanted(self.reading):
                self._news.clear()
                await self._news.wait()
        return time.monotonic() - began

    async def until_container(self, name: str, wanted: Callable[[Container], bool], deadline: float = 20) -> Container:
        await self.until(lambda _: (found := self.find(name)) is not None and wanted(found), deadline)
        found = self.find(name)
        assert found is not None
        return found

    def find(self, name: str) -> Container | None:
        value = self.reading.value
        return next((each for each in value.containers if each.name == name), None) if value else None

    async def until_listening(self) -> None:
        """The event stream is open once its first look made the engine's memory known."""
        await self.until(lambda reading: reading.value is not None and bool(reading.value.events))


@pytest.fixture
async def watch() -> AsyncIterator[Watch]:
    running: list[tuple[Watched, asyncio.Task[None]]] = []

    async def start(host: str) -> Watched:
        watched = Watched(host)
        running.append((watched, asyncio.create_task(watched.supervisor.run())))
        return watched

    yield start
    for watched, task in running:
        await watched.supervisor.close()
        task.cancel()


def shared_host() -> str:
    return find_endpoint("", os.environ).host


def well(reading: Reading[ContainersReading]) -> bool:
    return reading.value is not None and reading.fault is None


async def test_the_stack_as_it_is(healthy_lab: Lab, watch: Watch) -> None:
    watched = await watch(shared_host())
    name = healthy_lab.stack.container("app")
    app = await watched.until_container(name, lambda c: c.cpu is not None and c.net_in is not None)
    assert (app.project, app.service, app.status, app.health) == (
        healthy_lab.stack.project,
        "app",
        "running",
        "healthy",
    )
    assert set(app.depends_on) == {"postgres", "redis"}
    assert app.memory is not None and app.memory_limit is not None and 0 < app.memory < app.memory_limit
    assert app.started_at is not None and abs(time.time() - app.started_at) < 86400 * 30
    assert any("->8000/tcp" in port for port in app.ports)
    assert watched.reading.value is not None and watched.reading.value.engine.startswith("Docker ")


async def test_figures_agree_with_the_stats_api(healthy_lab: Lab, watch: Watch) -> None:
    """Memory of a quiet container by cgroup files and by the engine's own count."""
    watched = await watch(shared_host())
    name = healthy_lab.stack.container("redis")
    redis = await watched.until_container(name, lambda c: c.memory is not None)
    engine = Engine(DockerConfig(host=shared_host()))
    told = await asyncio.to_thread(engine.get, f"/containers/{redis.id}/stats", 5.0, stream=0)
    engine.close()
    memory = told["memory_stats"]
    detail = memory["stats"]
    counted = memory["usage"] - (detail.get("total_inactive_file") or detail.get("inactive_file") or 0)
    assert redis.memory == pytest.approx(counted, rel=0.2)


async def test_a_busy_container_shows_its_cpu(private_engine: PrivateEngine, watch: Watch) -> None:
    private_engine.docker("run", "-d", "--name", "busy", "--cpus", "0.25", TINY, "sh", "-c", "while :; do :; done")
    watched = await watch(private_engine.host)
    busy = await watched.until_container("busy", lambda c: (c.cpu or 0) > 5 and (c.throttled or 0) > 0.2)
    assert busy.cpu is not None and busy.cpu < 60
    assert busy.cpu_limit == 0.25


async def test_a_kill_is_shown_within_milliseconds(private_engine: PrivateEngine, watch: Watch) -> None:
    names = [f"victim-{number}" for number in range(5)]
    for name in names:
        private_engine.docker("run", "-d", "--name", name, TINY, "sleep", "1000")
    watched = await watch(private_engine.host)
    await watched.until_listening()
    late = []
    for name in names:
        await watched.until_container(name, lambda c: c.status == "running" and c.cpu is not None)
        kill = asyncio.create_task(asyncio.to_thread(private_engine.docker, "kill", name))
        dead = await watched.until_container(name, lambda c: c.status == "exited")
        assert watched.reading.value is not None and watched.reading.taken_at is not None
        died = next(e for e in watched.reading.value.events if e.action == "die" and e.container == dead.id)
        late.append(watched.reading.taken_at - died.at)
        assert (dead.exit_code, dead.deaths, died.detail) == (137, 1, "exit 137")
        await kill
    assert statistics.median(late) < 0.06


async def test_a_crash_loop_is_counted_though_the_engine_forgets(private_engine: PrivateEngine, watch: Watch) -> None:
    watched = await watch(private_engine.host)
    await watched.until(well)
    private_engine.docker("run", "-d", "--name", "loop", "--restart", "always", TINY, "sh", "-c", "exit 3")
    await watched.until_container("loop", lambda c: c.deaths >= 3)
    await asyncio.to_thread(private_engine.docker, "restart", "loop")
    loop = await watched.until_container("loop", lambda c: c.deaths >= 4)
    assert loop.restarts < loop.deaths


async def test_health_pause_and_networks(private_engine: PrivateEngine, watch: Watch) -> None:
    watched = await watch(private_engine.host)
    check = ["--health-cmd", "echo not today; exit 1", "--health-interval", "1s", "--health-retries", "2"]
    private_engine.docker("run", "-d", "--name", "sick", *check, TINY, "sleep", "1000")
    sick = await watched.until_container("sick", lambda c: c.health == "unhealthy" and c.failing_streak >= 2)
    assert sick.health_detail == "not today"
    await asyncio.to_thread(private_engine.docker, "network", "disconnect", "bridge", "sick")
    await watched.until_container("sick", lambda c: c.networks == ())
    await asyncio.to_thread(private_engine.docker, "pause", "sick")
    await watched.until_container("sick", lambda c: c.status == "paused")
    await asyncio.to_thread(private_engine.docker, "unpause", "sick")
    await watched.until_container("sick", lambda c: c.status == "running" and c.pid is not None)
    await asyncio.to_thread(private_engine.docker, "rm", "-f", "sick")
    await watched.until(lambda _: watched.find("sick") is None)


async def test_a_frozen_engine_keeps_its_last_values_and_comes_back(
    private_engine: PrivateEngine, watch: Watch
) -> None:
    private_engine.docker("run", "-d", "--name", "one", TINY, "sleep", "1000")
    watched = await watch(private_engine.host)
    await watched.until_container("one", lambda c: c.running)
    await watched.until_listening()
    private_engine.freeze()
    marked = await watched.until(lambda reading: reading.fault is not None)
    assert marked < 3.5  # 3 s are promised; the rest is this machine's
    assert watched.reading.fault is not None and "does not answer" in watched.reading.fault.reason
    assert watched.find("one") is not None
    private_engine.thaw()
    assert await watched.until(well) < 2.0
    await asyncio.to_thread(private_engine.docker, "kill", "one")
    await watched.until_container("one", lambda c: c.status == "exited")


async def test_an_engine_killed_and_started_again(private_engine: PrivateEngine, watch: Watch) -> None:
    private_engine.docker("run", "-d", "--name", "one", TINY, "sleep", "1000")
    watched = await watch(private_engine.host)
    await watched.until_container("one", lambda c: c.running)
    await watched.until_listening()
    await asyncio.to_thread(private_engine.kill)
    await watched.until(lambda reading: reading.fault is not None, 5)
    assert watched.reading.fault is not None
    assert watched.reading.fault.reason.startswith(("the Docker engine is stopped", "Docker is not installed or not"))
    await asyncio.to_thread(private_engine.start)
    await watched.until_container("one", lambda c: well(watched.reading) and c.status == "exited")
    await asyncio.to_thread(private_engine.docker, "start", "one")
    await watched.until_container("one", lambda c: c.running)


@pytest.mark.parametrize("way", WAYS)
async def test_a_remote_engine_gives_figures_by_its_stats(
    healthy_lab: Lab, way: str, watch: Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = engine_socket(shared_host())
    assert path is not None
    if way == "ssh" and (why := missing()):
        without(why)
    with reached(way, path, tmp_path) as env:
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        watched = await watch("")
        name = healthy_lab.stack.container("app")
        app = await watched.until_container(name, lambda c: c.cpu is not None and c.net_in is not None, 40)
        assert app.memory is not None and app.memory > 1_000_000
        detail = await watched.source.describe(name)
        assert (detail.summary_error, detail.processes_error, detail.logs_error) == ("", "", "")
        await watched.supervisor.close()


async def test_detail_of_a_container(healthy_lab: Lab, watch: Watch) -> None:
    watched = await watch(shared_host())
    name = healthy_lab.stack.container("app")
    app = await watched.until_container(name, lambda c: c.running)
    detail = await watched.source.describe(app.id)
    assert (detail.summary_error, detail.processes_error, detail.logs_error) == ("", "", "")
    keys = {key for key, _ in detail.summary}
    assert {"image", "command", "started", "restart policy", "network", "port", "env", "health check", "mount"} <= keys
    assert all(value.endswith("=***") for key, value in detail.summary if key == "env")
    assert any(" as " in value and "app" in value for key, value in detail.summary if key == "network")
    assert "PID" in detail.process_titles and any("python3" in word for row in detail.processes for word in row)
    assert 0 < len(detail.logs) <= 200
    stamps = [line.at or 0.0 for line in detail.logs]
    assert stamps == sorted(stamps) and stamps[-1] > 0
