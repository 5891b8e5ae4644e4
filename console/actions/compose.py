"""Docker Compose as a driver: what the project's files say about services and their order.

Only reads. The rendered configuration holds secrets, so nothing of it but names leaves this file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from console.actions.programs import run_program
from console.text import clean

DEADLINE = 3.0  # seconds for one `docker compose config`; it takes about 0.1


@dataclass(frozen=True, slots=True)
class ComposeProject:
    """Where a project comes from: its name, files and directory, from the configuration or from labels."""

    name: str
    files: tuple[str, ...] = ()
    directory: str = ""

    @property
    def present(self) -> bool:
        """True when every file is on this host."""
        return bool(self.files) and all(Path(f).is_file() for f in self.files)


@dataclass(frozen=True, slots=True)
class ComposeServices:
    """What the project's files declare, by service; `problem` "" when they could be read.

    `depends`: services it needs. `networks`: full names of the networks it is to be on.
    """

    depends: Mapping[str, tuple[str, ...]]
    networks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    problem: str = ""


def argv(project: ComposeProject, *words: str, host: str = "") -> list[str]:
    """The command line of one `docker compose` call for this project."""
    command = ["docker", *(["--host", host] if host else []), "compose", "--project-name", project.name]
    if project.directory:
        command += ["--project-directory", project.directory]
    for file in project.files:
        command += ["--file", file]
    return [*command, *words]


async def services(project: ComposeProject, host: str = "", deadline: float = DEADLINE) -> ComposeServices:
    """What the project's files declare. A missing file, plugin or answer is a `problem`, never an exception."""
    if not project.present:
        return ComposeServices({}, problem="the Compose files of the project are not on this host")
    ran = await run_program(argv(project, "config", "--format", "json", host=host), deadline=deadline)
    if not ran.ok:
        return ComposeServices({}, problem=clean(ran.error, 300) or "docker compose config failed")
    try:
        rendered = json.loads(ran.out)
        return ComposeServices(_depends(rendered), _networks(rendered))
    except (ValueError, AttributeError, TypeError) as error:
        return ComposeServices({}, problem=f"docker compose config gave no JSON: {clean(str(error), 200)}")


def _depends(rendered: Any) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for name, service in rendered.get("services", {}).items():
        needs = (service or {}).get("depends_on") or ()
        found[clean(str(name), 200)] = tuple(clean(str(n), 200) for n in needs)
    return found


def _networks(rendered: Any) -> dict[str, tuple[str, ...]]:
    full = {name: str((network or {}).get("name", name)) for name, network in rendered.get("networks", {}).items()}
    found: dict[str, tuple[str, ...]] = {}
    for name, service in rendered.get("services", {}).items():
        wanted = (service or {}).get("networks") or ()
        found[clean(str(name), 200)] = tuple(sorted(clean(full.get(n, n), 300) for n in wanted))
    return found


def start_order(depends: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """Every service after those it needs; names decide where nothing else does. A cycle keeps name order.

    >>> start_order({"nginx": ["app"], "app": ["redis", "postgres"], "postgres": [], "redis": []})
    ('postgres', 'redis', 'app', 'nginx')
    """
    done: list[str] = []
    left = {name: {n for n in needs if n in depends and n != name} for name, needs in depends.items()}
    while left:
        ready = sorted(name for name, needs in left.items() if needs <= set(done))
        ready = ready or [min(left)]
        done += ready
        for name in ready:
            del left[name]
    return tuple(done)
