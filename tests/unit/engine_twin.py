"""A Docker engine's twin for tests: answers what it was told to over a real socket file, and can be frozen."""

from __future__ import annotations

import json
import queue
import shutil
import socket
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

VERSION = {"Version": "20.10.24+dfsg1", "ApiVersion": "1.41", "MinAPIVersion": "1.12"}


def inspected(id_: str = "a" * 64, name: str = "shop-app-1", **changes: Any) -> dict[str, Any]:
    """GET /containers/{id}/json of a running Compose service; `changes` go into its State."""
    state = {
        "Status": "running",
        "Pid": 0,
        "ExitCode": 0,
        "OOMKilled": False,
        "StartedAt": "2026-01-01T10:00:00.5Z",
        "FinishedAt": "0001-01-01T00:00:00Z",
    }
    return {
        "Id": id_,
        "Name": f"/{name}",
        "Created": "2026-01-01T09:00:00Z",
        "RestartCount": 2,
        "State": state | changes,
        "Config": {
            "Image": "shop/app:1",
            "Tty": False,
            "Env": ["DATABASE_PASSWORD=hunter2"],
            "Labels": {
                "com.docker.compose.project": "shop",
                "com.docker.compose.service": "app",
                "com.docker.compose.depends_on": "postgres:service_healthy:false,redis:service_started:true",
            },
        },
        "HostConfig": {"NanoCpus": 1_500_000_000, "Memory": 1 << 28, "RestartPolicy": {"Name": "unless-stopped"}},
        "NetworkSettings": {
            "Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}, {"HostIp": "::", "HostPort": "8080"}]},
            "Networks": {"shop_back": {"IPAddress": "172.18.0.2"}},
        },
    }


def listed(inspect: dict[str, Any]) -> dict[str, Any]:
    """The same container in GET /containers/json."""
    return {
        "Id": inspect["Id"],
        "Names": [inspect["Name"]],
        "Image": inspect["Config"]["Image"],
        "State": inspect["State"]["Status"],
        "Status": "Up 3 minutes",
        "Labels": inspect["Config"]["Labels"],
        "NetworkSettings": {"Networks": inspect["NetworkSettings"]["Networks"]},
        "Created": 1767258000,
    }


def event(action: str, at: float, id_: str = "a" * 64, **attributes: str) -> dict[str, Any]:
    """One line of GET /events."""
    about = {
        "name": "shop-app-1",
        "com.docker.compose.project": "shop",
        "com.docker.compose.service": "app",
    } | attributes
    actor = {"ID": id_, "Attributes": about}
    return {"Type": "container", "Action": action, "Actor": actor, "timeNano": int(at * 1e9)}


class EngineTwin:
    """A context manager; `host` is its address. What is asked for and not in `answers` gets 404."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, Any]] = {"/version": (200, VERSION), "/_ping": (200, "OK")}
        self.asked: list[str] = []
        self.sent: list[tuple[str, bytes]] = []  # path and body of every request that has one
        self.hanging: set[str] = set()  # paths that never answer
        self.streaming = threading.Event()  # someone reads events
        self._directory = Path(tempfile.mkdtemp(prefix="twin"))  # short: socket paths have 107 characters
        self._going = threading.Event()
        self._going.set()
        self._over = threading.Event()
        self._streams: list[queue.SimpleQueue[bytes | None]] = []
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(self.path))
        self._server.listen(64)
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    @property
    def path(self) -> Path:
        return self._directory / "docker.sock"

    @property
    def host(self) -> str:
        return f"unix://{self.path}"

    def __enter__(self) -> EngineTwin:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._going.set()
        self.cut()
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for thread in self._threads:
            thread.join(5)
        shutil.rmtree(self._directory)

    def put(self, *containers: dict[str, Any]) -> None:
        """These containers and no others."""
        for path in [path for path in self.answers if path.startswith("/containers/")]:
            del self.answers[path]
        self.answers["/containers/json"] = (200, [listed(container) for container in containers])
        for container in containers:
            self.answers[f"/containers/{container['Id']}/json"] = (200, container)

    def tell(self, what: dict[str, Any]) -> None:
        """Send an event to all that listen."""
        line = json.dumps(what).encode() + b"\n"
        for stream in self._streams:
            stream.put(b"%x\r\n%s\r\n" % (len(line), line))

    def cut(self) -> None:
        """End the event streams, as a dying engine does."""
        self.streaming.clear()
        streams, self._streams = self._streams, []
        for stream in streams:
            stream.put(None)

    def freeze(self) -> None:
        self._going.clear()

    def thaw(self) -> None:
        self._going.set()

    def times(self, path: str) -> int:
        return self.asked.count(path)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                part = connection.recv(65536)
                if not part:
                    return
                head += part
            path = urlsplit(head.split()[1].decode()).path
            if path.startswith("/v1."):
                path = path[path.index("/", 1) :]
            self._going.wait()
            self.asked.append(path)
            if body := _body(connection, head):
                self.sent.append((path, body))
            if path in self.hanging:
                self._over.wait()
            elif path == "/events" and path not in self.answers:
                self._stream(connection)
            else:
                status, answer = self.answers.get(path, (404, {"message": f"No such container: {path}"}))
                body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                head = b"HTTP/1.1 %d X\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % (status, len(body))
                connection.sendall(head + body)

    def _stream(self, connection: socket.socket) -> None:
        mine: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
        self._streams.append(mine)
        self.streaming.set()
        while (part := mine.get()) is not None:
            connection.sendall(part)


def _body(connection: socket.socket, head: bytes) -> bytes:
    """What follows the head of a request, as long as it says, or in chunks."""
    headers, _, body = head.partition(b"\r\n\r\n")
    said = dict(line.lower().split(b":", 1) for line in headers.split(b"\r\n")[1:] if b":" in line)
    if b"chunked" in said.get(b"transfer-encoding", b""):
        while not body.endswith(b"0\r\n\r\n"):
            body += connection.recv(65536)
        return body
    while len(body) < int(said.get(b"content-length", b"0")):
        body += connection.recv(65536)
    return body
