"""The times and figures of a review: when it began, was seen, declared, answered, mitigated, resolved.

Each time says how it is known, each figure carries its formula. They are per incident; medians over many
incidents are the reports' business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from console.incident.events import Event
from console.incident.records import Containment, Measure, Moment

_FORMULAS = (
    ("MTTD", "t0", "t1", "detected − impact start"),
    ("MTTA", "t1", "t3", "first human answer − detected"),
    ("time to declare", "t1", "t2", "declared − detected"),
    ("MTTM", "t0", "t4", "mitigated − impact start"),
    ("MTTR", "t0", "t5", "resolved − impact start"),
)
_INDECISIVE = ("note", "joined", "left", "step.claimed", "recovery.step", "recovery.observation", "annotate", "pin")
_MITIGATED = ("mitigated", "monitoring", "resolved", "review", "closed")


def moments(events: Sequence[Event], at: Mapping[str, float], ledger: Sequence[Containment]) -> dict[str, Moment]:
    """t0 ... t6 as far as they are known, from events in the order they happened.

    t0 impact start, t1 detected, t2 declared, t3 first human answer, t4 mitigated, t5 resolved (and no
    containment left), t6 closed. `at` gives each event's time by its last correction.
    """
    known = _impact(events, at)
    declared = next((event for event in events if event.kind == "declared"), None)
    if declared is not None:
        known["t2"] = Moment(at[declared.id], f"declared by {declared.actor.name}")
    detected = _detected(events, declared, at)
    if detected is not None:
        known["t1"] = detected
    for event in events:
        how = _answer(event)
        if how:
            known["t3"] = Moment(at[event.id], f"{how} by {event.actor.name}")
            break
    known.update(_end(events, at, ledger))
    if "t4" not in known:
        mitigated = _first_lasting(events, at, _MITIGATED)
        if mitigated is not None:
            known["t4"] = mitigated
    return dict(sorted(known.items()))


def decisive(event: Event) -> bool:
    """Whether `moments` may depend on this event. Most notes and facts of a long incident are not."""
    if event.kind == "fact":
        return event.data.get("bad") is True or event.data.get("fact") in ("probe.down", "probe.up")
    return event.kind not in _INDECISIVE


def measures(known: Mapping[str, Moment], told: Sequence[float]) -> tuple[Measure, ...]:
    """The figures, None where one of the two times is unknown. `told`: when people were informed."""
    figures = [Measure(name, _between(known, a, b), f"{formula} ({b} − {a})") for name, a, b, formula in _FORMULAS]
    first = min(told, default=None)
    declared = known.get("t2")
    seconds = None if first is None or declared is None else max(0.0, first - declared.at)
    figures.insert(3, Measure("time to first comms", seconds, "first update to people − declared"))
    return tuple(figures)


def _answer(event: Event) -> str:
    """How this event shows that a person has taken the incident on; "" when it does not."""
    if not event.actor.human:
        return ""
    roles = event.data.get("roles")
    if event.kind == "declared":
        named = event.data.get("commander") or (isinstance(roles, Mapping) and roles.get("commander"))
        return "declared with a commander" if named else ""
    if event.kind == "role":
        return "commander named" if event.data.get("role") == "commander" and event.data.get("who") else ""
    return {"ack": "acknowledged", "step": "first step taken", "handover.accepted": "command accepted"}.get(
        event.kind, ""
    )


def _between(known: Mapping[str, Moment], a: str, b: str) -> float | None:
    start, end = known.get(a), known.get(b)
    return None if start is None or end is None else max(0.0, end.at - start.at)


def _impact(events: Sequence[Event], at: Mapping[str, float]) -> dict[str, Moment]:
    """t0 and t4 from probes: the first that failed, and the moment when none was failing any more.

    A person's correction wins over both.
    """
    failing: set[str] = set()
    start: Moment | None = None
    stop: Moment | None = None
    by_hand: dict[str, Moment] = {}
    for event in events:
        subject = str(event.data.get("subject", ""))
        if event.kind == "fact" and event.data.get("fact") == "probe.down":
            start = start or Moment(at[event.id], f"probe {subject} began to fail")
            failing.add(subject)
            stop = None
        elif event.kind == "fact" and event.data.get("fact") == "probe.up" and subject in failing:
            failing.discard(subject)
            if not failing:
                stop = Moment(at[event.id], f"probe {subject} good again, the last of those that failed")
        elif event.kind == "impact":
            for key, moment in (("start", "t0"), ("stop", "t4")):
                value = event.data.get(key)
                if isinstance(value, int | float) and not isinstance(value, bool):
                    by_hand[moment] = Moment(float(value), f"set by {event.actor.name}")
    known = {key: moment for key, moment in (("t0", start), ("t4", stop)) if moment is not None}
    return known | by_hand


def _detected(events: Sequence[Event], declared: Event | None, at: Mapping[str, float]) -> Moment | None:
    """The earliest time at which a console or a person knew: a bad fact was noticed, or it was declared."""
    noticed: list[Moment] = []
    for event in events:
        bad = event.data.get("bad") is True or event.data.get("fact") == "probe.down"
        if event.kind == "fact" and bad:
            seen = event.data.get("noticed_at")
            when = float(seen) if isinstance(seen, int | float) else event.written_at
            noticed.append(Moment(when, f"seen by the console: {str(event.data.get('text', ''))[:80]}"))
    if declared is not None:
        noticed.append(Moment(at[declared.id], f"declared by {declared.actor.name}"))
    return min(noticed, key=lambda moment: moment.at, default=None)


def _end(events: Sequence[Event], at: Mapping[str, float], ledger: Sequence[Containment]) -> dict[str, Moment]:
    """t5 and t6 of an incident that is over now: reopening takes them back."""
    known: dict[str, Moment] = {}
    for event in events:
        status = str(event.data.get("status", "")) if event.kind == "status" else event.kind
        if status == "resolved":
            known["t5"] = Moment(at[event.id], f"resolved by {event.actor.name}")
        elif status == "closed":
            known["t6"] = Moment(at[event.id], f"closed by {event.actor.name}")
        elif status in ("reopened", "declared", "contained", "mitigated", "monitoring"):
            known.clear()
    if "t5" in known and ledger:
        if any(measure.active for measure in ledger):
            del known["t5"]
        else:
            emptied = max(measure.ended_at or 0.0 for measure in ledger)
            if emptied > known["t5"].at:
                known["t5"] = Moment(emptied, "the last containment was undone")
    return known


def _first_lasting(events: Sequence[Event], at: Mapping[str, float], statuses: Sequence[str]) -> Moment | None:
    """The time since which the status has been one of `statuses` without a break."""
    found: Moment | None = None
    for event in events:
        status = str(event.data.get("status", "")) if event.kind == "status" else event.kind
        if status in statuses:
            found = found or Moment(at[event.id], f"{status} by {event.actor.name}")
        elif status in ("declared", "reopened", "contained", "triage"):
            found = None
    return found
