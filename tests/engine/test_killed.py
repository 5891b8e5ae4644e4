"""kill -9 at every record of levels 3 and 4, both ways, on small stacks: the next process goes on, nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine import killing
from tests.engine.small import ROWS, SmallDatabase, SmallStack
from tests.engine.test_recovery import Sevdeck

LOST = "writes since the backup"


@pytest.fixture
def rebuilder(small: SmallStack, tmp_path: Path) -> Sevdeck:
    return Sevdeck(tmp_path, small.config, observation=0.1)


@pytest.fixture
def restorer(database: SmallDatabase, tmp_path: Path) -> Sevdeck:
    return Sevdeck(tmp_path, database.config, observation=0.1)


@pytest.mark.scenario("kill -9 at every record of level 3")
@pytest.mark.timeout(300, func_only=True)
@killing.WHEN
def test_a_rebuild(small: SmallStack, rebuilder: Sevdeck, when: str) -> None:
    names = killing.at_each_record(small, rebuilder, 3, when)
    steps = {name.split()[1] for name in names if name.startswith("recovery.step")}
    assert {"evidence", "keep", "down", "create", "up-data", "up-app", "up-edge"} <= steps
    assert len(names) > 14
    assert small.running, small.containers()


def beside(database: SmallDatabase) -> None:
    """What must hold after a level 4a that began with half of the rows deleted."""
    names = database.databases()
    kept = [name for name in names if "_pre_" in name]
    assert (database.rows(), names["shop"], len(kept)) == (ROWS, "t", 1), names
    assert not [name for name in names if "_restore_" in name], names
    assert database.sql("SELECT count(*) FROM messages", kept[0]) == str(ROWS // 2)
    assert database.running, database.containers()
    database.tidy()


def spoil(database: SmallDatabase) -> None:
    database.sql("DELETE FROM messages WHERE id % 2 = 0")


def anew(database: SmallDatabase) -> None:
    """What must hold after a level 4b."""
    names = database.databases()
    assert (database.rows(), names["shop"]) == (ROWS, "t"), names
    assert not [name for name in names if "_restore_" in name], names
    assert len(database.asides()) == 1, database.asides()
    assert database.running, database.containers()
    database.tidy()


@pytest.mark.scenario("kill -9 at every record of level 4a", loses=LOST)
@pytest.mark.timeout(300, func_only=True)
@killing.WHEN
def test_a_restore_beside_a_server_that_answers(database: SmallDatabase, restorer: Sevdeck, when: str) -> None:
    backup = restorer("backup", "create", "--json").data["id"]
    spoil(database)
    names = killing.at_each_record(database, restorer, 4, when, backup)
    steps = {name.split()[1] for name in names if name.startswith("recovery.step")}
    assert {"evidence", "check", "safety", "read-in", "compare", "swap"} <= steps
    beside(database)


WITHIN = pytest.mark.scenario("kill -9 at every record of level 4b", loses=LOST)
WHOLE = pytest.mark.scenario("kill -9 at every record of level 4b, PGDATA a volume by itself", loses=LOST)


@pytest.mark.parametrize(
    ("database", "when"),
    [
        pytest.param("within its volume", "before", marks=WITHIN),
        pytest.param("within its volume", "after", marks=WITHIN),
        pytest.param("a volume by itself", "before", marks=WHOLE),
    ],
    indirect=["database"],
)
@pytest.mark.timeout(300, func_only=True)
def test_a_restore_where_the_server_cannot_start(database: SmallDatabase, restorer: Sevdeck, when: str) -> None:
    backup = restorer("backup", "create", "--json").data["id"]
    database.corrupt()
    names = killing.at_each_record(database, restorer, 4, when, backup)
    steps = {name.split()[1] for name in names if name.startswith("recovery.step")}
    assert {"evidence", "check", "aside", "globals", "read-in", "compare", "swap"} <= steps
    assert len([step for step in steps if step.startswith(("stop-", "start-", "healthy-"))]) == 6, steps
    anew(database)


@killing.ONE_BY_ONE
@pytest.mark.scenario("kill -9 at one record of a level 3, for each record")
@pytest.mark.timeout(1800, func_only=True)
def test_rebuilds_one_by_one(small: SmallStack, rebuilder: Sevdeck) -> None:
    def whole() -> None:
        assert small.running, small.containers()

    assert killing.at_one_record_each(small, rebuilder, 3, lambda: None, whole) > 14


@killing.ONE_BY_ONE
@pytest.mark.scenario("kill -9 at one record of a level 4a, for each record", loses=LOST)
@pytest.mark.timeout(1800, func_only=True)
def test_restores_beside_one_by_one(database: SmallDatabase, restorer: Sevdeck) -> None:
    backup = restorer("backup", "create", "--json").data["id"]
    rounds = killing.at_one_record_each(
        database, restorer, 4, lambda: spoil(database), lambda: beside(database), backup
    )
    assert rounds > 14


@killing.ONE_BY_ONE
@pytest.mark.scenario("kill -9 at one record of a level 4b, for each record", loses=LOST)
@pytest.mark.timeout(3000, func_only=True)
def test_restores_into_a_new_cluster_one_by_one(database: SmallDatabase, restorer: Sevdeck) -> None:
    backup = restorer("backup", "create", "--json").data["id"]
    rounds = killing.at_one_record_each(database, restorer, 4, database.corrupt, lambda: anew(database), backup)
    assert rounds > 25
