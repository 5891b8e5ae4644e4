"""Logs that stream: the engine's frames and reconnects over a real socket, journalctl as a real process."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from console.config import DockerConfig
from console.watch.engine_api import Engine
from console.watch.logs import LogHub
from console.watch.logstream import ContainerStream, JournalStream, Stream
from tests.unit.engine_twin import EngineTwin, inspected
from tests.unit.readings_made import container

ID = "a" * 64
LOGS = f"/containers/{ID}/logs"


class Sink:
    """Collects what a stream hands on."""

    def __init__(self) -> None:
        self.data = b""
        self._changed = threading.Condition()

    def __call__(self, data: bytes, old: bool) -> None:
        with self._changed:
            self.data += data
            self._changed.notify_all()

    def wait_for(self, seen: Callable[[bytes], bool]) -> bytes:
        with self._changed:
            assert self._changed.wait_for(lambda: seen(self.data), 10), self.data
            return self.data


def frame(text: bytes, stream: int = 1) -> bytes:
    return bytes((stream, 0, 0, 0)) + len(text).to_bytes(4, "big") + text


def stamped(second: int, text: str) -> bytes:
    return f"2026-11-22T03:12:{second:02d}.123456789Z {text}\n".encode()


def soon(what: Callable[[], bool], seconds: float = 10.0) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "it never became so"
        time.sleep(0.01)


def followed(twin: EngineTwin, sink: Sink, *, tty: bool = False) -> Stream:
    stream = ContainerStream("app", ID, tty, Engine(DockerConfig(host=twin.host)), sink)
    stream.start()
    return stream


def test_frames_are_taken_apart_and_lines_come_whole() -> None:
    with EngineTwin() as twin:
        one, two = stamped(1, "from stdout"), stamped(2, "a line in two frames")
        body = frame(one) + frame(two[:40], 2) + frame(two[40:], 2) + frame(b"2026-11-22T03:12:03.1Z no newline")
        twin.answers[LOGS] = (200, body)
        sink = Sink()
        stream = followed(twin, sink)
        assert sink.wait_for(lambda data: b"no newline" in data).startswith(one + two)
        stream.close()


def test_a_terminal_has_no_frames() -> None:
    with EngineTwin() as twin:
        twin.answers[LOGS] = (200, stamped(1, "plain"))
        sink = Sink()
        stream = followed(twin, sink, tty=True)
        assert sink.wait_for(lambda data: b"plain" in data) == stamped(1, "plain")
        stream.close()


def test_after_a_reconnect_no_line_comes_twice() -> None:
    with EngineTwin() as twin:
        twin.answers[LOGS] = (200, frame(stamped(1, "first")))
        sink = Sink()
        stream = followed(twin, sink)
        sink.wait_for(lambda data: b"first" in data)
        twin.answers[LOGS] = (200, frame(stamped(1, "first")) + frame(stamped(2, "second")))
        stream.wake()
        data = sink.wait_for(lambda data: b"second" in data)
        assert data == stamped(1, "first") + stamped(2, "second")
        stream.close()


def test_an_engine_that_dies_is_a_fault_in_words_and_comes_back() -> None:
    with EngineTwin() as twin:
        twin.answers[LOGS] = (500, {"message": "the sky falls"})
        sink = Sink()
        stream = followed(twin, sink)
        soon(lambda: "the sky falls" in stream.fault)
        twin.answers[LOGS] = (200, frame(stamped(1, "again")))
        stream.wake()
        sink.wait_for(lambda data: b"again" in data)
        assert stream.fault == ""
        stream.close()


def test_the_hub_reads_a_container_by_the_api_where_its_file_is_not_here() -> None:
    with EngineTwin() as twin:
        facts = inspected(ID)
        facts["LogPath"] = "/nowhere/x-json.log"
        facts["HostConfig"]["LogConfig"] = {"Type": "json-file"}
        twin.put(facts)
        twin.answers[LOGS] = (200, frame(stamped(1, "2026-11-22 03:12:01 ERROR no route")))
        hub = LogHub(docker=DockerConfig(host=twin.host))
        hub.start()
        hub.set_containers([container("app", id=ID)])
        soon(lambda: hub.buffer.next == 1)
        record = hub.record(0)
        assert record is not None
        assert (record.source, record.level, record.message) == ("app", "error", "no route")
        assert record.at == 1795317121.123456
        hub.close()


def test_the_hub_reads_the_json_file_where_it_can(tmp_path: Path) -> None:
    with EngineTwin() as twin:
        path = tmp_path / "x-json.log"
        entry = {"log": "WARNING: pool exhausted\n", "stream": "stderr", "time": "2026-11-22T03:12:01.5Z"}
        path.write_text(json.dumps(entry, separators=(",", ":")) + "\n")
        facts = inspected(ID)
        facts["LogPath"] = str(path)
        facts["HostConfig"]["LogConfig"] = {"Type": "json-file"}
        twin.put(facts)
        hub = LogHub(docker=DockerConfig(host=twin.host))
        hub.start()
        hub.set_containers([container("app", id=ID)])
        soon(lambda: hub.buffer.next == 1)
        record = hub.record(0)
        assert record is not None
        assert (record.level, record.message, record.at) == ("warning", "pool exhausted", 1795317121.5)
        assert hub.path_of("app") == path
        assert twin.times(LOGS) == 0
        hub.close()


def test_a_frozen_engine_is_a_fault_of_the_container() -> None:
    with EngineTwin() as twin:
        twin.freeze()
        hub = LogHub(docker=DockerConfig(host=twin.host))
        hub.start()
        hub.set_containers([container("app", id=ID)])
        soon(lambda: bool(hub.stats().faults))
        (fault,) = hub.stats().faults
        assert fault.name == "app"
        assert "does not answer" in fault.fault
        hub.close()


def test_a_container_that_keeps_no_logs_says_so() -> None:
    with EngineTwin() as twin:
        facts = inspected(ID)
        facts["HostConfig"]["LogConfig"] = {"Type": "none"}
        twin.put(facts)
        hub = LogHub(docker=DockerConfig(host=twin.host))
        hub.start()
        hub.set_containers([container("app", id=ID)])
        soon(lambda: bool(hub.stats().faults))
        assert "keeps no logs" in hub.stats().faults[0].fault
        hub.close()


@pytest.fixture
def journalctl(tmp_path: Path) -> Path:
    """A command that prints two entries and goes on, as journalctl -f does."""
    script = tmp_path / "journalctl"
    entry = '{"__REALTIME_TIMESTAMP":"1795317121123456","PRIORITY":"3","__CURSOR":"s=%d","MESSAGE":"entry %d"}'
    lines = "\n".join(f"echo '{entry % (n, n)}'" for n in (1, 2))
    script.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n{lines}\nexec sleep 60\n')
    script.chmod(0o755)
    return script


def test_a_unit_is_read_from_the_journal(journalctl: Path) -> None:
    sink = Sink()
    stream = JournalStream("ssh", "ssh.service", sink, command=str(journalctl))
    stream.start()
    data = sink.wait_for(lambda data: data.count(b"\n") == 2)
    assert b"entry 1" in data
    asked = (journalctl.parent / "asked").read_text().split()
    assert asked[-2:] == ["-n", "200"] and "--all" in asked and "ssh.service" in asked
    stream.close()


def test_without_journalctl_there_is_a_fault() -> None:
    stream = JournalStream("ssh", "ssh.service", Sink(), command="/nowhere/journalctl")
    stream.start()
    soon(lambda: bool(stream.fault))
    assert stream.fault == "journalctl is not installed here"
    stream.close()
