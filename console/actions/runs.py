"""Runs on disk: their directories, their journals, and following one while it happens.

Screens and commands read here; only the runner writes events. A run belongs to an incident's journal when it was
started for one, else to a journal of its own in `runs/<run id>/`. `plan.json` is written once and never changed.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from console.actions.action import Plan
from console.actions.facts import PastRun
from console.actions.lock import holder
from console.actions.runview import Observation, Request, RunView, StepView, Validation, fold
from console.errors import UsageError
from console.incident.disk import RealDisk, ensure_directory, make_directory, write_atomically
from console.incident.events import Actor
from console.incident.journal import Journal
from console.incident.store import IncidentStore
from console.text import clean

__all__ = ["Follower", "Observation", "Request", "RunView", "StepView", "Validation", "fold"]

_FOLLOW_EVERY = 0.1  # seconds; a poll costs one stat a file
_REMEMBER = 26 * 3600.0  # seconds: longest budget window and a little


def directory(data_dir: Path, run_id: str) -> Path:
    """Where the run lives. Raises UsageError for what is no run id: it may come from a command line."""
    if not run_id or "/" in run_id or run_id.startswith("."):
        raise UsageError(f"{clean(run_id, 40)!r} is no run", remedy="See: sevdeck recover status")
    return data_dir / "runs" / run_id


def create(data_dir: Path, plan: Plan, request: Request) -> Path:
    """Make the run's directory with its plan and request, durable when it returns. Raises OSError."""
    place = directory(data_dir, request.run_id)
    if place.exists():
        raise FileExistsError(errno.EEXIST, "a run of that name exists")
    ensure_directory(place.parent)
    growing = place.with_name(f".{place.name}")  # seen by nobody until it is whole
    make_directory(growing)
    write_atomically(growing / "plan.json", json.dumps(plan.to_json(), indent=1).encode())
    write_atomically(growing / "request.json", json.dumps(request.to_json(), indent=1).encode())
    (growing / "plan.json").chmod(0o440)
    growing.rename(place)
    RealDisk().sync_directory(place.parent)
    return place


def new_id(plan: Plan, now: float) -> str:
    """Sorts by time, says which plan, and is never given twice."""
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(now))
    return f"{stamp}-{plan.plan_id[:4]}{os.urandom(1).hex()}"


def load(data_dir: Path, run_id: str) -> tuple[Plan, Request]:
    """Plan and request of a run. Raises UsageError when there is no such run or its files are damaged."""
    place = directory(data_dir, run_id)
    try:
        plan = Plan.from_json(json.loads((place / "plan.json").read_bytes()))
        raw = json.loads((place / "request.json").read_bytes())
        request = Request(
            str(raw["run_id"]),
            Actor.from_json(raw["actor"]),
            str(raw["confirm"]),
            float(raw["at"]),
            str(raw["incident"]),
            str(raw["override"]),
            str(raw.get("consent", "")),
        )
    except FileNotFoundError:
        raise UsageError(f"there is no run {clean(run_id, 40)}", remedy="See: sevdeck recover status") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"run {run_id} cannot be read: {clean(str(error), 200)}") from None
    return plan, request


def journal(data_dir: Path, request: Request, actor: Actor) -> Journal:
    """The journal that holds the run's events: the incident's, or the run's own."""
    if request.incident:
        return IncidentStore(data_dir, actor).open(request.incident)
    return Journal(directory(data_dir, request.run_id), actor)


def ids(data_dir: Path) -> list[str]:
    """Every run's id, newest first."""
    with contextlib.suppress(OSError):
        return sorted((e.name for e in os.scandir(data_dir / "runs") if e.is_dir() and e.name[:1] != "."), reverse=True)
    return []


def latest(data_dir: Path) -> str:
    return next(iter(ids(data_dir)), "")


def past(data_dir: Path, project: str, now: float | None = None) -> tuple[PastRun, ...]:
    """Runs of this project within the longest budget window, oldest first."""
    now = time.time() if now is None else now
    found = []
    for run_id in ids(data_dir):
        try:
            plan, request = load(data_dir, run_id)
        except UsageError:
            continue
        if now - request.at > _REMEMBER:
            break
        if plan.project != project:
            continue
        result = _result(data_dir, run_id) or _summary(Follower(data_dir, run_id).look())
        if result["began"] is False:
            continue
        downtime = result.get("downtime")
        found.append(
            PastRun(
                run_id,
                plan.level,
                plan.service,
                request.at,
                str(result.get("outcome", "")),
                float(downtime) if isinstance(downtime, int | float) else None,
                bool(result.get("frozen")),
                request.override,
            )
        )
    return tuple(reversed(found))


def write_result(data_dir: Path, view: RunView) -> None:
    """A summary for lists and budgets, so that they need not fold journals. The events remain the truth."""
    with contextlib.suppress(OSError):
        write_atomically(directory(data_dir, view.run_id) / "result.json", json.dumps(_summary(view)).encode())


def _summary(view: RunView) -> dict[str, Any]:
    return {
        "outcome": view.outcome or "",
        "began": view.outcome is None or any(s.state != "pending" for s in view.steps),
        "downtime": view.downtime,
        "frozen": view.frozen,
    }


def _result(data_dir: Path, run_id: str) -> dict[str, Any]:
    try:
        found = json.loads((directory(data_dir, run_id) / "result.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and "began" in found else {}


def _with_liveness(data_dir: Path, view: RunView) -> RunView:
    """A run that is not closed and whose lock nobody holds was cut off."""
    if view.over:
        return view
    held = holder(data_dir, view.plan.project)
    if held is not None and held.run_id in ("", view.run_id):
        return view
    return replace(view, state="interrupted", reason="its process ended before it was done; resume it")


# --- following -------------------------------------------------------------------------------------------------


class Follower:
    """Reads one run again and again, cheaply: only new events are read. Blocking; for one thread."""

    def __init__(self, data_dir: Path, run_id: str) -> None:
        self._data_dir = data_dir
        self._plan, self._request = load(data_dir, run_id)
        self._journal = journal(data_dir, self._request, Actor("follower"))
        self._view: RunView | None = None

    def look(self) -> RunView:
        """The run now; the very same object as long as nothing happened."""
        # Liveness first: a run that closes in between is then seen as closed, never as interrupted.
        held = holder(self._data_dir, self._plan.project)
        if self._journal.poll() or self._view is None:
            self._view = fold(self._plan, self._request, self._journal.events())
        if self._view.over or (held is not None and held.run_id in ("", self._request.run_id)):
            return self._view
        if self._view.state != "interrupted":
            self._view = _with_liveness(self._data_dir, self._view)
        return self._view


def status(data_dir: Path, run_id: str = "") -> RunView | None:
    """The run (the newest when `run_id` is empty) as it is now; None when nothing was ever run. Blocking."""
    run_id = run_id or latest(data_dir)
    return Follower(data_dir, run_id).look() if run_id else None


def recent(data_dir: Path, limit: int = 20) -> list[RunView]:
    """The newest runs, newest first. Blocking."""
    found = []
    for run_id in ids(data_dir)[:limit]:
        with contextlib.suppress(UsageError):
            found.append(Follower(data_dir, run_id).look())
    return found


async def follow(data_dir: Path, run_id: str) -> AsyncIterator[RunView]:
    """The run now and at every change, until it is over or interrupted."""
    follower = Follower(data_dir, run_id)
    last: RunView | None = None
    while True:
        view = follower.look()
        if view is not last:
            last = view
            yield view
        if view.over or view.state == "interrupted":
            return
        await asyncio.sleep(_FOLLOW_EVERY)


def cancel(data_dir: Path, run_id: str, actor: Actor) -> None:
    """Ask a run to stop after its present step, or to cut its observation short. Durable when it returns."""
    load(data_dir, run_id)
    body = {"by": actor.name, "at": time.time()}
    write_atomically(directory(data_dir, run_id) / "cancel.json", json.dumps(body).encode())


def cancelled_by(data_dir: Path, run_id: str) -> str:
    """Who asked the run to stop, "" when nobody did."""
    path = directory(data_dir, run_id) / "cancel.json"
    try:
        return clean(str(json.loads(path.read_bytes()).get("by", "somebody")), 64)
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, AttributeError):
        return "somebody"
