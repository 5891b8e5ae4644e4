"""Findings about what is contained: found as before, with the advice that fits. Pure.

A service that was taken off its networks on purpose is cut off, and the usual advice (reconnect it, restart it) would
undo the containment behind everybody's back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from console.actions.containment.reminder import Contained
from console.checks.check import Finding, Suggestion


def explained(findings: Sequence[Finding], contained: Sequence[Contained]) -> list[Finding]:
    """The same findings; those about a contained service say so and no longer propose to mend it."""
    held = {service: one for one in reversed(contained) for service in one.services}
    return [_explained(f, held[f.subject]) if f.subject in held else f for f in findings]


def _explained(finding: Finding, one: Contained) -> Finding:
    advice = Suggestion(
        f"on purpose: {one.title}",
        f"it is contained; when that may end: sevdeck contain undo {one.id}",
        "none",
        1.0,
        tuple(s for old in finding.suggestions for s in old.symptoms),
    )
    return replace(finding, suggestions=(advice,))
