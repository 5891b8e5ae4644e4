"""The door to containment for commands and screens: admit, lock, carry out, look again.

Everything here is asynchronous where it asks the host and leaves the terminal alone.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from console.actions import inspecting
from console.actions.containment import ledger
from console.actions.containment.applying import Applier, Seen
from console.actions.containment.entry import Entry, Part, Sight
from console.actions.containment.ground import ANYWHERE, look
from console.actions.containment.operation import AskProbe, RunProgram, Tools
from console.actions.containment.planning import Proposal, plan
from console.actions.containment.telling import Telling
from console.actions.engine import DockerDriver, EngineDriver
from console.actions.facts import Holder
from console.actions.lock import LockedError, ProjectLock, hold_text
from console.config import Config
from console.errors import RefusedError, SourceError
from console.incident.events import Actor
from console.incident.store import IncidentStore
from console.programs.running import Ran, run_program
from console.watch.engine_api import NoSuchContainerError
from console.watch.probes import run_probe

__all__ = ["Proposal", "Result", "Room", "Standing", "apply", "propose", "status", "undo"]


@dataclass(frozen=True, slots=True)
class Room:
    """Where containment happens. `driver` None: the configured engine; `boundary` is for tests of kills."""

    config: Config
    data_dir: Path
    actor: Actor
    driver: EngineDriver | None = None
    boundary: Callable[[str], None] = lambda where: None
    settle: float = 2.0
    run: RunProgram | None = None  # programs of this host, and probes: None for the real ones
    probe: AskProbe = run_probe


@dataclass(frozen=True, slots=True)
class Result:
    """How it ended, and what a person should know besides."""

    entry: Entry
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """One entry as a look finds it. `state`: the entry's standing; `words`: what is not as it should be, "" if all is."""

    entry: Entry
    state: str
    seen: tuple[Seen, ...] = ()
    words: str = ""


async def propose(room: Room, name: str, target: str, seconds: float | None = None) -> Proposal:
    """What the measure would do now. Raises UsageError for a measure there is not."""
    lasts = room.config.containment.duration if seconds is None else seconds
    ground = await look(name, target, room.config, room.data_dir, driver=room.driver)
    return plan(name, target, lasts, ground, room.config)


async def apply(room: Room, proposal: Proposal, confirm: str, incident: str = "") -> Result:
    """Put it into force. Raises RefusedError (not confirmed, expired, refused, on hold, changed meanwhile),
    LockedError while somebody changes the project, UsageError for an incident there is not."""
    now = time.time()
    if incident:
        incident = IncidentStore(room.data_dir, room.actor).directory(incident).name
    _admit(room, proposal, confirm, now)
    with _locked(room, proposal.project, proposal.confirm) as lock, _driver(room, lock) as driver:
        for known in ledger.read(room.data_dir).active:
            if proposal.extends == known.id:
                return _extend(room, known, now + proposal.seconds)
            if (known.project, known.title) == (proposal.project, proposal.confirm):
                raise RefusedError(f"{known.id} was put in force meanwhile", remedy="See: sevdeck contain status")
        await _unchanged(proposal, driver)
        entry = ledger.claim(room.data_dir, _entry(room, proposal, incident, now))
        _name(lock, entry)
        room.boundary("claimed")
        with _applier(room, entry, driver, lock) as applier:
            return Result(await applier.apply(), tuple(n for n in applier.notes if n))


async def undo(room: Room, ident: str) -> Result:
    """Take it back. One that is over is told as it is. Raises UsageError, RefusedError, LockedError."""
    entry = ledger.find(room.data_dir, ident)
    if entry.over:
        return Result(entry, (f"it was {entry.state} already",))
    _not_on_hold(room)
    with _locked(room, entry.project, f"undo {entry.title}") as lock, _driver(room, lock) as driver:
        entry = ledger.load(room.data_dir, entry.id)  # as it is now that nobody else can change it
        if entry.over:
            return Result(entry, (f"it was {entry.state} already",))
        _name(lock, entry)
        with _applier(room, entry, driver, lock) as applier:
            return Result(await applier.undo(), tuple(n for n in applier.notes if n))


async def status(room: Room) -> tuple[tuple[Standing, ...], tuple[str, ...]]:
    """Every entry that may be in force, looked at now, and documents that cannot be read.

    An application that was cut off and is found whole is written down as active.
    """
    known = ledger.read(room.data_dir)
    at_work = ledger.busy(room.data_dir, known.active)
    driver = room.driver or DockerDriver(room.config.docker)
    found = []
    try:
        for entry in known.active:
            found.append(await _standing(room, entry, driver, entry.id in at_work))
    finally:
        if room.driver is None:
            driver.close()
    return tuple(found), known.damaged


async def _standing(room: Room, entry: Entry, driver: EngineDriver, at_work: bool) -> Standing:
    with _applier(room, entry, driver, None) as applier:
        seen = await applier.look()
        if entry.state in ("applying", "unknown") and not at_work:
            with suppress(LockedError), _locked(room, entry.project, f"look at {entry.title}"):
                applier.entry = ledger.load(room.data_dir, entry.id)
                applier.settle(await applier.look())
        entry = applier.entry
    state = entry.standing(time.time(), at_work)
    lost = [_words(s) for s in seen if s.sight not in (Sight.IN_FORCE, Sight.UNTOLD)]
    if state in ("active", "overdue") and lost and all(s.sight is not None for s in seen):
        state = "lost"
    return Standing(entry, state, seen, "" if at_work else "; ".join(lost))


def _words(seen: Seen) -> str:
    title = seen.part.step.title
    if seen.sight is None:
        return f"{title}: cannot be looked at: {seen.detail}"
    if seen.part.state == "pending":
        return f"{title}: was never begun"
    return {
        Sight.ABSENT: f"{title}: not in force",
        Sight.GONE: f"{title}: what it was done to was removed or made anew, nothing of it is left",
        Sight.PARTLY: f"{title}: only half in force",
    }[seen.sight]


# -- admission


def _admit(room: Room, proposal: Proposal, confirm: str, now: float) -> None:
    _not_on_hold(room)
    if proposal.refused is not None:
        raise RefusedError(f"refused: {proposal.refused}", remedy=proposal.help[:1].upper() + proposal.help[1:])
    if proposal.expired(now):
        raise RefusedError("the plan is older than 2 minutes", remedy="Plan again: things may have changed")
    if " ".join(confirm.split()) != proposal.confirm:
        raise RefusedError(
            "not confirmed", remedy=f'Type exactly: {proposal.confirm}   (or --confirm "{proposal.confirm}")'
        )


def _not_on_hold(room: Room) -> None:
    held = hold_text(room.data_dir)
    if held:
        raise RefusedError(f"changes are on hold: {held}", remedy=f"Remove {room.data_dir / 'hold'} to go on")


async def _unchanged(proposal: Proposal, driver: EngineDriver) -> None:
    """Raises RefusedError when a container is no longer what the plan was made for: its saved state would be wrong."""
    for was in proposal.facts:
        try:
            now = inspecting.container(await driver.inspect(was.id), time.time()).snapshot
        except NoSuchContainerError:
            raise RefusedError(f"{was.name} is gone since the plan was made", remedy="Plan again") from None
        except SourceError as error:
            raise RefusedError(f"not done: {error.message}", remedy="Nothing was changed") from error
        if now != was:
            raise RefusedError(f"{was.name} changed since the plan was made", remedy="Nothing was changed. Plan again")


def _entry(room: Room, proposal: Proposal, incident: str, now: float) -> Entry:
    return Entry(
        "",
        proposal.name,
        proposal.target,
        proposal.project,
        proposal.services,
        room.actor,
        now,
        now + proposal.seconds,
        "applying",
        proposal.undo,
        tuple(Part(step, at=now) for step in proposal.steps),
        incident,
        proposal.effect,
        level=proposal.level,
    ).saying("applying", now, room.actor.name, "confirmed")


def _extend(room: Room, entry: Entry, until: float) -> Result:
    if entry.state != "active":
        raise RefusedError(f"{entry.id} is in doubt", remedy="Look first: sevdeck contain status")
    telling = Telling(room.data_dir, entry.incident, room.actor)
    try:
        nobody = DockerDriver(room.config.docker)  # asked for nothing
        applier = Applier(room.data_dir, entry, Tools(nobody, telling.save), telling, room.actor.name)
        return Result(applier.extend(until), tuple(applier.notes))
    finally:
        telling.close()


# -- what it works with


@contextmanager
def _locked(room: Room, project: str, title: str) -> Iterator[ProjectLock]:
    holder = Holder("", room.actor.name, time.time(), 0, title, pid=os.getpid())
    try:
        lock = ProjectLock.acquire(room.data_dir, project or ANYWHERE, holder)
    except OSError as error:
        raise RefusedError(
            f"the project cannot be locked in {room.data_dir}: {error.strerror}", remedy="Nothing was changed"
        ) from error
    try:
        yield lock
    finally:
        lock.release()


def _name(lock: ProjectLock, entry: Entry) -> None:
    """Say which entry the lock is held for: whoever looks then knows that somebody is at it."""
    lock.holder = replace(lock.holder, run_id=entry.id)
    lock.update()


@contextmanager
def _driver(room: Room, lock: ProjectLock) -> Iterator[EngineDriver]:
    driver = room.driver or DockerDriver(room.config.docker, keep_fds=(lock.fd,))
    try:
        yield driver
    finally:
        if room.driver is None:
            driver.close()


@contextmanager
def _applier(room: Room, entry: Entry, driver: EngineDriver, lock: ProjectLock | None) -> Iterator[Applier]:
    telling = Telling(room.data_dir, entry.incident, room.actor)
    keep = (lock.fd,) if lock is not None else ()

    async def run(argv: Sequence[str], deadline: float, env: dict[str, str] | None) -> Ran:
        return await run_program(argv, deadline=deadline, env=env, keep_fds=keep)

    tools = Tools(driver, telling.save, room.run or run, room.probe)
    try:
        yield Applier(room.data_dir, entry, tools, telling, room.actor.name, boundary=room.boundary, settle=room.settle)
    finally:
        telling.close()
