"""Backups as a person asks for them: find the project's database, make, verify, throw away; one at a time."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from console.actions import gather, restore_survey
from console.actions.backup import checking, making, manifest
from console.actions.backup.manifest import Backup
from console.actions.engine import DockerDriver
from console.actions.facts import Facts, Holder
from console.actions.lock import ProjectLock
from console.actions.postgres import Postgres
from console.checks.check import Finding
from console.config import Config
from console.errors import RefusedError
from console.incident.events import Actor


@dataclass(frozen=True, slots=True)
class Place:
    """The project's database server, and where its backups are."""

    server: Postgres
    directory: Path
    project: str
    service: str


@asynccontextmanager
async def at_work(config: Config, data_dir: Path, actor: Actor, what: str) -> AsyncIterator[Place]:
    """The database, with the project held: no recovery begins meanwhile, and none may be under way.

    Raises LockedError, RefusedError.
    """
    looking = DockerDriver(config.docker)
    try:
        facts = await gather.gather(config, data_dir, driver=looking, probing=False)
    finally:
        looking.close()
    container = _container(facts, config)
    holder = Holder("", actor.name, time.time(), 0, what)
    lock = ProjectLock.acquire(data_dir, facts.project, holder)
    driver = DockerDriver(config.docker, keep_fds=(lock.fd,))
    try:
        place = restore_survey.directory(config, data_dir)
        yield Place(Postgres(driver, container[0]), place, facts.project, container[1])
    finally:
        driver.close()
        lock.release()


def _container(facts: Facts, config: Config) -> tuple[str, str]:
    if not facts.engine.up:
        raise RefusedError(f"the Docker engine cannot be used: {facts.engine.detail}", remedy=facts.engine.remedy)
    found = restore_survey.store(facts, config)
    if found is None:
        raise RefusedError(
            "no service of the project is a PostgreSQL that sevdeck knows", remedy="Name it in [roles] database"
        )
    if not found.running:
        raise RefusedError(f"{found.service} is {found.state}", remedy="A backup needs a server that runs")
    return found.id, found.service


async def create(config: Config, data_dir: Path, actor: Actor) -> Backup:
    """Make a backup of the configured database. Raises SevdeckError."""
    async with at_work(config, data_dir, actor, "backup") as place:
        order = making.Order(place.directory, place.project, config.backup.database, actor)
        return await making.create(place.server, order)


async def verify(
    config: Config, data_dir: Path, actor: Actor, ident: str, *, restore: bool
) -> tuple[Backup, list[Finding]]:
    """Check a backup, and write down that it passed. `restore`: rehearse it in a scratch database too."""
    backup = manifest.find(restore_survey.directory(config, data_dir), ident)
    async with at_work(config, data_dir, actor, "verify a backup") as place:
        found = await checking.check(backup, place.server, config.backup.database)
        good = all(f.status.value in ("ok", "warn") for f in found)
        if good and restore:
            found += await checking.rehearse(backup, place.server, f"sevdeck_rehearsal_{backup.short}")
            good = all(f.status.value in ("ok", "warn") for f in found)
    how = "restored" if restore else "decoded"
    return (checking.passed(backup, how, actor.name) if good else backup), found
