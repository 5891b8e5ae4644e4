"""Playbook files read and judged: every fault of a file at once, each with its line.

Files come from the package's `playbooks/` and from `<data>/playbooks/`, where a file with the same id replaces
the shipped one. What a step needs by its type and risk is decided here; how one is followed in `run`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from console.errors import InvalidFileError, Problem, UsageError
from console.guide import graph, requirements
from console.guide.nodes import Document, Fields
from console.guide.schema import (
    BUILT_IN_VARS,
    SCHEMA,
    Phase,
    Playbook,
    Review,
    Step,
    Var,
)
from console.guide.steps import localized, read_step
from console.incident.levels import parse_severity

_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
PLACEHOLDER = re.compile(r"\{\{\s*([A-Za-z_]\w*)\s*\}\}")  # not {{.Names}}: docker's own templates pass through
_SYMPTOM = re.compile(r"(probe|check|log|container|metric):.+")


@dataclass(frozen=True, slots=True)
class Catalog:
    """Every playbook that can be followed, and what is wrong with the files that cannot."""

    playbooks: Mapping[str, Playbook]
    problems: tuple[Problem, ...]

    def get(self, id: str) -> Playbook:
        """Raises UsageError for an id that is not there."""
        found = self.playbooks.get(id)
        if found is None:
            raise UsageError(f"there is no playbook {id!r}", remedy="`sevdeck playbook list` shows all")
        return found


def shipped_directory() -> Path:
    """The playbooks that come with the program."""
    import importlib.resources

    return Path(str(importlib.resources.files("playbooks")))


def load_catalog(data_dir: Path | None = None) -> Catalog:
    """All playbooks, one's own before shipped ones. A faulty file is left out and reported, never fatal."""
    found: dict[str, Playbook] = {}
    problems: list[Problem] = []
    for directory in [shipped_directory(), *([data_dir / "playbooks"] if data_dir else [])]:
        for path in sorted(directory.glob("*.y*ml")) if directory.is_dir() else []:
            playbook, faults = read_playbook(path)
            problems += faults
            if playbook is not None:
                found[playbook.id] = playbook
    problems += _unknown_playbooks(found.values(), set(found))
    return Catalog(found, tuple(problems))


def load_playbook(path: Path) -> Playbook:
    """One playbook. Raises InvalidFileError with all faults."""
    playbook, problems = read_playbook(path)
    if playbook is None:
        raise InvalidFileError(problems)
    return playbook


def read_playbook(path: Path) -> tuple[Playbook | None, list[Problem]]:
    """The playbook of a file, None when it has faults; never raises."""
    try:
        content = path.read_bytes()
    except OSError as error:
        return None, [Problem(str(path), "", f"cannot be read: {error.strerror}")]
    return parse_playbook(content, str(path))


def parse_playbook(content: bytes, file: str) -> tuple[Playbook | None, list[Problem]]:
    """The playbook in these bytes, None when they have faults."""
    document = Document(file, content)
    playbook = _playbook(document, content) if document.root is not None else None
    problems = sorted(document.problems, key=lambda problem: problem.line or 0)
    return (None if problems else playbook), problems


def lint(paths: Iterable[Path]) -> list[Problem]:
    """Every fault of these files, and references to playbooks that neither they nor the shipped ones hold."""
    problems: list[Problem] = []
    found: list[Playbook] = []
    for path in paths:
        playbook, faults = read_playbook(path)
        problems += faults
        if playbook is not None:
            if any(other.id == playbook.id for other in found):
                problems.append(Problem(str(path), "id", f"another file is called {playbook.id!r} too", 1))
            found.append(playbook)
    known = {path.stem for path in shipped_directory().glob("*.yaml")} | {playbook.id for playbook in found}
    return problems + _unknown_playbooks(found, known)


def warnings(paths: Iterable[Path]) -> list[Problem]:
    """What these files ask for and this version cannot do or check. They can be followed all the same."""
    read = [playbook for playbook, _ in map(read_playbook, paths) if playbook is not None]
    return [
        Problem(playbook.file, f"step {step.id}", message, step.line)
        for playbook in read
        for step, message in requirements.warnings(playbook)
    ]


def _unknown_playbooks(playbooks: Iterable[Playbook], known: set[str]) -> list[Problem]:
    problems = []
    for playbook in playbooks:
        for step in playbook.steps:
            ways = [option.branch for option in step.options]
            ways += [way for way in (step.on_success, step.on_failure) if way is not None]
            for id in {way.playbook for way in ways if way.playbook} - known:
                problems.append(Problem(playbook.file, f"step {step.id}", f"there is no playbook {id!r}", step.line))
    return problems


def _playbook(document: Document, content: bytes) -> Playbook:
    root = document.root
    assert root is not None
    schema = root.text("schema", required=True)
    if schema and schema != SCHEMA:
        root.fault(f"{schema!r} is not a schema this version reads; expected {SCHEMA}", "schema")
    id = root.text("id", required=True)
    if id and not _ID.fullmatch(id):
        root.fault("must be small letters, digits and hyphens", "id")
    playbook = Playbook(
        id=id,
        version=root.whole("version", required=True, least=1) or 1,
        title=localized(root, "title", required=True),
        summary=localized(root, "summary"),
        symptoms=_symptoms(root),
        severity=_severity(root),
        owner=root.text("owner", required=True),
        review=_review(root),
        vars=_vars(root),
        phases=_phases(root),
        steps=tuple(read_step(fields) for fields in root.mappings("steps", required=True)),
        file=document.file,
        sha256=hashlib.sha256(content).hexdigest(),
        source=content,
    )
    root.done()
    _check_ids(document, playbook)
    _check_placeholders(document, playbook)
    if not document.problems:
        for step, message in graph.faults(playbook):
            document.problems.append(Problem(document.file, f"step {step.id}", message, step.line))
    return playbook


def _severity(root: Fields) -> int | None:
    fields = root.mapping("severity")
    if fields is None:
        return None
    text = fields.text("default", required=True)
    fields.done()
    try:
        return parse_severity(text) if text else None
    except UsageError:
        fields.fault("must be SEV-1, SEV-2, SEV-3 or SEV-4", "default")
        return None


def _symptoms(root: Fields) -> tuple[str, ...]:
    symptoms = root.texts("symptoms")
    for symptom in symptoms:
        if not _SYMPTOM.fullmatch(symptom):
            root.fault(f"{symptom!r} must begin with probe:, check:, log:, container: or metric:", "symptoms")
    return symptoms


def _review(root: Fields) -> Review:
    fields = root.mapping("review")
    if fields is None:
        return Review()
    review = Review(fields.text("last"), fields.span("every"), fields.text("last_drill"))
    for key, value in (("last", review.last), ("last_drill", review.last_drill)):
        if value and not re.fullmatch(r"\d{4}-\d\d-\d\d", value):
            fields.fault("must be a date such as 2026-11-01", key)
    fields.done()
    return review


def _vars(root: Fields) -> dict[str, Var]:
    table = root.mapping("vars")
    found: dict[str, Var] = {}
    for name in table or ():
        assert table is not None
        fields = table.mapping(name)
        if not _NAME.fullmatch(name) or name in BUILT_IN_VARS:
            taken = "is already used by the console" if name in BUILT_IN_VARS else "must be small letters and _"
            table.fault(f"a name {taken}", name)
        if fields is None:
            continue
        if "from" in fields:
            source = fields.choice("from", ("compose.service", "compose.container"), required=True)
            roles = ("edge", "app", "database", "cache")
            found[name] = Var(name, source, role=fields.choice("role", roles, required=True))
        else:
            fields.choice("type", ("string",), required=True)
            found[name] = Var(
                name, "given", default=fields.text("default"), pattern=fields.text("pattern", required=True)
            )
            _check_pattern(fields, found[name])
        fields.done()
    return found


def _check_pattern(fields: Fields, var: Var) -> None:
    try:
        pattern = re.compile(var.pattern)
    except re.error as error:
        fields.fault(f"not a regular expression: {error}", "pattern")
        return
    if not (var.pattern.startswith("^") and var.pattern.endswith("$")):
        fields.fault("must begin with ^ and end with $, or it lets more through than it says", "pattern")
    if var.default and not pattern.fullmatch(var.default):
        fields.fault("does not match the pattern", "default")


def _phases(root: Fields) -> tuple[Phase, ...]:
    phases = []
    for fields in root.mappings("phases"):
        phases.append(
            Phase(fields.text("id", required=True), localized(fields, "title", required=True), fields.span("within"))
        )
        fields.done()
    return tuple(phases)


def _check_ids(document: Document, playbook: Playbook) -> None:
    seen: set[str] = set()
    ids = {step.id for step in playbook.steps}
    phases = {phase.id for phase in playbook.phases}
    for index, step in enumerate(playbook.steps):
        path = ("steps", index)
        if step.id and not _ID.fullmatch(step.id):
            document.fault((*path, "id"), "must be small letters, digits and hyphens")
        if step.id in seen:
            document.fault((*path, "id"), f"another step is called {step.id!r} too")
        seen.add(step.id)
        if phases and step.phase not in phases:
            known = ", ".join(phase.id for phase in playbook.phases)
            message = f"{step.phase!r} is not a phase ({known})" if step.phase else "'phase' is missing"
            document.fault((*path, "phase") if step.phase else path, message)
        for key, goto in _gotos(step):
            if goto not in ids:
                document.fault((*path, *key), f"there is no step {goto!r}")
        for need in step.requires:
            kind, _, what = need.partition(":")
            if kind not in ("step", "evidence", "lease", "gate"):
                document.fault((*path, "requires"), f"{need!r} must begin with step:, evidence:, lease: or gate:")
            elif kind in ("step", "evidence") and what not in ids:
                document.fault((*path, "requires"), f"there is no step {what!r}")


def _gotos(step: Step) -> list[tuple[tuple[str | int, ...], str]]:
    found: list[tuple[tuple[str | int, ...], str]] = []
    for index, option in enumerate(step.options):
        found.append((("options", index, "goto"), option.branch.goto))
    if step.deadline is not None:
        found.append((("deadline", "then", "goto"), step.deadline.then.goto))
    for key, branch in (("on_success", step.on_success), ("on_failure", step.on_failure)):
        if branch is not None:
            found.append(((key, "goto"), branch.goto))
    return [(key, goto) for key, goto in found if goto]


def _check_placeholders(document: Document, playbook: Playbook) -> None:
    """Every `{{name}}` is a var; none stands in a shell line, where its value could become a command."""
    known = {*playbook.vars, *BUILT_IN_VARS}
    for index, step in enumerate(playbook.steps):
        texts: list[tuple[tuple[str, ...], str]] = []
        if step.run is not None:
            texts += [(("run",), word) for word in (*step.run.argv, step.run.exec_in)]
        if step.confirm is not None:
            texts.append((("confirm", "text"), step.confirm.text))
        texts.append((("service",), step.target))
        for key, text in texts:
            names = [match[1] for match in PLACEHOLDER.finditer(text)]
            if names and step.run is not None and step.run.shell and key == ("run",):
                document.fault(("steps", index, *key), "a shell line takes no vars: use argv, or leave the var out")
            for name in names:
                if name not in known:
                    document.fault(("steps", index, *key), f"there is no var {name!r}; declare it under vars")
