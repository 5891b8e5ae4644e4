"""Will the services come back by themselves, tell when they are unwell, and stay within what the host has?

Judged from how the containers were made. It is advice for a quiet hour: several of a kind are one finding, and what
harms nobody yet (a log without a cap that is small) is only said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from console.checks import files
from console.checks.check import Finding, Suggestion, advice
from console.checks.diagnosis import Looked
from console.checks.made import Made, count, listed, made, names
from console.checks.scene import ENGINE_DEADLINE, Scene
from console.config import Limits
from console.errors import SourceError

TASK = 600.0  # seconds: what runs longer is no task that ends by itself
GIB = 2**30
_CHECKED_ROLES = ("edge", "app", "database", "cache")


async def look(scene: Scene) -> Looked:
    """All of it at once: one look at the containers, one question to the engine about itself."""
    some = [made(one) for one in await scene.watched()]
    if not some:
        return Looked()
    stack, info = await asyncio.gather(scene.stack(), scene.get("/info"))
    roles = {c.id: stack.roles.get(label, "") for label, its in stack.services.items() for c in its}
    limits = scene.config.thresholds
    held, sizes = await asyncio.gather(_held(scene, some), _log_sizes(scene, some))
    live = bool(info.get("LiveRestoreEnabled"))
    total = int(info.get("MemTotal") or 0)
    findings = (
        restarts(some, roles, live, scene.now),
        health(some, roles),
        nameless(some),
        logs(some, sizes, limits.get("log_file", Limits())),
        memory(some, held, total, limits.get("unlimited_memory", Limits())),
    )
    found = tuple(finding for finding in findings if finding is not None)
    return Looked(found, cleared(some, live))


def cleared(some: Sequence[Made], live: bool) -> str:
    """What is well, and what is no trouble yet."""
    said = f"{count(len({m.label for m in some}), 'service')} looked at for restart, health check, volumes and limits"
    uncapped, unlimited = [m for m in some if _uncapped(m)], [m for m in some if m.running and not m.memory]
    notes = [f"logs without a cap: {names(uncapped)}"] if uncapped else []
    notes += [f"no memory limit: {names(unlimited)}"] if unlimited else []
    notes += [] if live else ["live-restore is off: containers stop with the engine"]
    return "; ".join([said, *notes])


def restarts(some: Sequence[Made], roles: Mapping[str, str], live: bool, now: float) -> Finding | None:
    """Services that nobody starts again. A task that ended well, or may end soon, is none."""
    bad = [m for m in some if m.restart == "no" and _lasting(m, roles.get(m.id, ""), now)]
    if not bad:
        return None
    containers = " ".join(sorted(m.name for m in bad))
    evidence = [f'{m.label}: restart is "no", the container is {m.status}' for m in bad]
    if not live:
        evidence.append("live-restore is off: a restart of the engine stops them, too, and they stay down")
    return advice(
        "configuration.restart",
        f"{count(len(bad), 'service')} would stay down after a crash or a reboot: {names(bad)}",
        evidence,
        Suggestion(
            f"add `restart: unless-stopped` to {names(bad)}",
            f"at once, without a restart: docker update --restart unless-stopped {containers}",
            "none",
            0.8,
            falsified_by="they are meant to end by themselves",
        ),
    )


def _lasting(one: Made, role: str, now: float) -> bool:
    if one.status == "created" or (one.status == "exited" and one.exit_code == 0):
        return False
    ran = now - one.started if one.started is not None else 0.0
    return bool(role or one.ports or one.checked) or (one.running and ran > TASK)


def health(some: Sequence[Made], roles: Mapping[str, str]) -> Finding | None:
    bad = [m for m in some if m.running and not m.checked and roles.get(m.id, "") in _CHECKED_ROLES]
    if not bad:
        return None
    return advice(
        "configuration.health",
        f"{count(len(bad), 'service')} {'has' if len(bad) == 1 else 'have'} no health check: {names(bad)}",
        [f"{m.label} ({roles[m.id]}): hung and well look the same to the engine" for m in bad],
        Suggestion(
            f"give {names(bad)} a health check",
            "healthcheck: {test: [CMD, ...], interval: 10s, timeout: 3s, retries: 3}; "
            + "; ".join(dict.fromkeys(_TESTS[roles[m.id]] for m in bad)),
            "none",
            0.6,
            cost="their containers are made anew",
            falsified_by="a probe in sevdeck.toml asks each of them directly",
        ),
    )


_TESTS = {
    "edge": "edge: curl -fsS http://127.0.0.1/",
    "app": "app: curl -fsS http://127.0.0.1:PORT/readyz",
    "database": "database: pg_isready -q",
    "cache": "cache: redis-cli ping",
}


def nameless(some: Sequence[Made]) -> Finding | None:
    """Volumes without a name: `docker compose down` and up again begins with empty ones."""
    bad = [(m, mount) for m in some for mount in m.mounts if mount.nameless]
    if not bad:
        return None
    who, lines = names(m for m, _ in bad), sorted({f"{m.label}: NAME:{mount.inside}" for m, mount in bad})
    return advice(
        "configuration.volumes",
        f"data in volumes without a name: {who}",
        [f"{m.label}: {mount.inside} is volume {mount.source[:12]}" for m, mount in bad],
        Suggestion(
            f"name the volumes of {who}",
            f"containers made anew after `down` begin with empty ones; under `volumes:` write {'; '.join(lines)}",
            "none",
            0.6,
            cost="the data must be copied first: docker cp",
            falsified_by="what lies there may be lost: a cache, temporary files",
        ),
    )


def logs(some: Sequence[Made], sizes: Mapping[str, int], limit: Limits) -> Finding | None:
    """Logs that nothing caps and that are big already; `sizes` in bytes by container id."""
    bound = limit.warn if limit.warn is not None else limit.crit
    if bound is None:
        return None
    bad = [m for m in some if _uncapped(m) and sizes.get(m.id, 0) >= bound * GIB]
    if not bad:
        return None
    return advice(
        "configuration.logging",
        f"logs grow without a cap: {listed([f'{m.label} {sizes[m.id] / GIB:.1f} GiB' for m in bad])}",
        [f"{m.log_file} ({m.log_driver} without max-size)" for m in bad],
        Suggestion(
            f"cap the logs of {names(bad)}",
            "logging: {driver: json-file, options: {max-size: 10m, max-file: '3'}}; room now, older lines are lost: "
            + "; ".join(f"truncate -s 0 {m.log_file}" for m in bad),
            "none",
            0.7,
            cost="their containers are made anew",
            falsified_by="something on the host rotates these files",
        ),
    )


def memory(some: Sequence[Made], held: Mapping[str, int], total: int, limit: Limits) -> Finding | None:
    """Containers without a limit that hold much of the host; `held` in bytes by container id."""
    bound = limit.warn if limit.warn is not None else limit.crit
    if bound is None or not total:
        return None
    bad = [m for m in some if not m.memory and 100.0 * held.get(m.id, 0) / total >= bound]
    if not bad:
        return None
    shares = listed([f"{m.label} {100.0 * held[m.id] / total:.0f} %" for m in bad])
    return advice(
        "configuration.memory",
        f"without a memory limit, much of the host: {shares}",
        [f"{m.label} holds {held[m.id] / GIB:.1f} of {total / GIB:.1f} GiB" for m in bad],
        Suggestion(
            f"give {names(bad)} a memory limit",
            "when the host runs out, the kernel may kill others; "
            + "; ".join(f"{m.label}: mem_limit: {max(64, round(held[m.id] * 1.5 / 2**20))}m" for m in bad),
            "none",
            0.5,
            cost="their containers are made anew",
            falsified_by="it is a database that was given the host's memory on purpose",
        ),
    )


def _uncapped(one: Made) -> bool:
    return one.log_driver == "json-file" and not one.log_capped


async def _held(scene: Scene, some: Sequence[Made]) -> dict[str, int]:
    """Bytes that the containers without a limit hold, without file cache. Who does not tell is left out."""

    async def one(m: Made) -> int:
        query: dict[str, str | int] = {"stream": "false", "one-shot": "true"}
        try:
            told = await scene.get(f"/containers/{m.id}/stats", ENGINE_DEADLINE, **query)
        except SourceError:
            return 0
        return in_use(told)

    asked = [m for m in some if m.running and not m.memory]
    return dict(zip((m.id for m in asked), await asyncio.gather(*(one(m) for m in asked)), strict=True))


def in_use(stats: Any) -> int:
    """
    >>> in_use({"memory_stats": {"usage": 900, "stats": {"inactive_file": 200}}}), in_use({})
    (700, 0)
    """
    told = (stats.get("memory_stats") if isinstance(stats, dict) else None) or {}
    kept = told.get("stats") or {}
    return max(0, int(told.get("usage") or 0) - int(kept.get("inactive_file", kept.get("total_inactive_file", 0)) or 0))


async def _log_sizes(scene: Scene, some: Sequence[Made]) -> dict[str, int]:
    """Bytes of the logs that this user may look at, by container id."""
    if not scene.engine.local:
        return {}

    def sizes() -> dict[str, int]:
        found = {}
        for m in some:
            try:
                found[m.id] = Path(m.log_file).stat().st_size if m.log_file else 0
            except OSError:
                continue
        return found

    try:
        return await files.look(sizes)
    except SourceError:
        return {}
