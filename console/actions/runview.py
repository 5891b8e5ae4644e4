"""What a run is by now: folded from its events, as screens, commands and the runner itself see it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from console.actions.action import Outcome, Plan, Step
from console.incident.events import Actor, Event

CLOSED = ("ok", "failed", "rolled_back", "cancelled", "unknown")


@dataclass(frozen=True, slots=True)
class Request:
    """Who asked for a run, and with what words. Written once, beside the plan."""

    run_id: str
    actor: Actor
    confirm: str
    at: float
    incident: str = ""
    override: str = ""
    consent: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "run_id": self.run_id,
            "actor": self.actor.as_json(),
            "confirm": self.confirm,
            "at": self.at,
            "incident": self.incident,
            "override": self.override,
            "consent": self.consent,
        }


@dataclass(frozen=True, slots=True)
class StepView:
    """One step by now. `state`: pending, running, ok, failed, unknown, skipped.

    `exit`: code of the last program it ran. `sha256`: of all that its programs said, in the record's `blobs/`.
    """

    step: Step
    state: str = "pending"
    detail: str = ""
    started_at: float | None = None
    took: float | None = None
    attempt: int = 0
    exit: int | None = None
    sha256: str = ""


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
    took, code = event.data.get("took"), event.data.get("exit")
    return replace(
        step,
        state=state,
        detail=str(event.data.get("text", "")),
        took=float(took) if isinstance(took, int | float) else None,
        exit=code if isinstance(code, int) else None,
        sha256=str(event.data.get("sha256") or ""),
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
