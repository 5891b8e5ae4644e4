"""`sevdeck recover` and `sevdeck validate` where there is no engine: exit codes, JSON keys, words."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from console.actions import recovery, runs
from console.actions.facts import Holder
from console.actions.lock import ProjectLock
from console.actions.run import Run
from console.actions.runs import Request
from console.cli import main
from console.incident.events import Actor
from tests.unit.project_twin import QUICK, ProjectTwin, config


@pytest.fixture
def options(tmp_path: Path) -> list[str]:
    file = tmp_path / "sevdeck.toml"
    file.write_text(
        f'[docker]\nhost = "unix://{tmp_path}/none.sock"\nproject = "shop"\n[roles]\napp = ["app"]\n', encoding="utf-8"
    )
    return ["--config", str(file), "--data-dir", str(tmp_path / "data"), "--json"]


async def finished(data_dir: Path) -> str:
    """A run of the twin's, as a person finds it afterwards."""
    twin = ProjectTwin()
    plan = recovery.plan(1, "", twin.facts(), config())
    run_id = runs.new_id(plan, plan.created_at)
    runs.create(data_dir, plan, Request(run_id, Actor("ana"), plan.confirm, plan.created_at))
    view = await Run(data_dir, run_id, config(), twin, run_probe=twin.run_probe, pace=QUICK).run()
    assert view.outcome == "ok"
    return run_id


def test_a_plan_without_an_engine_is_refused_with_the_reason(
    options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*options, "recover", "plan", "1"]) == 3
    plan = json.loads(capsys.readouterr().out)
    assert {
        "plan_id", "level", "targets", "steps", "blast_radius", "preconditions", "refused", "confirm", "expected_downtime",
    } <= plan.keys()  # fmt: skip
    assert "the Docker engine cannot be used" in plan["refused"]


def test_without_an_engine_people_read_what_is_missing_where_it_was_looked_for_and_what_to_do(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for level in ("1", "2"):
        assert main([*options[:-1], "recover", "plan", level]) == 3
        said = capsys.readouterr()
        assert said.out == "", "a plan of nothing is no answer"
        assert f"no {tmp_path}/none.sock; looked for at unix://{tmp_path}/none.sock ([docker] host)" in said.err
        assert "Start it with 'sudo systemctl start docker'" in said.err


def test_the_plan_of_an_engine_that_is_away_claims_nothing(
    options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*options, "recover", "plan", "2"]) == 3
    plan = json.loads(capsys.readouterr().out)
    assert plan["expected_downtime"] is None
    assert [p["name"] for p in plan["preconditions"]] == ["engine answers", "no other run", "not on hold"]


def test_a_run_without_an_engine_changes_nothing_and_exits_3(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*options, "recover", "run", "1", "--confirm", "restart app"]) == 3
    said = capsys.readouterr()
    assert said.out == ""
    assert "refused: the Docker engine cannot be used" in said.err
    assert not (tmp_path / "data" / "runs").exists()


def test_a_level_there_is_not_is_bad_usage(options: list[str]) -> None:
    assert main([*options, "recover", "plan", "9"]) == 2
    assert main([*options, "recover", "plan", "one"]) == 2


def test_what_was_typed_is_said_again_without_doing_anything_to_the_terminal(
    options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["attach", "a\x1b]0;owned\x07\x9b2J\u202e"], ["plan", "1", "--service", "a\x1b[2J\nok: done"]):
        assert main([*options[:-1], "recover", *words]) != 0
        said = "".join(capsys.readouterr())
        assert said.replace("\n", "").isprintable(), said
        assert "\nok: done" not in said


@pytest.mark.parametrize("word", ["status", "attach", "resume", "cancel"])
def test_nothing_was_ever_run_is_said(options: list[str], word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*options, "recover", word]) == 2
    assert "nothing was ever run here" in capsys.readouterr().err


def test_a_run_in_progress_refuses_the_next_before_anything_is_looked_at(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").mkdir()
    lock = ProjectLock.acquire(tmp_path / "data", "shop", Holder("R1", "bo", 0.0, 2, "restart 4 services"))
    assert main([*options, "recover", "run", "1", "--confirm", "restart app"]) == 3
    assert "bo is recovering shop: level 2" in capsys.readouterr().err
    lock.release()


def test_status_attach_and_cancel_of_a_finished_run(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").mkdir()
    run_id = asyncio.run(finished(tmp_path / "data"))
    assert main([*options, "recover", "status"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert (status["run_id"], status["state"], status["step"], status["outcome"]) == (run_id, "closed", None, "ok")
    assert {"id", "title", "command", "state"} <= status["steps"][0].keys()
    assert status["started_at"].endswith("Z")
    assert main([*options, "recover", "attach", run_id]) == 0
    assert json.loads(capsys.readouterr().out)["observation"]["state"] == "stable"
    assert main([*options, "recover", "cancel"]) == 3
    assert main([*options, "recover", "resume"]) == 3
    assert "is over: ok" in capsys.readouterr().err
    without_json = [o for o in options if o != "--json"]
    assert main([*without_json, "recover", "status"]) == 0
    said = capsys.readouterr().out
    assert "✔ restart shop-app-1" in said
    assert "OK: validated and stable" in said


def test_validate_without_an_engine_is_unknown_and_not_well(
    options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*options, "validate"]) == 1
    data = json.loads(capsys.readouterr().out)
    assert data["status"] == "unknown"
    assert data["findings"][0]["check"] == "validate.engine"


def test_current_is_the_open_incident_and_none_is_said_before_anything_is_looked_at(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = [*options, "recover", "run", "1", "--confirm", "restart app", "--incident", "current"]
    assert main(run) == 2
    assert "no incident is open" in capsys.readouterr().err
    declare = ["incident", "declare", "--title", "down", "--severity", "2", "--no-evidence"]
    assert main([*options, *declare]) == 0
    assert main(run) == 3
    assert "the Docker engine cannot be used" in capsys.readouterr().err
