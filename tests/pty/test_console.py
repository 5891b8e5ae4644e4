"""The console as people have it: a real process on a real terminal."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.pty.fake_engine import HOSTILE, FakeEngine
from tests.pty.terminal import Terminal, has_terminal

CONSOLE = [sys.executable, "-m", "console"]
ROOT = Path(__file__).parents[2]
# What a terminal obeys and Textual itself never sends: window titles, clipboard, device strings, C1 forms.
OBEYED = re.compile(rb"\x1b\](?!22;)|\x1bP(?!\+q|=|>)|\x1b\^|\x1b_|\xc2[\x80-\x9f]|\xe2\x80\xae|owned\x07|\x1b\[2J\xc2")


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """No Docker, no config, a home of its own."""
    return {
        "HOME": str(tmp_path),
        "PYTHONPATH": str(ROOT),
        "DOCKER_HOST": f"unix://{tmp_path}/no-engine.sock",
        "SEVDECK_DATA_DIR": str(tmp_path / "data"),
        "LANG": "C.UTF-8",
    }


def open_console(env: dict[str, str], cols: int = 120, rows: int = 40, config: str = "") -> Terminal:
    if config:
        path = Path(env["HOME"]) / "sevdeck.toml"
        path.write_text(config)
        env["SEVDECK_CONFIG"] = str(path)
    return Terminal(CONSOLE, cols=cols, rows=rows, env=env, cwd=Path(env["HOME"]))


def test_opens_without_docker_and_says_what_is_missing(env: dict[str, str]) -> None:
    with open_console(env) as terminal:
        terminal.wait_for(r"cpu .* load")
        terminal.wait_for(r"no data: .*[Dd]ocker")
        terminal.wait_for("sevdeck init")
        terminal.send("q")
        assert terminal.wait_exit() == 0


def test_diagnosis_opens_from_the_dashboard_runs_the_checks_and_leads_back(env: dict[str, str]) -> None:
    with open_console(env, 80, 24) as terminal:
        terminal.wait_for("is out of reach")
        terminal.send("i")
        terminal.wait_for("── Checks")
        terminal.wait_for("[✖○] the Docker engine is out of reach")
        terminal.wait_until(lambda t: "ended" not in t and "beginning" not in t, "the end of the checks")
        terminal.send("\x1b")
        terminal.wait_for("── Containers")
        terminal.send("RG")
        terminal.wait_for("── Checks")
        terminal.send("q")
        assert terminal.wait_exit() == 0


def test_opens_with_a_read_only_home(env: dict[str, str], tmp_path: Path) -> None:
    home = tmp_path / "sealed"
    home.mkdir(mode=0o555)
    env = {**env, "HOME": str(home), "XDG_RUNTIME_DIR": str(tmp_path / "run")}
    env.pop("SEVDECK_DATA_DIR")
    (tmp_path / "run").mkdir(mode=0o700)
    with Terminal(CONSOLE, env=env, cwd=tmp_path) as terminal:
        terminal.wait_for(r"cpu .* load")
        terminal.send("q")
        assert terminal.wait_exit() == 0


def test_small_terminal_shows_one_pane_and_reaches_all(env: dict[str, str]) -> None:
    with open_console(env, 80, 24) as terminal:
        terminal.wait_for("── Containers")
        assert "── Host" not in terminal.text()
        for key, title in (("1", "Host"), ("3", "Business"), ("4", "Logs"), ("2", "Containers")):
            terminal.send(key)
            terminal.wait_for(f"── {title}")
        terminal.resize(120, 40)
        terminal.wait_until(lambda t: "── Host" in t and "── Business" in t and "── Logs" in t, "all panes")
        terminal.resize(80, 24)
        terminal.wait_until(lambda t: "── Host" not in t and "── Containers" in t, "one pane again")


def test_help_lists_the_keys_of_the_screen(env: dict[str, str]) -> None:
    with open_console(env) as terminal:
        terminal.wait_for(r"cpu .* load")
        terminal.send("?")
        terminal.wait_for("Keys of the dashboard screen")
        terminal.send("esc")
        terminal.wait_until(lambda t: "Keys of the" not in t, "help closed")


def test_hostile_names_and_lines_reach_no_terminal(env: dict[str, str], tmp_path: Path) -> None:
    log = tmp_path / "evil.log"
    log.write_text(f"2026-11-22T03:12:00Z ERROR {HOSTILE} drowned\n")
    # A process may call itself what it likes.
    busy = subprocess.Popen(["sh", "-c", r"printf 'x\033]0;own\007' > /proc/$$/comm; while :; do :; done"])
    try:
        socket = tmp_path / "engine.sock"
        config = f'[docker]\nhost = "unix://{socket}"\n[[logs]]\nname = "evil"\npath = "{log}"\n'
        with FakeEngine(socket), open_console(env, config=config) as terminal:
            terminal.wait_for(r"\\x1b\]52;c;.*unhealthy")
            terminal.wait_for(r"top .*\\x1b")
            terminal.send("4", "z")
            terminal.wait_for("drowned")
            terminal.send("z", "2", "enter")
            terminal.wait_for("Last log lines")
            terminal.send("esc")
            terminal.wait_for("── Host")
            terminal.send("D")
            terminal.wait_for("Declare an incident")
            terminal.send("esc")
            terminal.wait_until(lambda t: "Declare an" not in t, "the dialog closed")
            terminal.send("q")
            terminal.wait_exit()
            assert not OBEYED.search(bytes(terminal.raw)), OBEYED.search(bytes(terminal.raw))
    finally:
        busy.kill()
        busy.wait()


def test_no_color_means_no_colour(env: dict[str, str]) -> None:
    with open_console({**env, "NO_COLOR": "1"}) as terminal:
        terminal.wait_for(r"cpu .* load")
        assert not re.search(rb"\x1b\[[0-9;]*[34]8;[25];[0-9;]*m", bytes(terminal.raw))
        assert not re.search(rb"\x1b\[(?:[0-9;]*;)?3[1-6]m", bytes(terminal.raw))


def test_linux_console_gets_ascii(env: dict[str, str]) -> None:
    with open_console({**env, "TERM": "linux"}) as terminal:
        terminal.wait_for(r"cpu .* load")
        assert "-- Host" in terminal.text()
        assert not re.search("[●▲✖○─▁█]", terminal.text())


@pytest.mark.parametrize("how", ["dumb", "pipe"])
def test_without_a_terminal_a_sentence(env: dict[str, str], how: str) -> None:
    if how == "dumb":
        with open_console({**env, "TERM": "dumb"}) as terminal:
            assert terminal.wait_exit() == 2
            assert "sevdeck snapshot" in bytes(terminal.raw).decode()
            return
    done = subprocess.run(CONSOLE, env={**os.environ, **env}, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 2
    assert "sevdeck snapshot" in done.stderr
    assert "Traceback" not in done.stderr


def declare(terminal: Terminal, title: str) -> None:
    terminal.send("D")
    terminal.wait_for("Declare an incident")
    terminal.send(title, "enter")
    terminal.wait_for(r"Declare SEV-\d")
    terminal.send("D")
    terminal.wait_for(r"SEV-\d\s+INC-\d{4}-\d{4}")


def events(env: dict[str, str]) -> list[dict[str, object]]:
    found = []
    for path in Path(env["SEVDECK_DATA_DIR"]).glob("incidents/*/*.jsonl"):
        found += [json.loads(line)["e"] for line in path.read_text().splitlines()]
    return found


@pytest.mark.parametrize("how", ["hang up", "kill"])
def test_a_lost_terminal_loses_nothing_and_leaves_nothing(env: dict[str, str], how: str) -> None:
    terminal = open_console(env)
    try:
        terminal.wait_for(r"cpu .* load")
        declare(terminal, "Checkout returns 502")
        if how == "hang up":
            terminal.hang_up()
        else:
            terminal.process.kill()
        terminal.wait_exit(5)
        declared = [e for e in events(env) if e["k"] == "declared"]
        assert [e["d"]["title"] for e in declared] == ["Checkout returns 502"]  # type: ignore[index]
        assert not psutil.pid_exists(terminal.process.pid)
    finally:
        terminal.close()


def test_a_second_console_sees_the_incident_within_a_second(env: dict[str, str]) -> None:
    with open_console(env) as first, open_console(dict(env)) as second:
        first.wait_for(r"cpu .* load")
        second.wait_for(r"cpu .* load")
        second.send("I")
        declare(first, "Webhooks fail")
        stored = next(p.stat().st_mtime for p in Path(env["SEVDECK_DATA_DIR"]).glob("incidents/*/*.jsonl"))
        second.wait_for("Webhooks fail")
        assert time.time() - stored < 3.0
        first.send("I", "n")
        first.wait_for("what you saw, did, or think")
        first.send("looked at nginx", "enter")
        second.wait_for("looked at nginx")


def test_a_terminal_that_goes_without_a_signal_leaves_no_process(env: dict[str, str], tmp_path: Path) -> None:
    """Under `su -c` and the like the terminal controls nobody, so that no hang-up signal comes."""
    inside = f"echo $$ > {tmp_path}/pid; exec {' '.join(CONSOLE)}"
    with Terminal(["setsid", "--wait", "sh", "-c", inside], env=env) as terminal:
        terminal.wait_for(r"cpu .* load")
        console = psutil.Process(int((tmp_path / "pid").read_text()))
        assert not has_terminal(console.pid), "it has a controlling terminal: this proves nothing"
        terminal.hang_up()
        console.wait(10)


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Path]:
    """A log that grows ten lines a second."""
    path, stop = tmp_path / "app.log", threading.Event()

    def write() -> None:
        number = 0
        with path.open("a") as log:
            while not stop.wait(0.1):
                number += 1
                log.write(f"2026-11-22T03:12:00Z INFO api request {number} done\n")
                log.flush()

    path.touch()
    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    yield path
    stop.set()
    thread.join()


def test_log_lines_arrive_and_survive_rotation(env: dict[str, str], writer: Path) -> None:
    with open_console(env, config=f'[[logs]]\nname = "app"\npath = "{writer}"\n') as terminal:
        terminal.wait_for(r"request \d+ done")
        other = writer.with_suffix(".1")
        writer.rename(other)
        writer.write_text("2026-11-22T03:13:00Z WARNING api after the rotation\n")
        terminal.wait_for("after the rotation")


def test_a_paused_console_says_so_and_sends_nothing(env: dict[str, str], writer: Path) -> None:
    with open_console(env, config=f'[[logs]]\nname = "app"\npath = "{writer}"\n') as terminal:
        terminal.wait_for(r"request \d+ done")
        terminal.send("space")
        terminal.wait_for(r"Host .* paused ─")
        terminal.wait_for("space goes on")  # the notice, which may come after the word on the pane
        terminal.wait_until(lambda text: "space goes on" not in text, "the notice gone")
        time.sleep(0.3)
        before = len(terminal.raw)
        time.sleep(2.5)
        assert len(terminal.raw) == before
        newest = int(re.findall(r"request (\d+) done", terminal.text())[-1])
        terminal.send("space")
        terminal.wait_until(
            lambda text: int(re.findall(r"request (\d+) done", text)[-1]) > newest and "paused ─" not in text, "life"
        )
