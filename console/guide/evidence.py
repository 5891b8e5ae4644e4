"""Evidence that steps are verified by: a plain mapping from subject to what is known of it now.

Subjects are "probe:NAME" ("probe:*" all, "probe:business" those of what users do), "role:database" (every container
of the role runs and is not unhealthy), "check:ID" and "metric:NAME". True is well, False is not, None is unknown.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence

from console.checks.check import Finding, Status
from console.guide.schema import Verify
from console.watch.containers import ContainersReading
from console.watch.metrics import MetricsReading
from console.watch.probes import ProbesReading

_JUDGED = "checks judged"  # everything was read and judged

Evidence = Mapping[str, bool | float | None]

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    ">": operator.gt,
}


def evidence(
    probes: ProbesReading | None = None,
    containers: ContainersReading | None = None,
    metrics: MetricsReading | None = None,
    findings: Sequence[Finding] | None = None,
    roles: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, bool | float | None]:
    """The evidence in these readings. What was not read is absent, which verification takes as unknown."""
    found: dict[str, bool | float | None] = {}
    if probes is not None:
        for probe in probes.probes:
            found[f"probe:{probe.name}"] = probe.ok
        found["probe:*"] = _all([probe.ok for probe in probes.probes])
        found["probe:business"] = _all([probe.ok for probe in probes.probes if probe.business])
    for metric in metrics.metrics if metrics is not None else ():
        found[f"metric:{metric.name}"] = metric.value
    if containers is not None:
        for role, services in (roles or {}).items():
            found[f"role:{role}"] = _role(containers, services)
    worst: dict[str, Status] = {}
    for finding in findings or ():
        for key in (f"check:{finding.check}", f"check:{finding.check}/{finding.subject}"):
            worst[key] = max(worst.get(key, Status.OK), finding.status, key=lambda status: status.rank)
    # A check that finds nothing wrong leaves no finding; unless something could not be read, that means well.
    if findings is not None and not any(f.status is Status.UNKNOWN for f in findings):
        found[_JUDGED] = True
    found.update({key: None if status is Status.UNKNOWN else status is Status.OK for key, status in worst.items()})
    return found


def holds(verify: Verify, known: Evidence) -> bool | None:
    """Whether the evidence is there at this moment; None when it cannot be told."""
    value = known.get(verify.subject)
    if value is None and verify.subject.startswith("check:") and verify.subject not in known:
        value = known.get(_JUDGED)
    if value is None:
        return None
    if not verify.op or verify.value is None:
        return value if isinstance(value, bool) else None
    return _COMPARE[verify.op](float(value), verify.value)


def words(verify: Verify, known: Evidence) -> str:
    """What the evidence says, in words for the record."""
    value = known.get(verify.subject)
    if value is None:
        return f"{verify.subject} unknown"
    return f"{verify.subject} {value:g}" if verify.op else f"{verify.subject} {'well' if value else 'not well'}"


def _all(values: Sequence[bool | None]) -> bool | None:
    """False as soon as one is; unknown when there is none, or one is unknown."""
    if any(value is False for value in values):
        return False
    return None if not values or None in values else True


def _role(containers: ContainersReading, services: Sequence[str]) -> bool | None:
    found = [c for c in containers.containers if c.service in services]
    if not found:
        return None
    return all(c.running and c.health in ("", "healthy") for c in found)
