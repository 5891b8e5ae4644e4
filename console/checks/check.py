"""The `Check` protocol and what a check says: a `Finding` with status, evidence and suggestions.

Whatever asks "is it well?" is a Check: diagnosis, validation after recovery, playbook verification, reports.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from console.text import clean

# What can be looked at, in the order in which a person reads it. The eighth group, collection, is the evidence bundle.
GROUPS = ("quick", "logs", "connectivity", "performance", "database", "configuration", "security")


class Status(StrEnum):
    """How well something is. Ordered from best to worst by `rank`."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"

    @property
    def rank(self) -> int:
        return {"ok": 0, "unknown": 1, "warn": 2, "fail": 3}[self.value]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What to do about a finding. `action` names what the console can do at once.

    `action`: "recover:1:app" (level, service; "recover:2:" is all of them, "recover::" the screen alone),
    "playbook:disk-full", "contain:isolate:app" (measure, target), "none" when no action of ours helps
    and the title says what a person does.
    """

    title: str  # "restart app (level 1)"
    why: str
    action: str
    confidence: float  # 0-1
    symptoms: tuple[str, ...] = ()  # summaries of findings that this cause explains
    cost: str = ""  # what it costs to try: "app is away for about 4 s"; "" when nothing
    falsified_by: str = ""  # what would show that this is wrong: "app answers directly, too, and stays slow"


@dataclass(frozen=True, slots=True)
class Finding:
    """One judgement. `summary` is one line a tired person can read; `evidence` is what it rests on."""

    check: str  # "containers.health"
    group: str  # one of `GROUPS`
    status: Status
    summary: str
    evidence: tuple[str, ...] = ()
    suggestions: tuple[Suggestion, ...] = ()
    subject: str = ""  # service, probe, mount ... that it is about
    since: float | None = None  # unix seconds
    cause: str = ""  # `key` of the finding that explains this one; "" when it stands for itself

    @property
    def key(self) -> str:
        """Names the finding while it lasts: the same trouble of the same thing has the same key."""
        return f"{self.check}:{self.subject}"

    @property
    def lasting(self) -> bool:
        """Whether it is about how things are made, rather than about what happens: it was so yesterday, too."""
        return self.group in ("configuration", "security") or self.check == "database.backup"


def advice(
    check: str, summary: str, evidence: Iterable[str], suggestion: Suggestion, status: Status = Status.WARN
) -> Finding:
    """A finding about how things are made, with what to do about it; `check` begins with its group.

    Names and paths are others' words: all of it is cleaned here.
    """
    told = replace(
        suggestion,
        title=clean(suggestion.title),
        why=clean(suggestion.why),
        falsified_by=clean(suggestion.falsified_by),
    )
    lines = tuple(clean(line) for line in evidence)
    return Finding(check, check.partition(".")[0], status, clean(summary), lines, (told,))


def overall(findings: Iterable[Finding]) -> Status:
    """The worst status among the findings; OK when there are none."""
    return max((f.status for f in findings), key=lambda status: status.rank, default=Status.OK)
