"""TLS to a server with a certificate of a private authority: what fits works, what does not is named."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from console.replica.schema import initialise
from tests.postgres.cluster import Server, identity, spare_port
from tests.postgres.conftest import absent
from tests.postgres.hosts import Make, eventually


def _openssl(place: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=place, check=True, capture_output=True, timeout=30)


def _authority(place: Path, name: str) -> None:
    _openssl(place, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
             "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem",
             "-addext", "basicConstraints=critical,CA:true", "-addext", "keyUsage=keyCertSign")  # fmt: skip


def _certificate(place: Path, name: str, authority: str) -> None:
    _openssl(place, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
             f"/CN={name}", "-keyout", "server.key", "-out", "server.csr")  # fmt: skip
    (place / "names").write_text(f"subjectAltName=DNS:{name}\n")
    _openssl(place, "x509", "-req", "-in", "server.csr", "-CA", f"{authority}.pem", "-CAkey", f"{authority}.key",
             "-CAcreateserial", "-days", "2", "-extfile", "names", "-out", "server.pem")  # fmt: skip


@pytest.fixture(scope="module")
def secure(postgres: Server) -> Iterator[Server]:
    """A server of its own that speaks TLS, as `localhost`."""
    if shutil.which("openssl") is None:
        absent("openssl is not installed")
    place = postgres.data.parent / "certificates"
    place.mkdir(mode=0o755)
    _authority(place, "authority")
    _authority(place, "stranger")
    _certificate(place, "localhost", "authority")
    who = identity(postgres.user)
    if who:
        os.chown(place / "server.key", who["user"], who["group"])
    (place / "server.key").chmod(0o600)
    settings = (*postgres.settings, "ssl=on", f"ssl_cert_file={place}/server.pem", f"ssl_key_file={place}/server.key")
    server = replace(postgres, data=postgres.data.parent / "secure", port=spare_port(), settings=settings)
    server.initialise()
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
async def dsn(secure: Server) -> AsyncIterator[str]:
    await initialise(secure.dsn())
    yield secure.dsn(host="localhost")


def _with(dsn: str, secure: Server, mode: str, authority: str = "authority") -> str:
    return f"{dsn}?sslmode={mode}&sslrootcert={secure.data.parent}/certificates/{authority}.pem"


async def test_the_right_certificate(host: Make, secure: Server, dsn: str) -> None:
    one = host("prod-1", _with(dsn, secure, "verify-full"))
    journal = one.store.create("Checkout returns 502", 1)
    one.write(journal, "over TLS")
    await one.until(lambda s: s.in_step and s.waiting == 0 and bool(s.vectors))
    two = host("prod-2", _with(dsn, secure, "verify-ca"))
    await eventually(lambda: two.store.list() != [])


async def test_what_does_not_fit_is_named(host: Make, secure: Server, dsn: str, postgres: Server) -> None:
    wrong = {
        "an authority this host does not trust": _with(dsn, secure, "verify-full", "stranger"),
        "for another address": _with(secure.dsn(), secure, "verify-full"),  # the certificate is for localhost
        "does not speak TLS": _with(postgres.dsn(host="localhost"), secure, "verify-full"),
    }
    for number, (words, where) in enumerate(wrong.items()):
        one = host(f"prod-{number}", where)
        journal = one.store.create("waits", 3)
        status = await one.until(lambda s: s.state == "tls")
        print(status.words(time.time()))
        assert words in status.reason and status.away
        one.write(journal, "recorded all the same")
        assert one.store.incident(journal.incident).timeline[-1].summary == "recorded all the same"


@pytest.mark.parametrize("missing", ["sslmode=verify-full&sslrootcert=/nowhere/ca.pem", "sslmode=verify-full"])
async def test_an_authority_that_is_not_there_is_a_wrong_setting(
    missing: str, host: Make, dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # where one would be looked for
    status = await host("prod-1", f"{dsn}?{missing}").until(lambda s: s.state == "settings")
    print(status.words(time.time()))
    assert "/nowhere/ca.pem: No such file" in status.reason or "root certificate" in status.reason
