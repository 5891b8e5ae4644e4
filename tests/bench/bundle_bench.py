"""An evidence bundle of the practice stack beside bare `docker inspect` and `docker logs` of the same containers."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path

from console.checks.bundle import collect, write
from console.checks.bundle.files import Written
from console.checks.bundle.masking import Masker
from console.checks.scene import Scene
from console.config import Config, read
from tests.bench.table import Row
from tests.bench.timing import at
from tests.lab.lab import Lab
from tests.lab.shell import run

_PROJECT, _OFFSET = "bench", 500
_MUST = 10.0  # seconds
_MEGABYTES = 20


def rows(quick: bool) -> list[Row]:
    masking = _masking()
    if run(["docker", "version"], check=False, timeout=10).returncode:
        return [Row("evidence bundle of the practice stack", "no Docker engine answers", "", "", "10 s"), masking]
    lab = Lab(_PROJECT, _OFFSET)
    lab.up()
    try:
        with tempfile.TemporaryDirectory(prefix="bench-bundle-", dir=Path.home()) as place:
            return [*_measured(lab, Path(place), 3 if quick else 10), masking]
    finally:
        lab.down()


def _measured(lab: Lab, place: Path, rounds: int) -> list[Row]:
    file = place / "sevdeck.toml"
    file.write_text(lab.config(), encoding="utf-8")
    mine: list[float] = []
    bare: list[float] = []
    for _ in range(rounds):
        began = time.perf_counter()
        told = asyncio.run(_bundle(read(file), place))
        mine.append(time.perf_counter() - began)
        raw, size = _bare(lab.stack.project)
        bare.append(raw)
        shutil.rmtree(told.path)
    assert told.archive is not None
    if max(mine) > _MUST:
        raise RuntimeError(f"a bundle took {max(mine):.1f} s")
    packed = told.archive.stat().st_size
    return [
        Row(
            "evidence bundle of the practice stack: asked, masked, on disk and packed",
            f"median {at(mine, 0.5):.2f} s, worst {max(mine):.2f}",
            f"docker inspect + logs of the same {at(bare, 0.5):.2f} s",
            f"{at(mine, 0.5) / at(bare, 0.5):.1f}x",
            f"{_MUST:g} s",
        ),
        Row(
            "... its size",
            f"{told.files} files, {told.bytes // 1024} KiB, packed {packed // 1024}",
            f"inspect + logs {size // 1024} KiB",
            "",
            "",
        ),
    ]


async def _bundle(config: Config, place: Path) -> Written:
    scene = Scene(config)
    try:
        return write(await collect(scene), place, archive=True)
    finally:
        await scene.close()


def _bare(project: str) -> tuple[float, int]:
    """Seconds and bytes of the two commands for each container of the project."""
    began = time.perf_counter()
    names = run(["docker", "ps", "--all", "--quiet", "--filter", f"label=com.docker.compose.project={project}"])
    size = 0
    for name in names.stdout.split():
        size += len(run(["docker", "inspect", name]).stdout)
        told = run(["docker", "logs", "--since", "60m", "--timestamps", name])
        size += len(told.stdout) + len(told.stderr)
    return time.perf_counter() - began, size


def _masking() -> Row:
    line = '2026-11-23T10:00:00.000000000Z INFO 10.0.0.1 - "GET /products/{n} HTTP/1.1" 200 512 took 12 ms\n'
    text = "".join(line.format(n=n) for n in range(_MEGABYTES * 1_000_000 // len(line)))
    masker = Masker(f"value-{n}-Xk29fLq07" for n in range(20))
    began = time.process_time()
    masker.text(text, Counter())
    took = time.process_time() - began
    return Row(
        "masking a log with 20 known values, of one processor's time",
        f"{len(text) / took / 1e6:.1f} MB/s",
        "",
        "",
        "20 MB/s",
    )
