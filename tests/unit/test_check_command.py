"""`sevdeck check`: what it prints, the JSON that stays, and its exit codes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from console.checks.check import Finding, Status, Suggestion
from console.checks.judge import judge
from console.cli import main
from console.cli.check import command, exit_code, lines, ranked
from console.watch.readings import Readings
from tests.unit.readings_made import CONFIG, NOW, broken, container, failing, readings, stopped

DOWN = readings((stopped("postgres", 137), container("app", health="unhealthy")), (failing("edge", "502 in 3 ms"),))


def test_people_read_the_cause_what_to_type_and_what_follows() -> None:
    told = list(lines(judge(DOWN, CONFIG, NOW), DOWN, 1.2))
    assert told[0].startswith("✖ postgres is down (exited 137")
    assert "    → start postgres (level 1): postgres does not run" in told
    assert "      sevdeck recover run 1 --service postgres" in told
    assert any(line.startswith("    ✖ follows: edge: 502") for line in told)


def test_well_says_what_was_looked_at() -> None:
    told = list(lines([], readings(), 0.4))
    assert told[0] == "● well: looked at the host, 5 of 5 containers running, 5 probes, 1 metrics, 1 logs"


def test_exit_codes_tell_well_unwell_and_unknown_apart() -> None:
    def code(given: Readings) -> int:
        return exit_code(judge(given, CONFIG, NOW))

    away = replace(readings(), containers=broken(readings().containers, "no answer in 2 s"))
    assert code(readings()) == 0
    assert code(readings((stopped("worker", 143),))) == 0  # a warning
    assert code(DOWN) == 1
    assert code(away) == 4
    assert code(replace(readings(), host=broken(readings().host, "x"))) == 1


def test_commands_name_level_and_service() -> None:
    assert command("recover:1:app") == "sevdeck recover run 1 --service app"
    assert command("recover:2:") == "sevdeck recover run 2"


def test_json_keys_stay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "sevdeck.toml"
    config.write_text('[docker]\nhost = "unix:///nonexistent/docker.sock"\n')
    code = main(["--config", str(config), "--json", "check", "quick"])
    data = json.loads(capsys.readouterr().out)
    assert code == 4
    assert set(data) == {"status", "took", "findings"}
    finding = data["findings"][0]
    assert {"check", "group", "status", "summary", "evidence", "suggestions"} <= set(finding)
    assert {f["group"] for f in data["findings"]} == {"quick"}
    assert {"title", "why", "action", "confidence", "symptoms", "cost", "falsified_by"} == set(
        finding["suggestions"][0]
    )


def test_an_unknown_group_is_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "nonsense"]) == 2
    assert "nonsense" in capsys.readouterr().err


def test_a_group_that_is_not_there_is_answered_with_those_that_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "bogus"]) == 2
    said = capsys.readouterr().err
    assert (
        "'bogus'; groups: quick, logs, connectivity, performance, database, configuration, security." in said
        and "[]" not in said
    )


def test_a_diagnosis_keeps_the_keys_of_a_check_and_adds_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "sevdeck.toml"
    config.write_text('[docker]\nhost = "unix:///nonexistent/docker.sock"\n')
    assert main(["--config", str(config), "--json", "diagnose"]) == 4
    data = json.loads(capsys.readouterr().out)
    assert {"status", "took", "findings", "suggestions", "bundle", "severity", "checks", "changes"} == set(data)
    first = data["suggestions"][0]
    assert first["rank"] == 1
    assert {"title", "why", "action", "confidence", "symptoms"} <= set(first)
    assert main(["--config", str(config), "diagnose"]) == 4
    said = capsys.readouterr().out
    assert "confidence" in said
    assert "nonexistent" in said


def test_first_suggestions_of_all_causes_come_before_anybodys_second() -> None:
    def cause(name: str, *titles: str) -> Finding:
        return Finding(
            "x.y", "quick", Status.FAIL, name, (), tuple(Suggestion(t, "", "none", 0.5) for t in titles), name
        )

    symptom = Finding("x.z", "quick", Status.FAIL, "c", (), (Suggestion("never", "", "none", 0.5),), "c", None, "x.y:a")
    found = [(one["rank"], one["title"]) for one in ranked([cause("a", "a1", "a2"), cause("b", "b1"), symptom])]
    assert found == [(1, "a1"), (2, "b1"), (3, "a2")]


def test_a_diagnosis_leaves_its_evidence_where_it_was_asked_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, place = tmp_path / "sevdeck.toml", tmp_path / "evidence"
    config.write_text('[docker]\nhost = "unix:///nonexistent/docker.sock"\n')
    words = ["--config", str(config), "--data-dir", str(tmp_path / "data"), "--json", "diagnose", "--bundle"]
    assert main([*words, str(place)]) == 4
    bundle = json.loads(capsys.readouterr().out)["bundle"]
    manifest = json.loads((Path(bundle["path"]) / "manifest.json").read_text())
    told = json.loads((Path(bundle["path"]) / "diagnosis.json").read_text())
    assert Path(bundle["archive"]).is_file() and manifest and "nonexistent" in json.dumps(told)
    assert any("Docker" in item["reason"] for item in bundle["missing"])
    config.with_name("file").touch()
    assert main([*words, str(tmp_path / "file" / "below")]) == 4
    said = capsys.readouterr()
    told = json.loads(said.out)
    assert told["findings"], "the diagnosis is told all the same"
    assert "the bundle cannot be written" in told["bundle"]["error"] and "the bundle cannot be written" in said.err
