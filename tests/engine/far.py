"""The shared engine as a remote one is reached: over TCP, over TLS with certificates on both sides, over ssh."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.sshd import sshd

WAYS = ("tcp", "tls", "ssh")


@contextlib.contextmanager
def reached(way: str, engine: Path, place: Path) -> Iterator[dict[str, str]]:
    """The environment in which docker and sevdeck find the engine with this socket file by this way."""
    if way == "ssh":
        with sshd(place) as server:
            (place / "ssh").write_text(f'#!/bin/sh\nexec /usr/bin/ssh {" ".join(server.options)} "$@"\n')
            (place / "ssh").chmod(0o755)
            yield {"DOCKER_HOST": "ssh://127.0.0.1", "PATH": f"{place}:{os.environ['PATH']}"}
        return
    with forwarded(engine, _certified(place) if way == "tls" else None) as port:
        env = {"DOCKER_HOST": f"tcp://127.0.0.1:{port}"}
        yield env | ({"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(place)} if way == "tls" else {})


@contextlib.contextmanager
def forwarded(engine: Path, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """A port of loopback that leads to the socket file."""
    server = socket.create_server(("127.0.0.1", 0))
    opened: list[socket.socket] = []

    def pump(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while part := source.recv(65536):
                target.sendall(part)
            target.shutdown(socket.SHUT_WR)

    def accept() -> None:
        while True:
            try:
                near, _ = server.accept()
            except OSError:
                return
            try:
                near = tls.wrap_socket(near, server_side=True) if tls else near
            except OSError:
                continue
            far = socket.socket(socket.AF_UNIX)
            opened.extend((near, far))
            far.connect(str(engine))
            for ends in ((near, far), (far, near)):
                threading.Thread(target=pump, args=ends, daemon=True).start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield server.getsockname()[1]
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        accepting.join(5)
        for each in opened:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


def _certified(place: Path) -> ssl.SSLContext:
    """Makes ca.pem, cert.pem and key.pem as docker wants them, and the server's own."""

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=place, check=True, stderr=subprocess.DEVNULL)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *key, "-days", "2", "-subj", "/CN=test ca", "-keyout", "ca.key", "-out", "ca.pem")
    (place / "san").write_text("subjectAltName=IP:127.0.0.1\n")
    for name, more in (("server", ("-extfile", "san")), ("client", ())):
        openssl("req", *key, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        signed = ("-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2")
        openssl("x509", *signed, *more, "-out", f"{name}.pem")
    (place / "client.pem").rename(place / "cert.pem")
    (place / "client.key").rename(place / "key.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(place / "server.pem", place / "server.key")
    context.load_verify_locations(place / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    return context
