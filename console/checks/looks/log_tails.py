"""The last half hour of each container's log, read once from the engine and understood, for the checks of logs."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from console.checks.looks.sampled import labels
from console.checks.made import Made, made
from console.checks.scene import Scene
from console.redact import redact
from console.text import clean
from console.watch.engine_api import EngineError
from console.watch.engine_tail import tail
from console.watch.logline import LineReader
from console.watch.logrecord import RANK
from console.watch.mining.patterns import PatternBook

WINDOW = 900.0  # seconds that count as now; as many before are compared
LINES = 3000  # of one container: some 10 ms of the engine and 45 ms of reading
_LIMIT = 2 << 20  # bytes of one container
_DEADLINE = 2.5
_MOST = 24  # containers, those of the watched project in their order
_LINE = 2000  # characters of a line that are looked at


@dataclass(frozen=True, slots=True)
class Said:
    """One line. `rank` of its level, -1 without one; `message` is neither cleaned nor masked."""

    at: float
    rank: int
    message: str
    size: int  # bytes
    continuation: bool = False


@dataclass(frozen=True, slots=True)
class Heard:
    """What one service logged, oldest first. It is complete from `since` on."""

    label: str
    said: tuple[Said, ...]
    since: float  # unix seconds
    now: float
    containers: tuple[Made, ...]

    @property
    def recent(self) -> tuple[Said, ...]:
        return tuple(one for one in self.said if one.at >= self.now - WINDOW)

    @property
    def before(self) -> tuple[Said, ...] | None:
        """The same time before; None when the engine told too few lines to reach back so far."""
        if self.since > self.now - 2 * WINDOW:
            return None
        return tuple(one for one in self.said if one.at < self.now - WINDOW)

    @property
    def started(self) -> float:
        """When its newest container began; 0.0 unknown."""
        return max((one.started or 0.0 for one in self.containers), default=0.0)


async def heard(scene: Scene) -> tuple[Heard, ...]:
    """By service. Raises SourceError when no log at all can be read."""

    async def ask() -> tuple[Heard, ...]:
        names = await labels(scene)
        some = [(one, bool((one.get("Config") or {}).get("Tty"))) for one in await scene.watched()]
        told = [(made(one), tty) for one, tty in some if str((one.get("State") or {}).get("Status")) != "created"]
        read = await asyncio.gather(*(asyncio.to_thread(_read, scene, one, tty) for one, tty in told[:_MOST]))
        well = [
            (one, answer) for (one, _), answer in zip(told, read, strict=False) if not isinstance(answer, EngineError)
        ]
        if told and not well:
            raise next(answer for answer in read if isinstance(answer, EngineError))
        grouped: dict[str, list[tuple[Made, tuple[tuple[Said, ...], float]]]] = {}
        for one, answer in well:
            grouped.setdefault(names.get(one.id, one.label), []).append((one, answer))
        return tuple(_together(label, its, scene.now) for label, its in grouped.items())

    return await scene.once("log tails", ask)


def _together(label: str, its: Sequence[tuple[Made, tuple[tuple[Said, ...], float]]], now: float) -> Heard:
    said = sorted((line for _, (lines, _) in its for line in lines), key=lambda line: line.at)
    now = max(now, said[-1].at if said else now)  # the scene is a moment older than what the engine told
    return Heard(label, tuple(said), max(since for _, (_, since) in its), now, tuple(one for one, _ in its))


def _read(scene: Scene, one: Made, tty: bool) -> tuple[tuple[Said, ...], float] | EngineError:
    """Lines, and since when they are complete."""
    began = scene.now - 2 * WINDOW
    try:
        told = tail(
            scene.engine,
            f"/containers/{one.id}/logs",
            _DEADLINE,
            _LIMIT,
            framed=not tty,
            stdout=1,
            stderr=1,
            timestamps=1,
            since=int(began),
            tail=LINES,
        )
    except EngineError as error:
        return error
    lines = told.data.split(b"\n")
    said = understood(lines, scene.now)
    cut = told.left_out > 0 or told.late or len(lines) > LINES - 1
    return said, (said[0].at if said and cut else began)


def understood(lines: Iterable[bytes], now: float) -> tuple[Said, ...]:
    """Lines with the engine's stamp before each. What has none, or lies ahead, is passed over."""
    reader = LineReader(now=lambda: now)
    found = []
    for raw in lines:
        stamp, _, rest = raw.partition(b" ")
        at = stamped(stamp)
        if at is None or at > now + 5:
            continue
        line = reader.read(rest[:_LINE].decode("utf-8", "replace").rstrip("\r"))
        rank = -1 if line.level is None else RANK[line.level]
        found.append(Said(at, rank, line.message, len(rest) + 1, line.continuation))
    return tuple(found)


def stamped(stamp: bytes) -> float | None:
    """Unix seconds of the engine's stamp.

    >>> stamped(b"2026-01-01T00:00:00.500000000Z"), stamped(b"hello")
    (1767225600.5, None)
    """
    if len(stamp) < 20 or stamp[10:11] != b"T":
        return None
    try:
        return datetime.fromisoformat(stamp[:26].rstrip(b"Z").decode("ascii") + "+00:00").timestamp()
    except ValueError:
        return None


def patterns(said: Iterable[Said], most: int = 3) -> list[tuple[str, int]]:
    """The most frequent patterns of these lines with how often each came; masked."""
    book, numbers = PatternBook(), Counter[int]()
    for one in said:
        if not one.continuation:
            numbers[book.add(one.message, None)] += 1
    merged = Counter[int]()
    for number, times in numbers.items():
        merged[book.final(number)] += times
    return [(redact(clean(book.text(number), 200)), times) for number, times in merged.most_common(most)]


def shown(one: Said) -> str:
    """A line for people."""
    return redact(clean(one.message, 300))
