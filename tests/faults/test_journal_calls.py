"""Each write and each sync of a journal fails once, in every way a disk can fail: nothing acknowledged is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from console.incident.events import Actor
from console.incident.journal import Journal
from console.incident.verify import verify
from tests.faults.needs import need, without

ROOT = Path(__file__).parents[2]
ENTRIES = 3


@dataclass(frozen=True)
class Run:
    """What came of one writer whose n-th call failed. `hit`: the fault was reached."""

    hit: bool
    code: int
    acknowledged: set[str]
    found: set[str]
    whole: bool
    files_here: int


def write(directory: Path, call: str, error: str, nth: int) -> Run:
    directory.mkdir()
    trace = directory.with_suffix(".trace")
    strace = [
        "strace",
        "-qq",
        "-f",
        "-o",
        str(trace),
        "-e",
        f"trace={call}",
        "-e",
        f"inject={call}:error={error}:when={nth}",
    ]
    command = [*strace, sys.executable, "-m", "tests.faults.journal_writer", str(directory), str(ENTRIES)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False)
    journal = Journal(directory, Actor("reader", host="lab"))
    return Run(
        "INJECTED" in trace.read_text(),
        done.returncode,
        {line for line in done.stdout.splitlines() if not line.startswith("full")},
        {event.id for event in journal.events()},
        verify(directory).ok,
        len(list(directory.glob("*.jsonl"))),
    )


@pytest.mark.parametrize("error", ["EIO", "EROFS", "ENOSPC", "EINTR"])
@pytest.mark.parametrize("call", ["pwrite64", "fdatasync"])
def test_the_nth_call_fails(tmp_path: Path, call: str, error: str) -> None:
    need("strace")
    numbers = range(1, ENTRIES + 3)  # the first line of a file is written and synced too; one more finds no call
    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(lambda n: write(tmp_path / f"INC-2026-{n:04d}", call, error, n), numbers))
    if not any(run.hit for run in runs):
        without("strace may not trace here")
    assert [run.hit for run in runs] == [True] * (ENTRIES + 1) + [False], "a call was left out, or one too many made"
    for run in runs:
        assert run.acknowledged <= run.found, "acknowledged and lost"
        assert run.whole
        assert len(run.found - run.acknowledged) <= 1, "at most the entry that failed may surface"
        if error == "ENOSPC" and run.hit:
            assert run.code == 3, "a full disk must be told, and no other place taken without being asked"
        else:
            assert (run.code, len(run.acknowledged)) == (0, ENTRIES), "it did not go on"
