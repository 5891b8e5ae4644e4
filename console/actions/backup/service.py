"""Backups as a person asks for them: find the project's database, make, verify, throw away; one at a time."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from console.actions import gather, restore_survey
from console.actions.backup import checking, making, manifest
from console.actions.backup.alongside import NOTHING, Wanted
from console.actions.backup.hook import Hook
from console.actions.backup.manifest import Backup
from console.actions.backup.shelf import directory, hook, known
from console.actions.engine import DockerDriver
from console.actions.facts import Facts, Holder
from console.actions.lock import ProjectLock
from console.actions.postgres import Postgres
from console.checks.check import Finding, Status
from console.config import Config
from console.errors import RefusedError, UsageError
from console.incident.events import Actor

_DAMAGE = ("file", "bytes", "decode", "header", "restore")  # the backup itself; another server or database is no damage


@dataclass(frozen=True, slots=True)
class Place:
    """The project's database server, and where its backups are."""

    server: Postgres
    directory: Path
    project: str
    service: str
    alongside: Wanted = NOTHING


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
        place = directory(config, data_dir)
        yield Place(Postgres(driver, container[0]), place, facts.project, container[1], _alongside(facts, config))
    finally:
        driver.close()
        lock.release()


def _alongside(facts: Facts, config: Config) -> Wanted:
    """The files that the project is built from, where they are on this host, and those that were asked for."""
    asked, built = config.backup, facts.blueprint.project if facts.blueprint else None
    paths: list[str] = []
    if built is not None:
        home = Path(built.directory) if built.directory else Path(built.files[0]).parent if built.files else None
        env = [str(home / ".env")] if home else []
        paths = [p for p in (*built.files, *built.env_files, *env) if Path(p).is_file()]
    own = [str(config.path)] if config.path else []
    return Wanted((*paths, *own, *asked.files), asked.secrets, asked.key)


@asynccontextmanager
async def hook_at_work(config: Config, data_dir: Path, actor: Actor, what: str) -> AsyncIterator[Hook]:
    """The same with the project held. The engine may be down: only the program must know the database.

    Raises LockedError, RefusedError.
    """
    project = config.docker.project or await _only_project(config, data_dir)
    lock = ProjectLock.acquire(data_dir, project, Holder("", actor.name, time.time(), 0, what))
    try:
        yield hook(config, data_dir, project, (lock.fd,))
    finally:
        lock.release()


async def _only_project(config: Config, data_dir: Path) -> str:
    looking = DockerDriver(config.docker)
    try:
        found = (await gather.gather(config, data_dir, driver=looking, probing=False)).project
    finally:
        looking.close()
    if not found:
        raise RefusedError("it cannot be told whose backups these are", remedy="Name it as [docker] project")
    return found


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
    if config.backup.hook:
        async with hook_at_work(config, data_dir, actor, "backup") as program:
            return await program.create()
    async with at_work(config, data_dir, actor, "backup") as place:
        order = making.Order(place.directory, place.project, config.backup.database, actor, place.alongside)
        return await making.create(place.server, order, config.backup.deadline)


async def verify(
    config: Config, data_dir: Path, actor: Actor, ident: str, *, restore: bool
) -> tuple[Backup, list[Finding]]:
    """Check a backup, and write down that it passed. `restore`: rehearse it in a scratch database too."""
    backup = await _find(config, data_dir, ident)
    if backup.source:
        return await _verify_by_hook(config, data_dir, actor, backup, restore=restore)
    async with at_work(config, data_dir, actor, "verify a backup") as place:
        found = await checking.check(backup, place.server, config.backup.database)
        good = all(f.status.value in ("ok", "warn") for f in found)
        if good and restore:
            found += await checking.rehearse(backup, place.server, f"sevdeck_rehearsal_{backup.short}")
            good = all(f.status.value in ("ok", "warn") for f in found)
    if any(f.status is Status.FAIL and f.subject in _DAMAGE for f in found):
        return manifest.withdraw(backup), found
    how = "restored" if restore else "decoded"
    return (checking.passed(backup, how, actor.name) if good else backup), found


async def _find(config: Config, data_dir: Path, ident: str) -> Backup:
    """One of our own dumps is found without the hook: it must be readable where that program is not."""
    with contextlib.suppress(UsageError):
        if ident:
            return manifest.find(directory(config, data_dir), ident)
    return manifest.pick(await known(config, data_dir), ident)


async def _verify_by_hook(
    config: Config, data_dir: Path, actor: Actor, backup: Backup, *, restore: bool
) -> tuple[Backup, list[Finding]]:
    async with hook_at_work(config, data_dir, actor, "verify a backup") as program:
        found = [await program.verify(backup)]
        if restore and found[-1].status is Status.OK:
            found.append(await program.rehearse(backup))
        if found[-1].status is Status.FAIL:
            return program.withdraw(backup), found
        if found[-1].status is not Status.OK:
            return backup, found
        return program.passed(backup, "restored" if restore else "read", actor.name), found
