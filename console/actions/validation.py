"""Is it well now, and better than before? One look through everything users go through, judged as findings.

The same look is taken before a run, after it, and every few seconds of the observation. It changes nothing; a
business probe does what users do (a synthetic webhook), as configured.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace

from console.actions.facts import DiskFacts, Facts, ProbeFacts, ServiceContainer
from console.actions.roles import place
from console.checks.check import Finding, Status
from console.config import Config, ProbeConfig
from console.watch.probes import ProbeResult

RunProbe = Callable[[ProbeConfig], Awaitable[ProbeResult]]

_DISK_FAIL = 95.0  # percent
_SLOWER = 3.0  # times the latency before, and by more than _SLOWER_BY: said, but not "worse" by itself
_SLOWER_BY = 1.0  # seconds


@dataclass(frozen=True, slots=True)
class Look:
    """One sample: what every container, probe and disk said at `at`. `reachable` False: the engine was silent."""

    at: float
    containers: tuple[ServiceContainer, ...] = ()
    probes: tuple[ProbeFacts, ...] = ()
    disks: tuple[DiskFacts, ...] = ()
    reachable: bool = True

    @property
    def well(self) -> frozenset[str]:
        return frozenset(c.name for c in self.containers if c.well)

    @property
    def answering(self) -> frozenset[str]:
        return frozenset(p.name for p in self.probes if p.ok)

    @property
    def failing(self) -> frozenset[str]:
        """What is known not to be well; who has not answered yet is on neither side."""
        ill = {c.name for c in self.containers if not c.well and not c.finished}
        return frozenset(ill | {p.name for p in self.probes if p.ok is False})

    @property
    def latency(self) -> float | None:
        """The slowest answer of the probes that answered, seconds."""
        return max((p.latency for p in self.probes if p.ok and p.latency is not None), default=None)


@dataclass(frozen=True, slots=True)
class Comparison:
    """`verdict`: better, same or worse."""

    verdict: str
    detail: str


class ProbeRound:
    """Every probe once, all at the same time. Begins at once; whoever cannot wait takes what is there by then."""

    def __init__(
        self,
        probes: Iterable[ProbeConfig],
        where: Callable[[ProbeConfig], tuple[str, bool]],
        run: RunProbe | None = None,
    ) -> None:
        if run is None:
            from console.watch.probes import run_probe

            run = run_probe
        self._began = time.monotonic()
        self._where = where
        self._tries: list[tuple[ProbeConfig, asyncio.Future[ProbeResult]]] = [
            (p, asyncio.ensure_future(run(p))) for p in probes
        ]

    async def wait(self, seconds: float | None = None) -> None:
        """Until all have answered, or for so long; without `seconds` their own patience ends it."""
        waiting = {f for _, f in self._tries if not f.done()}
        if waiting:
            await asyncio.wait(waiting, timeout=seconds)

    def so_far(self) -> tuple[ProbeFacts, ...]:
        """What is known by now; who has not answered yet is unknown, not failed."""
        return tuple(self._fact(p, f) for p, f in self._tries)

    def close(self) -> tuple[ProbeFacts, ...]:
        """`so_far`, and nobody is waited for any more."""
        facts = self.so_far()
        for _, future in self._tries:
            future.cancel()
        return facts

    def _fact(self, p: ProbeConfig, future: asyncio.Future[ProbeResult]) -> ProbeFacts:
        service, direct = self._where(p)
        if not future.done():
            waited = f"no answer yet after {time.monotonic() - self._began:.1f} s"
            return ProbeFacts(p.name, None, waited, None, p.business, service, direct, p.kind)
        r = future.result()
        return ProbeFacts(r.name, r.ok, r.detail, r.latency, p.business, service, direct, p.kind)


def findings(look: Look, targets: Iterable[str] | None = None, before: Look | None = None) -> list[Finding]:
    """The look as findings, worst first. `targets`: services that must be well; None: all that should run.

    What failed before and has nothing to do with the targets (a certificate, another service's port) is a
    warning: no restart of the targets could mend it, and none is to blame for it.
    """
    if not look.reachable:
        return [Finding("validate.engine", "quick", Status.UNKNOWN, "the Docker engine does not answer")]
    wanted = None if targets is None else frozenset(targets)
    failed_before = {p.name for p in before.probes if not p.ok} if before else set()
    probes = [_lenient(p, wanted) if p.name in failed_before else _probe(p) for p in look.probes]
    found = [*_containers(look, wanted), *probes, *_disks(look)]
    if not look.probes:
        found.append(
            Finding(
                "validate.probes",
                "connectivity",
                Status.WARN,
                "nothing is asked from outside: no [[probes]] are configured",
                ("health checks alone cannot tell whether users are served",),
            )
        )
    return sorted(found, key=lambda f: -f.status.rank)


def passed(found: Iterable[Finding]) -> bool:
    """Nothing failed and nothing that had to answer stayed silent."""
    return not any(f.status in (Status.FAIL, Status.UNKNOWN) for f in found)


def _containers(look: Look, wanted: frozenset[str] | None) -> list[Finding]:
    found = []
    for c in look.containers:
        if c.finished or (wanted is None and c.stopped_by_hand) or (wanted is not None and c.service not in wanted):
            continue
        status = Status.OK if c.well else Status.FAIL
        evidence = (c.health_detail,) if c.health_detail and not c.well else ()
        found.append(Finding("validate.health", "quick", status, f"{c.name} is {c.state}", evidence, subject=c.service))
        if c.oom_killed:
            found.append(
                Finding("validate.memory", "quick", Status.WARN, f"{c.name} ran out of memory", subject=c.service)
            )
    return found


def _probe(p: ProbeFacts) -> Finding:
    status = Status.OK if p.ok else Status.UNKNOWN if p.ok is None else Status.FAIL
    kind = "validate.business" if p.business else "validate.direct" if p.direct else "validate.edge"
    return Finding(kind, "connectivity", status, f"{p.name}: {p.detail}", subject=p.name)


def _lenient(p: ProbeFacts, wanted: frozenset[str] | None) -> Finding:
    finding = _probe(p)
    concerns = wanted is None or p.business or p.through_edge or (p.service in wanted and p.kind != "tls")
    return finding if p.ok or concerns else replace(finding, status=Status.WARN)


def _disks(look: Look) -> list[Finding]:
    return [
        Finding(
            "validate.disk",
            "quick",
            Status.FAIL if d.percent >= _DISK_FAIL else Status.OK,
            f"{d.mount} {d.percent:.0f} % full",
            subject=d.mount,
        )
        for d in look.disks
    ]


def compare(before: Look, after: Look) -> Comparison:
    """Containers and probes that were well and are not, against those that are now: any loss is worse.

    >>> up = ProbeFacts("edge", True, "200"); down = ProbeFacts("edge", False, "502")
    >>> compare(Look(0, probes=(down,)), Look(1, probes=(up,))).verdict
    'better'
    >>> compare(Look(0, probes=(up,)), Look(1, probes=(down,)))
    Comparison(verdict='worse', detail='lost: edge')
    """
    if not after.reachable:
        return Comparison("worse", "the engine stopped answering") if before.reachable else Comparison("same", "")
    lost = sorted((before.well | before.answering) - (after.well | after.answering))
    won = sorted((after.well | after.answering) & before.failing)
    if lost:
        return Comparison("worse", f"lost: {', '.join(lost)}" + (f"; won: {', '.join(won)}" if won else ""))
    was, now = before.latency, after.latency
    slower = was is not None and now is not None and now > _SLOWER * was and now - was > _SLOWER_BY
    words = f"slower: {was:.2f} s -> {now:.2f} s" if slower else ""
    if won:
        return Comparison("better", "; ".join(filter(None, (f"won: {', '.join(won)}", words))))
    return Comparison("same", words)


async def validate(config: Config, facts: Facts, run: RunProbe | None = None) -> list[Finding]:
    """The validation suite now: health of every service, every configured probe, disks; worst first."""
    asking = ProbeRound(config.probes, lambda p: place(p, facts.containers, config), run)
    await asking.wait()
    probes = asking.close()
    if facts.engine.up:
        return findings(Look(time.time(), facts.containers, probes, facts.disks))
    word = "does not answer" if facts.engine.state == "frozen" else f"cannot be used: {facts.engine.detail}"
    engine = Finding("validate.engine", "quick", Status.UNKNOWN, f"the Docker engine {word}")
    return [engine, *map(_probe, probes)]
