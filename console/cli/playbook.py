"""`sevdeck playbook list / show / lint / run`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console.cli.call import Call
from console.errors import Problem

if TYPE_CHECKING:
    from console.guide.schema import Playbook, Step


def register(commands: Any) -> None:
    playbook = commands.add_parser("playbook", help="checklists: list, show, lint, start")
    actions = playbook.add_subparsers(metavar="ACTION", required=True)
    actions.add_parser("list", help="all playbooks").set_defaults(run=_list)
    show = actions.add_parser("show", help="one playbook, step by step")
    show.add_argument("id", metavar="ID")
    show.set_defaults(run=_show)
    lint = actions.add_parser("lint", help="every fault of playbook files, with its line")
    lint.add_argument("files", nargs="*", metavar="FILE", help="files; the shipped ones and yours when left out")
    lint.set_defaults(run=_lint)
    run = actions.add_parser("run", help="start a playbook as a checklist of an incident")
    run.add_argument("id", metavar="ID")
    run.add_argument("--incident", required=True, metavar="ID")
    run.set_defaults(run=_run)
    for parser in (show, run):
        parser.add_argument("--language", choices=("en", "pt"), default=None)


def _catalog(call: Call) -> Any:
    from console.guide.loader import load_catalog

    catalog = load_catalog(call.data_dir)
    for problem in catalog.problems:
        call.note(f"left out: {problem}")
    return catalog


def _list(call: Call) -> int:
    playbooks = sorted(_catalog(call).playbooks.values(), key=lambda p: (p.severity or 9, p.id))
    language = _language(call)
    rows = [
        f"{p.id:<24} {f'SEV-{p.severity}' if p.severity else '':<6} {p.title.say(language)} ({len(p.steps)} steps)"
        for p in playbooks
    ]
    call.answer({"playbooks": [_as_json(p, language) for p in playbooks]}, "\n".join(rows))
    return 0


def _show(call: Call) -> int:
    playbook = _catalog(call).get(call.args.id)
    language = _language(call)
    call.answer(_as_json(playbook, language), lambda: "\n".join(_lines(playbook, language)))
    return 0


def _lint(call: Call) -> int:
    from console.guide.loader import lint, shipped_directory, warnings

    files = [Path(file) for file in call.args.files]
    if not files:
        for directory in (shipped_directory(), call.data_dir / "playbooks"):
            files += sorted(directory.glob("*.y*ml")) if directory.is_dir() else []
    problems, warned = lint(files), warnings(files)
    errors, told = ([{"file": p.file, "line": p.line, "message": _message(p)} for p in s] for s in (problems, warned))
    good = f"{len(files)} files are well." if len(files) != 1 else f"{files[0]} is well."
    lines = [*(f"{_line(p)} (warning)" for p in warned), *(map(_line, problems) if problems else [good])]
    call.answer({"errors": errors, "warnings": told, "files": len(files)}, "\n".join(lines))
    return 2 if problems else 0


def _run(call: Call) -> int:
    from console.guide.run import PlaybookRun
    from console.incident.events import Actor
    from console.incident.store import IncidentStore

    playbook = _catalog(call).get(call.args.id)
    journal = IncidentStore(call.data_dir, Actor.current("cli")).open(call.args.incident)
    run = PlaybookRun.start(journal, playbook, language=_language(call))
    journal.close()
    steps = [_step(step, _language(call)) for step in playbook.steps]
    data = {"incident": journal.incident, "run": run.id, "id": playbook.id, "sha256": playbook.sha256, "steps": steps}
    call.answer(data, f"{journal.incident}: started {playbook.title.say(_language(call))}, {len(steps)} steps")
    return 0


def _language(call: Call) -> str:
    """As asked for, else as the terminal's locale says."""
    import os

    asked = getattr(call.args, "language", None)
    locale = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or ""
    return str(asked or ("pt" if locale.lower().startswith("pt") else "en"))


def _message(problem: Problem) -> str:
    return f"{problem.where}: {problem.message}" if problem.where else problem.message


def _line(problem: Problem) -> str:
    return f"{problem.file}:{problem.line or 1}: {_message(problem)}"


def _as_json(playbook: Playbook, language: str) -> dict[str, Any]:
    return {
        "id": playbook.id,
        "title": playbook.title.say(language),
        "severity": playbook.severity,
        "version": playbook.version,
        "owner": playbook.owner,
        "file": playbook.file,
        "sha256": playbook.sha256,
        "reviewed": playbook.review.last or None,
        "steps": [_step(step, language) for step in playbook.steps],
    }


def _step(step: Step, language: str) -> dict[str, Any]:
    return {
        "id": step.id,
        "type": step.type,
        "title": step.title.say(language),
        "phase": step.phase,
        "risk": step.risk,
        "roles": list(step.roles),
        "command": list(step.run.argv) if step.run else None,
        "verify": str(step.verify) if step.verify else None,
        "terminal": step.terminal,
    }


def _lines(playbook: Playbook, language: str) -> Iterator[str]:
    import shlex

    severity = f"  SEV-{playbook.severity}" if playbook.severity else ""
    yield f"{playbook.title.say(language)}  ({playbook.id}, version {playbook.version}){severity}"
    yield playbook.summary.say(language)
    titles = {phase.id: phase.title.say(language) for phase in playbook.phases}
    phase = ""
    for step in playbook.steps:
        if step.phase != phase:
            phase = step.phase
            yield f"\n{titles.get(phase, phase)}"
        yield f"  {step.id:<18} {step.title.say(language)}{'' if step.risk == 'read' else f'  [{step.risk}]'}"
        for line in step.text.say(language).splitlines():
            yield f"      {line}"
        if step.run is not None:
            where = f"in {step.run.exec_in}: " if step.run.exec_in else ""
            yield f"      $ {where}{shlex.join(step.run.argv)}"
        if step.verify is not None:
            yield f"      verified when {step.verify}"
        for option in step.options:
            onward = option.branch.goto or (f"playbook {option.branch.playbook}" if option.branch.playbook else "next")
            yield f"      - {option.label.say(language)} → {onward}"
