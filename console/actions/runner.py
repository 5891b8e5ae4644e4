"""The runner: carries a confirmed plan out, step by step, so that at any instant a look tells where it stands.

lock -> preflight -> [intent -> act -> look -> outcome]* -> validate -> observe -> close, or put back and close.
Every intent is durable before the act. Silence of the engine is `unknown`, never `failed`, and never repeated.
`start` and `resume` are called by consoles and commands and return at once; `Runner` works in a process of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from console.actions import detached, gather, inspecting, runs
from console.actions.action import Plan, Risk, Standing, Step
from console.actions.engine import DockerDriver, EngineDriver, EngineRefusedError, InDoubtError
from console.actions.facts import DiskFacts, Facts, Holder, ProbeFacts, ServiceContainer
from console.actions.lock import ProjectLock, hold_text
from console.actions.operations import Context, StepFailedError, StepSkipped, look_at, operation
from console.actions.roles import place, roles
from console.actions.runs import Request, RunView, StepView
from console.actions.validation import Look, RunProbe, compare, findings, passed, probe_all
from console.config import Config
from console.errors import RecordError, RefusedError, SourceError
from console.incident.events import Actor
from console.incident.journal import Journal
from console.redact import redact
from console.text import clean

MISSES = 3  # pings in a row without an answer: the engine is down
_AGAIN = 3  # tries of a wait that the engine's own restart interrupted
_TEXT = 500  # characters of a step's text in the record


@dataclass(frozen=True, slots=True)
class Pace:
    """How long the runner waits for what, in seconds. Tests are impatient; people get these."""

    gate: float = 0.5
    ping: float = 2.0  # between pings while a change is under way
    settle: float = 5.0  # after an engine came back, before anything is judged
    patience: float = 20.0  # for a silent engine, when nothing of ours is down
    long_patience: float = 600.0  # when we took something down: it must come up again
    validate: float = 1.0
    validation: float = 60.0  # at least; longer where health checks are slow
    observe: float = 5.0
    allowed: int = 2  # bad samples of an observation that may be noise
    before: float = 0.6  # for the look before: evidence must not delay the cure


def start(
    plan: Plan,
    confirm: str,
    config: Config,
    data_dir: Path,
    actor: Actor,
    *,
    incident: str = "",
    override: str = "",
    now: float | None = None,
) -> str:
    """Start a confirmed plan in a process of its own and return the run's id. Blocks for about 50 ms.

    Raises RefusedError: not confirmed word for word, expired, edited, refused by its own facts, on hold; and
    LockedError while another run holds the project. `override` is the reason for going over budget, once.
    """
    now = time.time() if now is None else now
    _admit(plan, confirm, data_dir, override, now)
    run_id = runs.new_id(plan, now)
    owner = Holder(run_id, actor.name, now, plan.level, plan.title)
    lock = ProjectLock.acquire(data_dir, plan.project, owner)
    try:
        request = Request(run_id, actor, confirm, now, incident, override)
        place_ = runs.create(data_dir, plan, request)
        _spawn(data_dir, run_id, lock, config, place_)
    finally:
        lock.close()
    return run_id


def resume(data_dir: Path, run_id: str, config: Config, actor: Actor) -> str:
    """Go on with a run that was cut off or ended in doubt. It looks before it acts. Raises RefusedError."""
    plan, _ = runs.load(data_dir, run_id)
    held = hold_text(data_dir)
    if held:
        raise RefusedError(f"changes are on hold: {held}", remedy=f"Remove {data_dir / 'hold'} to go on")
    owner = Holder(run_id, actor.name, time.time(), plan.level, plan.title, "resuming")
    lock = ProjectLock.acquire(data_dir, plan.project, owner)
    try:
        view = runs.status(data_dir, run_id)
        if view is not None and view.over and not view.resumable:
            raise RefusedError(f"run {run_id} is over: {view.outcome}", remedy="Plan a new one: sevdeck recover plan")
        (runs.directory(data_dir, run_id) / "cancel.json").unlink(missing_ok=True)
        _spawn(data_dir, run_id, lock, config, runs.directory(data_dir, run_id))
    finally:
        lock.close()
    return run_id


def _admit(plan: Plan, confirm: str, data_dir: Path, override: str, now: float) -> None:
    held = hold_text(data_dir)
    if held:
        raise RefusedError(f"changes are on hold: {held}", remedy=f"Remove {data_dir / 'hold'} to go on")
    if not plan.genuine:
        raise RefusedError("this plan was changed after it was made", remedy="Plan again")
    if plan.refused is not None and not (plan.over_budget and override):
        raise RefusedError(f"refused: {plan.refused}", remedy=plan.help)
    if plan.expired(now):
        raise RefusedError("the plan is older than 2 minutes", remedy="Plan again: things may have changed")
    if " ".join(confirm.split()) != plan.confirm:
        raise RefusedError("not confirmed", remedy=f'Type exactly: {plan.confirm}   (or --confirm "{plan.confirm}")')


def _spawn(data_dir: Path, run_id: str, lock: ProjectLock, config: Config, place_: Path) -> None:
    try:
        detached.spawn(data_dir.resolve(), run_id, lock.fd, pickle.dumps(config), place_ / "runner.log")
    except OSError as error:
        raise RefusedError(str(error), remedy="Nothing was changed") from error


def work(data_dir: Path, run_id: str, lock_fd: int, settings: bytes) -> int:
    """The worker process: do the run, or go on with it. `settings` is a pickled Config from our own pipe."""
    config: Config = pickle.loads(settings)
    plan, request = runs.load(data_dir, run_id)
    holder = Holder(run_id, request.actor.name, time.time(), plan.level, plan.title)
    lock = ProjectLock.inherit(lock_fd, data_dir, plan.project, holder)
    lock.update(pid=os.getpid())
    driver = DockerDriver(config.docker, keep_fds=(lock_fd,))
    runner = Runner(data_dir, run_id, config, driver, lock=lock)

    async def go() -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, runner.stop, "asked to end by a signal")
        await runner.run()

    asyncio.run(go())
    return 0


class _StoppedError(Exception):
    """The run ends here: by a person, the hold file, a failed step. Carries the closing state and the reason."""

    def __init__(self, state: str, reason: str) -> None:
        super().__init__(reason)
        self.state = state
        self.reason = reason


class Runner:
    """One run in this process. Everything it needs from outside is handed in, so that tests need no engine."""

    def __init__(
        self,
        data_dir: Path,
        run_id: str,
        config: Config,
        driver: EngineDriver,
        *,
        lock: ProjectLock | None = None,
        run_probe: RunProbe | None = None,
        pace: Pace | None = None,
        open_journal: Callable[[Path, Request, Actor], Journal] = runs.journal,
    ) -> None:
        self.plan, self.request = runs.load(data_dir, run_id)
        self._data_dir, self._config, self._driver, self._lock = data_dir, config, driver, lock
        self._run_probe, self._pace = run_probe, pace or Pace()
        self._journal = open_journal(data_dir, self.request, replace(self.request.actor, via="runner"))
        self._began = time.monotonic()
        self._stop_reason = ""
        self._down_since: float | None = None  # unix seconds: since when users may notice
        self._up_at = 0.0  # unix seconds of the first look after which all was well
        self._before = Look(0.0)
        self._containers: tuple[ServiceContainer, ...] = ()
        self._compensating = False
        self._engine_root: str | None = None
        self._context = Context(
            driver,
            look=self.look,
            save=self._journal.put_blob,
            interrupted=self._interrupted,
            edges=(),
            pace=self._pace.gate,
        )

    def stop(self, reason: str) -> None:
        """End after the present step. What we took down is put back first."""
        self._stop_reason = reason

    @property
    def view(self) -> RunView:
        return runs.fold(self.plan, self.request, self._journal.events())

    async def run(self) -> RunView:
        """Do the run from wherever it stands and return how it ended. Never raises for what the host does."""
        try:
            try:
                await self._drive()
            except _StoppedError as stop:
                await self._wind_up(stop)
        except RecordError as error:
            await self._abandon(error)
        finally:
            self._driver.close()
        final = self.view
        if final.over:
            runs.write_result(self._data_dir, final)
        self._journal.close()
        if self._lock is not None:
            self._lock.release()
        return final

    async def _drive(self) -> None:
        view = self.view
        if view.state == "starting":
            await self._preflight()
        else:
            await self._go_on(view)
        if view.state == "compensating":
            raise _StoppedError("failed", view.reason or "a step failed before the interruption")
        for step in view.steps:
            await self._advance(step)
        await self._validate()
        await self._observe()
        self._close("ok", self._praise())

    # --- record --------------------------------------------------------------------------------------------------

    def _append(self, kind: str, data: Mapping[str, Any]) -> None:
        """Record, durably. While we put things back the record is a wish, bringing services up is a duty."""
        try:
            self._journal.append(kind, {"run": self.request.run_id, **data})
        except RecordError:
            if not self._compensating:
                raise

    def _close(self, state: str, reason: str, *, frozen: bool = False) -> None:
        downtime = None
        if self._down_since is not None and state == "ok":
            downtime = round(max(0.0, self._up_at - self._down_since), 1)
        self._append(
            "recovery.run",
            {
                "state": state,
                "level": self.plan.level,
                "service": self.plan.service,
                "title": self.plan.title,
                "reason": clean(reason, _TEXT),
                "text": clean(reason, _TEXT),
                "frozen": frozen,
                "downtime": downtime,
                "took": round(time.monotonic() - self._began, 1),
            },
        )

    async def _abandon(self, error: RecordError) -> None:
        """The record cannot be written, so nothing more may be changed, except to bring up what we took down."""
        log = runs.directory(self._data_dir, self.request.run_id) / "runner.log"
        with contextlib.suppress(OSError), log.open("a", encoding="utf-8") as file:
            file.write(f"stopped: {error}\n")
        if self.plan.compensation and self._down_since is not None:
            self._compensating = True
            await self._put_back()

    # --- beginning -----------------------------------------------------------------------------------------------

    async def _preflight(self) -> None:
        """Is the world still the plan's? Then say so in the record and take the look before."""
        try:
            self._containers = await self._inspect()
        except SourceError as error:
            raise _StoppedError("cancelled", f"not started: {error.message}") from error
        changed = self.plan.changes(tuple(c.snapshot for c in self._containers))
        if changed:
            raise _StoppedError("cancelled", f"not started: {changed} since the plan was made; plan again")
        self._learn_edges()
        self._before = await self.look(cap=self._pace.before)
        self._append(
            "recovery.run",
            {
                "state": "started",
                "level": self.plan.level,
                "service": self.plan.service,
                "plan": self.plan.plan_id,
                "targets": list(self.plan.targets),
                "title": self.plan.title,
                "by": self.request.actor.name,
                "override": self.request.override,
                "before": _portrait(self._before),
                "text": f"over budget, on purpose: {self.request.override}" if self.request.override else "",
            },
        )

    async def _go_on(self, view: RunView) -> None:
        """After an interruption: what was before is in the record; say that we go on."""
        for event in self._journal.events():
            if event.kind == "recovery.run" and event.data.get("run") == self.request.run_id and "before" in event.data:
                self._before = _look_from(event.data["before"])
        with contextlib.suppress(SourceError):
            self._containers = await self._inspect()
        self._learn_edges()
        steps = (*view.steps, *view.compensation)
        outages = [s.started_at for s in steps if s.step.risk is Risk.OUTAGE and s.started_at]
        self._down_since = min(outages, default=None)
        doubtful = ", ".join(s.step.title for s in steps if s.state in ("running", "unknown"))
        self._append(
            "recovery.run",
            {
                "state": "resumed" if view.state != "compensating" else "compensating",
                "title": self.plan.title,
                "level": self.plan.level,
                "service": self.plan.service,
                "reason": view.reason if view.state == "compensating" else "",
                "text": f"going on after an interruption{': in doubt was ' + doubtful if doubtful else ''}",
            },
        )

    # --- steps ---------------------------------------------------------------------------------------------------

    async def _advance(self, view: StepView) -> None:
        """Bring one step to its end from wherever it stands; raises _StoppedError when the run cannot go on."""
        if view.state in ("ok", "skipped") or (view.step.optional and view.state == "failed"):
            return
        reason = self._interrupted()
        if reason:
            raise _StoppedError("cancelled", reason)
        step, attempt = view.step, view.attempt
        if view.state in ("running", "unknown") and await self._settled(step, attempt):
            return
        state, text = await self._perform(step, attempt + 1)
        if step.optional or state in ("ok", "skipped"):
            if state == "skipped" and self._interrupted():
                raise _StoppedError("cancelled", self._interrupted())
            return
        raise _StoppedError(state, f"{step.title}: {text}")

    async def _settled(self, step: Step, attempt: int) -> bool:
        """Look whether a step that was in doubt is done. True: nothing more to do."""
        if operation(step).again:
            return False
        standing = await self._resolve(step, wait=False)
        if standing is None:
            self._outcome(step, "unknown", "the engine does not answer", attempt)
            raise _StoppedError("unknown", f"{step.title}: the engine does not answer, so nobody can tell")
        if standing is Standing.DONE:
            self._outcome(step, "ok", "found done after the interruption", attempt)
            return True
        return False

    async def _perform(self, step: Step, attempt: int) -> tuple[str, str]:
        """intent -> act -> (look) -> outcome. Returns state and text of the outcome."""
        before = await self._standing_of(step)
        self._append(
            "recovery.step",
            {
                "step": step.id,
                "state": "intent",
                "title": step.title,
                "command": step.command,
                "attempt": attempt,
                "before": before,
            },
        )
        if self._lock is not None:
            self._lock.update(step=step.title)
        if step.risk is Risk.OUTAGE and self._down_since is None:
            self._down_since = time.time()
        began = time.monotonic()
        state, text = await self._act(step)
        self._outcome(step, state, text, attempt, time.monotonic() - began, await self._standing_of(step))
        return state, text

    async def _act(self, step: Step) -> tuple[str, str]:
        said = ""
        for _ in range(_AGAIN):
            try:
                async with asyncio.timeout(step.timeout + 5):
                    return "ok", await self._guarded(step)
            except StepSkipped as skipped:
                return "skipped", str(skipped)
            except (StepFailedError, EngineRefusedError) as error:
                return "failed", error.message
            except (InDoubtError, SourceError, TimeoutError) as error:
                said = getattr(error, "message", "") or f"no answer in {step.timeout:.0f} s"
            if not operation(step).again:
                return await self._in_doubt(step, said)
            if step.optional:
                return "failed", said
            if not await self._engine_back():
                return "unknown", said
        return "failed", said

    async def _in_doubt(self, step: Step, said: str) -> tuple[str, str]:
        """A change was asked for and no answer came: look where it stands; never ask for it again."""
        standing = await self._resolve(step)
        if standing is Standing.DONE:
            return "ok", f"no answer came ({said}), but a look shows that it was done"
        if standing is Standing.PARTIAL:
            return await self._finish(step, said)
        return "unknown", f"{said}; whether it happened is unknown"

    async def _finish(self, step: Step, said: str) -> tuple[str, str]:
        """Half done (stopped, never started): only the rest is asked for, once."""
        try:
            return (
                "ok",
                f"half done when the answer was lost ({said}); {await operation(step).act(self._context, step)}",
            )
        except (StepFailedError, EngineRefusedError) as error:
            return "failed", error.message
        except (InDoubtError, SourceError) as error:
            return "unknown", error.message

    async def _guarded(self, step: Step) -> str:
        """Act, and notice within seconds when the engine goes silent meanwhile."""
        acting = asyncio.ensure_future(operation(step).act(self._context, step))
        misses = 0
        try:
            while True:
                done, _ = await asyncio.wait({acting}, timeout=self._pace.ping)
                if done:
                    return acting.result()
                misses = 0 if await self._answers() else misses + 1
                if misses >= MISSES:
                    raise InDoubtError("the Docker engine stopped answering in the middle of it")
        finally:
            if not acting.done():
                acting.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await acting

    async def _resolve(self, step: Step, *, wait: bool = True) -> Standing | None:
        """Where a doubtful step stands; None when the engine stays silent. A call may still be at work: wait."""
        if not await self._engine_back():
            return None
        until = time.monotonic() + (step.timeout if wait else 0.0)
        while True:
            try:
                standing = await operation(step).look(self._context, step)
            except SourceError:
                return None
            except StepFailedError:
                return Standing.NOT_DONE
            # PARTIAL may be the middle of a restart that the engine is still doing.
            if standing is Standing.DONE or time.monotonic() >= until:
                return standing
            await asyncio.sleep(self._pace.gate)

    async def _engine_back(self) -> bool:
        """Wait for a silent engine: shortly, or long when something of ours is down."""
        if await self._answers():
            return True
        down = self._down_since is not None and self.plan.level > 1
        until = time.monotonic() + (self._pace.long_patience if down else self._pace.patience)
        while time.monotonic() < until and not self._stop_reason:
            await asyncio.sleep(min(1.0, self._pace.ping))
            if await self._answers():
                await asyncio.sleep(self._pace.settle)
                return await self._answers()
        return False

    async def _answers(self) -> bool:
        try:
            await self._driver.ping()
        except SourceError:
            return False
        return True

    def _outcome(
        self, step: Step, state: str, text: str, attempt: int, took: float = 0.0, after: dict[str, Any] | None = None
    ) -> None:
        self._append(
            "recovery.step",
            {
                "step": step.id,
                "state": state,
                "title": step.title,
                "command": step.command,
                "text": redact(clean(text, _TEXT)),
                "attempt": attempt,
                "took": round(took, 3),
                "after": after,
            },
        )

    async def _standing_of(self, step: Step) -> dict[str, Any] | None:
        """State of the step's container for the record; None when there is none or nobody can tell."""
        ident = step.call.get("id")
        if not isinstance(ident, str):
            return None
        try:
            found = await look_at(self._context, ident)
        except SourceError:
            return None
        return None if found is None else {"state": found.state, "started_at": found.started_at}

    def _interrupted(self) -> str:
        """Why the run should end now, "" to go on. While putting things back nothing interrupts."""
        if self._compensating:
            return ""
        held = hold_text(self._data_dir)
        by = runs.cancelled_by(self._data_dir, self.request.run_id)
        return self._stop_reason or (f"cancelled by {by}" if by else "") or (f"on hold: {held}" if held else "")

    # --- ends ----------------------------------------------------------------------------------------------------

    async def _wind_up(self, stop: _StoppedError) -> None:
        """The run cannot go on: put back what was running where we took it down, compare, and close."""
        if stop.state == "unknown":
            self._close("unknown", f"{stop.reason}. Look before you repeat it: sevdeck recover resume", frozen=True)
            return
        if self._down_since is None:
            self._close(stop.state, stop.reason)
            return
        if not self.plan.compensation:
            verdict = compare(self._before, await self.look())
            worse = verdict.verdict == "worse" and stop.state != "cancelled"
            words = f"; worse than before, {verdict.detail}: call a person" if worse else ""
            self._close(stop.state, f"{stop.reason}{words}", frozen=worse)
            return
        self._compensating = True
        self._append("recovery.run", {"state": "compensating", "title": self.plan.title, "reason": stop.reason})
        back = await self._put_back()
        verdict = compare(self._before, await self.look())
        ended = "rolled_back" if back and stop.state != "cancelled" else stop.state
        words = "everything that was running runs again" if back else "not everything came up again: call a person"
        self._close(ended, f"{stop.reason}; {words}", frozen=not back or verdict.verdict == "worse")

    async def _put_back(self) -> bool:
        """Start what was running before. True when the engine says all of it runs."""
        good = True
        for view in self.view.compensation:
            if view.state in ("ok", "skipped"):
                continue
            with contextlib.suppress(SourceError, StepFailedError):
                if await operation(view.step).look(self._context, view.step) is Standing.DONE:
                    self._outcome(view.step, "skipped", "it runs", view.attempt)
                    continue
            state, _ = await self._perform(view.step, view.attempt + 1)
            good = good and state in ("ok", "skipped")
        return good

    def _praise(self) -> str:
        view = self.view
        watch = view.observation
        if watch is not None and watch.state == "cut":
            return f"validated; the observation was cut short: {watch.detail}"
        return f"validated and stable for {watch.seconds:.0f} s" if watch else "validated"

    # --- looking -------------------------------------------------------------------------------------------------

    async def look(self, cap: float | None = None) -> Look:
        """One sample of everything that tells whether it is well."""
        reading, probes = await asyncio.gather(self._inspect_or_none(), self._probe(cap))
        if reading is None:
            return Look(time.time(), self._containers, probes, reachable=False)
        self._containers = reading
        return Look(time.time(), reading, probes, await self._disks(reading))

    async def _probe(self, cap: float | None) -> tuple[ProbeFacts, ...]:
        return await probe_all(
            self._config.probes, lambda p: place(p, self._containers, self._config), self._run_probe, cap
        )

    async def _inspect(self) -> tuple[ServiceContainer, ...]:
        now = time.time()
        return tuple(inspecting.container(d, now) for d in await self._driver.project(self.plan.project))

    async def _inspect_or_none(self) -> tuple[ServiceContainer, ...] | None:
        try:
            return await self._inspect()
        except SourceError:
            return None

    async def _disks(self, containers: tuple[ServiceContainer, ...]) -> tuple[DiskFacts, ...]:
        if self._engine_root is None:
            self._engine_root = await gather.engine_root(self._driver)
        return await gather.disks(containers, self._data_dir, self._engine_root)

    def _learn_edges(self) -> None:
        known = Facts(0.0, self.plan.project, containers=self._containers)
        self._context = replace(self._context, edges=roles(known, self._config).edge)

    async def _validate(self) -> None:
        """Look until everything that must be well is, or the deadline passes. Raises _StoppedError."""
        targets = frozenset(self.plan.targets)
        until = time.monotonic() + self._validation_deadline()
        said: tuple[str, ...] | None = None
        while True:
            look = await self.look()
            found = findings(look, targets, self._before)
            difference = compare(self._before, look)
            good = passed(found) and difference.verdict != "worse"
            over = good or time.monotonic() >= until or bool(self._interrupted())
            bad = tuple(f.summary for f in found if f.status.value in ("fail", "unknown"))
            if over or bad != said:
                self._record_validation(good if over else None, found, difference.verdict, difference.detail, bad)
            said = bad
            if good:
                self._up_at = look.at
                return
            if over:
                break
            await asyncio.sleep(self._pace.validate)
        reason = self._interrupted()
        if reason:
            raise _StoppedError("cancelled", f"{reason}, before it was validated")
        raise _StoppedError("failed", f"not validated: {'; '.join(bad) or difference.detail}")

    def _record_validation(
        self, ok: bool | None, found: list[Any], verdict: str, detail: str, bad: tuple[str, ...]
    ) -> None:
        rows = [
            {"check": f.check, "status": f.status.value, "summary": clean(f.summary, 200), "subject": f.subject}
            for f in found[:40]
        ]
        well = sum(1 for f in found if f.status.value in ("ok", "warn"))
        self._append(
            "recovery.validation",
            {
                "ok": ok,
                "passed": well,
                "total": len(found),
                "checks": [{"name": r["summary"], "ok": r["status"] in ("ok", "warn"), "text": ""} for r in rows],
                "findings": rows,
                "verdict": verdict,
                "text": clean(f"{well}/{len(found)} well, {verdict}{': ' + detail if detail else ''}", _TEXT),
            },
        )

    def _validation_deadline(self) -> float:
        checks = [c.check.detection for c in self._containers if c.check and c.service in self.plan.targets]
        return max(self._pace.validation, 2 * max(checks, default=0.0))

    async def _observe(self) -> None:
        """Watch on for a while: what comes back ill has not been mended. Raises _StoppedError."""
        seconds = self.plan.observation
        targets = frozenset(self.plan.targets)
        self._append("recovery.observation", {"state": "started", "seconds": seconds, "text": f"for {seconds:.0f} s"})
        until = time.monotonic() + seconds
        every = min(self._pace.observe, max(0.2, seconds / 6))
        total = failures = 0
        last: tuple[str, ...] = ()
        while time.monotonic() < until:
            await asyncio.sleep(min(every, max(0.0, until - time.monotonic())))
            reason = self._interrupted()
            if reason:
                self._watched("cut", total, failures, reason)
                return
            look = await self.look()
            found = findings(look, targets, self._before)
            total += 1
            if passed(found):
                continue
            failures += 1
            last = tuple(f.summary for f in found if f.status.value in ("fail", "unknown"))
            self._watched("bad", total, failures, "; ".join(last))
            if failures > self._pace.allowed:
                break
        if failures > self._pace.allowed:
            self._watched("unstable", total, failures, "; ".join(last))
            raise _StoppedError("failed", f"it did not hold: {'; '.join(last)}")
        self._watched("ok", total, failures, f"{total - failures} of {total} samples well")

    def _watched(self, state: str, total: int, failures: int, text: str) -> None:
        self._append(
            "recovery.observation",
            {
                "state": state,
                "good": total - failures,
                "total": total,
                "failures": failures,
                "text": clean(text, _TEXT),
            },
        )


def _portrait(look: Look) -> dict[str, Any]:
    """The part of a look that a later comparison needs, for the record."""
    return {
        "at": look.at,
        "well": sorted(look.well),
        "probes": [{"name": p.name, "ok": p.ok, "detail": p.detail, "latency": p.latency} for p in look.probes],
    }


def _look_from(data: Any) -> Look:
    """The look that `_portrait` recorded: well containers come back as running ones."""
    if not isinstance(data, dict):
        return Look(0.0)
    containers = tuple(ServiceContainer(n, n, n, "running") for n in data.get("well", ()))
    probes = tuple(
        ProbeFacts(str(p.get("name")), p.get("ok"), str(p.get("detail", "")), p.get("latency"))
        for p in data.get("probes", ())
    )
    return Look(float(data.get("at") or 0.0), containers, probes)
