"""The operations of level 4 and of backups inside a run. None of them removes data that it did not make itself."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from console.actions.action import Standing, Step
from console.actions.backup import checking, making, manifest
from console.actions.backup.checking import identifier, quoted
from console.actions.backup.manifest import Backup
from console.actions.engine import InDoubtError
from console.actions.operation import Context, StepFailedError, StepSkipped
from console.actions.postgres import Postgres, PostgresError
from console.checks.check import Finding, Status
from console.errors import SevdeckError, SourceError, UsageError
from console.programs.running import Ran
from console.text import clean

_TRIES = 5  # of the change of names: a client may slip in between
_STILL_IN = "being accessed by other users"  # who was sent away takes a moment to go
_MAINTENANCE = "postgres"  # the database that is connected to while others change their names


def _server(ctx: Context, step: Step) -> Postgres:
    return Postgres(ctx.driver, str(step.call["container"]))


def _backup(step: Step) -> Backup:
    try:
        return manifest.find(Path(step.call["directory"]), str(step.call["backup"]))
    except UsageError as error:
        raise StepFailedError(error.message) from error


def _failed(error: SevdeckError) -> SevdeckError:
    """An answer of the server is a plain no; its silence is doubt."""
    if isinstance(error, PostgresError) and error.silent:
        return InDoubtError(f"the database gave {error.message}")
    return StepFailedError(error.message)


# --- before anything is touched -----------------------------------------------------------------------------------


async def dump(ctx: Context, step: Step) -> str:
    """A backup of each database as it is now, in the catalog like any other."""
    made = []
    try:
        for database in step.call["databases"] or list(await _server(ctx, step).databases()):
            order = making.Order(Path(step.call["directory"]), str(step.call["project"]), database, ctx.actor)
            made.append(await making.create(_server(ctx, step), order, step.timeout))
    except (SevdeckError, OSError) as error:
        raise StepFailedError(getattr(error, "message", "") or str(error)) from error
    return ", ".join(f"backup {b.id} of {b.database}, {b.rows} rows, {b.size} bytes" for b in made) or "no database"


async def check_backup(ctx: Context, step: Step) -> str:
    """The dump's bytes, its whole decode, version and database. Where the server is down its image does the reading."""
    backup = _backup(step)
    if step.call["answers"]:
        found = await checking.check(backup, _server(ctx, step), str(step.call["database"]))
    else:
        found = await asyncio.to_thread(checking.bytes_of, backup)
        if found[-1].status is Status.OK:
            found.append(await _decode_offline(ctx, step, backup))
    bad = [f for f in found if f.status in (Status.FAIL, Status.UNKNOWN)]
    if bad:
        raise StepFailedError(f"backup {backup.id}: {bad[0].summary}")
    return "; ".join(f.summary for f in found)


async def _decode_offline(ctx: Context, step: Step, backup: Backup) -> Finding:
    argv, image = ["pg_restore", "-f", "/dev/null"], str(step.call["image"])
    with backup.path.open("rb") as source:
        ran = await ctx.driver.once(image, argv, checking.patience(backup), stdin=source.fileno())
    words = "read to its last byte" if ran.ok else clean(ran.text, 300) or "no answer"
    return Finding("backup.decode", "database", Status.OK if ran.ok else Status.FAIL, words)


# --- beside the live one ------------------------------------------------------------------------------------------


async def read_in(ctx: Context, step: Step) -> str:
    """Into a database of its own name; what an interrupted try left is thrown away first."""
    server, side = _server(ctx, step), str(step.call["side"])
    try:
        await checking.drop(server, side)
        await checking.restore_into(_backup(step), server, side, like=str(step.call["database"]))
    except (PostgresError, OSError) as error:
        reason = _failed(error) if isinstance(error, PostgresError) else StepFailedError(str(error))
        await _drop_quietly(server, side)
        raise reason from error
    return f"{side} is there"


async def compare(ctx: Context, step: Step) -> str:
    """As many rows as were backed up, or the run ends here and the side database goes."""
    server, side = _server(ctx, step), str(step.call["side"])
    try:
        found = checking.compared(_backup(step), await server.counts(side))
    except PostgresError as error:
        raise _failed(error) from error
    if found[-1].status is not Status.OK:
        await _drop_quietly(server, side)
        raise StepFailedError(found[-1].summary)
    return found[-1].summary


async def swap(ctx: Context, step: Step) -> str:
    """live -> kept and side -> live, both or neither, while nobody can connect."""
    call, names = step.call, await _names(ctx, step)
    done = f"{call['database']} is the backup now"
    if call["side"] not in names:  # killed after the change, before the doors were opened
        await _allow(ctx, step, str(call["kept"]))
        await _allow(ctx, step, str(call["database"]))
    elif call["database"] not in names:  # a new cluster, made by an image that knows nothing of it
        await _rename(ctx, step, [(call["side"], call["database"])])
        return done
    else:
        await _rename(ctx, step, [(call["database"], call["kept"]), (call["side"], call["database"])])
    return f"{done}; what was there is kept as {call['kept']}"


async def properties(ctx: Context, step: Step) -> str:
    """Settings, limit and grants of the database itself, by the name that it has again."""
    server, seconds = _server(ctx, step), 20.0
    try:
        found = await server.properties(_backup(step).path, seconds)
        if not found:
            raise StepSkipped("the backup has none")
        await server.statements(found, str(step.call["database"]), seconds)
    except (PostgresError, OSError) as error:
        raise _failed(error) if isinstance(error, PostgresError) else StepFailedError(str(error)) from error
    return f"{len(found)} of them"


async def is_swapped(ctx: Context, step: Step) -> Standing:
    names = await _names(ctx, step)
    if step.call["side"] in names:
        return Standing.NOT_DONE
    return Standing.DONE if names.get(step.call["database"]) else Standing.PARTIAL


async def swap_back(ctx: Context, step: Step) -> str:
    call, names = step.call, await _names(ctx, step)
    if call["kept"] not in names:
        await _allow(ctx, step, str(call["database"]))
        raise StepSkipped("the names were not changed")
    await _rename(ctx, step, [(call["database"], call["side"]), (call["kept"], call["database"])])
    return f"{call['database']} is what it was before"


async def is_swapped_back(ctx: Context, step: Step) -> Standing:
    """Not even `done` where nothing was changed: the live database may still be closed to everybody."""
    return Standing.NOT_DONE


async def drop_side(ctx: Context, step: Step) -> str:
    try:
        await checking.drop(_server(ctx, step), str(step.call["side"]))
    except PostgresError as error:
        raise _failed(error) from error
    return f"{step.call['side']} is gone; the backup it came from is not"


async def is_dropped(ctx: Context, step: Step) -> Standing:
    return Standing.NOT_DONE if step.call["side"] in await _names(ctx, step) else Standing.DONE


async def _rename(ctx: Context, step: Step, pairs: list[tuple[Any, Any]]) -> None:
    """Both names at once. The first is closed to new clients, those who are in are sent away, then both change.

    All of it over one connection: users wait outside for as long as it takes.
    """
    server, first = _server(ctx, step), str(pairs[0][0])
    closed = f"ALTER DATABASE {identifier(first)} ALLOW_CONNECTIONS false"
    ends = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname IN ({_list(pairs)}) AND pid <> pg_backend_pid();"
    renames = " ".join(f"ALTER DATABASE {identifier(a)} RENAME TO {identifier(b)};" for a, b in pairs)
    opened = [f"ALTER DATABASE {identifier(str(new))} ALLOW_CONNECTIONS true" for _, new in pairs]
    try:
        for attempt in range(_TRIES):
            try:
                await server.statements([closed, f"{ends} {renames}", *opened], _MAINTENANCE, seconds=20.0)
                break
            except PostgresError as error:
                if _STILL_IN not in error.message or attempt == _TRIES - 1:
                    raise
                await asyncio.sleep(ctx.pace)
    except PostgresError as error:
        await _allow(ctx, step, first)
        raise _failed(error) from error


async def _allow(ctx: Context, step: Step, name: str) -> None:
    """Open the database to clients again; silence is told by the next look."""
    server = _server(ctx, step)
    try:
        if name in await _names(ctx, step):
            await server.sql(f"ALTER DATABASE {identifier(name)} ALLOW_CONNECTIONS true", _MAINTENANCE)
    except PostgresError as error:
        raise _failed(error) from error


async def _names(ctx: Context, step: Step) -> dict[str, bool]:
    """Every database, and whether clients may connect to it."""
    try:
        rows = await _server(ctx, step).sql("SELECT datname, datallowconn FROM pg_database", _MAINTENANCE)
        return {name: allowed == "t" for name, allowed in rows}
    except PostgresError as error:
        raise SourceError(f"the database gives no answer: {error.message}") from error


def _list(pairs: list[tuple[Any, Any]]) -> str:
    return ", ".join(quoted(str(a)) for a, _ in pairs)


async def _drop_quietly(server: Postgres, side: str) -> None:
    try:
        await checking.drop(server, side)
    except PostgresError:
        return  # it stays beside the live one, under a name that says what it is


# --- a new cluster ------------------------------------------------------------------------------------------------


# $1 data directory, $2 its name aside, $3 "whole": it is a mount by itself, so an empty one must take its place.
_ASIDE = """
if [ ! -e "$2" ]; then [ -e "$1" ] || exit 3; mv -T "$1" "$2" && sync -f "$2" || exit 1; fi
if [ -n "$3" ] && [ ! -e "$1" ]; then
  rm -rf "$1.new" && mkdir "$1.new" && chown "$(stat -c %u:%g "$2")" "$1.new" && chmod "$(stat -c %a "$2")" "$1.new" &&
  mv -T "$1.new" "$1" && sync -f "$1"
fi
"""


async def aside(ctx: Context, step: Step) -> str:
    """Rename the data directory, while no server runs on it."""
    data, kept = _places(step)
    ran = await _in_volume(ctx, step, _ASIDE, data, kept, "whole" if step.call["whole"] else "")
    if ran.code == 3:
        raise StepFailedError(f"there is no {data}")
    return f"it is {kept} now"


async def is_aside(ctx: Context, step: Step) -> Standing:
    data, kept = _places(step)
    script = '[ -e "$2" ] || exit 3; [ -z "$3" ] || [ -e "$1" ] || exit 3'
    ran = await _in_volume(ctx, step, script, data, kept, "whole" if step.call["whole"] else "")
    return Standing.DONE if ran.code == 0 else Standing.NOT_DONE


async def aside_back(ctx: Context, step: Step) -> str:
    """The broken directory gets its place back; what was made in between is kept beside it."""
    data, kept = _places(step)
    script = (
        '[ -e "$2" ] || exit 3; if [ -e "$1" ]; then mv -T "$1" "$1.failed.$$"; fi; mv -T "$2" "$1" && sync -f "$1"'
    )
    ran = await _in_volume(ctx, step, script, data, kept)
    if ran.code == 3:
        raise StepSkipped("it was not moved")
    return f"{data} is what it was before"


async def is_aside_back(ctx: Context, step: Step) -> Standing:
    ran = await _in_volume(ctx, step, '[ -e "$2" ] || exit 3', *_places(step))
    return Standing.DONE if ran.code == 3 else Standing.NOT_DONE


def _places(step: Step) -> tuple[str, str]:
    data = Path(str(step.call["data"]))
    return str(data), str(data.with_name(str(step.call["aside"])))


async def _in_volume(ctx: Context, step: Step, script: str, *arguments: str) -> Ran:
    call = step.call
    options = ["--volume", f"{call['volume']}:{call['mount']}", "--user", "0"]
    if call["whole"]:  # not ours to label anew
        options += ["--security-opt", "label=disable"]
    ran = await ctx.driver.once(str(call["image"]), ["sh", "-c", script, "sh", *arguments], step.timeout, options)
    if ran.code is None or ran.code in (124, 137):
        raise InDoubtError("the container that moves the directory did not answer")
    if ran.code not in (0, 3):
        raise StepFailedError(clean(ran.text, 300) or f"exit {ran.code}")
    return ran


async def globals_(ctx: Context, step: Step) -> str:
    """Roles and their passwords, as they were. Those that the image made already stay; errors of theirs are no news."""
    backup = _backup(step)
    roles = backup.path.with_name(f"{backup.id}.roles.sql")
    if not roles.is_file():
        raise StepSkipped("the backup has no roles; the image makes its own")
    try:
        with roles.open("rb") as source:
            await _server(ctx, step).run(
                'exec psql -X -q -U "${POSTGRES_USER:-postgres}" -d postgres', [], step.timeout, stdin=source.fileno()
            )
    except (PostgresError, OSError) as error:
        raise StepFailedError(str(error)) from error
    return "roles are back"
