"""What the logs of the last quarter of an hour say: more errors than before, words that always matter, silence, floods."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from console.checks import files
from console.checks.check import Finding, Status, Suggestion
from console.checks.containers import crossed
from console.checks.diagnosis import Check, Looked
from console.checks.logs import FLOOD, SIGNS
from console.checks.looks import new_lines
from console.checks.looks.log_tails import WINDOW, Heard, Said, heard, patterns, shown
from console.checks.made import Made, count
from console.checks.scene import Scene
from console.checks.wording import clock, shorten, span
from console.config import Limits
from console.errors import SourceError
from console.watch.logrecord import RANK

GROUP = "logs"
LEAST = 20  # errors within the window
TIMES = 3  # as many as before
GOES_ON = 60.0  # seconds: an error in this time says that a burst goes on
LATELY = 120.0  # seconds: a full disk that was told of in this time may be full still
SETTLING = 60.0  # seconds after the start of a container in which errors are part of starting
SPOKE = 10  # minutes of the quarter of an hour before in which a service spoke that is now silent
FULL = 0.99  # of a file system
_SHARE = 500  # newest lines in which the repeated one is looked for
_MIB = 1 << 20
_ERROR, _WARNING, _CRITICAL = RANK["error"], RANK["warning"], RANK["critical"]
# PostgreSQL's FATAL ends one session, not the server: these belong to every start and stop.
_HARMLESS = re.compile(
    r"the database system is (?:starting up|shutting down|not yet accepting|in recovery)"
    r"|terminating (?:connection|background worker|walreceiver|logical replication)|canceling|connection to client lost"
)
# Kind of `SIGNS` -> what to say and what to do about it; the gravest first.
_ADVICE: dict[str, tuple[str, str, str]] = {
    "corrupt": (
        "reports damaged data",
        "stop writing to {s}, take a copy of its data directory, then restore from a backup",
        "no restart mends data; delete nothing",
    ),
    "disk_full": (
        "reports a full disk",
        "free space where {s} writes, then look again",
        "restarts before there is room make it worse",
    ),
    "password": (
        "reports a refused password",
        "compare the password in the environment of who asks with the one the server knows",
        "a wrong password stays wrong after a restart",
    ),
    "critical": (
        "reports a fatal error",
        "read the log of {s} around {at}: docker logs --since {unix} {name}",
        "a program that says so has given something up; a restart comes after the reason is known",
    ),
}


async def look_errors(scene: Scene) -> Looked:
    some = await heard(scene)
    bound = scene.config.thresholds.get("errors_per_minute", Limits())
    found = await _judged(some, lambda one: burst(one, bound))
    return Looked(found, _cleared(some, "logs more errors than before"))


async def look_words(scene: Scene) -> Looked:
    some = await heard(scene)
    found = []
    for one in some:
        told = await asyncio.to_thread(grave, one)
        if told is not None and told[1] == "disk_full" and scene.engine.local:
            told = told[0], "full" if await _full(one.containers, scene) else "room"
        if told is not None:
            found.append(worded(one, *told))
    return Looked(
        tuple(found), _cleared(some, "reports a fatal error, damaged data, a full disk or a refused password")
    )


async def look_silence(scene: Scene) -> Looked:
    some = await heard(scene)
    return Looked(await _judged(some, silence), _cleared(some, "has fallen silent"))


async def look_volume(scene: Scene) -> Looked:
    some = await heard(scene)
    bound = scene.config.thresholds.get("log_rate", Limits())
    sizes = await asyncio.to_thread(_disks, [c for one in some for c in one.containers]) if scene.engine.local else {}
    found = await _judged(some, lambda one: flood(one, bound, sizes))
    top = max(some, key=lambda one: rate(one)[1], default=None)
    biggest = f"most is logged by {top.label}: {rate(top)[1] / _MIB:.2f} MiB a minute" if top and rate(top)[1] else ""
    return Looked(found, biggest)


async def _judged(some: Iterable[Heard], judge: Callable[[Heard], Finding | None]) -> tuple[Finding, ...]:
    told = [await asyncio.to_thread(judge, one) for one in some]
    return tuple(one for one in told if one is not None)


def _cleared(some: Iterable[Heard], what: str) -> str:
    number = len(list(some))
    return f"none of {count(number, 'service')} {what}" if number else ""


# --- errors -------------------------------------------------------------------------------------------------------


def burst(one: Heard, bound: Limits) -> Finding | None:
    """Many errors, and many more than before; of a log too fast to compare, more a minute than the threshold."""
    errors = [line for line in one.recent if _counts(line, one.started)]
    if not errors or errors[-1].at < one.now - GOES_ON:
        return None
    before = one.before
    if before is not None:
        earlier = sum(1 for line in before if line.rank >= _ERROR and not line.continuation)
        if len(errors) < LEAST or len(errors) < TIMES * earlier:
            return None
        text = f"{one.label} logs {len(errors)} errors in 15 min, {earlier} in the 15 min before"
    else:
        minutes = max((one.now - max(one.since, one.now - WINDOW)) / 60, 1 / 6)
        if len(errors) < LEAST or crossed(len(errors) / minutes, bound) is None:
            return None
        text = f"{one.label} logs {len(errors) / minutes:.0f} errors a minute"
    top = patterns(errors)
    evidence = [f"{times} times: {text}" for text, times in top] + [f"last: {shown(errors[-1])}"]
    fix = Suggestion(
        f"read what {one.label} says since {clock(errors[0].at, one.now)}: "
        f"docker logs --since {int(errors[0].at)} {_name(one)}",
        "the line that came first is nearer to the cause than the one that comes most often",
        "none",
        0.4,
        falsified_by="the same lines came while all was well",
    )
    told = f"{text}: {shorten(top[0][0], 80)}" if top else text
    return Finding("logs.burst", GROUP, Status.WARN, told, tuple(evidence), (fix,), one.label, errors[0].at)


def _counts(line: Said, started: float) -> bool:
    """An error that is no part of a start: callers look for their stores before those are there."""
    return line.rank >= _ERROR and not line.continuation and not started <= line.at < started + SETTLING


# --- words --------------------------------------------------------------------------------------------------------


def grave(one: Heard) -> tuple[list[Said], str] | None:
    """Lines that always matter, of the gravest kind that is there, and that kind."""
    kinds: dict[str, list[Said]] = {}
    for line in one.recent:
        kind = _kind(line)
        if kind:
            kinds.setdefault(kind, []).append(line)
    return next(((kinds[kind], kind) for kind in _ADVICE if kind in kinds), None)


def _kind(line: Said) -> str:
    if 0 <= line.rank < _WARNING or _HARMLESS.search(line.message):
        return ""
    told = next((kind for kind in ("corrupt", "disk_full", "password") if SIGNS[kind].search(line.message)), "")
    return told or ("critical" if line.rank >= _CRITICAL and not line.continuation else "")


def worded(one: Heard, lines: list[Said], kind: str) -> Finding:
    """`kind` "full" and "room": a full disk was reported, and there is none left now, or some again."""
    what, title, why = _ADVICE["disk_full" if kind in ("full", "room") else kind]
    last = lines[-1]
    again = f", {count(len(lines), 'time')} in 15 min" if len(lines) > 1 else ""
    now = ", and there is room again" if kind == "room" else ""
    text = f"{one.label} {what} at {clock(last.at, one.now)}{again}{now}: {shorten(shown(last), 80)}"
    words = {"s": one.label, "at": clock(last.at, one.now), "unix": int(last.at) - 30, "name": _name(one)}
    fix = Suggestion(
        title.format(**words),
        why,
        "none",
        0.8 if kind == "full" else 0.4,
        falsified_by="it said the same while all was well",
    )
    evidence = tuple(f"{clock(line.at, one.now)} {shown(line)}" for line in lines[-3:])
    status = Status.FAIL if kind == "full" and last.at >= one.now - LATELY else Status.WARN
    check = "logs.was_full" if kind == "room" else "logs.grave"
    return Finding(check, GROUP, status, text, evidence, (fix,), one.label, last.at)


async def _full(containers: Iterable[Made], scene: Scene) -> bool:
    """Whether a place that one of these writes to has no room now."""
    told = await scene.inspects()
    ids = {one.id for one in containers}
    places = [
        str(mount.get("Source", ""))
        for ident, one in told.items()
        if ident in ids
        for mount in one.get("Mounts") or ()
        if mount.get("RW")
    ]
    try:
        return await files.look(lambda: any(_used(place) >= FULL for place in places if place))
    except SourceError:
        return False


def _used(place: str) -> float:
    """Share of its file system that is used, 0-1, as a user sees it; 0.0 where it cannot be seen."""
    try:
        told = os.statvfs(place)
    except OSError:
        return 0.0
    used = told.f_blocks - told.f_bfree
    return used / (used + told.f_bavail) if used + told.f_bavail else 0.0


# --- silence and volume -------------------------------------------------------------------------------------------


def silence(one: Heard) -> Finding | None:
    """Nothing now, from a service that runs and spoke in most of the minutes before."""
    before = one.before
    if before is None or one.recent or not any(c.running for c in one.containers):
        return None
    minutes = len({int(line.at // 60) for line in before})
    if minutes < SPOKE:
        return None
    quiet = span(one.now - before[-1].at)
    text = f"{one.label} has logged nothing for {quiet}, and {len(before)} lines in the 15 min before"
    fix = Suggestion(
        f"see whether {one.label} still works: docker top {_name(one)}",
        "it may hang, have nothing to do, or log elsewhere since its last change",
        "none",
        0.3,
        falsified_by="nobody has asked it for anything since",
    )
    last = (f"its last line, at {clock(before[-1].at, one.now)}: {shown(before[-1])}",)
    return Finding("logs.silence", GROUP, Status.WARN, text, last, (fix,), one.label, before[-1].at)


def rate(one: Heard) -> tuple[float, float]:
    """(lines a second, bytes a minute) of the last minute, or of what there is of it where the engine told less."""
    began = max(one.now - 60.0, one.since)
    lately = [line for line in one.said if line.at >= began]
    seconds = max(1.0, one.now - began)
    return len(lately) / seconds, 60.0 * sum(line.size for line in lately) / seconds


def flood(one: Heard, bound: Limits, sizes: Mapping[str, tuple[int, int]]) -> Finding | None:
    """`sizes`: container id -> bytes of its log file, bytes free where it is."""
    lines, size = rate(one)
    if lines < FLOOD and crossed(size / _MIB, bound) is None:
        return None
    newest = [line for line in one.said[-_SHARE:] if not line.continuation]
    top = patterns(newest, 2)
    evidence = [f"{times} of the last {len(newest)} lines: {text}" for text, times in top]
    loose = False
    for mine in one.containers:
        if mine.id in sizes:
            held, free = sizes[mine.id]
            loose = loose or not mine.log_capped
            cap = (
                "" if mine.log_capped else f", nothing caps it: the disk is full in {span(60 * free / max(1.0, size))}"
            )
            evidence.append(f"its log file holds {held / _MIB:.0f} MiB{cap}")
    fix = Suggestion(
        f"lower the log level of {one.label}, or mend what it repeats"
        + ("; cap its log: logging: {options: {max-size: 10m, max-file: '3'}}" if loose else ""),
        "volume is a symptom, and it drives out the lines that are needed: see what repeats before anything is restarted",
        "none",
        0.5,
        falsified_by="the same lines came as fast while all was well",
    )
    repeated = f": {shorten(top[0][0], 60)}" if top else ""
    text = f"{one.label} writes {lines:.0f} log lines a second, {size / _MIB:.1f} MiB a minute{repeated}"
    return Finding("logs.flood", GROUP, Status.WARN, text, tuple(evidence), (fix,), one.label)


def _disks(some: Iterable[Made]) -> dict[str, tuple[int, int]]:
    found = {}
    for one in some:
        try:
            path = Path(one.log_file)
            found[one.id] = path.stat().st_size, shutil.disk_usage(path.parent).free
        except (OSError, ValueError):  # not on this host, or for root only
            continue
    return found


def _name(one: Heard) -> str:
    return one.containers[0].name if one.containers else one.label


CHECKS = (
    Check(f"{GROUP}.errors", "no log has more errors than before", look_errors),
    Check(f"{GROUP}.words", "no log reports what always matters", look_words),
    Check(f"{GROUP}.new", "no log has errors of a new kind", new_lines.look),
    Check(f"{GROUP}.quiet", "no log has fallen silent", look_silence),
    Check(f"{GROUP}.volume", "no log floods", look_volume),
)
