"""One writing session's file: bytes go to a known place, are synced, and only then count.

An entry that was once tried keeps its bytes: it is tried again as it is, or the file is given up. After a failed
write or sync other than "full" the file is given up at once.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from console import __version__
from console.errors import RecordError
from console.incident import disk
from console.incident.chain import START, frame
from console.incident.clock import HybridClock
from console.incident.disk import Disk
from console.incident.events import Actor, Event, admit, encode_event, new_id, short

RESERVE = 1 << 20  # bytes kept for a full disk: about 2,700 entries
_STEP = 64 << 10  # bytes, about 160 entries, after which it is topped up: a disk may fill up at any of them
_SLOW = 1.0  # seconds
_BODY = len('{"h":"') + 64 + len('","e":')  # where the body begins in a line
_ROOM = "Free some space and try again; entries before this one are safe"
_LIMIT = "Raise `{}` for this program; entries before this one are safe"
# What passes when somebody makes room or lifts a limit: the file is sound, the entry waits. The last two can only
# come from opening something, never from a write or a sync.
_LACKING = {
    errno.ENOSPC: ("the disk is full", _ROOM),
    errno.EDQUOT: ("the disk quota is used up", _ROOM),
    errno.EFBIG: ("the file may not grow", _LIMIT.format("ulimit -f")),
    errno.EMFILE: ("too many open files", _LIMIT.format("ulimit -n")),
    errno.ENFILE: ("too many open files on this host", "Close programs; entries before this one are safe"),
}
_FAILED = (errno.EIO, errno.EROFS, errno.ESTALE, errno.ENODEV, errno.ENXIO)


class NotSavedError(RecordError):
    """The disk is full, or a limit is reached. Nothing is lost but this entry: try `append` with its id again."""


class DiskFailedError(RecordError):
    """The disk itself failed. This place is given up; the entry may be written to another one with the same id."""


class Bound(NamedTuple):
    """An entry that the disk has not taken, bound to its number and its bytes for good: other ones will never be."""

    incident: str
    writer: str
    seq: int
    hash: str
    body: bytes


class Writer:
    """One file, one session. `seq`, `head` and `offset` describe what is acknowledged."""

    def __init__(
        self, directory: Path, incident: str, disk: Disk, clock: HybridClock, wall: Callable[[], float]
    ) -> None:
        self.id = uuid.uuid4().hex
        self.pid = os.getpid()
        self.seq = 0
        self.head = START
        self.pending: Event | None = None
        self._line = b""  # bytes of `pending`: once tried, an entry may only ever be these bytes
        self._failed = False  # the disk was asked to take `pending` and did not
        self._offset = 0
        self._reserved_to = 0
        self._ask_at = 0  # end of file from which on the reserve is asked for again
        self._poison = ""
        self._fd = -1
        self._entered = False  # the file's name in the directory is durable too
        self._directory = directory
        self._incident = incident
        self._disk = disk
        self._clock = clock
        self._wall = wall
        self.path = directory

    def create(self, actor: Actor) -> None:
        """Make the file; it is this session's alone."""
        host = "".join(c for c in actor.host.lower() if c.isascii() and (c.isalnum() or c == "-"))[:8]
        self.path = self._directory / f"{host or 'host'}-{self.id}.jsonl"
        try:
            self._fd = self._disk.create(self.path, disk.file_mode(self._directory))
        except OSError as error:
            raise (lacking(error, self._directory) or _cannot_open(self._directory, error)) from None

    def begin(self, actor: Actor, heads: Mapping[str, tuple[int, str]]) -> Event:
        """The first line: who writes here, and what had been read by then."""
        data = {
            "host": actor.host,
            "pid": os.getpid(),
            "version": __version__,
            "boot": _boot_id(),
            "monotonic": time.monotonic(),
            "wall": self._wall(),
        }
        seen = {w: (seq, short(head)) for w, (seq, head) in heads.items()}
        return self.append("genesis", admit(data), new_id(), None, actor, seen)

    def append(
        self,
        kind: str,
        data: dict[str, Any],
        id: str,
        at: float | None,
        actor: Actor,
        seen: Mapping[str, tuple[int, str]],
    ) -> Event:
        self._refuse_if_poisoned()
        now = round(self._wall(), 3)
        when = now if at is None else round(at, 3)
        event = Event(
            id=id,
            incident=self._incident,
            writer=self.id,
            seq=self.seq + 1,
            written_at=now,
            at=when,
            hlc=self._clock.now(),
            kind=kind,
            actor=actor,
            data=data,
            seen=seen or None,
        )
        body = encode_event(event)
        h, self._line = frame(self.head, body)
        self._failed = False
        self.pending = event._replace(hash=h)
        finished = self.finish_pending()
        assert finished is not None
        return finished

    def finish_pending(self) -> Event | None:
        """Write what is bound to bytes but not yet on disk. Raises NotSavedError while the disk is full."""
        self._refuse_if_poisoned()
        event = self.pending
        if event is None:
            return None
        try:
            self._top_up(len(self._line))
            written = 0
            while written < len(self._line):
                count = self._disk.write(self._fd, self._line[written:], self._offset + written)
                if count == 0:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                written += count
            self._disk.sync(self._fd)
            if not self._entered:
                self._disk.sync_directory(self._directory)
                self._entered = True
        except OSError as error:
            if (passing := lacking(error, self._directory)) is not None:
                self._ask_at = 0
                self._failed = True
                raise passing from None
            # After a failed sync the kernel may have dropped the pages and call the next one a success.
            self._poison = error.strerror or str(error)
            self._refuse_if_poisoned()
        self._offset += len(self._line)
        self.seq, self.head = event.seq, event.hash
        self.pending, self._line = None, b""
        return event

    def bound(self) -> Bound | None:
        """`pending`, when the disk refused it or has been busy with it for a second. From any thread."""
        event, line = self.pending, self._line
        if event is None or not line.startswith(b'{"h":"%b","e":' % event.hash.encode("ascii")):
            return None  # between two entries
        if not self._failed and self._wall() - event.written_at < _SLOW:
            return None
        return Bound(self._incident, self.id, event.seq, event.hash, line[_BODY:-2])

    def abandon(self) -> None:
        """Let go of a file that another process writes to: this one is its fork."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def close(self) -> None:
        """Give the reserve back. Nothing depends on this being called."""
        if self._fd < 0:
            return
        fd, self._fd = self._fd, -1
        with contextlib.suppress(OSError):  # everything acknowledged was synced long before
            self._disk.close(fd, self._offset)

    def _top_up(self, size: int) -> None:
        """Have a reserve beyond this many bytes more. A full disk is not asked each time: btrfs takes 1 to 6 ms to say no."""
        if self._offset + size > self._ask_at:
            self._ask_at = self._offset + _STEP
            with contextlib.suppress(OSError):  # a comfort; the write itself will say what is wrong
                if self._disk.reserve(self._fd, self._offset, RESERVE):
                    self._reserved_to = self._offset + RESERVE

    @property
    def room(self) -> int:
        """Bytes of the reserve that are left."""
        return max(0, self._reserved_to - self._offset)

    def _refuse_if_poisoned(self) -> None:
        if self._poison:
            raise DiskFailedError(
                f"the disk failed while recording ({self._poison}); {self.path.name} is not written to any more",
                remedy="What was recorded is kept. Look at dmesg; open the incident again to go on in a new file",
            )


def lacking(error: OSError, directory: Path, what: str = "not saved") -> NotSavedError | None:
    """The error in words if it is one that passes, else None."""
    if error.errno not in _LACKING:
        return None
    reason, remedy = _LACKING[error.errno]
    return NotSavedError(f"{what}: {reason} ({directory})", remedy=remedy)


def _cannot_open(directory: Path, error: OSError) -> RecordError:
    remedy = {
        errno.EACCES: "Check who owns the data directory",
        errno.EROFS: "Use --data-dir with a directory that can be written",
    }.get(error.errno or 0, "Check the disk, or use --data-dir")
    kind = DiskFailedError if error.errno in _FAILED else RecordError
    return kind(f"cannot record in {directory}: {error.strerror}", remedy=remedy)


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
