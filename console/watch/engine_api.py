"""The connection to a Docker engine: where it is, which API version to speak, deadlines, errors in plain words.

Everything that talks to an engine, here and in `console.actions`, gets its client from this file. Two ways lead
to the engine. docker-py does all there is to do, over sockets, TCP and TLS, with the API version pinned: left to
find the version by itself it hangs in its constructor when the engine is frozen. For reads on a local socket there
is `_ask`, a plain GET: `import docker` costs 65-105 ms on top of Textual (http.client 7 ms, this 0) and a call
0.6 ms of cpu against 0.06, so the first frame and the rhythm of every second go without it.
This file changes nothing on the engine and keeps no state of containers.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from console.config import DockerConfig
from console.text import clean
from console.watch.engine_errors import EngineError, EngineSilentError, NoSuchContainerError, explain, refused
from console.watch.engine_host import Endpoint, find_endpoint

if TYPE_CHECKING:
    from docker import APIClient

    from console.watch.engine_tunnel import Tunnel

__all__ = [
    "CALL_DEADLINE",
    "STATS_THREADS",
    "Engine",
    "EngineError",
    "EngineSilentError",
    "EngineVersion",
    "NoSuchContainerError",
    "agreed_version",
    "client",
    "explain",
]

NEWEST_API = (1, 45)  # what docker-py 7 speaks; a newer engine is asked to speak this
OLDEST_API = (1, 24)  # what docker-py 7 still speaks: Docker 1.12
CALL_DEADLINE = 2.5  # seconds; a read of containers has 3 in all
STATS_THREADS = 32  # ask a remote engine for figures at once, each over its own kept connection
_CHUNK = 1 << 18


@dataclass(frozen=True, slots=True)
class EngineVersion:
    """What answers there, and the API version that all calls are pinned to."""

    label: str  # "Docker 20.10.24 (API 1.41)"
    api: str  # "1.41"


class Engine:
    """One engine, found from the configuration. Safe to use from several threads; nothing is called before `pin`.

    Every method raises EngineError. A deadline is the whole call's on a local socket, and the longest silence
    of the engine elsewhere.
    """

    def __init__(self, docker: DockerConfig, env: Mapping[str, str] | None = None) -> None:
        self.endpoint: Endpoint = find_endpoint(docker.host, os.environ if env is None else env)
        self._tunnel: Tunnel | None = None
        if self.endpoint.scheme == "ssh":
            from console.watch.engine_tunnel import Tunnel

            self._tunnel = Tunnel(self.endpoint)
        self._version: EngineVersion | None = None
        self._reader: APIClient | None = None

    @property
    def local(self) -> bool:
        """Its containers may be processes of this host."""
        return self.endpoint.scheme == "unix"

    @property
    def version(self) -> EngineVersion:
        """Raises EngineError where the engine has never been reached."""
        return self._version or self.pin()

    def pin(self, deadline: float = CALL_DEADLINE) -> EngineVersion:
        """Ask the engine for its version and pin all later calls to what both speak. Again after a reconnect."""
        told = self._get("/version", deadline)
        version = agreed_version(told if isinstance(told, dict) else {})
        if self._version is not None and self._version.api != version.api:
            self._drop_reader()
        self._version = version
        return version

    def ping(self, deadline: float) -> None:
        """Return when the engine answers at all."""
        self._get("/_ping", deadline, parse=False)

    def get(self, path: str, deadline: float = CALL_DEADLINE, **query: str | int) -> Any:
        """The JSON that the engine answers to GET `path` ("/containers/json")."""
        asked = f"/v{self.version.api}{quote(path)}"
        return self._get(f"{asked}?{urlencode(query)}" if query else asked, deadline)

    def lines(self, path: str, deadline: float = CALL_DEADLINE, **query: str | int) -> list[Any]:
        """The JSON documents, one a line, that the engine answers to GET `path` ("/events" until some moment)."""
        asked = f"/v{self.version.api}{quote(path)}?{urlencode(query)}"
        body = self._get(asked, deadline, parse=False)
        try:
            return [json.loads(line) for line in body.splitlines() if line.strip()]
        except ValueError as error:
            raise self.explain(error, deadline) from error

    def client(self, deadline: float = 10.0) -> APIClient:
        """docker-py's low-level client with the version pinned and `deadline` as its HTTP timeout.

        The engine is asked for its version first: where nothing answers that says so at once, and docker-py
        leaks a socket when a connection is refused.
        The caller closes it. Its calls block, so they belong into a thread; wrap them in `plain_words`.
        `exec_start` knows no timeout and needs a deadline of the caller's own.
        """
        return self._client(self.pin(min(deadline, CALL_DEADLINE)).api, deadline)

    @contextmanager
    def plain_words(self, deadline: float | None = None) -> Iterator[None]:
        """Turn what docker-py, requests or the system raise inside into an EngineError."""
        try:
            yield
        except Exception as error:
            raise self.explain(error, deadline) from error

    def explain(self, error: Exception, deadline: float | None = None) -> EngineError:
        """`error`, as raised by docker-py, requests, a socket or this file, in words for a person."""
        if isinstance(error, EngineError):
            return error
        if self._tunnel is not None and (trouble := self._tunnel.trouble()):
            return EngineError(
                f"ssh to {self.endpoint.ssh_target} failed: {trouble}",
                remedy=f"It must log in without a question: try 'ssh {self.endpoint.ssh_target} true'",
            )
        return explain(error, self.endpoint, deadline)

    def close(self) -> None:
        """Close what is kept open. Clients given out are closed by those who asked for them."""
        self._drop_reader()
        if self._tunnel is not None:
            self._tunnel.close()

    def _socket(self, deadline: float) -> str:
        """The socket on this host that leads to the engine; "" where none does."""
        return self._tunnel.open(deadline) if self._tunnel is not None else self.endpoint.path

    def _get(self, path: str, deadline: float, *, parse: bool = True) -> Any:
        began = time.monotonic()
        try:
            if where := self._socket(deadline):
                status, body = _ask(where, path, max(0.1, deadline - (time.monotonic() - began)))
            else:
                status, body = self._ask_remote(path, deadline)
            if status >= 400:
                raise refused(status, _message(body))
            return json.loads(body) if parse else body
        except Exception as error:
            raise self.explain(error, deadline) from error

    def _ask_remote(self, path: str, deadline: float) -> tuple[int, bytes]:
        if self._reader is None:
            # All paths carry their version, so that of the client does not matter.
            reader = self._client(f"{OLDEST_API[0]}.{OLDEST_API[1]}", CALL_DEADLINE)
            from requests.adapters import HTTPAdapter

            for scheme in ("http://", "https://"):
                reader.mount(scheme, HTTPAdapter(pool_maxsize=STATS_THREADS + 4))
            self._reader = reader
        # requests counts connecting and each silence apart.
        response = self._reader.get(self._reader.base_url + path, timeout=(deadline, deadline))
        return response.status_code, response.content

    def _client(self, api: str, deadline: float) -> APIClient:
        with self.plain_words(deadline):
            from docker import APIClient
            from docker.tls import TLSConfig

            timeout: Any = deadline  # requests takes fractions of seconds, whatever the stubs say
            if where := self._socket(deadline):
                return APIClient(base_url=f"unix://{where}", version=api, timeout=timeout)
            tls: TLSConfig | bool = False
            if certificates := self.endpoint.certificates:
                if not all((certificates / name).is_file() for name in ("ca.pem", "cert.pem", "key.pem")):
                    raise EngineError(
                        f"no TLS certificates in {certificates}: ca.pem, cert.pem and key.pem are needed",
                        remedy="Set DOCKER_CERT_PATH to their directory",
                    )
                tls = TLSConfig(
                    client_cert=(str(certificates / "cert.pem"), str(certificates / "key.pem")),
                    ca_cert=str(certificates / "ca.pem"),
                    verify=self.endpoint.verify,
                )
            remote = APIClient(base_url=self.endpoint.host, version=api, timeout=timeout, tls=tls)
            # requests prefers REQUESTS_CA_BUNDLE to the engine's own authority, and would go through a web proxy.
            remote.trust_env = False
            return remote

    def _drop_reader(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()


def client(docker: DockerConfig, deadline: float = 10.0) -> APIClient:
    """A docker-py client of the configured engine for one piece of work; the caller closes it. See Engine.client."""
    return Engine(docker).client(deadline)


def agreed_version(told: Mapping[str, Any]) -> EngineVersion:
    """The version both sides speak, from the engine's answer to /version. Raises EngineError when there is none.

    >>> agreed_version({"Version": "20.10.24+dfsg1", "ApiVersion": "1.41"})
    EngineVersion(label='Docker 20.10.24 (API 1.41)', api='1.41')
    """
    theirs, oldest = _numbers(told.get("ApiVersion")), _numbers(told.get("MinAPIVersion"))
    if theirs is None:
        raise EngineError("what answers there is no Docker engine", remedy="Set [docker] host to one")
    number = clean(str(told.get("Version", "?")).partition("+")[0], 40)
    if theirs < OLDEST_API:
        raise EngineError(
            f"Docker {number} is too old: it speaks API {theirs[0]}.{theirs[1]}, "
            f"sevdeck needs {OLDEST_API[0]}.{OLDEST_API[1]}",
            remedy="Upgrade the engine to Docker 1.12 or newer",
        )
    if oldest is not None and oldest > NEWEST_API:
        raise EngineError(
            f"Docker {number} is too new: it speaks no API below {oldest[0]}.{oldest[1]}, "
            f"sevdeck knows {NEWEST_API[0]}.{NEWEST_API[1]}",
            remedy="Upgrade sevdeck, or set min-api-version in the engine's daemon.json",
        )
    api = "{}.{}".format(*min(theirs, NEWEST_API))
    parts = told.get("Components")
    name = parts[0].get("Name", "") if isinstance(parts, list) and parts and isinstance(parts[0], dict) else ""
    maker = "Podman" if "podman" in str(name).lower() else "Docker"
    return EngineVersion(f"{maker} {number} (API {api})", api)


def _ask(where: str, path: str, deadline: float) -> tuple[int, bytes]:
    """Status and body of GET `path` over the socket file `where`, all within `deadline` seconds.

    HTTP/1.0, so that the body ends with the connection and is never chunked. Raises OSError, ValueError.
    """
    end = time.monotonic() + deadline
    parts: list[bytes] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(deadline)
        sock.connect(where)
        sock.sendall(f"GET {path} HTTP/1.0\r\nHost: docker\r\nUser-Agent: sevdeck\r\n\r\n".encode("ascii"))
        while part := sock.recv(_CHUNK):
            parts.append(part)
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError
            sock.settimeout(left)
    head, end_of_head, body = b"".join(parts).partition(b"\r\n\r\n")
    words = head[:64].split(None, 2)
    if not end_of_head:
        raise ConnectionResetError("hung up before the answer")
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        raise ValueError("not HTTP")
    return int(words[1]), body


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body[:500].decode(errors="replace")


def _numbers(version: object) -> tuple[int, int] | None:
    major, _, minor = str(version or "").partition(".")
    return (int(major), int(minor)) if major.isdigit() and minor.isdigit() else None
