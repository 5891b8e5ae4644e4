"""Writers that die at any moment: what was acknowledged is there, what was not does no harm."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from console.incident.events import Actor
from console.incident.journal import Journal
from console.incident.verify import verify

ROOT = Path(__file__).parents[2]
READER = Actor("reader", host="lab")
WRITERS = 4
ROUNDS = int(os.environ.get("SEVDECK_TEST_KILLS", "40")) // WRITERS
A_RECORD = 25  # rounds


def start(directory: Path, *more: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.faults.journal_writer", str(directory), *more],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,  # or a line that was read ahead would be lost to communicate()
    )


@pytest.mark.timeout(60 + 3 * ROUNDS)
def test_what_was_acknowledged_survives_sigkill(tmp_path: Path) -> None:
    chance = random.Random(7)
    # A new record now and then: each session syncs every file it finds, so one record of all rounds would cost their square.
    for record, first in enumerate(range(0, ROUNDS, A_RECORD), start=1):
        directory = tmp_path / f"INC-2026-{record:04}"
        directory.mkdir()
        rounds = min(A_RECORD, ROUNDS - first)
        acknowledged = set[str]().union(*(kill_writers(directory, chance) for _ in range(rounds)))
        journal = Journal(directory, READER)
        found = {event.id for event in journal.events()}
        assert len(acknowledged) > rounds * WRITERS
        assert acknowledged - found == set(), "acknowledged and lost"
        assert len(found - acknowledged) <= rounds * WRITERS, (
            "at most one unacknowledged entry of each writer may surface"
        )
        assert [damage for damage in journal.damage() if not damage.torn] == []
        assert verify(directory).ok


def kill_writers(directory: Path, chance: random.Random) -> set[str]:
    """Four writers at once, each killed at some moment; the ids that they acknowledged before."""
    acknowledged: set[str] = set()
    writers = [start(directory) for _ in range(WRITERS)]
    for writer in writers:
        assert writer.stdout is not None
        acknowledged.add(writer.stdout.readline().decode().strip())  # it writes now
    for writer in writers:
        time.sleep(chance.uniform(0, 0.03))
        writer.send_signal(signal.SIGKILL)
    for writer in writers:
        rest, _ = writer.communicate(timeout=30)
        acknowledged |= {line.decode() for line in rest.split(b"\n")[:-1]}
    return acknowledged


def test_two_live_writers_see_each_other_within_a_quarter_of_a_second(tmp_path: Path) -> None:
    directory = tmp_path / "INC-2026-0001"
    directory.mkdir()
    journal = Journal(directory, READER)
    writer = start(directory, "200")
    delays: list[float] = []
    try:
        until = time.monotonic() + 30
        while len(delays) < 200 and time.monotonic() < until:
            journal.append("note", {"text": "we both write"})
            for event in journal.poll():
                if event.actor.login == "writer":
                    delays.append(time.time() - event.data["sent"])
            time.sleep(0.1)  # as often as a console looks
    finally:
        writer.kill()
        writer.communicate()
    assert len(delays) == 200
    assert sorted(delays)[int(0.95 * len(delays))] < 0.25
