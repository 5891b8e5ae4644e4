"""The burning world: a full disk, an ssh connection that drops, an editor over the console."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.pty.terminal import Terminal
from tests.pty.test_console import CONSOLE, ROOT, declare, env, events, open_console
from tests.sshd import missing, sshd

__all__ = ["env"]  # the fixture


def without(reason: str) -> None:
    """Skip, or fail where the real thing is required."""
    if os.environ.get("SEVDECK_REQUIRE_ENGINE") == "1":
        pytest.fail(f"this test is required here, but {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.getuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)]).returncode:
        without("mounting a small tmpfs needs root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(place: Path) -> None:
    hog = os.open(place / "hog", os.O_WRONLY | os.O_CREAT)
    try:
        while os.write(hog, b"x" * 4096):
            pass
    except OSError:
        pass  # full: that is what was wanted
    finally:
        os.close(hog)


def test_a_full_disk_opens_the_console_and_is_told(env: dict[str, str], small_disk: Path) -> None:
    env["SEVDECK_DATA_DIR"] = str(small_disk / "data")
    fill(small_disk)
    with open_console(env) as terminal:
        terminal.wait_for(r"cpu .* load")
        terminal.send("D")
        terminal.wait_for("Declare an incident")
        terminal.send("Disk is full", "enter")
        terminal.wait_for(r"Declare SEV-\d")
        terminal.send("D")
        terminal.wait_for("(?i)no space|disk is full|full")
        assert terminal.process.poll() is None


def test_an_entry_written_before_the_disk_filled_up_and_one_after_it(env: dict[str, str], small_disk: Path) -> None:
    env["SEVDECK_DATA_DIR"] = str(small_disk / "data")
    with open_console(env) as terminal:
        terminal.wait_for(r"cpu .* load")
        declare(terminal, "Disk fills up")
        terminal.wait_for("── Checklist")
        fill(small_disk)
        # The journal holds a reserve, so that the record goes on.
        terminal.send("n")
        terminal.wait_for("what you saw, did, or think")
        terminal.send("written on a full disk", "enter")
        terminal.wait_for("root written on a full disk")
    notes = [e for e in events(env) if e["k"] == "note"]
    assert [n["d"]["text"] for n in notes] == ["written on a full disk"]  # type: ignore[index]


def test_when_no_room_is_left_a_key_records_elsewhere(env: dict[str, str], small_disk: Path, tmp_path: Path) -> None:
    env["SEVDECK_DATA_DIR"] = str(small_disk / "data")
    env["XDG_RUNTIME_DIR"] = str(tmp_path)
    (small_disk / "data").mkdir(mode=0o700)
    (small_disk / "room").write_bytes(bytes(32 * 1024))  # enough to declare, too little for a reserve
    fill(small_disk)
    (small_disk / "room").unlink()
    with open_console(env) as terminal:
        terminal.wait_for(r"cpu .* load")
        declare(terminal, "Disk is nearly full")
        terminal.wait_for("── Checklist")
        fill(small_disk)
        for number in range(20):
            terminal.send("n")
            terminal.wait_for("what you saw, did, or think")
            terminal.send(f"note {number} " + "of some length " * 40, "enter")
            terminal.wait_for(rf"root .*note {number} of|NOT SAVED")
            if "NOT SAVED" in terminal.text():
                break
        terminal.send("ctrl+w")
        terminal.wait_for("the disk is full: recording in ")
        terminal.wait_for(rf"root .*note {number} of")
    spare = list((tmp_path / "sevdeck").rglob("*.jsonl"))
    assert len(spare) == 1 and f"note {number} of" in spare[0].read_text()


def test_a_dropped_ssh_connection_ends_the_console_and_loses_nothing(env: dict[str, str], tmp_path: Path) -> None:
    if why := missing():
        without(why)
    marker = f"SEVDECK_TEST_MARK={tmp_path.name}"
    settings = " ".join(f"{name}='{value}'" for name, value in {**env, "TERM": "xterm-256color"}.items())
    remote = f"env {marker} {settings} {sys.executable} -m console"
    with sshd(tmp_path) as server, Terminal([*server.command, "-tt", "127.0.0.1", remote], env=env) as terminal:
        terminal.wait_for(r"cpu .* load", 30)
        declare(terminal, "Declared over ssh")
        console = next(
            p for p in psutil.process_iter(["environ"]) if (p.info["environ"] or {}).get("SEVDECK_TEST_MARK") == tmp_path.name
            and p.name().startswith("python")
        )  # fmt: skip
        session = next(p for p in console.parents() if p.name().startswith("sshd"))
        session.kill()
        console.wait(5)
    declared = [e for e in events(env) if e["k"] == "declared"]
    assert [e["d"]["title"] for e in declared] == ["Declared over ssh"]  # type: ignore[index]
    assert [e["by"]["ssh"] for e in declared] == ["127.0.0.1"]  # type: ignore[index]


def test_the_editor_opens_the_export_and_the_console_comes_back(env: dict[str, str], tmp_path: Path) -> None:
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\necho "EDITING $1"\ncp "$1" "$1.seen"\nread line\n')
    editor.chmod(0o755)
    with open_console({**env, "EDITOR": str(editor)}) as terminal:
        terminal.wait_for(r"cpu .* load")
        declare(terminal, "Something to write about")
        terminal.wait_for("── Checklist")
        terminal.send("ctrl+e")
        terminal.wait_for("EDITING", 20)
        terminal.send("enter")
        terminal.wait_for("── Checklist")
    (seen,) = tmp_path.glob("*.seen")
    assert "Something to write about" in seen.read_text()


def test_a_command_of_another_console_is_seen_and_the_record_verifies(env: dict[str, str]) -> None:
    """What a script writes while the console is open stands in its timeline, and the chains are whole."""
    environment = {**os.environ, **env, "PYTHONPATH": str(ROOT)}
    with open_console(env) as terminal:
        terminal.wait_for(r"cpu .* load")
        declare(terminal, "Two writers")
        terminal.wait_for("── Checklist")
        began = time.monotonic()
        subprocess.run(
            [*CONSOLE, "incident", "note", "current", "from a script"], env=environment, check=True, timeout=30
        )
        terminal.wait_for("from a script", 5)
        assert time.monotonic() - began < 8
    done = subprocess.run(
        [*CONSOLE, "incident", "verify", "current", "--json"],
        env=environment,
        check=True,
        timeout=30,
        capture_output=True,
    )
    assert json.loads(done.stdout)["ok"] is True
