"""What was written and must not be read any more: a name, a number, a secret that the masks did not know.

The journal is never rewritten, so its bytes stay where they are; a later event says that an entry is redacted, and
from then on no screen, query or export shows its words. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from console.incident.events import Event
from console.incident.fields import text

# What gives an entry its place and meaning; all else may hold what people wrote.
_KEPT = frozenset(
    ("run", "step", "state", "playbook", "sha256", "size", "event", "offer", "role", "status", "fact", "key", "steps",
     "containment", "audience", "pinned", "moment")
)  # fmt: skip


def redacted(events: Iterable[Event]) -> list[Event]:
    """The events in the same order, those that were redacted without their words. Their hashes stay as written."""
    known = list(events)
    marks = {text(event, "event"): mark(event) for event in known if event.kind == "redact"}
    return [without_words(event, marks[event.id]) if event.id in marks else event for event in known]


def without_words(event: Event, shown: str) -> Event:
    """The event with `shown` in place of whatever people or machines wrote into it."""
    return event._replace(data={key: _hidden(key, value, shown) for key, value in event.data.items()})


def mark(event: Event) -> str:
    """What stands where the words were, from the "redact" event."""
    return f"▇▇▇ redacted by {event.actor.name}: {text(event, 'reason')}"


def _hidden(key: str, value: Any, shown: str) -> Any:
    if key in _KEPT or value is None or isinstance(value, bool | int | float):
        return value
    return shown if isinstance(value, str) else {} if isinstance(value, dict) else []
