"""What the engine tells: each service's containers, the project's networks and volumes, the engine itself, Compose."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from console.checks.bundle.items import Collector, Got
from console.checks.bundle.known import COMPOSE_DEADLINE, compose_config
from console.checks.scene import Scene
from console.errors import SourceError
from console.programs.compose import words
from console.programs.docker import run_docker
from console.text import clean
from console.watch.engine_tail import Tail, tail
from console.watch.lane import Lane

ANSWER = 8.0  # seconds that the engine has for one answer; the collector's own deadline is a little longer
LOG_SECONDS = 3600
LOG_LINES = 100_000
LOG_BYTES = 10 * 1024 * 1024  # of one container's log
ALL_LOGS = 100 * 1024 * 1024  # of all containers together: they are held in memory until they are masked
_EVENTS_BYTES = 2 * 1024 * 1024


def of_engine(scene: Scene) -> list[Collector]:
    """What is asked without knowing any container."""
    return [
        Collector("docker/version.json", _get(scene, "/version")),
        Collector("docker/info.json", _get(scene, "/info")),
        Collector("docker/df.json", _get(scene, "/system/df")),
        Collector("docker/events.jsonl", lambda: _events(scene)),
        Collector("docker/networks.json", lambda: _networks(scene)),
        Collector("docker/volumes.json", lambda: _volumes(scene)),
        Collector("docker/containers.json", _get(scene, "/containers/json", all=1)),
        Collector("compose/config.json", lambda: _compose(scene)),
        Collector("compose/hashes.json", lambda: _hashes(scene)),
    ]


async def of_services(scene: Scene) -> list[Collector]:
    """Four items for each container of the watched project. Raises SourceError."""
    watched = await scene.watched()
    share = min(LOG_BYTES, ALL_LOGS // max(1, len(watched)))
    found: list[Collector] = []
    for place, told in _places(watched).items():
        found += _of_container(scene, place, told, share)
    return found


def _places(watched: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Directory in the bundle -> inspect document; a name that other systems dislike is made plain."""
    found: dict[str, Mapping[str, Any]] = {}
    for told in watched:
        name = re.sub(r"[^A-Za-z0-9_.-]", "_", str(told.get("Name", "")).lstrip("/"))[:100].lstrip(".") or "unnamed"
        while f"services/{name}" in found:
            name += "_"
        found[f"services/{name}"] = told
    return found


def _of_container(scene: Scene, place: str, told: Mapping[str, Any], share: int) -> list[Collector]:
    container = str(told["Id"])
    path = f"/containers/{container}"

    async def inspect() -> Got:
        return Got(told)

    async def logs() -> Got:
        framed = not (told.get("Config") or {}).get("Tty", False)
        since = int(scene.now) - LOG_SECONDS
        query = {"stdout": 1, "stderr": 1, "timestamps": 1, "since": since, "tail": LOG_LINES}
        return _text(await _tail(scene, f"{path}/logs", share, framed=framed, **query))

    async def stats() -> Got:
        return Got(await _asked(scene, f"{path}/stats", stream=0, **{"one-shot": 1}))

    async def top() -> Got:
        return Got(
            _table(await _asked(scene, f"{path}/top", ps_args="-eo pid,ppid,user,stat,etime,pcpu,pmem,rss,args"))
        )

    found = [Collector(f"{place}/inspect.json", inspect), Collector(f"{place}/logs.txt", logs)]
    if (told.get("State") or {}).get("Running"):
        return [*found, Collector(f"{place}/top.txt", top), Collector(f"{place}/stats.json", stats)]
    return found


def _get(scene: Scene, path: str, **query: int) -> Callable[[], Awaitable[Got]]:
    async def ask() -> Got:
        return Got(await _asked(scene, path, **query))

    return ask


async def _asked(scene: Scene, path: str, **query: str | int) -> Any:
    """The engine's JSON, asked in a thread of its own: one answer that hangs holds up no other."""
    lane = Lane(f"bundle {path}")
    try:
        return await lane.call(lambda: scene.engine.get(path, ANSWER, **query))
    finally:
        lane.close()


async def _tail(scene: Scene, path: str, limit: int, *, framed: bool = False, **query: str | int) -> Tail:
    lane = Lane(f"bundle {path}")
    try:
        return await lane.call(lambda: tail(scene.engine, path, ANSWER, limit, framed=framed, **query))
    finally:
        lane.close()


def _text(told: Tail) -> Got:
    notes = [f"{told.left_out} bytes before these are left out"] if told.left_out else []
    notes += [f"it went on after {ANSWER:g} s"] if told.late else []
    return Got(told.data.decode("utf-8", "replace"), "; ".join(notes))


def _table(told: Any) -> str:
    rows = [told["Titles"], *(told["Processes"] or ())] if isinstance(told, Mapping) and "Titles" in told else []
    return "".join("\t".join(map(str, row)) + "\n" for row in rows)


async def _events(scene: Scene) -> Got:
    now = int(scene.now)
    told = _text(await _tail(scene, "/events", _EVENTS_BYTES, since=now - LOG_SECONDS, until=now))
    events: list[Any] = []
    for line in told.value.splitlines():
        try:
            events.append(json.loads(line))
        except ValueError:  # the one that was cut
            continue
    return Got(events, told.note)


async def _networks(scene: Scene) -> Got:
    watched = await scene.watched()
    names = {name for told in watched for name in (told.get("NetworkSettings") or {}).get("Networks") or {}}
    return Got([await _asked(scene, f"/networks/{name}") for name in sorted(names)])


async def _volumes(scene: Scene) -> Got:
    mounts = [mount for told in await scene.watched() for mount in told.get("Mounts") or ()]
    names = {str(mount["Name"]) for mount in mounts if mount.get("Type") == "volume" and mount.get("Name")}
    return Got([await _asked(scene, f"/volumes/{name}") for name in sorted(names)])


async def _compose(scene: Scene) -> Got:
    return Got(await compose_config(scene))


async def _hashes(scene: Scene) -> Got:
    """Compose's hash of each service as the files have it, and as its containers were made."""
    project = await scene.project()
    if not project.files:
        raise SourceError("no Compose file of the project is known")
    ran = await run_docker(
        words(project, "config", "--hash", "*"),
        deadline=COMPOSE_DEADLINE,
        host=scene.config.docker.host,
        cwd=project.directory or None,
    )
    if not ran.ok:
        raise SourceError(clean(ran.error, 300) or "docker compose config failed")
    files = dict(line.split()[:2] for line in ran.out.decode(errors="replace").splitlines() if len(line.split()) > 1)
    made = {}
    for told in await scene.watched():
        labels = (told.get("Config") or {}).get("Labels") or {}
        made[str(told.get("Name", "")).lstrip("/")] = {
            "service": labels.get("com.docker.compose.service", ""),
            "hash": labels.get("com.docker.compose.config-hash", ""),
        }
    return Got({"files": files, "containers": made})
