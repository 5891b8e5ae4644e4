"""The fold: an incident from its events, in whatever order and however often each is given.

It is pure and never refuses: an event with data it does not understand stands in the timeline and changes
nothing else. What may be asked for next (`rules`) and what is due (`timers`) are questions to its answer.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from console.incident.events import ROLES, Event
from console.incident.measures import measures, moments
from console.incident.records import (
    LIFECYCLE,
    STATUSES,
    Attachment,
    Containment,
    Entry,
    Handover,
    Incident,
    RecoveryRun,
    RecoveryStep,
    RunState,
    SeverityChange,
    StatusChange,
    StepState,
    Update,
)
from console.incident.summary import summary

__all__ = ["LIFECYCLE", "STATUSES", "Entry", "Incident", "fold", "in_order"]


def in_order(events: Iterable[Event]) -> list[Event]:
    """The one total order, each id once; of two with one id the earlier counts."""
    first: dict[str, Event] = {}
    for event in events:
        known = first.get(event.id)
        if event.kind != "genesis" and (known is None or event.order < known.order):
            first[event.id] = event
    return sorted(first.values(), key=lambda event: event.order)


def fold(events: Iterable[Event]) -> Incident:
    """The incident that these events make."""
    ordered = in_order(events)
    folding = _Folding(ordered)
    for event in ordered:
        folding.take(event)
    return folding.incident()


class _Folding:
    def __init__(self, ordered: list[Event]) -> None:
        self._ordered = ordered
        self._amended = _amendments(ordered)
        self._declared: Event | None = None
        self._title = ""
        self._drill = False
        self._severities: list[SeverityChange] = []
        self._statuses: list[StatusChange] = []
        self._roles: dict[str, str] = {}
        self._runs: dict[str, RunState] = {}
        self._recoveries: dict[str, RecoveryRun] = {}
        self._containment: dict[str, Containment] = {}
        self._updates: list[Update] = []
        self._handovers: dict[str, Handover] = {}
        self._attachments: list[Attachment] = []
        self._pinned: dict[str, bool] = {}
        self._remarks: dict[str, list[str]] = {}
        self._solo_since: float | None = None
        self._last_human: float | None = None

    def take(self, event: Event) -> None:
        handler = _HANDLERS.get(event.kind)
        if handler is not None:
            handler(self, event, self._at(event))
        if event.actor.human and event.kind != "fact":
            self._last_human = max(self._last_human or 0.0, event.written_at)
        if self._solo() != (self._solo_since is not None):
            self._solo_since = self._at(event) if self._solo() else None

    def incident(self) -> Incident:
        by_time = sorted(self._ordered, key=self._place)
        known = moments(by_time, {event.id: self._at(event) for event in by_time}, list(self._containment.values()))
        return Incident(
            id=self._ordered[0].incident if self._ordered else "",
            title=self._title or "(its declaration is missing)",
            severity=self._severities[-1].severity if self._severities else 1,
            status=self._statuses[-1].status if self._statuses else "triage",
            drill=self._drill,
            declared_at=self._at(self._declared) if self._declared else None,
            declared_by=self._declared.actor.name if self._declared else "",
            severity_path=tuple(self._severities),
            status_path=tuple(self._statuses),
            roles=dict(self._roles),
            solo=self._solo(),
            solo_since=self._solo_since,
            runs=tuple(self._runs.values()),
            recoveries=tuple(self._recoveries.values()),
            containment=tuple(self._containment.values()),
            updates=tuple(self._updates),
            handovers=tuple(self._handovers.values()),
            attachments=tuple(self._attachments),
            moments=known,
            metrics=measures(known, [update.at for update in self._updates]),
            last_human_at=self._last_human,
            timeline=self._timeline(by_time),
        )

    # what each kind changes

    def declared(self, event: Event, at: float) -> None:
        if self._declared is not None:
            return
        self._declared = event
        self._title = self._words(event, "title")
        self._drill = event.data.get("drill") is True
        self._change_severity(event, at, "declared")
        self._change_status(event, at, "declared", "")
        roles = event.data.get("roles")
        for role, who in roles.items() if isinstance(roles, Mapping) else ():
            self._set_role(role, who)
        self._set_role("commander", _text(event, "commander") or self._roles.get("commander", ""))

    def severity(self, event: Event, at: float) -> None:
        self._change_severity(event, at, _text(event, "reason"))

    def status(self, event: Event, at: float) -> None:
        self._change_status(event, at, _text(event, "status"), _text(event, "reason"))

    def resolved(self, event: Event, at: float) -> None:
        self._change_status(event, at, "resolved", _text(event, "text"))

    def closed(self, event: Event, at: float) -> None:
        self._change_status(event, at, "closed", _text(event, "text"))

    def reopened(self, event: Event, at: float) -> None:
        self._change_status(event, at, "declared", _text(event, "reason"))

    def role(self, event: Event, at: float) -> None:
        self._set_role(_text(event, "role"), _text(event, "who"))

    def offered(self, event: Event, at: float) -> None:
        to, brief = _text(event, "to"), _text(event, "brief")
        self._handovers[event.id] = Handover(event.id, at, event.actor.name, to, brief, "offered")

    def answered(self, event: Event, at: float) -> None:
        offer = self._handovers.get(_text(event, "offer"))
        if offer is None or offer.state != "offered":
            return
        accepted = event.kind == "handover.accepted"
        self._handovers[offer.offer] = dataclasses.replace(offer, state="accepted" if accepted else "declined")
        if accepted:
            self._set_role("commander", event.actor.name)

    def playbook(self, event: Event, at: float) -> None:
        run, steps, phases = _text(event, "run"), event.data.get("steps"), event.data.get("phases")
        if run in self._runs or not run:
            return
        self._runs[run] = RunState(
            id=run,
            playbook=_text(event, "playbook"),
            title=_text(event, "title"),
            version=int(_number(event.data, "version") or 0),
            sha256=_text(event, "sha256"),
            started_at=at,
            by=event.actor.name,
            phases=tuple(
                (str(phase.get("id", "")), str(phase.get("title", "")))
                for phase in (phases if isinstance(phases, list) else [])
                if isinstance(phase, Mapping)
            ),
            steps=tuple(
                _new_step(step, at) for step in (steps if isinstance(steps, list) else []) if isinstance(step, Mapping)
            ),
        )

    def step(self, event: Event, at: float) -> None:
        result = event.data.get("result")

        def change(step: StepState) -> StepState:
            return dataclasses.replace(
                step,
                state=_text(event, "state"),
                by=event.actor.name,
                at=at,
                reason=_text(event, "reason"),
                notes=step.notes + ((self._words(event, "text"),) if _text(event, "text") else ()),
                result=result if isinstance(result, Mapping) else step.result,
            )

        self._change_step(event, change)

    def claimed(self, event: Event, at: float) -> None:
        """The first claim holds until it is given back, or taken over on purpose."""
        who = _text(event, "who")

        def change(step: StepState) -> StepState:
            free = not step.claimed_by or not who or event.data.get("take") is True
            return dataclasses.replace(step, claimed_by=who) if free else step

        self._change_step(event, change)

    def note(self, event: Event, at: float) -> None:
        text = self._words(event, "text")
        self._change_step(event, lambda step: dataclasses.replace(step, notes=(*step.notes, text)))

    def pin(self, event: Event, at: float) -> None:
        self._pinned[_text(event, "event")] = event.data.get("pinned") is True

    def annotate(self, event: Event, at: float) -> None:
        remark = f"{event.actor.name}: {self._words(event, 'text')}"
        self._remarks.setdefault(_text(event, "event"), []).append(remark)

    def attached(self, event: Event, at: float) -> None:
        name = _text(event, "name") or "flight recorder"
        size = int(_number(event.data, "size") or 0)
        sha256, text = _text(event, "sha256"), _text(event, "text")
        self._attachments.append(Attachment(at, event.actor.name, name, sha256, size, text, event.kind))

    def comms(self, event: Event, at: float) -> None:
        self._updates.append(
            Update(
                at=at,
                by=event.actor.name,
                audience=_text(event, "audience"),
                text=self._words(event, "text"),
                channel=_text(event, "channel"),
                next_at=_number(event.data, "next_at"),
            )
        )

    def contain(self, event: Event, at: float) -> None:
        id, state = _text(event, "containment"), _text(event, "state")
        known = self._containment.get(id)
        if known is None:
            known = Containment(
                id=id,
                name=_text(event, "name"),
                target=_text(event, "target"),
                state=state,
                by=event.actor.name,
                at=at,
                expires_at=_number(event.data, "expires_at"),
                undo=_text(event, "undo"),
                ended_at=None,
            )
        expires = _number(event.data, "expires_at")
        self._containment[id] = dataclasses.replace(
            known,
            state=state,
            expires_at=known.expires_at if expires is None else expires,
            ended_at=at if state == "undone" else None,
        )

    def recovery(self, event: Event, at: float) -> None:
        run = _text(event, "run")
        known = self._recoveries.get(run)
        level = _number(event.data, "level")
        if known is None:
            known = RecoveryRun(run, None, "", "", "", event.actor.name, at, None, (), None, None)
        if event.kind == "recovery.step":
            known = dataclasses.replace(known, steps=_with_step(known.steps, event, at))
        elif event.kind == "recovery.validation":
            known = dataclasses.replace(known, validation=event.data)
        elif event.kind == "recovery.observation":
            known = dataclasses.replace(known, observation=event.data)
        else:
            state = _text(event, "state")
            known = dataclasses.replace(
                known,
                level=known.level if level is None else int(level),
                service=_text(event, "service") or known.service,
                title=_text(event, "title") or known.title,
                state=state,
                started_at=at if state == "started" else known.started_at,
                ended_at=None if state in ("planned", "confirmed", "started") else at,
            )
        self._recoveries[run] = known

    # the tools of the handlers

    def _at(self, event: Event) -> float:
        """When it happened, by its last correction."""
        amendment = self._amended.get(event.id)
        corrected = _number(amendment.data, "at") if amendment else None
        return event.at if corrected is None else corrected

    def _words(self, event: Event, key: str) -> str:
        """A text of the event, by its last correction."""
        amendment = self._amended.get(event.id)
        return (_text(amendment, "text") if amendment else "") or _text(event, key)

    def _place(self, event: Event) -> tuple[float, tuple[tuple[int, int], str, int]]:
        at = self._at(event)
        return (at, event.order) if at != event.at else event.place

    def _change_severity(self, event: Event, at: float, reason: str) -> None:
        severity = event.data.get("severity")
        if isinstance(severity, int) and 1 <= severity <= 4:
            self._severities.append(SeverityChange(at, severity, event.actor.name, reason))

    def _change_status(self, event: Event, at: float, status: str, reason: str) -> None:
        if status in STATUSES:
            self._statuses.append(StatusChange(at, status, event.actor.name, reason))

    def _set_role(self, role: object, who: object) -> None:
        if role in ROLES and isinstance(who, str):
            self._roles.pop(str(role), None)
            if who:
                self._roles[str(role)] = who

    def _solo(self) -> bool:
        """One person does everything: there is a commander, and nobody else has work."""
        hands = {who for role, who in self._roles.items() if role != "observer"}
        return len(hands) == 1 and "commander" in self._roles

    def _change_step(self, event: Event, change: Callable[[StepState], StepState]) -> None:
        run = self._runs.get(_text(event, "run"))
        if run is not None:
            wanted = _text(event, "step")
            steps = tuple(change(step) if step.id == wanted else step for step in run.steps)
            self._runs[run.id] = dataclasses.replace(run, steps=steps)

    def _timeline(self, by_time: list[Event]) -> tuple[Entry, ...]:
        numbers = {event.id: number for number, event in enumerate(self._ordered, 1)}
        return tuple(self._entry(event, numbers[event.id]) for event in by_time)

    def _entry(self, event: Event, seq: int) -> Entry:
        amendment = self._amended.get(event.id)
        words = summary(event)
        corrected = self._words(event, "text") if amendment and amendment.data.get("text") else words
        why = f"by {amendment.actor.name}: {_text(amendment, 'reason')}" if amendment else ""
        return Entry(
            seq=seq,
            id=event.id,
            at=self._at(event),
            written_at=event.written_at,
            host=event.actor.host,
            actor=event.actor.name,
            kind=event.kind,
            summary=corrected,
            data=event.data,
            hash=event.hash,
            automatic=event.kind == "fact" or not event.actor.human,
            pinned=self._pinned.get(event.id, False),
            amended=why,
            original=words if amendment else "",
            remarks=tuple(self._remarks.get(event.id, ())),
        )


_HANDLERS: dict[str, Callable[[_Folding, Event, float], None]] = {
    "declared": _Folding.declared,
    "severity": _Folding.severity,
    "status": _Folding.status,
    "resolved": _Folding.resolved,
    "closed": _Folding.closed,
    "reopened": _Folding.reopened,
    "role": _Folding.role,
    "handover.offered": _Folding.offered,
    "handover.accepted": _Folding.answered,
    "handover.declined": _Folding.answered,
    "playbook.started": _Folding.playbook,
    "step": _Folding.step,
    "step.claimed": _Folding.claimed,
    "note": _Folding.note,
    "pin": _Folding.pin,
    "annotate": _Folding.annotate,
    "attach": _Folding.attached,
    "flight": _Folding.attached,
    "comms": _Folding.comms,
    "containment": _Folding.contain,
    "recovery.run": _Folding.recovery,
    "recovery.step": _Folding.recovery,
    "recovery.validation": _Folding.recovery,
    "recovery.observation": _Folding.recovery,
}


def _amendments(ordered: list[Event]) -> dict[str, Event]:
    """Event id -> its last correction. A correction can itself not be corrected: write another one."""
    return {_text(event, "event"): event for event in ordered if event.kind == "amend"}


def _text(event: Event, key: str) -> str:
    value = event.data.get(key)
    return value if isinstance(value, str) else ""


def _number(data: Mapping[str, Any], key: str) -> float | None:
    value = data.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _new_step(data: Mapping[str, Any], started: float) -> StepState:
    due = _number(data, "due")
    roles = data.get("roles")
    return StepState(
        id=str(data.get("id", "")),
        title=str(data.get("title", "")),
        type=str(data.get("type", "instruction")),
        phase=str(data.get("phase", "")),
        roles=tuple(map(str, roles)) if isinstance(roles, list) else (),
        state="pending",
        due_at=None if due is None else started + due,
        expect=_number(data, "expect"),
    )


def _with_step(steps: tuple[RecoveryStep, ...], event: Event, at: float) -> tuple[RecoveryStep, ...]:
    id = _text(event, "step")
    before = next((step for step in steps if step.id == id), None)
    now = RecoveryStep(
        id=id,
        title=_text(event, "title") or (before.title if before else ""),
        state=_text(event, "state"),
        at=at,
        text=_text(event, "text"),
        took=_number(event.data, "took"),
    )
    return tuple(now if step.id == id else step for step in steps) if before else (*steps, now)
