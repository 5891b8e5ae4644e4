"""Limits of the process: a file that may not grow, no descriptor left. Refused in words, and on when they are lifted."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from console.incident.events import Actor, new_id
from console.incident.journal import Journal
from console.incident.verify import verify
from tests.faults.needs import without
from tests.faults.scribe import Scribe

READER = Actor("reader", host="lab")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    if not hasattr(resource, "prlimit"):
        without("limits of another process can only be set on Linux")
    path = tmp_path / "INC-2026-0001"
    path.mkdir(mode=0o700)
    return path


@contextmanager
def limited(scribe: Scribe, what: int, most: int) -> Iterator[None]:
    """The soft limit of a living process, lifted afterwards."""
    before = resource.prlimit(scribe.pid, what)
    resource.prlimit(scribe.pid, what, (most, before[1]))
    yield
    with suppress(ProcessLookupError):  # the limit killed it
        resource.prlimit(scribe.pid, what, before)


def own_file(directory: Path) -> Path:
    (path,) = directory.glob("*.jsonl")
    return path


def read(directory: Path) -> list[str]:
    return [event.id for event in Journal(directory, READER).events()]


def test_a_file_that_may_not_grow_is_told_and_goes_on_when_it_may(directory: Path) -> None:
    with Scribe(directory) as scribe:
        first, waiting = scribe.note("before")["id"], new_id()
        size = own_file(directory).stat().st_size
        with limited(scribe, resource.RLIMIT_FSIZE, size + 10):
            for _ in range(2):
                told = scribe.note("waits", waiting)
                assert told["kind"] == "NotSavedError" and "may not grow" in told["error"]
                assert "ulimit -f" in told["remedy"]
            begun = own_file(directory).read_bytes()
            assert len(begun) == size + 10, "the write was not a short one"
            assert read(directory) == [first] and verify(directory).ok
        assert scribe.note("waits", waiting)["id"] == waiting
        last = scribe.note("after")["id"]
    assert read(directory) == [first, waiting, last] and verify(directory).ok
    assert own_file(directory).read_bytes().startswith(begun), "bytes that stood in the file became others"


def test_the_limit_is_real_a_writer_that_heeds_its_signal_dies(directory: Path) -> None:
    with Scribe(directory, weakness="killed by a limit") as scribe:
        first = scribe.note("before")["id"]
        with limited(scribe, resource.RLIMIT_FSIZE, own_file(directory).stat().st_size):
            assert scribe.note("kills") == {}
            assert scribe.wait() == -signal.SIGXFSZ
    assert read(directory) == [first] and verify(directory).ok


def test_a_writer_that_takes_a_short_write_for_a_whole_one_loses_what_it_acknowledged(directory: Path) -> None:
    with Scribe(directory, weakness="believes short writes") as scribe:
        scribe.note("before")
        with limited(scribe, resource.RLIMIT_FSIZE, own_file(directory).stat().st_size + 10):
            lost = scribe.note("half of it")["id"]
        scribe.note("after")
    assert lost not in read(directory) and not verify(directory).ok


@pytest.mark.parametrize("begun", [True, False])
def test_without_descriptors_it_says_so_and_goes_on_when_there_are_some(directory: Path, begun: bool) -> None:
    """An open file is written to as before. One that has to be opened waits, in its own place, for a descriptor."""
    with Scribe(directory) as scribe:
        known = [scribe.note("before")["id"]] if begun else []
        entry = new_id()
        with limited(scribe, resource.RLIMIT_NOFILE, 3):
            told = scribe.note("without descriptors", entry)
            if begun:
                assert told["id"] == entry
            else:
                assert told["kind"] == "NotSavedError" and "too many open files" in told["error"]
                assert "ulimit -n" in told["remedy"]
            polled = scribe.ask("poll")
            assert "too many open files" in polled["error"] and "ulimit -n" in polled["remedy"]
        known.append(scribe.note("without descriptors", entry)["id"] if not begun else entry)
        known.append(scribe.note("after")["id"])
        assert scribe.ask("poll")["texts"][-1] == "after"
    assert read(directory) == known and verify(directory).ok
    assert len(list(directory.glob("*.jsonl"))) == 1, "it took a lack of descriptors for a broken disk"


def test_descriptors_that_run_out_in_the_middle_of_a_first_entry_break_no_file(directory: Path) -> None:
    """Each number of descriptors once: whichever `open` is the one that fails, the entry is saved once, later."""
    for most in range(3, 8):
        home = directory.with_name(f"INC-2026-{most:04d}")
        home.mkdir(mode=0o700)
        entry = new_id()
        with Scribe(home) as scribe:
            with limited(scribe, resource.RLIMIT_NOFILE, most):
                told = scribe.note("first", entry)
                assert told.get("id") == entry or told["kind"] == "NotSavedError", told
            again = scribe.note("first", entry)
            assert again["id"] == entry and again["elsewhere"] == ""
        assert read(home) == [entry] and verify(home).ok
        assert len(list(home.glob("*.jsonl"))) == 1
