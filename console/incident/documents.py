"""Small documents that may be lost: settings and the incident index, in TinyDB over one atomic, locked file.

TinyDB reads and writes in separate calls, so the lock spans a whole transaction. Nobody waits long for it: who
cannot have the file goes on without it. Nothing acknowledged is kept here alone.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console.errors import RecordError
from console.incident import disk

if TYPE_CHECKING:
    from tinydb import TinyDB

_PATIENCE = 2.0  # seconds; whoever holds it longer is stopped or on a dying disk


class AtomicStorage:
    """A TinyDB storage: the file has the old content or the new one. Unreadable content counts as none."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[str, dict[str, Any]] | None:
        try:
            content = json.loads(self._path.read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        tables = isinstance(content, dict) and all(isinstance(table, dict) for table in content.values())
        return content if tables else None

    def write(self, data: dict[str, dict[str, Any]]) -> None:
        raw = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8")
        disk.write_atomically(self._path, raw)

    def close(self) -> None:
        """Nothing is kept open."""


class Documents:
    """Tables of small documents in `<data>/meta.json`, each document under a key of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def mark(self) -> tuple[int, ...] | None:
        """Differs when anything in the file has changed; None while there is none."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def get(self, table: str, key: str) -> dict[str, Any] | None:
        """The document, None when there is none or the file cannot be read."""
        return self.all(table).get(key)

    def all(self, table: str) -> dict[str, dict[str, Any]]:
        """Every document of a table by its key. Needs no lock: the file is replaced as a whole."""
        try:
            found = self._open().table(table).all()
        except (OSError, ValueError, KeyError):
            return {}
        return {str(doc["key"]): dict(doc["value"]) for doc in found if "key" in doc and "value" in doc}

    def put(self, table: str, documents: dict[str, dict[str, Any]]) -> None:
        """Store these documents, others stay. Raises RecordError when the file is locked or cannot be written."""
        from tinydb import where

        with self._transaction() as db:
            rows = db.table(table)
            for key, value in documents.items():
                rows.upsert({"key": key, "value": value}, where("key") == key)

    def forget(self, table: str, keys: set[str]) -> None:
        """Remove documents. Raises RecordError like `put`."""
        from tinydb import where

        with self._transaction() as db:
            db.table(table).remove(where("key").test(keys.__contains__))

    def _open(self) -> TinyDB:
        from tinydb import TinyDB

        return TinyDB(self._path, storage=AtomicStorage)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[TinyDB]:
        """TinyDB with the lock held. A fresh object each time: it remembers the next id it would give."""
        try:
            disk.ensure_directory(self._path.parent)
            mode = disk.file_mode(self._path.parent)
            fd = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, mode)
        except OSError as error:
            raise RecordError(f"{self._path} cannot be written: {error.strerror}") from None
        try:
            _lock(fd, self._path)
            yield self._open()
        except OSError as error:
            raise RecordError(f"{self._path} cannot be written: {error.strerror}") from None
        finally:
            os.close(fd)


def _lock(fd: int, path: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise RecordError(f"{path} is in use by another process") from None
            time.sleep(0.005)
