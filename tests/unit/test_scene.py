"""The look before and after a scenario fails when something does not hold, and the table says what came of each."""

from __future__ import annotations

import doctest
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from console.incident.events import Actor
from console.incident.journal import Journal
from tests import scenarios
from tests.engine.scene import Look, Nothing, Scene, of_host, records, wrong
from tests.lab.shell import wait_until

WELL = Look(volumes=frozenset({"shop_pgdata", "shop_redisdata"}), rows=200, entries=30)


def test_what_stays_as_it_was_or_grew_is_right() -> None:
    assert wrong(WELL, WELL) == []
    assert wrong(WELL, replace(WELL, rows=201, entries=60)) == []
    assert wrong(replace(WELL, rows=None), WELL) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"volumes": frozenset({"shop_pgdata"})}, "volumes are gone: shop_redisdata"),
        ({"volumes": WELL.volumes | {"shop_new"}}, "volumes were made: shop_new"),
        ({"rows": 199}, "rows: 200 before, 199 now"),
        ({"rows": None}, "rows: 200 before, none can be counted now"),
        ({"at_work": ("process 12: pg_dump",)}, "still at work: process 12: pg_dump"),
        ({"damage": ("run: line 3",)}, "record: run: line 3"),
        ({"troubles": ("app: exited",)}, "not well, and no maintenance page: app: exited"),
    ],
)
def test_each_thing_that_does_not_hold_is_said(changes: dict[str, Any], words: str) -> None:
    assert wrong(WELL, replace(WELL, **changes)) == [words]


def test_a_declared_loss_and_the_maintenance_page_are_allowed_and_nothing_else_with_them() -> None:
    fewer = replace(WELL, rows=100)
    assert wrong(WELL, fewer, loses="writes since the backup") == []
    assert wrong(WELL, replace(fewer, volumes=frozenset()), loses="writes since the backup")
    ill = replace(WELL, troubles=("app: exited",))
    assert wrong(WELL, replace(ill, page=True)) == []
    assert wrong(WELL, replace(ill, page=True, rows=1))


def test_a_program_that_was_left_is_found_by_its_environment_and_by_its_command_line(tmp_path: Path) -> None:
    home, place = tmp_path / "home", tmp_path / "place"
    asked = {**os.environ, "SEVDECK_DATA_DIR": f"{home}/data"}
    ours = subprocess.Popen(["sleep", "60"], env=asked)
    sleeper = [sys.executable, "-c", "import time; time.sleep(60)", f"{place}/data"]
    named = subprocess.Popen(sleeper, env={"PATH": os.environ["PATH"]})
    try:
        wait_until(lambda: len(list(of_host(home, place))) == 2, "both programs", deadline=10)
        assert {f"process {ours.pid}", f"process {named.pid}"} == {w.split(":")[0] for w in of_host(home, place)}
        assert list(of_host(tmp_path / "other", tmp_path / "others")) == []
    finally:
        for each in (ours, named):
            each.kill()
            each.wait(10)
    assert list(of_host(home, place)) == []


def test_a_record_below_the_directory_is_read_and_its_damage_said(tmp_path: Path) -> None:
    place = tmp_path / "data" / "runs" / "one"
    place.mkdir(parents=True)
    journal = Journal(place, Actor("ana"))
    for number in range(3):
        journal.append("note", {"text": f"{number}"})
    journal.close()
    entries, damage = records(tmp_path)
    assert (entries >= 3, damage) == (True, ())
    file = next(place.glob("*.jsonl"))
    file.write_bytes(file.read_bytes().replace(b'"text":"1"', b'"text":"7"'))
    assert records(tmp_path)[1] != ()
    scene = Scene(Nothing(), tmp_path / "home", tmp_path)
    assert wrong(Look(), scene.look())


def report(name: str, when: Any, outcome: Any, duration: float, *seen: str) -> pytest.TestReport:
    properties: list[tuple[str, object]] = [(scenarios.WORDS, name), *((scenarios.SEEN, s) for s in seen)]
    return pytest.TestReport(
        name, ("f", 1, name), {}, outcome, None, when, user_properties=properties, duration=duration
    )


def test_a_row_says_the_worst_of_its_phases_and_the_time_of_the_test_alone() -> None:
    reports = [
        report("a", "setup", "passed", 40.0), report("a", "call", "passed", 7.0), report("a", "teardown", "passed", 1.0, "well"),
        report("b", "setup", "passed", 0.1), report("b", "call", "passed", 3.0), report("b", "teardown", "failed", 1.0, "ill"),
        report("c", "setup", "passed", 0.1), report("c", "call", "failed", 2.0), report("c", "teardown", "failed", 1.0),
        report("d", "setup", "skipped", 0.1),
        report("e", "setup", "failed", 0.1),
        report("f", "setup", "passed", 0.1),
    ]  # fmt: skip
    found = {row.words: (row.outcome, row.seconds, row.seen) for row in scenarios.rows(reports)}
    assert found == {
        "a": ("ok", 7.0, ["well"]),
        "b": ("LEFT BEHIND", 3.0, ["ill"]),
        "c": ("FAILED", 2.0, []),
        "d": ("skipped", 0.0, []),
        "e": ("not begun", 0.0, []),
        "f": ("cut off", 0.0, []),
    }
    assert doctest.testmod(scenarios).failed == 0
