"""How much room Docker takes, kind by kind, asked now and then by whoever fills the history."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from console.config import Config
from console.errors import SevdeckError, SourceError
from console.watch.engine_api import Engine
from console.watch.history.gather import name
from console.watch.history.keeper import Keeper
from console.watch.history.series import Sample
from console.watch.lane import Lane

EVERY = 1800.0  # seconds between two questions
FIRST = 300.0  # who opens a console at a bad hour has other questions to the engine first
_SHARE = 500  # a question that takes a second is asked every 500 s at most: the engine walks through all volumes
_TELL = 60.0
_DEADLINE = 30.0
_LOGS = "*-json.log*"


async def follow(keeper: Keeper[Any], config: Config) -> None:
    """For as long as it is not cancelled. What fails is a gap."""
    lane, engine = Lane("history engine"), Engine(config.docker)
    sizes: list[Sample] = []
    due = time.monotonic() + FIRST
    try:
        while True:
            if keeper.writing and time.monotonic() >= due:
                began = time.monotonic()
                sizes = []
                with suppress(SevdeckError, OSError):
                    sizes = await lane.call(lambda: ask(engine), deadline=_DEADLINE + 5.0)
                due = time.monotonic() + max(EVERY, _SHARE * (time.monotonic() - began))
            for sample in sizes:
                keeper.also(sample)
            await asyncio.sleep(_TELL)
    finally:
        lane.close()
        engine.close()


def ask(engine: Engine) -> list[Sample]:
    """Bytes of images, volumes, containers, build cache and their logs. Blocks. Raises SourceError or OSError."""
    engine.pin()
    try:
        used = sizes(engine.get("/system/df", _DEADLINE))
        root = Path(str(engine.get("/info").get("DockerRootDir") or "/var/lib/docker"))
    except (AttributeError, TypeError, ValueError) as error:
        raise SourceError("the engine does not tell what takes room") from error
    mount = ""
    if engine.local:
        mount = name(str(mount_of(root)))
        with suppress(OSError):  # only root may look in there
            used["logs"] = logs(root)
    return [Sample(("docker", mount, kind), amount, "B") for kind, amount in used.items()]


def sizes(told: Mapping[str, Any]) -> dict[str, int]:
    """Bytes by kind, of the engine's answer to /system/df; what it does not know (-1) counts nothing."""

    def total(key: str, *at: str) -> int:
        amounts = []
        for one in told.get(key) or ():
            for step in at:
                one = (one or {}).get(step)
            amounts.append(max(0, int(one or 0)))
        return sum(amounts)

    return {
        "images": max(0, int(told.get("LayersSize") or 0)),
        "volumes": total("Volumes", "UsageData", "Size"),
        "containers": total("Containers", "SizeRw"),
        "build cache": total("BuildCache", "Size"),
    }


def logs(root: Path) -> int:
    """Bytes of what all containers logged, with what was rotated. Raises OSError."""
    next((root / "containers").iterdir(), None)  # glob is silent about what it may not read
    return sum(path.stat().st_blocks * 512 for path in root.glob(f"containers/*/{_LOGS}"))


def mount_of(path: Path) -> Path:
    """Where the file system that holds `path` is mounted."""
    path = path.resolve()
    while not path.is_mount() and path != path.parent:
        path = path.parent
    return path
