"""`sevdeck logs parse`: one JSON object for each line, whatever the bytes; times, zones, masking, closed pipes."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from console.watch.logread import RecordReader

ROOT = Path(__file__).parents[2]
NOW = "2026-11-25T12:00:00Z"


def run(*words: str, data: bytes = b"", at: Path = ROOT, zone: str = "UTC") -> subprocess.CompletedProcess[bytes]:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": "/nonexistent", "TZ": zone}
    command = [sys.executable, "-m", "console", "logs", "parse", *words]
    return subprocess.run(command, input=data, env=env, cwd=at, capture_output=True, timeout=60)


def told(data: bytes, *words: str, zone: str = "UTC") -> list[dict[str, Any]]:
    done = run("-", "--now", NOW, *words, data=data, zone=zone)
    assert (done.returncode, done.stderr) == (0, b"")
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_each_line_is_one_object() -> None:
    first, second, third = told(
        b"Nov 24 08:15:42 prod-2 sshd[4410]: error: too many attempts\n"
        b'{"level":50,"time":1795508142902,"msg":"boom"}\n'
        b"    at Cart.total (/app/src/cart.js:41:17)"
    )
    assert first == {
        "time": "2026-11-24T08:15:42.000000",
        "level": "error",
        "source": "sshd",
        "message": "too many attempts",
        "continuation": False,
    }
    assert (second["time"], second["level"], second["source"]) == ("2026-11-24T08:15:42.902000Z", "error", None)
    assert third["continuation"] is True
    assert third["time"] is None


def test_a_time_with_an_offset_is_told_in_utc_and_one_without_stays_without() -> None:
    lines = told(b"2026-11-24T08:15:42.5+02:00 INFO a\n2026-11-24 08:15:42 INFO b\n", zone="America/Sao_Paulo")
    assert [line["time"] for line in lines] == ["2026-11-24T06:15:42.500000Z", "2026-11-24T08:15:42.000000"]


@pytest.mark.parametrize(
    ("now", "year"), [("2026-01-01T00:05:00Z", "2025"), ("1767225900", "2025"), ("2025-12-31T23:59:59Z", "2025")]
)
def test_now_resolves_a_missing_year(now: str, year: str) -> None:
    done = run("-", f"--now={now}", data=b"Dec 31 23:59:59 host app: x\n")
    assert json.loads(done.stdout)["time"] == f"{year}-12-31T23:59:59.000000"


@pytest.mark.parametrize(
    ("timezone", "time"),
    [
        ("+02:00", "2026-11-24T06:15:42.000000Z"),
        ("America/Sao_Paulo", "2026-11-24T11:15:42.000000Z"),
        ("utc", "2026-11-24T08:15:42.000000Z"),
        ("local", "2026-11-24T00:15:42.000000Z"),
    ],
)
def test_a_configured_zone_is_that_of_times_without_one(tmp_path: Path, timezone: str, time: str) -> None:
    (tmp_path / "sevdeck.toml").write_text(
        f'[[logs]]\nname = "app"\npath = "{tmp_path}/*.log"\ntimezone = "{timezone}"\n'
    )
    (tmp_path / "app.log").write_text("2026-11-24 08:15:42 INFO ready\n")
    done = run("app.log", at=tmp_path, zone="Asia/Shanghai")
    assert json.loads(done.stdout)["time"] == time, done.stderr
    at = RecordReader({"app": timezone}, lambda: 0.0).read("app", b"2026-11-24 08:15:42 INFO ready").at
    if timezone != "local":
        assert at == datetime.fromisoformat(time).timestamp()


def test_any_bytes_give_one_object_a_line() -> None:
    data = (
        bytes(range(256))
        + b"\n\n\r\n\xff\xfe\n"
        + b"\x1b]0;owned\x07\n"
        + b"\x9b31m\n"
        + b"{" * 9000
        + b"\n"
        + b"x" * 1_000_000
    )
    lines = told(data)
    assert len(lines) == len(data.split(b"\n"))
    assert run("-", data=data).stdout.isascii()


def test_secrets_are_masked_also_keys_on_many_lines() -> None:
    body = "q" * 64
    lines = told(
        f"INFO DB_PASSWORD=hunter2hunter2 used\n-----BEGIN RSA PRIVATE KEY-----\n{body}\n-----END RSA PRIVATE KEY-----\n".encode()
    )
    text = json.dumps(lines)
    assert "hunter2" not in text
    assert body not in text


def test_parts_of_one_entry_have_no_level_of_their_own() -> None:
    entry = '{"log":"%s","stream":"stdout","time":"2026-11-24T08:15:42.902133456Z"}\n'
    first, second = told((entry % "INFO one ERROR" + entry % "ERROR two\\n").encode())
    assert (first["level"], first["continuation"]) == ("info", False)
    assert (second["level"], second["continuation"], second["message"]) == (None, True, "ERROR two")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("gone.log",), "gone.log cannot be read: No such file or directory"),
        (("/tmp",), "/tmp cannot be read: Is a directory"),
        (("-", "--now", "yesterday"), "--now yesterday is no time"),
        (("-", "--now", "1e99"), "--now 1e99 is no time"),
        (("a\x01b",), "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_said(words: tuple[str, ...], said: str) -> None:
    done = run(*words)
    assert done.returncode == 2
    assert said in done.stderr.decode()
    assert done.stdout == b""


@pytest.mark.parametrize("command", [("logs", "parse"), ("redact",)])
def test_a_reader_that_has_seen_enough_ends_it_quietly(tmp_path: Path, command: tuple[str, ...]) -> None:
    log = tmp_path / "app.log"
    log.write_text("2026-11-24 08:15:42 INFO ready\n" * 20000)
    words = [sys.executable, "-m", "console", *command, str(log)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert (process.wait(30), process.stderr.read()) == (0, b"")
    process.stderr.close()


def test_each_line_comes_when_it_was_written() -> None:
    words = [sys.executable, "-m", "console", "logs", "parse", "-"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdin is not None and process.stdout is not None
        for level in ("info", "error"):
            process.stdin.write(f"{level}: x\n".encode())
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["level"] == level


def test_a_line_without_an_end_costs_no_memory() -> None:
    """300 MB without a newline, with 250 MB of address space."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (250 << 20, 250 << 20))

    words = [sys.executable, "-m", "console", "logs", "parse", "-"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, preexec_fn=limit) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(b"ERROR: ")
        for _ in range(300):
            process.stdin.write(b"x" * (1 << 20))
        process.stdin.write(b"\ninfo: next\n")
        process.stdin.close()
        lines = process.stdout.read().splitlines()
    assert [json.loads(line)["level"] for line in lines] == ["error", "info"]


def test_a_time_at_the_end_of_all_time_is_none() -> None:
    (line,) = told(b"9999-12-31T23:59:59-23:59 stdout F level=error msg=x\n")
    assert (line["time"], line["level"]) == (None, "error")
