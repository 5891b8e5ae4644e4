"""Errors of a kind that no console had met: what one diagnosis says by what consoles left on the disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from console.checks.check import Status
from console.checks.diagnosis import Looked, run_all
from console.checks.looks import new_lines, recent_logs
from console.checks.looks.log_tails import Heard, Said
from console.watch.logline import LineReader
from console.watch.mining.bursts import SPAN, Counts
from console.watch.mining.live import place
from console.watch.mining.patterns import PatternBook
from console.watch.mining.state import save, told
from tests.unit.made_container import document, scene
from tests.unit.test_looks_logs import NOW, heard, line

USUAL = "ERROR order {n} failed: card declined"
NEW = "ERROR relation {n} has no column basket"


def learnt(hours: float = 3.0, until: float = NOW, source: str = "app", more: Sequence[str] = ()) -> PatternBook:
    """What a console knows that listened for so long: an error a minute, and every fifth line a plain one."""
    book, reader = PatternBook(Counts()), LineReader(now=lambda: NOW)
    assert book.watched is not None
    for minute in range(round(hours * 60)):
        at = until - hours * 3600 + minute * 60
        book.watched.add(int(at // SPAN))
        for text in (USUAL.format(n=minute), *(one.format(n=minute) for one in more)):
            told = reader.read(text)
            book.add(told.message, told.level, source, at)
    return book


def test_an_error_of_a_new_kind_is_told_with_its_first_line_and_how_often() -> None:
    lines = [
        line(60, USUAL.format(n=7)),
        line(50, NEW.format(n=1)),
        line(40, NEW.format(n=2)),
        line(30, "INFO new, too"),
    ]
    found = new_lines.judge(heard(*lines), learnt())
    assert found is not None and (found.key, found.status) == ("logs.new:app", Status.WARN)
    assert found.summary == "app logs an error of a new kind: relation <*> has no column basket"
    assert found.evidence[0].startswith("2 times: relation") and found.evidence[-1].endswith(
        "relation 1 has no column basket"
    )
    assert found.since == NOW - 50


def test_what_was_known_before_is_not_new() -> None:
    assert new_lines.judge(heard(*(line(n, USUAL.format(n=n)) for n in range(1, 50))), learnt()) is None


def test_what_an_open_console_met_a_moment_ago_is_still_new() -> None:
    book = learnt()
    met = LineReader(now=lambda: NOW).read(NEW.format(n=1))
    book.add(met.message, met.level, "app", NOW - 300)
    assert new_lines.judge(heard(line(60, NEW.format(n=2))), book) is not None
    book = learnt()
    book.add(met.message, met.level, "app", NOW - 1200)
    assert new_lines.judge(heard(line(60, NEW.format(n=2))), book) is None


@pytest.mark.parametrize(
    "book",
    [learnt(0.5), learnt(3.0, until=NOW - 2 * 86400), learnt(source="worker")],
    ids=["listened to for half an hour", "two days ago", "another service"],
)
def test_who_does_not_know_the_usual_says_nothing(book: PatternBook) -> None:
    assert new_lines._sources(heard(line(60, NEW.format(n=1))), book) == []


def test_several_containers_of_a_service_are_known_by_their_own_names() -> None:
    assert new_lines._sources(heard(), learnt(source="app-1")) == ["app-1"]
    assert new_lines._sources(heard(), learnt(source="shop-app-1")) == ["shop-app-1"]


def test_the_rest_of_a_traceback_is_no_error_of_its_own() -> None:
    one = heard()
    rest = Said(NOW - 5, 4, "  File x, line 3", 10, continuation=True)
    assert new_lines.judge(replace(one, said=(rest,)), learnt()) is None


@pytest.mark.parametrize("damage", [None, b"", b"{", b'{"version": 99}', b"\xff" * 100])
async def test_it_is_read_from_the_disk_and_damage_says_nothing(tmp_path: Path, damage: bytes | None) -> None:
    file = place(tmp_path)
    save(told(learnt()), file)
    if damage is not None:
        file.write_bytes(damage)
    one = heard(line(60, NEW.format(n=1)))

    async def said() -> tuple[Heard, ...]:
        return (one,)

    async with scene(document("app"), data_dir=tmp_path) as (here, _):
        await here.once("log tails", said)
        (result,) = (await run_all(here, [one for one in recent_logs.CHECKS if one.name == "logs.new"])).results
    assert [f.check for f in result.findings] == (["logs.new"] if damage is None else [])
    assert file.exists()  # whoever only reads leaves it where it is


async def test_without_records_it_says_nothing(tmp_path: Path) -> None:
    async with scene(document("app")) as (here, _):
        assert await new_lines.look(here) == Looked()
    async with scene(document("app"), data_dir=tmp_path) as (here, _):
        assert await new_lines.look(here) == Looked()
