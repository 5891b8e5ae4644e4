"""What it costs until an event of the record is on disk and known to others, beside a bare write and sync.

Whatever is compared meets the same disk: a bare write and one append to each journal in turn, a load of bare
writers before each load of the journal's.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from console.guide.desk import POLL
from console.incident.events import Actor
from console.incident.journal import Journal
from console.incident.table import EventTable
from console.incident.verify import verify
from tests.bench import opening_bench
from tests.bench.journal_made import make_incident
from tests.bench.table import Row
from tests.bench.timing import BareFile, at, p50_p99, timed

_STORED = (10, 1_000, 10_000, 100_000)
_WRITERS = 8


def rows(quick: bool) -> list[Row]:
    """Every bound of the local record."""
    with tempfile.TemporaryDirectory(prefix="bench-journal-", dir=Path.home()) as name:
        folder = Path(name)
        made = [make_incident(folder / f"INC-2026-{count:06d}", count).parent for count in _STORED]
        opened = opening_bench.rows(dict(zip(_STORED, made, strict=True)), quick)
        out = [*_append_rows(folder, made, 150 if quick else 1000), *opened]
        return [*out, *_load_rows(folder, 1.0 if quick else 3.0), *_seen(folder, 5.0 if quick else 15.0), *_full()]


# -- one writer


def _append_rows(folder: Path, made: list[Path], rounds: int) -> list[Row]:
    """Milliseconds of one append where so many events are stored already."""
    journals = [Journal(directory, Actor.current()) for directory in made]
    tables = [EventTable(Journal(directory, Actor.current())) for directory in (made[0], made[-1])]
    for table in tables:
        table.refresh()
        table.insert(_note(0))
    first = journals[0].append("note", _note(0)["data"])
    for journal in journals[1:]:
        journal.append("note", _note(0)["data"])
    size = max(len(line) for file in made[0].glob("*.jsonl") for line in file.read_bytes().splitlines(keepends=True))
    bare = BareFile(folder / "bare", size)
    writes: list[float] = []
    appends: list[list[float]] = [[] for _ in journals]
    inserts: list[list[float]] = [[] for _ in tables]
    turns: list[tuple[list[float], Journal | None, EventTable | None]]
    turns = [(taken, journal, None) for taken, journal in zip(appends, journals, strict=True)]
    turns += [(taken, None, table) for taken, table in zip(inserts, tables, strict=True)]
    for number in range(rounds):
        writes.append(timed(bare.append))
        random.shuffle(turns)  # what comes after a sync of another file fares differently
        for into, where, through in turns:
            into.append(timed(lambda j=where, t=through: _append(j, t, number)))  # type: ignore[misc]  # noqa: B023
    bare.close()
    assert first is not None
    out = []
    for count, taken in zip(_STORED, appends, strict=True):
        out.append(
            Row(
                f"append of an event to {count:,} stored, {rounds} times: p50 / p99",
                p50_p99(taken),
                f"pwrite + fdatasync {p50_p99(writes)}",
                f"{at(taken, 0.5) / at(writes, 0.5):.2f} x / {at(taken, 0.99) / at(writes, 0.99):.2f} x",
                "p50 0.5 ms, p99 3 ms",
            )
        )
    out.append(_flat("append", appends))
    out.append(_flat("insert into the table of events", inserts))
    return out


def _append(journal: Journal | None, table: EventTable | None, number: int) -> None:
    if journal is not None:
        journal.append("note", _note(number)["data"])
    elif table is not None:
        table.insert(_note(number))


def _note(number: int) -> dict[str, Any]:
    return {"kind": "note", "data": {"text": f"looked at worker {number}, which answers in {number % 97} ms"}}


def _flat(what: str, taken: list[list[float]]) -> Row:
    few, many = at(taken[0], 0.5), at(taken[-1], 0.5)
    return Row(
        f"... {what}, {_STORED[-1]:,} stored: p50", f"{many:.2f} ms", f"10 stored {few:.2f} ms", f"{many / few:.2f} x",
        "1.5 x",
    )  # fmt: skip


# -- many writers


class _Load(NamedTuple):
    taken: list[float]  # milliseconds of each write
    cpu: float  # seconds of all of them


def _load_rows(folder: Path, seconds: float) -> list[Row]:
    bare: list[_Load] = []
    ours: list[_Load] = []
    lost = 0
    for turn in range(2):
        bare.append(_load("bare", _made(folder / f"bare-{turn}"), seconds))
        directory = _made(folder / f"INC-2026-9{turn}")
        ours.append(_load("journal", directory, seconds))
        verdict = verify(directory)
        acknowledged = len(ours[-1].taken) + 2 * _WRITERS  # each wrote one more to begin with, and its first line
        lost += max(0, acknowledged - verdict.events) + len(verdict.damage)
    times = [[one for load in found for one in load.taken] for found in (ours, bare)]
    rates = [len(taken) / (2 * seconds) for taken in times]
    cpu = [
        1000 * sum(load.cpu for load in found) / len(taken) for found, taken in zip((ours, bare), times, strict=True)
    ]
    return [
        Row(
            f"{_WRITERS} processes write to one incident: events a second in all",
            f"{rates[0]:,.0f}/s, {lost} lost, {cpu[0]:.2f} ms of cpu each",
            f"{_WRITERS} bare writers {rates[1]:,.0f}/s, {cpu[1]:.2f} ms",
            f"{rates[0] / rates[1]:.2f} x",
            "5,000/s, 0 lost",
        ),
        Row(
            "... each append: p50 / p99",
            p50_p99(times[0]),
            f"{_WRITERS} bare writers {p50_p99(times[1])}",
            f"{at(times[0], 0.5) / at(times[1], 0.5):.2f} x / {at(times[0], 0.99) / at(times[1], 0.99):.2f} x",
            "p99 15 ms",
        ),
    ]


def _made(directory: Path) -> Path:
    directory.mkdir(mode=0o700)
    return directory


def _load(how: str, directory: Path, seconds: float, writers: int = _WRITERS) -> _Load:
    started = [_start(how, directory, seconds) for _ in range(writers)]
    for writer in started:
        assert writer.stdout is not None and writer.stdout.readline() == "ready\n"
    for writer in started:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    answers = [json.loads(writer.communicate(timeout=seconds + 60)[0]) for writer in started]
    return _Load([one for answer in answers for one in answer["taken"]], sum(answer["cpu"] for answer in answers))


def _start(how: str, directory: Path, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.bench.journal_load", how, str(directory), str(seconds)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


# -- another process


def _seen(folder: Path, seconds: float) -> list[Row]:
    """Milliseconds from before a write until another process has the verified event in its hands."""
    directory = _made(folder / "INC-2026-80")
    writer = _start("pace", directory, seconds)
    assert writer.stdin is not None and writer.stdout is not None and writer.stdout.readline() == "ready\n"
    journal = Journal(directory, Actor.current())
    journal.poll()
    writer.stdin.write("go\n")
    writer.stdin.flush()
    taken: list[float] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(POLL)
        taken += [1000 * (time.time() - event.data["sent"]) for event in journal.poll()]
    own = json.loads(writer.communicate(timeout=60)[0])["taken"]
    return [
        Row(
            f"written by one process, seen by another that looks each {POLL * 1000:.0f} ms: p50 / p99",
            p50_p99(taken),
            f"the write alone {p50_p99(own)}",
            f"{len(taken)} events",
            "p99 250 ms",
        )
    ]


# -- a full disk


def _full() -> list[Row]:
    what, must = "entries that a full disk still takes (tmpfs)", "2,500"
    script = 'mount -t tmpfs -o size=4m,nr_inodes=200 none "$1" && exec "$2" -m tests.bench.full_disk "$1"'
    unshare = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-Urm"]
    with tempfile.TemporaryDirectory() as mount:
        command = [*unshare, "sh", "-c", script, "sh", mount, sys.executable]
        try:
            ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            return [Row(what, "not measured", f"no mount of one's own here ({type(error).__name__})", "", must)]
    accepted, bare, whole = ran.stdout.split()
    return [
        Row(what, f"{int(accepted):,}", f"a file without a reserve {bare}", "" if whole == "True" else "DAMAGED", must)
    ]
