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
from console.replica.attachments import Attachments
from console.replica.replica import Replica
from console.tell.postmortem import FORMATS, render
from tests.postgres.cluster import Server
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


def _claim_and_hand_over(first: Terminal, second: Terminal) -> None:
    """The second host takes a step of the checklist that the first began, and then the command."""
    second.wait_for("SEV-. response")
    second.send("c")
    first.wait_for(r" bo +⏱")
    first.send("c")
    first.wait_for("bo is on it")
    first.send("H")
    first.wait_for("Hand the command to whom")
    first.send("bo", "enter")
    first.wait_for("The brief")
    first.send("enter")
    second.wait_for("ana hands the command over to you")
    second.send("H")
    second.wait_for("I take the command")
    second.send("up", "enter")
    first.wait_for("bo accepted the command")
    for terminal in (first, second):
        terminal.wait_for("IC bo")


async def catch_up(store: IncidentStore, dsn: str) -> None:
    replica, attachments = Replica(dsn, store), Attachments(dsn, store)
    task = asyncio.create_task(replica.run())
    try:
        assert await replica.drain(15.0) == 0
        await attachments.exchange()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        replica.close()
        attachments.close()


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
        first.wait_for(r"● (\d+) saved · DB \1 ──", 30)
        second.wait_for("Seen on both hosts", 30)
        second.send("I")
        second.wait_for("── Timeline")
        for terminal in (first, second):
            terminal.wait_for("here: ana, bo")
        _claim_and_hand_over(first, second)
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
            terminal.wait_for(r"● (\d+) saved · DB \1 ──", 30)
            terminal.send("q")
            assert terminal.wait_exit() == 0
    stores = [IncidentStore(Path(env["SEVDECK_DATA_DIR"]), Actor("reader")) for env in (ana, bo)]
    asyncio.run(catch_up(stores[0], ana["RECORD"]))  # that the second left came after the first had gone
    ids = [listed.id for store in stores for listed in store.list()]
    folds = [store.incident(id) for store, id in zip(stores, ids, strict=True)]
    assert folds[0] == folds[1] and folds[0].commander == "bo" and not any(one.here for one in folds[0].people)
    for format in FORMATS:
        here, there = (render(store.directory(id), format) for store, id in zip(stores, ids, strict=True))
        assert here == there, format
    texts = [entry.summary for entry in folds[0].timeline if entry.kind == "note"]
    assert sorted(t.split("] ")[-1] for t in texts) == sorted(
        ["ana looks at the edge", "bo looks at the app", "ana goes on alone", "bo goes on alone"]
    )
