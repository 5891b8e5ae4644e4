"""The incident bar: severity, id, title, clock, commander, next update due, active containment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.reactive import var

from console.incident.durability import Standing
from widgets.bars import Bar
from widgets.format import clock_text, countdown_text, time_text
from widgets.lines import Line, Span, between, crop, fit, line, width_of

if TYPE_CHECKING:
    from console.incident.records import Incident

_TITLE = 34  # columns that severity, number and title keep
_TONE = {1: "bad", 2: "bad", 3: "warn", 4: "dim"}


def incident_line(incident: Incident | None, now: float, unsaved: str, standing: Standing, width: int) -> Line:
    """The bar in one line; what matters least goes first when the terminal is narrow."""
    if incident is None:
        return between(
            line(Span(" no incident open", "dim"), Span("   D", "key"), Span(" declares one", "dim")),
            line(Span("sevdeck ", "dim")),
            width,
        )
    if incident.loading:  # what is due and who commands is not known yet
        return between(
            line(Span(f" SEV-{incident.severity}", _TONE[incident.severity]), f"  {incident.id}  {incident.title}"),
            line(Span(f"{unsaved} ", "bad") if unsaved else Span("verifying the record … ", "warn")),
            width,
        )
    from console.incident.timers import next_update, overdue

    tone = _TONE[incident.severity]
    head: list[str | Span] = [
        Span(f"{'DRILL ' if incident.drill else ''}SEV-{incident.severity}", tone),
        Span(f"  {incident.id} ", "strong"),
    ]
    tail: list[Line] = []
    if unsaved:
        # It must stay when all else is left out for want of room.
        tail.append(line(Span(f"  {fit(unsaved, min(len(unsaved), width - _TITLE - 2))}", "bad")))
    if incident.declared_at is not None and now:
        end = incident.moments["t5"].at if incident.over and "t5" in incident.moments else now
        start = "" if width < 90 else f"{time_text(incident.declared_at)[:5]} → "
        tail.append(line(Span(f"  {start}", "dim"), Span(clock_text(end - incident.declared_at), "strong")))
    if incident.status not in ("declared", "triage"):
        tail.append(line(Span(f"  {incident.status}", "ok" if incident.over else "warn")))
    due = next_update(incident, now) if now else None
    if due is not None:
        left = due.left(now)
        tail.append(
            line(
                Span(f"  {due.label} " if width >= 90 else "  ⏱ ", "dim"),
                Span(countdown_text(left), "bad" if left < 0 else ""),
            )
        )
    if standing.server:
        tail.append(line(Span(f"  {standing.server if width >= 120 else standing.server.split(' - ')[0]}", "warn")))
    late = [t for t in overdue(incident, now) if due is None or t.name != due.name] if now else []
    who = f"IC {incident.commander}{' (solo)' if incident.solo else ''}" if incident.commander else "no commander"
    if width >= 70:
        tail.append(line(Span(f"  {who}", "" if incident.commander else "bad")))
    if late:
        tail.append(
            line(Span(f"  ▲ {len(late)} over" if width < 120 else f"  ▲ {len(late)} over: {late[0].label}", "warn"))
        )
    if incident.active_containment:
        tail.append(line(Span(f"  ⛨ {len(incident.active_containment)}", "warn")))
    if standing.brief and not standing.server:
        tail.append(line(Span(f"  {standing.brief}", "dim")))
    room = width - sum(width_of(t) for t in tail)
    while tail and room < _TITLE:
        room += width_of(tail.pop())
    title = (*line(*head), Span(incident.title))
    return (*crop(title, room), *(span for t in tail for span in t)) if room < width else crop(title, width)


class IncidentBar(Bar):
    """Shows the fold of the incident that is followed, or how to declare one."""

    incident: var[Incident | None] = var(None)
    now: var[float] = var(0.0)
    unsaved: var[str] = var("")  # what is not on disk yet, in words
    standing: var[Standing] = var(Standing())

    def watch_incident(self) -> None:
        self.redraw()

    def watch_now(self) -> None:
        self.redraw()

    def watch_unsaved(self) -> None:
        self.redraw()

    def watch_standing(self) -> None:
        self.redraw()

    def view(self, width: int, height: int) -> Sequence[Line]:
        return [incident_line(self.incident, self.now, self.unsaved, self.standing, width)]
