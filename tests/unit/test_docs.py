"""The documents agree with the program: links, commands, keys of the configuration and of playbooks, the picture."""

from __future__ import annotations

import argparse
import dataclasses
import re
import shlex
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from console import config as settings
from console.cli import COMMANDS, _parser, main
from console.cli.call import Call
from console.commands import keys_markdown
from console.config_file import Document, Table, parse_duration
from console.config_sections import build
from console.guide import steps
from console.guide.loader import lint
from console.guide.schema import STEP_TYPES

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
CONFIGURATION = ROOT / "docs" / "configuration.md"
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`]+)`")

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)


def fences(document: Path, *languages: str) -> list[str]:
    """The fenced blocks of a document in one of these languages."""
    return [body for language, body in _FENCE.findall(document.read_text()) if language in languages]


def without_fences(document: Path) -> str:
    return _FENCE.sub("", document.read_text())


def sections(text: str) -> Iterator[tuple[str, str]]:
    """(heading, what stands below it up to the next heading)."""
    parts = re.split(r"^#{1,4} (.+)$", text, flags=re.MULTILINE)
    yield from zip(parts[1::2], parts[2::2], strict=True)


def rows(text: str, first: str) -> Iterator[list[str]]:
    """Cells of every row of the tables whose first column is called so."""
    inside = False
    for line in text.splitlines():
        if not line.startswith("|"):
            inside = False
            continue
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if inside and not set(line) <= set("|-: "):
            yield cells
        inside = inside or cells[0] == first


# -- every document


def test_every_document_of_the_list_is_there() -> None:
    wanted = {"start", "configuration", "cli", "keys", "playbooks", "recovery", "incidents", "security", "operations"}
    assert wanted | {"architecture", "performance"} <= {path.stem for path in DOCUMENTS}


def anchors(document: Path) -> set[str]:
    """What a link may point at: headings as GitHub writes them."""
    found = set()
    for heading, _ in sections(without_fences(document)):
        plain = re.sub(r"[^\w\- ]", "", heading.lower())
        found.add(plain.replace(" ", "-"))
    return found


@each_document
def test_links_lead_somewhere(document: Path) -> None:
    for link in _LINK.findall(without_fences(document)):
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        name, _, anchor = link.partition("#")
        target = (document.parent / name) if name else document
        assert target.exists(), f"{document.name}: {link} leads nowhere"
        if anchor:
            assert anchor in anchors(target), f"{document.name}: {link} names no heading"


def test_documents_that_the_program_points_at_have_what_it_names() -> None:
    found = 0
    for file in (path for room in ("console", "screens", "widgets") for path in (ROOT / room).rglob("*.py")):
        for name, anchor in re.findall(r"docs/(\w+\.md)(?:#([\w-]+))?", file.read_text()):
            target = ROOT / "docs" / name
            assert target.exists(), f"{file.name}: there is no docs/{name}"
            assert not anchor or anchor in anchors(target), f"{file.name}: docs/{name} has no #{anchor}"
            found += bool(anchor)
    assert found >= 3


@each_document
def test_nothing_is_left_over_from_writing(document: Path) -> None:
    text = document.read_text()
    assert not re.search(r"\b(TODO|FIXME|TBD|XXX|lorem)\b", text, re.IGNORECASE)
    assert not re.search(r"(?<![\w.])/(work|root|Users)/|/home/(?!\$|USER\b)", text), "a path of somebody's machine"


def shell_lines(document: Path) -> Iterator[str]:
    """What the document tells people to type: lines of shell blocks, and lines after a prompt in other blocks."""
    for body in fences(document, "sh", "bash"):
        yield from body.splitlines()
    for body in fences(document, "", "text", "console"):
        yield from (line[2:] for line in body.splitlines() if line.startswith("$ "))


def sevdeck_commands(document: Path) -> Iterator[list[str]]:
    for line in shell_lines(document):
        for part in re.split(r"\s(?:&&|\|\|?|;)\s", line):
            words = shlex.split(part, comments=True)
            while words and (words[0] in {"sudo", "-E"} or re.fullmatch(r"\w+=.*", words[0])):
                words = words[1:]
            if words and words[0] == "sevdeck":
                yield [word for word in words[1:] if not re.match(r"\d?>", word)]


@each_document
def test_commands_that_are_shown_exist(document: Path) -> None:
    for words in sevdeck_commands(document):
        rest = Call().take_options(words)
        if not rest or rest[0] in {"--version", "--help"}:
            continue
        try:
            _parser(rest).parse_args(rest)
        except SystemExit as stop:
            assert stop.code == 0, f"{document.name}: `sevdeck {shlex.join(words)}` is not a command"


@each_document
def test_commands_that_are_mentioned_exist(document: Path) -> None:
    for code in _CODE.findall(without_fences(document)):
        words = code.split()
        if words[:1] == ["sevdeck"] and len(words) > 1 and not words[1].startswith("-") and words[1].isalpha():
            assert words[1] in commands(), f"{document.name}: `{code}` is not a command"


@each_document
def test_make_targets_that_are_shown_exist(document: Path) -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = "\n".join([*shell_lines(document), *_CODE.findall(without_fences(document))])
    for target in re.findall(r"(?:^|\s)make ([\w-]+)", text):
        assert target in targets, f"{document.name}: there is no `make {target}`"


@each_document
def test_settings_that_are_shown_are_valid(document: Path, tmp_path: Path) -> None:
    for number, body in enumerate(fences(document, "toml")):
        file = tmp_path / f"{number}.toml"
        file.write_text(body)
        settings.read(file)  # raises with every fault


# -- keys.md, cli.md


def test_the_list_of_keys_is_the_table_of_commands() -> None:
    assert (ROOT / "docs" / "keys.md").read_text() == keys_markdown(), "run `make docs`"


def parsers(parser: argparse.ArgumentParser, name: str = "") -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Every command that can be typed, with its parser; groups of commands are left out."""
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups:
        yield name, parser
    for group in groups:
        for word, below in group.choices.items():
            yield from parsers(below, f"{name} {word}".strip())


def commands() -> dict[str, str]:
    """First words of the commands there are."""
    return {name.split()[0]: name for name, _ in parsers(_parser(["help"]))}


def test_every_command_and_option_is_in_the_reference() -> None:
    told = {
        code.removeprefix("sevdeck ").strip(): (heading, below)
        for heading, below in sections((ROOT / "docs" / "cli.md").read_text())
        for code in _CODE.findall(heading)
    }
    there = dict(parsers(_parser(["help"])))
    assert set(there) == {re.split(r" [A-Z\[-]", name)[0] for name in told}
    for name, (heading, below) in told.items():
        for action in there[re.split(r" [A-Z\[-]", name)[0]]._actions:
            for option in action.option_strings[-1:]:
                if option != "--help":
                    assert option in heading + below, f"{name}: {option} is not told"


def test_words_without_a_command_are_not_mentioned_as_commands() -> None:
    assert set(commands()) <= set(COMMANDS)


# -- configuration.md


class Asked(Table):
    """A table that answers nothing and remembers which keys were asked for."""

    def __init__(self, document: Document, where: str, asked: set[str]) -> None:
        super().__init__(document, {}, where)
        self.asked = asked

    def table(self, key: str) -> Table:
        return Asked(self.document, self.path(key), self.asked)

    def tables(self, key: str) -> list[Table]:
        return [Asked(self.document, self.path(key), self.asked)]

    def done(self) -> None:
        self.asked |= {self.path(key) for key in self._known}


def keys_of_the_sections() -> set[str]:
    asked: set[str] = set()
    build(Asked(Document(Path("nowhere.toml"), ""), "", asked))
    # A threshold is a table of its own, read through `table` and never asked for as a value.
    return {path for path in asked if path not in {"thresholds", "recovery.budgets"}}


def documented_keys() -> dict[str, str]:
    """Path of each documented key ("probes.every") and the text of its default."""
    found: dict[str, str] = {}
    for heading, below in sections(CONFIGURATION.read_text()):
        name = re.fullmatch(r"`\[+([\w.]+)\]+`", heading)
        if name is None:
            continue
        for keys, _, default, _ in rows(below, "key"):
            names, defaults = _CODE.findall(keys), _CODE.findall(default) or [default]
            assert len(defaults) == len(names), f"{keys}: one default for each key"
            for key, value in zip(names, defaults, strict=True):
                found[f"{name[1]}.{key}"] = value
    return found


def test_the_configuration_reference_has_exactly_the_keys_there_are() -> None:
    assert set(documented_keys()) == keys_of_the_sections()


def defaults_of_the_records() -> Mapping[str, Any]:
    tables: dict[str, Any] = {
        "service": settings.ServiceConfig,
        "docker": settings.DockerConfig,
        "roles": settings.RolesConfig,
        "probes": settings.ProbeConfig,
        "logs": settings.LogConfig,
        "metrics": settings.MetricConfig,
        "database": settings.StoreConfig,
        "cache": settings.StoreConfig,
        "recovery": settings.RecoveryConfig,
        "monitor": settings.MonitorConfig,
        "checks": settings.ChecksConfig,
    }
    found = {
        f"{table}.{field.name}": "required" if field.default is dataclasses.MISSING else field.default
        for table, record in tables.items()
        for field in dataclasses.fields(record)
        if field.default_factory is dataclasses.MISSING
    }
    for name, limits in settings.DEFAULT_THRESHOLDS.items():
        found |= {f"thresholds.{name}.warn": limits.warn, f"thresholds.{name}.crit": limits.crit}
    return found | {"console.theme": "", "console.refresh": 1.0}


def test_the_defaults_in_the_reference_are_the_defaults() -> None:
    told = documented_keys()
    for path, default in defaults_of_the_records().items():
        text = told[path]
        if text in {"required", "none"}:
            assert default == {"required": "required", "none": None}[text], path
            continue
        value = tomllib.loads(f"x = {text}")["x"]
        value = tuple(value) if isinstance(value, list) else value
        if isinstance(default, float) and isinstance(value, str):
            value = parse_duration(value)
        assert value == default, path


# -- playbooks.md


def test_the_playbook_of_the_guide_is_well(tmp_path: Path) -> None:
    whole = [body for body in fences(ROOT / "docs" / "playbooks.md", "yaml") if "schema:" in body]
    assert whole, "the guide has a worked example"
    for number, body in enumerate(whole):
        file = tmp_path / f"{number}.yaml"
        file.write_text(body)
        assert lint([file]) == []
        assert main(["playbook", "lint", str(file)]) == 0


def test_the_guide_has_exactly_the_keys_of_each_step_type() -> None:
    found = {
        heading: {code for row in rows(below, "key") for code in _CODE.findall(row[0])}
        for heading, below in sections((ROOT / "docs" / "playbooks.md").read_text())
    }
    assert found["Keys of every step"] == set(steps._COMMON)
    for kind in STEP_TYPES:
        assert found[f"`{kind}`"] == set(steps._OWN[kind]), kind


# -- the picture


def test_the_picture_asks_nobody_for_anything() -> None:
    svg = (ROOT / "docs" / "console.svg").read_text()
    links = set(re.findall(r"(?:https?:)?//[^\s\"')<]+", svg))
    assert links <= {"http://www.w3.org/2000/svg"}
    assert "@font-face" not in svg
    assert "<script" not in svg
