"""Docker Compose as a driver: its command lines, and what the project's files say.

The rendered configuration holds secrets, so nothing of it but what `blueprint` keeps leaves this file.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from console.programs.blueprint import Blueprint, ComposeProject, secret_files, wanted
from console.programs.docker import run_docker
from console.text import clean

DEADLINE = 3.0  # seconds for one `docker compose config`; it takes about 0.1
_UNSET = re.compile(r'The \\?"(\w+)\\?" variable is not set')
# Failures that say nothing of the files: no such plugin, or a file that this user may not read.
_NOT_THE_FILES = re.compile(r"is not a docker command|unknown (?:shorthand )?flag|permission denied", re.IGNORECASE)
_HERE = ("--pull", "never", "--no-build")  # what is made, is made of images that are on this host
CREATE = ("up", "--no-start", *_HERE)
UP = ("up", "--detach", *_HERE)
# For containers that exist: Compose looks every half second whether what they need is well, for each link of the
# chain, although the tiers before were seen to be. A container that it made this way would forget its dependencies.
START = (*UP, "--no-deps", "--no-recreate")


def words(project: ComposeProject, *command: str) -> list[str]:
    """The words after `docker` of one Compose call for this project."""
    found = ["compose", "--project-name", project.name]
    if project.directory:
        found += ["--project-directory", project.directory]
    for file in project.env_files:
        found += ["--env-file", file]
    for file in project.files:
        found += ["--file", file]
    return [*found, *command]


def argv(project: ComposeProject, *command: str, host: str = "") -> list[str]:
    """The whole command line, as a person would type it."""
    return ["docker", *(["--host", host] if host else []), *words(project, *command)]


def present(project: ComposeProject) -> bool:
    """True when every file is on this host, and may be looked at."""
    try:
        return bool(project.files) and all(Path(f).is_file() for f in (*project.files, *project.env_files))
    except OSError:
        return False


async def read(project: ComposeProject, host: str = "", deadline: float = DEADLINE) -> Blueprint:
    """What the project's files declare. A missing file, plugin or answer is a `problem`, never an exception."""
    if not present(project):
        return Blueprint(project, problem="the Compose files of the project are not on this host")
    rendered, hashed = await asyncio.gather(
        *(
            run_docker(words(project, "config", *more), deadline=deadline, host=host, cwd=project.directory or None)
            for more in (("--format", "json"), ("--hash", "*"))
        )
    )
    if not rendered.ok:
        refused = bool(rendered.code) and not rendered.missing and not _NOT_THE_FILES.search(rendered.error)
        problem = clean(rendered.error, 300) or "docker compose config failed"
        return Blueprint(project, problem=problem, refused=refused)
    try:
        told = json.loads(rendered.out)
        unset = tuple(dict.fromkeys(_UNSET.findall(rendered.error)))
        return Blueprint(project, wanted(told, _hashes(hashed.out)), unset=unset, secrets=secret_files(told))
    except (ValueError, AttributeError, TypeError) as error:
        return Blueprint(project, problem=f"docker compose config gave no JSON: {clean(str(error), 200)}")


def _hashes(printed: bytes) -> dict[str, str]:
    lines = (line.split() for line in printed.decode(errors="replace").splitlines())
    return {pair[0]: pair[1] for pair in lines if len(pair) == 2}


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
