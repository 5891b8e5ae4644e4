"""`sevdeck watch`, `recover auto`, `recover arm` where there is no engine: exit codes, JSON keys, words."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from console.actions import attempts
from console.actions.monitor import heartbeat
from console.actions.monitor.heartbeat import Beat, stamp
from console.cli import main
from console.incident.events import Actor
from console.incident.store import IncidentStore

ROOT = Path(__file__).parents[2]


class Said:
    def __init__(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.data = tmp_path / "data"
        self.data.mkdir()
        file = tmp_path / "sevdeck.toml"
        file.write_text(f'[docker]\nhost = "unix://{tmp_path}/none.sock"\nproject = "shop"\n', encoding="utf-8")
        self.options = ["--config", str(file), "--data-dir", str(self.data)]
        self._capsys = capsys
        self.err = ""

    def __call__(self, *words: str) -> tuple[int, str]:
        code = main([*self.options, *words])
        said = self._capsys.readouterr()
        self.err = said.err
        return code, said.out

    def json(self, *words: str) -> tuple[int, dict[str, Any]]:
        code, out = self(*words, "--json")
        return code, json.loads(out)

    def beat(self, ago: float, state: str = "watching") -> None:
        heartbeat.write(self.data, Beat(stamp(time.time() - ago), 7, os.uname().nodename, "shop", state))


@pytest.fixture
def said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Said:
    return Said(tmp_path, capsys)


@pytest.fixture
def incident(said: Said) -> str:
    return IncidentStore(said.data, Actor.current("cli")).create("down", 2).incident


def test_one_look_without_an_engine_is_not_known_and_does_nothing(said: Said) -> None:
    code, data = said.json("watch", "--once")
    assert code == 4
    assert {"time", "kind", "project", "state", "text", "probes", "suspended", "monitor", "armed", "backoff",
            "automation_frozen"} == data.keys()  # fmt: skip
    assert (data["state"], data["probes"], data["monitor"]) == ("unknown", False, None)
    assert "the Docker engine does not answer" in data["suspended"]
    assert not (said.data / "monitor").exists()
    code, text = said("watch", "--once")
    assert "monitor: none has run here" in text


def test_a_silent_monitor_is_said_by_watch_once_and_by_recover_status(said: Said) -> None:
    said.beat(190)
    data = said.json("watch", "--once")[1]
    assert data["monitor"] == "monitor: silent for 3 min, its process is gone"
    assert "silent for 3 min" in said("watch", "--once")[1]
    assert said("recover", "status")[0] == 2
    assert "monitor: silent for 3 min" in said.err
    said.beat(190, "stopped")
    assert said.json("watch", "--once")[1]["monitor"] == "monitor: stopped 3 min ago"


def test_auto_without_an_engine_waits_and_calls_nobody(said: Said) -> None:
    for words in (("recover", "auto"), ("recover", "auto", "--unattended")):
        code, data = said.json(*words)
        assert (code, data["verdict"], data["page"], data["levels"], data["run_id"]) == (3, "waiting", False, [], None)
        assert {"steps", "outcome", "validation", "observation", "reason", "help"} <= data.keys()
    assert "NOT NOW: the Docker engine cannot be used" in said("recover", "auto")[1]
    assert not (said.data / "runs").exists()


def test_asking_for_more_than_is_allowed_is_said(said: Said) -> None:
    said("recover", "auto", "--max-level", "4")
    assert "level 2 is the most that runs without arming; asked for 4" in said.err
    assert said("recover", "auto", "--max-level", "-1")[0] == 2
    assert said("watch", "--max-level", "-1")[0] == 2
    assert said("recover", "auto", "--incident", "INC-2026-0099")[0] == 2
    assert said("recover", "auto", "--incident", "current")[0] == 2


def test_arming_wants_words_an_open_incident_and_at_most_an_hour(said: Said, incident: str) -> None:
    arm = ("recover", "arm", "3", "--incident", "current")
    assert said(*arm)[0] == 3
    assert "--confirm 'arm level 3'" in said.err
    confirmed = (*arm, "--confirm", "arm level 3")
    assert said(*confirmed, "--for", "61m")[0] == 3
    assert said(*confirmed, "--for", "soon")[0] == 2
    assert said("recover", "arm", "4", "--incident", incident)[0] == 3
    assert "never run unattended" in said.err
    code, data = said.json(*confirmed, "--for", "30m")
    assert (code, data["level"], data["incident"]) == (0, 3, incident)
    assert said.json("watch", "--once")[1]["armed"].startswith(f"level 3 is armed for {incident} by ")
    assert said.json("recover", "disarm")[1] == {"level": 3, "incident": incident}
    assert said.json("recover", "disarm")[1] == {"level": None, "incident": None}
    assert said.json("watch", "--once")[1]["armed"] is None


def test_what_is_frozen_and_how_long_the_next_attempt_waits_is_in_the_status(said: Said) -> None:
    now = time.time()
    attempts.update(said.data, "shop", lambda known: known.begun(now).begun(now).froze("worse than before", now))
    data = said.json("watch", "--once")[1]
    assert data["automation_frozen"] == "worse than before"
    assert data["backoff"].startswith("next attempt in ")


def until(seen: Callable[[], bool], deadline: float = 20) -> None:
    end = time.monotonic() + deadline
    while not seen():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize(("number", "code", "words"), [(signal.SIGTERM, 0, "a signal"), (signal.SIGINT, 130, "Ctrl-C")])
def test_a_signal_ends_it_within_two_seconds_and_the_last_line_says_so(
    said: Said, number: signal.Signals, code: int, words: str
) -> None:
    command = [sys.executable, "-m", "console", *said.options, "watch", "--json"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        until(lambda: heartbeat.read(said.data) is not None)
        second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30)
        assert (second.returncode, "a monitor watches already" in second.stderr) == (3, True)
        began = time.monotonic()
        process.send_signal(number)
        out, _ = process.communicate(timeout=10)
        assert time.monotonic() - began < 2
    finally:
        process.kill()
        process.wait()
    lines = [json.loads(line) for line in out.splitlines()]
    assert process.returncode == code
    assert all({"time", "kind", "project", "text"} <= line.keys() for line in lines)
    assert lines[0]["kind"] == "started"
    assert lines[-1]["kind"] == "stopped"
    assert words in lines[-1]["text"]
    beat = heartbeat.read(said.data)
    assert beat is not None
    assert beat.state == "stopped"


def test_a_reader_that_leaves_does_not_end_the_watching(said: Said) -> None:
    command = [sys.executable, "-m", "console", *said.options, "watch"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        until(lambda: (found := heartbeat.read(said.data)) is not None and "does not answer" in found.suspended, 30)
        assert process.poll() is None
        process.terminate()
        assert process.wait(10) == 0
        assert process.stderr is not None
        assert b"Traceback" not in process.stderr.read()
        process.stderr.close()
    finally:
        process.kill()
        process.wait()
