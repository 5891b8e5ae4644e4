"""`sevdeck replica` against a real PostgreSQL: what it prints and its exit codes."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from console.cli import main
from tests.postgres.cluster import Server


@pytest.fixture
def settings(own_world: Path, postgres: Server, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = own_world / "sevdeck.toml"
    file.write_text('[replica]\ndsn = "env:RECORD"\n')
    monkeypatch.setenv("SEVDECK_CONFIG", str(file))
    monkeypatch.setenv("RECORD", postgres.dsn("console_record"))

    async def make() -> None:
        admin: asyncpg.Connection[Any] = await asyncpg.connect(postgres.dsn())
        await admin.execute("drop database if exists console_record")
        await admin.execute("create database console_record")
        await admin.close()

    asyncio.run(make())
    return file


def answer(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> Any:
    capsys.readouterr()
    assert main([*words, "--json"]) == code, capsys.readouterr()
    return json.loads(capsys.readouterr().out)


def test_init_then_status(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = answer(capsys, "replica", "status", code=1)
    assert missing["state"] == "schema" and "replica init" in missing["reason"]
    made = answer(capsys, "replica", "init")
    assert made["created"] and made["schema_version"] == 2 and made["role"] == "sevdeck_writer"
    assert not answer(capsys, "replica", "init")["created"]
    assert answer(capsys, "replica", "status")["state"] == "in step"
    declared = answer(capsys, "incident", "declare", "--title", "x", "--severity", "3", "--no-evidence")
    status = answer(capsys, "replica", "status", code=1)
    one = status["incidents"][0]
    assert status["state"] == "catching up" and status["waiting"] == one["waiting"] == one["saved"] >= 2
    assert one["id"] == declared["id"] and one["database"] == 0
    assert main(["replica", "status"]) == 1
    told = capsys.readouterr().out
    assert f"{declared['id']}  ● {one['saved']} saved · DB 0 · {one['saved']} waiting" in told
    assert "correct-horse-9" not in told


def test_what_is_wrong_is_said(settings: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.setenv("RECORD", "postgresql://postgres:wrong@127.0.0.1:1/x")
    away = answer(capsys, "replica", "status", code=1)
    assert away["state"] == "offline" and away["waiting"] is None and away["reason"] == "connection refused"
    assert main(["replica", "init"]) == 1
    assert "cannot be prepared there: connection refused" in capsys.readouterr().err
    settings.write_text("")
    assert main(["replica", "status"]) == 2 and main(["replica", "init"]) == 2
    assert "no server is named" in capsys.readouterr().err
