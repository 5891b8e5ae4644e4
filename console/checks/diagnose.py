"""A diagnosis: the live look and the checks at once, judged together. Once for a command, often for a console.

What each check said last is kept, so that a group can be run again beside results that stand.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from console.checks.check import GROUPS, Finding, Status, overall
from console.checks.daemons import DaemonThreads
from console.checks.diagnosis import Check, CheckResult, Diagnosis, run_all
from console.checks.history import History, keep_if_good, look_back
from console.checks.judge import judge
from console.checks.looks import every
from console.checks.scene import Scene
from console.config import Config
from console.watch.lane import QueueLane
from console.watch.readings import Readings


@dataclass(frozen=True, slots=True)
class Outcome:
    """`findings` are judged: causes first. `took` in seconds, `at` in unix seconds."""

    findings: tuple[Finding, ...]
    diagnosis: Diagnosis
    took: float
    at: float
    history: History = field(default_factory=History)


async def diagnose(
    config: Config,
    readings: Awaitable[Readings] | Readings,
    scene: Scene,
    groups: Iterable[str] = (),
    told: Callable[[CheckResult], None] | None = None,
    checks: Sequence[Check] | None = None,
) -> Outcome:
    """Run the checks of `groups` (none: of all) while the look goes on, and judge both together.

    Raises what the look raises. The scene is left open: whoever made it closes it.
    """
    began = time.monotonic()
    running = asyncio.ensure_future(run_all(scene, every() if checks is None else checks, groups=groups, told=told))
    looking_back = asyncio.ensure_future(look_back(scene))
    try:
        looked = readings if isinstance(readings, Readings) else await readings
        diagnosis, history = await running, await looking_back
    finally:
        running.cancel()
        looking_back.cancel()
        await asyncio.gather(running, looking_back, return_exceptions=True)
    now = time.time()
    well = [result.check for result in diagnosis.results if result.cleared and result.status is Status.OK]
    findings = judge(looked, config, now, diagnosis.findings, history.recent, well)
    return Outcome(tuple(findings), diagnosis, time.monotonic() - began, now, history)


@dataclass(frozen=True, slots=True)
class CheckState:
    """What one check said last and when (`at`), and since when it runs again; None: not yet, not now. Unix seconds."""

    check: Check
    result: CheckResult | None = None
    at: float | None = None
    since: float | None = None


@dataclass(frozen=True, slots=True)
class GroupState:
    """The checks of one group; a group may have none."""

    name: str
    checks: tuple[CheckState, ...] = ()

    @property
    def results(self) -> tuple[CheckResult, ...]:
        return tuple(state.result for state in self.checks if state.result is not None)

    @property
    def findings(self) -> tuple[Finding, ...]:
        return tuple(finding for result in self.results for finding in result.findings)

    @property
    def status(self) -> Status | None:
        """The worst that was said; None as long as nothing was said."""
        return overall(self.findings) if self.results else None

    @property
    def running(self) -> int:
        return sum(state.since is not None for state in self.checks)

    @property
    def took(self) -> float:
        """Seconds of the slowest check: they run at once."""
        return max((result.took for result in self.results), default=0.0)

    @property
    def at(self) -> float | None:
        """When the oldest result was had."""
        return min((state.at for state in self.checks if state.at is not None), default=None)


class _Stop:
    """Ends a run from another thread, also when it has not begun."""

    def __init__(self) -> None:
        self.asked = False
        self.cancel: Callable[[], object] = lambda: None

    def __call__(self) -> None:
        self.asked = True
        with suppress(RuntimeError):  # its loop is closed: it has ended
            self.cancel()


class Diagnosing:
    """The checks of a console: what each said last, and at most one run at a time.

    A run has a thread and a loop of its own: a check that never gives the loop back must not take the console with it.
    `heard` is called in the caller's loop whenever something has become known. `judged` adds what the live readings
    say: where all of it is good after a run of all checks, it is kept as the last good look.
    """

    def __init__(
        self,
        scene: Callable[[], Scene],
        checks: Callable[[], Sequence[Check]] = every,
        clock: Callable[[], float] = time.time,
        judged: Callable[[Sequence[Finding]], Sequence[Finding]] = lambda found: found,
    ) -> None:
        self.history = History()
        self._judged = judged
        self.heard: Callable[[], None] = lambda: None
        self._runs = 0  # under way, or waiting for one that was left
        self._scene = scene
        self._list = checks
        self._clock = clock
        self._lane = QueueLane("diagnosis")
        self._states: dict[str, CheckState] = {}

    @property
    def running(self) -> bool:
        return self._runs > 0

    @property
    def groups(self) -> tuple[GroupState, ...]:
        """All groups in their order. Before the first run nobody knows which checks there are."""
        states = self._states.values()
        return tuple(GroupState(name, tuple(s for s in states if s.check.group == name)) for name in GROUPS)

    @property
    def diagnosis(self) -> Diagnosis:
        """What all checks said last."""
        return Diagnosis(tuple(result for group in self.groups for result in group.results))

    def seen(self, key: str) -> float | None:
        """When the finding with this key was found by a check; None for those of the live readings."""
        for state in (state for group in self.groups for state in group.checks):
            if state.result is not None and any(finding.key == key for finding in state.result.findings):
                return state.at
        return None

    async def run(self, groups: Iterable[str] = ()) -> None:
        """Run the checks of `groups` (none: of all) to their end; not while `running`.

        Who stops waiting stops the run: what has ended stands, the rest is as it was before. Then the next run waits
        until this one has let go. Raises SourceError where no scene can be made.
        """
        loop, context, stop = asyncio.get_running_loop(), contextvars.copy_context(), _Stop()

        def tell(what: Callable[..., None], *args: Any) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody listens any more
                loop.call_soon_threadsafe(partial(what, *args), context=context)

        self._runs += 1
        try:
            await self._lane.call(lambda: asyncio.run(self._run(tuple(groups), tell, stop)))
        finally:
            stop()
            self._runs -= 1
            self._change({name: _idle(state) for name, state in self._states.items()})

    async def _run(self, groups: tuple[str, ...], tell: Callable[..., None], stop: _Stop) -> None:
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        assert task is not None
        stop.cancel = lambda: loop.call_soon_threadsafe(task.cancel)
        if stop.asked:
            return
        loop.set_default_executor(DaemonThreads())
        scene = self._scene()
        try:
            checks = self._list()
            tell(self._begun, checks, set(groups) or set(GROUPS), stop)
            asked = run_all(scene, checks, groups=groups, told=lambda result: tell(self._ended, result))
            diagnosis, history = await asyncio.gather(asked, look_back(scene))
            tell(self._looked_back, history)
            if not groups:
                await keep_if_good(scene, self._judged(diagnosis.findings))
        finally:
            await scene.close()

    def _begun(self, checks: Sequence[Check], groups: set[str], stop: _Stop) -> None:
        if stop.asked:
            return
        now, before = self._clock(), self._states
        states = {}
        for check in checks:
            last = before.get(check.name, CheckState(check))
            states[check.name] = CheckState(check, last.result, last.at, now if check.group in groups else None)
        self._change(states)

    def _ended(self, result: CheckResult) -> None:
        if (state := self._states.get(result.check)) is not None:
            self._change({**self._states, result.check: CheckState(state.check, result, self._clock())})

    def _looked_back(self, history: History) -> None:
        self.history = history
        self.heard()

    def _change(self, states: dict[str, CheckState]) -> None:
        self._states = states
        self.heard()


def _idle(state: CheckState) -> CheckState:
    return CheckState(state.check, state.result, state.at)
