"""Steps of a run, one at a time: intent, act, look, outcome. Doubt is settled by looking, never by repeating."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable
from typing import Any

from console.actions.action import Risk, Standing, Step
from console.actions.conduct import TEXT, Conduct, Pace, StoppedError
from console.actions.engine import EngineDriver, EngineRefusedError, InDoubtError
from console.actions.lock import ProjectLock
from console.actions.operation import Context, StepFailedError, StepSkipped, look_at
from console.actions.operations import operation
from console.actions.runview import StepView
from console.actions.strangers import Strangers
from console.errors import RecordError, SourceError
from console.programs.transcript import Transcript, listening
from console.redact import redact
from console.text import clean

MISSES = 3  # pings in a row without an answer: the engine is down
_MARGIN = 5.0  # seconds for the call's own deadline to speak first: it says more
_AGAIN = 3  # tries of a wait that the engine's own restart interrupted


class Stepper:
    """Carries steps out. `patient`: when we took something down, wait long for a silent engine to come back."""

    def __init__(
        self,
        driver: EngineDriver,
        context: Context,
        conduct: Conduct,
        pace: Pace,
        lock: ProjectLock | None = None,
        *,
        patient: bool = False,
    ) -> None:
        self._driver, self._context, self._conduct = driver, context, conduct
        self._pace, self._lock, self._patient = pace, lock, patient
        self._strangers = Strangers(driver, context.project, time.time())
        self.down_since: float | None = None  # unix seconds: since when users may notice

    async def advance(self, view: StepView) -> None:
        """Bring one step to its end from wherever it stands; raises StoppedError when the run cannot go on."""
        if view.state in ("ok", "skipped") or (view.step.optional and view.state == "failed"):
            return
        reason = self._conduct.interrupted()
        if reason:
            raise StoppedError("cancelled", reason)
        await self._alone()
        step, attempt = view.step, view.attempt
        if view.state in ("running", "unknown") and await self._settled(step, attempt):
            return
        state, text = await self._perform(step, attempt + 1)
        if step.optional or state in ("ok", "skipped"):
            if state == "skipped" and self._conduct.interrupted():
                raise StoppedError("cancelled", self._conduct.interrupted())
            return
        raise StoppedError(state, f"{step.title}: {text}")

    async def _alone(self) -> None:
        """Pause while somebody else changes the stack; raises StoppedError when that does not end."""
        seen, since = await self._strangers.seen(), time.monotonic()
        if not seen:
            return
        words = f"paused: somebody else changes the stack ({seen})"
        self._conduct.append("recovery.run", {"state": "paused", "text": clean(words, TEXT)})
        if self._lock is not None:
            self._lock.update(step=words)
        quiet_since = time.monotonic()
        while time.monotonic() - quiet_since < self._pace.quiet:
            reason = self._conduct.interrupted()
            if reason:
                raise StoppedError("cancelled", reason)
            if time.monotonic() - since > self._pace.tolerance:
                raise StoppedError("failed", f"somebody else keeps changing the stack ({seen})")
            await asyncio.sleep(min(self._pace.gate, self._pace.quiet))
            again = await self._strangers.seen()
            if again:
                seen, quiet_since = again, time.monotonic()

    async def _settled(self, step: Step, attempt: int) -> bool:
        """Look whether a step that was in doubt is done. True: nothing more to do."""
        standing = await self._resolve(step, wait=False)
        if standing is None and not operation(step).again:
            self._outcome(step, "unknown", "the engine does not answer", attempt)
            raise StoppedError("unknown", f"{step.title}: the engine does not answer, so nobody can tell")
        if standing is Standing.DONE:
            self._outcome(step, "ok", "found done after the interruption", attempt)
            return True
        return False

    async def _perform(self, step: Step, attempt: int) -> tuple[str, str]:
        """intent -> act -> (look) -> outcome. Returns state and text of the outcome."""
        before = await self._standing_of(step)
        self._conduct.append(
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
        if step.risk is Risk.OUTAGE and self.down_since is None:
            self.down_since = time.time()
        began, at = time.monotonic(), time.time()
        with listening() as said:
            state, text = await self._act(step)
        self._strangers.did(step, at, time.time())
        took, after = time.monotonic() - began, await self._standing_of(step)
        self._outcome(step, state, text, attempt, took=took, after=after, **self._kept(said))
        return state, text

    def _kept(self, said: Transcript) -> dict[str, Any]:
        """Where everything that the step's programs said is, as fields of its outcome; nothing when they were none."""
        found: dict[str, Any] = {"exit": said.code} if said.parts else {}
        if said.parts and said.kept is None:
            raw = said.text.encode()
            with contextlib.suppress(RecordError):  # a full disk keeps the outcome still: it has a reserve
                said.kept = (self._context.save(raw), len(raw))
        return {**found, "sha256": said.kept[0], "size": said.kept[1]} if said.kept else found

    async def _act(self, step: Step) -> tuple[str, str]:
        said, at_work = "", True
        margin = 0.0 if step.optional else _MARGIN
        for _ in range(_AGAIN):
            try:
                async with asyncio.timeout(step.timeout + margin):
                    return "ok", await self._guarded(step)
            except StepSkipped as skipped:
                return "skipped", str(skipped)
            except (StepFailedError, EngineRefusedError) as error:
                return "failed", error.message
            except (InDoubtError, SourceError, TimeoutError) as error:
                said = getattr(error, "message", "") or f"no answer in {step.timeout:.0f} s"
                at_work = getattr(error, "at_work", True)
            if not operation(step).again:
                return await self._in_doubt(step, said, at_work)
            if step.optional:
                return "failed", said
            if not await self._engine_back():
                return "unknown", said
        return "failed", said

    async def _in_doubt(self, step: Step, said: str, at_work: bool) -> tuple[str, str]:
        """A change was asked for and no answer came: look where it stands; never ask for it again."""
        standing = await self._resolve(step, wait=at_work)
        if standing is Standing.DONE:
            return "ok", f"no answer came ({said}), but a look shows that it was done"
        if standing is Standing.PARTIAL:
            return await self._finish(step, said)
        return "unknown", f"{said}; whether it happened is unknown"

    async def _finish(self, step: Step, said: str) -> tuple[str, str]:
        """Half done (stopped, never started): only the rest is asked for, once."""
        try:
            rest = await operation(step).act(self._context, step)
            return "ok", f"half done when the answer was lost ({said}); {rest}"
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
                misses = 0 if await self.answers() else misses + 1
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
        if await self.answers():
            return True
        down = self.down_since is not None and self._patient
        until = time.monotonic() + (self._pace.long_patience if down else self._pace.patience)
        while time.monotonic() < until and not self._conduct.stop_reason:
            await asyncio.sleep(min(1.0, self._pace.ping))
            if await self.answers():
                await asyncio.sleep(self._pace.settle)
                return await self.answers()
        return False

    async def answers(self) -> bool:
        try:
            await self._driver.ping()
        except SourceError:
            return False
        return True

    def _outcome(self, step: Step, state: str, text: str, attempt: int, *, took: float = 0.0, **more: Any) -> None:
        self._conduct.append(
            "recovery.step",
            {
                "step": step.id,
                "state": state,
                "title": step.title,
                "command": step.command,
                "text": redact(clean(text, TEXT)),
                "attempt": attempt,
                "took": round(took, 3),
                **more,
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

    async def put_back(self, views: Iterable[StepView]) -> bool:
        """Start what was running before. True when the engine says all of it runs."""
        good = True
        for view in views:
            if view.state in ("ok", "skipped"):
                continue
            with contextlib.suppress(SourceError, StepFailedError):
                if await operation(view.step).look(self._context, view.step) is Standing.DONE:
                    self._outcome(view.step, "skipped", "it runs", view.attempt)
                    continue
            state, _ = await self._perform(view.step, view.attempt + 1)
            good = good and state in ("ok", "skipped")
        return good
