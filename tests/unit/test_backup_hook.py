"""The contract of `[backup] hook`: what a program may answer, and what becomes of every other answer."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import pytest

from console.actions.backup.hook import Hook, HookError
from console.checks.check import Status
from console.cli import main
from console.errors import RefusedError, SevdeckError, UnknownOutcomeError, UsageError

A = {"id": "20261122-030000F", "created_at": "2026-11-22T03:00:00+00:00", "size": 4000, "database": "shop"}
B = {"id": "20261123-030000F", "created_at": "2026-11-23T03:00:00+00:00", "size": 5000, "sha256": "ab"}

# A backup program in memory of a file: `answers` says what each word gets, `said` collects how it was called.
PROGRAM = """\
import json, os, pathlib, sys, time
here = pathlib.Path(__file__).parent
with (here / "said").open("a") as file:
    file.write(json.dumps([sys.argv[1:], os.environ["SEVDECK_PROJECT"], os.environ["SEVDECK_DEADLINE"]]) + "\\n")
answer = json.loads((here / "answers").read_text())[sys.argv[1]]
time.sleep(answer.get("sleep", 0))
for name in answer.get("files", []):
    pathlib.Path(sys.argv[3], name).write_text("data")
sys.stderr.write(answer.get("err", ""))
sys.stdout.write(answer["raw"] if "raw" in answer else json.dumps(answer.get("out", {})))
sys.exit(answer.get("code", 0))
"""


class Program:
    def __init__(self, home: Path) -> None:
        self.home = home
        (home / "program.py").write_text(PROGRAM)
        self.command = f"{sys.executable} -S -E {home / 'program.py'}"
        self.answers: dict[str, object] = {"list": {"out": {"backups": [A, B]}}, "create": {"out": B}}
        self.set()

    def set(self, **answers: object) -> None:
        self.answers.update(answers)
        (self.home / "answers").write_text(json.dumps(self.answers))

    @property
    def said(self) -> list[list[str]]:
        return [json.loads(line)[0] for line in (self.home / "said").read_text().splitlines()]


@pytest.fixture
def program(tmp_path: Path) -> Program:
    home = tmp_path / "program"
    home.mkdir()
    return Program(home)


@pytest.fixture
def hook(program: Program, tmp_path: Path) -> Hook:
    return Hook(program.command, tmp_path / "backups", "shop", "shop", 20.0)


async def test_its_backups_are_listed_newest_first(hook: Hook, program: Program) -> None:
    found = await hook.backups()
    assert [(b.id, b.size, b.database, b.source) for b in found] == [
        (B["id"], 5000, "shop", "hook"),
        (A["id"], 4000, "shop", "hook"),
    ]
    assert found[1].created_at == 1_795_316_400.0
    assert json.loads((program.home / "said").read_text()) == [["list"], "shop", "30"]


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        ({"code": 1, "err": "no space"}, HookError, "hook list: no space"),
        ({"code": 3, "err": "held"}, RefusedError, "held"),
        ({"code": 4}, UnknownOutcomeError, "unknown"),
        ({"code": 99}, HookError, "exit 99"),
        ({"raw": "fine!"}, HookError, "one JSON object"),
        ({"raw": "[]"}, HookError, "one JSON object"),
        ({"out": {}}, HookError, "backups"),
        ({"out": {"backups": [{"id": "x"}]}}, HookError, "needs id, created_at, size"),
        ({"out": {"backups": [{**A, "created_at": "2026-11-22T03:00:00"}]}}, HookError, "no offset"),
        ({"out": {"backups": [{**A, "id": "../../etc/x"}]}}, HookError, "is no id"),
        ({"out": {"backups": [{**A, "id": "--delete"}]}}, HookError, "is no id"),
        ({"out": {"backups": [None]}}, HookError, "needs id"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
async def test_an_answer_that_is_none_is_an_error_in_words(
    hook: Hook, program: Program, answer: object, error: type[SevdeckError], words: str
) -> None:
    program.set(list=answer)
    with pytest.raises(error) as raised:
        await hook.backups()
    assert type(raised.value) is error
    assert words in raised.value.message


async def test_terminal_codes_in_its_words_are_made_visible(hook: Hook, program: Program) -> None:
    program.set(list={"code": 1, "err": "\x1b[2Jgone"})
    with pytest.raises(HookError) as raised:
        await hook.backups()
    assert "\x1b" not in raised.value.message


async def test_silence_is_unknown_and_the_program_is_ended(program: Program, tmp_path: Path) -> None:
    program.set(create={"sleep": 60})
    began = time.monotonic()
    with pytest.raises(UnknownOutcomeError):
        await Hook(program.command, tmp_path, deadline=1.0).create()
    assert time.monotonic() - began < 10


async def test_a_program_that_is_not_there_is_a_setting_to_mend(tmp_path: Path) -> None:
    for command in ("/nowhere/prog", '"open', "  "):
        with pytest.raises(UsageError):
            await Hook(command, tmp_path).backups()


async def test_a_backup_that_is_not_in_the_list_was_not_made(hook: Hook, program: Program) -> None:
    assert (await hook.create()).id == B["id"]
    program.set(list={"out": {"backups": [A]}})
    with pytest.raises(HookError, match="does not list it"):
        await hook.create()


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ({"out": {"good": True, "summary": "all read"}}, Status.OK),
        ({"out": {"good": False, "summary": "file 7 is damaged"}}, Status.FAIL),
        ({"out": {"good": "yes"}}, Status.FAIL),
        ({"out": {}}, Status.FAIL),
        ({"code": 1, "err": "no"}, Status.FAIL),
        ({"code": 4, "err": "asleep"}, Status.UNKNOWN),
    ],
)
async def test_only_a_plain_yes_is_good(hook: Hook, program: Program, answer: object, status: Status) -> None:
    program.set(verify=answer)
    assert (await hook.verify((await hook.backups())[0])).status is status
    assert program.said[-1] == ["verify", B["id"]]


async def test_a_rehearsal_must_bring_something_back_and_leaves_nothing(
    hook: Hook, program: Program, tmp_path: Path
) -> None:
    backup = (await hook.backups())[0]
    program.set(restore={"files": ["PG_VERSION", "base"]})
    left = tmp_path / "backups" / "hook" / "rehearsal-killed"
    left.mkdir(parents=True)
    found = await hook.rehearse(backup)
    assert (found.status, found.summary) == (Status.OK, "restored: 2 files, 8 bytes")
    assert program.said[-1][:2] == ["restore", B["id"]]
    assert list((tmp_path / "backups" / "hook").iterdir()) == []
    program.set(restore={})
    assert (await hook.rehearse(backup)).status is Status.FAIL
    program.set(restore={"files": ["half"], "code": 1, "err": "cut"})
    assert (await hook.rehearse(backup)).summary == "hook restore: cut"
    assert list((tmp_path / "backups" / "hook").iterdir()) == []


async def test_a_rehearsal_without_room_is_not_begun(hook: Hook, program: Program) -> None:
    program.set(list={"out": {"backups": [{**A, "size": 1 << 60}]}}, restore={"files": ["x"]})
    found = await hook.rehearse((await hook.backups())[0])
    assert found.status is Status.UNKNOWN
    assert "free" in found.summary
    assert program.said == [["list"]]


async def test_what_was_verified_is_remembered_and_reading_does_not_undo_a_rehearsal(hook: Hook) -> None:
    newest = (await hook.backups())[0]
    assert newest.verified is None
    hook.passed(newest, "restored", "ana")
    again = (await hook.backups())[0]
    assert again.verified is not None
    assert (again.verified.how, again.verified.by) == ("restored", "ana")
    assert hook.passed(again, "read", "bo").verified.how == "restored"  # type: ignore[union-attr]


def test_the_commands_go_through_it(program: Program, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "sevdeck.toml").write_text(
        f'[docker]\nproject = "shop"\n[backup]\nhook = "{program.command}"\nrpo = "100d"\n'
    )
    program.set(verify={"out": {"good": True, "summary": "all read"}}, restore={"files": ["base"]})
    everywhere = ["--config", str(tmp_path / "sevdeck.toml"), "--data-dir", str(tmp_path / "data"), "--json"]

    def sevdeck(*words: str) -> tuple[int, dict[str, object]]:
        code = main([*everywhere, "backup", *words])
        return code, json.loads(capsys.readouterr().out)

    assert sevdeck("create")[1]["id"] == B["id"]
    code, told = sevdeck("verify", "3-030000F", "--restore")
    assert (code, told["good"], told["id"]) == (0, True, B["id"])
    listed = sevdeck("list")[1]
    assert [(b["id"], b["source"], b["path"]) for b in listed["backups"]] == [  # type: ignore[attr-defined]
        (B["id"], "hook", None),
        (A["id"], "hook", None),
    ]
    program.set(verify={"out": {"good": False, "summary": "file 7 is damaged"}})
    code, told = sevdeck("verify")
    assert (code, told["good"], told["verified"]) == (1, False, None)
    assert all(b["verified"] is None for b in sevdeck("list")[1]["backups"])  # type: ignore[attr-defined]
    program.set(list={"code": 1, "err": "repository gone"})
    code, told = sevdeck("list")
    assert (code, told["alarms"]) == (1, ["hook list: repository gone"])
    assert os.listdir(tmp_path / "data" / "locks") == ["shop.lock"]  # noqa: PTH208
