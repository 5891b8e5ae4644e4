"""Probes: what does not answer, answers wrongly, is slow, or answers on and off.

One failure after many successes is a warning, two in a row are a failure: networks hiccup.
"""

from __future__ import annotations

import re
from itertools import pairwise

from console.checks.check import Finding, Status
from console.checks.topology import Topology
from console.checks.wording import brief, since
from console.watch.probes import ProbeResult, ProbesReading

SLOW = 1.0  # seconds (RECOVERY, connectivity: edge answers 200 in less than 1 s)
FLAPS = 4  # changes between well and unwell in the last WINDOW tries: flapping, a person looks
WINDOW = 20
STEADY = 5  # equal answers in a row: it has made up its mind
GROUPS = {"postgres": "database", "redis": "database", "tls": "connectivity"}


def probe_findings(reading: ProbesReading, stack: Topology, now: float) -> list[Finding]:
    found = (_probe(probe, stack, now) for probe in reading.probes)
    return [finding for finding in found if finding is not None]


def _probe(probe: ProbeResult, stack: Topology, now: float) -> Finding | None:
    if probe.ok is None:
        return None
    group = GROUPS.get(probe.kind, "connectivity")
    failures = probe.history.count(False)
    tries = f"{failures} of the last {len(probe.history)} tries failed" if probe.history else "one try"
    evidence = (f"{probe.kind} {probe.target}", probe.detail, tries)
    if probe.kind != "tls" and flapping(probe):
        text = f"{probe.name} answers on and off: {tries}, last {'well' if probe.ok else probe.detail}"
        status = Status.WARN if probe.ok else Status.FAIL
        return Finding("probes.flapping", group, status, text, evidence, subject=probe.name, since=None)
    if not probe.ok:
        status = Status.WARN if probe.history[-2:] == (True, False) else Status.FAIL
        text = f"{probe.name}: {brief(probe.detail)}{since(probe.since, now)}"
        check = "probes.business" if probe.business else "probes.fail"
        if probe.kind == "tls" and "certificate" in probe.detail:  # else nobody was there to show one
            check, text = "probes.certificate", f"{probe.name}: {probe.detail}"
            # A state somebody chose, not something that happened.
            status = Status.WARN if "self-signed" in probe.detail and not ended(probe) else status
        return Finding(check, group, status, text, evidence, subject=probe.name, since=probe.since)
    if recovering(probe):
        text = f"{probe.name} answers again{since(probe.since, now)}, it failed a moment ago"
        return Finding("probes.recovering", group, Status.WARN, text, evidence, subject=probe.name, since=None)
    if probe.latency is not None and probe.latency > SLOW and probe.kind in ("http", "postgres", "redis"):
        text = f"{probe.name} answers slowly: {probe.latency:.1f} s"
        return Finding("probes.slow", "performance", Status.WARN, text, evidence, subject=probe.name)
    return None


def ended(probe: ProbeResult) -> bool:
    """Whether a tls probe says that the certificate is over, rather than that it is near or not trusted."""
    return bool(re.search(r"\b(?:ended|expired)\b", probe.detail))


def flapping(probe: ProbeResult) -> bool:
    """Whether it goes up and down too often for one cause to have begun once, and does so still."""
    tries = probe.history[-WINDOW:]
    turns = sum(a != b for a, b in pairwise(tries))
    return turns >= FLAPS and len(set(tries[-STEADY:])) == 2


def recovering(probe: ProbeResult) -> bool:
    """Well for one or two tries after several failures: it may be back, or come and go."""
    return probe.ok is True and probe.history[-6:].count(False) >= 2 and not all(probe.history[-3:])
