"""The journals of this host as the replica sees them: whole chains to give away, and a mirror of what others wrote.

Files of this host's own writers are only read. A mirror may be cut back to its last whole line and be written
again, because it is a copy: every byte of it also lies on the server or in somebody's own file.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import time
from array import array
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from console.errors import RecordError
from console.incident import disk
from console.incident.chain import START, digest, writer_of
from console.incident.shelf import MIRROR, journal_files, spare_places
from console.incident.store import IncidentStore
from console.replica.core import Head, Line, founder

_FRAME = re.compile(rb'\{"h":"([0-9a-f]{64})","e":(\{.*\})\}', re.DOTALL)
_KEY = re.compile(r"(INC-\d{4}-\d{4,})/([0-9a-f]{32})")
_BYTES = 1 << 20  # of lines in one request, if it is more than one
_CHUNK = 4 << 20
_RACY = 2_000_000_000  # ns: so long after a change of a directory another one may bear the same time


class ChainFile:
    """One file, read as it grows, up to the first line that does not fit."""

    def __init__(self, path: Path, writer: str) -> None:
        self.path = path
        self.writer = writer
        self._forget()

    def _forget(self) -> None:
        self.head = Head(0, START)
        self.starts = array("Q", [0])  # where entry 1, 2, 3 ... begins, and where the next one will
        self._mark = (-1, -1)  # inode and size at the last look

    @property
    def end(self) -> int:
        """Bytes up to the end of the last whole entry."""
        return self.starts[-1]

    def poll(self) -> None:
        """Read what was added. Raises OSError when it cannot be read."""
        found = os.stat(self.path)  # noqa: PTH116 - of each file at each look, and half as long as Path.stat
        mark = (found.st_ino, found.st_size)
        if mark == self._mark:
            return
        if self._mark[0] not in (-1, found.st_ino) or found.st_size < self.end:
            self._forget()
        with self.path.open("rb") as file:
            file.seek(self.end)
            pending = b""
            while chunk := file.read(_CHUNK):
                lines = (pending + chunk).split(b"\n")
                pending = lines.pop()
                if not all(self._take(line) for line in lines):
                    break
        self._mark = mark

    def _take(self, line: bytes) -> bool:
        match = _FRAME.fullmatch(line)
        if match is None:
            return False
        stated = match[1].decode("ascii")
        if digest(self.head.hash, match[2]) != stated:
            return False
        self.head = Head(self.head.seq + 1, stated)
        self.starts.append(self.end + len(line) + 1)
        return True

    def raw(self, after: int, limit: int) -> bytes:
        """The bytes of at most `limit` entries after this number, about a megabyte at most. Raises OSError."""
        last = min(after + limit, self.head.seq)
        while last > after + 1 and self.starts[last] - self.starts[after] > _BYTES:
            last = after + max(1, (last - after) // 2)
        if last <= after:
            return b""
        with self.path.open("rb") as file:
            file.seek(self.starts[after])
            return file.read(self.starts[last] - self.starts[after])

    def lines(self, after: int, limit: int) -> list[Line]:
        """As `raw`, taken apart."""
        found = []
        for seq, line in enumerate(self.raw(after, limit).split(b"\n")[:-1], after + 1):
            match = _FRAME.fullmatch(line)
            if match is None:
                break  # changed under our hands; the next look will see it
            found.append(Line(seq, match[1].decode("ascii"), match[2]))
        return found


class _Directory:
    """One incident here: its files, and the key that it has everywhere."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.key = ""  # "INC-2026-0001/<writer that declared it>"; "" while nothing is declared
        self._files: dict[Path, ChainFile] = {}
        self._asked: set[Path] = set()  # files that were looked into for the declaration
        self._order: tuple[object, ...] = ()
        self._places = [os.fspath(place) for place in (path, path / MIRROR, *spare_places(path))]
        self._listed: list[Path] = []
        self._marks: tuple[int, ...] = ()  # of the places when they were listed

    def _list(self) -> list[Path]:
        """Its files; asked of the disk only when something was added or taken away since, or may have been."""
        marks = tuple(_changed_at(place) for place in self._places)
        if marks != self._marks or time.time_ns() - max(marks) < _RACY:
            self._listed, self._marks = journal_files(self.path), marks
        return self._listed

    def poll(self) -> None:
        listed = self._list()
        if len(self._files) != len(listed) or not self._files.keys() >= set(listed):
            known, self._files = self._files, {}  # a mirror that somebody took away comes back from the server
            for path in listed:
                if (writer := writer_of(path)) is not None:
                    self._files[path] = known.get(path) or ChainFile(path, writer)
        for file in self._files.values():
            with contextlib.suppress(OSError):  # not ours to read: the journal says so on the screen
                file.poll()
                self._look_for_declaration(file)

    def _look_for_declaration(self, file: ChainFile) -> None:
        if file.path in self._asked or file.head.seq < 2:
            return
        self._asked.add(file.path)
        for line in file.lines(0, 3):
            try:
                body = json.loads(line.body)
                order = (*body["lc"], file.writer)
                if body["k"] == "declared" and (not self._order or order < self._order):
                    self.key, self._order = f"{body['inc']}/{file.writer}", order
            except (ValueError, TypeError, KeyError):
                continue

    def best(self) -> dict[str, ChainFile]:
        """Of each writer the copy that goes furthest."""
        found: dict[str, ChainFile] = {}
        for file in self._files.values():
            if file.head.seq > (found[file.writer].head.seq if file.writer in found else 0):
                found[file.writer] = file
        return found

    def mirror(self, writer: str) -> ChainFile:
        path = _mirror(self.path, writer)
        return self._files.setdefault(path, ChainFile(path, writer))


class Files:
    """`core.Local` on the directories of an IncidentStore. Not thread-safe: one caller at a time."""

    def __init__(self, store: IncidentStore) -> None:
        self._store = store
        self._directories: dict[Path, _Directory] = {}
        self._by_key: dict[str, _Directory] = {}
        self._retired: tuple[object, frozenset[str]] = (object(), frozenset())  # as read at that mark

    def retired(self) -> frozenset[str]:
        """See `core.Local`."""
        mark = self._store.documents.mark()
        if mark != self._retired[0]:
            self._retired = (mark, frozenset(one.key for one in self._store.retired().values()))
        return self._retired[1]

    def heads(self, incidents: Collection[str] | None = None) -> dict[str, dict[str, Head]]:
        """See `core.Local`. Raises RecordError when the directory of incidents cannot be read."""
        if incidents is not None and incidents and all(key in self._by_key for key in incidents):
            with contextlib.suppress(RecordError):  # gone, perhaps
                for key in incidents:
                    self._poll(self._by_key[key].path)
                return self._heads(incidents)
        paths = self._store.directories()
        for path in self._directories.keys() - set(paths):
            gone = self._directories.pop(path)
            self._by_key = {key: one for key, one in self._by_key.items() if one is not gone}
        for path in paths:
            known = self._directories.get(path)
            if known is None or not known.key or incidents is None or known.key in incidents:
                self._poll(path)
        return self._heads(incidents)

    def _heads(self, incidents: Collection[str] | None) -> dict[str, dict[str, Head]]:
        return {
            key: {writer: file.head for writer, file in one.best().items()}
            for key, one in self._by_key.items()
            if incidents is None or key in incidents
        }

    def names(self) -> dict[str, str]:
        """Key of an incident -> what it is called on this host. From any thread."""
        return {key: one.path.name for key, one in self._by_key.items()}

    def lines(self, incident: str, writer: str, after: int, limit: int) -> list[Line]:
        """See `core.Local`. Nothing where the file has gone or cannot be read any more."""
        one = self._by_key.get(incident)
        file = one.best().get(writer) if one else None
        with contextlib.suppress(OSError):
            return file.lines(after, limit) if file else []
        return []

    def append(self, incident: str, writer: str, lines: Sequence[Line]) -> bool:
        """See `core.Local`. The mirror goes on from where the best copy on this host ends."""
        one = self._by_key.get(incident) or self._new(incident, writer, lines)
        if one is None:
            return False
        place = one.path / MIRROR
        if not place.is_dir():
            disk.ensure_directory(place, self._store.disk)
        mirror = one.mirror(writer)
        with _writing(mirror.path) as fd:
            if fd < 0:
                return False  # another console of this host is writing it now
            mirror.poll()
            _cut(mirror, fd)
            if mirror.head.seq < lines[0].seq - 1:
                best = one.best()[writer]
                while mirror.head.seq < best.head.seq:
                    before = mirror.head.seq
                    self._write(fd, best.raw(before, best.head.seq), mirror.end)
                    mirror.poll()
                    if mirror.head.seq == before:
                        raise OSError(errno.EIO, f"{best.path.name} changes while it is read")
            fresh = [line for line in lines if line.seq > mirror.head.seq]
            content = b"".join(b'{"h":"%b","e":%b}\n' % (line.hash.encode("ascii"), line.body) for line in fresh)
            self._write(fd, content, mirror.end)
            self._store.disk.sync(fd)
            if mirror.head.seq == 0:
                self._store.disk.sync_directory(place)
            mirror.poll()
        self._poll(one.path)
        return True

    def _write(self, fd: int, content: bytes, offset: int) -> None:
        while content:
            written = self._store.disk.write(fd, content, offset)
            content, offset = content[written:], offset + written

    def _poll(self, path: Path) -> _Directory:
        one = self._directories.get(path)
        if one is None:
            one = self._directories[path] = _Directory(path)
        try:
            one.poll()
        except OSError as error:
            raise RecordError(f"{path} cannot be read: {error.strerror}") from None
        # A copy of an incident's directory is the same incident: the first by name counts.
        known = self._by_key.get(one.key)
        if one.key and (known is None or path.name < known.path.name):
            self._by_key = {**self._by_key, one.key: one}  # a new one: `names` is read by another thread
        return one

    def _new(self, incident: str, writer: str, lines: Sequence[Line]) -> _Directory | None:
        """A directory for an incident of another host: under its number, or beside ours that has the same."""
        match = _KEY.fullmatch(incident)
        if match is None or writer != founder(incident) or len(lines) < 2:
            return None
        disk.ensure_directory(self._store.root, self._store.disk)
        beside = f"{match[1]}-{writer[:8].upper()}"  # a name that only a replica gives
        for name in (match[1], beside):
            path = self._store.root / name
            try:
                disk.make_directory(path)
            except FileExistsError:
                ours = name == beside or (path / MIRROR).is_dir()
                if not ours or set(journal_files(path)) - {
                    _mirror(path, writer)
                }:  # somebody's incident, or somebody is about to declare one
                    continue
            self._store.disk.sync_directory(self._store.root)  # also of one that died before it did
            one = self._directories[path] = _Directory(path)
            return one
        raise OSError(errno.EEXIST, f"{path.name} is in the way")


def _mirror(directory: Path, writer: str) -> Path:
    return directory / MIRROR / f"{writer}.jsonl"


def _changed_at(place: str) -> int:
    """When something was last added to a directory or taken away, in ns; -1 where there is none."""
    try:
        return os.stat(place).st_mtime_ns  # noqa: PTH116
    except OSError:
        return -1


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[int]:
    """A mirror file, open and ours alone for a moment; -1 when it is somebody else's now."""
    mode = disk.file_mode(path.parent)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, mode)
    try:
        with contextlib.suppress(PermissionError):  # another user of the group made it, with the right mode
            os.fchmod(fd, mode)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield -1
            return
        except OSError:  # a file system without locks
            pass
        yield fd
    finally:
        os.close(fd)


def _cut(mirror: ChainFile, fd: int) -> None:
    """Take away an end that is not whole. What lies behind a damaged line is kept under another name first."""
    size = os.fstat(fd).st_size
    if size <= mirror.end:
        return
    tail = os.pread(fd, size - mirror.end, mirror.end)
    if b"\n" in tail:
        for number in range(1, 1000):
            aside = mirror.path.with_name(f"{mirror.path.name}.damaged-{number}")
            if not aside.exists():
                disk.write_atomically(aside, tail)
                break
    os.ftruncate(fd, mirror.end)
