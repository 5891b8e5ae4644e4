"""One run of a confirmed plan, from wherever it stands: begin, steps, validate, observe, close, or put back and close.

At any instant the record tells how far it is, so that another process can go on after a kill. This module decides
what comes next; `stepping` acts, `watching` looks.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from console.actions import runs
from console.actions.action import Risk
from console.actions.conduct import TEXT, Conduct, Pace, StoppedError
from console.actions.engine import EngineDriver
from console.actions.lock import ProjectLock
from console.actions.operation import Context
from console.actions.runview import Request, RunView, fold
from console.actions.stepping import Stepper
from console.actions.validation import RunProbe, compare
from console.actions.watching import Watcher, look_from, portrait
from console.config import Config
from console.errors import RecordError, SourceError
from console.incident import outbox
from console.incident.events import Actor
from console.incident.journal import Journal
from console.text import clean


class Run:
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
        pace = pace or Pace()
        self._data_dir, self._driver, self._lock, self._pace = data_dir, driver, lock, pace
        self._channels = outbox.channels(config.extra.get("notify", {}))
        self._journal = open_journal(data_dir, self.request, replace(self.request.actor, via="runner"))
        self._conduct = Conduct(data_dir, run_id, self._journal)
        self._watcher = Watcher(self.plan, config, driver, self._conduct, pace, run_probe)
        context = Context(
            driver,
            look=self._watcher.look,
            edges=lambda: self._watcher.edges,
            save=self._journal.put_blob,
            place=runs.directory(data_dir, run_id),
            project=self.plan.project,
            actor=self.request.actor,
            interrupted=self._conduct.interrupted,
            pace=pace.gate,
        )
        self._stepper = Stepper(driver, context, self._conduct, pace, lock, patient=self.plan.level > 1)
        self._began = time.monotonic()

    def stop(self, reason: str) -> None:
        """End after the present step. What we took down is put back first."""
        self._conduct.stop_reason = reason

    @property
    def view(self) -> RunView:
        return fold(self.plan, self.request, self._journal.events())

    async def run(self) -> RunView:
        """Do the run from wherever it stands and return how it ended. Never raises for what the host does."""
        try:
            try:
                await self._drive()
            except StoppedError as stop:
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
            await self._begin()
        else:
            await self._go_on(view)
        if view.state == "compensating":
            raise StoppedError("failed", view.reason or "a step failed before the interruption")
        for step in view.steps:
            await self._stepper.advance(step)
        await self._watcher.validate()
        await self._watcher.observe()
        self._close("ok", self._praise())

    async def _begin(self) -> None:
        """Is the world still the plan's? Then say so in the record and take the look before."""
        try:
            containers = await self._watcher.inspect()
        except SourceError as error:
            raise StoppedError("cancelled", f"not started: {error.message}") from error
        changed = self.plan.changes(tuple(c.snapshot for c in containers))
        if changed:
            raise StoppedError("cancelled", f"not started: {changed} since the plan was made; plan again")
        await self._watcher.look_before()
        self._say(
            "started",
            plan=self.plan.plan_id,
            targets=list(self.plan.targets),
            by=self.request.actor.name,
            override=self.request.override,
            before=portrait(self._watcher.before),
            text=f"over budget, on purpose: {self.request.override}" if self.request.override else "",
        )
        self._post("run", f"begun by {self.request.actor.name}: touches {self.plan.blast.text}")

    async def _go_on(self, view: RunView) -> None:
        """After an interruption: what was before is in the record; say that we go on."""
        for event in self._journal.events():
            if event.kind == "recovery.run" and event.data.get("run") == self.request.run_id and "before" in event.data:
                self._watcher.before = look_from(event.data["before"])
        with contextlib.suppress(SourceError):
            await self._watcher.inspect()
        steps = (*view.steps, *view.compensation)
        outages = [s.started_at for s in steps if s.step.risk is Risk.OUTAGE and s.started_at]
        self._stepper.down_since = min(outages, default=None)
        doubtful = ", ".join(s.step.title for s in steps if s.state in ("running", "unknown"))
        putting_back = view.state == "compensating"
        self._say(
            "compensating" if putting_back else "started",
            reason=view.reason if putting_back else "",
            text=f"going on after an interruption{': in doubt was ' + doubtful if doubtful else ''}",
        )

    async def _wind_up(self, stop: StoppedError) -> None:
        """The run cannot go on: put back what was running where we took it down, compare, and close."""
        if stop.state == "unknown" and not (self._took_down and await self._stepper.answers()):
            self._close("unknown", f"{stop.reason}. Look before you repeat it: sevdeck recover resume", frozen=True)
        elif self._took_down or self._left_something:
            await self._put_back(stop)
        elif self._stepper.down_since is None:
            self._close(stop.state, stop.reason)
        else:
            verdict = compare(self._watcher.before, await self._watcher.look())
            worse = verdict.verdict == "worse" and stop.state != "cancelled"
            words = f"; worse than before, {verdict.detail}: call a person" if worse else ""
            self._close(stop.state, f"{stop.reason}{words}", frozen=worse)

    @property
    def _took_down(self) -> bool:
        """Something was stopped that the plan knows how to bring up again."""
        return bool(self.plan.compensation) and self._stepper.down_since is not None

    @property
    def _left_something(self) -> bool:
        """A level 4 that ends before the change of names leaves its copy beside the live database."""
        return self.plan.level == 4 and any(
            s.step.risk is not Risk.NONE and s.state != "pending" for s in self.view.steps
        )

    async def _put_back(self, stop: StoppedError) -> None:
        self._conduct.putting_back = True
        self._say("compensating", reason=stop.reason)
        back = await self._stepper.put_back(self.view.compensation)
        verdict = compare(self._watcher.before, await self._watcher.look())
        ended = "rolled_back" if back and stop.state == "failed" else stop.state
        page = any(s.step.call.get("op") == "stand_in" and s.state == "ok" for s in self.view.compensation)
        left = "not everything came up again: call a person" + ("; users see the maintenance page" if page else "")
        words = "what was before is back" if back else left
        self._close(ended, f"{stop.reason}; {words}", frozen=not back or verdict.verdict == "worse")

    async def _abandon(self, error: RecordError) -> None:
        """The record cannot be written, so nothing more may be changed, except to bring up what we took down."""
        log = runs.directory(self._data_dir, self.request.run_id) / "runner.log"
        with contextlib.suppress(OSError), log.open("a", encoding="utf-8") as file:
            file.write(f"stopped: {error}\n")
        if self._took_down:
            self._conduct.putting_back = True
            await self._stepper.put_back(self.view.compensation)

    def _say(self, state: str, **data: object) -> None:
        common = {"level": self.plan.level, "service": self.plan.service, "title": self.plan.title}
        self._conduct.append("recovery.run", {"state": state, **common, **data})

    def _close(self, state: str, reason: str, *, frozen: bool = False) -> None:
        down = self._stepper.down_since
        downtime = round(max(0.0, self._watcher.well_at - down), 1) if down is not None and state == "ok" else None
        words = clean(reason, TEXT)
        took = round(time.monotonic() - self._began, 1)
        self._say(state, reason=words, frozen=frozen, downtime=downtime, took=took)
        self._post("page" if frozen else "run", f"{state}, {words}")

    def _post(self, kind: str, text: str) -> None:
        """For people who are not at this host; sent by somebody else, and never waited for."""
        with contextlib.suppress(OSError):
            outbox.put(
                self._data_dir,
                self._channels,
                kind,
                f"{self.plan.project}: level {self.plan.level}, {self.plan.title}",
                text,
                time.time(),
                project=self.plan.project,
                incident=self.request.incident,
            )

    def _praise(self) -> str:
        watch = self.view.observation
        if watch is not None and watch.state == "cut":
            return f"validated; the observation was cut short: {watch.detail}"
        return f"validated and stable for {watch.seconds:.0f} s" if watch else "validated"
