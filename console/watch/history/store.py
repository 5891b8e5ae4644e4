"""The history of one data directory: which column of the ring is which series, who writes, and all of it read back.

history/ring        the figures, 8.3 MB from the first minute on
history/series.json what each column is; written whole, and before the first value of a new series
history/lock        held by the one process that writes; the system lets go of it however that process ends
history/*.damaged   what could not be used, once
"""

from __future__ import annotations

import fcntl
import json
import os
from array import array
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from math import inf, isnan, nan
from pathlib import Path
from typing import Any

from console.watch.history import files
from console.watch.history.ring import COLUMNS, SLOTS, STEPS, Ring, Slot
from console.watch.history.series import Grid, Key, Known, Sample, Series

SILENT = 60  # minutes after which a series may give its column to another
_TOLD = 0.01  # share by which a limit must change to be written anew: pools of some file systems never stand still
_LIMIT = 1 << 20  # bytes of series.json


@dataclass(frozen=True, slots=True)
class Column:
    """What a column holds. Slots of an older `generation` hold what was in it before."""

    key: Key
    unit: str
    limit: float | None
    generation: int


def place(data_dir: Path) -> Path:
    return data_dir / "history"


class Writer:
    """The one process that writes. Use `begin`. `note` says what was put aside, "" when all was well."""

    def __init__(self, directory: Path, lock: int) -> None:
        self._directory, self._lock = directory, lock
        self.note = ""
        try:
            self._ring, columns, generation = self._opened()
        except BaseException:
            os.close(lock)
            raise
        self._adopt(columns, generation)
        self._heard: dict[int, int] = {}  # column -> the newest minute in which it had a value, since we write
        self._began = self._newest = -SILENT - 1  # minutes: since when we write without a break, and the last one

    @classmethod
    def begin(cls, directory: Path) -> Writer | None:
        """None while another process writes. Raises OSError where nothing can be written."""
        files.ensure(directory)
        mode = files.mode(directory)
        lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        with suppress(PermissionError):  # somebody else's, who made it so already
            os.fchmod(lock, mode)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return None
        except BaseException:
            os.close(lock)
            raise
        return cls(directory, lock)

    def close(self) -> None:
        self._ring.close()
        os.close(self._lock)

    def write(self, minute: int, samples: Iterable[Sample]) -> None:
        """Keep the values of one minute since 1970; the ten minutes around it follow. Raises OSError."""
        if not 0 <= minute - self._newest <= SILENT:  # we begin, or the clock stepped: nobody was silent
            self._began, self._heard = minute, {}
        self._newest = minute
        samples = list(samples)
        values, changed = self._placed(samples, minute)
        if changed:
            try:
                write_columns(self._directory, self._columns, self._generation)
            except OSError:  # a full disk: what has its place already goes on
                self._adopt(*read_columns(self._directory))
                values, _ = self._placed([one for one in samples if one.key in self._places], minute)
        width = len(self._columns)
        if width:
            self._ring.write(0, Slot(minute, self._generation, values[:width]))
            self._ring.write(1, self._ten(minute // 10, width))

    def _adopt(self, columns: list[Column], generation: int) -> None:
        self._columns, self._generation = columns, generation
        self._places = {column.key: at for at, column in enumerate(columns)}

    def _placed(self, samples: Iterable[Sample], minute: int) -> tuple[array[float], bool]:
        """(a value for each column, whether the columns have changed)."""
        values, changed = array("f", [nan]) * COLUMNS, False
        for sample in samples:
            at, new = self._column(sample, minute)
            changed |= new
            if at is not None:
                values[at] = sample.value
                self._heard[at] = minute
        return values, changed

    def _ten(self, number: int, width: int) -> Slot:
        """The mean of the minutes that are there: it needs no memory, so that nothing is counted twice or lost."""
        slots = self._ring.read(0, number * 10, number * 10 + 9)
        values = array("f", [nan]) * width
        for at, column in enumerate(self._columns):
            some = [s.values[at] for s in slots if at < len(s.values) and s.generation >= column.generation]
            some = [value for value in some if not isnan(value)]
            values[at] = sum(some) / len(some) if some else nan
        return Slot(number, self._generation, values)

    def _column(self, sample: Sample, minute: int) -> tuple[int | None, bool]:
        """Where the sample goes, and whether the columns have changed. None: all columns are in use."""
        at = self._places.get(sample.key)
        if at is not None:
            column = self._columns[at]
            if column.unit == sample.unit and _same(column.limit, sample.limit):
                return at, False
            self._columns[at] = replace(column, unit=sample.unit, limit=sample.limit)
            return at, True
        if len(self._columns) < COLUMNS:
            at = len(self._columns)
            self._columns.append(Column(sample.key, sample.unit, sample.limit, self._generation))
        else:
            at = self._silent(minute)
            if at is None:
                return None, False
            self._generation += 1
            del self._places[self._columns[at].key]
            self._columns[at] = Column(sample.key, sample.unit, sample.limit, self._generation)
        self._places[sample.key] = at
        self._heard[at] = minute
        return at, True

    def _silent(self, minute: int) -> int | None:
        """The column that was silent longest, for an hour at the least."""
        at = min(range(COLUMNS), key=lambda c: self._heard.get(c, self._began))
        return at if minute - self._heard.get(at, self._began) >= SILENT else None

    def _opened(self) -> tuple[Ring, list[Column], int]:
        ring, listed = self._directory / "ring", self._directory / "series.json"
        try:
            columns, generation = read_columns(self._directory)
            return Ring.open(ring, write=True), columns, generation
        except FileNotFoundError:
            why = ""
        except ValueError:
            why = "it was damaged"
        kept = [path for path in (ring, listed) if path.exists()]
        if kept:  # one without the other says nothing
            self.note = f"the history in {self._directory} {why or 'lacked a file'}: put aside, it begins anew"
        for path in kept:
            path.replace(path.with_name(path.name + ".damaged"))
        made = Ring.create(ring)
        write_columns(self._directory, [], 0)
        return made, [], 0


def _same(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) <= _TOLD * abs(one)


def write_columns(directory: Path, columns: Iterable[Column], generation: int) -> None:
    rows = [[*column.key, column.unit, column.limit, column.generation] for column in columns]
    content = json.dumps({"version": 1, "generation": generation, "columns": rows}, separators=(",", ":"))
    files.write_whole(directory / "series.json", content.encode())


def read_columns(directory: Path) -> tuple[list[Column], int]:
    """(columns, generation). Raises OSError, or ValueError for what is damaged."""
    with (directory / "series.json").open("rb") as file:
        content = file.read(_LIMIT)
    try:
        data: Mapping[str, Any] = json.loads(content)
        if data["version"] != 1 or len(data["columns"]) > COLUMNS:
            raise ValueError("another version")
        found = [
            Column(
                (str(group), str(subject), str(name)),
                str(unit),
                None if limit is None else float(limit),
                int(generation),
            )
            for group, subject, name, unit, limit, generation in data["columns"]
        ]
        return found, int(data["generation"])
    except (KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise ValueError("it is damaged") from error


def load(directory: Path, now: float, seconds: float = inf) -> Known:
    """All that is known of the last `seconds` before `now`; nothing where there is no history that can be read."""
    try:
        columns, generation = read_columns(directory)
        ring = Ring.open(directory / "ring")
        try:
            # A slot of a newer generation was written since: one of its columns may hold what we do not know.
            minutes, tens = (_grids(ring, which, columns, generation, now, seconds) for which in (0, 1))
        finally:
            ring.close()
    except (OSError, ValueError):
        return Known()
    start, found = minutes
    series = {
        column.key: Series(
            column.key,
            column.unit,
            column.limit,
            Grid(start * STEPS[0], STEPS[0], found[at]),
            Grid(tens[0] * STEPS[1], STEPS[1], tens[1][at]),
        )
        for at, column in enumerate(columns)
    }
    newest = (start + len(found[0]) - 1) * STEPS[0] if found and len(found[0]) else None
    return Known(series, newest)


def _grids(
    ring: Ring, which: int, columns: list[Column], generation: int, now: float, seconds: float
) -> tuple[int, list[array[float]]]:
    """(number of the first step, the values of each column from there to the newest step that is known)."""
    last = int(now // STEPS[which])
    slots = ring.read(which, last - int(min(seconds / STEPS[which], SLOTS[which] - 1)), last)
    slots = [slot for slot in slots if slot.generation <= generation]
    width = len(columns)
    if not slots or not width:
        return 0, [array("f") for _ in columns]
    first = slots[0].number
    length = slots[-1].number - first + 1
    cells = array("f", [nan]) * (width * length)
    for slot in slots:
        at = (slot.number - first) * width
        values = slot.values[:width]
        cells[at : at + len(values)] = values
    found = [cells[at::width] for at in range(width)]
    for at, column in enumerate(columns):
        if column.generation:
            for slot in slots:
                if slot.generation < column.generation:
                    found[at][slot.number - first] = nan
    return first, found
