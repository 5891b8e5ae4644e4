"""The fold: an incident from its events, in whatever order and however often each is given.

It is pure and never refuses: an event with data it does not understand stands in the timeline and changes
nothing else. What may be asked for next (`rules`) and what is due (`timers`) are questions to its answer.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence

from console.incident.checklists import Checklists
from console.incident.events import ROLES, Event
from console.incident.fields import number, text
from console.incident.interventions import Interventions
from console.incident.measures import measures, moments
from console.incident.presence import SAID, Attendance
from console.incident.privacy import redacted
from console.incident.records import (
    LIFECYCLE,
    STATUSES,
    Attachment,
    Entry,
    Handover,
    Incident,
    Moment,
    SeverityChange,
    StatusChange,
    Update,
)
from console.incident.summary import summary

__all__ = ["LIFECYCLE", "STATUSES", "Entry", "Incident", "fold", "in_order", "plain_entry"]


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
    ordered = redacted(in_order(events))
    folding = Folding(ordered)
    for event in ordered:
        folding.take(event)
    return folding.incident()


def plain_entry(event: Event, seq: int = 0) -> Entry:
    """One event as a line of the timeline, without what later events say about it."""
    return Entry(
        seq=seq,
        id=event.id,
        at=event.at,
        written_at=event.written_at,
        host=event.actor.host,
        actor=event.actor.name,
        kind=event.kind,
        summary=summary(event),
        data=event.data,
        hash=event.hash,
        writer=event.writer,
        number=event.seq,
        automatic=event.kind == "fact" or not event.actor.human,
    )


class Folding:
    """What the events taken so far make. `ordered` and what it is amended by must hold all that will be taken."""

    def __init__(self, ordered: list[Event]) -> None:
        self._ordered = ordered
        self._amended = _amendments(ordered)
        self._declared: Event | None = None
        self._title = ""
        self._drill = False
        self._severities: list[SeverityChange] = []
        self._statuses: list[StatusChange] = []
        self._roles: dict[str, str] = {}
        self._checklists = Checklists(self._words)
        self._measures = Interventions()
        self._attendance = Attendance()
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
        self._attendance.take(event)
        if event.actor.human and event.kind not in ("fact", *SAID):
            self._last_human = max(self._last_human or 0.0, event.written_at)
        if event.kind in _OF_ROLES and self._solo() != (self._solo_since is not None):
            self._solo_since = self._at(event) if self._solo() else None

    def incident(self) -> Incident:
        by_time = sorted(self._ordered, key=self.place)
        return self.made(self.moments(by_time), self._timeline(by_time))

    def moments(self, by_time: Sequence[Event]) -> dict[str, Moment]:
        """The times of the review; of the events only those that `measures.decisive` names need be given."""
        return moments(by_time, {event.id: self._at(event) for event in by_time}, self._measures.containment())

    def made(self, known: Mapping[str, Moment], timeline: tuple[Entry, ...]) -> Incident:
        """The incident with these times and this timeline."""
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
            runs=tuple(self._checklists.runs()),
            recoveries=tuple(self._measures.recoveries()),
            containment=tuple(self._measures.containment()),
            updates=tuple(self._updates),
            handovers=tuple(self._handovers.values()),
            attachments=tuple(self._attachments),
            moments=known,
            metrics=measures(known, [update.at for update in self._updates]),
            last_human_at=self._last_human,
            people=self._attendance.people(),
            timeline=timeline,
        )

    def shared(self) -> dict[int, object]:
        """What a copy has in common with this one, as `copy.deepcopy` wants to be told."""
        common = (self._ordered, self._amended, self._declared)
        return {id(one): one for one in common if one is not None}

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
        self._set_role("commander", text(event, "commander") or self._roles.get("commander", ""))

    def severity(self, event: Event, at: float) -> None:
        self._change_severity(event, at, text(event, "reason"))

    def status(self, event: Event, at: float) -> None:
        self._change_status(event, at, text(event, "status"), text(event, "reason"))

    def resolved(self, event: Event, at: float) -> None:
        self._change_status(event, at, "resolved", text(event, "text"))

    def closed(self, event: Event, at: float) -> None:
        self._change_status(event, at, "closed", text(event, "text"))

    def reopened(self, event: Event, at: float) -> None:
        self._change_status(event, at, "declared", text(event, "reason"))

    def role(self, event: Event, at: float) -> None:
        self._set_role(text(event, "role"), text(event, "who"))

    def offered(self, event: Event, at: float) -> None:
        to, brief = text(event, "to"), text(event, "brief")
        self._handovers[event.id] = Handover(event.id, at, event.actor.name, to, brief, "offered")

    def answered(self, event: Event, at: float) -> None:
        offer = self._handovers.get(text(event, "offer"))
        if offer is None or offer.state != "offered":
            return
        accepted = event.kind == "handover.accepted"
        self._handovers[offer.offer] = dataclasses.replace(offer, state="accepted" if accepted else "declined")
        if accepted:
            self._set_role("commander", event.actor.name)

    def pin(self, event: Event, at: float) -> None:
        self._pinned[text(event, "event")] = event.data.get("pinned") is True

    def annotate(self, event: Event, at: float) -> None:
        remark = f"{event.actor.name}: {self._words(event, 'text')}"
        self._remarks.setdefault(text(event, "event"), []).append(remark)

    def attached(self, event: Event, at: float) -> None:
        name = text(event, "name") or "flight recorder"
        size = int(number(event.data, "size") or 0)
        sha256, about = text(event, "sha256"), text(event, "text")
        self._attachments.append(Attachment(at, event.actor.name, name, sha256, size, about, event.kind))

    def comms(self, event: Event, at: float) -> None:
        self._updates.append(
            Update(
                at=at,
                by=event.actor.name,
                audience=text(event, "audience"),
                text=self._words(event, "text"),
                channel=text(event, "channel"),
                next_at=number(event.data, "next_at"),
            )
        )

    def checklist(self, event: Event, at: float) -> None:
        self._checklists.take(event, at)

    def intervention(self, event: Event, at: float) -> None:
        self._measures.take(event, at)

    # the tools of the handlers

    def _at(self, event: Event) -> float:
        """When it happened, by its last correction."""
        amendment = self._amended.get(event.id)
        corrected = number(amendment.data, "at") if amendment else None
        return event.at if corrected is None else corrected

    def _words(self, event: Event, key: str) -> str:
        """A text of the event, by its last correction."""
        amendment = self._amended.get(event.id)
        return (text(amendment, "text") if amendment else "") or text(event, key)

    def place(self, event: Event) -> tuple[float, tuple[tuple[int, int], str, int]]:
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

    def _timeline(self, by_time: list[Event]) -> tuple[Entry, ...]:
        numbers = {event.id: number for number, event in enumerate(self._ordered, 1)}
        return tuple(self.entry(event, numbers[event.id]) for event in by_time)

    def entry(self, event: Event, seq: int) -> Entry:
        entry = plain_entry(event, seq)
        amendment = self._amended.get(event.id)
        if amendment is not None:
            entry = entry._replace(
                at=self._at(event),
                summary=self._words(event, "text") if amendment.data.get("text") else entry.summary,
                amended=f"by {amendment.actor.name}: {text(amendment, 'reason')}",
                original=entry.summary,
            )
        pinned, remarks = self._pinned.get(event.id, False), tuple(self._remarks.get(event.id, ()))
        return entry._replace(pinned=pinned, remarks=remarks) if pinned or remarks else entry


_OF_ROLES = ("declared", "role", "handover.accepted")
_HANDLERS: dict[str, Callable[[Folding, Event, float], None]] = {
    "declared": Folding.declared,
    "severity": Folding.severity,
    "status": Folding.status,
    "resolved": Folding.resolved,
    "closed": Folding.closed,
    "reopened": Folding.reopened,
    "role": Folding.role,
    "handover.offered": Folding.offered,
    "handover.accepted": Folding.answered,
    "handover.declined": Folding.answered,
    "playbook.started": Folding.checklist,
    "step": Folding.checklist,
    "step.claimed": Folding.checklist,
    "note": Folding.checklist,
    "pin": Folding.pin,
    "annotate": Folding.annotate,
    "attach": Folding.attached,
    "flight": Folding.attached,
    "comms": Folding.comms,
    "containment": Folding.intervention,
    "recovery.run": Folding.intervention,
    "recovery.step": Folding.intervention,
    "recovery.validation": Folding.intervention,
    "recovery.observation": Folding.intervention,
}


def _amendments(ordered: list[Event]) -> dict[str, Event]:
    """Event id -> its last correction. A correction can itself not be corrected: write another one."""
    return {text(event, "event"): event for event in ordered if event.kind == "amend"}
