"""The power goes at any moment: what was acknowledged is there when the host is back."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults import power_cut
from tests.faults.needs import without

ROOT = Path(__file__).parents[2]


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.faults.power_cut", *words]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=100, check=False)


@pytest.fixture(autouse=True)
def possible() -> None:
    if why := power_cut.missing("ext4"):
        without(why)
    tried = run("--cuts", "0")
    if tried.returncode:  # a container without loop devices, a kernel without xfs
        without(f"no file systems can be mounted from images here: {tried.stderr[-200:]}")


def test_nothing_acknowledged_is_lost() -> None:
    done = run("--cuts", "10", "--seed", str(os.getpid()))
    assert done.returncode == 0, done.stdout + done.stderr


def test_without_the_sync_a_loss_is_noticed() -> None:
    done = run("--cuts", "2", "--unsafe")
    assert done.returncode == 1 and " 0 lost" not in done.stdout, done.stdout + done.stderr
