"""Severities: what people type, what each demands, and the wizard that proposes one."""

from __future__ import annotations

import itertools

import pytest

from console.errors import UsageError
from console.incident.levels import LEVELS, parse_severity
from console.incident.severity import Evidence, decide, questions, suggested_answers, wizard_record

WELL = {"data": "no", "transaction": "yes", "share": "none", "database": "yes", "worse": "no", "workaround": "no"}


@pytest.mark.parametrize(
    ("typed", "severity"),
    [("1", 1), (4, 4), ("SEV-2", 2), ("sev3", 3), ("Severity 1", 1), ("P0", 1), ("p1", 2), ("P2", 3), (" sev-4 ", 4)],
)
def test_spellings(typed: str | int, severity: int) -> None:
    assert parse_severity(typed) == severity


@pytest.mark.parametrize("typed", ["0", "5", "sev-5", "P4", "", "one", "11"])
def test_no_spellings(typed: str) -> None:
    with pytest.raises(UsageError):
        parse_severity(typed)


def test_worse_severities_demand_more_and_sooner() -> None:
    for mild, severe in itertools.pairwise([LEVELS[n] for n in (4, 3, 2, 1)]):
        assert severe.ack < mild.ack and severe.update is not None and severe.update < (mild.update or 0)
        for name in ("commander", "executive", "external", "reack", "review_draft"):
            now, before = getattr(severe, name), getattr(mild, name)
            assert before is None or now < before
    assert (LEVELS[1].ack, LEVELS[1].update, LEVELS[2].update) == (300, 900, 1800)


@pytest.mark.parametrize(
    ("changed", "severity", "words", "playbook"),
    [
        ({}, 4, "no clause", "sev4-response"),
        ({"data": "yes"}, 1, "data exposed", "data-loss"),
        ({"transaction": "no"}, 1, "no workaround", "system-down"),
        ({"transaction": "no", "workaround": "yes"}, 2, "need a workaround", "sev2-response"),
        ({"database": "no"}, 1, "takes no writes", "database-unreachable"),
        ({"database": "no", "workaround": "yes"}, 2, "there is a workaround", "database-unreachable"),
        ({"share": "all"}, 1, "nearly nobody", "system-down"),
        ({"share": "many"}, 2, "10 %", "sev2-response"),
        ({"share": "some"}, 3, "1 to 10 %", "sev3-response"),
        ({"share": "some", "worse": "yes"}, 2, "getting worse", "sev2-response"),
        ({"transaction": "unsure"}, 3, "not sure", "sev3-response"),
        ({"transaction": "no", "share": "some", "data": "yes"}, 1, "data exposed", "data-loss"),
    ],
)
def test_the_worst_clause_wins_and_doubt_counts_as_worse(
    changed: dict[str, str], severity: int, words: str, playbook: str
) -> None:
    decision = decide(WELL | changed)
    assert (decision.severity, decision.playbook) == (severity, playbook)
    assert words in decision.clause and decision.page == LEVELS[severity].page


@pytest.mark.parametrize(
    ("evidence", "severity"),
    [
        (Evidence(edge_failing=0.95, edge_failing_for=150), 1),
        (Evidence(edge_failing=0.95, edge_failing_for=30), 4),
        (Evidence(down=("redis",)), 2),
        (Evidence(slowdown=3.5), 2),
        (Evidence(disk_percent=96), 2),
        (Evidence(disk_full_in=3600), 2),
        (Evidence(disk_percent=88), 3),
        (Evidence(looping=("worker",)), 3),
        (Evidence(certificate_days=3), 3),
        (Evidence(backup_failed=True), 3),
        (Evidence(backup_age=30 * 3600), 3),
        (Evidence(evictions=5), 3),
    ],
)
def test_evidence_counts_beside_the_answers(evidence: Evidence, severity: int) -> None:
    assert decide(WELL, evidence).severity == severity


def test_answers_are_suggested_where_evidence_allows_and_nowhere_else() -> None:
    assert suggested_answers(Evidence()) == {}
    evidence = Evidence(
        business_ok=False, business_failing_for=240, errors_share=0.38, errors_before=0.02, database_ok=True
    )
    assert suggested_answers(evidence) == {"transaction": "no", "share": "many", "database": "yes", "worse": "yes"}
    asked = {question.id: question for question in questions(evidence)}
    assert list(asked) == ["data", "transaction", "share", "database", "worse", "workaround"]
    assert asked["transaction"].why == "the business probe fails for 4 min" and "38 %" in asked["share"].why
    assert asked["data"].suggested == "", "a machine cannot know whether data leaked"
    for question in asked.values():
        assert question.suggested in ("", *(value for value, _ in question.options))


def test_no_answers_at_all_is_not_reassuring() -> None:
    assert decide({}).severity == 3


def test_the_record_of_the_wizard_keeps_what_was_overridden() -> None:
    evidence = Evidence(business_ok=False)
    answers = WELL | {"transaction": "no"}
    record = wizard_record(decide(answers, evidence), answers, evidence, 3, "only the demo tenant")
    assert record["proposed"] == 1 and record["overridden"] is True and record["reason"] == "only the demo tenant"
    assert record["suggested"] == {"transaction": "no"} and record["answers"] == answers
    assert wizard_record(decide(answers), answers, evidence, 1)["overridden"] is False
