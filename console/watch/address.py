"""Where a target is: "host:port" text taken apart, and names resolved without ever blocking the event loop.

asyncio resolves names in a pool whose threads are joined when the process ends, so a dead name server would
hold up the exit; here a daemon thread does it. Nothing is cached: that a name stopped resolving is news.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import TypeVar

from console.errors import SourceError
from console.watch.source import Lane

T = TypeVar("T")


def split_host_port(target: str, default_port: int | None = None) -> tuple[str, int]:
    """
    >>> split_host_port("db.internal:5432")
    ('db.internal', 5432)
    >>> split_host_port("[::1]:80"), split_host_port("::1", 443), split_host_port("shop.example", 443)
    (('::1', 80), ('::1', 443), ('shop.example', 443))

    Raises ValueError with what is wrong.
    """
    text = target.strip().rpartition("://")[2].split("/")[0]
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":")
    elif text.count(":") > 1:
        host, port = text, ""
    else:
        host, _, port = text.partition(":")
    if not host:
        raise ValueError("no host in the target")
    if not port:
        if default_port is None:
            raise ValueError("no port in the target: write host:port")
        return host, default_port
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError("the port is no number from 1 to 65535")
    return host, int(port)


def is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


class Resolver:
    """Resolves one name at a time in a thread of its own; who asks meanwhile shares the answer."""

    def __init__(self, name: str) -> None:
        self._lane = Lane(f"names for {name}")
        self._asking: tuple[str, asyncio.Task[list[str] | OSError]] | None = None

    async def addresses(self, host: str, deadline: float) -> list[str]:
        """Addresses of `host` in the order the system prefers. Raises OSError or TimeoutError."""
        if is_address(host):
            return [host]
        if self._asking is None or self._asking[0] != host or self._asking[1].done():
            self._asking = (host, asyncio.create_task(self._lane.call(_getaddrinfo, host)))
        try:
            # Not wait_for: before Python 3.12 it loses a cancellation that comes with the answer.
            async with asyncio.timeout(deadline):
                found = await asyncio.shield(self._asking[1])
        except SourceError as error:
            raise TimeoutError(f"names cannot be resolved: {error}") from error
        if isinstance(found, OSError):
            raise found
        return found

    def close(self) -> None:
        if self._asking is not None:
            self._asking[1].cancel()
        self._lane.close()


def _getaddrinfo(host: str) -> list[str] | OSError:
    try:
        rows = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except UnicodeError:
        return socket.gaierror(socket.EAI_NONAME, "not a host name")
    except OSError as error:
        return error
    return list(dict.fromkeys(str(row[4][0]) for row in rows))


async def first_that_connects(
    addresses: list[str], deadline: float, attempt: Callable[[str, float], Awaitable[T]]
) -> T:
    """The result of the first address that connects; each gets an equal share of what time is left.

    A service published on 127.0.0.1 alone is still found by the name localhost, which is ::1 too.
    """
    clock = asyncio.get_running_loop().time
    end = clock() + deadline
    failure: Exception = OSError("no address")
    for left, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
        try:
            return await attempt(address, max(0.05, (end - clock()) / left))
        except OSError as error:  # TimeoutError is one
            if isinstance(error, ssl.SSLError):  # it did connect: what it said counts
                raise
            failure = error
    raise failure


async def connect(
    resolver: Resolver, host: str, port: int, deadline: float, tls: ssl.SSLContext | None = None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """An open stream to `host`, with TLS in its name where a context is given. Raises OSError, TimeoutError."""

    async def attempt(address: str, seconds: float) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        async with asyncio.timeout(seconds):
            return await asyncio.open_connection(address, port, ssl=tls, server_hostname=host if tls else None)

    return await first_that_connects(await resolver.addresses(host, deadline), deadline, attempt)
