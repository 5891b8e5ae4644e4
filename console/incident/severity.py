"""The decision wizard: six questions, answered beforehand where evidence allows, and the severity they make.

The most severe clause that matches wins, and not knowing counts as worse. It proposes; a person decides, and a
different choice is kept with its reason. Evidence comes in as plain values: this module reads nothing itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from console.errors import UsageError
from console.incident.levels import LEVELS, MINUTE, label


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the console knows at this moment. Shares are 0-1, spans seconds, None unknown."""

    edge_failing: float | None = None  # share of tries at the edge that failed lately
    edge_failing_for: float | None = None
    business_ok: bool | None = None  # the probe of what users come for
    business_failing_for: float | None = None
    errors_share: float | None = None  # 5xx of all answers over 5 minutes
    errors_before: float | None = None  # the same, 10 minutes ago
    slowdown: float | None = None  # p95 against its baseline, 1 = as always
    database_ok: bool | None = None
    database_failing_for: float | None = None
    down: tuple[str, ...] = ()  # stateful services that are down
    looping: tuple[str, ...] = ()  # services in a crash loop
    disk_percent: float | None = None
    disk_full_in: float | None = None
    certificate_days: float | None = None
    backup_age: float | None = None
    backup_failed: bool | None = None
    evictions: float | None = None  # keys per second that the cache throws out


@dataclass(frozen=True, slots=True)
class Question:
    """One question. `options`: (value, words); `suggested` is what the evidence says, "" when it says nothing."""

    id: str
    text: str
    options: tuple[tuple[str, str], ...]
    suggested: str
    why: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What the answers make. `clause` is the one that decided, `clauses` all that matched, the worst first."""

    severity: int
    clause: str
    playbook: str
    page: tuple[str, ...]
    clauses: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        return label(self.severity)


_UNSURE = ("unsure", "not sure")
_YES_NO = (("no", "no"), ("yes", "yes"), _UNSURE)
_SHARES = (("none", "below 1 %"), ("some", "1 to 10 %"), ("many", "10 % and more"), ("all", "nearly all"), _UNSURE)


def questions(evidence: Evidence) -> tuple[Question, ...]:
    """The six questions, each with the answer that the evidence suggests and why."""
    return (
        Question(
            "data",
            "Is personal or customer data exposed, lost or altered, or might it be?",
            (("no", "no"), ("yes", "yes, or suspected"), _UNSURE),
            "",
            "no probe can tell",
        ),
        Question("transaction", "Can a user do the main thing right now?", _YES_NO, *_transaction(evidence)),
        Question("share", "What share of requests failed in the last 5 minutes?", _SHARES, *_share(evidence)),
        Question(
            "database",
            "Does the database take writes?",
            (("yes", "yes"), ("no", "no"), _UNSURE),
            *_database(evidence),
        ),
        Question("worse", "Is it worse than 10 minutes ago?", _YES_NO, *_worse(evidence)),
        Question(
            "workaround",
            "Is there a workaround that somebody has tried?",
            _YES_NO,
            "",
            "no probe can tell",
        ),
    )


def suggested_answers(evidence: Evidence) -> dict[str, str]:
    """What the evidence answers by itself; questions it cannot answer are absent."""
    return {question.id: question.suggested for question in questions(evidence) if question.suggested}


def read_answers(words: Iterable[str]) -> dict[str, str]:
    """Answers as people type them, "data=yes". Raises UsageError for a question or an answer that there is not.

    >>> read_answers(["data=yes", "share=many"])
    {'data': 'yes', 'share': 'many'}
    """
    asked = {question.id: [value for value, _ in question.options] for question in questions(Evidence())}
    answers = {}
    for word in words:
        id, _, value = word.partition("=")
        if id not in asked:
            raise UsageError(f"there is no question {id!r}", remedy=f"Questions: {', '.join(asked)}")
        if value not in asked[id]:
            raise UsageError(f"{value!r} is no answer to {id}", remedy=f"Answers: {', '.join(asked[id])}")
        answers[id] = value
    return answers


def decide(answers: Mapping[str, str], evidence: Evidence = Evidence()) -> Decision:
    """The severity of these answers. A question without an answer counts as not sure."""
    matched = [(clause.severity, clause) for clause in _CLAUSES if clause.holds(answers, evidence)]
    matched.sort(key=lambda pair: pair[0])
    severity, clause = (matched[0][0], matched[0][1]) if matched else (4, _NOTHING)
    text = clause.text
    if severity > 2 and answers.get("worse") == "yes":
        severity, text = severity - 1, f"{text}, and getting worse"
    open_ = [key for key in ("data", "transaction") if answers.get(key, "unsure") == "unsure"]
    if severity > 2 and open_:
        severity, text = severity - 1, f"{text}; not sure about {' and '.join(open_)}, so one higher"
    level = LEVELS[severity]
    clauses = tuple(f"{label(s)}: {c.text}" for s, c in matched)
    return Decision(severity, text, clause.playbook or level.playbook, level.page, clauses)


def wizard_record(
    decision: Decision, answers: Mapping[str, str], evidence: Evidence, chosen: int, reason: str = ""
) -> dict[str, Any]:
    """The `wizard` data of a declaration: what was asked, answered, suggested, proposed and overridden."""
    return {
        "answers": dict(answers),
        "suggested": suggested_answers(evidence),
        "proposed": decision.severity,
        "clause": decision.clause,
        "overridden": chosen != decision.severity,
        "reason": reason,
    }


@dataclass(frozen=True, slots=True)
class _Clause:
    severity: int
    text: str
    holds: Callable[[Mapping[str, str], Evidence], bool]
    playbook: str = ""


def _over(value: float | None, limit: float) -> bool:
    return value is not None and value >= limit


def _is(key: str, *values: str) -> Callable[[Mapping[str, str], Evidence], bool]:
    return lambda answers, evidence: answers.get(key) in values


_NOTHING = _Clause(4, "no clause of a higher severity matches", lambda answers, evidence: True)
_CLAUSES = (
    _Clause(1, "data exposed, lost or altered, or suspected to be", _is("data", "yes"), "data-loss"),
    _Clause(
        1,
        "the edge answers nearly nobody",
        lambda a, e: a.get("share") == "all" or (_over(e.edge_failing, 0.9) and _over(e.edge_failing_for, 2 * MINUTE)),
        "system-down",
    ),
    _Clause(
        1,
        "users cannot do the main thing and no workaround is known",
        lambda a, e: a.get("transaction") == "no" and a.get("workaround") != "yes",
        "system-down",
    ),
    _Clause(
        1,
        "the database takes no writes and no workaround is known",
        lambda a, e: a.get("database") == "no" and a.get("workaround") != "yes",
        "database-unreachable",
    ),
    _Clause(2, "users need a workaround for the main thing", _is("transaction", "no")),
    _Clause(2, "the database takes no writes; there is a workaround", _is("database", "no"), "database-unreachable"),
    _Clause(2, "10 % of requests or more fail", _is("share", "many")),
    _Clause(2, "a service that keeps state is down", lambda a, e: bool(e.down)),
    _Clause(2, "answers take more than three times as long as usual", lambda a, e: _over(e.slowdown, 3.0)),
    _Clause(
        2,
        "the disk is full or will be within two hours",
        lambda a, e: _over(e.disk_percent, 95.0) or (e.disk_full_in is not None and e.disk_full_in < 7200),
    ),
    _Clause(3, "1 to 10 % of requests fail", _is("share", "some")),
    _Clause(3, "a service is in a crash loop", lambda a, e: bool(e.looping)),
    _Clause(3, "a disk is 85 % full", lambda a, e: _over(e.disk_percent, 85.0)),
    _Clause(3, "the cache throws keys out", lambda a, e: e.evictions is not None and e.evictions > 0),
    _Clause(
        3,
        "a certificate ends within a week",
        lambda a, e: e.certificate_days is not None and e.certificate_days < 7,
    ),
    _Clause(3, "a backup failed", lambda a, e: e.backup_failed is True or _over(e.backup_age, 26 * 60 * MINUTE)),
)


def _span(seconds: float | None) -> str:
    return "" if seconds is None else f" for {seconds:.0f} s" if seconds < 120 else f" for {seconds / 60:.0f} min"


def _transaction(e: Evidence) -> tuple[str, str]:
    if e.business_ok is None:
        return "", "no business probe is configured or it has not answered"
    if e.business_ok:
        return "yes", "the business probe succeeds"
    return "no", f"the business probe fails{_span(e.business_failing_for)}"


def _share(e: Evidence) -> tuple[str, str]:
    shares = [share for share in (e.errors_share, e.edge_failing) if share is not None]
    if not shares:
        return "", "neither error counts nor an edge probe are known"
    worst = max(shares)
    answer = "all" if worst >= 0.9 else "many" if worst >= 0.1 else "some" if worst >= 0.01 else "none"
    return answer, f"{worst * 100:.0f} % by {'error counts' if worst == e.errors_share else 'the edge probe'}"


def _database(e: Evidence) -> tuple[str, str]:
    if e.database_ok is None:
        return "", "no database probe is configured or it has not answered"
    if e.database_ok:
        return "yes", "the database probe succeeds"
    return "no", f"the database probe fails{_span(e.database_failing_for)}"


def _worse(e: Evidence) -> tuple[str, str]:
    if e.errors_share is None or e.errors_before is None:
        return "", "no history to compare with"
    rising = e.errors_share > e.errors_before + 0.01
    words = f"errors {e.errors_before * 100:.0f} % → {e.errors_share * 100:.0f} %"
    return ("yes" if rising else "no"), words
