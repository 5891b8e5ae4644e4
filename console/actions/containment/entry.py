"""One containment: what was done to what, what was saved for the way back, and where it stands.

Pure records and their JSON. `ledger` keeps them on disk, `applying` carries them out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from console.actions.action import Risk, Step
from console.incident.events import Actor

FORMAT = 1


class Sight(StrEnum):
    """What a look at the host says of one part of a containment."""

    IN_FORCE = "in_force"
    ABSENT = "absent"
    PARTLY = "partly"
    GONE = "gone"  # what it was done to is no longer there, and the measure with it
    UNTOLD = "untold"  # there is no way to look


@dataclass(frozen=True, slots=True)
class Part:
    """One change. `state`: pending, engaging, in_force, skipped, releasing, released, failed, unknown.

    `step.call` holds what the way back needs, as it was before; `at` is when the state was written.
    """

    step: Step
    state: str = "pending"
    detail: str = ""
    at: float = 0.0
    took: float | None = None

    @property
    def touched(self) -> bool:
        """Whether something of it may be in force: what is pending was never begun."""
        return self.state not in ("pending", "skipped", "released")


@dataclass(frozen=True, slots=True)
class Entry:
    """One document of the ledger.

    `state` is what was written last: applying, active, unknown, undoing, failed, undone. A process that was killed
    leaves applying or undoing behind, which `standing` calls in doubt.
    """

    id: str
    name: str
    target: str
    project: str
    services: tuple[str, ...]
    by: Actor
    at: float
    expires_at: float | None
    state: str
    undo: str
    parts: tuple[Part, ...]
    incident: str = ""
    effect: str = ""
    history: tuple[Mapping[str, Any], ...] = ()  # {at, by, state, text}
    told: int = 0  # how much of the history stands in the incident's record
    ended_at: float | None = None
    level: int = 1  # recovery levels from here on would undo it silently, so they are refused on its services

    @property
    def title(self) -> str:
        """The words that were typed: `isolate app`."""
        return f"{self.name} {self.target}".strip()

    @property
    def over(self) -> bool:
        return self.state in ("undone", "failed")

    def overdue(self, now: float) -> bool:
        return not self.over and self.expires_at is not None and now > self.expires_at

    def standing(self, now: float, busy: bool = False) -> str:
        """`state` for people. `busy`: the process that is at it holds the project's lock."""
        if self.state in ("applying", "undoing"):
            return self.state if busy else "in_doubt"
        return "overdue" if self.state == "active" and self.overdue(now) else self.state

    def with_part(self, number: int, part: Part) -> Entry:
        return replace(self, parts=(*self.parts[:number], part, *self.parts[number + 1 :]))

    def saying(self, state: str, at: float, by: str, text: str) -> Entry:
        """The entry in its next state, with a line of history."""
        line = {"at": at, "by": by, "state": state, "text": text}
        return replace(
            self,
            state=state,
            history=(*self.history, line),
            ended_at=at if state in ("undone", "failed") else None,
        )

    def to_json(self) -> dict[str, Any]:
        body = {"v": FORMAT, **asdict(self), "by": self.by.as_json()}
        return dict(json.loads(json.dumps(body)))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Entry:
        """The entry that `to_json` wrote. Raises KeyError, TypeError or ValueError when it is not one."""
        expires, ended = data["expires_at"], data.get("ended_at")
        return cls(
            id=str(data["id"]),
            name=str(data["name"]),
            target=str(data["target"]),
            project=str(data["project"]),
            services=tuple(str(s) for s in data["services"]),
            by=Actor.from_json(data["by"]),
            at=float(data["at"]),
            expires_at=None if expires is None else float(expires),
            state=str(data["state"]),
            undo=str(data["undo"]),
            parts=tuple(_part(p) for p in data["parts"]),
            incident=str(data.get("incident", "")),
            effect=str(data.get("effect", "")),
            history=tuple(dict(line) for line in data.get("history", ())),
            told=int(data.get("told", 0)),
            ended_at=None if ended is None else float(ended),
            level=int(data.get("level", 1)),
        )


def _part(data: Mapping[str, Any]) -> Part:
    step = Step(**{**data["step"], "risk": Risk(data["step"]["risk"])})
    took = data.get("took")
    return Part(step, str(data["state"]), str(data["detail"]), float(data["at"]), None if took is None else float(took))
