"""Runs on disk: their directory, and what a run is by now, folded from its events.

Screens and commands read here; only the runner writes events. A run belongs to an incident's journal when it was
started for one, else to a journal of its own in `runs/<run id>/`. `plan.json` is written once and never changed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from console.actions.action import Outcome, Plan, Step
from console.actions.facts import PastRun
from console.actions.lock import holder
from console.errors import UsageError
from console.incident.disk import ensure_directory, write_atomically
from console.incident.events import Actor, Event
from console.incident.journal import Journal
from console.incident.store import IncidentStore
from console.text import clean

CLOSED = ("ok", "failed", "rolled_back", "cancelled", "unknown")
_FOLLOW_EVERY = 0.1  # seconds; a poll costs one stat a file
_REMEMBER = 26 * 3600.0  # seconds: longest budget window and a little


@dataclass(frozen=True, slots=True)
class Request:
    """Who asked for a run, and with what words. Written once, beside the plan."""

    run_id: str
    actor: Actor
    confirm: str
    at: float
    incident: str = ""
    override: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "run_id": self.run_id,
            "actor": self.actor.as_json(),
            "confirm": self.confirm,
            "at": self.at,
            "incident": self.incident,
            "override": self.override,
        }


@dataclass(frozen=True, slots=True)
class StepView:
    """One step by now. `state`: pending, running, ok, failed, unknown, skipped."""

    step: Step
    state: str = "pending"
    detail: str = ""
    started_at: float | None = None
    took: float | None = None
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class Validation:
    """`ok` None: still looking. `findings` are {check, status, summary, subject}."""

    ok: bool | None
    findings: tuple[dict[str, Any], ...] = ()
    verdict: str = ""  # better, same, worse
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Observation:
    """The watch after a validated run. `state`: watching, stable, unstable, cut (short by a person)."""

    seconds: float
    started_at: float
    state: str = "watching"
    samples: int = 0
    failures: int = 0
    detail: str = ""
    ended_at: float | None = None

    def elapsed(self, now: float) -> float:
        return min(self.seconds, (self.ended_at or now) - self.started_at)


@dataclass(frozen=True, slots=True)
class RunView:
    """A run by now. `outcome` None until it is closed; `state` "interrupted": its process is gone, resume it."""

    run_id: str
    plan: Plan
    actor: str
    started_at: float
    state: str = "starting"
    outcome: str | None = None
    reason: str = ""
    incident: str = ""
    override: str = ""
    cancelled: bool = False
    steps: tuple[StepView, ...] = ()
    compensation: tuple[StepView, ...] = ()
    frozen: bool = False
    validation: Validation | None = None
    observation: Observation | None = None
    ended_at: float | None = None
    downtime: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def step(self) -> str:
        """Id of the step under way, "" between steps."""
        return next((s.step.id for s in (*self.steps, *self.compensation) if s.state == "running"), "")

    @property
    def over(self) -> bool:
        return self.outcome is not None

    @property
    def resumable(self) -> bool:
        """Interrupted, or ended in doubt: going on begins with a look."""
        return self.state == "interrupted" or self.outcome == Outcome.UNKNOWN


def directory(data_dir: Path, run_id: str) -> Path:
    """Where the run lives. Raises UsageError for what is no run id: it may come from a command line."""
    if not run_id or "/" in run_id or run_id.startswith("."):
        raise UsageError(f"{clean(run_id, 40)!r} is no run", remedy="See: sevdeck recover status")
    return data_dir / "runs" / run_id


def create(data_dir: Path, plan: Plan, request: Request) -> Path:
    """Make the run's directory with its plan and request, durable when it returns."""
    place = directory(data_dir, request.run_id)
    ensure_directory(place)
    write_atomically(place / "plan.json", json.dumps(plan.to_json(), indent=1).encode())
    write_atomically(place / "request.json", json.dumps(request.to_json(), indent=1).encode())
    (place / "plan.json").chmod(0o440)
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
        return sorted((e.name for e in os.scandir(data_dir / "runs") if e.is_dir()), reverse=True)
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


# --- what a run is by now --------------------------------------------------------------------------------------


def fold(plan: Plan, request: Request, events: Iterable[Event]) -> RunView:
    """The run as its events tell it. Pure; events of other runs are passed over."""
    view = RunView(
        request.run_id,
        plan,
        request.actor.name,
        request.at,
        incident=request.incident,
        override=request.override,
        steps=tuple(StepView(s) for s in plan.steps),
        compensation=tuple(StepView(s) for s in plan.compensation),
    )
    for event in events:
        if event.data.get("run") != request.run_id:
            continue
        if event.kind == "recovery.run":
            view = _run_event(view, event)
        elif event.kind == "recovery.step":
            view = _step_event(view, event)
        elif event.kind == "recovery.validation":
            view = replace(view, state=view.state if view.over else "validating", validation=_validation(event.data))
        elif event.kind == "recovery.observation":
            view = _observation_event(view, event)
    return view


def _run_event(view: RunView, event: Event) -> RunView:
    data, state = event.data, str(event.data.get("state"))
    text = str(data.get("reason") or data.get("text") or "")
    if state in CLOSED:
        downtime = data.get("downtime")
        return replace(
            view,
            state="closed",
            outcome="failed" if state == "cancelled" else state,
            cancelled=state == "cancelled",
            reason=text,
            frozen=bool(data.get("frozen")),
            downtime=float(downtime) if isinstance(downtime, int | float) else None,
            ended_at=event.at,
        )
    if state == "compensating":
        return replace(view, state="compensating", reason=text)
    if state == "started":
        notes = (*view.notes, text) if text else view.notes
        return replace(view, state="running", outcome=None, ended_at=None, reason="", notes=notes)
    return replace(view, notes=(*view.notes, text)) if text else view


def _step_event(view: RunView, event: Event) -> RunView:
    ident, state = event.data.get("step"), str(event.data.get("state"))

    def advance(steps: tuple[StepView, ...]) -> tuple[StepView, ...]:
        return tuple(_advance(s, state, event) if s.step.id == ident else s for s in steps)

    running = "compensating" if any(s.step.id == ident for s in view.compensation) else "running"
    return replace(
        view,
        state=view.state if view.over else running,
        steps=advance(view.steps),
        compensation=advance(view.compensation),
    )


def _advance(step: StepView, state: str, event: Event) -> StepView:
    if state == "intent":
        attempt = event.data.get("attempt")
        return replace(
            step,
            state="running",
            started_at=event.at,
            took=None,
            attempt=attempt if isinstance(attempt, int) else step.attempt + 1,
        )
    took = event.data.get("took")
    return replace(
        step,
        state=state,
        detail=str(event.data.get("text", "")),
        took=float(took) if isinstance(took, int | float) else None,
    )


def _validation(data: Mapping[str, Any]) -> Validation:
    ok = data.get("ok")
    checks = data.get("findings")
    return Validation(
        ok if isinstance(ok, bool) else None,
        tuple(c for c in checks if isinstance(c, dict)) if isinstance(checks, list) else (),
        str(data.get("verdict", "")),
        str(data.get("text", "")),
    )


def _observation_event(view: RunView, event: Event) -> RunView:
    data, state = event.data, str(event.data.get("state"))
    if state == "started":
        watch = Observation(float(data.get("seconds") or 0.0), event.at)
        return replace(view, state=view.state if view.over else "observing", observation=watch)
    if view.observation is None:
        return view
    word = {"ok": "stable", "unstable": "unstable", "cut": "cut"}.get(state, "watching")
    watch = replace(
        view.observation,
        state=word,
        samples=int(data.get("total") or 0),
        failures=int(data.get("failures") or 0),
        detail=str(data.get("text", "")),
        ended_at=None if word == "watching" else event.at,
    )
    return replace(view, observation=watch)


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
