"""Follow log files and read back in them: growth, rename rotation, copytruncate, late creation, globs.

A tail polls; one `stat` a poll when nothing happens. It reads bytes and hands on whole lines with their offsets.
It does not understand lines (`console.watch.logline`) and keeps none (`console.watch.logbuffer`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG

BACKLOG = 256 << 10  # bytes shown of a file that exists when it is opened
_READ = 1 << 20
_KEEP = 2 << 20  # bytes handed on when reading fell behind; what is before is only counted
_CARRY = 1 << 20  # a line longer than this is handed on in parts
_PRINT = 64  # bytes before the position that must still be there: catches a file emptied and grown again
_IDLE_FLUSH = 1.0  # seconds after which a line without its newline is shown
_OLD_FOR = 10.0  # seconds a renamed file is still read: its writer reopens later than the rename
_GLOB_EVERY = 2.0
_PACKED = (".gz", ".xz", ".bz2", ".zst", ".lz4", ".zip")


@dataclass(frozen=True, slots=True)
class Piece:
    """Whole lines as read. `offset` is their first byte's in the file; `old`: they were there before we looked."""

    data: bytes
    offset: int
    old: bool = False


@dataclass(slots=True)
class _Open:
    """One open file and how far it was read. `carry` is the beginning of a line whose end is not there yet."""

    fd: int
    key: tuple[int, int]
    position: int
    carry: bytes = b""
    carried_at: float = 0.0
    print: bytes = b""
    until: float = 0.0


class FileTail:
    """One path followed for ever, whatever file stands there.

    `from_start`: begin a file that exists at its first byte, not near its end. `fault` and `remedy` say why it
    cannot be read now; both are "" while it can. `dropped` counts lines passed over because reading fell behind.
    """

    def __init__(
        self,
        path: Path,
        *,
        from_start: bool = False,
        backlog: int = BACKLOG,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = path
        self.fault = ""
        self.remedy = ""
        self.dropped = 0
        self._from_start = from_start
        self._backlog = backlog
        self._clock = clock
        self._now: _Open | None = None
        self._old: list[_Open] = []
        self._looked = False

    @property
    def key(self) -> tuple[int, int] | None:
        """Device and inode of the file being read."""
        return self._now.key if self._now is not None else None

    def poll(self) -> list[Piece]:
        """What was written since the last poll."""
        pieces: list[Piece] = []
        try:
            stat = self.path.stat()
        except OSError as error:
            stat = None
            self._failed(error)
        if self._now is not None and (stat is None or self._now.key != (stat.st_dev, stat.st_ino)):
            pieces += self._read(self._now, None)
            if stat is not None:
                self._retire()
        if stat is not None and self._now is None:
            self._open(stat)
        if self._now is not None and stat is not None:
            self.fault = self.remedy = ""
            pieces += self._read(self._now, stat.st_size)
        self._looked = True
        return self._drain_old() + pieces if self._old else pieces

    def close(self) -> None:
        for one in [*self._old, *([self._now] if self._now is not None else [])]:
            os.close(one.fd)
        self._old, self._now = [], None

    def _failed(self, error: OSError) -> None:
        if isinstance(error, FileNotFoundError):
            self.fault = "no such file" if self._now is None else "the file was deleted"
            self.remedy = "It is read as soon as it appears"
        elif isinstance(error, PermissionError):
            self.fault = "permission denied"
            self.remedy = "Run sevdeck as a user who may read it, or join the file's group (adm on Debian)"
        else:
            self.fault = (error.strerror or "cannot be read").lower()
            self.remedy = "Check the path in [[logs]]"

    def _open(self, stat: os.stat_result) -> None:
        try:
            # Not blocking: a FIFO without a writer would hang the thread that reads all files.
            fd = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            found = os.fstat(fd)
        except OSError as error:
            self._failed(error)
            return
        if not S_ISREG(found.st_mode):
            os.close(fd)
            self.fault, self.remedy = "not a regular file", "Name a file or a glob in [[logs]] path"
            return
        self.fault = self.remedy = ""
        start = 0
        if not self._looked and not self._from_start:
            start = _line_start(fd, max(0, found.st_size - self._backlog))
        self._now = _Open(fd, (found.st_dev, found.st_ino), start)

    def _retire(self) -> None:
        if self._now is not None:
            self._now.until = self._clock() + _OLD_FOR
            self._old.append(self._now)
            self._now = None
        while len(self._old) > 3:
            os.close(self._old.pop(0).fd)

    def _drain_old(self) -> list[Piece]:
        pieces: list[Piece] = []
        for one in list(self._old):
            pieces += self._read(one, None)
            if self._clock() >= one.until:
                pieces += self._flush(one)
                os.close(one.fd)
                self._old.remove(one)
        return pieces

    def _read(self, one: _Open, size: int | None) -> list[Piece]:
        try:
            if size is None:
                size = os.fstat(one.fd).st_size
            if size < one.position + len(one.carry):
                one.position, one.carry, one.print = 0, b"", b""
            if size == one.position + len(one.carry):
                idle = one.carry and self._clock() - one.carried_at > _IDLE_FLUSH
                return self._flush(one) if idle else []
            return self._read_new(one, size)
        except OSError as error:
            self._failed(error)
            return []

    def _read_new(self, one: _Open, size: int) -> list[Piece]:
        if one.print and os.pread(one.fd, len(one.print), one.position - len(one.print)) != one.print:
            one.position, one.carry, one.print = 0, b"", b""
        self._pass_over(one, size)
        pieces: list[Piece] = []
        while True:
            data = os.pread(one.fd, _READ, one.position + len(one.carry))
            if not data:
                break
            data = one.carry + data
            cut = data.rfind(b"\n") + 1
            if not cut and len(data) >= _CARRY:
                cut = len(data)
            if cut:
                pieces.append(Piece(data[:cut], one.position, not self._looked))
                one.print = data[max(0, cut - _PRINT) : cut]
                one.position += cut
            one.carry = data[cut:]
            one.carried_at = self._clock()
            if one.position + len(one.carry) >= size:
                break
        return pieces

    def _pass_over(self, one: _Open, size: int) -> None:
        """When more was written than is worth keeping, count its lines and go on near the end."""
        while size - one.position > _KEEP + _READ:
            data = os.pread(one.fd, _READ, one.position)
            cut = data.rfind(b"\n") + 1 or len(data)
            if not cut:
                break
            self.dropped += data.count(b"\n", 0, cut)
            one.print = data[max(0, cut - _PRINT) : cut]
            one.position += cut
            one.carry = b""

    def _flush(self, one: _Open) -> list[Piece]:
        if not one.carry:
            return []
        piece = Piece(one.carry, one.position, not self._looked)
        one.print = one.carry[-_PRINT:]
        one.position += len(one.carry)
        one.carry = b""
        return [piece]


class GlobTail:
    """All files of a glob, also those that appear later. Sources are named by what the glob leaves open."""

    def __init__(self, pattern: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.pattern = pattern
        self.fault = ""
        self.remedy = ""
        self.tails: dict[str, FileTail] = {}
        self._clock = clock
        self._scan_at = float("-inf")
        self._seen: set[tuple[int, int]] = set()
        self._base = _static_part(pattern)
        self._open_part = str(Path(pattern).relative_to(self._base))
        self._first = True

    @property
    def dropped(self) -> int:
        return sum(tail.dropped for tail in self.tails.values())

    def poll(self) -> list[tuple[str, Piece]]:
        """(file's name, piece) of all files."""
        if self._clock() - self._scan_at >= _GLOB_EVERY:
            self._scan()
        found: list[tuple[str, Piece]] = []
        for name, tail in self.tails.items():
            found += [(name, piece) for piece in tail.poll()]
            if tail.key is not None:
                self._seen.add(tail.key)
        faults = [tail for tail in self.tails.values() if tail.fault]
        if not self.tails:
            self.fault, self.remedy = "no file matches", "Check the glob; files are read as soon as they appear"
        elif len(faults) == len(self.tails):
            self.fault, self.remedy = faults[0].fault, faults[0].remedy
        else:
            self.fault = self.remedy = ""
        return found

    def close(self) -> None:
        for tail in self.tails.values():
            tail.close()

    def _scan(self) -> None:
        self._scan_at = self._clock()
        paths = {str(path) for path in self._base.glob(self._open_part) if not path.name.endswith(_PACKED)}
        for name, tail in list(self.tails.items()):
            if str(tail.path) not in paths and tail.fault:
                tail.close()
                del self.tails[name]
        known = {str(tail.path) for tail in self.tails.values()}
        for path in sorted(paths - known)[: max(0, 200 - len(self.tails))]:
            try:
                stat = Path(path).stat()
            except OSError:
                continue
            # A file renamed by rotation is not new, its lines were read under the old name.
            fresh = not self._first and (stat.st_dev, stat.st_ino) not in self._seen
            name = str(Path(path).relative_to(self._base))
            backlog = BACKLOG if self._first else 0
            self.tails[name] = FileTail(Path(path), from_start=fresh, backlog=backlog, clock=self._clock)
        self._first = False


def has_wildcard(path: str) -> bool:
    """Whether a path is a glob."""
    return any(char in path for char in "*?[")


def _static_part(pattern: str) -> Path:
    """The folder above the first wildcard."""
    parts = Path(pattern).parts[:-1]
    fixed = next((number for number, part in enumerate(parts) if has_wildcard(part)), len(parts))
    return Path(*parts[:fixed])


def _line_start(fd: int, position: int) -> int:
    """The start of the first line at or after `position`; 0 stays 0."""
    if position <= 0:
        return 0
    data = os.pread(fd, 64 << 10, position - 1)
    cut = data.find(b"\n")
    return position + cut if cut >= 0 else position


class FileLines:
    """Read lines of a file by byte offset, forwards and backwards, without keeping it in memory."""

    BLOCK = 64 << 10

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        stat = os.fstat(self._fd)
        self.key = (stat.st_dev, stat.st_ino)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    @property
    def size(self) -> int:
        return os.fstat(self._fd).st_size

    def before(self, end: int, limit: int = BLOCK) -> list[tuple[int, bytes]]:
        """(offset, line) of the lines that end at or before `end`, from about one block, in order."""
        start = max(0, end - limit)
        while True:
            data = os.pread(self._fd, end - start, start)
            first = 0 if start == 0 else data.find(b"\n", 0, len(data) - 1) + 1
            if first or start == 0 or end - start >= 16 * self.BLOCK:
                break
            start = max(0, end - 2 * (end - start))  # a line longer than the block
        return _with_offsets(data[first:], start + first)

    def after(self, start: int, limit: int = BLOCK) -> list[tuple[int, bytes]]:
        """(offset, line) of the lines that begin at or after the line start `start`, about one block."""
        data = os.pread(self._fd, limit, start)
        if len(data) == limit:
            cut = data.rfind(b"\n")
            while cut < 0 and len(data) < 16 * self.BLOCK:
                more = os.pread(self._fd, limit, start + len(data))
                if not more:
                    break
                data += more
                cut = data.rfind(b"\n")
            data = data[: cut + 1] if cut >= 0 else data
        return _with_offsets(data, start)

    def line_start(self, offset: int) -> int:
        """The first byte of the line that holds the byte at `offset`."""
        end = offset
        while end > 0:
            start = max(0, end - self.BLOCK)
            data = os.pread(self._fd, end - start, start)
            cut = data.rfind(b"\n")
            if cut >= 0:
                return start + cut + 1
            end = start
        return 0


def _with_offsets(data: bytes, offset: int) -> list[tuple[int, bytes]]:
    if not data:
        return []
    if data.endswith(b"\n"):
        data = data[:-1]
    found = []
    for line in data.split(b"\n"):
        found.append((offset, line))
        offset += len(line) + 1
    return found
