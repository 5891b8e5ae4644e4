"""Evidence for steps: what readings prove, what they disprove, and what they do not say."""

from __future__ import annotations

import pytest

from console.checks.check import Finding, Status
from console.guide.evidence import evidence, holds, words
from console.guide.schema import Option, Step, Text, Verify
from console.guide.suggestion import Suggestion, suggested
from console.watch.probes import ProbeResult, ProbesReading


def probe(name: str, ok: bool | None, business: bool = False) -> ProbeResult:
    return ProbeResult(name, "http", "http://x", ok, "", 0.1, 1.0, 1.0, business)


def test_probes_by_name_all_together_and_of_what_users_do() -> None:
    known = evidence(ProbesReading((probe("edge", True), probe("order", False, True))))
    assert known == {"probe:edge": True, "probe:order": False, "probe:*": False, "probe:business": False}
    assert evidence(ProbesReading((probe("edge", True), probe("new", None))))["probe:*"] is None
    nothing = evidence(ProbesReading(()))
    assert nothing["probe:*"] is None and nothing["probe:business"] is None, "no probe proves nothing"
    assert evidence() == {}


def test_the_worst_finding_of_a_check_counts() -> None:
    findings = [
        Finding("host.disk", "quick", Status.OK, "", subject="/"),
        Finding("host.disk", "quick", Status.FAIL, "", subject="/var"),
        Finding("db.write", "database", Status.UNKNOWN, ""),
    ]
    known = evidence(findings=findings)
    assert known["check:host.disk"] is False and known["check:host.disk//"] is True
    assert known["check:db.write"] is None


@pytest.mark.parametrize(
    ("verify", "value", "result"),
    [
        (Verify("x"), True, True),
        (Verify("x"), False, False),
        (Verify("x"), None, None),
        (Verify("x"), 5.0, None),
        (Verify("x", "<", 80.0), 79.0, True),
        (Verify("x", "<", 80.0), 80.0, False),
        (Verify("x", ">=", 80.0), 80.0, True),
        (Verify("x", "==", 0.0), False, True),
        (Verify("x", "<", 80.0), None, None),
    ],
)
def test_holds(verify: Verify, value: bool | float | None, result: bool | None) -> None:
    assert holds(verify, {"x": value}) is result
    assert holds(verify, {}) is None


def test_words_for_the_record() -> None:
    assert words(Verify("probe:edge"), {"probe:edge": False}) == "probe:edge not well"
    assert words(Verify("metric:e", "<", 1.0), {"metric:e": 0.25}) == "metric:e 0.25"
    assert words(Verify("probe:edge"), {}) == "probe:edge unknown"


def layer(*subjects: str) -> Step:
    options = tuple(Option(Text({"en": name})) for name in ("release", "app", "edge", "database"))
    return Step("layer", "decision", Text({"en": "Which?"}), options=options, suggest_from=subjects)


def test_evidence_suggests_an_option_only_when_it_is_clear() -> None:
    step = layer("-", "role:app", "role:edge", "check:db")
    well = {"role:app": True, "role:edge": True, "check:db": True}
    assert suggested(step, well | {"role:edge": False}) == Suggestion(2, "role:edge not well")
    assert suggested(step, well) is None
    assert suggested(step, well | {"role:app": False, "check:db": False}) is None, "one may be the other's cause"
    assert suggested(step, well | {"role:app": False, "check:db": None}) is None, "unknown is not well"
    assert suggested(step, {}) is None and suggested(layer(), well) is None
