"""Probes that speak for themselves on a socket: tcp connects, redis says PING."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import unquote, urlsplit

from console.config import ProbeConfig
from console.redact import add_literals
from console.watch.address import Resolver, connect, split_host_port
from console.watch.probes.result import Answer

_REDIS_PORT = 6379
_INFO_LIMIT = 1 << 20  # bytes; it is about 6 KB
_REDIS_WORDS = {
    "NOAUTH": "asks for a password",
    "WRONGPASS": "password refused",
    "LOADING": "is loading its data",
    "MASTERDOWN": "has lost its master",
    "MISCONF": "cannot save to disk",
    "DENIED": "refuses connections from here (protected mode)",
}


async def probe_tcp(config: ProbeConfig, target: str, resolver: Resolver) -> Answer:
    host, port = split_host_port(target)
    _, writer = await connect(resolver, host, port, config.timeout)
    writer.transport.abort()
    return Answer(True, "connected")


async def probe_redis(config: ProbeConfig, target: str, resolver: Resolver, trust: ssl.SSLContext) -> Answer:
    async with redis_session(target, config.timeout, resolver, trust) as (reader, writer, refused):
        if refused:
            return Answer(False, refused, timed=False)
        writer.write(_command("PING"))
        reply = await _reply(reader)
        if reply == "+PONG":
            return Answer(True, "PONG")
        return Answer(False, _refusal(reply) or f"this is no Redis: it answered {reply[:60]!r}", timed=False)


async def redis_info(target: str, deadline: float, resolver: Resolver, trust: ssl.SSLContext | None) -> dict[str, str]:
    """The fields of INFO. Raises ValueError for a server that refuses, else what connecting raises."""
    async with asyncio.timeout(deadline), redis_session(target, deadline, resolver, trust) as (reader, writer, refused):
        if not refused:
            writer.write(_command("INFO"))
            head = await _reply(reader)
            refused = _refusal(head) or ("" if head[:1] == "$" and head[1:].isdigit() else "this is no Redis")
        if refused:
            raise ValueError(refused)
        body = (await reader.readexactly(min(int(head[1:]), _INFO_LIMIT))).decode("utf-8", "replace")
    return dict(line.split(":", 1) for line in body.splitlines() if ":" in line)


@asynccontextmanager
async def redis_session(
    target: str, deadline: float, resolver: Resolver, trust: ssl.SSLContext | None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter, str]]:
    """A connection on which the password was given, and why it was refused ("" when it was not)."""
    parts = urlsplit(target if "://" in target else f"redis://{target}")
    if parts.scheme not in ("redis", "rediss"):
        raise ValueError("the target is no redis:// URL and no host:port")
    password, user = unquote(parts.password or ""), unquote(parts.username or "")
    add_literals([password])
    tls = (trust or ssl.create_default_context()) if parts.scheme == "rediss" else None
    host, port = parts.hostname or "127.0.0.1", parts.port or _REDIS_PORT
    reader, writer = await connect(resolver, host, port, deadline, tls)
    try:
        refused = ""
        if password:
            writer.write(_command(*(["AUTH", user, password] if user else ["AUTH", password])))
            refused = _refusal(await _reply(reader))
        yield reader, writer, refused
    finally:
        writer.transport.abort()


def _command(*words: str) -> bytes:
    """
    >>> _command("PING")
    b'*1\\r\\n$4\\r\\nPING\\r\\n'
    """
    parts = [f"*{len(words)}\r\n".encode()]
    for word in words:
        raw = word.encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(raw), raw))
    return b"".join(parts)


async def _reply(reader: asyncio.StreamReader) -> str:
    try:
        line = await reader.readuntil(b"\r\n")
    except asyncio.IncompleteReadError as error:
        if not error.partial:
            raise ConnectionResetError(104, "closed") from error
        line = error.partial
    except asyncio.LimitOverrunError:
        line = await reader.read(60)
    return line.decode("utf-8", "replace").rstrip("\r\n")


def _refusal(reply: str) -> str:
    """What an error reply means; "" for any other reply."""
    if not reply.startswith("-"):
        return ""
    word = reply[1:].split(" ", 1)[0]
    return _REDIS_WORDS.get(word, reply[1:161])
