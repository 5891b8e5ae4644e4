"""`sevdeck incident` and `sevdeck playbook`: keys and exit codes that scripts rely on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from console.cli import main
from console.incident.events import Actor
from console.incident.store import IncidentStore


class Cli:
    def __init__(self, home: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.data = home / "data"
        self._capture = capture

    def __call__(self, *words: str, code: int = 0) -> str:
        assert main(list(words)) == code, self._capture.readouterr()
        captured = self._capture.readouterr()
        return captured.out if code == 0 else captured.out + captured.err

    def json(self, *words: str, code: int = 0) -> Any:
        assert main([*words, "--json"]) == code, self._capture.readouterr()
        return json.loads(self._capture.readouterr().out)

    def declare(self, *more: str) -> str:
        words = ("incident", "declare", "--title", "Checkout returns 502", "--severity", "1", "--no-evidence", *more)
        return str(self.json(*words)["id"])


@pytest.fixture
def cli(own_world: Path, capsys: pytest.CaptureFixture[str]) -> Cli:
    return Cli(own_world, capsys)


def test_answers_to_the_wizard_choose_severity_and_playbook_as_the_console_does(cli: Cli) -> None:
    words = ("incident", "declare", "--title", "Rows are gone", "--no-evidence")
    declared = cli.json(*words, "--answer", "data=yes", "--answer", "transaction=yes")
    assert (declared["severity"], declared["playbooks"]) == (1, ["sev1-response", "data-loss"])
    shown = cli.json("incident", "show", declared["id"])
    assert {step["playbook"] for step in shown["checklist"]} == {"sev1-response", "data-loss"}
    kept = shown["timeline"][0]["data"]
    assert kept["playbook"] == "data-loss" and kept["wizard"]["answers"] == {"data": "yes", "transaction": "yes"}
    # Another severity keeps the playbook of the clause, and why.
    assert "say why with --reason" in cli(*words, "--answer", "data=yes", "--severity", "3", code=2)
    lower = cli.json(*words, "--answer", "data=yes", "--severity", "3", "--reason", "only the demo tenant")
    assert (lower["severity"], lower["playbooks"]) == (3, ["sev3-response", "data-loss"])
    assert cli.json("incident", "show", lower["id"])["timeline"][0]["data"]["wizard"]["overridden"] is True
    assert "Questions: data," in cli(*words, "--answer", "dta=yes", code=2)
    assert "Answers: no, yes, unsure" in cli(*words, "--answer", "data", code=2)
    assert "needs a severity" in cli(*words, code=2)


def test_without_answers_only_the_checklist_of_the_severity_begins(cli: Cli) -> None:
    shown = cli.json("incident", "show", cli.declare())
    assert {step["playbook"] for step in shown["checklist"]} == {"sev1-response"}


def test_the_whole_life_of_an_incident(cli: Cli) -> None:
    id = cli.declare("--commander", "ana")
    assert id.startswith("INC-") and cli.json("incident", "list", "--open")["incidents"][0]["id"] == id
    answers = [
        cli.json("incident", "note", id, "restarted app"),
        cli.json("incident", "severity", id, "2", "--reason", "half of the users"),
        cli.json("incident", "role", id, "scribe", "bob"),
        cli.json("incident", "status", id, "mitigated"),
        cli.json("incident", "tick", id, "confirm-severity", "--text", "seen it"),
        cli.json("incident", "tick", id, "page", "--skip", "--reason", "they sit here"),
        cli.json("incident", "update", id, "we are on it", "--next", "10m"),
    ]
    assert [answer["seq"] for answer in answers] == sorted({answer["seq"] for answer in answers})
    shown = cli.json("incident", "show", id)
    assert {"id", "title", "severity", "status", "roles", "checklist", "containment", "metrics", "timeline"} <= set(
        shown
    )
    assert (shown["severity"], shown["status"]) == (2, "mitigated")
    assert shown["roles"] == {"commander": "ana", "scribe": "bob"} and shown["containment"] == []
    by_seq = {entry["seq"]: entry for entry in shown["timeline"]}
    assert all(by_seq[answer["seq"]]["hash"] == answer["hash"] for answer in answers)
    assert {"seq", "at", "host", "actor", "kind", "summary", "data", "hash"} <= set(by_seq[1])
    assert by_seq[1]["at"].endswith("Z") and len(by_seq[1]["at"]) == len("2026-11-22T03:12:03.000000Z")
    steps = {step["step"]: step for step in shown["checklist"]}
    assert steps["confirm-severity"]["state"] == "done" and steps["page"]["reason"] == "they sit here"
    assert shown["metrics"]["time_to_declare"] == 0 and shown["metrics"]["mttr"] is None
    assert "mttr" in shown["metrics"]["formulas"]
    cli("incident", "close", id, code=3)
    assert cli.json("incident", "resolve", id)["status"] == "resolved"
    assert cli.json("incident", "close", id)["status"] == "closed"
    assert cli.json("incident", "list", "--open") == {"incidents": []}
    cli("incident", "reopen", id, code=3)
    assert cli.json("incident", "reopen", id, "--reason", "it is back")["status"] == "declared"
    verdict = cli.json("incident", "verify", id)
    assert verdict["ok"] is True and verdict["first_bad"] is None and len(verdict["head"]) == 64


def test_verify_names_the_first_bad_event(cli: Cli) -> None:
    id = cli.declare()
    cli("incident", "note", id, "to be changed")
    path = next(p for p in (cli.data / "incidents" / id).glob("*.jsonl") if b"to be changed" in p.read_bytes())
    path.write_bytes(path.read_bytes().replace(b"to be changed", b"to be CHANGED"))
    verdict = cli.json("incident", "verify", id, code=1)
    assert verdict["ok"] is False and verdict["first_bad"]["file"] == path.name and verdict["first_bad"]["seq"] == 2
    assert "NOT WHOLE" in cli_text(cli, "incident", "verify", id)
    assert cli.json("incident", "list")["incidents"][0]["id"] == id, "the rest of the record still serves"


def cli_text(cli: Cli, *words: str) -> str:
    return cli(*words, code=1)


def test_closing_is_refused_while_containment_is_active(cli: Cli) -> None:
    id = cli.declare()
    journal = IncidentStore(cli.data, Actor.current("runner")).open(id)
    measure = {"containment": "c1", "name": "pause", "target": "worker"}
    journal.append("containment", {**measure, "state": "active"})
    assert "pause worker" in cli("incident", "resolve", id, code=3)
    assert cli.json("incident", "show", id)["containment"][0]["state"] == "active"
    journal.append("containment", {**measure, "state": "undone"})
    cli("incident", "resolve", id)
    journal.append("containment", {**measure, "state": "active"})
    assert "pause worker" in cli("incident", "close", id, code=3)


def test_what_is_attached_is_masked_and_kept(cli: Cli, tmp_path: Path) -> None:
    id = cli.declare()
    evidence = tmp_path / "app.log"
    evidence.write_text("started\npassword=hunter22secret\n")
    answer = cli.json("incident", "attach", id, str(evidence))
    kept = (cli.data / "incidents" / id / "blobs" / answer["sha256"]).read_text()
    assert "started" in kept and "hunter22" not in kept
    cli("incident", "attach", id, str(tmp_path / "missing"), code=2)


def test_what_a_person_writes_cannot_drive_the_terminal_or_leak(cli: Cli) -> None:
    id = cli.declare()
    cli("incident", "note", id, "see \x1b]0;owned\x07 with postgres://app:correct-horse-7@db/shop")
    page = cli("incident", "show", id)
    assert "\x1b" not in page and "\x07" not in page and "correct-horse-7" not in page
    stored = b"".join(path.read_bytes() for path in (cli.data / "incidents" / id).glob("*.jsonl"))
    assert b"correct-horse-7" not in stored and b"\\u001b" not in stored


def test_a_correction_keeps_the_original(cli: Cli) -> None:
    id = cli.declare()
    seq = cli.json("incident", "note", id, "restarted nginx")["seq"]
    cli("incident", "amend", id, str(seq), "restarted app", "--reason", "wrong service")
    entry = next(e for e in cli.json("incident", "show", id)["timeline"] if e["seq"] == seq)
    assert entry["summary"] == "restarted app" and entry["original"] == "restarted nginx"
    cli("incident", "amend", id, "999", "x", "--reason", "y", code=2)


def test_command_goes_from_hand_to_hand_only_when_accepted(cli: Cli) -> None:
    id = cli.declare("--commander", "ana")
    cli("incident", "accept", id, code=3)
    cli("incident", "handover", id, "somebody-else")
    cli("incident", "accept", id, code=3)
    me = Actor.current("cli").name
    head = cli.json("incident", "handover", id, me)["head"]
    assert len(head) == 16
    assert cli.json("incident", "accept", id)["commander"] == me
    shown = cli.json("incident", "show", id)
    assert shown["roles"]["commander"] == me
    brief = next(e for e in shown["timeline"] if e["kind"] == "handover.offered")["data"]["brief"]
    assert "Checkout returns 502" in brief


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("incident", "show", "INC-2026-0999"), 2),
        (("incident", "declare", "--title", "x", "--severity", "7", "--no-evidence"), 2),
        (("incident", "declare", "--title", " ", "--severity", "1", "--no-evidence"), 2),
        (("incident", "declare", "--severity", "1"), 2),
        (("incident", "show", "current"), 2),
        (("incident",), 2),
        (("playbook", "show", "no-such"), 2),
        (("playbook", "lint", "/no/such/file.yaml"), 2),
    ],
)
def test_wrong_usage(cli: Cli, words: tuple[str, ...], code: int) -> None:
    cli(*words, code=code)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("severity", "3"), 3),
        (("severity", "1"), 3),
        (("role", "king", "ana"), 2),
        (("status", "fine"), 2),
        (("status", "duplicate"), 3),
        (("tick", "no-such-step"), 2),
        (("tick", "page", "--skip"), 3),
        (("note", "  "), 2),
        (("note", "x", "--at", "yesterday"), 2),
    ],
)
def test_refusals_change_nothing(cli: Cli, words: tuple[str, ...], code: int) -> None:
    id = cli.declare()
    before = cli.json("incident", "verify", id)
    cli("incident", words[0], id, *words[1:], code=code)
    assert cli.json("incident", "verify", id) == before


def test_drills_are_marked_and_severities_have_many_names(cli: Cli) -> None:
    words = ("incident", "declare", "--title", "Game day", "--severity", "P1", "--drill", "--no-evidence")
    assert cli.json(*words)["severity"] == 2
    shown = cli.json("incident", "show", "current")
    assert shown["drill"] is True and shown["checklist"][0]["playbook"] == "sev2-response"


def test_evidence_is_added_and_its_failure_does_not_undo_the_declaration(cli: Cli) -> None:
    id = cli.json("incident", "declare", "--title", "x", "--severity", "3")["id"]
    shown = cli.json("incident", "show", id)
    (kept,) = shown["attachments"]
    readings = json.loads((cli.data / "incidents" / id / "blobs" / kept["sha256"]).read_text())
    assert readings["host"]["value"]["cores"] >= 1
    bad = cli.data / "bad.toml"
    bad.write_text("nonsense = 1\n")
    again = cli.json("incident", "declare", "--title", "y", "--severity", "3", "--config", str(bad))["id"]
    assert cli.json("incident", "show", again)["title"] == "y"


def test_playbooks(cli: Cli, tmp_path: Path) -> None:
    listed = {p["id"]: p for p in cli.json("playbook", "list")["playbooks"]}
    assert listed["sev1-response"]["severity"] == 1
    shown = cli.json("playbook", "show", "database-unreachable")
    assert {"id", "title", "severity", "steps"} <= set(shown)
    assert "Banco" in cli("playbook", "show", "database-unreachable", "--language", "pt")
    assert cli.json("playbook", "lint") == {"errors": [], "warnings": [], "files": 8}
    broken = tmp_path / "broken.yaml"
    broken.write_text("id: x\nwrong: 1\n")
    errors = cli.json("playbook", "lint", str(broken), code=2)["errors"]
    assert {"file": str(broken), "line": 2, "message": "wrong: unknown key"} in errors
    id = cli.declare()
    run = cli.json("playbook", "run", "system-down", "--incident", id)
    assert cli.json("incident", "tick", id, "layer", "--option", "4")["run"] == run["run"]
    steps = {step["step"]: step for step in cli.json("incident", "show", id)["checklist"]}
    assert steps["layer"]["result"]["playbook"] == "database-unreachable"


def test_lint_warns_of_what_cannot_be_checked_and_does_not_fail(cli: Cli, tmp_path: Path) -> None:
    book = tmp_path / "book.yaml"
    book.write_text(
        "schema: sevdeck.playbook/v1\nid: book\nversion: 1\ntitle: Book\nowner: ops\nsteps:\n"
        "  - {id: a, type: recovery, level: 4, title: A, requires: ['gate:x'], budget: {max: 1, per: 1h},"
        " confirm: {kind: key}, expect: 1m, timeout: 5m, verify: {probe: edge}}\n"
    )
    said = cli("playbook", "lint", str(book))
    assert f"{book} is well." in said
    told = cli.json("playbook", "lint", str(book))
    assert told["errors"] == [] and [one["line"] for one in told["warnings"]] == [7]
