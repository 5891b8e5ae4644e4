"""Playbook files: everything that is wrong is said at once, with its line; what is shipped is well."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.errors import InvalidFileError, UsageError
from console.guide.loader import lint, load_catalog, load_playbook, parse_playbook, shipped_directory, warnings
from console.guide.schema import Playbook, Verify

HEAD = """\
schema: sevdeck.playbook/v1
id: test
version: 1
title: {en: Test, pt: Teste}
owner: ops
"""
PLAIN = HEAD + "steps:\n  - {id: one, type: instruction, title: One}\n"


def faults(text: str) -> list[tuple[int | None, str]]:
    playbook, problems = parse_playbook(text.encode(), "test.yaml")
    assert (playbook is None) == bool(problems)
    return [(problem.line, f"{problem.where}: {problem.message}") for problem in problems]


def read(text: str) -> Playbook:
    playbook, problems = parse_playbook(text.encode(), "test.yaml")
    assert playbook is not None, problems
    return playbook


def test_a_plain_checklist_is_a_playbook() -> None:
    playbook = read(PLAIN)
    assert playbook.title.say("pt") == "Teste" and playbook.title.say("fr") == "Test"
    assert playbook.steps[0].title.say("pt") == "One" and playbook.steps[0].skip == "reason"
    assert playbook.source == PLAIN.encode() and len(playbook.sha256) == 64


def test_all_faults_of_a_file_come_at_once_with_their_lines() -> None:
    text = """\
schema: sevdeck.playbook/v1
id: Bad Id
version: zero
titel: Misspelt
steps:
  - id: a
    type: command
    risk: destructive
    run: rm -rf /
  - id: a
    type: instruction
    title: Twice
    on_success: {goto: nowhere}
  - id: c
    type: dance
"""
    found = faults(text)
    lines = {line for line, _ in found}
    assert {2, 3, 4, 6, 9, 10, 13, 15} <= lines
    said = "\n".join(message for _, message in found)
    for words in (
        "small letters", "must be a number", "'title' is missing", "'owner' is missing", "did you mean 'title'?",
        "must be a mapping", "risk destructive needs confirm, verify, expect, timeout", "called 'a' too",
        "no step 'nowhere'", "'dance' is not one of",
    ):  # fmt: skip
        assert words in said, words


@pytest.mark.parametrize(
    ("step", "line", "words"),
    [
        ("{id: x, type: command, risk: read, title: X, timeout: 5s, run: {argv: ls -l}}", 7, "list of texts"),
        ("{id: x, type: command, risk: read, title: X, run: {argv: [ls]}}", 7, "needs 'timeout'"),
        ("{id: x, type: command, title: X, timeout: 5s, run: {argv: [ls]}}", 7, "'risk' is missing"),
        (
            "{id: x, type: command, risk: read, title: X, timeout: 5s, run: {argv: [ls, '{{what}}']}}",
            7,
            "no var 'what'",
        ),
        (
            "{id: x, type: command, risk: read, title: X, timeout: 5s, run: {shell: true, script: 'ls {{db}}'}}",
            7,
            "a shell line takes no vars",
        ),
        ("{id: x, type: command, risk: read, title: X, timeout: 5, run: {argv: [ls]}}", 7, "duration"),
        ("{id: x, type: command, risk: read, title: X, timeout: 5s, expect: 9s, run: {argv: [ls]}}", 7, "longer"),
        ("{id: x, type: instruction, title: X, run: {argv: [ls]}}", 7, "type instruction has no 'run'"),
        ("{id: x, type: instruction, title: X, roles: [king]}", 7, "'king' is no role"),
        ("{id: x, type: instruction, title: {de: Hallo}}", 7, "'de' is not a language"),
        ("{id: x, type: instruction, title: X, terminal: yess}", 7, "true or false"),
        ("{id: x, type: instruction}", 7, "'title' is missing"),
        ("{id: x, type: check, title: X}", 7, "needs 'run' or 'verify'"),
        ("{id: x, type: check, title: X, verify: {probe: a, check: b}}", 7, "exactly one of"),
        ("{id: x, type: check, title: X, verify: {probe: a, op: '~', value: 1}}", 7, "is not one of"),
        ("{id: x, type: check, title: X, verify: {metric: a, op: '<'}}", 7, "'value' is missing"),
        ("{id: x, type: decision, ask: Q, options: [{label: A}]}", 7, "at least two"),
        ("{id: x, type: decision, ask: Q, options: [{label: A}, {label: B}], deadline: {after: 5m}}", 7, "'then'"),
        ("{id: x, type: wait, title: X}", 7, "'for' is missing"),
        ("{id: x, type: notify, title: X, audience: everybody}", 7, "is not one of"),
        ("{id: x, type: recovery, title: X, level: 7}", 7, "from 1 to 4"),
        ("{id: x, type: recovery, title: X, level: 1}", 7, "needs confirm, verify, expect, timeout"),
        ("{id: x, type: recovery, title: X, level: 1}", 7, "needs requires, budget"),
        ("{id: x, type: instruction, title: X, surprise: 1}", 7, "unknown key"),
        ("{id: x, type: instruction, title: X, terminal: true, on_success: {goto: x}}", 7, "leads nowhere"),
    ],
)
def test_each_rule_names_its_line(step: str, line: int, words: str) -> None:
    text = HEAD + f"steps:\n  - {step}\n"
    assert any(words in message and at == line for at, message in faults(text)), faults(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("- a\n- b\n", "mapping of keys"),
        ("id: [unclosed\n", "not YAML"),
        ("id: \t\n\tx: 1\n", "not YAML"),
        (PLAIN + "id: again\n", "stands here twice"),
        ("a: &x [1]\nb: *x\n", "aliases"),
        ("a: &x {b: *x}\n", "aliases"),
        ("a: !!python/object/apply:os.system [ls]\n", "missing"),
        ("schema: sevdeck.playbook/v9\n", "not a schema this version reads"),
        ("x: " + "[" * 60 + "]" * 60, "nested"),
        ("[" * 120_000 + "]" * 120_000, "nested"),
    ],
)
def test_what_is_no_playbook_at_all(text: str, words: str) -> None:
    assert any(words in message for _, message in faults(text)), faults(text)


def test_bytes_that_are_no_text() -> None:
    assert "UTF-8" in parse_playbook(b"id: \xff\xfe", "x")[1][0].message
    assert "larger" in parse_playbook(b"#" * 300_000, "x")[1][0].message


def test_vars_are_declared_held_against_a_pattern_and_not_called_like_ours() -> None:
    table = """\
vars:
  db: {from: compose.service, role: database}
  pid: {type: string, pattern: '[0-9]+'}
  who: {type: string, default: Root, pattern: '^[a-z]+$'}
  bad: {type: string, pattern: '^($'}
  open: {type: string}
  project: {from: compose.service, role: app}
  king: {from: compose.service, role: king}
"""
    found = faults(HEAD + table + "steps:\n  - {id: one, type: instruction, title: One}\n")
    wanted = {8: "begin with ^", 9: "does not match", 10: "regular expression", 11: "'pattern' is missing",
              12: "already used", 13: "not one of"}  # fmt: skip
    for line, words in wanted.items():
        assert any(at == line and words in message for at, message in found), (line, words, found)
    assert not any(line == 7 for line, _ in found)


def steps(*lines: str) -> str:
    return HEAD + "steps:\n" + "".join(f"  - {line}\n" for line in lines)


def test_ways_nobody_can_take_and_ways_that_end_nowhere() -> None:
    found = faults(
        steps(
            "{id: a, type: instruction, title: A, on_success: {goto: c}}",
            "{id: b, type: instruction, title: B}",
            "{id: c, type: instruction, title: C}",
        )
    )
    assert (7 + 1, "step b: no way through the playbook leads here") in found
    assert any(line == 9 and "without `terminal: true`" in message for line, message in found)


def test_a_circle_is_named() -> None:
    found = faults(
        steps(
            "{id: a, type: instruction, title: A}",
            "{id: b, type: instruction, title: B, on_success: {goto: end}, on_failure: {goto: page}}",
            "{id: page, type: notify, title: P, on_x: 1}".replace(", on_x: 1", ""),
            "{id: try, type: decision, ask: Q, options: [{label: Again, goto: b}, {label: Stop, goto: end}]}",
            "{id: end, type: instruction, title: E, terminal: true}",
        )
    )
    assert [message for _, message in found] == ["step b: the steps go round in a circle: b → page → try → b"]


def test_handing_over_to_another_playbook_ends_the_way_and_must_exist(tmp_path: Path) -> None:
    text = steps(
        "{id: a, type: decision, ask: Q, options: [{label: X, playbook: data-loss}, {label: Y, playbook: no-such}]}"
    )
    path = tmp_path / "test.yaml"
    path.write_text(text)
    (problem,) = lint([path])
    assert "no playbook 'no-such'" in problem.message and problem.line == 7


def test_shipped_playbooks_are_well_and_say_everything_in_both_languages() -> None:
    catalog = load_catalog()
    assert catalog.problems == ()
    assert set(catalog.playbooks) >= {
        "sev1-response", "sev2-response", "sev3-response", "sev4-response", "security-incident", "data-loss",
        "system-down", "database-unreachable",
    }  # fmt: skip
    assert lint(sorted(shipped_directory().glob("*.yaml"))) == []
    for playbook in catalog.playbooks.values():
        for text in [playbook.title, playbook.summary, *(phase.title for phase in playbook.phases)]:
            assert set(text.by_language) == {"en", "pt"}, playbook.id
        for step in playbook.steps:
            for text in [step.title, *([step.text] if step.text else []), *(o.label for o in step.options)]:
                assert set(text.by_language) == {"en", "pt"}, f"{playbook.id} {step.id}"
            assert max(map(len, step.title.by_language.values())) <= 44, f"{playbook.id} {step.id} is cut at 80 columns"
            assert step.text or step.executes or step.verify or step.options, f"{playbook.id} {step.id} says nothing"


def test_ones_own_playbook_replaces_the_shipped_one_and_a_broken_one_harms_nothing(tmp_path: Path) -> None:
    own = tmp_path / "playbooks"
    own.mkdir()
    (own / "mine.yaml").write_text(PLAIN.replace("id: test", "id: sev4-response"))
    (own / "broken.yaml").write_text("id: [\n")
    catalog = load_catalog(tmp_path)
    assert len(catalog.get("sev4-response").steps) == 1 and "sev1-response" in catalog.playbooks
    assert [Path(problem.file).name for problem in catalog.problems] == ["broken.yaml"]
    with pytest.raises(UsageError):
        catalog.get("broken")
    with pytest.raises(InvalidFileError) as caught:
        load_playbook(own / "broken.yaml")
    assert f"{own / 'broken.yaml'}:2: not YAML" in str(caught.value)
    with pytest.raises(InvalidFileError, match="cannot be read"):
        load_playbook(own / "missing.yaml")


def test_verify_reads_as_words() -> None:
    assert str(Verify("probe:edge")) == "probe:edge is well"
    assert str(Verify("metric:errors", "<", 1.0, stable_for=30)) == "metric:errors < 1 for 30 s"


def test_what_nothing_here_can_do_or_check_is_a_warning_of_one_line(tmp_path: Path) -> None:
    path = tmp_path / "test.yaml"
    path.write_text(
        steps(
            "{id: a, type: instruction, title: A}",
            "{id: b, type: recovery, level: 3, title: B, budget: {max: 1, per: 1h}, confirm: {kind: key}, expect: 1m,"
            " timeout: 5m, verify: {probe: edge}, requires: ['step:a', 'lease:recovery', 'lease:dba', 'gate:no_backup']}",
            "{id: c, type: decision, ask: Q, options: [{label: X}, {label: Y}], suggest_from: ['-', 'metric:m', 'role:app']}",
        )
    )
    assert lint([path]) == []
    assert [(problem.line, problem.message) for problem in warnings([path])] == [
        (8, "nothing here can check gate:no_backup, lease:dba: a person has to"),
        (9, "suggest_from names 3 subjects for 2 options"),
        (9, "suggest_from cannot tell well from not well by metric:m: use probe:, role: or check:"),
    ]


def test_shipped_playbooks_ask_for_nothing_that_cannot_be_checked() -> None:
    assert warnings(sorted(shipped_directory().glob("*.yaml"))) == []
