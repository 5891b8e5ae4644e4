"""Live judgement: every reading looked at together, causes first, each with what to do about it.

Pure and fast: it is called whenever a reading changes. It reads nothing itself and remembers nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from console.checks import cause as causes
from console.checks import logs, sentence
from console.checks.cause import Case
from console.checks.change import Change
from console.checks.check import Finding, Status, Suggestion
from console.checks.connectivity import probe_findings
from console.checks.containers import LOOP_DEATHS, STARTING_GRACE, container_findings
from console.checks.performance import metric_findings
from console.checks.sources import source_findings
from console.checks.suggest import suggestions
from console.checks.suspects import suspect, told
from console.checks.system import host_findings
from console.checks.topology import Topology, topology
from console.checks.wording import clock, shorten, span
from console.config import Config
from console.watch.readings import Readings

JUST_STARTED = 15.0  # seconds a container without a health check may fail its probes after its start
# What was said or happened once, and need not be so any more after a while.
_PAST = ("logs.burst", "logs.grave", "logs.was_full", "quick.oom", "quick.crash", "performance.restarts")
_LATELY = 120.0  # seconds
_GLOBAL = ("sources.containers", "host.disk", "host.inodes", "logs.disk_full", "host.memory")


def judge(
    readings: Readings,
    config: Config,
    now: float,
    more: Sequence[Finding] = (),
    changes: Sequence[Change] = (),
    cleared: Iterable[str] = (),
) -> list[Finding]:
    """What is wrong now: causes by impact, then their symptoms (`cause` set). Empty: nothing is wrong.

    `more` are findings of checks that were asked for; they explain, and are explained, like all others. `changes` of
    the last hour are the suspects. `cleared` names the checks that have just found all well: they know better than what
    a log said a moment ago.
    """
    stack = topology(readings.containers.value, config)
    findings = _look(readings, stack, config, now)
    findings = _together(findings, more)
    if not findings:
        return []
    findings, starting = _excuse_starting(readings, stack, findings, now)
    heard = _heard(readings, now, more)
    case = causes.open_case(readings, stack, config, now, findings, logs.signs(heard), changes, cleared)
    if starting is not None:
        for finding in findings:
            if finding.check == "probes.starting":
                case.blame(finding, starting)
    causes.join(case)
    ranked = sorted(
        (f for f in case.findings if f.key not in case.causes), key=lambda f: _impact(case, f), reverse=True
    )
    symptoms = [f for f in case.findings if f.key in case.causes]
    symptoms.sort(key=lambda f: -f.status.rank)
    return [_told(case, f) for f in ranked] + [replace(f, cause=case.causes[f.key]) for f in symptoms]


def _together(live: list[Finding], more: Sequence[Finding]) -> list[Finding]:
    """Each trouble once. Of one that both saw the live words stand, with what the check that was asked knows besides."""
    found = []
    for finding in live:
        for other in (one for one in more if one.key == finding.key):
            evidence = tuple(dict.fromkeys((*other.evidence, *finding.evidence)))
            finding = replace(finding, evidence=evidence, suggestions=finding.suggestions or other.suggestions)
        found.append(finding)
    known = {finding.key for finding in live}
    return found + [one for one in more if one.key not in known]


def _look(readings: Readings, stack: Topology, config: Config, now: float) -> list[Finding]:
    """Every reading judged by itself. Stale values are not judged: that they are stale is a finding."""
    found = source_findings(readings, now)
    if readings.containers.value is not None and readings.containers.fault is None:
        found += container_findings(readings.containers.value, stack, config, now)
    if readings.host.value is not None and readings.host.fault is None:
        found += host_findings(readings.host.value, config)
    if readings.probes.value is not None and readings.probes.fault is None:
        found += probe_findings(readings.probes.value, stack, now)
    if readings.metrics.value is not None and readings.metrics.fault is None:
        found += metric_findings(readings.metrics.value)
    if readings.logs.value is not None and readings.logs.fault is None:
        found += logs.log_findings(readings.logs.value, config, now)
    return found


def _heard(readings: Readings, now: float, more: Sequence[Finding]) -> list[tuple[str, str, float]]:
    """(who, words, when) that may name a cause: failing probes, failing health checks, recent and grave lines."""
    grave = (finding for finding in more if finding.check == "logs.grave" and finding.since is not None)
    heard = [(finding.subject, line, finding.since or now) for finding in grave for line in finding.evidence]
    for probe in readings.probes.value.probes if readings.probes.value else ():
        if probe.ok is False:
            heard.append((probe.name, probe.detail, probe.at))
    for container in readings.containers.value.containers if readings.containers.value else ():
        if container.health == "unhealthy" and container.health_detail:
            heard.append((container.label, container.health_detail, now))
    return heard + logs.recent_errors(readings.logs.value, now)


def _excuse_starting(
    readings: Readings, stack: Topology, findings: list[Finding], now: float
) -> tuple[list[Finding], Finding | None]:
    """While services on the way are starting, failing probes are warnings that follow from one: "app is starting"."""
    starting = _starting(stack, now)
    probes = {p.name: p for p in (readings.probes.value.probes if readings.probes.value else ())}
    excused: list[Finding] = []
    waited: set[str] = set()
    for finding in findings:
        probe = probes.get(finding.subject) if finding.check.startswith("probes.") else None
        if probe is not None and not probe.ok:
            owner = stack.owner(probe)
            way = {owner} | stack.reach.get(owner, frozenset()) if owner else set(stack.watched)
            if way & starting.keys():
                waited |= way & starting.keys()
                finding = replace(finding, status=Status.WARN, check="probes.starting")
        excused.append(finding)
    if not waited:
        return findings, None
    # What the others wait for: the one that itself needs none of the starting ones.
    first = min(waited, key=lambda label: (len(stack.reach.get(label, frozenset()) & waited), starting[label], label))
    others = sorted(waited - {first})
    text = f"{first} is starting ({span(now - starting[first])})" + (f", so are {', '.join(others)}" if others else "")
    evidence = tuple(f"{label} was started at {clock(starting[label], now)}" for label in sorted(waited))
    found = Finding("containers.starting", "quick", Status.WARN, text, evidence, subject=first, since=starting[first])
    return [f for f in excused if f.key != found.key] + [found], found


def _starting(stack: Topology, now: float) -> dict[str, float]:
    """Services that were started a moment ago and are not expected to answer yet -> when that was."""
    starting = {}
    for label, replicas in stack.services.items():
        first = replicas[0]
        if not first.running or first.started_at is None or first.deaths >= LOOP_DEATHS:
            continue
        grace = STARTING_GRACE if first.health == "starting" else JUST_STARTED if not first.health else 0.0
        if now - first.started_at <= grace:
            starting[label] = first.started_at
    return starting


def _impact(case: Case, finding: Finding) -> tuple[float, str]:
    """How much depends on mending this first."""
    symptoms = case.symptoms(finding)
    worst = max([finding.status, *(s.status for s in symptoms)], key=lambda s: s.rank)
    score = {Status.FAIL: 1000.0, Status.WARN: 300.0, Status.UNKNOWN: 200.0, Status.OK: 0.0}[worst]
    if worst is Status.WARN and finding.lasting:
        score -= 250
    if worst is Status.WARN and finding.check in _PAST:  # what goes on now comes first
        score -= 100 if case.now - (finding.since or case.now) > _LATELY else 40
    if worst is Status.WARN and finding.check.startswith("trends."):
        score -= 90  # what is wrong now comes first
    if finding.check == "sources.containers":
        score += 250  # nothing else is known without it
    path = {f.key for f in causes.path_failures(case) if f.status is not Status.OK}
    mine = {finding.key, *(s.key for s in symptoms)}
    if mine & path:
        score += 300
    if finding.check in _GLOBAL:
        score += 150
    label = case.service(finding)
    if label in case.stack.services:
        score += 50 if label in case.stack.watched else -100
    score += {"database": 30, "app": 25, "edge": 25, "cache": 20}.get(case.role(label), 0)
    score += min(100, 15 * len(symptoms)) + 10 * _dependents(case, label)
    return (score, finding.key)


def _dependents(case: Case, label: str) -> int:
    return sum(1 for needs in case.stack.reach.values() if label in needs) if label else 0


def _told(case: Case, finding: Finding) -> Finding:
    """The cause with its whole sentence: what it is, what it does to others, what to do."""
    symptoms = case.symptoms(finding)
    worst = max([finding.status, *(s.status for s in symptoms)], key=lambda s: s.rank)
    # A warning that explains a failure is one; an unreadable source that explains one too.
    status = worst if worst is Status.FAIL else finding.status
    text = sentence.describe(case, finding) + _rest(case, finding, symptoms)
    evidence = list(finding.evidence)
    if changed := suspect(case, finding):
        evidence.append(f"recent change: {told(changed, case, finding)}")
    evidence += [f"explains: {s.summary}" for s in symptoms]
    return replace(
        finding,
        status=status,
        summary=text,
        evidence=tuple(dict.fromkeys(evidence)),
        suggestions=suggestions(case, finding),
        since=sentence.began(case, finding),
    )


def _rest(case: Case, finding: Finding, symptoms: list[Finding]) -> str:
    others = [s for s in symptoms if case.service(s) != case.service(finding) or causes.is_business(case, s)]
    return sentence.suffering(case, others)


def headline(findings: list[Finding], columns: int = 0) -> tuple[str, str]:
    """(text, what to do) for the findings line: the first cause. Empty strings when nothing is wrong.

    With `columns` the two together fit that many, an arrow and spaces (6) included; the text gives way first.
    """
    causes_ = [f for f in findings if not f.cause]
    if not causes_:
        return "", ""
    top = causes_[0]
    hint = top.suggestions[0].title if top.suggestions else ""
    more = len([f for f in causes_[1:] if f.status is Status.FAIL])
    text = top.summary + (f"; {more} more" if more else "")
    if columns <= 0:
        return text, hint
    if len(text) + len(hint) + 6 <= columns:
        return text, hint
    hint = shorten(hint, max(16, columns // 3))
    return shorten(text, max(16, columns - len(hint) - 6)), hint


def main_suggestion(findings: list[Finding]) -> Suggestion | None:
    """The first suggestion of the first cause; None when nothing is wrong."""
    return next((f.suggestions[0] for f in findings if not f.cause and f.suggestions), None)
