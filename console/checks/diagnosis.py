"""All checks of the eight groups at once, each under its deadline; what they found, and what they cleared.

A check looks and judges; it changes nothing. One that hangs, or breaks, is a finding of its own: "unknown".
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from console.checks.check import GROUPS, Finding, Status, overall
from console.checks.scene import Scene
from console.errors import SourceError
from console.text import clean

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Looked:
    """What one check saw. `cleared` says in a few words what it exonerates: "12 of 100 connections are used"."""

    findings: tuple[Finding, ...] = ()
    cleared: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look at. `look` may raise SourceError for what cannot be known, with the reason and a remedy."""

    name: str  # "connectivity.pairs": the group, and what it looks at; findings carry names of their own
    title: str  # "each service reaches what it needs"
    look: Callable[[Scene], Awaitable[Looked]]
    deadline: float = 5.0  # seconds

    @property
    def group(self) -> str:
        return self.name.partition(".")[0]


@dataclass(frozen=True, slots=True)
class CheckResult:
    """`took` in seconds."""

    check: str
    group: str
    title: str
    status: Status
    took: float
    findings: tuple[Finding, ...] = ()
    cleared: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Results in the order of their groups."""

    results: tuple[CheckResult, ...] = field(default=())

    @property
    def findings(self) -> list[Finding]:
        return [finding for result in self.results for finding in result.findings]

    @property
    def cleared(self) -> list[str]:
        """What is well, in words; what was not looked at is not in it."""
        return [result.cleared for result in self.results if result.cleared and result.status is Status.OK]

    def of(self, group: str) -> tuple[CheckResult, ...]:
        return tuple(result for result in self.results if result.group == group)


async def run_all(
    scene: Scene,
    checks: Sequence[Check],
    *,
    groups: Iterable[str] = (),
    told: Callable[[CheckResult], None] | None = None,
) -> Diagnosis:
    """Run the checks of `groups` (none: of all) at once. `told` hears of each as it ends."""
    wanted = set(groups) or set(GROUPS)
    chosen = [check for check in checks if check.group in wanted]

    async def one(check: Check) -> CheckResult:
        result = await _run(scene, check)
        if told is not None:
            told(result)
        return result

    results = await asyncio.gather(*(one(check) for check in chosen))
    return Diagnosis(tuple(sorted(results, key=lambda r: GROUPS.index(r.group))))


async def _run(scene: Scene, check: Check) -> CheckResult:
    began = time.monotonic()
    try:
        async with asyncio.timeout(check.deadline):
            looked = await check.look(scene)
    except TimeoutError:
        looked = _unknown(check, f"no answer in {check.deadline:g} s", "what it asks hangs: that is news in itself")
    except SourceError as error:
        looked = _unknown(check, error.message, error.remedy)
    except Exception:  # one broken check must not take the others with it
        _log.exception("check %s broke", check.name)
        looked = _unknown(check, "it broke; the log file has the details", "")
    took = time.monotonic() - began
    status = overall(looked.findings)
    return CheckResult(check.name, check.group, check.title, status, took, looked.findings, looked.cleared)


def _unknown(check: Check, reason: str, remedy: str) -> Looked:
    text = f"not known whether {check.title}: {clean(reason, 200)}"
    finding = Finding(
        f"{check.group}.unknown", check.group, Status.UNKNOWN, text, (remedy,) if remedy else (), subject=check.name
    )
    return Looked((finding,))
