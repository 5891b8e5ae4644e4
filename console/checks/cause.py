"""Root cause first: findings joined along what needs what and along time, one cause with its symptoms.

A trouble of a service is explained by a trouble of something it needs, when that began no later. What users
meet (edge and business probes, metrics, error bursts) is explained by a trouble on the way. `suggest` then says
what to do about each cause. Everything is computed from one look; nothing is remembered.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from console.checks.change import Change
from console.checks.check import Finding, Status
from console.checks.logs import Sign
from console.checks.topology import Topology
from console.checks.wording import hangs
from console.config import Config
from console.watch.probes import ProbeResult
from console.watch.readings import Readings

LATELY = 20.0  # seconds: a trouble without a known beginning is compared with what was said since then
LAG = 60.0  # seconds a cause may be noticed after its effect: health checks need retries x interval

# Troubles of a service that others can suffer from, worst first.
HARD = (
    "containers.oom_loop",
    "containers.loop",
    "containers.oom",
    "containers.exited",
    "containers.stopped",
    "containers.paused",
    "containers.isolated",
    "containers.created",
    "containers.restarting",
    # What was asked for knows more than what is seen from outside.
    "connectivity.network",
    "connectivity.alias",
    "connectivity.names",
    "connectivity.address",
    "database.connections",
    "database.password",
    "database.blocked",
    "database.cache_full",
    "database.cache_save",
    "containers.health",
    "probes.fail",
    "connectivity.refused",
    "connectivity.silent",
    "connectivity.port",
    "probes.flapping",
    "containers.starting",
    "probes.recovering",
)
_REFUSING = ("database.cache_full", "database.cache_memory", "database.cache_save")
_REFUSALS = (("connections", "has no free connections"), ("password", "refuses the password"))
_ABOUT_SERVICES = ("logs.", "connectivity.", "performance.", "quick.", "configuration.", "security.", "trends.")
_SPIN = "performance.spin"
_NO_ANSWER = ("containers.health", "probes.fail", "probes.flapping")
# What is seen -> what knows more of the same, first come first.
_KNOWS_MORE = {
    "containers.cpu": (_SPIN,),
    "quick.oom": ("containers.oom_loop", "containers.oom", "containers.loop"),
    "containers.oom_past": ("quick.oom",),
    "performance.restarts": ("containers.oom_loop", "containers.loop", "containers.restarting", "containers.exited"),
}
# Not begun at one moment that could be compared.
_TIMELESS = {
    "containers.oom_loop",
    "containers.loop",
    "probes.flapping",
    "probes.recovering",
    "containers.isolated",
}


@dataclass(slots=True)
class Case:
    """One look and what is made of it: `troubles` by service, `causes` by the key of what they explain."""

    readings: Readings
    stack: Topology
    config: Config
    now: float
    findings: list[Finding]
    signs: dict[str, Sign]
    changes: Sequence[Change] = ()  # of the last hour
    cleared: frozenset[str] = frozenset()  # checks that have looked just now and found all well
    probes: dict[str, ProbeResult] = field(default_factory=dict)  # by name
    owners: dict[str, str] = field(default_factory=dict)  # probe name -> service
    troubles: dict[str, Finding] = field(default_factory=dict)  # service -> its worst hard trouble
    causes: dict[str, str] = field(default_factory=dict)  # key of a symptom -> key of its cause

    def service(self, finding: Finding) -> str:
        """The service a finding is about; "" when it is about none."""
        if finding.check.startswith("probes."):
            return self.owners.get(finding.subject, "")
        if finding.check.startswith(("containers.", "database.")):
            return finding.subject
        if finding.check.startswith(_ABOUT_SERVICES):
            return finding.subject if finding.subject in self.stack.services else ""
        return ""

    def role(self, label: str) -> str:
        return self.stack.roles.get(label, "")

    def sign(self, kind: str, about: Iterable[Finding]) -> Sign | None:
        """A sentence of this kind that was said while one of these troubles lasted."""
        found = self.signs.get(kind)
        times = [self.now - LATELY if f.since is None else f.since for f in about]
        return found if found is not None and any(found.explains(at) for at in times) else None

    def symptoms(self, cause: Finding) -> list[Finding]:
        return [f for f in self.findings if self.causes.get(f.key) == cause.key]

    def blame(self, symptom: Finding, cause: Finding) -> None:
        if symptom.key != cause.key:
            self.causes.setdefault(symptom.key, cause.key)

    def replace(self, old: Finding, new: Finding) -> None:
        self.findings[self.findings.index(old)] = new


def open_case(
    readings: Readings,
    stack: Topology,
    config: Config,
    now: float,
    findings: list[Finding],
    signs: dict[str, Sign],
    changes: Sequence[Change] = (),
    cleared: Iterable[str] = (),
) -> Case:
    case = Case(readings, stack, config, now, findings, signs, changes, frozenset(cleared))
    reading = readings.probes.value
    for probe in reading.probes if reading else ():
        case.probes[probe.name] = probe
        case.owners[probe.name] = stack.owner(probe)
    return case


def join(case: Case) -> None:
    """Fills `case.causes`: every finding that another explains, and merges two views of one trouble."""
    _gather(case)
    _same(case)
    _everything(case)
    _missing(case)
    _dependencies(case)
    _full_cache(case)
    _path(case)
    _turning(case)
    _consequences(case)
    _to_the_bottom(case)


def _gather(case: Case) -> None:
    """The worst trouble of each service; its other troubles are symptoms of that one."""
    rank = {check: place for place, check in enumerate(HARD)}
    mine: dict[str, list[Finding]] = {}
    for finding in case.findings:
        label = case.service(finding)
        # What the edge answers is about everything behind it, so it says nothing of the edge itself.
        on_path = finding.check.startswith("probes.") and (case.role(label) == "edge" or is_business(case, finding))
        if label and finding.check in rank and not on_path:
            mine.setdefault(label, []).append(finding)
    for label, its in mine.items():
        its.sort(key=lambda f: rank[f.check])
        worst = its[0]
        case.troubles[label] = worst
        for other in its[1:]:
            case.blame(other, worst)


def _same(case: Case) -> None:
    """Two views of one trouble of a service: what is seen of it, and what knows more."""
    for finding in case.findings:
        for check in _KNOWS_MORE.get(finding.check, ()):
            for other in case.findings:
                if other.check == check and other.subject == finding.subject:
                    case.blame(finding, other)


def is_business(case: Case, finding: Finding) -> bool:
    probe = case.probes.get(finding.subject) if finding.check.startswith("probes.") else None
    return probe is not None and probe.business


def _everything(case: Case) -> None:
    """Causes beneath all services: a dead engine, a full disk, no memory."""
    suffering = list(case.troubles.values()) + path_failures(case)
    engine = _first(case, "sources.containers")
    if engine is not None:
        fault = case.readings.containers.fault
        silent = [f for f in case.findings if f.check.endswith(".unknown") and fault and fault.reason in f.summary]
        for finding in suffering + silent:
            case.blame(finding, engine)
        return
    full = next((f for f in case.findings if f.check in ("host.disk", "host.inodes") and f.status is Status.FAIL), None)
    sign = None if _first(case, "logs.was_full") else case.sign("disk_full", suffering)
    if full is None and sign is not None and suffering:
        full = _from_sign(sign, "logs.disk_full", f"{sign.subject} reports a full disk", sign.subject)
        case.findings.append(full)
    if full is not None:
        for finding in suffering:
            # A container that somebody stopped, paused or cut off has its reason already.
            if finding.check not in ("containers.stopped", "containers.paused", "containers.isolated"):
                case.blame(finding, full)
        return
    memory = _first(case, "host.memory")
    if memory is not None and memory.status is Status.FAIL:
        for label, finding in case.troubles.items():
            container = case.stack.container(label)
            if finding.check.startswith("containers.oom") and container and not container.memory_limit:
                case.blame(finding, memory)


def _missing(case: Case) -> None:
    """Whoever needs a service that has no container suffers from that, and users do where nothing else is wrong."""
    gone = _first(case, "configuration.missing")
    if gone is None or gone.status is not Status.FAIL:
        return
    lost = set(gone.subject.split(", "))
    hit = []
    for label, finding in case.troubles.items():
        way = {label} | case.stack.reach.get(label, frozenset())
        if any(lost & set(c.depends_on) for service in way for c in case.stack.services.get(service, ())):
            hit.append(finding)
    for symptom in [*hit, *(path_failures(case) if hit or not case.troubles else ())]:
        case.blame(symptom, gone)


def _from_sign(sign: Sign, check: str, summary: str, subject: str) -> Finding:
    return Finding(check, "logs", Status.FAIL, summary, (f"{sign.subject} said: {sign.text}",), subject=subject)


def _dependencies(case: Case) -> None:
    """A service in trouble that needs another in trouble suffers from that one."""
    _exhausted(case)
    for label, finding in case.troubles.items():
        if finding.key in case.causes:
            continue
        root = _root(case, label, frozenset())
        if root != label:
            case.blame(finding, case.troubles[root])


def _root(case: Case, label: str, seen: frozenset[str]) -> str:
    """The service at the bottom of this one's trouble; itself when nothing it needs explains it."""
    finding = case.troubles[label]
    seen |= {label}
    beneath = [
        other
        for other in sorted(case.stack.reach.get(label, ()))
        if other not in seen and other in case.troubles and _can_cause(case.troubles[other], finding, case.now)
    ]
    if not beneath:
        return label
    roots = [_root(case, other, seen) for other in beneath]
    # The hardest trouble first; of equals the one that began first.
    return min(roots, key=lambda r: (HARD.index(case.troubles[r].check), case.troubles[r].since or 0.0, r))


def _can_cause(cause: Finding, effect: Finding, now: float) -> bool:
    if cause.check == "probes.recovering" and effect.check in HARD and effect.check != "probes.recovering":
        # It failed a moment ago, so it explains what began a moment ago and lags behind.
        return effect.since is not None and effect.since > now - LAG
    if cause.check in _REFUSING and hangs(effect.summary):
        return False  # it says no at once
    if cause.check == "containers.starting" and effect.check not in ("containers.health", "probes.fail"):
        return False
    if cause.check in _TIMELESS or cause.since is None or effect.since is None:
        return True
    return cause.since <= effect.since + LAG


def _exhausted(case: Case) -> None:
    """A database that runs but gives no connection, or refuses the password, is a trouble of its own kind."""
    databases = case.stack.with_role("database")
    if not databases or "database.sessions" in case.cleared:
        return
    label = databases[0]
    present = case.troubles.get(label)
    suffering = present is not None or any(case.role(s) == "app" for s in case.troubles) or path_failures(case)
    if not suffering or (present is not None and present.check not in ("probes.fail", "containers.health")):
        return
    for kind, words in _REFUSALS:
        sign = case.sign(kind, [*path_failures(case), *case.troubles.values()])
        if sign is None or (kind == "connections" and sign.subject in case.stack.with_role("cache")):
            continue
        finding = _from_sign(sign, f"database.{kind}", f"{label} {words}", label)
        finding = replace(finding, group="database", since=present.since if present else None)
        case.findings.append(finding)
        case.troubles = {s: f for s, f in case.troubles.items() if s != label}
        for other, trouble in case.troubles.items():
            if label in case.stack.reach.get(other, ()) and trouble.check in ("probes.fail", "containers.health"):
                case.blame(trouble, finding)
        for symptom in [*([present] if present else []), *path_failures(case)]:
            case.blame(symptom, finding)
        return


def _full_cache(case: Case) -> None:
    """A cache that answers and takes no more writes looks well to every health check."""
    label = next(iter(case.stack.with_role("cache")), "")
    failing = [f for f in path_failures(case) if f.key not in case.causes]
    sign = case.sign("cache_full", failing)
    if sign is None or not label or label in case.troubles or not failing or "database.cache" in case.cleared:
        return
    finding = _from_sign(sign, "database.cache_full", f"{label} is full and refuses writes", label)
    case.findings.append(finding)
    for symptom in failing:
        case.blame(symptom, finding)


_PATH = ("probes.fail", "probes.business", "probes.flapping", "probes.slow", "probes.recovering")


def path_failures(case: Case) -> list[Finding]:
    """What users meet: failing edge and business probes, and those of no known service."""
    found = []
    for finding in case.findings:
        if finding.check in _PATH:
            label = case.owners.get(finding.subject, "")
            if case.role(label) == "edge" or is_business(case, finding) or (not label and _is_ours(case, finding)):
                found.append(finding)
    return found


def _is_ours(case: Case, finding: Finding) -> bool:
    """Whether a probe of no known service asks the service's own address."""
    probe = case.probes.get(finding.subject)
    if probe is None:
        return False
    try:
        host = urlsplit(probe.target).hostname or ""
        ours = urlsplit(case.config.service.url).hostname or ""
    except ValueError:
        return False
    return host in ("localhost", "127.0.0.1", "::1") or (bool(ours) and host == ours)


def _path(case: Case) -> None:
    """Explains what users meet by the worst trouble on the way; what stays is a cause in its own right."""
    order = sorted(
        (label for label, finding in case.troubles.items() if finding.key not in case.causes),
        key=lambda label: HARD.index(case.troubles[label].check),
    )
    for finding in path_failures(case):
        if finding.key in case.causes:
            continue
        label = case.owners.get(finding.subject, "")
        way = {label} | case.stack.reach.get(label, frozenset()) if label else case.stack.watched
        for root in order:
            if root in way and _can_cause(case.troubles[root], finding, case.now):
                case.blame(finding, case.troubles[root])
                break
    _one_path(case)


def _one_path(case: Case) -> None:
    """Of several unexplained failures on the path, a plain one explains the business ones behind it."""
    left = [f for f in path_failures(case) if f.key not in case.causes and f.check != "probes.slow"]
    plain = [f for f in left if f.check in ("probes.fail", "probes.flapping") and not is_business(case, f)]
    for first in (plain or left)[:1]:
        for finding in left:
            case.blame(finding, first)
    slow = [f for f in case.findings if f.check == "probes.slow" and f.key not in case.causes]
    for why in (_slow_cause(case) or slow[0],) if slow else ():
        for finding in slow:
            case.blame(finding, why)


def _slow_cause(case: Case) -> Finding | None:
    """Why answers are slow: a container without cpu, the whole host, or the service that is slow itself."""
    slow = {case.owners.get(f.subject, "") for f in case.findings if f.check == "probes.slow"}
    way = slow | {s for label in slow for s in case.stack.reach.get(label, ())}
    held = next((f for f in case.findings if f.check in (_SPIN, "containers.cpu") and f.subject in way), None)
    busy = _first(case, "host.busy")
    if held is not None:
        return held
    if busy is not None and not _somebody_is_fast(case):
        return busy
    # The slowest thing that waits for no other slow thing.
    own = [f for f in case.findings if f.check == "probes.slow" and not is_business(case, f)]
    return next((f for f in own if not slow & case.stack.reach.get(case.owners.get(f.subject, ""), frozenset())), None)


def _somebody_is_fast(case: Case) -> bool:
    """A host that is too busy slows everybody: one fast store beside a slow app says that it is the app."""
    stores = [
        p
        for name, p in case.probes.items()
        if case.role(case.owners.get(name, "")) in ("database", "cache") and p.ok and p.latency is not None
    ]
    return bool(stores) and all((p.latency or 0.0) < 0.25 for p in stores)


def _turning(case: Case) -> None:
    """A service whose trouble nothing else explains, and that burns cpu, has no time to answer."""
    for finding in case.findings:
        trouble = case.troubles.get(finding.subject) if finding.check == _SPIN else None
        if trouble is not None and trouble.check in _NO_ANSWER and trouble.key not in case.causes:
            case.blame(trouble, finding)


def _consequences(case: Case) -> None:
    """Metrics, error bursts and unreadable metrics follow a cause that stops the service."""
    roots = [f for f in case.findings if f.key not in case.causes and f.check in (*HARD, *_GLOBAL, _SPIN)]
    roots = [f for f in roots if f.status is Status.FAIL or case.symptoms(f)]
    if not roots:
        return
    main = max(roots, key=lambda f: (_hits_users(case, f), len(case.symptoms(f))))
    for finding in case.findings:
        if finding.key in case.causes or finding is main:
            continue
        if finding.check in ("metrics.limit", "metrics.unknown", "probes.slow"):
            case.blame(finding, main)
        elif finding.check in (
            "logs.burst",
            "logs.new",
            "logs.spike",
            "logs.silence",
            "logs.grave",
            _SPIN,
            "performance.restarts",
            "containers.memory",
            "containers.cpu",
            "logs.source",
        ):
            label = case.service(finding)
            affected = {case.service(main), *(case.service(f) for f in case.symptoms(main))}
            dependent = main.check in _GLOBAL or case.service(main) in case.stack.reach.get(label, ())
            if not label or label in affected or dependent:
                case.blame(finding, main)


def _to_the_bottom(case: Case) -> None:
    """Chains end at their bottom: a symptom's cause must not itself be a symptom."""
    for key in list(case.causes):
        bottom, seen = case.causes[key], {key}
        while bottom in case.causes and bottom not in seen:
            seen.add(bottom)
            bottom = case.causes[bottom]
        case.causes[key] = bottom


_GLOBAL = (
    "sources.containers",
    "host.disk",
    "host.inodes",
    "host.memory",
    "logs.disk_full",
    "database.connections",
    "database.password",
    "database.cache_full",
    "probes.business",
    "configuration.missing",
)


def _hits_users(case: Case, cause: Finding) -> bool:
    mine = {f.key for f in case.symptoms(cause)} | {cause.key}
    return any(f.key in mine for f in path_failures(case))


def _first(case: Case, check: str) -> Finding | None:
    return next((f for f in case.findings if f.check == check), None)
