"""What each severity demands: who is woken, by when somebody answers, how often people are told.

Data, not policy code: timers, the declare screen, playbooks and reports read it from here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from console.errors import UsageError

MINUTE = 60.0
HOUR = 3600.0
DAY = 24 * HOUR


@dataclass(frozen=True, slots=True)
class Escalation:
    """Whom to bring in when nothing happened `after` seconds."""

    after: float
    who: str


@dataclass(frozen=True, slots=True)
class Level:
    """One severity. All spans are seconds; None: not demanded."""

    severity: int
    name: str
    meaning: str
    ack: float  # until a person answered
    commander: float | None  # until a commander is named; None: the owner is enough
    page: tuple[str, ...]  # who is paged at declaration
    unacknowledged: tuple[Escalation, ...]
    unmitigated: tuple[Escalation, ...]
    update: float | None  # between internal updates
    executive: float | None  # between executive briefs
    external_first: float | None  # until the first public word
    external: float | None  # between public updates
    reack: float | None  # silence after which the console asks whether anybody is awake
    review_draft: float | None  # from resolution to the draft of the review
    review: str
    playbook: str

    @property
    def label(self) -> str:
        return f"SEV-{self.severity}"


LEVELS: dict[int, Level] = {
    1: Level(
        1,
        "critical",
        "users cannot do what they came for, or data is at risk",
        ack=5 * MINUTE,
        commander=5 * MINUTE,
        page=("operations on call", "devops on call"),
        unacknowledged=(Escalation(5 * MINUTE, "tech lead"), Escalation(10 * MINUTE, "CTO")),
        unmitigated=(Escalation(15 * MINUTE, "tech lead"), Escalation(30 * MINUTE, "CTO")),
        update=15 * MINUTE,
        executive=30 * MINUTE,
        external_first=10 * MINUTE,
        external=20 * MINUTE,
        reack=20 * MINUTE,
        review_draft=DAY,
        review="meeting within 3 days",
        playbook="sev1-response",
    ),
    2: Level(
        2,
        "high",
        "much of the service is degraded, or one failure away from SEV-1",
        ack=15 * MINUTE,
        commander=15 * MINUTE,
        page=("operations on call",),
        unacknowledged=(Escalation(15 * MINUTE, "devops on call"), Escalation(30 * MINUTE, "tech lead")),
        unmitigated=(Escalation(60 * MINUTE, "tech lead"), Escalation(120 * MINUTE, "CTO")),
        update=30 * MINUTE,
        executive=60 * MINUTE,
        external_first=30 * MINUTE,
        external=60 * MINUTE,
        reack=45 * MINUTE,
        review_draft=2 * DAY,
        review="meeting within 5 working days",
        playbook="sev2-response",
    ),
    3: Level(
        3,
        "medium",
        "a limited fault, or the safety margin is gone",
        ack=HOUR,
        commander=None,
        page=(),
        unacknowledged=(Escalation(4 * HOUR, "tech lead"),),
        unmitigated=(Escalation(DAY, "review whether it is SEV-2"),),
        update=4 * HOUR,
        executive=None,
        external_first=None,
        external=None,
        reack=None,
        review_draft=None,
        review="light; a full one when it came twice in 30 days",
        playbook="sev3-response",
    ),
    4: Level(
        4,
        "low",
        "no user notices; worth mending in working hours",
        ack=DAY,
        commander=None,
        page=(),
        unacknowledged=(Escalation(7 * DAY, "weekly review"),),
        unmitigated=(),
        update=DAY,
        executive=None,
        external_first=None,
        external=None,
        reack=None,
        review_draft=None,
        review="none",
        playbook="sev4-response",
    ),
}

_SPELLINGS = re.compile(r"^(?:sev(?:erity)?[-_ ]?([1-4])|p([0-3])|([1-4]))$", re.IGNORECASE)


def parse_severity(text: str | int) -> int:
    """1-4 from what people type: 1, SEV-1, sev1, or P0 (which is SEV-1). Raises UsageError.

    >>> parse_severity("SEV-2"), parse_severity("p0"), parse_severity(3)
    (2, 1, 3)
    """
    match = _SPELLINGS.match(str(text).strip())
    if match is None:
        raise UsageError(f"{text!r} is no severity", remedy="Use 1, 2, 3 or 4 (or SEV-1, P0)")
    sev, p, digit = match.groups()
    return int(p) + 1 if p is not None else int(sev or digit)


def label(severity: int) -> str:
    """
    >>> label(1)
    'SEV-1'
    """
    return f"SEV-{severity}"
