"""Watching a run's project: samples before, after and during the observation, and what they amount to."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

from console.actions import gather, inspecting
from console.actions.action import Plan
from console.actions.conduct import TEXT, Conduct, Pace, StoppedError
from console.actions.engine import EngineDriver
from console.actions.facts import DiskFacts, Facts, ProbeFacts, ServiceContainer
from console.actions.roles import place, roles
from console.actions.validation import Look, ProbeRound, RunProbe, compare, findings, passed
from console.checks.check import Finding, Status
from console.config import Config
from console.errors import SourceError
from console.text import clean

_BAD = (Status.FAIL, Status.UNKNOWN)


class Watcher:
    """Looks at the project of one plan. `before`: the look that later ones are compared with."""

    def __init__(
        self,
        plan: Plan,
        config: Config,
        driver: EngineDriver,
        conduct: Conduct,
        pace: Pace,
        run_probe: RunProbe | None = None,
    ) -> None:
        self._plan, self._config, self._driver = plan, config, driver
        self._conduct, self._pace, self._run_probe = conduct, pace, run_probe
        self._engine_root: str | None = None
        self.containers: tuple[ServiceContainer, ...] = ()
        self.before = Look(0.0)
        self._starts: dict[str, str] = {}  # of the targets when they were found well: name -> StartedAt
        self.well_at = 0.0  # unix seconds of the first look after which all was well

    @property
    def edges(self) -> tuple[str, ...]:
        """Services that users come through."""
        return roles(Facts(0.0, self._plan.project, containers=self.containers), self._config).edge

    async def inspect(self) -> tuple[ServiceContainer, ...]:
        """The project's containers now. Raises SourceError when the engine does not answer."""
        now = time.time()
        self.containers = tuple(inspecting.container(d, now) for d in await self._driver.project(self._plan.project))
        return self.containers

    async def look(self, cap: float | None = None) -> Look:
        """One sample of everything that tells whether it is well."""
        reading, probes = await asyncio.gather(self._inspect_or_none(), self._probe(cap))
        if reading is None:
            return Look(time.time(), self.containers, probes, reachable=False)
        return Look(time.time(), reading, probes, await self._disks(reading))

    async def look_before(self) -> None:
        """The look that later ones are compared with. It must not delay the cure, so who is slow stays unknown,
        unless it failed already when the plan was made."""
        look = await self.look(cap=self._pace.before)
        known = tuple(replace(p, ok=False) if p.ok is None and p.name in self._plan.failing else p for p in look.probes)
        self.before = replace(look, probes=known)

    async def _probe(self, cap: float | None) -> tuple[ProbeFacts, ...]:
        config = self._config
        asking = ProbeRound(config.probes, lambda p: place(p, self.containers, config), self._run_probe)
        await asking.wait(cap)
        return asking.close()

    async def _inspect_or_none(self) -> tuple[ServiceContainer, ...] | None:
        try:
            return await self.inspect()
        except SourceError:
            return None

    async def _disks(self, containers: tuple[ServiceContainer, ...]) -> tuple[DiskFacts, ...]:
        if self._engine_root is None:
            self._engine_root = await gather.engine_root(self._driver)
        return await gather.disks(containers, self._conduct.data_dir, self._engine_root)

    async def validate(self) -> None:
        """Look until everything that must be well is, or the deadline passes. Raises StoppedError."""
        targets = frozenset(self._plan.targets)
        until = time.monotonic() + self._validation_deadline()
        said: set[tuple[str, str]] | None = None
        while True:
            look = await self.look()
            found = findings(look, targets, self.before)
            difference = compare(self.before, look)
            good = passed(found) and difference.verdict != "worse"
            over = good or time.monotonic() >= until or bool(self._conduct.interrupted())
            bad = tuple(f.summary for f in found if f.status in _BAD)
            kinds = {(f.check, f.subject) for f in found if f.status in _BAD}
            if over or kinds != said:
                self._record_validation(good if over else None, found, difference.verdict, difference.detail, bad)
            said = kinds
            if good:
                self.well_at = look.at
                self._starts = self._target_starts(look)
                return
            if over:
                break
            await asyncio.sleep(self._pace.validate)
        reason = self._conduct.interrupted()
        if reason:
            raise StoppedError("cancelled", f"{reason}, before it was validated")
        raise StoppedError("failed", f"not validated: {'; '.join(bad) or difference.detail}")

    def _record_validation(
        self, ok: bool | None, found: list[Finding], verdict: str, detail: str, bad: tuple[str, ...]
    ) -> None:
        rows = [
            {"check": f.check, "status": f.status.value, "summary": clean(f.summary, 200), "subject": f.subject}
            for f in found[:40]
        ]
        well = sum(1 for f in found if f.status not in _BAD)
        self._conduct.append(
            "recovery.validation",
            {
                "ok": ok,
                "passed": well,
                "total": len(found),
                "checks": [{"name": r["summary"], "ok": r["status"] in ("ok", "warn"), "text": ""} for r in rows],
                "findings": rows,
                "verdict": verdict,
                "text": clean(f"{well}/{len(found)} well, {verdict}{': ' + detail if detail else ''}", TEXT),
            },
        )

    def _validation_deadline(self) -> float:
        checks = [c.check.detection for c in self.containers if c.check and c.service in self._plan.targets]
        return max(self._pace.validation, 2 * max(checks, default=0.0))

    async def observe(self) -> None:
        """Watch on for a while: what comes back ill has not been mended. Raises StoppedError."""
        seconds = self._plan.observation
        targets = frozenset(self._plan.targets)
        self._conduct.append(
            "recovery.observation", {"state": "started", "seconds": seconds, "text": f"for {seconds:.0f} s"}
        )
        until = time.monotonic() + seconds
        every = min(self._pace.observe, max(0.2, seconds / 6))
        total = failures = 0
        last: tuple[str, ...] = ()
        ill = False
        # A watch that ends on a bad sample has not ended: the next sample tells noise from a relapse.
        while ill or time.monotonic() < until:
            left = until - time.monotonic()
            reason = await self._pause(every if ill else min(every, max(0.0, left)))
            if reason:
                self._watched("cut", total, failures, reason)
                return
            look = await self.look()
            found = findings(look, targets, self.before)
            total += 1
            again = [n for n, at in self._target_starts(look).items() if self._starts.get(n, at) != at]
            if again:
                words = f"{', '.join(again)} started anew, and not by this run"
                self._watched("unstable", total, failures + 1, words)
                raise StoppedError("failed", f"it did not hold: {words}")
            ill = not passed(found)
            if not ill:
                continue
            failures += 1
            last = tuple(f.summary for f in found if f.status in _BAD)
            self._watched("bad", total, failures, "; ".join(last))
            if failures > self._pace.allowed:
                break
        if failures > self._pace.allowed:
            self._watched("unstable", total, failures, "; ".join(last))
            raise StoppedError("failed", f"it did not hold: {'; '.join(last)}")
        self._watched("ok", total, failures, f"{total - failures} of {total} samples well")

    async def _pause(self, seconds: float) -> str:
        """Sleep, but hear a cancellation at once: gives its reason, "" when the time has passed."""
        until = time.monotonic() + seconds
        while True:
            reason, left = self._conduct.interrupted(), until - time.monotonic()
            if reason or left <= 0:
                return reason
            await asyncio.sleep(min(self._pace.gate, left))

    def _target_starts(self, look: Look) -> dict[str, str]:
        if not look.reachable:
            return {}
        return {c.name: c.started_at for c in look.containers if c.service in self._plan.targets}

    def _watched(self, state: str, total: int, failures: int, text: str) -> None:
        self._conduct.append(
            "recovery.observation",
            {
                "state": state,
                "good": total - failures,
                "total": total,
                "failures": failures,
                "text": clean(text, TEXT),
            },
        )


def portrait(look: Look) -> dict[str, Any]:
    """The part of a look that a later comparison needs, for the record."""
    return {
        "at": look.at,
        "well": sorted(look.well),
        "ill": sorted(c.name for c in look.containers if not c.well and not c.finished),
        "probes": [{"name": p.name, "ok": p.ok, "detail": p.detail, "latency": p.latency} for p in look.probes],
    }


def look_from(data: Any) -> Look:
    """The look that `portrait` recorded: containers come back as far as they were well or not."""
    if not isinstance(data, dict):
        return Look(0.0)
    states = {"well": "running", "ill": "dead"}
    containers = tuple(ServiceContainer(n, n, n, state) for key, state in states.items() for n in data.get(key, ()))
    probes = tuple(
        ProbeFacts(str(p.get("name")), p.get("ok"), str(p.get("detail", "")), p.get("latency"))
        for p in data.get("probes", ())
    )
    return Look(float(data.get("at") or 0.0), containers, probes)
