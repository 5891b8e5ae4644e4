"""The docker program's one door: every command line passes here, and some never get through.

No recovery is worth a volume. Whatever would remove volumes, networks' or images' last copies is refused before a
process is started, whoever asks: a level, a playbook's command, a hook.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from console.errors import RefusedError
from console.programs.running import Ran, run_program, run_spooled

_WITH_VALUE = {"--host", "-H", "--context", "-c", "--config", "--log-level", "-l"}
_COMPOSE_WITH_VALUE = {
    *("--project-name", "-p", "--project-directory", "--file", "-f", "--env-file", "--profile"),
    *("--progress", "--ansi", "--parallel"),
}
# (group, command) -> options that make it destroy what nothing brings back
_OPTIONS: dict[tuple[str, str], tuple[str, ...]] = {
    ("compose", "down"): ("-v", "--volumes", "--rmi", "--remove-orphans"),
    ("compose", "rm"): ("-v", "--volumes"),
    ("compose", "up"): ("-V", "--renew-anon-volumes", "--remove-orphans"),
    ("compose", "run"): ("--remove-orphans",),
    ("compose", "kill"): ("--remove-orphans",),
    ("image", "prune"): ("-a", "--all"),
    ("builder", "prune"): ("-a", "--all"),
    ("", "rm"): ("-v", "--volumes", "--link"),
    ("container", "rm"): ("-v", "--volumes", "--link"),
}
_NEVER = {
    **dict.fromkeys((("system", "prune"), ("volume", "prune"), ("volume", "rm"), ("volume", "remove")), "removes volumes"),
    **dict.fromkeys((("", "rmi"), ("image", "rm"), ("image", "remove")), "removes images that a rollback may need"),
}  # fmt: skip
_GROUPS = {"compose", "system", "volume", "image", "builder", "buildx", "container", "network"}


class ForbiddenError(RefusedError):
    """A command line that sevdeck never runs."""


def forbidden(words: Sequence[str]) -> str:
    """Why `docker WORDS` must never run, "" when it may.

    >>> forbidden(["compose", "-p", "shop", "down", "--timeout", "10"])
    ''
    >>> forbidden(["compose", "-p", "shop", "down", "-v"])
    'docker compose down -v destroys what nothing brings back'
    >>> forbidden(["--host", "tcp://h:1", "volume", "prune"])
    'docker volume prune removes volumes'
    """
    rest = _after_options(list(words), _WITH_VALUE)
    group = rest[0] if rest and rest[0] in _GROUPS else ""
    if group:
        rest = _after_options(rest[1:], _COMPOSE_WITH_VALUE if group == "compose" else set())
    if not rest:
        return ""
    command, arguments = rest[0], rest[1:]
    name = " ".join(filter(None, ("docker", group, command)))
    if (group, command) in _NEVER:
        return f"{name} {_NEVER[group, command]}"
    for bad in _OPTIONS.get((group, command), ()):
        if any(_is(argument, bad) for argument in arguments):
            return f"{name} {bad} destroys what nothing brings back"
    if (group, command) == ("compose", "up") and "--no-deps" in arguments and "--no-recreate" not in arguments:
        # Compose counts what a service depends on into what it is, and makes it anew without.
        return f"{name} --no-deps without --no-recreate makes a container anew that forgets what it needs"
    if (group, command) in (("container", "prune"), ("network", "prune")) and not _of_one_project(arguments):
        return f"{name} without a filter for one project touches what is not ours"
    return ""


async def run_docker(
    words: Sequence[str],
    *,
    deadline: float,
    host: str = "",
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    keep_fds: Sequence[int] = (),
    stdin: int | None = None,
    stdout: int | None = None,
) -> Ran:
    """Run `docker WORDS` against the engine at `host` ("" is the default one). Raises ForbiddenError."""
    reason = forbidden(words)
    if reason:
        raise ForbiddenError(f"never run: {reason}")
    at = ["--host", host] if host else []
    return await run_program(
        ["docker", *at, *words], deadline=deadline, env=env, cwd=cwd, keep_fds=keep_fds, stdin=stdin, stdout=stdout
    )


async def run_docker_to_its_end(
    words: Sequence[str], *, deadline: float, host: str = "", cwd: str | None = None, keep_fds: Sequence[int] = ()
) -> Ran:
    """As `run_docker`, for changes: should we be killed it still does all of it. Raises ForbiddenError."""
    reason = forbidden(words)
    if reason:
        raise ForbiddenError(f"never run: {reason}")
    at = ["--host", host] if host else []
    return await run_spooled(["docker", *at, *words], deadline=deadline, cwd=cwd, keep_fds=keep_fds)


def _after_options(words: list[str], with_value: set[str]) -> list[str]:
    while words and words[0].startswith("-"):
        words = words[2:] if words[0] in with_value else words[1:]
    return words


def _is(argument: str, bad: str) -> bool:
    """`argument` is the option, with a value, or holds it among joined letters (-fv)."""
    if bad.startswith("--"):
        return argument == bad or argument.startswith(f"{bad}=")
    return argument[:1] == "-" and argument[:2] != "--" and bad[1] in argument[1:]


def _of_one_project(arguments: Sequence[str]) -> bool:
    return any("label=com.docker.compose.project=" in argument for argument in arguments)
