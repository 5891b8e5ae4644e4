"""A diagnosis of the practice stack: well, with its app hung, and with everything silent that can be silent."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.bench.table import Row
from tests.bench.timing import at
from tests.lab.lab import Lab
from tests.lab.shell import run

_PROJECT, _OFFSET = "bench", 500
_DEADLINE = 60.0


def rows(quick: bool) -> list[Row]:
    if run(["docker", "version"], check=False, timeout=10).returncode:
        return [Row("diagnosis of the practice stack", "no Docker engine answers", "", "", "2.5 s")]
    lab = Lab(_PROJECT, _OFFSET)
    lab.up()
    try:
        with tempfile.TemporaryDirectory(prefix="bench-diagnosis-") as place:
            return list(_rows(lab, Path(place), 3 if quick else 7))
    finally:
        lab.down()


def _rows(lab: Lab, place: Path, rounds: int) -> Iterator[Row]:
    config = place / "sevdeck.toml"
    config.write_text(lab.config())
    bare = [_timed("docker", "stats", "--no-stream") for _ in range(rounds)]
    beside = f"docker stats --no-stream {at(bare, 0.5):.1f} s"

    def row(what: str, took: list[float], must: float) -> Row:
        told = f"median {at(took, 0.5):.2f} s, worst {max(took):.2f}"
        return Row(what, told, beside, f"{at(took, 0.5) / at(bare, 0.5):.2f} x", f"{must:g} s")

    _diagnosed(config)  # the first one fills the caches of the disk
    yield row("diagnosis, all well: from the command to its answer", [_diagnosed(config) for _ in range(rounds)], 2.5)
    lab.break_("app-hung")
    yield row("... the app hung", [_diagnosed(config) for _ in range(rounds)], 5)
    names = [f"{_PROJECT}-{service}-1" for service in ("postgres", "redis", "edge", "app")]
    run(["docker", "pause", *names])
    try:
        yield row("... every service stands still", [_diagnosed(config) for _ in range(rounds)], 15)
        with _silent(place / "silent.sock") as address:
            config.write_text(lab.config().replace("[docker]", f'[docker]\nhost = "{address}"', 1))
            yield row("... and the engine answers nothing", [_diagnosed(config) for _ in range(rounds)], 15)
    finally:
        run(["docker", "unpause", *names])


def _diagnosed(config: Path) -> float:
    """Seconds from the start of the process to its end, the whole diagnosis printed."""
    command = [sys.executable, "-m", "console", "--config", str(config), "--data-dir", str(config.parent / "data")]
    began = time.perf_counter()
    done = subprocess.run([*command, "--json", "diagnose"], capture_output=True, timeout=_DEADLINE)
    took = time.perf_counter() - began
    assert json.loads(done.stdout)["checks"]
    return took


def _timed(*command: str) -> float:
    began = time.perf_counter()
    run(list(command))
    return time.perf_counter() - began


@contextmanager
def _silent(path: Path) -> Iterator[str]:
    """The address of an engine that takes every connection and never answers."""
    held: list[socket.socket] = []

    def accept() -> None:
        with suppress(OSError):
            while True:
                held.append(server.accept()[0])

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen(64)
        threading.Thread(target=accept, daemon=True).start()
        try:
            yield f"unix://{path}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            for one in held:
                one.close()
