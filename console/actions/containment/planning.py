"""A containment before it happens: what would be done to what, the way back, and the words that allow it. Pure."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace

from console.actions.action import PLAN_TTL, BlastRadius, Snapshot, Step
from console.actions.containment.draft import CannotError
from console.actions.containment.entry import Entry
from console.actions.containment.ground import Ground
from console.actions.containment.measures import MEASURES
from console.actions.lock import describe
from console.config import Config
from console.errors import UsageError
from console.text import clean

_ENGINELESS = ("block",)


@dataclass(frozen=True, slots=True)
class Proposal:
    """`refused` None or the reason; `help` then names what would help. `extends`: the entry in force of these words."""

    plan_id: str
    name: str
    target: str
    project: str
    services: tuple[str, ...]
    steps: tuple[Step, ...]
    blast: BlastRadius
    effect: str
    advice: tuple[str, ...]
    refused: str | None
    help: str
    facts: tuple[Snapshot, ...]
    seconds: float  # until it is overdue
    level: int = 1
    extends: str = ""
    created_at: float = 0.0

    @property
    def confirm(self) -> str:
        """What must be typed."""
        return f"{self.name} {self.target}".strip()

    @property
    def undo(self) -> str:
        """The way back as a person would type it, in the order in which it is gone."""
        return "; ".join(s.undo for s in reversed(self.steps) if s.undo != "none needed")

    def expired(self, now: float) -> bool:
        return abs(now - self.created_at) > PLAN_TTL

    def sealed(self, now: float) -> Proposal:
        body = json.dumps({**asdict(self), "plan_id": "", "created_at": 0.0}, sort_keys=True, default=str)
        return replace(self, plan_id=hashlib.sha256(body.encode()).hexdigest()[:12], created_at=now)


def plan(name: str, target: str, seconds: float, ground: Ground, config: Config) -> Proposal:
    """What this measure would do now. One that must not be done says so in `refused`. Raises UsageError."""
    measure = MEASURES.get(name)
    if measure is None:
        raise UsageError(f"there is no measure {clean(name, 40)!r}", remedy=f"Measures: {', '.join(MEASURES)}")
    target = clean(target.strip(), 200)
    base = Proposal(
        "", name, target, ground.project, (), (), BlastRadius(), "", (), None, "", (), seconds, measure.level
    )
    same = _in_force(name, target, ground)
    blocked = _blocked(name, ground)
    if blocked is not None:
        return _refused(base, blocked, ground.taken_at)
    if same is not None:
        return _again(base, same, ground.taken_at)
    try:
        draft = measure.draft(ground, target, config)
        same = _in_force(name, draft.target, ground)
        if same is not None:
            return _again(base, same, ground.taken_at)
        _conflicts(name, draft.services, ground)
    except CannotError as no:
        return _refused(base, no, ground.taken_at)
    chosen = [c for c in ground.containers if c.name in draft.containers]
    return replace(
        base,
        target=draft.target,
        services=draft.services,
        steps=draft.steps,
        blast=BlastRadius(draft.containers),
        effect=draft.effect,
        advice=(*draft.advice, *ground.damaged),
        facts=tuple(c.snapshot for c in chosen),
    ).sealed(ground.taken_at)


def _in_force(name: str, target: str, ground: Ground) -> Entry | None:
    return next((e for e in ground.entries if e.name == name and target and e.target == target), None)


def _refused(base: Proposal, no: CannotError, now: float) -> Proposal:
    return replace(base, refused=no.reason, help=no.help).sealed(now)


def _again(base: Proposal, same: Entry, now: float) -> Proposal:
    """The measure is in force: its time is set anew and nothing else is done. One in doubt is settled first."""
    if same.state != "active":
        no = CannotError(
            f"{same.id} is in doubt", f"look first: sevdeck contain status; or sevdeck contain undo {same.id}"
        )
        return _refused(replace(base, target=same.target), no, now)
    return replace(
        base,
        target=same.target,
        services=same.services,
        effect=f"{same.title} is in force already; only its time is set anew",
        extends=same.id,
    ).sealed(now)


def _blocked(name: str, ground: Ground) -> CannotError | None:
    if ground.holder is not None:
        return CannotError(describe(ground.project, ground.holder, ground.taken_at), "wait until that has ended")
    if ground.hold:
        return CannotError(
            f"changes are on hold: {ground.hold}", "remove the file `hold` in the data directory to go on"
        )
    if ground.trouble and name not in _ENGINELESS:
        return CannotError(ground.trouble, ground.remedy)
    return None


def _conflicts(name: str, services: tuple[str, ...], ground: Ground) -> None:
    """What would undo, or be undone with, another entry is refused: each way back must stay its own."""
    others = {
        "pause": ("stop-writers", "safe-mode"),
        "stop-writers": ("pause",),
        "isolate": ("safe-mode",),
        "full-isolation": ("safe-mode",),
        "no-restart": ("safe-mode",),
        "connection-limit": ("connection-limit",),
    }
    held = ground.holding(services, *others[name]) if name in others else ()
    if held:
        raise CannotError(
            f"{held[0].title} is in force on {', '.join(sorted(set(held[0].services) & set(services)))}: "
            "undoing one would take the other away",
            f"undo that first: sevdeck contain undo {held[0].id}",
        )
