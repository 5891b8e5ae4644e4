"""Carrying a containment out and back: intent -> act -> look -> outcome, each durable before what follows.

At any instant the ledger tells what may be in force, so that after a kill a look settles it and `undo` works. A call
that was never answered is unknown, and is looked at, never repeated blindly. Whoever calls holds the project's lock.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from console.actions.action import Step
from console.actions.containment import ledger
from console.actions.containment.entry import Entry, Part, Sight
from console.actions.containment.measures import OPERATIONS
from console.actions.containment.operation import Operation, Tools
from console.actions.containment.telling import Telling
from console.actions.engine import EngineRefusedError, InDoubtError
from console.actions.operation import StepFailedError, StepSkipped
from console.errors import SourceError
from console.redact import redact
from console.text import clean

_TEXT = 400  # characters of a part's detail
_SETTLE = 2.0  # seconds, and a stop's own patience, until "not in force" is believed of a call that may be at work


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look says of one part."""

    part: Part
    sight: Sight | None  # None: the host does not answer
    detail: str = ""


class _UnwrittenError(Exception):
    """The ledger does not take it; the text says why."""


class Applier:
    """One entry on its way into force or out of it. `boundary` is called around every write and act (for tests)."""

    def __init__(
        self,
        data_dir: Path,
        entry: Entry,
        tools: Tools,
        telling: Telling,
        who: str,
        *,
        boundary: Callable[[str], None] = lambda where: None,
        settle: float = _SETTLE,
    ) -> None:
        self._data_dir, self._tools, self._telling, self._who = data_dir, tools, telling, who
        self._boundary, self._settle = boundary, settle
        self._duty = False  # undoing goes on though the ledger cannot be written
        self.entry = entry
        self.notes: list[str] = []

    # -- into force

    async def apply(self) -> Entry:
        """Every part in order. One that fails takes the others back; one in doubt leaves the entry in doubt.

        What can no longer be recorded is taken back at once.
        """
        try:
            return await self._apply()
        except _UnwrittenError as why:
            self._duty = True
            back = await self._take_back()
            self._say("failed" if back else "unknown", f"not done: {why}")
            return self.entry

    async def _apply(self) -> Entry:
        self._tell("applying")
        for number, part in enumerate(self.entry.parts):
            if not await self._engage(number, part):
                break
        else:
            self._say("active", self._summary("in_force", "skipped"))
            return self.entry
        if self.entry.parts[number].state == "unknown":
            self._say("unknown", f"{part.step.title}: {self.entry.parts[number].detail}")
            return self.entry
        why = f"{part.step.title}: {self.entry.parts[number].detail}"
        if await self._take_back():
            self._say("failed", f"{why}; nothing of it is left")
        else:
            self._say("unknown", f"{why}; and what was done could not be taken back")
        return self.entry

    async def _engage(self, number: int, part: Part) -> bool:
        operation, began = _operation(part.step), time.monotonic()
        sight: Sight | None = None
        self._part(number, "engaging", "")
        try:
            async with asyncio.timeout(part.step.timeout):
                said = await operation.engage(self._tools, part.step)
                self._boundary(f"acted {part.step.id}")
                sight = await operation.look(self._tools, part.step)
        except StepSkipped as why:
            self._part(number, "skipped", str(why), write=False)
            return True
        except (StepFailedError, EngineRefusedError) as error:
            self._part(number, "failed", error.message, began)
            return False
        except (InDoubtError, SourceError, TimeoutError) as error:
            said = error.message if isinstance(error, InDoubtError | SourceError) else "no answer in time"
            sight = await self._sight(operation, part.step)
            if sight is not Sight.IN_FORCE:
                self._part(number, "unknown", f"{said}; whether it happened is unknown", began)
                return False
            said = f"no answer came ({said}), but a look shows that it was done"
        if sight in (Sight.IN_FORCE, Sight.UNTOLD):
            self._part(number, "in_force", said, began, write=False)
            return True
        self._part(number, "failed", f"{said}, but a look shows it is {sight.value if sight else 'unknown'}", began)
        return False

    # -- out of force

    async def undo(self) -> Entry:
        """Every part that may be in force, in reverse. What is gone by itself is said; the rest goes on all the same."""
        self._duty = True
        self._say("undoing", "asked for")
        if await self._take_back():
            self._say("undone", self._summary("released"))
        else:
            doubt = next((p for p in self.entry.parts if p.state == "unknown"), None)
            left = doubt or next(p for p in self.entry.parts if p.touched)
            state = "unknown" if doubt else "active"
            self._say(state, f"not undone: {left.step.title}: {left.detail}")
        return self.entry

    async def _take_back(self) -> bool:
        """True when nothing of it is left in force."""
        good, released = True, dict[int, Step]()
        for number, part in reversed(list(enumerate(self.entry.parts))):
            if part.touched:
                done, acted = await self._release(number, part)
                good = good and done
                if acted:
                    released[number] = part.step
        return await self._checked(released) and good

    async def _release(self, number: int, part: Part) -> tuple[bool, bool]:
        """(nothing of it is left, we did something)."""
        operation, began = _operation(part.step), time.monotonic()
        sight = await self._settled(operation, part)
        if sight in (Sight.ABSENT, Sight.GONE):
            words = {Sight.GONE: "what it was done to is gone, and the measure with it"}
            self._part(number, "released", words.get(sight, "it was not in force any more"), write=False)
            return True, False
        self._part(number, "releasing", part.detail)
        try:
            async with asyncio.timeout(part.step.timeout):
                said = await operation.release(self._tools, part.step)
                self._boundary(f"acted {part.step.id}")
                sight = await operation.look(self._tools, part.step)
        except (StepFailedError, StepSkipped, EngineRefusedError) as error:
            said = error.message if isinstance(error, StepFailedError | EngineRefusedError) else str(error)
            sight = await self._sight(operation, part.step)
            if sight not in (Sight.ABSENT, Sight.GONE):
                self._part(number, "failed", said, began)
                return False, True
        except (InDoubtError, SourceError, TimeoutError) as error:
            said = error.message if isinstance(error, InDoubtError | SourceError) else "no answer in time"
            sight = await self._sight(operation, part.step)
            if sight not in (Sight.ABSENT, Sight.GONE):
                self._part(number, "unknown", f"{said}; whether it was undone is unknown", began)
                return False, True
        if sight in (Sight.ABSENT, Sight.GONE, Sight.UNTOLD):
            self._part(number, "released", said, began, write=False)
            return True, True
        self._part(number, "failed", f"{said}, but a look shows it is {sight.value if sight else 'unknown'}", began)
        return False, True

    async def _checked(self, released: dict[int, Step]) -> bool:
        """The last question, once everything is back: does it also work?"""
        good = True
        for operation in {id(_operation(s)): _operation(s) for s in released.values()}.values():
            mine = {n: s for n, s in released.items() if _operation(s) is operation}
            if operation.check is None:
                continue
            try:
                self._note(await operation.check(self._tools, list(mine.values())))
            except (StepFailedError, SourceError, EngineRefusedError) as error:
                good = False
                for number in mine:
                    self._part(number, "failed", error.message)
        return good

    async def _settled(self, operation: Operation, part: Part) -> Sight | None:
        """Where a part stands; "not in force" of one in doubt counts only when its call can no longer be at work."""
        sight = await self._sight(operation, part.step)
        if part.state in ("engaging", "unknown"):
            # From now on, not from the intent: an engine that was frozen does what it was asked when it thaws.
            until = time.monotonic() + self._settle * (1 + float(part.step.call.get("t", 0)) / _SETTLE)
            while sight is Sight.ABSENT and time.monotonic() < until:
                await asyncio.sleep(0.1)
                sight = await self._sight(operation, part.step)
        return sight

    # -- looking

    async def look(self) -> tuple[Seen, ...]:
        """What is in force now, part by part."""
        found = []
        for part in self.entry.parts:
            if part.state in ("skipped", "released"):
                continue
            sight, detail = None, ""
            try:
                async with asyncio.timeout(part.step.timeout):
                    sight = await _operation(part.step).look(self._tools, part.step)
            except SourceError as error:
                detail = error.message
            except TimeoutError:
                detail = "no answer in time"
            found.append(Seen(part, sight, detail))
        return tuple(found)

    def settle(self, seen: tuple[Seen, ...]) -> bool:
        """Close the doubt of an application that a look shows whole; True when that is so now."""
        whole = all(s.sight in (Sight.IN_FORCE, Sight.UNTOLD) and s.part.state != "pending" for s in seen)
        if self.entry.state not in ("applying", "unknown") or not whole or not seen:
            return self.entry.state == "active"
        for number, part in enumerate(self.entry.parts):
            if part.state in ("engaging", "unknown"):
                self._part(number, "in_force", "found in force by a look")
        self._say("active", "a look shows that all of it is in force")
        return True

    def extend(self, until: float) -> Entry:
        self.entry = replace(self.entry, expires_at=until)
        self._say("active", "its time was set anew")
        return self.entry

    async def _sight(self, operation: Operation, step: Step) -> Sight | None:
        with contextlib.suppress(SourceError, TimeoutError):
            async with asyncio.timeout(min(10.0, step.timeout)):
                return await operation.look(self._tools, step)
        return None

    # -- writing

    def _part(self, number: int, state: str, detail: str, began: float | None = None, *, write: bool = True) -> None:
        """`write` False for a good outcome: the next intent or the end follows at once and carries it to disk. Until
        then the intent stands there, and a kill in between leaves a doubt that a look settles."""
        took = None if began is None else round(time.monotonic() - began, 3)
        part = replace(self.entry.parts[number], state=state, at=time.time(), took=took)
        self.entry = self.entry.with_part(number, replace(part, detail=redact(clean(detail, _TEXT))))
        if write:
            self._write(f"{state} {part.step.id}")
        else:
            self._boundary(f"{state} {part.step.id}")

    def _say(self, state: str, text: str) -> None:
        self.entry = self.entry.saying(state, time.time(), self._who, redact(clean(text, _TEXT)))
        self._write(state)
        self._tell(state)

    def _tell(self, state: str) -> None:
        """The incident's record hears of it; how far it has heard is written with what comes next."""
        if not self.entry.incident:
            return
        trouble = self._telling.tell(self.entry)
        if trouble:
            self._note(trouble)
        else:
            self.entry = replace(self.entry, told=len(self.entry.history))
        self._boundary(f"told {state}")
        if state not in ("applying", "undoing"):
            self._write("told")

    def _write(self, where: str) -> None:
        """Durable before what follows. Coming into force needs it; going out of force is a duty without it."""
        self._boundary(f"before {where}")
        try:
            ledger.save(self._data_dir, self.entry)
        except OSError as error:
            if not self._duty:
                raise _UnwrittenError(f"the ledger cannot be written: {error.strerror}") from error
            self._note(f"the ledger could not be written ({error.strerror}): undo it again when it can")
        self._boundary(f"after {where}")

    def _note(self, text: str) -> None:
        text = redact(clean(text, _TEXT))
        if text and text not in self.notes:
            self.notes.append(text)

    def _summary(self, *states: str) -> str:
        return "; ".join(f"{p.step.title}: {p.detail}" for p in self.entry.parts if p.state in states)[:_TEXT]


async def _not_known(tools: Tools, step: Step) -> str:
    raise StepFailedError(f"this version of sevdeck does not know how to do it: {clean(str(step.call.get('op')), 40)}")


async def _not_seen(tools: Tools, step: Step) -> Sight:
    raise SourceError(f"this version of sevdeck does not know how to look: {clean(str(step.call.get('op')), 40)}")


_FOREIGN = Operation(_not_known, _not_known, _not_seen)


def _operation(step: Step) -> Operation:
    """The operation of a part; one that says so where another version of sevdeck planned it."""
    return OPERATIONS.get(str(step.call.get("op")), _FOREIGN)
