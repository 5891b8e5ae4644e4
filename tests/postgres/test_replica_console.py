"""Two consoles with records of their own and one PostgreSQL: what one types the other sees; the server may be away."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from console.incident.events import Actor
from console.incident.store import IncidentStore
from tests.postgres.conftest import Server
from tests.pty.terminal import Terminal

CONSOLE = [sys.executable, "-m", "console"]
ROOT = Path(__file__).parents[2]


def host(place: Path, name: str, dsn: str) -> dict[str, str]:
    """The environment of somebody on a host of their own."""
    home = place / name
    home.mkdir()
    (home / "sevdeck.toml").write_text('[replica]\ndsn = "env:RECORD"\n')
    return {
        "HOME": str(home),
        "PYTHONPATH": str(ROOT),
        "DOCKER_HOST": f"unix://{home}/no-engine.sock",
        "SEVDECK_DATA_DIR": str(home / "data"),
        "SEVDECK_CONFIG": str(home / "sevdeck.toml"),
        "SUDO_USER": name,
        "LANG": "C.UTF-8",
        "RECORD": dsn,
    }


def note(terminal: Terminal, text: str) -> None:
    terminal.send("n")
    terminal.wait_for("what you saw, did, or think")
    terminal.send(text, "enter")
    terminal.wait_for(rf"● .*|{text}")


@pytest.mark.timeout(150)
def test_two_hosts_one_incident_and_a_server_that_goes_away(postgres: Server, tmp_path: Path) -> None:
    async def make() -> None:
        admin: asyncpg.Connection[Any] = await asyncpg.connect(postgres.dsn())
        await admin.execute("drop database if exists two_hosts")
        await admin.execute("create database two_hosts")
        await admin.close()

    asyncio.run(make())
    ana, bo = (host(tmp_path, name, postgres.dsn("two_hosts")) for name in ("ana", "bo"))
    made = subprocess.run(
        [*CONSOLE, "replica", "init"], env={**os.environ, **ana}, cwd=ROOT, capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr
    with Terminal(CONSOLE, env=ana) as first, Terminal(CONSOLE, env=bo) as second:
        for terminal in (first, second):
            terminal.wait_for(r"cpu .* load")
        first.send("D")
        first.wait_for("Declare an incident")
        first.send("Seen on both hosts", "enter")
        first.wait_for(r"Declare SEV-\d")
        first.send("D")
        first.wait_for("DB in step", 30)
        second.wait_for("Seen on both hosts", 30)
        second.send("I")
        second.wait_for("── Timeline")
        note(first, "ana looks at the edge")
        second.wait_for("ana looks at the edge")
        note(second, "bo looks at the app")
        first.wait_for("bo looks at the app")
        postgres.stop()
        for terminal in (first, second):
            terminal.wait_for("DB offline")
        note(first, "ana goes on alone")
        note(second, "bo goes on alone")
        first.wait_for(r"● \d+ saved · DB offline .*\d+ waiting")
        postgres.start()
        first.wait_for("bo goes on alone", 30)
        second.wait_for("ana goes on alone", 30)
        for terminal in (first, second):
            terminal.wait_for("DB in step", 30)
            terminal.send("q")
            assert terminal.wait_exit() == 0
    folds = []
    for env in (ana, bo):
        store = IncidentStore(Path(env["SEVDECK_DATA_DIR"]), Actor("reader"))
        (listed,) = store.list()
        folds.append(store.incident(listed.id))
    assert folds[0] == folds[1]
    texts = [entry.summary for entry in folds[0].timeline if entry.kind == "note"]
    assert sorted(t.split("] ")[-1] for t in texts) == sorted(
        ["ana looks at the edge", "bo looks at the app", "ana goes on alone", "bo goes on alone"]
    )
