"""Logs of real containers: by their json-file and by the engine's API, through a restart, with a traceback."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from console.config import DockerConfig
from console.watch.containers import Container, ContainersSource
from console.watch.engine_api import Engine
from console.watch.engine_host import engine_socket, find_endpoint
from console.watch.logs import LogHub, LogRecord
from console.watch.logstream import ContainerStream
from tests.engine.conftest import without
from tests.engine.far import WAYS, reached
from tests.lab.shell import run
from tests.sshd import missing

SCRIPT = (
    "import sys,time\n"
    "print('2026-11-22 03:12:01 INFO started', flush=True)\n"
    "print('2026-11-22 03:12:02 ERROR refused', file=sys.stderr, flush=True)\n"
    "for n in range(10**6):\n"
    "    print('tick', n, flush=True); time.sleep(0.05)\n"
)


@pytest.fixture
def ticking(engine: str) -> Iterator[str]:
    """The id of a container that writes twenty lines a second."""
    name = f"sevdeck-test-logs-{time.monotonic_ns()}"
    image = run(["docker", "image", "ls", "-q", "sevdeck-lab/base"], timeout=20).stdout.split()
    if not image:
        pytest.skip("the lab's base image is not built here")
    made = run(["docker", "run", "-d", "--name", name, image[0], "python3", "-uc", SCRIPT], timeout=60)
    yield made.stdout.strip()
    run(["docker", "rm", "-f", name], timeout=60)


def soon(what: Callable[[], bool], seconds: float = 20.0) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "it never became so"
        time.sleep(0.05)


async def found(container: str) -> Container:
    source = ContainersSource(DockerConfig())
    try:
        reading = await source.read()
    finally:
        await source.close()
    return next(one for one in reading.containers if one.id == container)


def records(hub: LogHub) -> list[LogRecord]:
    got = [hub.record(seq) for seq in range(hub.buffer.first, hub.buffer.next)]
    return [record for record in got if record is not None]


async def test_a_real_container_is_followed_through_a_restart(ticking: str) -> None:
    hub = LogHub(docker=DockerConfig())
    hub.start()
    try:
        hub.set_containers([await found(ticking)])
        soon(lambda: hub.buffer.next > 20)
        levels = {record.message: record.level for record in records(hub)}
        assert levels["started"] == "info" and levels["refused"] == "error"
        run(["docker", "restart", "-t", "0", ticking], timeout=60)
        hub.set_containers([await found(ticking)])
        soon(lambda: sum(record.message == "started" for record in records(hub)) == 2)
        assert all(abs((record.at or 0) - time.time()) < 600 for record in records(hub) if "tick" in record.message)
    finally:
        hub.close()


@pytest.mark.parametrize("way", ("socket", *WAYS))
def test_the_api_streams_both_outputs_and_goes_on_after_a_restart(
    ticking: str, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "ssh" and (why := missing()):
        without(why)
    path = engine_socket(find_endpoint("", os.environ).host)
    assert path is not None
    with contextlib.ExitStack() as until_end:
        if way != "socket":
            patch = until_end.enter_context(monkeypatch.context())
            for name, value in until_end.enter_context(reached(way, path, tmp_path)).items():
                patch.setenv(name, value)
        followed(ticking)


def followed(ticking: str) -> None:
    data: list[bytes] = []
    engine = Engine(DockerConfig())
    stream = ContainerStream("app", ticking, False, engine, lambda chunk, old: data.append(chunk))
    stream.start()
    try:
        soon(lambda: b"".join(data).count(b"tick") > 5)
        run(["docker", "restart", "-t", "0", ticking], timeout=60)
        soon(lambda: b"".join(data).count(b"started") == 2)
        text = b"".join(data)
        assert text.count(b"ERROR refused") == 2
        stamps = [line.split(b" ")[0] for line in text.split(b"\n") if line]
        assert len(stamps) == len(set(stamps)), "a line came twice"
    finally:
        stream.close()
        engine.close()
