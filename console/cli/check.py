"""`sevdeck check [GROUP...]` and `sevdeck diagnose`: everything looked at once, judged, and what is wrong said cause first.

Both look at the same; `diagnose` tells why, what else was seen, and which severity an incident would have.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console.cli import bundling
from console.cli.as_json import rfc3339
from console.cli.call import Call
from console.errors import RecordError

if TYPE_CHECKING:
    from console.checks.check import Finding, Suggestion
    from console.checks.diagnose import Outcome
    from console.cli.bundling import Bundled
    from console.incident.severity import Decision
    from console.watch.readings import Readings

GROUPS = ("quick", "logs", "connectivity", "performance", "database", "configuration", "security")
_MARKS = {"ok": "●", "warn": "▲", "fail": "✖", "unknown": "○"}
_EVIDENCE = 4  # lines of a cause


def register(commands: Any) -> None:
    check = commands.add_parser("check", help="is everything well? causes first, with what to do")
    check.add_argument("group", nargs="*", type=_group, metavar="GROUP", help=", ".join(GROUPS))
    check.set_defaults(run=_check)
    diagnose = commands.add_parser("diagnose", help="what is broken, why we think so, what to do, and what is well")
    diagnose.add_argument("--bundle", type=Path, metavar="DIR", help="write the evidence bundle there, too")
    diagnose.add_argument(
        "--accept", action="store_true", help="what runs now is meant to: do not tell of it as new again"
    )
    diagnose.set_defaults(run=_diagnose)


def _group(word: str) -> str:
    """One of the groups. argparse's own `choices` would have to hold the empty list that no group at all gives."""
    if word not in GROUPS:
        raise argparse.ArgumentTypeError(f"there is no group {word!r}; groups: {', '.join(GROUPS)}")
    return word


@dataclass(slots=True)
class _Looked:
    """One diagnosis. `bundle` where one was wanted, or why there is none."""

    outcome: Outcome
    readings: Readings
    bundle: Bundled = None


def _check(call: Call) -> int:
    looked = asyncio.run(_look(call, call.args.group))
    outcome, findings = looked.outcome, list(looked.outcome.findings)
    if call.args.group:
        findings = [finding for finding in findings if finding.group in call.args.group]
    data = {"status": _status(findings), "took": round(outcome.took, 3), "findings": findings}
    call.answer(data, lambda: "\n".join(lines(findings, looked.readings, outcome.took)))
    return exit_code(findings)


def _diagnose(call: Call) -> int:
    looked = asyncio.run(_look(call, (), whole=True))
    outcome, bundle = looked.outcome, looked.bundle
    findings, decision = list(outcome.findings), proposed(call, looked.readings, outcome)
    data = {
        "status": _status(findings),
        "took": round(outcome.took, 3),
        "findings": findings,
        "suggestions": list(ranked(findings)),
        "severity": {"proposed": decision.severity, "clause": decision.clause} if decision else None,
        "checks": [
            {"check": r.check, "group": r.group, "status": r.status, "took": round(r.took, 3), "cleared": r.cleared}
            for r in outcome.diagnosis.results
        ],
        "changes": [
            {"what": c.what, "kind": c.kind, "at": rfc3339(c.when) if c.when else None, "services": c.services}
            for c in outcome.history.recent
        ],
        "bundle": bundling.as_data(bundle),
    }
    call.answer(data, lambda: "\n".join([*told(outcome, looked.readings, decision), *bundling.told(bundle)]))
    if isinstance(bundle, RecordError):
        call.note(str(bundle))
        return exit_code(findings) or 1
    return exit_code(findings)


async def _look(call: Call, groups: Sequence[str], *, whole: bool = False) -> _Looked:
    """`whole`: this is a diagnosis, which is kept as the last good look where it is one, and bundled where asked."""
    from dataclasses import replace

    from console.actions.diagnosing import checks
    from console.checks.daemons import DaemonThreads
    from console.checks.diagnose import diagnose
    from console.checks.history import keep_if_good
    from console.checks.scene import Scene
    from console.watch.look import look

    asyncio.get_running_loop().set_default_executor(DaemonThreads())
    scene = Scene(call.config, data_dir=call.data_dir)
    looking = asyncio.ensure_future(look(call.config))
    try:
        outcome = await diagnose(call.config, looking, scene, groups, checks=checks())
        if whole:
            await keep_if_good(scene, outcome.findings, accept=call.args.accept)
        outcome = replace(outcome, findings=tuple(_explained(call, list(outcome.findings))))
        looked = _Looked(outcome, await looking)
        if whole and call.args.bundle is not None:
            looked.bundle = await bundling.bundled(call, scene, outcome, call.args.bundle)
        return looked
    finally:
        await scene.close()


def _explained(call: Call, findings: list[Finding]) -> list[Finding]:
    """With what is contained on purpose said so. A ledger that cannot be read changes nothing."""
    from console.actions.containment.explaining import explained
    from console.actions.containment.reminder import Reminder

    with suppress(OSError):
        return explained(findings, Reminder(call.data_dir).look())
    return findings


def _status(findings: Iterable[Finding]) -> str:
    from console.checks.check import overall

    return overall(findings)


def exit_code(findings: Iterable[Finding]) -> int:
    """0 well or only warnings, 1 something failed or cannot be told, 4 the engine cannot be asked."""
    from console.checks.check import Status

    statuses = {finding.status for finding in findings}
    if Status.FAIL in statuses:
        return 1
    if any(f.check == "sources.containers" for f in findings):
        return 4
    return 1 if Status.UNKNOWN in statuses else 0


def proposed(call: Call, readings: Readings, outcome: Outcome) -> Decision | None:
    """The severity that the evidence alone makes; None as long as nothing fails."""
    from console.checks.check import Status
    from console.checks.evidence import evidence
    from console.incident.severity import decide, suggested_answers

    if not any(finding.status is Status.FAIL for finding in outcome.findings):
        return None
    seen = evidence(readings, call.config, outcome.at)
    return decide(suggested_answers(seen), seen)


def ranked(findings: Iterable[Finding]) -> Iterator[dict[str, Any]]:
    """What to do, in the order of the causes; a cause's first suggestion before anybody's second."""
    from dataclasses import asdict

    causes = [finding for finding in findings if not finding.cause]
    depth = max((len(cause.suggestions) for cause in causes), default=0)
    chosen = [c.suggestions[place] for place in range(depth) for c in causes if place < len(c.suggestions)]
    for rank, suggestion in enumerate(chosen, 1):
        yield {"rank": rank, **asdict(suggestion)}


def lines(findings: list[Finding], readings: Readings, took: float) -> Iterator[str]:
    """The judgement for people: causes, what to do about each, what they explain."""
    for finding in (finding for finding in findings if not finding.cause):
        yield f"{_MARKS[finding.status]} {finding.summary}"
        for suggestion in finding.suggestions:
            yield from _advice(suggestion)
        yield from _symptoms(finding, findings)
    if not findings:
        yield f"● well: looked at {', '.join(_seen(readings))}"
    yield f"took {took:.1f} s"


def told(outcome: Outcome, readings: Readings, decision: Decision | None) -> Iterator[str]:
    """`lines`, with the evidence of each cause, what was exonerated, and the severity an incident would have."""
    findings = list(outcome.findings)
    for finding in (finding for finding in findings if not finding.cause):
        yield f"{_MARKS[finding.status]} {finding.summary}"
        explains = tuple(line for line in finding.evidence if not line.startswith("explains: "))
        for line in explains[:_EVIDENCE]:
            yield f"    {line}"
        for suggestion in finding.suggestions:
            yield from _advice(suggestion)
            yield f"      confidence {suggestion.confidence:.0%}" + (
                f"; cost: {suggestion.cost}" if suggestion.cost else ""
            )
            if suggestion.falsified_by:
                yield f"      wrong if {suggestion.falsified_by}"
        yield from _symptoms(finding, findings)
        yield ""
    since, changed = outcome.history.told(outcome.at)
    if findings and changed:
        yield f"changed {since}: {'; '.join(changed)}"
    if decision is not None:
        yield f"severity of an incident: {decision.label} ({decision.clause})"
    well = [*_seen(readings), *outcome.diagnosis.cleared] if not findings else outcome.diagnosis.cleared
    if well:
        yield f"● {'well' if not findings else 'not the reason'}: {'; '.join(well)}"
    yield f"took {outcome.took:.1f} s"


def _advice(suggestion: Suggestion) -> Iterator[str]:
    yield f"    → {suggestion.title}: {suggestion.why}"
    if suggestion.action != "none":
        yield f"      {command(suggestion.action)}"


def _symptoms(cause: Finding, findings: Iterable[Finding]) -> Iterator[str]:
    for symptom in findings:
        if symptom.cause == cause.key:
            yield f"    {_MARKS[symptom.status]} follows: {symptom.summary}"


def command(action: str) -> str:
    """What to type for an action.

    >>> command("recover:1:app"), command("recover:2:")
    ('sevdeck recover run 1 --service app', 'sevdeck recover run 2')
    >>> command("playbook:disk-full"), command("contain:isolate:app")
    ('sevdeck playbook show disk-full', 'sevdeck contain apply isolate --target app')
    """
    kind, what, target = (*action.split(":"), "")[:3]
    if kind == "playbook":
        return f"sevdeck playbook show {what}"
    if kind == "contain":
        return f"sevdeck contain apply {what}" + (f" --target {target}" if target else "")
    return f"sevdeck recover run {what}" + (f" --service {target}" if target else "")


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
