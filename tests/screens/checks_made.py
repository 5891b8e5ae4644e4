"""Checks that end when a test says so, and a diagnosis screen over the story's readings."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from pathlib import Path

from console.checks.check import GROUPS, Finding, Status, overall
from console.checks.diagnose import CheckState, Diagnosing, GroupState
from console.checks.diagnosis import Check, CheckResult, Looked
from console.checks.judge import judge
from console.checks.scene import Scene
from console.watch.readings import Readings
from screens.base import ConsoleScreen
from screens.diagnosis import DiagnosisScreen
from tests.screens import story
from tests.unit.readings_made import NOW

NOWHERE = Path("/nonexistent/sevdeck")  # records of these screens: none are made


class Held:
    """One check: it is asked in the thread of the run, and answered by the test."""

    def __init__(self, name: str, title: str, deadline: float = 60.0) -> None:
        self.check = Check(name, title, self._look, deadline)
        self.asked = 0
        self._answer: Future[Looked] = Future()

    async def _look(self, scene: Scene) -> Looked:
        self.asked += 1
        return await asyncio.wrap_future(self._answer)

    def end(self, *findings: Finding, cleared: str = "") -> None:
        """Answer, and be ready to be asked again."""
        answer, self._answer = self._answer, Future()
        answer.set_result(Looked(findings, cleared))

    def breaks(self, error: Exception) -> None:
        answer, self._answer = self._answer, Future()
        answer.set_exception(error)


def found(check: str, summary: str, status: Status = Status.WARN, subject: str = "", *evidence: str) -> Finding:
    return Finding(check, check.partition(".")[0], status, summary, evidence, subject=subject)


class Told(Diagnosing):
    """A run that stands still: some checks have ended, one of them a while ago; others are waited for."""

    def __init__(self) -> None:
        super().__init__(lambda: Scene(story.SETTINGS), tuple)

    @property
    def groups(self) -> tuple[GroupState, ...]:
        logs = found("logs.new", "app logs something new: pool exhausted, waiting <n> s", Status.WARN, "app")
        reason = "not known whether the database answers: no answer in 5 s"
        unknown = found("database.unknown", reason, Status.UNKNOWN, "database.answers")
        told = {
            "quick": (ended("quick.clock", "the clock is right", cleared="the clock is right to 0.02 s"),),
            "logs": (ended("logs.new", "no new kind of error is logged", logs, ago=400.0),),
            "connectivity": (
                ended("connectivity.pairs", "services reach what they need", cleared="12 of 12 pairs of services talk"),
                CheckState(_check("connectivity.names", "names resolve"), since=NOW - 4),
            ),
            "database": (ended("database.answers", "the database answers", unknown),),
        }
        return tuple(GroupState(name, told.get(name, ())) for name in GROUPS)

    async def run(self, groups: Iterable[str] = ()) -> None:
        self._runs += 1
        await asyncio.Event().wait()


def _check(name: str, title: str) -> Check:
    return Held(name, title).check


def ended(name: str, title: str, *findings: Finding, cleared: str = "", ago: float = 1.0) -> CheckState:
    """A check that ended so long ago and took 0.2 s."""
    result = CheckResult(name, name.partition(".")[0], title, overall(findings), 0.2, findings, cleared)
    return CheckState(_check(name, title), result, NOW - ago)


class Clock:
    """The clock of the diagnosis: moved by the test."""

    now = NOW

    def __call__(self) -> float:
        return self.now


class Stage:
    """A diagnosis screen, its checks, and the readings it is shown."""

    def __init__(self, checks: Sequence[Held], readings: Readings, diagnosing: Diagnosing | None = None) -> None:
        self.readings = readings
        self.clock = Clock()
        self.diagnosing = diagnosing or Diagnosing(
            lambda: Scene(story.SETTINGS), lambda: [held.check for held in checks], self.clock
        )
        self.screen = DiagnosisScreen(story.seat(NOWHERE), self.diagnosing, self.judged)

    def judged(self, more: Sequence[Finding] = ()) -> list[Finding]:
        return judge(self.readings, story.SETTINGS, NOW, more)

    def tell(self, screen: ConsoleScreen) -> None:
        screen.now = self.clock.now
        screen.readings = self.readings
        screen.findings = self.judged()
