"""All collectors at once, each under its deadline; then everything is masked; whatever came of it, there is a bundle."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import platform
import socket
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import console
from console.checks.bundle.from_engine import of_engine, of_services
from console.checks.bundle.from_host import of_host
from console.checks.bundle.from_stores import of_stores
from console.checks.bundle.from_us import JOURNAL, of_us
from console.checks.bundle.items import FAILED, LATE, OK, Bundle, Collector, Got, Item
from console.checks.bundle.known import Known, known
from console.checks.bundle.masking import Masker
from console.checks.check import Finding
from console.checks.diagnosis import CheckResult
from console.checks.scene import Scene
from console.errors import SevdeckError
from console.incident.events import Event
from console.redact import redact
from console.text import clean
from console.watch.engine_api import EngineSilentError
from console.watch.inspected import moment
from console.watch.lane import Lane

EACH = 10.0  # seconds for one collector
IN_ALL = 60.0  # seconds for the whole bundle, masking included
_COLLECTING = 0.6  # the part of it after which nothing more is waited for
_AT_ONCE = 24

_log = logging.getLogger(__name__)

_Part = tuple[Item, Got | None]


async def collect(
    scene: Scene,
    *,
    findings: Sequence[Finding] = (),
    results: Sequence[CheckResult] = (),
    flight: Mapping[str, Any] | None = None,
    journal: Sequence[Event] | None = None,
    told: Callable[[Item], None] | None = None,
    queries: bool = False,
    collectors: Sequence[Collector] | None = None,
    each: float = EACH,
    in_all: float = IN_ALL,
) -> Bundle:
    """Everything that is known of this moment, masked. Ends within `in_all` seconds, and never raises for a part.

    `told` hears of each item as it is masked. `queries`: texts of queries, too (masked like all text).
    `collectors` stand for the usual ones.
    """
    began, made_at = time.monotonic(), time.time()
    usual = [*of_us(scene, findings, results, flight, journal), *of_host(), *of_stores(scene, queries=queries)]
    chosen = [*usual, *of_engine(scene)] if collectors is None else list(collectors)
    turn = asyncio.Semaphore(_AT_ONCE)
    secrets = asyncio.ensure_future(_known(scene, each))
    clock = asyncio.ensure_future(_skew(scene))
    waiting = {asyncio.ensure_future(_get(one, turn, each)): one.name for one in chosen}
    late: list[Item] = []
    try:
        if collectors is None:
            try:
                async with asyncio.timeout(each):
                    more = await of_services(scene)
                waiting |= {asyncio.ensure_future(_get(one, turn, each)): one.name for one in more}
            except Exception as error:  # whatever it is, the rest is worth having
                late.append(_failed("services", time.monotonic() - began, error, each))
        done, unfinished = await asyncio.wait(waiting, timeout=began + in_all * _COLLECTING - time.monotonic())
        values, skew = await secrets, await clock
    finally:
        for task in (*waiting, secrets, clock):
            task.cancel()
    reason = f"not within the {in_all * _COLLECTING:g} s that all of them have"
    late += [Item(waiting[task], LATE, time.monotonic() - began, reason) for task in unfinished]
    parts: list[_Part] = [*(task.result() for task in done), *((item, None) for item in late)]
    parts.sort(key=lambda part: (_size(part), part[0].name))
    items = await _masked(parts, values, began + in_all, told)
    return Bundle(
        host=clean(socket.gethostname(), 64),
        made_at=made_at,
        took=time.monotonic() - began,
        items=tuple(sorted(items, key=lambda item: item.name)),
        facts=_facts(scene, made_at, skew, values),
    )


async def _get(collector: Collector, turn: asyncio.Semaphore, each: float) -> _Part:
    async with turn:
        began = time.monotonic()
        try:
            async with asyncio.timeout(each):
                got = await collector.get()
        except Exception as error:  # one that breaks must not take the others with it
            return _failed(collector.name, time.monotonic() - began, error, each), None
    return Item(collector.name, OK, time.monotonic() - began, note=got.note), got


def _failed(name: str, took: float, error: Exception, each: float) -> Item:
    if isinstance(error, TimeoutError | EngineSilentError):
        return Item(name, LATE, took, str(error) or f"no answer in {each:g} s")
    if isinstance(error, SevdeckError):
        return Item(name, FAILED, took, clean(redact(error.message), 300))
    _log.error("collector %s broke", name, exc_info=error)
    return Item(name, FAILED, took, f"it broke ({type(error).__name__}); the log file has the details")


def _size(part: _Part) -> int:
    """Small ones are masked first: should the time run out, a large log is what is missing."""
    return len(part[1].value) if part[1] is not None and isinstance(part[1].value, str) else 0


async def _known(scene: Scene, each: float) -> Known:
    try:
        async with asyncio.timeout(each):
            return await known(scene)
    except TimeoutError:
        return Known(unread=(f"no answer in {each:g} s",))
    except Exception as error:  # names and rules still mask; the preview says what does not
        _log.exception("known values")
        return Known(unread=(f"it broke ({type(error).__name__}); the log file has the details",))


async def _skew(scene: Scene) -> float | None:
    """Seconds that the engine's clock is ahead of ours; None where it did not say."""
    began = time.time()
    try:
        told = await scene.get("/info")
    except Exception:  # the item that holds the answer says why
        return None
    at = moment(told.get("SystemTime")) if isinstance(told, Mapping) else None
    return None if at is None else round(at - (began + time.time()) / 2, 3)


async def _masked(
    parts: Sequence[_Part], values: Known, until: float, told: Callable[[Item], None] | None
) -> list[Item]:
    """In one thread, one after the other: it is work of the processor, and the terminal must go on."""
    items: list[Item] = []
    lane = Lane("bundle masking")
    try:
        masker = await lane.call(Masker, values.values)
        for item, got in parts:
            if got is not None:
                try:
                    item = await lane.call(_clear, masker, item, got, until)
                except TimeoutError:
                    item = replace(item, status=LATE, reason="no time was left to mask it, so it is not kept")
                except Exception as error:  # what cannot be masked is not kept
                    item = _failed(item.name, item.took, error, 0.0)
            elif item.reason:
                item = replace(item, reason=masker.text(item.reason, Counter()))
            items.append(item)
            if told is not None:
                told(item)
    finally:
        lane.close()
    return items


def _clear(masker: Masker, item: Item, got: Got, until: float) -> Item:
    """Raises TimeoutError where it is not done by `until`."""
    note, counts = masker.text(item.note, Counter()), Counter[str]()
    masker = masker.hurried(until)
    bodies = item.name != JOURNAL  # there people wrote for those who read it
    if isinstance(got.value, str) and not item.name.endswith((".json", ".jsonl")):
        text = masker.text(got.value, counts, bodies=bodies)
    else:
        data = masker.data(got.value, counts, bodies=bodies)
        if item.name.endswith(".jsonl"):
            text = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in data)
        else:
            text = json.dumps(data, ensure_ascii=False, indent=1) + "\n"
    masked = {kind: count for kind, count in counts.items() if count}
    return replace(item, note=note, content=text.encode("utf-8", "backslashreplace"), masked=masked)


def _facts(scene: Scene, made_at: float, skew: float | None, values: Known) -> dict[str, Any]:
    local = datetime.fromtimestamp(made_at, UTC).astimezone()
    return {
        "tool": {"name": "sevdeck", "version": console.__version__, "python": platform.python_version()},
        "clock": {
            "utc": local.astimezone(UTC).isoformat(timespec="milliseconds"),
            "local": local.isoformat(timespec="milliseconds"),
            "zone": local.tzname(),
            "engine_ahead_seconds": skew,
        },
        "host": {
            "name": clean(socket.gethostname(), 64),
            "kernel": platform.release(),
            "machine": platform.machine(),
            "root": os.geteuid() == 0,
            "engine_is_here": scene.engine.local,
        },
        "known_values": {"count": len(values.values), "not_looked_for_in": [redact(one) for one in values.unread]},
    }
