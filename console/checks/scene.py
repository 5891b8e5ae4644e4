"""What the checks of one diagnosis look at together: asked for once, by whoever needs it first, shared by all.

A part that cannot be had raises `SourceError` for everybody who asks: their checks then say "unknown" and why.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from console.checks.topology import Topology, topology
from console.config import Config
from console.errors import SourceError
from console.programs import compose
from console.programs.blueprint import Blueprint, ComposeProject
from console.watch.containers import ContainersReading
from console.watch.engine_api import Engine
from console.watch.inspected import container_from_inspect

T = TypeVar("T")

ENGINE_DEADLINE = 3.0  # seconds for one question to the engine

_LABEL = "com.docker.compose."


class Scene:
    """One moment of one host. `data_dir` is where sevdeck's own records are; None where they are not to be read."""

    def __init__(self, config: Config, *, data_dir: Path | None = None, engine: Engine | None = None) -> None:
        self.config = config
        self.data_dir = data_dir
        self.now = time.time()
        self.engine = engine or Engine(config.docker)
        self._asked: dict[str, asyncio.Task[Any]] = {}

    async def once(self, name: str, ask: Callable[[], Awaitable[T]]) -> T:
        """The answer of the first `ask` under this name. Who stops waiting for it does not stop it for others."""
        if name not in self._asked:
            self._asked[name] = asyncio.ensure_future(ask())
        answer: T = await asyncio.shield(self._asked[name])
        return answer

    async def get(self, path: str, deadline: float = ENGINE_DEADLINE, **query: str | int) -> Any:
        """The engine's JSON for GET `path`. Raises SourceError."""

        async def ask() -> Any:
            return await asyncio.to_thread(self.engine.get, path, deadline, **query)

        return await self.once(f"GET {path} {sorted(query.items())}", ask)

    async def inspects(self) -> Mapping[str, Mapping[str, Any]]:
        """Container id -> its whole inspect document, of all containers of this engine, running or not."""
        return await self.once("inspects", self._inspects)

    async def _inspects(self) -> Mapping[str, Mapping[str, Any]]:
        listed = await self.get("/containers/json", all=1)
        ids = [str(entry["Id"]) for entry in listed if isinstance(entry, dict) and entry.get("Id")]
        told = await asyncio.gather(*(self._inspect(one) for one in ids))
        return {str(one["Id"]): one for one in told if one is not None}

    async def _inspect(self, container: str) -> Mapping[str, Any] | None:
        try:
            told = await self.get(f"/containers/{container}/json")
        except SourceError:  # gone since the list, or it cannot be inspected
            return None
        return told if isinstance(told, dict) and "Id" in told else None

    async def stack(self) -> Topology:
        """The services of this engine, their roles and what each needs."""

        async def ask() -> Topology:
            told = (await self.inspects()).values()
            containers = tuple(container_from_inspect(one) for one in told)
            return topology(
                ContainersReading(self.engine.version.label, self.engine.endpoint.host, containers, ()), self.config
            )

        return await self.once("stack", ask)

    async def watched(self) -> tuple[Mapping[str, Any], ...]:
        """The inspect documents of the project that this console looks after, by name."""
        stack, told = await self.stack(), await self.inspects()
        ids = {c.id for label in stack.watched for c in stack.services[label]}
        return tuple(sorted((told[one] for one in ids), key=lambda one: str(one.get("Name", ""))))

    async def blueprint(self) -> Blueprint:
        """What the project's Compose files declare, with Compose's own hashes. Its `problem` says why not."""

        async def ask() -> Blueprint:
            return await compose.read(await self.project(), self.config.docker.host)

        return await self.once("blueprint", ask)

    async def project(self) -> ComposeProject:
        """Where the watched project comes from: settings first, then the labels of its containers."""
        labels = [dict((one.get("Config") or {}).get("Labels") or {}) for one in await self.watched()]
        mine = next((found for found in labels if found.get(_LABEL + "project")), {})
        docker = self.config.docker

        def told(name: str) -> tuple[str, ...]:
            return tuple(filter(None, str(mine.get(f"{_LABEL}project.{name}", "")).split(",")))

        files = tuple(docker.compose_files) or told("config_files")
        directory = str(mine.get(_LABEL + "project.working_dir", ""))
        name = docker.project or str(mine.get(_LABEL + "project", ""))
        return ComposeProject(name, files, directory, told("environment_file"))

    async def close(self) -> None:
        for task in self._asked.values():
            task.cancel()
        await asyncio.gather(*self._asked.values(), return_exceptions=True)
        await asyncio.to_thread(self.engine.close)
