"""`sevdeck logs analyze`: files, standard input, answers for scripts and for people."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from console.cli import logs_analyze, main
from tests.bench.loghub import score
from tests.unit.mined_lines import lines

LOG = """\
2026-11-22T19:00:00Z INFO request 17 took 34 ms
2026-11-22T19:00:01Z INFO request 18 took 5 ms
2026-11-22T19:00:02Z ERROR cannot reach 10.0.0.3:5432 password=hunter2secret
Traceback (most recent call last):
  File "app.py", line 3, in serve
ConnectionError: gone
2026-11-22T19:00:03Z WARN retrying
"""
Sevdeck = Callable[..., tuple[int, str, str]]


@pytest.fixture
def sevdeck(capsys: pytest.CaptureFixture[str]) -> Sevdeck:
    def run(*words: str) -> tuple[int, str, str]:
        code = main(["logs", "analyze", *words])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def log(tmp_path: Path) -> str:
    path = tmp_path / "app.log"
    path.write_text(LOG)
    return str(path)


def test_the_answer_for_scripts(sevdeck: Sevdeck, log: str) -> None:
    code, out, err = sevdeck(log, "--json")
    answer: dict[str, Any] = json.loads(out)
    assert (code, err, answer["lines"]) == (0, "", 7)
    assert answer["levels"]["info"] == 2 and answer["levels"]["warning"] == 1
    found = {one["pattern"]: one for one in answer["patterns"]}
    assert found["request <*> took <*>"] | {"id": "", "examples": []} == {
        "id": "", "pattern": "request <*> took <*>", "count": 2, "level": "info", "examples": [],
        "first": "2026-11-22T19:00:00.000000Z", "last": "2026-11-22T19:00:01.000000Z",
    }  # fmt: skip
    assert found["request <*> took <*>"]["examples"] == ["request 17 took 34 ms", "request 18 took 5 ms"]
    assert answer["patterns"][-1]["pattern"] == "request <*> took <*>", "the worst come first"
    assert (answer["bursts"], answer["new"]) == ([], [])
    assert "hunter2" not in out


def test_the_table_for_people(sevdeck: Sevdeck, log: str) -> None:
    code, out, _ = sevdeck(log)
    assert code == 0 and out.startswith("7 lines, ")
    rows = out.splitlines()
    assert any(row.split()[:2] == ["2", "info"] and row.endswith("request <*> took <*>") for row in rows)
    assert "hunter2" not in out and "BURSTS" not in out


def test_each_line_gets_the_final_id_of_its_pattern(sevdeck: Sevdeck, tmp_path: Path) -> None:
    path = tmp_path / "moved.log"
    words = ("lamp", "chair", "table", "carpet", "mirror", "drawer")
    path.write_text("".join(f"2026-11-22T19:00:0{n}Z INFO moved the {w} into storage\n" for n, w in enumerate(words)))
    code, out, _ = sevdeck(str(path), "--assign")
    ids = {json.loads(row)["pattern"] for row in out.splitlines()}
    assert (code, len(out.splitlines()), len(ids)) == (0, 6, 1)
    assert json.loads(sevdeck(str(path), "--json")[1])["patterns"][0]["id"] in ids


def test_frames_belong_to_the_line_before(sevdeck: Sevdeck, log: str) -> None:
    ids = [json.loads(row)["pattern"] for row in sevdeck(log, "--assign")[1].splitlines()]
    assert len(ids) == 7 and ids[4] == ids[3] and ids[0] == ids[1] != ids[2]


def test_bare_messages_are_grouped_as_well_as_whole_lines(sevdeck: Sevdeck, tmp_path: Path) -> None:
    """Also those that begin with a space: where no line has a header, they are no rest of the line before."""
    told = lines("storage")
    bare, whole = tmp_path / "bare.log", tmp_path / "whole.log"
    bare.write_text("".join(f" {message}\n" if "scrub" in message else f"{message}\n" for message, _ in told))
    whole.write_text("".join(f"2026-11-22 19:00:00,{n:03} INFO {message}\n" for n, (message, _) in enumerate(told)))
    for path in (bare, whole):
        given = [json.loads(row)["pattern"] for row in sevdeck(str(path), "--assign")[1].splitlines()]
        assert score(given, [statement for _, statement in told]) == (1.0, 1.0), path.name


def test_standard_input_and_several_files(sevdeck: Sevdeck, log: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(LOG.encode())))
    code, out, _ = sevdeck("-", log, "--json")
    answer = json.loads(out)
    assert (code, answer["lines"]) == (0, 14)
    assert {one["count"] for one in answer["patterns"]} >= {2, 4}


def test_bursts_and_new_patterns_of_a_day(sevdeck: Sevdeck, tmp_path: Path) -> None:
    rows = [f"2026-11-22T{m // 60:02}:{m % 60:02}:00Z WARN slow answer {m} ms" for m in range(0, 1200, 10)]
    rows += [f"2026-11-22T20:01:{n % 60:02}Z WARN slow answer {n} ms" for n in range(90)]
    rows.append("2026-11-22T20:02:00Z ERROR cannot reach the cache")
    path = tmp_path / "day.log"
    path.write_text("\n".join(rows) + "\n")
    answer = json.loads(sevdeck(str(path), "--json")[1])
    ids = {one["pattern"]: one["id"] for one in answer["patterns"]}
    assert answer["new"] == [ids["cannot reach the cache"]]
    (burst,) = [one for one in answer["bursts"] if one["pattern"]]
    assert (burst["pattern"], burst["count"], burst["at"]) == (
        ids["slow answer <*>"],
        90,
        "2026-11-22T20:00:00.000000Z",
    )
    out = sevdeck(str(path))[1]
    assert "BURSTS" in out and "90 in 5 min, usually 0." in out and "error: cannot reach the cache" in out


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\x00\xff\xfe\x1b]0;x\x07", b"x" * 3_000_000, b"\r\n \t\r\n"])
def test_any_bytes_are_analyzed(sevdeck: Sevdeck, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd.log"
    path.write_bytes(content)
    for words in ([], ["--json"], ["--assign"]):
        code, out, err = sevdeck(str(path), *words)
        assert (code, err) == (0, "") and "\x1b" not in out
    assert len(out.splitlines()) == len(content.split(b"\n")) - content.endswith(b"\n") - (not content)


def test_what_cannot_be_read_is_said(sevdeck: Sevdeck, tmp_path: Path) -> None:
    code, out, err = sevdeck(str(tmp_path / "none.log"))
    assert (code, out) == (2, "") and "none.log cannot be read: No such file" in err


def test_too_many_lines_to_assign_are_refused(sevdeck: Sevdeck, log: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs_analyze, "_MOST_ASSIGNED", 5)
    code, out, err = sevdeck(log, "--assign")
    assert (code, out) == (2, "") and "Split the file" in err
