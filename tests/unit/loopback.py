"""Real servers and certificates for tests: asyncio servers on loopback, certificates made by openssl."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serve(talk: Talk, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server on 127.0.0.1 that talks like this to everybody; gives its port."""
    open_ends: set[asyncio.StreamWriter] = set()

    async def guest(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_ends.add(writer)
        try:
            await talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(guest, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in open_ends:
            writer.transport.abort()
        await asyncio.sleep(0)


@dataclass
class Asked:
    """One HTTP request as the server saw it."""

    line: str
    headers: dict[str, str]
    body: bytes


def web(reply: Callable[[Asked], tuple[int, str]], *more: str) -> Talk:
    """An HTTP server that answers (status, body), with these further header lines."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {key.lower(): value.strip() for key, _, value in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        status, text = reply(Asked(head[0], headers, body))
        raw = text.encode()
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(raw)}", *more, "", ""]
        writer.write("\r\n".join(lines).encode() + raw)
        await writer.drain()

    return talk


def json_page(document: object) -> Talk:
    return web(lambda asked: (200, json.dumps(document)))


async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Accepts and never says anything."""
    await reader.read(-1)


def certificate(directory: Path, name: str, *, start: str, end: str) -> Path:
    """A self-signed certificate and its key in one PEM file. Times are like 20200101000000Z."""
    settings = directory / f"{name}.cnf"
    database = directory / f"{name}.index"
    database.write_text("")
    settings.write_text(
        f"[ca]\ndefault_ca=own\n[own]\nnew_certs_dir={directory}\ndatabase={database}\nrand_serial=yes\n"
        "default_md=sha256\npolicy=any\nx509_extensions=ext\n[any]\ncommonName=supplied\n"
        f"[ext]\nsubjectAltName=DNS:{name},DNS:localhost,IP:127.0.0.1\nbasicConstraints=critical,CA:true\n"
        "[req]\ndistinguished_name=dn\n[dn]\n"
    )
    key, request, pem = (directory / f"{name}.{ending}" for ending in ("key", "csr", "pem"))
    _openssl(
        "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-batch",
        "-config", str(settings), "-subj", f"/CN={name}", "-keyout", str(key), "-out", str(request),
    )  # fmt: skip
    _openssl(
        "ca", "-batch", "-selfsign", "-notext", "-config", str(settings), "-keyfile", str(key),
        "-in", str(request), "-out", str(pem), "-startdate", start, "-enddate", end,
    )  # fmt: skip
    pem.write_text(pem.read_text() + key.read_text())
    return pem


def shows(pem: Path) -> ssl.SSLContext:
    """The server side that shows this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


def believes(pem: Path) -> ssl.SSLContext:
    """The client side that trusts this certificate and nothing else."""
    return ssl.create_default_context(cafile=str(pem))


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=30)
