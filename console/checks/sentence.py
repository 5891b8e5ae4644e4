"""One sentence for a cause: what it is, since when, and what it does to others. Words only, no judgement."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from console.checks.cause import HARD, Case, is_business
from console.checks.check import Finding
from console.checks.wording import brief, hangs, since, status_code


def suffering(case: Case, symptoms: Sequence[Finding]) -> str:
    """What the cause does to others, as the end of its sentence: "; edge 502", "; app and edge suffer"."""
    labels = list(
        dict.fromkeys(
            s
            for f in symptoms
            if (s := case.service(f)) and case.role(s) != "edge" and f.check in HARD and not is_business(case, f)
        )
    )
    path = [
        f
        for f in symptoms
        if f.check in ("probes.fail", "probes.business", "probes.flapping")
        and (case.role(case.service(f)) == "edge" or is_business(case, f))
    ]
    edge = _edge_says(case, path)
    if not labels:
        return f"; {edge}" if edge else ""
    names = labels[:3] + (["edge"] if edge and len(labels) < 3 else [])
    words = names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
    return f"; {words} suffer" + ("s" if len(names) == 1 else "")


def _edge_says(case: Case, path: Iterable[Finding]) -> str:
    words = []
    for finding in sorted(path, key=lambda f: is_business(case, f)):
        probe = case.probes.get(finding.subject)
        if probe is None or probe.ok:
            continue
        code = status_code(probe.detail)
        what = str(code) if code else probe.detail if len(probe.detail) <= 24 else "fails"
        words.append(f"{finding.subject} {what}")
    return words[0] if words else ""


def began(case: Case, finding: Finding) -> float | None:
    """When the trouble began: the earliest known among the cause and the same service's symptoms."""
    label = case.service(finding)
    times = [finding.since] + [f.since for f in case.symptoms(finding) if case.service(f) == label]
    return min((t for t in times if t is not None), default=None)


def describe(case: Case, finding: Finding) -> str:
    """The cause's own sentence, made plain: a service that runs and does not answer is hung."""
    label = case.service(finding)
    probe = case.probes.get(finding.subject) if finding.check.startswith("probes.") else None
    when = since(began(case, finding), case.now)
    if probe is not None and finding.check in ("probes.fail", "probes.business"):
        app = next(iter(case.stack.with_role("app")), "")
        if finding.check == "probes.business":
            well = f", though {app} looks healthy" if app and known_well(case, app) else ""
            return f"{probe.name} fails: {brief(probe.detail)}{when}{well}"
        if case.role(label) == "edge" and app and known_well(case, app):
            return f"only the edge fails: {probe.name} {brief(probe.detail)}{when}, {app} answers directly"
    if finding.check == "containers.loop" and case.role(label) == "database" and case.sign("corrupt", [finding]):
        return f"{finding.summary}: its data files are damaged"
    if finding.check in ("containers.health", "probes.fail") and label and case.role(label) != "edge":
        return _unwell(case, finding, label, when)
    return finding.summary


def known_well(case: Case, label: str) -> bool:
    """Whether something said so: its health check, or a direct probe."""
    container = case.stack.container(label)
    if label in case.troubles:
        return False
    if container is not None and container.health == "healthy":
        return True
    return any(p.ok for name, p in case.probes.items() if case.owners.get(name) == label and not p.business)


def _unwell(case: Case, finding: Finding, label: str, when: str) -> str:
    mine = [finding, *case.symptoms(finding)]
    direct = next((f for f in mine if f.check == "probes.fail" and case.service(f) == label), None)
    probe = case.probes.get(direct.subject) if direct else None
    if probe is not None:
        asked = urlsplit(probe.target).path if probe.kind == "http" else ""
        what = f"{asked if len(asked) > 1 else probe.name} {brief(probe.detail)}"
        verb = "is hung" if hangs(probe.detail) else "is unwell"
        return f"{label} {verb}: {what}{when}"
    container = case.stack.container(label)
    if hangs(container.health_detail if container else ""):
        return f"{label} is hung: its health check gets no answer{when}"
    return finding.summary
