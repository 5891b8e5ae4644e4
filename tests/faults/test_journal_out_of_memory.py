"""The kernel kills a writer for memory: what was acknowledged is there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.incident.events import Actor
from console.incident.journal import Journal
from console.incident.verify import verify
from tests.faults.needs import need, without

ROOT = Path(__file__).parents[2]
LIMIT = 64 << 20


class Group:
    """A memory control group with a limit, of version 1 or 2, whichever the host has."""

    def __init__(self, at: Path, unified: bool) -> None:
        self.at = at
        self._killed = at / ("memory.events" if unified else "memory.oom_control")
        (at / ("memory.max" if unified else "memory.limit_in_bytes")).write_text(str(LIMIT))
        for name, most in (("memory.swap.max", 0), ("memory.memsw.limit_in_bytes", LIMIT)):
            if (at / name).exists():
                (at / name).write_text(str(most))

    def kills(self) -> int:
        """How many processes the kernel killed in it."""
        counts = dict(line.split() for line in self._killed.read_text().splitlines())
        return int(counts["oom_kill"])


@pytest.fixture
def group() -> Iterator[Group]:
    need(root=True)
    unified = Path("/sys/fs/cgroup/cgroup.controllers").exists()
    at = Path("/sys/fs/cgroup") / ("" if unified else "memory") / f"sevdeck-test-{os.getpid()}"
    try:
        at.mkdir()
    except OSError as error:
        without(f"no control group of memory can be made: {error}")
    try:
        try:
            made = Group(at, unified)
        except OSError as error:
            without(f"no control group of memory can be limited: {error}")
        yield made
    finally:
        at.rmdir()


def run(directory: Path, group: Group, sync: str) -> set[str]:
    """What a writer acknowledged that eats memory until it is killed."""
    directory.mkdir(mode=0o700)
    command = [sys.executable, "-m", "tests.faults.journal_writer", str(directory)]
    killed = subprocess.run(
        ["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', str(group.at), *command],
        cwd=ROOT,
        env={**os.environ, "TEST_JOURNAL_SYNC": sync, "TEST_JOURNAL_EATS": "yes"},
        stdout=subprocess.PIPE,
        timeout=60,
    )
    assert killed.returncode == -signal.SIGKILL and group.kills() > 0, "it was not the kernel that ended it"
    return {line.decode() for line in killed.stdout.split(b"\n")[:-1]}


def test_what_was_acknowledged_survives_a_kill_for_memory(tmp_path: Path, group: Group) -> None:
    directory = tmp_path / "INC-2026-0001"
    acknowledged = run(directory, group, "yes")
    journal = Journal(directory, Actor("reader", host="lab"))
    found = {event.id for event in journal.events()}
    assert len(acknowledged) > 10
    assert acknowledged <= found and len(found - acknowledged) <= 1
    assert [damage for damage in journal.damage() if not damage.torn] == [] and verify(directory).ok


def test_a_writer_that_keeps_entries_in_memory_loses_them(tmp_path: Path, group: Group) -> None:
    directory = tmp_path / "INC-2026-0001"
    acknowledged = run(directory, group, "late")
    found = {event.id for event in Journal(directory, Actor("reader", host="lab")).events()}
    assert len(acknowledged) > 10 and not acknowledged & found
