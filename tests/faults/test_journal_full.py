"""A disk that is really full: a small tmpfs of the test's own, filled to the last byte. `make faults` takes others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.full_disk import LEAST, Outcome
from tests.faults.needs import need, without

ROOT = Path(__file__).parents[2]


def tried(weakness: str = "") -> Outcome:
    command = [sys.executable, "-m", "tests.faults.full_disk", "--json", "--weakness", weakness]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True,
                          text=True, timeout=90, check=False)  # fmt: skip
    assert done.stdout, done.stderr
    return Outcome(**json.loads(done.stdout))


@pytest.fixture(autouse=True)
def possible(tmp_path: Path) -> None:
    need("unshare")
    unshare = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-Urm"]
    if subprocess.run([*unshare, "mount", "-t", "tmpfs", "none", str(tmp_path)], capture_output=True).returncode:
        without("this user may not mount a tmpfs in a namespace of its own")


def test_a_full_disk_is_said_plainly_and_the_record_goes_on_when_there_is_room() -> None:
    outcome = tried()
    assert outcome.accepted >= LEAST, "the reserve of 1 MiB did not hold"
    assert "the disk is full" in outcome.refused and "Free some space" in outcome.refused
    assert outcome.blob and outcome.left_over == 0
    assert outcome.resumed and outcome.whole and outcome.files == 1
    assert outcome.read == outcome.accepted + 1


def test_without_the_reserve_it_would_be_over_at_once() -> None:
    outcome = tried("no reserve")
    assert outcome.accepted < 50 and outcome.resumed and outcome.whole
