"""What a change is before it happens: `Step`, `Plan`, and the words for how a step went.

A plan is data: it can be shown, stored, hashed and run by another process. Nothing here touches the host.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from typing import Any

PLAN_TTL = 120.0  # seconds a plan may wait for its confirmation
_NOT_HASHED = ("plan_id", "created_at", "expires_at")


class Risk(StrEnum):
    """What a step can cost when it goes as planned."""

    NONE = "none"  # reads only
    LOW = "low"  # changes something nobody notices
    OUTAGE = "outage"  # users notice for a moment
    DATA = "data"  # something written could be lost


class Outcome(StrEnum):
    """How a step ended. UNKNOWN: asked for, no answer; nobody may repeat it without looking first."""

    OK = "ok"
    FAILED = "failed"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"


class Standing(StrEnum):
    """What a look at the host says about a step whose outcome is in doubt."""

    DONE = "done"
    NOT_DONE = "not_done"
    PARTIAL = "partial"


@dataclass(frozen=True, slots=True)
class Step:
    """One change, or one gate that waits for its effect.

    `command` is what a person would type for the same thing. `call` is what the runner does: a dictionary of
    plain JSON values whose "op" names an operation of `console.actions.operations`.
    """

    id: str
    title: str
    command: str
    call: dict[str, Any]
    undo: str = "none needed"
    target: str = ""  # Compose service, "" when the step is about the whole project
    expected: float = 1.0  # seconds
    timeout: float = 30.0  # seconds, for the whole step
    risk: Risk = Risk.NONE
    optional: bool = False  # its failure is recorded and the run goes on


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why not, and what would help instead."""

    reason: str
    help: str = ""


@dataclass(frozen=True, slots=True)
class Precondition:
    """Something that must hold first. `ok` None: could not be told, shown but no reason to refuse."""

    name: str
    ok: bool | None
    detail: str


@dataclass(frozen=True, slots=True)
class BlastRadius:
    """Everything the plan touches. L1 and L2 touch no volume and lose no committed write."""

    containers: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    writes_lost: str = "none"

    @property
    def text(self) -> str:
        """
        >>> BlastRadius(("shop-app-1",)).text
        '1 container, 0 volumes, writes lost: none'
        """
        containers = f"{len(self.containers)} container{'' if len(self.containers) == 1 else 's'}"
        volumes = f"{len(self.volumes)} volume{'' if len(self.volumes) == 1 else 's'}"
        return f"{containers}, {volumes}, writes lost: {self.writes_lost}"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The container a plan was made for. When any field differs, the plan is about another world."""

    id: str
    name: str
    service: str
    status: str
    started_at: str  # as the engine writes it: compared, never computed with
    image_id: str
    networks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be done, to what, at what price, and what must be typed to allow it.

    `refused` is None or the reason why this must not run now; `help` then names what would help instead.
    """

    plan_id: str
    level: int
    title: str
    project: str
    service: str  # the target of level 1, "" for the whole project
    targets: tuple[str, ...]  # services, in the order they are started
    steps: tuple[Step, ...]
    blast: BlastRadius
    preconditions: tuple[Precondition, ...]
    refused: str | None
    help: str
    confirm: str
    expected_downtime: float | None  # seconds users notice
    expected_total: float | None  # seconds until verified, without the observation
    observation: float  # seconds of watching afterwards
    budget: str
    over_budget: bool  # refused for nothing else: a person may override it once, with a reason
    advice: tuple[str, ...]
    facts: tuple[Snapshot, ...]
    failing: tuple[str, ...] = ()  # probes that failed when it was made
    compensation: tuple[Step, ...] = ()  # run when a step fails: puts back what was running
    consent: str = ""  # a second thing that must be typed: what will be lost for certain
    created_at: float = 0.0
    expires_at: float = 0.0

    def expired(self, now: float) -> bool:
        return now > self.expires_at or now < self.created_at - PLAN_TTL

    def changes(self, now: tuple[Snapshot, ...]) -> str:
        """What is no longer as it was when the plan was made, in words; "" when nothing changed.

        Health may come and go; identity, state, start time, image and networks may not.
        """
        current = {s.id: s for s in now}
        for was in self.facts:
            found = current.get(was.id)
            if found is None:
                return f"container {was.name} is gone"
            for name, words in _CHANGES:
                if getattr(was, name) != getattr(found, name):
                    return f"{was.name}: {words}"
        return ""

    def step(self, step_id: str) -> Step | None:
        return next((s for s in self.steps + self.compensation if s.id == step_id), None)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, in full: `from_json` gives an equal plan."""
        return dict(json.loads(json.dumps(asdict(self))))

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Plan:
        """The plan that `to_json` wrote. Raises KeyError, TypeError or ValueError when it is not one."""
        known = {f.name for f in fields(cls)}
        values: dict[str, Any] = {k: v for k, v in data.items() if k in known}
        for name in ("steps", "compensation"):
            values[name] = tuple(_step(s) for s in data.get(name, ()))
        blast = data["blast"]
        values["blast"] = BlastRadius(tuple(blast["containers"]), tuple(blast["volumes"]), str(blast["writes_lost"]))
        values["preconditions"] = tuple(Precondition(**p) for p in data["preconditions"])
        values["facts"] = tuple(Snapshot(**{**s, "networks": tuple(s["networks"])}) for s in data["facts"])
        values["targets"] = tuple(data["targets"])
        values["advice"] = tuple(data["advice"])
        values["failing"] = tuple(data.get("failing", ()))
        return cls(**values)

    def digest(self) -> str:
        """sha256 of everything that matters in the plan (not of when it was made), as 64 hex digits."""
        body = {k: v for k, v in self.to_json().items() if k not in _NOT_HASHED}
        text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def sealed(self, now: float) -> Plan:
        """This plan with its times and its id. The id is short enough to be read out over the phone."""
        return replace(self, plan_id=self.digest()[:12], created_at=now, expires_at=now + PLAN_TTL)

    @property
    def genuine(self) -> bool:
        """True when the id fits the content: nobody edited the plan between showing and running it."""
        return self.plan_id == self.digest()[:12]


_CHANGES = (
    ("status", "its state changed"),
    ("started_at", "it was started anew by somebody else"),
    ("image_id", "its image changed"),
    ("networks", "its networks changed"),
)


def _step(data: dict[str, Any]) -> Step:
    return Step(**{**data, "risk": Risk(data["risk"])})


@dataclass(frozen=True, slots=True)
class LevelView:
    """One row of "what each level would do now"."""

    level: int
    name: str
    title: str
    service: str
    outage: str
    verdict: str  # recommended, possible, unneeded, refused
    why: str
    help: str
    plan: Plan = field(repr=False)
