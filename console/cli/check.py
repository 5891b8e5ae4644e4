"""`sevdeck check [GROUP...]`: every source looked at once, judged, and what is wrong said cause first."""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from console.cli.call import Call

if TYPE_CHECKING:
    from console.checks.check import Finding
    from console.watch.readings import Readings

GROUPS = ("quick", "logs", "connectivity", "performance", "database")
_MARKS = {"ok": "●", "warn": "▲", "fail": "✖", "unknown": "○"}


def register(commands: Any) -> None:
    check = commands.add_parser("check", help="is everything well? causes first, with what to do")
    check.add_argument("group", nargs="*", type=_group, metavar="GROUP", help=", ".join(GROUPS))
    check.set_defaults(run=_check)


def _group(word: str) -> str:
    """One of the groups. argparse's own `choices` would have to hold the empty list that no group at all gives."""
    if word not in GROUPS:
        raise argparse.ArgumentTypeError(f"there is no group {word!r}; groups: {', '.join(GROUPS)}")
    return word


def _check(call: Call) -> int:
    from console.checks.check import overall
    from console.checks.judge import judge
    from console.watch.look import look

    began = time.monotonic()
    readings = asyncio.run(look(call.config))
    findings = _explained(call, judge(readings, call.config, time.time()))
    if call.args.group:
        findings = [finding for finding in findings if finding.group in call.args.group]
    took = round(time.monotonic() - began, 3)
    status = overall(findings)
    data = {"status": status, "took": took, "findings": findings}
    call.answer(data, lambda: "\n".join(lines(findings, readings, took)))
    return exit_code(findings)


def _explained(call: Call, findings: list[Finding]) -> list[Finding]:
    """With what is contained on purpose said so. A ledger that cannot be read changes nothing."""
    from console.actions.containment.explaining import explained
    from console.actions.containment.reminder import Reminder

    with suppress(OSError):
        return explained(findings, Reminder(call.data_dir).look())
    return findings


def exit_code(findings: Iterable[Finding]) -> int:
    """0 well or only warnings, 1 something failed or cannot be told, 4 the engine cannot be asked."""
    from console.checks.check import Status

    statuses = {finding.status for finding in findings}
    if Status.FAIL in statuses:
        return 1
    if any(f.check == "sources.containers" for f in findings):
        return 4
    return 1 if Status.UNKNOWN in statuses else 0


def lines(findings: list[Finding], readings: Readings, took: float) -> Iterator[str]:
    """The judgement for people: causes, what to do about each, what they explain."""
    causes = [finding for finding in findings if not finding.cause]
    for finding in causes:
        yield f"{_MARKS[finding.status]} {finding.summary}"
        for suggestion in finding.suggestions:
            yield f"    → {suggestion.title}: {suggestion.why}"
            if suggestion.action.startswith("recover:"):
                yield f"      {command(suggestion.action)}"
        for symptom in [f for f in findings if f.cause == finding.key]:
            yield f"    {_MARKS[symptom.status]} follows: {symptom.summary}"
    if not findings:
        yield f"● well: looked at {', '.join(_seen(readings))}"
    yield f"took {took:.1f} s"


def command(action: str) -> str:
    """What to type for an action.

    >>> command("recover:1:app"), command("recover:2:")
    ('sevdeck recover run 1 --service app', 'sevdeck recover run 2')
    """
    _, level, service = action.split(":", 2)
    return f"sevdeck recover run {level}" + (f" --service {service}" if service else "")


def _seen(readings: Readings) -> Iterator[str]:
    """What was looked at, so that "well" says about what."""
    if readings.host.value is not None:
        yield "the host"
    if readings.containers.value is not None:
        containers = readings.containers.value.containers
        yield f"{sum(c.running for c in containers)} of {len(containers)} containers running"
    if readings.probes.value is not None and readings.probes.value.probes:
        yield f"{len(readings.probes.value.probes)} probes"
    if readings.metrics.value is not None and readings.metrics.value.metrics:
        yield f"{len(readings.metrics.value.metrics)} metrics"
    if readings.logs.value is not None and readings.logs.value.inputs:
        yield f"{len(readings.logs.value.inputs)} logs"
