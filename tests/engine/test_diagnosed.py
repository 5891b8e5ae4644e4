"""`sevdeck diagnose`, asked once by a process of its own, names what was broken; on a stack that is well it finds nothing.

A part of `python -m tests.lab.diagnosed`, whose whole table is in docs/diagnosis.md; `make faults` runs all of it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.control import Lab
from tests.lab.diagnosed import PAIRS, WELL, Diagnostician, every

# What only asking tells: nothing of it stands in a reading.
HERE = {
    "healthy",
    "postgres-blocked",
    "postgres-connections-exhausted",
    "network-no-alias",
    "network-disconnected",
    "redis-full+app-hung",
}
ALL = every(Lab())


@pytest.fixture
def asking(healthy_lab: Lab, tmp_path: Path) -> Diagnostician:
    return Diagnostician(healthy_lab, tmp_path)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in HERE else pytest.mark.nightly) for n in ALL]
)  # fmt: skip
def test_the_first_diagnosis_is_right(asking: Diagnostician, name: str) -> None:
    row = asking.well(name) if name in WELL else asking.fault(*name.split("+"))
    print(row)
    assert row.right, str(row)


def test_the_table_holds_every_fault_and_pairs_of_them() -> None:
    assert len(ALL) >= 3 + 20 + 6
    assert {name for pair in PAIRS for name in pair} <= set(Lab.faults)
    assert set(ALL) >= HERE
