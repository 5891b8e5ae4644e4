"""Who holds secrets on this host is asked here, before anything is kept: containers, Compose files, `.env`, settings."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from console.checks.bundle import harvest
from console.checks.scene import Scene
from console.config import Config, inline_secrets, resolve_secret
from console.errors import SevdeckError, SourceError
from console.programs.compose import present, words
from console.programs.docker import run_docker
from console.text import clean
from console.watch.lane import Lane

COMPOSE_DEADLINE = 8.0  # seconds
_FILES_DEADLINE = 3.0
_FILE_LIMIT = 256 * 1024  # bytes of a `.env` file or of a Compose secret


@dataclass(frozen=True, slots=True)
class Known:
    """`values` are masked wherever they stand. `unread` says in words where no values could be looked for."""

    values: frozenset[str] = frozenset()
    unread: tuple[str, ...] = ()


async def known(scene: Scene) -> Known:
    """Every value that is known to be secret. Never raises: what cannot be asked is said."""
    found: list[str] = list(_of_settings(scene.config))
    everywhere: set[str] = set()
    unread: list[str] = []
    try:
        for told in (await scene.inspects()).values():
            found += harvest.values_in(told)
            everywhere |= set(_names(told))
    except SourceError as error:
        unread.append(f"containers: {error.message}")
    try:
        rendered = await compose_config(scene)
        found += harvest.values_in(rendered)
        everywhere |= {str(name) for name in rendered.get("services") or ()} | {str(rendered.get("name", ""))}
    except SourceError as error:
        rendered = {}
        unread.append(f"Compose files: {error.message}")
    lane = Lane("secrets in files")
    try:
        environments, secrets = await _files(scene, rendered)
        found += await lane.call(lambda: list(_of_files(environments, secrets)), deadline=_FILES_DEADLINE)
    except SourceError as error:
        unread.append(f"files: {error.message}")
    finally:
        lane.close()
    return Known(harvest.usable(found, everywhere), tuple(unread))


async def compose_config(scene: Scene) -> Mapping[str, Any]:
    """What Compose makes of the project's files, with every variable filled in: full of secrets. Raises SourceError."""

    async def ask() -> Mapping[str, Any]:
        project = await scene.project()
        if not present(project):
            raise SourceError("the Compose files of the project are not on this host")
        ran = await run_docker(
            words(project, "config", "--format", "json"),
            deadline=COMPOSE_DEADLINE,
            host=scene.config.docker.host,
            cwd=project.directory or None,
        )
        if not ran.ok:
            raise SourceError(clean(ran.error, 300) or "docker compose config failed")
        try:
            told = json.loads(ran.out)
        except ValueError as error:
            raise SourceError(f"docker compose config gave no JSON: {clean(str(error), 200)}") from error
        return told if isinstance(told, Mapping) else {}

    return await scene.once("bundle: compose config", ask)


async def _files(scene: Scene, rendered: Mapping[str, Any]) -> tuple[list[Path], list[Path]]:
    """(`.env` files, files that are a secret as a whole) of the project. Raises SourceError."""
    project = await scene.project()
    places = {Path(project.directory)} if project.directory else {Path(file).parent for file in project.files}
    environments = [*(place / ".env" for place in places), *map(Path, project.env_files)]
    told = [one for one in (rendered.get("secrets") or {}).values() if isinstance(one, Mapping)]
    return environments, [Path(str(one["file"])) for one in told if one.get("file")]


def _of_files(environments: Iterable[Path], secrets: Iterable[Path]) -> Iterator[str]:
    for path in environments:
        for name, value in harvest.env_pairs(_text(path)):
            yield from harvest.values_of(name, value)
    for path in secrets:
        text = _text(path).strip()
        yield from (text, *(line for line in text.splitlines() if len(line) >= 16 and "-----" not in line))


def _text(path: Path) -> str:
    """The file, or nothing where there is none to read: containers were asked for the same values."""
    with suppress(OSError), path.open("rb") as file:
        return file.read(_FILE_LIMIT).decode("utf-8", "replace")
    return ""


def _of_settings(config: Config) -> Iterator[str]:
    yield from inline_secrets(config)
    targets = [
        config.database.dsn,
        config.cache.dsn,
        *(p.target for p in config.probes),
        *(m.source for m in config.metrics),
    ]
    for reference in {target for target in targets if target.startswith(("env:", "file:"))}:
        with suppress(SevdeckError):
            yield from harvest.values_of("dsn", resolve_secret(reference))


def _names(told: Mapping[str, Any]) -> Iterator[str]:
    """What stands everywhere because it names a thing, whoever also uses it as a password."""
    config = told.get("Config") or {}
    labels = config.get("Labels") or {}
    yield from (str(told.get("Id", "")), str(told.get("Id", ""))[:12], str(told.get("Image", "")))
    yield from (str(told.get("Name", "")).lstrip("/"), str(config.get("Hostname", "")), str(config.get("User", "")))
    image = str(config.get("Image", ""))
    yield from (image, image.partition(":")[0], image.rpartition(":")[2])
    yield from (str(value) for key, value in labels.items() if key.startswith("com.docker.compose."))
    yield from (str(name) for name in ((told.get("NetworkSettings") or {}).get("Networks") or {}))
    for mount in told.get("Mounts") or ():
        yield from (str(mount.get("Name", "")), str(mount.get("Source", "")), str(mount.get("Destination", "")))
    for name, value in harvest.pairs(config.get("Env") or []):
        if name.endswith(("_USER", "_DB", "_DATABASE", "_HOST", "_HOSTNAME")) or name in {"USER", "HOSTNAME"}:
            yield value
