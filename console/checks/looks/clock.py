"""Is this host's clock right: beside the engine's, and by what keeps it; and does the engine itself answer fast."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from console.checks.check import Finding, Status, Suggestion
from console.checks.diagnosis import Check, Looked
from console.checks.looks.sampled import sample
from console.checks.scene import ENGINE_DEADLINE, Scene
from console.programs.running import run_program
from console.watch.inspected import moment

GROUP = "quick"
OFF = 2.0  # seconds
SLOW = 1.0  # seconds for a ping
_ASK = 1.0  # seconds for chronyc
_SYNCHRONIZED = Path("/run/systemd/timesync/synchronized")


async def look_clock(scene: Scene) -> Looked:
    (told, asked, answered), kept = await asyncio.gather(_engine_time(scene), _kept(scene))
    found = [one for one in (beside(told, asked, answered), *kept[0]) if one is not None]
    said = [f"the engine's clock agrees within {OFF:.0f} s"] if told is not None else []
    return Looked(tuple(found), "; ".join([*said, kept[1]] if kept[1] else said))


async def _engine_time(scene: Scene) -> tuple[float | None, float, float]:
    """What the engine's clock said, and when it was asked and had answered by ours."""
    asked = time.time()
    told: Any = await asyncio.to_thread(scene.engine.get, "/info", ENGINE_DEADLINE)
    return moment(told.get("SystemTime")) if isinstance(told, dict) else None, asked, time.time()


def beside(told: float | None, asked: float, answered: float) -> Finding | None:
    """The engine read its clock at some moment in between: only what lies outside of that is a difference."""
    if told is None or asked - OFF <= told <= answered + OFF:
        return None
    off = told - answered if told > answered else asked - told
    text = f"the clocks of this host and of the engine's differ by {off:.0f} s"
    way = "ahead" if told > answered else "behind"
    fix = Suggestion(
        "set both clocks by one time server (chronyc makestep)",
        f"the engine's is {way}: certificates, tokens and the order of events are wrong by as much",
        "none",
        0.7,
        cost="a clock that jumps back may confuse what waits for a time",
        falsified_by="date -u says the same on both",
    )
    evidence = (f"the engine says {datetime.fromtimestamp(told).astimezone():%Y-%m-%d %H:%M:%S %z}",)
    return Finding(f"{GROUP}.clock", GROUP, Status.WARN, text, evidence, (fix,), "engine")


async def _kept(scene: Scene) -> tuple[list[Finding], str]:
    """What keeps the clock of this host says of it. Where nothing does that we know, nothing is said."""
    seen = await sample(scene)
    running = {one.name for pid, one in seen.looks[0].processes.items() if pid not in seen.where}
    if "chronyd" in running:
        ran = await run_program(("chronyc", "-n", "tracking"), deadline=_ASK)
        return chrony(ran.out.decode("utf-8", "replace")) if ran.ok else ([], "")
    if "systemd-timesyn" in running:  # names are cut to 15 bytes
        if await asyncio.to_thread(_SYNCHRONIZED.exists):
            return [], "systemd-timesyncd has set the clock"
        return [
            _unset("systemd-timesyncd has not reached a time server since it started", "timedatectl timesync-status")
        ], ""
    return [], ""


def chrony(told: str) -> tuple[list[Finding], str]:
    """Findings and clearing words from the answer of `chronyc tracking`."""
    rows = {name.strip(): value.strip() for name, _, value in (line.partition(" : ") for line in told.splitlines())}
    words = rows.get("System time", "").split()
    if rows.get("Leap status") == "Not synchronised":
        return [_unset("chrony has no time server to go by", "chronyc sources")], ""
    try:
        off = float(words[0])
    except (IndexError, ValueError):
        return [], ""
    if off <= OFF:
        return [], f"chrony keeps the clock within {max(off, 0.001):.3f} s"
    return [
        _unset(f"the clock of this host is {off:.0f} s {words[2] if len(words) > 2 else 'off'}", "chronyc makestep")
    ], ""


def _unset(text: str, command: str) -> Finding:
    fix = Suggestion(
        f"look at it: {command}",
        "a clock that nobody sets drifts by seconds a day; certificates and tokens depend on it",
        "none",
        0.4,
        falsified_by="the machine below sets this clock (a virtual machine's host)",
    )
    return Finding(f"{GROUP}.clock", GROUP, Status.WARN, text, (), (fix,), "host")


async def look_engine(scene: Scene) -> Looked:
    """The better of two: the first may have met our own start."""
    took = min([await asyncio.to_thread(_ping, scene) for _ in range(2)])
    found = slow_engine(took)
    return Looked((found,) if found else (), f"the engine answers in {1000 * took:.0f} ms")


def _ping(scene: Scene) -> float:
    began = time.monotonic()
    scene.engine.ping(ENGINE_DEADLINE)
    return time.monotonic() - began


def slow_engine(took: float) -> Finding | None:
    if took <= SLOW:
        return None
    fix = Suggestion(
        "see what the engine waits for: journalctl -u docker, and the disk under its data directory",
        "starts, stops and health checks are as slow as that; a restart of the engine may stop every container",
        "none",
        0.4,
        falsified_by="docker version answers at once in another terminal",
    )
    text = f"the engine takes {took:.1f} s to answer at all"
    return Finding(
        f"{GROUP}.engine",
        GROUP,
        Status.WARN,
        text,
        (f"the better of two pings, {SLOW:.0f} s is slow",),
        (fix,),
        "engine",
    )


CHECKS = (
    Check(f"{GROUP}.clock", "the clock is right", look_clock),
    Check(f"{GROUP}.engine", "the engine answers fast", look_engine),
)
