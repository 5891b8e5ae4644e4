"""The guards of the record, each of which can be taken away: what the three hosts must then find broken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import NamedTuple
from unittest import mock

from console.incident.chain import ChainReader, writer_of
from console.incident.events import Actor, Event
from console.incident.journal import Journal
from console.incident.shelf import MIRROR
from console.incident.writer import NotSavedError, Writer
from console.replica import exchange


def nothing(call: str, path: Path) -> bool:
    return False


class Guard(NamedTuple):
    """Without this guard these invariants break; the first that is found counts."""

    breaks: str  # a regular expression
    ignores: Callable[[str, Path], bool] = nothing  # syncs of the disk that do nothing
    patch: Callable[[], AbstractContextManager[object]] = nullcontext
    checks_forks: bool = True


def _of_a_writer(call: str, path: Path) -> bool:
    return call == "sync" and path.parent.name != MIRROR


def _of_a_mirror(call: str, path: Path) -> bool:
    return call == "sync" and path.parent.name == MIRROR


def _of_a_directory(call: str, path: Path) -> bool:
    return call == "sync_directory" and path.name.startswith("INC-")


def _of_a_number(call: str, path: Path) -> bool:
    return call == "sync_directory" and path.name == "incidents"


@contextmanager
def _a_full_disk_is_forgotten() -> Iterator[None]:
    """What a full disk did not take is thrown away, and the next entry gets its place."""
    finish = Writer.finish_pending

    def forgetful(self: Writer) -> Event | None:
        try:
            return finish(self)
        except NotSavedError:
            self.pending, self._line = None, b""
            raise

    with mock.patch.object(Writer, "finish_pending", forgetful):
        yield


@contextmanager
def _an_old_file_is_gone_on_with() -> Iterator[None]:
    """A session writes on where another session of the same host ended."""
    create = Writer.create

    def resuming(self: Writer, actor: Actor) -> None:
        for path in sorted(self._directory.glob(f"{actor.host}-*.jsonl")):
            reader = ChainReader(path, writer_of(path) or "")
            reader.poll()
            self.id, self.seq, self.head, self._offset = reader.writer, reader.seq, reader.head, reader._offset
            self.path, self._fd = path, self._disk.reopen(path)  # type: ignore[attr-defined]
            return
        create(self, actor)

    with mock.patch.object(Writer, "create", resuming):
        yield


GUARDS = {
    "the writer's fdatasync": Guard("I1", _of_a_writer),
    "the sync of the directory with a new file": Guard("I1", _of_a_directory),
    "the sync of the directory with a new incident": Guard("I1", _of_a_number),
    # A mirror is a copy and comes back from the server. But this host's next entry names its head, and a verify
    # before that finds an entry missing that somebody has seen.
    "the mirror's fdatasync": Guard("I6", _of_a_mirror),
    "the sync of what is testified": Guard(
        "I6", patch=lambda: mock.patch.object(Journal, "_made_sure", lambda *_: True)
    ),
    "the same bytes after a full disk": Guard("I2|I3|I9", patch=_a_full_disk_is_forgotten),
    "a writer of its own for each session": Guard("I2|I3|I4", patch=_an_old_file_is_gone_on_with),
    "the server's fork check": Guard("I3", checks_forks=False),
    "the check of what is pulled": Guard("fork|convergence|I", patch=lambda: mock.patch.object(exchange, "check")),
}
