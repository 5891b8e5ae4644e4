"""Logs that arrive as streams: containers through the engine's API, units through journalctl.

Each stream has one daemon thread that begins again when the stream ends: at once after new lines, later and later
while it fails. Lines are handed on as raw bytes; `fault` says in words why nothing comes.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

from console.errors import SourceError
from console.text import clean
from console.watch.engine_api import Engine, EngineError, NoSuchContainerError

TAIL = 200  # lines of the past
_PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0)
_CHUNK = 64 << 10
_CARRY = 1 << 20

_CURSOR = re.compile(rb'"__CURSOR" ?: ?"([^"]{1,300})"')

Sink = Callable[[bytes, bool], None]  # whole lines, whether they are from before the stream began


class Stream:
    """A thread that reads one stream into `sink`, for ever."""

    def __init__(self, name: str, sink: Sink) -> None:
        self.name = name
        self.fault = ""
        self.remedy = ""
        self._sink = sink
        self._carry = b""
        self._ended = threading.Event()
        self._wake = threading.Event()
        self._began = 0.0
        self._thread = threading.Thread(target=self._run, name=f"log-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Try again now: something suggests that it works again."""
        self._wake.set()

    def close(self) -> None:
        """End the thread. Never waits."""
        self._ended.set()
        self._wake.set()

    @property
    def closed(self) -> bool:
        return self._ended.is_set()

    def _read(self) -> Iterator[bytes]:
        """Bytes of one run of the stream until it ends; raises SourceError with the reason when it cannot."""
        raise NotImplementedError

    def _run(self) -> None:
        failures = 0
        while not self.closed:
            self._wake.clear()
            self._began = time.monotonic()
            got = False
            try:
                for data in self._read():
                    got = True
                    self.fault = self.remedy = ""
                    self._hand_on(data)
                    if self.closed:
                        return
            except SourceError as error:
                self.fault, self.remedy = error.message, error.remedy
            except OSError as error:
                self.fault, self.remedy = clean(error.strerror or str(error), 200), "It is tried again by itself"
            self._flush()
            failures = 0 if got else failures + 1
            self._wake.wait(_PAUSES[min(failures, len(_PAUSES) - 1)])

    def _hand_on(self, data: bytes) -> None:
        data = self._carry + data if self._carry else data
        cut = data.rfind(b"\n") + 1
        if not cut and len(data) > _CARRY:
            cut = len(data)
        self._carry = data[cut:]
        if cut:
            self._sink(data[:cut], time.monotonic() - self._began < 0.5)

    def _flush(self) -> None:
        carry, self._carry = self._carry, b""
        if carry:
            self._sink(carry, False)


class ContainerStream(Stream):
    """One container's output by the engine's API, with the engine's timestamps before each line.

    Used where its json-file cannot be read directly. It goes on after the last line seen when the container or
    the engine comes back.
    """

    def __init__(self, name: str, container: str, tty: bool, engine: Engine, sink: Sink) -> None:
        super().__init__(name, sink)
        self._container = container
        self._tty = tty
        self._engine = engine
        self._last = b""  # the engine's timestamp of the last line
        self._socket: socket.socket | None = None

    def close(self) -> None:
        super().close()
        open_socket = self._socket
        if open_socket is not None:
            with contextlib.suppress(OSError):
                open_socket.shutdown(socket.SHUT_RDWR)

    def _read(self) -> Iterator[bytes]:
        query: dict[str, str | int] = {"follow": 1, "stdout": 1, "stderr": 1, "timestamps": 1, "tail": TAIL}
        if self._last:
            query["since"] = _epoch(self._last)
            query["tail"] = "all"
        after = self._last
        try:
            path = f"/v{self._engine.version.api}/containers/{self._container}/logs?{urlencode(query)}"
            raw = self._local(path) if self._engine.endpoint.path else self._remote(path)
            for data in raw if self._tty else frames(raw):
                if after:  # the engine repeats the line that carries the time asked for
                    data, after = _newer(data, after)
                if data:
                    self._last = _last_stamp(data) or self._last
                    yield data
        except NoSuchContainerError:
            self._ended.set()
        except Exception as error:
            raise self._engine.explain(error) from error

    def _local(self, path: str) -> Iterator[bytes]:
        """HTTP/1.0 on the engine's socket: the answer is the stream itself, without chunks."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            self._socket = sock
            try:
                sock.settimeout(5.0)
                sock.connect(self._engine.endpoint.path)
                sock.sendall(f"GET {path} HTTP/1.0\r\nHost: docker\r\nUser-Agent: sevdeck\r\n\r\n".encode("ascii"))
                head = b""
                while b"\r\n\r\n" not in head:
                    part = sock.recv(_CHUNK)
                    if not part:
                        raise EngineError("the Docker engine hung up", remedy="It may be restarting")
                    head += part
                status, rest = _answer(head)
                if status >= 400:
                    _refuse(status, rest)
                sock.settimeout(None)  # a silent container is well
                if rest:
                    yield rest
                while part := sock.recv(_CHUNK):
                    yield part
            finally:
                self._socket = None

    def _remote(self, path: str) -> Iterator[bytes]:
        client = self._engine.client()
        try:
            response: Any = client.get(client.base_url + path, stream=True, timeout=(5.0, None))
            with contextlib.closing(response):
                if response.status_code >= 400:
                    _refuse(response.status_code, response.content)
                yield from response.raw.stream(_CHUNK, decode_content=False)
        finally:
            client.close()


def _refuse(status: int, body: bytes) -> None:
    if status == 404:
        raise NoSuchContainerError("no such container", status=status)
    text = clean(body.decode("utf-8", "replace").strip(), 200)
    if "logging driver" in text or "does not support reading" in text:
        raise EngineError(
            "its log driver cannot be read back", remedy="Read the log where the driver sends it", status=status
        )
    raise EngineError(f"the engine refused its logs: {text}", remedy="It is tried again by itself", status=status)


def _answer(head: bytes) -> tuple[int, bytes]:
    start, _, rest = head.partition(b"\r\n\r\n")
    words = start[:64].split(None, 2)
    return (int(words[1]) if len(words) > 1 and words[1].isdigit() else 500), rest


def frames(raw: Iterator[bytes]) -> Iterator[bytes]:
    """The payload of the engine's multiplexed stream: 8 bytes of header (stream, 0, 0, 0, length), then data."""
    data = b""
    for part in raw:
        data = data + part if data else part
        out: list[bytes] = []
        at = 0
        while len(data) - at >= 8:
            length = int.from_bytes(data[at + 4 : at + 8], "big")
            if len(data) - at - 8 < length:
                break
            out.append(data[at + 8 : at + 8 + length])
            at += 8 + length
        data = data[at:]
        if out:
            yield b"".join(out)


def _stamp(line: bytes) -> bytes:
    stamp = line[:40].split(b" ", 1)[0]
    return stamp if stamp[4:5] == b"-" and stamp[10:11] == b"T" else b""


def _last_stamp(data: bytes) -> bytes:
    at = data.rfind(b"\n", 0, len(data) - 1) + 1
    return _stamp(data[at : at + 40])


def _newer(data: bytes, after: bytes) -> tuple[bytes, bytes]:
    """Drop leading lines up to the stamp `after`; the second value is b"" once newer ones were met."""
    lines = data.split(b"\n")
    for number, line in enumerate(lines):
        stamp = _stamp(line)
        if stamp and stamp > after:
            return b"\n".join(lines[number:]), b""
    return b"", after


def _epoch(stamp: bytes) -> str:
    """The engine's timestamp as unix seconds with all its digits."""
    from datetime import datetime

    text = stamp.decode("ascii", "replace")
    whole, _, rest = text.partition(".")
    digits = "".join(char for char in rest if char.isdigit())[:9]
    seconds = datetime.fromisoformat(whole.rstrip("Z") + "+00:00").timestamp()
    return f"{int(seconds)}.{digits:0<9}"


class JournalStream(Stream):
    """One systemd unit's messages as journalctl prints them in JSON."""

    def __init__(self, name: str, unit: str, sink: Sink, command: str = "journalctl") -> None:
        super().__init__(name, sink)
        self._unit = unit
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._cursor = ""  # the journal's name of the last entry seen

    def close(self) -> None:
        super().close()
        process = self._process
        if process is not None:
            with contextlib.suppress(OSError):
                process.terminate()

    def _read(self) -> Iterator[bytes]:
        # Without --all fields above 4096 bytes come as null.
        argv = [self._command, "-o", "json", "--all", "--no-pager", "-f", "-u", self._unit]
        argv += ["--after-cursor", self._cursor] if self._cursor else ["-n", str(TAIL)]
        try:
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
            )
        except FileNotFoundError:
            raise SourceError("journalctl is not installed here", remedy="Only hosts with systemd have it") from None
        self._process = process
        assert process.stdout is not None and process.stderr is not None
        try:
            if self.closed:
                return
            while data := os.read(process.stdout.fileno(), _CHUNK):
                for cursor in _CURSOR.findall(data):
                    self._cursor = cursor.decode("ascii", "replace")
                yield data
            said = clean(process.stderr.read(2000).decode("utf-8", "replace").strip().split("\n")[0], 200)
            code = process.wait()
            raise SourceError(
                f"journalctl ended ({code})" + (f": {said}" if said else ""),
                remedy="Reading the journal needs root or the group systemd-journal",
            )
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(2.0)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            process.stdout.close()
            process.stderr.close()
