"""Parts that go through a service itself: a container made anew with another setting, a limit in the database."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from typing import Any

from console.actions.action import Risk, Step
from console.actions.containment.entry import Sight
from console.actions.containment.operation import Operation, Tools, container
from console.actions.engine import EngineDriver, InDoubtError
from console.actions.facts import ServiceContainer
from console.actions.operation import StepFailedError
from console.errors import SourceError
from console.programs import compose
from console.programs.blueprint import ComposeProject
from console.text import clean

_UP = 120.0  # seconds for `up --wait`; it takes 3.4 to 3.9 on a small stack
_SQL = 5.0


def environment(inspect: Mapping[str, Any]) -> dict[str, str]:
    pairs = ((inspect.get("Config") or {}).get("Env")) or ()
    return dict(str(one).split("=", 1) for one in pairs if "=" in str(one))


def up_step(project: ComposeProject, service: str, name: str, value: str, before: str | None, host: str) -> Step:
    """Make the service anew with one variable changed; back to what the Compose files say on release."""
    argv = compose.argv(project, "up", "--detach", "--wait", service, host=host)
    return Step(
        f"up-{service}",
        f"make {service} anew with {name}={value}",
        f"{name}={shlex.quote(value)} {shlex.join(argv)}",
        {"op": "up", "project": project.name, "service": service, "argv": argv, "variable": name, "value": value,
         "before": before},
        undo=f"env -u {name} {shlex.join(argv)}",
        target=service,
        expected=4.0,
        timeout=_UP + 10,
        risk=Risk.OUTAGE,
    )  # fmt: skip


async def _up(tools: Tools, step: Step) -> str:
    return await _anew(tools, step, {str(step.call["variable"]): str(step.call["value"])})


async def _as_before(tools: Tools, step: Step) -> str:
    return await _anew(tools, step, {})


async def _anew(tools: Tools, step: Step, changed: Mapping[str, str]) -> str:
    kept = {k: v for k, v in os.environ.items() if k != step.call["variable"]}
    ran = await tools.run([str(w) for w in step.call["argv"]], _UP, {**kept, **changed})
    if ran.code is None:
        raise InDoubtError(f"docker compose: {ran.error}")
    if not ran.ok:
        raise StepFailedError(f"docker compose up: exit {ran.code}: {ran.text[-300:]}")
    return f"{step.call['service']} runs with {step.call['variable']}={changed.get(str(step.call['variable']), 'as before')}"


async def _varied(tools: Tools, step: Step) -> Sight:
    """What the containers of the service were made with. Replaced ones are looked at too: the name counts here."""
    found = [
        environment(one).get(str(step.call["variable"]))
        for one in await tools.driver.project(str(step.call["project"]))
        if _service(one) == step.call["service"]
    ]
    if not found:
        return Sight.GONE
    if all(value == step.call["value"] for value in found):
        return Sight.IN_FORCE
    return Sight.PARTLY if any(value == step.call["value"] for value in found) else Sight.ABSENT


def _service(inspect: Mapping[str, Any]) -> str:
    labels = (inspect.get("Config") or {}).get("Labels") or {}
    return clean(str(labels.get("com.docker.compose.service", "")), 300)


# --- the database's own limit ----------------------------------------------------------------------------------


def limit_step(project: str, c: ServiceContainer, user: str, database: str, limit: int, before: int) -> Step:
    return Step(
        f"limit-{database}",
        f"at most {limit} connections to database {database}",
        _shown(c.name, user, set_limit(database, limit)),
        {"op": "limit", "project": project, "id": c.id, "user": user, "database": database, "limit": limit,
         "before": before},
        undo=_shown(c.name, user, set_limit(database, before)),
        target=c.service,
        expected=0.3,
        timeout=_SQL + 5,
        risk=Risk.OUTAGE,
    )  # fmt: skip


def _shown(name: str, user: str, sql: str) -> str:
    return shlex.join(["docker", "exec", name, *psql(user, sql)])


def psql(user: str, sql: str) -> list[str]:
    return ["psql", "-X", "-qtA", "-v", "ON_ERROR_STOP=1", "-U", user, "-d", "postgres", "-c", sql]


def set_limit(database: str, limit: int) -> str:
    """
    >>> set_limit('a"b', -1)
    'ALTER DATABASE "a""b" CONNECTION LIMIT -1'
    """
    name = database.replace('"', '""')
    return f'ALTER DATABASE "{name}" CONNECTION LIMIT {limit:d}'


async def read_limit(driver: EngineDriver, container: str, user: str, database: str) -> int | None:
    """The database's limit now (-1: none); None when there is no such database. Raises SourceError."""
    name = database.replace("'", "''")
    sql = f"SELECT datconnlimit FROM pg_database WHERE datname = '{name}'"
    ran = await driver.execute(container, psql(user, sql), _SQL)
    if not ran.ok:
        raise SourceError(f"the database could not be asked: {ran.text[:200] or 'no answer'}")
    text = ran.out.decode(errors="replace").strip()
    return int(text) if text.lstrip("-").isdigit() else None


async def _limit(tools: Tools, step: Step) -> str:
    return await _set(tools, step, int(step.call["limit"]))


async def _unlimit(tools: Tools, step: Step) -> str:
    return await _set(tools, step, int(step.call["before"]))


async def _set(tools: Tools, step: Step, limit: int) -> str:
    ident = await _database(tools, step)
    if ident is None:
        raise StepFailedError(f"there is no container of {step.target}")
    sql = set_limit(str(step.call["database"]), limit)
    ran = await tools.driver.execute(ident, psql(str(step.call["user"]), sql), _SQL)
    if ran.code is None or ran.code in (124, 137):
        raise InDoubtError("the database gave no answer in time")
    if not ran.ok:
        raise StepFailedError(f"psql: exit {ran.code}: {ran.text[:300]}")
    return "no limit" if limit < 0 else f"at most {limit} connections; those that are open stay open"


async def _limited(tools: Tools, step: Step) -> Sight:
    ident = await _database(tools, step)
    if ident is None:
        return Sight.GONE
    limit = await read_limit(tools.driver, ident, str(step.call["user"]), str(step.call["database"]))
    if limit is None:
        return Sight.GONE
    return Sight.IN_FORCE if limit == step.call["limit"] else Sight.ABSENT


async def _database(tools: Tools, step: Step) -> str | None:
    """The database's container, also one made anew: the limit is in its data, not in the container."""
    found = await container(tools, step)
    if found is not None:
        return found.id
    everything = await tools.driver.project(str(step.call["project"]))
    return next((str(one.get("Id")) for one in everything if _service(one) == step.target), None)


UP = Operation(_up, _as_before, _varied)
LIMIT = Operation(_limit, _unlimit, _limited)
