"""The incident as its events make it: records that screens show, reports print and commands answer with.

Everything here is derived and frozen; `state.fold` makes it from events alone. Durations are seconds, times unix
seconds, None means unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

# In the order an incident goes through them; the last three end it without having been one.
LIFECYCLE = ("triage", "declared", "contained", "mitigated", "monitoring", "resolved", "review", "closed")
ENDINGS = ("false-alarm", "merged", "duplicate")
STATUSES = LIFECYCLE + ENDINGS
OVER = ("resolved", "review", "closed", *ENDINGS)  # nothing is due any more
FINAL = ("closed", *ENDINGS)

SETTLED_STEPS = ("done", "skipped", "expired", "undone")  # nothing left to do on these


@dataclass(frozen=True, slots=True)
class SeverityChange:
    at: float
    severity: int
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class StatusChange:
    at: float
    status: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class StepState:
    """One step of a checklist that was started."""

    id: str
    title: str
    type: str
    phase: str
    roles: tuple[str, ...]
    state: str  # pending ready confirming running verifying done failed skipped expired undone unknown
    due_at: float | None  # when it should be done by
    expect: float | None  # seconds one go should take
    claimed_by: str = ""
    by: str = ""  # who brought it into its state
    at: float | None = None
    reason: str = ""
    notes: tuple[str, ...] = ()
    result: Mapping[str, Any] | None = None

    @property
    def settled(self) -> bool:
        return self.state in SETTLED_STEPS


@dataclass(frozen=True, slots=True)
class RunState:
    """A checklist that was started: the playbook as it was then, by the hash of its file."""

    id: str
    playbook: str
    title: str
    version: int
    sha256: str
    started_at: float
    by: str
    phases: tuple[tuple[str, str], ...]  # (id, title)
    steps: tuple[StepState, ...]

    @property
    def settled(self) -> int:
        return sum(step.settled for step in self.steps)

    def step(self, id: str) -> StepState | None:
        return next((step for step in self.steps if step.id == id), None)


@dataclass(frozen=True, slots=True)
class RecoveryStep:
    """`before` and `after`: state of the container it was about. `sha256`: of all that its programs said, in `blobs/`."""

    id: str
    title: str
    state: str
    at: float
    text: str
    took: float | None
    before: str = ""
    after: str = ""
    exit: int | None = None
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class RecoveryRun:
    """One recovery, as its runner wrote it down."""

    id: str
    level: int | None
    service: str
    title: str
    state: str
    by: str
    host: str  # whose project it changes, and whose lock it holds
    started_at: float
    ended_at: float | None
    steps: tuple[RecoveryStep, ...]
    validation: Mapping[str, Any] | None
    observation: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Containment:
    """One temporary measure, with the way back."""

    id: str
    name: str
    target: str
    state: str  # active, undone, expired
    by: str
    at: float
    expires_at: float | None
    undo: str
    ended_at: float | None

    @property
    def active(self) -> bool:
        """An expired measure is still in force until somebody undoes it."""
        return self.state != "undone"


@dataclass(frozen=True, slots=True)
class Update:
    """People were told something."""

    at: float
    by: str
    audience: str
    text: str
    channel: str
    next_at: float | None


@dataclass(frozen=True, slots=True)
class Handover:
    """Command offered to somebody. `state`: offered, accepted, declined."""

    offer: str  # event id
    at: float
    by: str
    to: str
    brief: str
    state: str


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is or was on the incident. `here`: a console is open and has not said that it is left."""

    name: str
    host: str
    since: float
    heard_at: float  # of the last entry of their session
    here: bool


@dataclass(frozen=True, slots=True)
class Attachment:
    at: float
    by: str
    name: str
    sha256: str
    size: int
    text: str
    kind: str = "attach"  # or "flight"


@dataclass(frozen=True, slots=True)
class Moment:
    """A time that matters, and how we know it."""

    at: float
    source: str


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure of the review, with the formula that is printed beside it."""

    name: str
    seconds: float | None
    formula: str


class Entry(NamedTuple):  # as many as events
    """One line of the timeline. `seq` is its place in the record's total order, from 1."""

    seq: int
    id: str
    at: float
    written_at: float
    host: str
    actor: str
    kind: str
    summary: str
    data: Mapping[str, Any]
    hash: str
    writer: str  # whose file it stands in, and as which line; "" and 0 while it stands in none
    number: int
    automatic: bool
    pinned: bool = False
    amended: str = ""  # "by ana: wrong container"
    original: str = ""  # the summary before the correction
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Incident:
    """Everything that is known of one incident."""

    id: str
    title: str
    severity: int
    status: str
    drill: bool
    declared_at: float | None
    declared_by: str
    severity_path: tuple[SeverityChange, ...] = ()
    status_path: tuple[StatusChange, ...] = ()
    roles: Mapping[str, str] = field(default_factory=dict)
    solo: bool = False
    solo_since: float | None = None
    runs: tuple[RunState, ...] = ()
    recoveries: tuple[RecoveryRun, ...] = ()
    containment: tuple[Containment, ...] = ()
    updates: tuple[Update, ...] = ()
    handovers: tuple[Handover, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    moments: Mapping[str, Moment] = field(default_factory=dict)  # t0 ... t6 that are known
    metrics: tuple[Measure, ...] = ()
    last_human_at: float | None = None
    people: tuple[Person, ...] = ()
    timeline: tuple[Entry, ...] = ()
    loading: bool = False  # only its newest entries, while the whole record is read and verified; never to act upon

    @property
    def open(self) -> bool:
        return self.status not in FINAL

    @property
    def over(self) -> bool:
        """True from resolution on: nothing is due to users any more."""
        return self.status in OVER

    @property
    def commander(self) -> str:
        return self.roles.get("commander", "")

    @property
    def pins(self) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.timeline if entry.pinned)

    @property
    def active_containment(self) -> tuple[Containment, ...]:
        return tuple(measure for measure in self.containment if measure.active)

    @property
    def open_handover(self) -> Handover | None:
        offered = [h for h in self.handovers if h.state == "offered"]
        return offered[-1] if offered else None

    def run(self, id: str) -> RunState | None:
        return next((run for run in self.runs if run.id == id), None)
