"""HTTP for probes and metrics: one client kept open, one request at a time each, nothing followed or retried.

httpx is imported here, in a thread, at the first request (110 ms that would freeze the screen). Each request
makes a new connection: that is what users do, and a connection kept alive would hide that none can be made.
Proxies of the environment are not used: a probe asks the target itself.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from console import __version__
from console.watch.address import Resolver, first_that_connects, is_address
from console.watch.reasons import causes
from console.watch.source import Lane

if TYPE_CHECKING:
    import httpx

BODY_LIMIT = 1 << 20  # bytes read of an answer
_PREPARE = 20.0  # seconds; an import from a slow disk
_INSECURE = "https+insecure://"


@dataclass(frozen=True, slots=True)
class Page:
    """An answer: its status, where it points elsewhere, and the first megabyte of its body."""

    status: int
    location: str  # of a redirect, not cleaned; ""
    body: bytes


class Web:
    """An HTTP/1.1 client. `trust` replaces the authorities of this host; `https+insecure://` skips the check."""

    def __init__(self, name: str, trust: ssl.SSLContext | None = None) -> None:
        self._name = name
        self._trust = trust
        self._lane = Lane(f"{name} imports")
        self._preparing = asyncio.Lock()
        self._client: httpx.AsyncClient | None = None
        self._careless: httpx.AsyncClient | None = None
        self._resolvers: dict[str, Resolver] = {}

    async def ready(self) -> None:
        """Import and set up, once. Not part of what a probe measures."""
        async with self._preparing:
            if self._client is None:
                self._client, self._careless = await self._lane.call(_clients, self._trust, deadline=_PREPARE)

    async def request(
        self, method: str, url: str, *, body: bytes = b"", headers: Mapping[str, str] | None = None, deadline: float
    ) -> Page:
        """One answer, whatever its status.

        Raises ValueError for a URL that is none, TimeoutError, and OSError or what httpx wraps around it
        (`console.watch.reasons` names them).
        """
        await self.ready()
        import httpx

        client = self._careless if url.startswith(_INSECURE) else self._client
        assert client is not None  # `ready` made both
        try:
            target = httpx.URL(url.replace(_INSECURE, "https://", 1))
        except httpx.InvalidURL as error:
            raise ValueError("the target is no URL") from error
        if target.scheme not in ("http", "https") or not target.host:
            raise ValueError("the target is no http:// or https:// URL")
        host = target.raw_host.decode()
        named = {"Host": target.netloc.decode(), **(headers or {})}
        extensions = {} if is_address(target.host) else {"sni_hostname": host}

        async def attempt(address: str, seconds: float) -> Page:
            request = client.build_request(
                method,
                target.copy_with(host=address),
                content=body or None,
                headers=named,
                extensions=extensions | {"timeout": httpx.Timeout(deadline, connect=seconds).as_dict()},
            )
            try:
                return await _fetch(client, request)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                if any(isinstance(cause, ssl.SSLError) for cause in causes(error)):
                    raise  # it did connect: another address would say no better
                raise ConnectionError("could not connect") from error

        async with asyncio.timeout(deadline):
            resolver = self._resolvers.setdefault(host, Resolver(host))
            addresses = await resolver.addresses(target.host if is_address(target.host) else host, deadline)
            return await first_that_connects(addresses, deadline, attempt)

    async def close(self) -> None:
        clients = [client for client in (self._client, self._careless) if client is not None]
        self._client = self._careless = None
        for client in clients:
            await client.aclose()
        self._lane.close()
        for resolver in self._resolvers.values():
            resolver.close()


async def _fetch(client: httpx.AsyncClient, request: httpx.Request) -> Page:
    response = await client.send(request, stream=True)
    try:
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) >= BODY_LIMIT:
                break
        return Page(response.status_code, response.headers.get("location", ""), bytes(body[:BODY_LIMIT]))
    finally:
        await response.aclose()


@cache
def trusted_authorities() -> ssl.SSLContext:
    """A context that verifies: the authorities of this host, or those that come with httpx where it has none.

    Made once, and in a thread: reading them takes 20 ms and more.
    """
    paths = ssl.get_default_verify_paths()
    if os.environ.get("SSL_CERT_FILE") or paths.cafile or (paths.capath and any(Path(paths.capath).iterdir())):
        return ssl.create_default_context()
    import certifi

    return ssl.create_default_context(cafile=certifi.where())


def no_authorities() -> ssl.SSLContext:
    """A context that believes anybody: for reading what a server shows, not for trusting it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _clients(trust: ssl.SSLContext | None) -> tuple[httpx.AsyncClient, httpx.AsyncClient]:
    import httpx

    def client(context: ssl.SSLContext) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            verify=context,
            http2=False,
            trust_env=False,
            follow_redirects=False,
            headers={"User-Agent": f"sevdeck/{__version__}", "Accept-Encoding": "identity"},
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    return client(trust or trusted_authorities()), client(no_authorities())
