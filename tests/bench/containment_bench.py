"""Containment beside the engine's bare calls: a container of two networks isolated and released, in turn with both."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from console.actions.containment import control
from console.config import Config, DockerConfig
from console.incident.events import Actor
from console.watch.engine_api import client
from tests.bench.table import Row
from tests.bench.timing import at
from tests.lab.images import BASE, ensure_images
from tests.lab.shell import run

_PROJECT = "sevdeck-bench"
_NETWORKS = (f"{_PROJECT}_back", f"{_PROJECT}_front")
_APP, _PEER = f"{_PROJECT}-app-1", f"{_PROJECT}-peer-1"


def rows(quick: bool) -> list[Row]:
    if run(["docker", "version"], check=False, timeout=10).returncode:
        return [Row("isolate and release a service", "no Docker engine answers", "", "", "0.3 s")]
    ensure_images()
    with _project(), tempfile.TemporaryDirectory(prefix="bench-containment-", dir=Path.home()) as data:
        return asyncio.run(_measured(Path(data), 3 if quick else 12))


async def _measured(data: Path, rounds: int) -> list[Row]:
    passed: list[tuple[float, str]] = []
    config = Config(docker=DockerConfig(project=_PROJECT))
    room = control.Room(
        config, data, Actor.current("cli"), boundary=lambda where: passed.append((time.perf_counter(), where))
    )
    figures: dict[str, list[float]] = {key: [] for key in ("plan", "isolate", "release", "asked", "off", "on")}
    api = client(config.docker)
    try:
        for _ in range(rounds):
            began = time.perf_counter()
            proposal = await control.propose(room, "isolate", "app")
            planned = time.perf_counter()
            done = await control.apply(room, proposal, proposal.confirm)
            isolated = time.perf_counter()
            undone = await control.undo(room, done.entry.id)
            released = time.perf_counter()
            if (done.entry.state, undone.entry.state) != ("active", "undone"):
                raise RuntimeError(f"{done.entry.history} {undone.entry.history}")
            back = max(when for when, where in passed if where.startswith("released"))
            figures["plan"].append(planned - began)
            figures["isolate"].append(isolated - planned)
            figures["release"].append(back - isolated)
            figures["asked"].append(released - isolated)
            figures["off"].append(_bare(lambda n: api.disconnect_container_from_network(_APP, n)))
            figures["on"].append(_bare(lambda n: api.connect_container_to_network(_APP, n, aliases=["app"])))
    finally:
        api.close()

    def row(what: str, key: str, beside: str, bare: str, must: str) -> Row:
        mine = at(figures[key], 0.5)
        yard = at(figures[bare], 0.5) if bare else 0.0
        told = f"{beside} {yard:.3f} s" if bare else ""
        worst = f"median {mine:.3f} s, worst {max(figures[key]):.3f}"
        return Row(what, worst, told, f"+{mine - yard:.3f} s" if bare else "", must)

    two = "two bare calls of the engine"
    return [
        row("containment: plan of an isolation", "plan", "", "", "1 s"),
        row("isolate a service of two networks: confirmed until seen and written", "isolate", two, "off", "0.3 s"),
        row("release it: asked until its names are back and seen", "release", two, "on", "0.3 s"),
        row("... and a neighbour on each network has resolved its name", "asked", two, "on", ""),
    ]


def _bare(call: Any) -> float:
    began = time.perf_counter()
    for network in _NETWORKS:
        call(network)
    return time.perf_counter() - began


@contextlib.contextmanager
def _project() -> Iterator[None]:
    """Two containers on two networks, with the labels that Compose gives."""
    _remove()
    try:
        for network in _NETWORKS:
            run(["docker", "network", "create", network])
        for name, service in ((_APP, "app"), (_PEER, "peer")):
            labels = [f"com.docker.compose.project={_PROJECT}", f"com.docker.compose.service={service}"]
            words = [word for label in labels for word in ("--label", label)]
            run(["docker", "run", "--detach", "--init", "--name", name, "--network", _NETWORKS[0], "--network-alias",
                 service, "--stop-signal", "KILL", *words, BASE, "sleep", "infinity"])  # fmt: skip
            run(["docker", "network", "connect", "--alias", service, _NETWORKS[1], name])
        yield
    finally:
        _remove()


def _remove() -> None:
    run(["docker", "rm", "--force", _APP, _PEER], check=False)
    run(["docker", "network", "rm", *_NETWORKS], check=False)
