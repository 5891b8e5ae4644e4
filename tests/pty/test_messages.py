"""Messages leave while a console is open, and while the monitor watches; what cannot leave is said on the screen."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.incident import outbox
from tests.lab.shell import wait_until
from tests.pty.terminal import Terminal
from tests.unit.test_notify import Receiver

ROOT = Path(__file__).parents[2]


@pytest.fixture
def ways() -> Iterator[tuple[Receiver, Receiver]]:
    """One that takes messages, and one whose address is wrong."""
    made = Receiver(200), Receiver(404)
    yield made
    for one in made:
        one.close()


@pytest.fixture
def env(tmp_path: Path, ways: tuple[Receiver, Receiver]) -> dict[str, str]:
    slack, hook = (one.url for one in ways)
    file = tmp_path / "sevdeck.toml"
    file.write_text(f'[notify.slack]\nurl = "{slack}"\n[notify.webhook]\nurl = "{hook}"\n')
    outbox.put(tmp_path / "data", ("slack", "webhook"), "page", "shop: frozen", "call a person", time.time())
    return {
        "HOME": str(tmp_path),
        "PYTHONPATH": str(ROOT),
        "DOCKER_HOST": f"unix://{tmp_path}/no-engine.sock",
        "SEVDECK_DATA_DIR": str(tmp_path / "data"),
        "SEVDECK_CONFIG": str(file),
        "LANG": "C.UTF-8",
    }


def test_an_open_console_sends_and_says_what_it_could_not_send(
    env: dict[str, str], ways: tuple[Receiver, Receiver], tmp_path: Path
) -> None:
    with Terminal([sys.executable, "-m", "console"], cols=120, rows=40, env=env, cwd=tmp_path) as terminal:
        terminal.wait_for("NOT SENT to webhook")
        terminal.send("q")
        assert terminal.wait_exit() == 0
    assert [message["text"].splitlines()[0] for message in ways[0].got] == ["PAGE: shop: frozen"]
    (told,) = outbox.read(tmp_path / "data")
    assert {name: delivery.state for name, delivery in told.channels.items()} == {"slack": "sent", "webhook": "failed"}


def test_the_monitor_sends_and_says_what_it_could_not_send(
    env: dict[str, str], ways: tuple[Receiver, Receiver], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with out.open("wb") as file:
        watching = subprocess.Popen(
            [sys.executable, "-m", "console", "watch"], env=env, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT
        )
        try:
            wait_until(lambda: "NOT SENT to webhook" in out.read_text(), "what could not be sent", deadline=20)
        finally:
            watching.terminate()
            assert watching.wait(10) == 0
    assert ways[0].got[0]["text"].startswith("PAGE: shop: frozen")
