"""Breaks and mends everything for real and says what was seen."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.lab.engine import PrivateEngine
from tests.lab.shell import LabError, NotPermitted, wait_until

if TYPE_CHECKING:
    from tests.lab.control import Lab


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    name: str
    ok: bool
    shown_after: float
    well_after: float
    seen: str

    def __str__(self) -> str:
        mark = "ok  " if self.ok else "FAIL"
        return f"{mark} {self.name:<31}{self.shown_after:6.1f} s {self.well_after:6.1f} s  {self.seen}"


HEADER = f"     {'fault':<31}{'shown':>8} {'well':>8}  seen"


def selftest(lab: Lab, names: list[str]) -> Iterator[Row]:
    """Every fault in turn, then the private engine."""
    wanted = names or [*lab.faults, "engine-frozen", "engine-killed"]
    engine_tests = {"engine-frozen": engine_frozen, "engine-killed": engine_killed}
    for name in wanted:
        yield try_engine(name, engine_tests[name]) if name in engine_tests else try_fault(lab, name)


def try_fault(lab: Lab, name: str) -> Row:
    seen, shown_after, well_after = "", 0.0, 0.0
    if not lab.is_well():
        lab.reset()
    try:
        began = time.monotonic()
        seen = lab.break_(name)
        shown_after = time.monotonic() - began
        began = time.monotonic()
        lab.mend(name)
        well_after = time.monotonic() - began
        wait_until(lambda: not lab.faults[name].shows(lab.stack), "end of the symptom", deadline=10)
    except LabError as error:
        return Row(name, False, shown_after, well_after, f"{seen} {error}".strip())
    return Row(name, True, shown_after, well_after, seen)


def try_engine(name: str, act: Callable[[PrivateEngine], tuple[float, float, str]]) -> Row:
    engine = PrivateEngine("selftest-engine")
    try:
        engine.start()
        engine.docker(
            "run", "--detach", "--name", "still", "--stop-signal", "KILL", "sevdeck-lab/tiny:1", "sleep", "600"
        )
        return Row(name, True, *act(engine))
    except NotPermitted as error:
        return Row(name, True, 0, 0, f"not tried: {error}")
    except LabError as error:
        return Row(name, False, 0, 0, str(error))
    finally:
        engine.stop()


def engine_frozen(engine: PrivateEngine) -> tuple[float, float, str]:
    shown = _took(engine.freeze, lambda: not engine.answers())
    well = _took(engine.thaw, engine.answers)
    return shown, well, "no answer while frozen, answers after thawing"


def engine_killed(engine: PrivateEngine) -> tuple[float, float, str]:
    shown = _took(engine.kill, lambda: not engine.answers())
    well = _took(engine.start, engine.answers)
    state = engine.docker("inspect", "--format", "{{.State.Status}}", "still").stdout.strip()
    return shown, well, f"refused while dead; its container afterwards: {state}"


def _took(act: Callable[[], object], seen: Callable[[], bool]) -> float:
    began = time.monotonic()
    act()
    wait_until(seen, "change of the engine", deadline=30)
    return time.monotonic() - began
