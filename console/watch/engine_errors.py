"""What can go wrong between us and a Docker engine, in words for a person, each with its remedy.

docker-py, requests, urllib3 and the system wrap the same few faults in many errors; here they become one kind.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator

from console.errors import SourceError
from console.redact import redact
from console.text import clean
from console.watch.engine_host import Endpoint


class EngineError(SourceError):
    """The engine could not be asked, or refused. `status` is its HTTP answer, None when there was none."""

    def __init__(self, message: str, *, remedy: str = "", status: int | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.status = status

    def again(self) -> EngineError:
        """A copy to raise once more: raising one object for hours would grow its traceback for hours."""
        return type(self)(self.message, remedy=self.remedy, status=self.status)


class EngineSilentError(EngineError):
    """No answer within the deadline. What was asked may still happen."""


class NoSuchContainerError(EngineError):
    """The engine knows nothing of this name or id (any more)."""


def explain(error: Exception, endpoint: Endpoint, deadline: float | None = None) -> EngineError:
    """What `error` means for a person who wants to reach `endpoint`, and what to do about it."""
    chain = list(_causes(error))
    for cause in chain:
        if isinstance(cause, EngineError):
            return cause
        status = getattr(cause, "status_code", None)
        if isinstance(status, int):  # docker.errors.APIError
            return refused(status, str(getattr(cause, "explanation", "") or cause))
    # A timeout in any layer first: they wrap each other in errors that only speak of a connection.
    if any(isinstance(cause, TimeoutError) or "Timeout" in type(cause).__name__ for cause in chain):
        return _silent(deadline)
    for cause in reversed(chain):
        if isinstance(cause, OSError) and (known := _unreachable(cause, endpoint)) is not None:
            return known
    if any(type(cause).__name__ in {"ConnectionError", "ProtocolError", "RemoteDisconnected"} for cause in chain):
        return EngineError("the Docker engine hung up in the middle of an answer", remedy="It may be restarting")
    if isinstance(error, ValueError):
        return EngineError("the answer is not that of a Docker engine", remedy="Check [docker] host")
    text = clean(redact(str(error).strip() or type(error).__name__), 200)
    return EngineError(f"Docker engine: {text}")


def _unreachable(error: OSError, endpoint: Endpoint) -> EngineError | None:
    local = endpoint.scheme == "unix"
    start = "Start it with 'sudo systemctl start docker', or set [docker] host"
    if isinstance(error, FileNotFoundError) and local:
        return EngineError(f"Docker is not installed or not running here: no {endpoint.path}", remedy=start)
    if isinstance(error, ConnectionRefusedError):
        if local:
            return EngineError(f"the Docker engine is stopped: nothing listens on {endpoint.path}", remedy=start)
        return EngineError(f"{endpoint.host} refuses connections", remedy="Is its engine listening on TCP?")
    if isinstance(error, PermissionError) and local:
        return EngineError(
            f"no permission to use {endpoint.path}",
            remedy="Add your user to the docker group ('sudo usermod -aG docker $USER', then log in again), "
            "or run sevdeck with sudo",
        )
    if isinstance(error, socket.gaierror):
        return EngineError(f"the name in {endpoint.host} does not resolve", remedy="Check [docker] host")
    if (said := getattr(error, "verify_message", None)) is not None:  # ssl.SSLCertVerificationError
        remedy = "DOCKER_CERT_PATH must hold the ca.pem of that engine"
        return EngineError(f"the certificate of {endpoint.host} is not trusted: {clean(said, 120)}", remedy=remedy)
    if isinstance(error, ConnectionError):
        return EngineError("the Docker engine hung up in the middle of an answer", remedy="It may be restarting")
    if error.errno is not None and error.strerror:
        return EngineError(f"{endpoint.host}: {clean(error.strerror.lower(), 120)}", remedy="Check [docker] host")
    return None


def _silent(deadline: float | None) -> EngineError:
    waited = "" if deadline is None else f" ({deadline:g} s)"
    return EngineSilentError(
        f"Docker engine does not answer{waited}",
        remedy="Containers may still serve: do not restart it before looking at 'journalctl -u docker' and the load",
    )


def refused(status: int, said: str) -> EngineError:
    text = clean(redact(said.strip()), 300).rstrip(".") or f"HTTP {status}"
    if status == 404 and "no such container" in text.lower():
        return NoSuchContainerError(text, status=status)
    if status == 400 and "client version" in text.lower():
        remedy = "The engine was replaced; the next try asks for its version again"
        return EngineError(f"Docker engine: {text}", remedy=remedy, status=status)
    return EngineError(f"Docker engine: {text}", status=status)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what lies beneath it, outermost first; urllib3 and requests also nest in `args` and `reason`."""
    seen: set[int] = set()
    todo: list[BaseException] = [error]
    while todo:
        cause = todo.pop(0)
        if id(cause) in seen or len(seen) > 20:
            continue
        seen.add(id(cause))
        yield cause
        beneath = (cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args)
        todo += [inner for inner in beneath if isinstance(inner, BaseException)]
