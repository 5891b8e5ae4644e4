"""`sevdeck init`, `sevdeck config show / check` and `sevdeck snapshot`."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from console.cli.call import Call
from console.errors import InvalidFileError, Problem, RefusedError, SevdeckError


def register(commands: Any) -> None:
    init = commands.add_parser("init", help="look at this host and write a commented sevdeck.toml")
    init.add_argument("--force", action="store_true", help="overwrite the file when it exists")
    init.add_argument("--output", metavar="FILE", default=None, help="where to write (default: ./sevdeck.toml)")
    init.add_argument(
        "--shared",
        metavar="GROUP",
        nargs="?",
        const="docker",
        help="instead: make /var/lib/sevdeck, so that all logins of this group share one record (default: docker)",
    )
    init.set_defaults(run=_init)
    config = commands.add_parser("config", help="show the settings in effect, or check them")
    actions = config.add_subparsers(metavar="show|check", required=True)
    actions.add_parser("show", help="every setting, and where it comes from").set_defaults(run=_show)
    actions.add_parser("check", help="every fault with file, key and remedy").set_defaults(run=_check)
    snapshot = commands.add_parser("snapshot", help="one reading of every source")
    snapshot.set_defaults(run=_snapshot)


def _share(call: Call, group: str) -> int:
    from console.places import SHARED_DATA, make_shared

    made = make_shared(group)
    told = f"Members of {group} now share the records in {SHARED_DATA}." if made else f"{SHARED_DATA} is so already."
    call.answer({"path": str(SHARED_DATA), "group": group, "made": made}, told)
    return 0


def _init(call: Call) -> int:
    if call.args.shared is not None:
        return _share(call, call.args.shared)
    import asyncio

    from console.config import DockerConfig
    from console.watch.discover import discover
    from console.watch.starter import toml

    path = Path(call.args.output or call.config_path or "sevdeck.toml")
    if path.exists() and not call.args.force:
        raise RefusedError(
            f"{path} is already there", remedy="Write another with --output FILE, or overwrite with --force"
        )
    found = asyncio.run(discover(DockerConfig(), Path.cwd()))
    _write(path, toml(found))
    project = found.project
    detected = {
        "engine": found.engine_fault or "answers",
        "projects": [one.name for one in found.projects],
        "project": project.name if project else None,
        "roles": {role: [guess.what for guess in guesses] for role, guesses in found.roles},
        "probes": [{"target": one.probe.target, "answered": bool(one.answered)} for one in found.probes],
        "logs": [log.value for log in found.logs],
    }
    lines = [f"Wrote {path}."]
    if found.engine_fault:
        lines.append(f"No container could be seen: {found.engine_fault}.")
    elif project is None:
        lines.append("No Compose project has containers on this host.")
    else:
        answered = sum(bool(one.answered) for one in found.probes)
        lines.append(
            f"Project {project.name}: {len(project.services)} services, {answered} of {len(found.probes)} endpoints"
            f" answered, {len(found.logs)} logs."
        )
    lines.append("Every guess is marked in it; please look, then run `sevdeck config check`.")
    call.answer({"path": str(path), "detected": detected}, "\n".join(lines))
    return 0


def _write(path: Path, text: str) -> None:
    """Write beside and rename, so that a full disk leaves the old file as it was."""
    beside = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        with suppress(OSError):
            beside.unlink()
        raise SevdeckError(
            f"{path} cannot be written: {error.strerror or error}", remedy="Name another place with --output FILE"
        ) from None


def _show(call: Call) -> int:
    from console.config_show import effective

    config = call.config
    rows = effective(config)
    place = str(config.path) if config.path else None
    width = max(len(row.key) for row in rows)

    def text() -> str:
        head = place or "no file; looked for " + ", ".join(str(path) for path in config.searched)
        return "\n".join([f"# {head}", *(f"{row.key:<{width}}  {row.shown:<40}  # {row.source}" for row in rows)])

    data = {
        "path": place,
        "searched": [str(path) for path in config.searched],
        "settings": [{"key": row.key, "value": row.value, "source": row.source} for row in rows],
    }
    call.answer(data, text)
    return 0


def _check(call: Call) -> int:
    from console.commands import keymap

    problems = []
    notices: tuple[Problem, ...] = ()
    path = None
    try:
        config = call.config
        path, notices = config.path, config.notices
        problems = keymap(config.keys, str(path))[1] if path else []
    except InvalidFileError as error:
        problems = error.problems
    errors, told = ([_problem(p) for p in found] for found in (problems, notices))
    if problems:
        count = f"{len(problems)} faults" if len(problems) > 1 else "1 fault"
        text = "\n".join([*(str(problem) for problem in problems), count])
    else:
        text = f"{path} is well." if path else "There is no file; the defaults hold. `sevdeck init` writes one."
    call.answer({"valid": not problems, "errors": errors, "notices": told}, "\n".join([*map(str, notices), text]))
    return 2 if problems else 0


def _problem(problem: Problem) -> dict[str, Any]:
    return {"file": problem.file, "key": problem.where, "line": problem.line, "message": problem.message}


def _snapshot(call: Call) -> int:
    import asyncio

    from console.cli.snapshot import lines, take

    taken = asyncio.run(take(call.config))
    call.answer(taken, lambda: "\n".join(lines(taken)))
    return 0
