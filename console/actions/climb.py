"""One climb: look, route, plan, run, judge, and only where a level was tried and did not mend it, the next one.

It climbs when validation failed or the trouble came back within the observation. From "worse" and from "unknown" it
never climbs: it freezes, and a person is called. What may be run at all is the plan's to refuse; how far is the
ceiling's. Whoever starts a climb gives it the `Ways` to look, start and follow, so that tests need no engine.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from console.actions import attempts, gather, recovery, router, runner, runs
from console.actions.action import Plan
from console.actions.attempts import Attempts
from console.actions.budget import span
from console.actions.ceiling import NEVER
from console.actions.facts import Facts
from console.actions.gather import Seen
from console.actions.runview import RunView
from console.config import Config
from console.errors import RefusedError
from console.incident.disk import ensure_directory
from console.incident.events import Actor
from console.watch.lane import Lane

MOST = 6  # runs in one climb, whatever the router says: several causes may be mended one after the other
_ANEW = 2  # times a plan may be made again because the world changed before it began
_LETTING_GO = 25  # looks, 0.2 s apart, at a run that is over and still holds the project
_START_PATIENCE = 30.0  # seconds; it takes 0.05
CALM = 100.0  # seconds without trouble after which "well" is believed: ten good samples of a monitor
_DOUBT = 26 * 3600.0  # seconds in which a run that ended in doubt keeps automation away, unless it was well since


@dataclass(frozen=True, slots=True)
class Rung:
    """One level that was tried. `outcome`: ok, failed, rolled_back, unknown, cancelled, interrupted."""

    level: int
    service: str
    title: str
    why: str
    run_id: str
    outcome: str
    reason: str


@dataclass(frozen=True, slots=True)
class Climbed:
    """How a climb ended.

    `verdict`: well (nothing to do), mended, waiting (somebody or something is in the way for now), cancelled (a
    person stopped it), stopped (nothing that may be done would help), frozen (worse, or nobody can tell).
    """

    verdict: str
    reason: str
    help: str = ""
    rungs: tuple[Rung, ...] = ()
    view: RunView | None = field(default=None, repr=False)  # the last run

    @property
    def page(self) -> bool:
        """A person is needed."""
        return self.verdict in ("stopped", "frozen")

    @property
    def text(self) -> str:
        return f"{self.reason}. Would help: {self.help}" if self.help else self.reason


@dataclass(frozen=True, slots=True)
class Ways:
    """What a climb works with. `look` gives fresh facts, `ceiling` the highest level allowed at this moment.

    `go_on` gives a reason to begin nothing more, "" to go on. `confirm` asks a person and raises RefusedError.
    """

    look: Callable[[], Awaitable[Facts]]
    start: Callable[[Plan], Awaitable[str]]
    follow: Callable[[str], AsyncIterator[RunView]]
    ceiling: Callable[[], int]
    remember: Callable[[Callable[[Attempts], Attempts]], Attempts]
    go_on: Callable[[], str] = lambda: ""
    confirm: Callable[[Plan, router.Route], None] | None = None
    say: Callable[[str], None] = lambda text: None
    progress: Callable[[RunView], None] = lambda view: None
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    wall: Callable[[], float] = time.time


async def climb(config: Config, ways: Ways) -> Climbed:
    """Recover under the ceiling. Raises RefusedError when a person did not confirm, or when it cannot be recorded.

    Cancelling it ends the climb and never a run that is under way.
    """
    return await _Climb(config, ways).go()


class _Climb:
    def __init__(self, config: Config, ways: Ways) -> None:
        self._config, self._ways = config, ways
        self._rungs: list[Rung] = []
        self._view: RunView | None = None
        self._confirmed = ways.confirm is None
        self._anew = 0

    async def go(self) -> Climbed:
        while True:
            facts = await self._look()
            found = router.route(facts, self._config)
            ended = self._not_to_be_climbed(facts, found) or self._kept_away(facts)
            if ended is not None:
                return ended
            plan = recovery.plan(found.level or 0, found.service, facts, self._config, unattended=True)
            if plan.refused is not None:
                return self._end("stopped", plan.refused, plan.help)
            if await self._pause(plan, found):
                continue
            ended = await self._run(plan, found)
            if ended is not None:
                return ended

    async def _look(self) -> Facts:
        """Fresh facts. A run that is over holds the project for another moment; that is nobody in the way."""
        facts = await self._ways.look()
        for _ in range(_LETTING_GO):
            if facts.holder is None or facts.holder.run_id not in {rung.run_id for rung in self._rungs}:
                break
            await self._ways.sleep(0.2)
            facts = await self._ways.look()
        return facts

    def _not_to_be_climbed(self, facts: Facts, found: router.Route) -> Climbed | None:
        """Why nothing is run now; None when the level that the router names may be."""
        away = self._ways.go_on()
        if away:
            return self._end("waiting", away)
        if not facts.engine.up or facts.holder is not None or facts.hold:
            return self._end("waiting", found.why, found.help)
        if found.level is None:
            if is_well(found):
                return self._end("mended" if self._rungs else "well", found.why)
            return self._end("stopped", found.why, found.help)
        most = min(self._ways.ceiling(), NEVER - 1)
        if found.level > most:
            what = f"level {found.level} would be next ({found.why})"
            allowed = f"only level {most} and below" if most else "no level"
            return self._end("stopped", f"{what}, and {allowed} may be run unattended", _person(found))
        if len(self._rungs) >= MOST:
            return self._end("stopped", f"{MOST} runs did not mend it: {found.why}", "call the owner of the service")
        if any((r.level, r.service) == (found.level, found.service) for r in self._rungs):
            return self._end("stopped", f"{found.why}, and that level was run just now", _person(found))
        return None

    def _kept_away(self, facts: Facts) -> Climbed | None:
        """Doubt about what was done before. A person who confirms by hand may go on after a freeze, not after doubt."""
        if self._rungs:
            return None
        memory = self._ways.remember(lambda known: known)
        doubt = in_doubt(facts, memory)
        if doubt:
            return self._end("frozen", doubt, "look at the host, then: sevdeck recover resume")
        if memory.frozen and self._ways.confirm is None:
            return self._end("frozen", memory.frozen)
        return None

    async def _pause(self, plan: Plan, found: router.Route) -> bool:
        """Backoff and confirmation. True: time has passed, look again."""
        memory = self._ways.remember(lambda known: known)
        wait = memory.wait(self._ways.wall())
        if wait > 0:
            tries = f"{memory.count} attempt{'' if memory.count == 1 else 's'}"
            self._ways.say(f"waiting {wait:.0f} s before level {plan.level} ({plan.title}): {tries} so far")
            await self._ways.sleep(wait)
            return True
        if not self._confirmed and self._ways.confirm is not None:
            self._ways.confirm(plan, found)
            self._confirmed = not plan.expired(self._ways.wall())  # whoever thought for long is asked anew
            return not self._confirmed
        return False

    async def _run(self, plan: Plan, found: router.Route) -> Climbed | None:
        """Run one level to its end and judge it; None: look again, and climb if the router says so."""
        ways = self._ways
        ways.say(f"level {plan.level}, {plan.title}: {found.why}")
        try:
            # Before the start: whoever dies in between has counted one too many, never one too few.
            ways.remember(lambda known: known.begun(ways.wall()))
        except OSError as error:
            raise RefusedError(
                f"an attempt cannot be recorded: {error.strerror}", remedy="Nothing was changed. Free some space"
            ) from error
        run_id = await ways.start(plan)
        view: RunView | None = None
        async for view in ways.follow(run_id):
            ways.progress(view)
        self._view = view
        with contextlib.suppress(OSError):
            ways.remember(lambda known: _ended(known, ways.wall()))
        outcome = ending(view)
        reason = view.reason if view is not None else "nothing is known of it"
        if outcome == "cancelled" and view is not None and _never_begun(view) and self._anew < _ANEW:
            self._anew += 1
            ways.say(f"{reason}; looking again")
            return None
        self._rungs.append(Rung(plan.level, plan.service, plan.title, found.why, run_id, outcome, reason))
        return self._judge(view, outcome, reason)

    def _judge(self, view: RunView | None, outcome: str, reason: str) -> Climbed | None:
        if view is None or outcome in ("unknown", "interrupted"):
            remedy = "look at the host, then: sevdeck recover resume"
            return self._end("frozen", f"nobody can tell how it ended: {reason}", remedy)
        if view.frozen or (view.validation is not None and view.validation.verdict == "worse"):
            return self._end("frozen", f"worse than before: {reason}", "call the owner of the service")
        if outcome == "cancelled":
            return self._end("cancelled", reason)
        if outcome == "ok" or did_not_mend(view):
            return None
        return self._end("stopped", f"level {view.plan.level} could not be carried out: {reason}")

    def _end(self, verdict: str, reason: str, help: str = "") -> Climbed:
        """What is remembered of it: that it is frozen, or that it is well and was for a while."""
        now, alone = self._ways.wall(), self._ways.confirm is None
        ended = Climbed(verdict, reason, help, tuple(self._rungs), self._view)

        def change(known: Attempts) -> Attempts:
            if ended.page and alone and not known.frozen:
                return known.froze(reason, now)
            calm = verdict == "well" and now - max(known.last_at, known.bad_at, known.frozen_at) >= CALM
            return known.well(now) if calm or verdict == "mended" else known

        with contextlib.suppress(OSError):
            self._ways.remember(change)
        return ended


def is_well(found: router.Route) -> bool:
    """The router has nothing to say at all: no level, no service, no help."""
    return found.level is None and not found.service and not found.help


def in_doubt(facts: Facts, memory: Attempts) -> str:
    """Why the newest run keeps automation away: it ended worse, unknown, or never ended. "" when it does not."""
    if not facts.past or facts.holder is not None:
        return ""
    last = facts.past[-1]
    if last.at <= memory.well_at or facts.taken_at - last.at > _DOUBT:
        return ""
    if not last.outcome:
        return f"run {last.run_id} was cut off and nobody resumed it"
    if last.outcome == "unknown":
        return f"run {last.run_id} ended in doubt, and nobody has looked since"
    if last.frozen:
        return f"run {last.run_id} left it worse, and nobody has mended it since"
    return ""


def ending(view: RunView | None) -> str:
    """How a run ended, in one word; a cancelled one is no failure of the level."""
    if view is None:
        return "unknown"
    if view.cancelled:
        return "cancelled"
    return view.outcome or ("interrupted" if view.state == "interrupted" else "unknown")


def did_not_mend(view: RunView) -> bool:
    """The level was carried out and did not help: not validated, not stable, or a container that never got well."""
    if view.validation is not None and view.validation.ok is False:
        return True
    if view.observation is not None and view.observation.state == "unstable":
        return True
    failed = next((s for s in view.steps if s.state == "failed" and not s.step.optional), None)
    return failed is not None and failed.step.call.get("op") == "healthy"


def _never_begun(view: RunView) -> bool:
    return all(s.state == "pending" for s in view.steps)


def _ended(known: Attempts, now: float) -> Attempts:
    return replace(known, last_at=max(known.last_at, now))


def _person(found: router.Route) -> str:
    service = f" --service {found.service}" if found.service and found.level == 1 else ""
    return f"a person may: sevdeck recover plan {found.level}{service}" if found.level else found.help


# --- with the real host ----------------------------------------------------------------------------------------


def real_ways(
    config: Config,
    data_dir: Path,
    actor: Actor,
    *,
    incident: str,
    ceiling: Callable[[], int],
    project: Callable[[], str],
    lane: Lane,
    seen: Callable[[], Seen] = Seen,
) -> Ways:
    """The ways to this host: gather, the runner's own process, the run's record. `lane` is for starting."""

    async def look() -> Facts:
        return await gather.gather(config, data_dir, seen=seen())

    async def start(plan: Plan) -> str:
        def begin() -> str:
            return runner.start(plan, plan.confirm, config, data_dir, actor, incident=incident)

        return await lane.call(begin, deadline=_START_PATIENCE)

    def remember(change: Callable[[Attempts], Attempts]) -> Attempts:
        return attempts.update(data_dir, project(), change)

    return Ways(look, start, lambda run_id: runs.follow(data_dir, run_id), ceiling, remember)


@contextlib.contextmanager
def alone(data_dir: Path, who: str) -> Iterator[None]:
    """One climb at a time: between two runs of one the project's lock is free. Raises RefusedError, OSError."""
    path = attempts.directory(data_dir) / "climb.lock"
    ensure_directory(path.parent)
    fd = attempts.open_lock(path)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(fd, 200, 0).decode(errors="replace").strip() or "somebody"
            raise RefusedError(
                f"a climb of {holder} is under way", remedy="Follow it: sevdeck recover attach"
            ) from None
        os.ftruncate(fd, 0)
        os.pwrite(fd, who.encode(), 0)
        yield
    finally:
        os.close(fd)


def lowered(most: int | None, config: Config) -> str:
    """Says when the configuration allows less than was asked for; "" else."""
    configured = config.recovery.unattended_max_level
    if most is None or most <= min(configured, NEVER - 2):
        return ""
    return f"level {min(configured, NEVER - 2)} is the most that runs without arming; asked for {most}"


def backoff_words(memory: Attempts, now: float) -> str:
    """How long the next attempt waits, "" when it does not."""
    wait = memory.wait(now)
    return f"next attempt in {span(float(max(1, round(wait))))}" if wait > 0 else ""
