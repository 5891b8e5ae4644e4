"""The table of scenarios: each test with a `scenario` mark is a row, however many processes the tests were run in.

A row's words, and what a fixture saw afterwards, travel in the reports themselves (`user_properties`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest

WORDS, SEEN = "scenario", "scenario seen"
# A test that failed and then left something behind failed; one that was skipped never began.
_WORST = ("FAILED", "LEFT BEHIND", "not begun", "skipped", "ok", "cut off")


@dataclass
class Row:
    """One scenario of one test, put together from the reports of its phases."""

    words: str
    outcome: str = "cut off"  # until the test itself has ended
    seconds: float = 0.0  # of the test itself; bringing a stack up before it is not counted
    seen: list[str] = field(default_factory=list)

    def add(self, report: pytest.TestReport) -> None:
        if report.when == "call" or not report.passed:
            self.outcome = min(self.outcome, outcome(report), key=_WORST.index)
        if report.when == "call":
            self.seconds += report.duration
        self.seen = [str(value) for name, value in report.user_properties if name == SEEN] or self.seen


def outcome(report: pytest.TestReport) -> str:
    """What one phase says."""
    if report.passed:
        return "ok"
    if report.skipped:
        return "skipped"
    return {"setup": "not begun", "call": "FAILED"}.get(report.when or "", "LEFT BEHIND")


def mark(items: Iterable[pytest.Item]) -> None:
    """Write the words of each test's marks where its reports take them along."""
    for item in items:
        for marker in item.iter_markers("scenario"):
            item.user_properties.append((WORDS, str(marker.args[0])))


def rows(reports: Iterable[pytest.TestReport]) -> list[Row]:
    """In the order in which the tests began."""
    found: dict[tuple[str, str], Row] = {}
    for report in reports:
        for words in (str(value) for name, value in report.user_properties if name == WORDS):
            found.setdefault((report.nodeid, words), Row(words)).add(report)
    return list(found.values())


def table(found: Iterable[Row]) -> list[str]:
    """Lines to print: outcome, seconds, words, and what stood afterwards.

    >>> table([Row("app hung", "ok", 7.34, ["3 volumes"]), Row("slow", "FAILED", 61.0)])
    ['ok         7.3 s  app hung (3 volumes)', 'FAILED    61.0 s  slow']
    """
    listed = list(found)
    wide = max((len(row.outcome) for row in listed), default=0)
    return [
        f"{row.outcome:<{wide}} {row.seconds:7.1f} s  {row.words}" + (f" ({'; '.join(row.seen)})" if row.seen else "")
        for row in listed
    ]
