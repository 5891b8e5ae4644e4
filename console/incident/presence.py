"""Who is on the incident, in the fold: from what consoles say when a person opens and leaves it, and what people do.

The record is all that hosts share, so it is all that this knows: a console that was killed said nothing, and its
person grows silent instead. `heard_at` tells that.
"""

from __future__ import annotations

from dataclasses import dataclass

from console.incident.events import Event
from console.incident.records import Person

SAID = ("joined", "left")  # kinds that mean nothing else: no sign that anything was done


@dataclass(slots=True)
class _Session:
    name: str
    host: str
    since: float
    heard_at: float
    open: bool


class Attendance:
    """Takes events in order; one writer is one session of one person."""

    def __init__(self) -> None:
        self._sessions: dict[str, _Session] = {}

    def take(self, event: Event) -> None:
        session = self._sessions.get(event.writer)
        if event.actor.human and event.kind != "fact":
            if session is None:
                session = _Session(event.actor.name, event.actor.host, event.written_at, event.written_at, False)
                self._sessions[event.writer] = session
            # A command is over when it has answered; a console stays.
            session.open = event.kind != "left" and event.actor.via == "console"
        if session is not None:
            session.heard_at = max(session.heard_at, event.written_at)

    def people(self) -> tuple[Person, ...]:
        """Each person once a host, in the order in which they came."""
        found: dict[tuple[str, str], Person] = {}
        for one in self._sessions.values():
            key = (one.name, one.host)
            known = found.get(key)
            if known is None:
                found[key] = Person(one.name, one.host, one.since, one.heard_at, one.open)
            else:
                found[key] = Person(
                    *key,
                    since=one.since if one.open and not known.here else min(known.since, one.since),
                    heard_at=max(known.heard_at, one.heard_at),
                    here=known.here or one.open,
                )
        return tuple(found.values())
