"""What the hub reads from: a file, a glob, a container, a journald unit, each with its fault in words."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from console.errors import SourceError
from console.watch.engine_api import Engine, NoSuchContainerError
from console.watch.logfile import FileTail, GlobTail, Piece
from console.watch.logstream import ContainerStream, JournalStream, Stream

Found = tuple[str, Piece]  # source, whole lines
Sink = Callable[[str, bytes, bool], None]  # source, whole lines, whether they are from the past


class Input(Protocol):
    """One input as the hub drives it. `fault` is "" while it can be read."""

    kind: str

    @property
    def name(self) -> str: ...

    @property
    def fault(self) -> str: ...

    @property
    def remedy(self) -> str: ...

    @property
    def dropped(self) -> int: ...

    def poll(self) -> Iterable[Found]:
        """What was written to files since the last poll; streams hand on by themselves."""
        ...

    def path_of(self, source: str) -> Path | None:
        """The file that holds a source's older lines."""
        ...

    def close(self) -> None: ...


class FileInput:
    """One path."""

    kind = "file"

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self._tail = FileTail(path)

    @property
    def fault(self) -> str:
        return self._tail.fault

    @property
    def remedy(self) -> str:
        return self._tail.remedy

    @property
    def dropped(self) -> int:
        return self._tail.dropped

    def poll(self) -> Iterable[Found]:
        return [(self.name, piece) for piece in self._tail.poll()]

    def path_of(self, source: str) -> Path | None:
        return self._tail.path if source == self.name else None

    def close(self) -> None:
        self._tail.close()


class GlobInput:
    """All files of a glob, each a source of its own."""

    kind = "file"

    def __init__(self, name: str, pattern: str) -> None:
        self.name = name
        self._glob = GlobTail(pattern)

    @property
    def fault(self) -> str:
        return self._glob.fault

    @property
    def remedy(self) -> str:
        return self._glob.remedy

    @property
    def dropped(self) -> int:
        return self._glob.dropped

    def poll(self) -> Iterable[Found]:
        return self._glob.poll()

    def path_of(self, source: str) -> Path | None:
        tail = self._glob.tails.get(source)
        return tail.path if tail is not None else None

    def close(self) -> None:
        self._glob.close()


class JournalInput:
    """One systemd unit."""

    kind = "journal"
    dropped = 0

    def __init__(self, name: str, unit: str, sink: Sink, command: str = "journalctl") -> None:
        self.name = name
        self._stream = JournalStream(name, unit, lambda data, old: sink(name, data, old), command)
        self._stream.start()

    @property
    def fault(self) -> str:
        return self._stream.fault

    @property
    def remedy(self) -> str:
        return self._stream.remedy

    def poll(self) -> Iterable[Found]:
        return ()

    def path_of(self, source: str) -> Path | None:
        return None

    def close(self) -> None:
        self._stream.close()


class ContainerInput:
    """One container: its json-file where that can be read here, else the engine's API.

    `resolve` asks the engine which it is; it blocks, so the hub calls it in a thread of its own, again after
    a failure.
    """

    kind = "container"

    def __init__(self, name: str, container: str, sink: Sink) -> None:
        self.name = name
        self.container = container
        self.resolved = False
        self.since = time.monotonic()
        self._sink = sink
        self._fault = ""
        self._remedy = ""
        self._tail: FileTail | None = None
        self._stream: Stream | None = None
        self._closed = False

    @property
    def _from(self) -> FileTail | Stream | None:
        return self._tail if self._tail is not None else self._stream

    @property
    def fault(self) -> str:
        return self._fault or (self._from.fault if self._from is not None else "")

    @property
    def remedy(self) -> str:
        return self._remedy if self._fault else (self._from.remedy if self._from is not None else "")

    @property
    def dropped(self) -> int:
        return self._tail.dropped if self._tail is not None else 0

    @property
    def streams(self) -> bool:
        """Whether it is read by the engine's API."""
        return self._stream is not None

    def resolve(self, engine: Engine) -> bool:
        """Find out where its lines are. False: not now, `fault` says why."""
        try:
            facts = engine.get(f"/containers/{self.container}/json")
        except NoSuchContainerError:
            self._fault, self._remedy = "the container is gone", ""
            self.resolved = True
            return True
        except SourceError as error:
            self._fault, self._remedy = error.message, error.remedy
            return False
        self._fault = self._remedy = ""
        host = facts.get("HostConfig") or {}
        driver = (host.get("LogConfig") or {}).get("Type", "")
        path = str(facts.get("LogPath") or "")
        tty = bool((facts.get("Config") or {}).get("Tty"))
        if self._closed:
            return True
        if driver == "none":
            self._fault, self._remedy = "it keeps no logs (log driver none)", "Change 'logging' in compose.yaml"
        elif driver == "json-file" and engine.local and path and os.access(path, os.R_OK):
            self._tail = FileTail(Path(path))
        else:
            self._stream = ContainerStream(
                self.name, self.container, tty, engine, lambda data, old: self._sink(self.name, data, old)
            )
            self._stream.start()
        self.resolved = True
        return True

    def not_asked(self, other: ContainerInput) -> None:
        """The engine failed for another container just now, so it was not asked for this one."""
        self._fault, self._remedy = other.fault, other.remedy

    def wake(self) -> None:
        """It was started or stopped."""
        if self._stream is not None:
            self._stream.wake()

    def poll(self) -> Iterable[Found]:
        tail = self._tail
        return [(self.name, piece) for piece in tail.poll()] if tail is not None else ()

    def path_of(self, source: str) -> Path | None:
        return self._tail.path if self._tail is not None and source == self.name else None

    def close(self) -> None:
        self._closed = True
        if self._stream is not None:
            self._stream.close()
        if self._tail is not None:
            self._tail.close()
