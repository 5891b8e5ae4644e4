"""Every kind of probe against real servers on loopback: what is well, what is not, and in which words."""

from __future__ import annotations

import asyncio
import json
import os
import select
import ssl
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from console.config import ProbeConfig
from console.watch.address import Resolver, split_host_port
from console.watch.probes import ProbeResult, ProbesSource, run_probe
from console.watch.probes.source import follow
from tests.unit.loopback import Asked, Talk, believes, certificate, serve, shows, silence, web


def probe(kind: str, target: str, **more: Any) -> ProbeConfig:
    return ProbeConfig(**{"name": "it", "kind": kind, "target": target, "timeout": 2.0, **more})


def stamp(days: float) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).strftime("%Y%m%d%H%M%SZ")


@pytest.mark.parametrize(
    ("expect", "status", "ok", "says"),
    [
        ("", 200, True, "200 in "),
        ("", 503, False, "503 in "),
        ("2xx", 204, True, "204 in "),
        ("200,204", 204, True, "204 in "),
        ("200,204", 301, False, "expected 200 or 204"),
        ("200 body:all well", 200, True, "200 in "),
        ("body:some other", 200, False, 'but the answer lacks "some other"'),
        ("4xx", 404, True, "404 in "),
    ],
)
async def test_http_judges_status_and_body(expect: str, status: int, ok: bool, says: str) -> None:
    async with serve(web(lambda asked: (status, "all well here" if status != 204 else ""))) as port:
        result = await run_probe(probe("http", f"http://127.0.0.1:{port}/health", expect=expect))
    assert result.ok is ok, result.detail
    assert says in result.detail
    assert result.latency is not None and 0 < result.latency < 2


async def test_http_posts_json_as_json_and_names_the_host_it_was_given() -> None:
    seen: list[Asked] = []

    def reply(asked: Asked) -> tuple[int, str]:
        seen.append(asked)
        return 200, ""

    async with serve(web(reply)) as port:
        url = f"http://localhost:{port}/webhook?source=probe"
        for body in ('{"text": "probe"}', "text=probe"):
            assert (await run_probe(probe("http", url, method="post", body=body))).ok
    assert [one.headers["content-type"] for one in seen] == ["application/json", "text/plain; charset=utf-8"]
    assert seen[0].line == "POST /webhook?source=probe HTTP/1.1"
    assert json.loads(seen[0].body) == {"text": "probe"}
    assert seen[0].headers["host"] == f"localhost:{port}"


async def test_http_tells_where_a_redirect_leads_and_does_not_follow() -> None:
    asked: list[str] = []

    def reply(one: Asked) -> tuple[int, str]:
        asked.append(one.line)
        return 302, ""

    async with serve(web(reply, "Location: https://login.example/?next=/")) as port:
        result = await run_probe(probe("http", f"http://127.0.0.1:{port}/"))
    assert result.ok is False
    assert "302 to https://login.example/" in result.detail
    assert len(asked) == 1


async def test_control_sequences_in_an_answer_do_not_reach_the_screen() -> None:
    async with serve(web(lambda asked: (302, ""), "Location: /\x1b]0;owned\x07")) as port:
        hostile = await run_probe(probe("http", f"http://127.0.0.1:{port}/"))
    said = await run_probe(probe("command", "printf '\\033]0;owned\\007'"))
    assert hostile.ok is False and hostile.detail.isprintable()
    assert "owned" in said.detail and said.detail.isprintable()


async def test_refused_silent_and_unresolvable_in_plain_words() -> None:
    async with serve(silence) as port:
        silent = await run_probe(probe("http", f"http://127.0.0.1:{port}/", timeout=0.3))
    refused = await run_probe(probe("http", f"http://127.0.0.1:{port}/"))
    nameless = await run_probe(probe("http", "http://nowhere.invalid/", timeout=10.0))
    assert (silent.ok, silent.detail, silent.latency) == (False, "no answer in 0.3 s", None)
    assert (refused.ok, refused.detail) == (False, "connection refused")
    assert (nameless.ok, nameless.detail) == (False, "name does not resolve")


async def test_a_server_that_drips_its_answer_is_cut_off_at_the_deadline() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with serve(drip) as port:
        began = time.monotonic()
        result = await run_probe(probe("http", f"http://127.0.0.1:{port}/", timeout=0.4))
    assert result.detail == "no answer in 0.4 s"
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("target", "expect", "says"),
    [
        ("ftp://x/", "", "no http:// or https:// URL"),
        ("env:SEVDECK_NO_SUCH", "", "SEVDECK_NO_SUCH is not set"),
        ("http://127.0.0.1/", "20x", '"20x" is no status'),
    ],
)
async def test_what_cannot_be_tried_is_unknown_and_not_down(target: str, expect: str, says: str) -> None:
    result = await run_probe(probe("http", target, expect=expect))
    assert result.ok is None
    assert says in result.detail


async def test_http_verifies_certificates_by_name(tmp_path: Path) -> None:
    good = certificate(tmp_path, "shop.example", start=stamp(-1), end=stamp(100))
    async with serve(web(lambda asked: (200, "")), shows(good)) as port:
        url = f"https://localhost:{port}/"
        assert (await run_probe(probe("http", url), trust=believes(good))).ok
        stranger = await run_probe(probe("http", url))
        careless = await run_probe(probe("http", url.replace("https", "https+insecure")))
    assert (stranger.ok, stranger.detail) == (False, "TLS certificate is self-signed")
    assert careless.ok


async def test_http_names_an_expired_certificate(tmp_path: Path) -> None:
    old = certificate(tmp_path, "old.example", start=stamp(-100), end=stamp(-3))
    async with serve(web(lambda asked: (200, "")), shows(old)) as port:
        result = await run_probe(probe("http", f"https://localhost:{port}/"), trust=believes(old))
    assert (result.ok, result.detail) == (False, "TLS certificate expired")


@pytest.mark.parametrize(
    ("days", "expect", "ok", "says"),
    [
        (100.5, "", True, "certificate of shop.example ends in 100 days"),
        (5.5, "", False, "certificate of shop.example ends in 5 days, expected at least 14 days"),
        (5.5, "3", True, "ends in 5 days"),
        (-3.5, "", False, "certificate of shop.example expired 3 days ago"),
    ],
)
async def test_tls_counts_the_days_left(tmp_path: Path, days: float, expect: str, ok: bool, says: str) -> None:
    pem = certificate(tmp_path, "shop.example", start=stamp(-100), end=stamp(days))
    async with serve(silence, shows(pem)) as port:
        result = await run_probe(probe("tls", f"localhost:{port}", expect=expect), trust=believes(pem))
    assert result.ok is ok, result.detail
    assert says in result.detail


async def test_tls_reads_a_certificate_that_nobody_trusts(tmp_path: Path) -> None:
    pem = certificate(tmp_path, "own.example", start=stamp(-1), end=stamp(50.5))
    async with serve(silence, shows(pem)) as port:
        result = await run_probe(probe("tls", f"127.0.0.1:{port}"))
    assert result.ok is False
    assert result.detail == "certificate of own.example is self-signed, ends in 50 days"


async def test_tls_on_a_port_that_speaks_no_tls() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        await reader.read(-1)

    async with serve(plain) as port:
        result = await run_probe(probe("tls", f"127.0.0.1:{port}"))
    assert result.ok is False
    assert result.detail.startswith("TLS handshake failed")


async def test_tcp() -> None:
    async with serve(silence) as port:
        assert (await run_probe(probe("tcp", f"127.0.0.1:{port}"))).ok
    assert (await run_probe(probe("tcp", f"127.0.0.1:{port}"))).detail == "connection refused"
    assert "write host:port" in (await run_probe(probe("tcp", "127.0.0.1"))).detail


def redis(password: str = "", pong: bytes = b"+PONG\r\n") -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        allowed = not password
        while True:
            count = int((await reader.readuntil(b"\r\n"))[1:])
            words = []
            for _ in range(count):
                size = int((await reader.readuntil(b"\r\n"))[1:])
                words.append((await reader.readexactly(size + 2))[:-2].decode())
            if words[0] == "AUTH":
                allowed = words[-1] == password
                writer.write(b"+OK\r\n" if allowed else b"-WRONGPASS invalid username-password pair\r\n")
            else:
                writer.write(pong if allowed else b"-NOAUTH Authentication required.\r\n")
            await writer.drain()

    return talk


@pytest.mark.parametrize(
    ("url", "ok", "says"),
    [
        ("redis://:s3cret%21x@127.0.0.1:{port}/0", True, "PONG in "),
        ("redis://default:s3cret%21x@127.0.0.1:{port}", True, "PONG in "),
        ("redis://:wrong-one@127.0.0.1:{port}", False, "password refused"),
        ("127.0.0.1:{port}", False, "asks for a password"),
    ],
)
async def test_redis_with_a_password(url: str, ok: bool, says: str) -> None:
    async with serve(redis("s3cret!x")) as port:
        result = await run_probe(probe("redis", url.format(port=port)))
    assert result.ok is ok, result.detail
    assert says in result.detail
    assert "s3cret" not in repr(result) and "wrong-one" not in repr(result)


async def test_redis_that_is_loading_hung_or_no_redis_at_all() -> None:
    async with serve(redis(pong=b"-LOADING Redis is loading the dataset in memory\r\n")) as port:
        assert (await run_probe(probe("redis", f"127.0.0.1:{port}"))).detail.startswith("is loading its data")
    async with serve(silence) as port:
        hung = await run_probe(probe("redis", f"127.0.0.1:{port}", timeout=0.2))
    async with serve(web(lambda asked: (200, ""))) as port:
        other = await run_probe(probe("redis", f"127.0.0.1:{port}", timeout=0.5))
    assert (hung.ok, hung.detail) == (False, "no answer in 0.2 s")
    assert other.ok is False


async def test_command_exit_codes_and_last_line() -> None:
    program = f'{sys.executable} -c "import sys; print(\'first\'); print(sys.argv[1]); sys.exit(3)" "$HOME;`id`"'
    strict = await run_probe(probe("command", program, timeout=20.0))
    lenient = await run_probe(probe("command", program, expect="0,3", timeout=20.0))
    assert strict.ok is False and "exit 3" in strict.detail and "expected 0" in strict.detail
    assert lenient.ok is True
    assert strict.detail.endswith("$HOME;`id`"), "no shell may look at the arguments"
    missing = await run_probe(probe("command", "no-such-program --version"))
    assert (missing.ok, missing.detail) == (None, "there is no program no-such-program")


async def test_a_command_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    note = tmp_path / "pids"
    script = f"sleep 300 & echo $$ $! > {note}; wait"
    result = await run_probe(probe("command", f"sh -c '{script}'", timeout=1.0))
    assert (result.ok, result.detail) == (False, "no answer in 1 s")
    for pid in map(int, note.read_text().split()):
        assert ended(pid)


def ended(pid: int) -> bool:
    """Whether a process ends within five seconds."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], 5.0)[0])
    finally:
        os.close(handle)


async def test_a_command_that_leaves_a_child_holding_its_output_ends_when_it_ends(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    began = time.monotonic()
    result = await run_probe(probe("command", f"sh -c 'echo done; sleep 300 & echo $! > {note}'", timeout=10.0))
    assert time.monotonic() - began < 5
    assert result.ok is True and "done" in result.detail
    os.kill(int(note.read_text()), 9)


async def test_a_command_that_prints_without_end_is_no_burden() -> None:
    result = await run_probe(probe("command", "sh -c 'head -c 20000000 /dev/zero; echo; echo end'", timeout=20.0))
    assert result.ok is True and result.detail.endswith(": end")


async def test_postgres_that_is_not_there_hangs_or_is_something_else() -> None:
    async with serve(silence) as port:
        dsn = f"postgresql://app:hunter2-x@localhost:{port}/shop"
        hung = await run_probe(probe("postgres", dsn, timeout=0.4))
    refused = await run_probe(probe("postgres", dsn))
    assert (hung.ok, hung.detail) == (False, "no answer in 0.4 s")
    assert (refused.ok, refused.detail) == (False, "connection refused")
    assert "hunter2" not in repr((hung, refused))
    assert (await run_probe(probe("postgres", "env:NO_SUCH_DSN"))).ok is None


async def test_a_hung_probe_delays_no_other() -> None:
    async with serve(silence) as deaf, serve(web(lambda asked: (200, ""))) as port:
        source = ProbesSource(
            [
                probe("http", f"http://127.0.0.1:{deaf}/", name="hung", timeout=60.0),
                probe("http", f"http://127.0.0.1:{port}/", name="well", every=0.1),
            ]
        )
        first = await source.read()
        assert [result.detail for result in first.probes] == ["not tried yet"] * 2
        async with asyncio.timeout(20):
            while len((await source.read()).probes[1].history) < 3:
                await source.changed()
        hung, well = (await source.read()).probes
        began = time.monotonic()
        await source.close()
    assert hung.ok is None and not hung.history
    assert well.ok and well.history == (True,) * len(well.history)
    assert time.monotonic() - began < 3


async def test_one_picture_without_a_schedule() -> None:
    async with serve(web(lambda asked: (200, ""))) as port:
        source = ProbesSource([probe("http", f"http://127.0.0.1:{port}/", name=str(n)) for n in range(5)])
        reading = await source.read_once()
        await source.close()
    assert [result.ok for result in reading.probes] == [True] * 5


def result(ok: bool | None, at: float, **more: Any) -> ProbeResult:
    return ProbeResult("it", "http", "x", ok, "", 0.1, at, at, False, **more)


def test_history_is_bounded_and_since_moves_only_with_the_state() -> None:
    last: ProbeResult | None = None
    for at in range(50):
        last = follow(last, result(at < 40, float(at)))
    assert last is not None
    assert len(last.history) == 30
    assert last.history[-10:] == (False,) * 10
    assert (last.since, last.at) == (40.0, 49.0)
    unknown = follow(last, result(None, 50.0))
    assert unknown.history == last.history


async def test_many_probes_of_one_name_at_once() -> None:
    async with serve(web(lambda asked: (200, ""))) as port:
        source = ProbesSource([probe("http", f"http://localhost:{port}/", name=str(n)) for n in range(8)])
        reading = await source.read_once()
        await source.close()
    assert [result.detail[:7] for result in reading.probes] == ["200 in "] * 8


async def test_names_resolve_in_a_daemon_thread_so_that_a_dead_name_server_cannot_hold_up_the_exit() -> None:
    resolver = Resolver("test")
    addresses = await resolver.addresses("localhost", 5.0)
    helpers = [thread for thread in threading.enumerate() if thread.name.startswith("lane-names for test")]
    resolver.close()
    assert "127.0.0.1" in addresses
    assert helpers and all(thread.daemon for thread in helpers)


def test_bad_ports_are_refused() -> None:
    for target in ("db:0", "db:70000", "db:http", ":80", "db"):
        with pytest.raises(ValueError):
            split_host_port(target)


async def test_secrets_in_targets_are_masked() -> None:
    async with serve(web(lambda asked: (200, ""))) as port:
        url = f"http://operator:Tr0ub4dor-x@127.0.0.1:{port}/?access_token=EAAGm0PX4ZCpsBAKZCZCexample123456"
        result = await run_probe(probe("http", url))
    assert result.ok, result.detail
    assert "Tr0ub4dor" not in repr(result)
    assert "EAAGm0PX4ZCpsBAK" not in repr(result)


def test_default_trust_verifies() -> None:
    from console.watch.web import trusted_authorities

    assert trusted_authorities().verify_mode is ssl.CERT_REQUIRED
    assert trusted_authorities().check_hostname
