"""A first `sevdeck.toml` from what `console.watch.discover` found: commented, each guess marked with its reason.

It writes text only. Secrets never appear: DSNs are references to the environment.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from console.config_file import show_duration
from console.watch.discover import ROLES, Discovery, FoundLog, FoundProbe

DSN_VARIABLE = "SEVDECK_DATABASE_DSN"

_HEAD = """\
# Settings of sevdeck for this host, written by `sevdeck init`. Everything is optional.
# Lines marked "guessed" are what init took things for: please look at each of them.
# `sevdeck config check` finds slips; `sevdeck config show` shows what is in effect.
"""

_TAIL = """\
[thresholds]  # of the finding "warn" and "crit"; these are the defaults
# cpu = {warn = 80, crit = 95}       # percent
# memory = {warn = 85, crit = 95}    # percent
# disk = {warn = 85, crit = 95}      # percent
# load = {warn = 2, crit = 4}        # load of one minute per core

[console]
# theme = "dark"  # dark, light, high-contrast, ansi
# refresh = 1     # seconds: 1, 2 or 5
"""


def toml(found: Discovery) -> str:
    """The file's text; `console.config` accepts it."""
    parts = [_HEAD, *_service(found), *_docker(found), *_roles(found), *_stores(found), *_probes(found)]
    return "\n".join([*parts, *_logs(found.logs), *_metrics(found), _TAIL])


def _service(found: Discovery) -> Iterator[str]:
    yield "[service]"
    if found.project is not None:
        yield f"name = {_text(found.project.name)}  # guessed: the Compose project"
    else:
        yield '# name = "shop"'
    edge = {guess.what for role, guesses in found.roles if role == "edge" for guess in guesses}
    urls = [p.probe.target for p in found.probes if p.probe.kind == "http" and p.probe.name.split("-")[0] in edge]
    if urls:
        yield f"url = {_text('/'.join(urls[0].split('/')[:3]) + '/')}  # guessed: the edge answers here"
    else:
        yield '# url = "https://shop.example.com/"'
    yield ""


def _docker(found: Discovery) -> Iterator[str]:
    yield "[docker]"
    if found.engine_fault:
        yield f"# No container could be seen: {found.engine_fault}"
    if found.project is None:
        if not found.engine_fault:
            yield "# The engine answers, but no Compose project has containers there."
        yield '# project = "shop"'
        yield '# compose_files = ["/srv/shop/compose.yaml"]'
    else:
        others = ", ".join(project.name for project in found.projects[1:6])
        why = f"the likeliest here; there are also {others}" if others else "the only one"
        yield f"project = {_text(found.project.name)}  # guessed: {why}"
        if found.project.files:
            yield f"compose_files = {_list(found.project.files)}  # it was started from here"
    yield ""


def _roles(found: Discovery) -> Iterator[str]:
    yield "[roles]  # what each service is for: recovery and findings go by it"
    guesses = dict(found.roles)
    for role in ROLES:
        known = guesses.get(role, ())
        if known:
            why = "; ".join(f"{guess.what}: {guess.why}" for guess in known)
            yield f"{role} = {_list(guess.what for guess in known)}  # guessed: {why}"
        else:
            yield f"# {role} = []"
    yield ""


def _stores(found: Discovery) -> Iterator[str]:
    roles = dict(found.roles)
    if database := roles.get("database"):
        yield "[database]"
        yield f"container = {_text(database[0].what)}  # guessed: {database[0].why}"
        yield "# The DSN is a reference, so that no password stands in this file. Before starting sevdeck, as it may be:"
        yield f"#   export {DSN_VARIABLE}='postgresql://USER:PASSWORD@{found.database_address or 'HOST:5432'}/DATABASE'"
        if found.database_env:
            yield f"# Its container knows these variables: {', '.join(found.database_env)}"
        yield f'dsn = "env:{DSN_VARIABLE}"'
        yield ""
    if cache := roles.get("cache"):
        yield "[cache]"
        yield f"container = {_text(cache[0].what)}  # guessed: {cache[0].why}"
        yield ""


def _probes(found: Discovery) -> Iterator[str]:
    yield "# Probes ask from outside whether it works. `business = true` marks those that do what users do."
    for one in found.probes:
        yield from _probe(one)
    yield "# [[probes]]"
    yield '# name = "order"'
    yield '# kind = "http"'
    yield '# target = "https://shop.example.com/webhook"'
    yield '# method = "POST"'
    yield '# body = \'{"text": "probe"}\''
    yield '# expect = "200 body:ok"'
    yield "# business = true"
    yield ""


def _probe(one: FoundProbe) -> Iterator[str]:
    # What does not answer now may be down or may be no endpoint: a person decides.
    mark = "" if one.answered else "# "
    note = f"guessed: it answered {one.detail}" if one.answered else f"guessed, but not well now: {one.detail}"
    yield f"{mark}[[probes]]  # {note}"
    yield f"{mark}name = {_text(one.probe.name)}"
    yield f"{mark}kind = {_text(one.probe.kind)}"
    yield f"{mark}target = {_text(one.probe.target)}"
    if one.probe.expect:
        yield f"{mark}expect = {_text(one.probe.expect)}"
    if one.probe.every != 10.0:
        yield f"{mark}every = {_text(show_duration(one.probe.every))}"
    yield ""


def _logs(logs: Iterable[FoundLog]) -> Iterator[str]:
    yield "# Logs: a container, a path with wildcards, or a unit of journald."
    seen: dict[str, int] = {}
    for log in logs:
        seen[log.name] = seen.get(log.name, 0) + 1
        name = log.name if seen[log.name] == 1 else f"{log.name}-{seen[log.name]}"
        yield f"[[logs]]  # guessed: {log.why}"
        yield f"name = {_text(name)}"
        yield f"{log.kind} = {_text(log.value)}"
        yield ""
    if not seen:
        yield '# [[logs]]\n# name = "app"\n# path = "/var/log/app/*.log"\n'


def _metrics(found: Discovery) -> Iterator[str]:
    yield "# Business metrics: one number each, from SQL, an HTTP endpoint, JSONL files or counted log lines."
    for files in found.metric_files:
        yield f"# These files look like metrics ({files.why}); `field` is the `name` in their lines:"
        yield '# [[metrics]]\n# name = "bookings"\n# kind = "jsonl"'
        yield f"# source = {_text(files.what)}"
        yield '# field = "bookings"\n# query = "sum"  # or count, avg, last, p95 ...\n# direction = "down"\n'
    yield '# [[metrics]]\n# name = "orders"\n# kind = "sql"'
    yield f'# source = "env:{DSN_VARIABLE}"  # where [database] has a dsn, that one when left out'
    yield "# query = \"SELECT count(*) FROM orders WHERE created_at > now() - interval '1 hour'\""
    yield '# direction = "down"  # fewer is bad\n# warn = 10\n# crit = 1\n'


def _text(value: str) -> str:
    """A TOML basic string: JSON's escapes are all TOML's too. Values are cleaned, so they hold no control characters."""
    return json.dumps(value, ensure_ascii=False)


def _list(values: Iterable[str]) -> str:
    return "[" + ", ".join(_text(value) for value in values) + "]"
