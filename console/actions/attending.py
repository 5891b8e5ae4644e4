"""Findings while a recovery is under way: who is at it stands first, and nobody is told to do the same beside it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from console.actions.facts import Holder
from console.checks.check import Finding, Status, Suggestion

CHECK = "recovery.run"


def attended(findings: Sequence[Finding], holder: Holder) -> list[Finding]:
    """The same findings without their advice: the run is acting on them, and its lock would refuse anything else.

    >>> attended([], Holder("r1", "ana", 0.0, 2, "restart 5 services", "stop app"))[0].summary
    'ana is recovering: level 2, restart 5 services; now: stop app'
    """
    now = f"; now: {holder.step}" if holder.step else ""
    first = Finding(
        CHECK,
        "quick",
        Status.WARN,
        f"{holder.who} is recovering: level {holder.level}, {holder.title}{now}",
        (f"run {holder.run_id}", "what else is found is being worked on; it is judged anew when the run has ended"),
        (Suggestion("R follows it", "one change at a time", "recover::", 1.0),),
        subject="recovery",
        since=holder.since,
    )
    return [first, *(replace(finding, suggestions=()) for finding in findings)]
