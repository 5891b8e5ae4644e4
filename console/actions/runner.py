"""Starting, resuming and being the process of a run. The only way to change the host.

lock -> run directory -> detached process -> (`console.actions.run`) preflight -> [intent -> act -> look -> outcome]*
-> validate -> observe -> close. `start` and `resume` return at once; whoever is interested follows the run's events.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import time
from pathlib import Path

from console.actions import detached, offspring, runs
from console.actions.action import Plan
from console.actions.containment.holding import holds
from console.actions.engine import DockerDriver
from console.actions.facts import Holder
from console.actions.lock import ProjectLock, hold_text
from console.actions.run import Run
from console.actions.runview import Request, RunView
from console.config import Config
from console.errors import RefusedError
from console.incident.events import Actor
from console.incident.store import IncidentStore


def start(
    plan: Plan,
    confirm: str,
    config: Config,
    data_dir: Path,
    actor: Actor,
    *,
    incident: str = "",
    override: str = "",
    consent: str = "",
    now: float | None = None,
) -> str:
    """Start a confirmed plan in a process of its own and return the run's id. Blocks for about 50 ms.

    Raises RefusedError: not confirmed word for word, expired, edited, refused by its own facts, on hold; and
    LockedError while another run holds the project; UsageError for an incident there is not. `override` is the reason for going over budget, once.
    `consent` is what the plan asks for beside its confirmation.
    """
    now = time.time() if now is None else now
    if incident:
        incident = IncidentStore(data_dir, actor).directory(incident).name
    _admit(plan, confirm, consent, data_dir, override, now)
    run_id = runs.new_id(plan, now)
    owner = Holder(run_id, actor.name, now, plan.level, plan.title)
    lock = _locked(data_dir, plan, owner)
    try:
        request = Request(run_id, actor, confirm, now, incident, override, consent)
        try:
            place_ = runs.create(data_dir, plan, request)
        except OSError as error:
            raise _unrecordable(data_dir, error) from error
        _spawn(data_dir, run_id, lock, config, place_)
    finally:
        lock.close()
    return run_id


def resume(data_dir: Path, run_id: str, config: Config, actor: Actor) -> str:
    """Go on with a run that was cut off or ended in doubt. It looks before it acts. Raises RefusedError."""
    plan, _ = runs.load(data_dir, run_id)
    held = hold_text(data_dir)
    if held:
        raise RefusedError(f"changes are on hold: {held}", remedy=f"Remove {data_dir / 'hold'} to go on")
    owner = Holder(run_id, actor.name, time.time(), plan.level, plan.title, "resuming")
    lock = _locked(data_dir, plan, owner)
    try:
        view = runs.status(data_dir, run_id)
        if view is not None and view.over and not view.resumable:
            raise RefusedError(f"run {run_id} is over: {view.outcome}", remedy="Plan a new one: sevdeck recover plan")
        (runs.directory(data_dir, run_id) / "cancel.json").unlink(missing_ok=True)
        if view is not None and view.over:
            _reopen(data_dir, view, actor)
        _spawn(data_dir, run_id, lock, config, runs.directory(data_dir, run_id))
    finally:
        lock.close()
    return run_id


def _locked(data_dir: Path, plan: Plan, owner: Holder) -> ProjectLock:
    try:
        return ProjectLock.acquire(data_dir, plan.project, owner)
    except OSError as error:
        raise _unrecordable(data_dir, error) from error


def _unrecordable(data_dir: Path, error: OSError) -> RefusedError:
    """What cannot be recorded must not be done."""
    return RefusedError(
        f"the run cannot be recorded in {data_dir}: {error.strerror}",
        remedy="Nothing was changed. Free some space, or use --data-dir",
    )


def _reopen(data_dir: Path, view: RunView, actor: Actor) -> None:
    """A run that ended in doubt goes on: whoever follows it must not take its old end for the new one."""
    _, request = runs.load(data_dir, view.run_id)
    journal = runs.journal(data_dir, request, actor)
    said = {"run": view.run_id, "state": "started", "title": view.plan.title, "text": f"resumed by {actor.name}"}
    journal.append("recovery.run", {**said, "level": view.plan.level, "service": view.plan.service})
    journal.close()


def _admit(plan: Plan, confirm: str, consent: str, data_dir: Path, override: str, now: float) -> None:
    held = hold_text(data_dir)
    if held:
        raise RefusedError(f"changes are on hold: {held}", remedy=f"Remove {data_dir / 'hold'} to go on")
    if not plan.genuine:
        raise RefusedError("this plan was changed after it was made", remedy="Plan again")
    if plan.refused is not None and not (plan.over_budget and override):
        raise RefusedError(f"refused: {plan.refused}", remedy=plan.help)
    held_back = [h for h in holds(data_dir, plan.project) if plan.level >= h.level]
    contained = [h for h in held_back if plan.level > 1 or h.service in plan.targets]
    if contained:  # put in force since the plan was made
        raise RefusedError(
            f"{contained[0].service} is held in deliberate containment: {contained[0].title}",
            remedy=f"Undo the containment first: sevdeck contain undo {contained[0].entry}",
        )
    if plan.expired(now):
        raise RefusedError("the plan is older than 2 minutes", remedy="Plan again: things may have changed")
    if " ".join(confirm.split()) != plan.confirm:
        raise RefusedError("not confirmed", remedy=f'Type exactly: {plan.confirm}   (or --confirm "{plan.confirm}")')
    if " ".join(consent.split()) != plan.consent:
        raise RefusedError("not agreed to", remedy=f'Type exactly: {plan.consent}   (or --consent "{plan.consent}")')


def _spawn(data_dir: Path, run_id: str, lock: ProjectLock, config: Config, place_: Path) -> None:
    try:
        detached.spawn(data_dir.resolve(), run_id, lock.fd, pickle.dumps(config), place_ / "runner.log")
    except OSError as error:
        raise RefusedError(str(error), remedy="Nothing was changed") from error


def work(data_dir: Path, run_id: str, lock_fd: int, settings: bytes) -> int:
    """The worker process: do the run, or go on with it. `settings` is a pickled Config from our own pipe."""
    config: Config = pickle.loads(settings)
    plan, request = runs.load(data_dir, run_id)
    holder = Holder(run_id, request.actor.name, time.time(), plan.level, plan.title)
    lock = ProjectLock.inherit(lock_fd, data_dir, plan.project, holder)
    lock.update(pid=os.getpid())
    programs = offspring.claim(runs.directory(data_dir, run_id))
    driver = DockerDriver(config.docker, keep_fds=(lock_fd, programs))
    run = Run(data_dir, run_id, config, driver, lock=lock)

    async def go() -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, run.stop, "asked to end by a signal")
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})  # blocked since it was forked
        await run.run()

    asyncio.run(go())
    return 0
