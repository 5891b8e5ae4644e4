"""PostgreSQL inside its container: statements, counts, dumps and restores, by `docker exec` with deadlines.

Nothing here needs a password or a published port: the local socket of the container is trusted by every image we
know. What it writes stays in the database it was told to write to.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from console.actions.backup.manifest import TableCount
from console.actions.engine import EngineDriver
from console.errors import SevdeckError
from console.programs.running import Ran
from console.text import clean

_ASK = 10.0  # seconds for one statement
_REAP_SECONDS = 5.0
_REAP = (
    'for p in /proc/[0-9]*; do tr "\\0" "\\n" <"$p/environ" 2>/dev/null | grep -qxF "$1" && kill -9 "${p#/proc/}"; '
    "done; true"
)
# Ends COMMAND when standard input does. A shell gives what it starts with & no input of its own, hence the copy.
_WHILE_HELD = (
    "exec 3<&0; COMMAND </dev/null 3<&- & work=$!; "
    '{ read -r _ <&3; kill -9 "$work"; } >/dev/null 2>&1 & guard=$!; '
    'exec 3<&-; wait "$work"; code=$?; kill "$guard"; exit "$code"'
)
_BEGIN = (
    "SET idle_in_transaction_session_timeout = 0; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; "
    "SELECT pg_export_snapshot();"
)
_GLANCE = 0.02  # seconds between looks at what a session said
_COPY = re.compile(r"_(?:pre|restore)_\d{8}_\d{6}$")
_TEMPLATES = ("postgres", "template0", "template1")

# One row a table: its name, rows by count(*), and the last value of the sequence behind its first column, if any.
_COUNTS = """
SELECT coalesce(json_object_agg(name, json_build_object('rows', rows, 'last', last)), '{}') FROM (
  SELECT format('%I.%I', n.nspname, c.relname) AS name,
    (xpath('/row/c/text()', query_to_xml(format('select count(*) as c from %I.%I', n.nspname, c.relname),
      false, true, '')))[1]::text::bigint AS rows,
    (SELECT pg_sequence_last_value(s.oid) FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
      WHERE d.refobjid = c.oid AND d.deptype IN ('a', 'i') ORDER BY d.refobjsubid LIMIT 1) AS last
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
) AS counted
"""


# Lines of a dump's table of contents, and statements made of them. Name and owner are given by who restores.
_OF_DATABASE = re.compile(r"^\d+; \d+ \d+ (?:(?:COMMENT|ACL) - DATABASE|DATABASE PROPERTIES -|DATABASE -) ")
_OWNED = re.compile(r"^\d+; \d+ \d+ DATABASE - \S+ (\S+)$")
_PROPERTY = re.compile(
    r"(?:ALTER DATABASE .+? (?:SET .+ TO|CONNECTION LIMIT =) |ALTER ROLE .+? IN DATABASE .+? SET |COMMENT ON DATABASE "
    r"|(?:GRANT|REVOKE) .+ ON DATABASE ).*;$"
)


class PostgresError(SevdeckError):
    """The server answered that it cannot, or did not answer in time (`silent`)."""

    def __init__(self, message: str, *, silent: bool = False) -> None:
        super().__init__(message)
        self.silent = silent


@dataclass(frozen=True, slots=True)
class Postgres:
    """The server in `container`. `user`: a superuser of it; "" is POSTGRES_USER of the container, else postgres."""

    driver: EngineDriver
    container: str
    user: str = ""

    async def sql(self, text: str, database: str = "postgres", seconds: float = _ASK) -> list[list[str]]:
        """The rows of one statement, as text. Raises PostgresError."""
        options = "-X -q -A -t -F '\x1f' -v ON_ERROR_STOP=1"
        ran = await self.run(f'psql {options} -U {self._who} -d "$1" -c "$2"', [database, text], seconds)
        return [line.split("\x1f") for line in ran.out.decode(errors="replace").splitlines() if line]

    async def statements(self, texts: Sequence[str], database: str = "postgres", seconds: float = _ASK) -> None:
        """One after the other over one connection, each a transaction of its own; ends at the first error.

        Raises PostgresError.
        """
        script = f'exec psql -X -q -v ON_ERROR_STOP=1 -U {self._who} -d "$@"'
        await self.run(script, [database, *(word for text in texts for word in ("-c", text))], seconds)

    async def value(self, text: str, database: str = "postgres", seconds: float = _ASK) -> str:
        """The first field of the first row, "" when there is none."""
        rows = await self.sql(text, database, seconds)
        return rows[0][0] if rows else ""

    async def databases(self) -> dict[str, int]:
        """Every database that people made -> its size in bytes. What a level 4 kept or left beside is none of them."""
        rows = await self.sql("SELECT datname, pg_database_size(oid) FROM pg_database WHERE datallowconn")
        return {name: int(size) for name, size in rows if name not in _TEMPLATES and not _COPY.search(name)}

    async def version(self) -> int:
        """The major version of the server."""
        return int(await self.value("SHOW server_version_num")) // 10_000

    async def counts(self, database: str, seconds: float = 60.0) -> dict[str, TableCount]:
        """Rows of every table, by `count(*)`: what a restore is compared with."""
        return _counted(await self.value(" ".join(_COUNTS.split()), database, seconds) or "{}")

    @contextlib.asynccontextmanager
    async def snapshot(self, database: str, seconds: float) -> AsyncIterator[tuple[str, dict[str, TableCount]]]:
        """(id, rows): a dump made with this id, while this is open, holds just these rows. Raises PostgresError.

        The session ends with its standard input, so when we are killed too.
        """
        ours, held = os.pipe()
        said = os.memfd_create("snapshot", os.MFD_CLOEXEC)
        script = f'exec psql -X -q -A -t -v ON_ERROR_STOP=1 -U {self._who} -d "$1"'
        session = asyncio.ensure_future(self.run(script, [database], seconds, stdin=ours, stdout=said))
        try:
            os.write(held, f"{_BEGIN} {' '.join(_COUNTS.split())};\n".encode())
            while (told := os.pread(said, os.fstat(said).st_size, 0)).count(b"\n") < 2:
                if session.done():
                    await session
                    raise PostgresError("the session of the snapshot ended")
                await asyncio.sleep(_GLANCE)
            ident, counted = told.decode(errors="replace").splitlines()[:2]
            yield ident, _counted(counted)
        finally:
            os.close(held)
            with contextlib.suppress(PostgresError, TimeoutError):
                await asyncio.wait_for(session, _REAP_SECONDS)
            os.close(ours)
            os.close(said)

    async def dump(self, database: str, target: int, seconds: float, snapshot: str = "") -> None:
        """Write a dump in custom format to the open file `target`. Raises PostgresError; the file is the caller's.

        Its standard input is ours and stays open as long as we live: when we are killed, the dump is too.
        """
        ours, held = os.pipe()
        try:
            command = f'pg_dump -Fc ${{2:+"--snapshot=$2"}} -U {self._who} -d "$1"'
            script = _WHILE_HELD.replace("COMMAND", command)
            await self.run(script, [database, snapshot], seconds, stdin=ours, stdout=target)
        finally:
            os.close(held)
            os.close(ours)

    async def roles(self, target: int, seconds: float = 60.0) -> None:
        """Write roles and their password hashes as statements to the open file `target`. Raises PostgresError."""
        await self.run(f"exec pg_dumpall --roles-only -U {self._who}", [], seconds, stdout=target)

    async def restore(self, dump: Path, database: str, seconds: float) -> None:
        """Read a dump in custom format into an empty database; ends at the first error. Raises PostgresError, OSError."""
        command = f'exec pg_restore --exit-on-error -U {self._who} -d "$1"'
        with dump.open("rb") as source:
            await self.run(command, [database], seconds, stdin=source.fileno())

    async def decode(self, dump: Path, seconds: float) -> None:
        """Read the whole dump and write it nowhere: `--list` alone passes for one that is cut or has a wrong bit."""
        with dump.open("rb") as source:
            await self.run("exec pg_restore -f /dev/null", [], seconds, stdin=source.fileno())

    async def header(self, dump: Path, seconds: float) -> dict[str, str]:
        """What the dump says of itself: "dbname", "Dumped from database version", "Dumped by pg_dump version" ..."""
        with dump.open("rb") as source:
            ran = await self.run("exec pg_restore --list", [], seconds, stdin=source.fileno())
        told = (line[1:].partition(":") for line in ran.out.decode(errors="replace").splitlines() if line[:1] == ";")
        return {name.strip(): clean(value.strip(), 200) for name, colon, value in told if colon}

    async def owner(self, dump: Path, seconds: float) -> str:
        """The role that owned the database; "" where the dump does not say it. Raises PostgresError."""
        found = (_OWNED.search(line) for line in await self._listed(dump, seconds))
        return next((match[1] for match in found if match), "")

    async def _listed(self, dump: Path, seconds: float) -> list[str]:
        with dump.open("rb") as source:
            ran = await self.run("exec pg_restore --create --list", [], seconds, stdin=source.fileno())
        return ran.out.decode(errors="replace").splitlines()

    async def properties(self, dump: Path, seconds: float) -> list[str]:
        """Statements that give a database what belongs to it and lies outside it: settings, limit, grants, comment.

        A dump holds them and pg_restore leaves them out unless it makes the database itself. Raises PostgresError.
        """
        wanted = [line for line in await self._listed(dump, seconds) if _OF_DATABASE.search(line)]
        script = 'l=$(mktemp) && printf "%s" "$1" >"$l" && pg_restore --create -L "$l" -f -; r=$?; rm -f "$l"; exit $r'
        with dump.open("rb") as source:
            told = await self.run(script, ["".join(f"{line}\n" for line in wanted)], seconds, stdin=source.fileno())
        return [line for line in told.out.decode(errors="replace").splitlines() if _PROPERTY.match(line)]

    async def run(
        self, script: str, arguments: list[str], seconds: float, *, stdin: int | None = None, stdout: int | None = None
    ) -> Ran:
        """A shell line in the container with `$1`, `$2` … Nothing of it outlives `seconds`. Raises PostgresError."""
        tag = f"sevdeck-{os.urandom(6).hex()}"
        # Errors are read by us, whatever language the server speaks to people.
        plain = ("LC_MESSAGES=C", "PGOPTIONS=-c lc_messages=C")
        argv = ["env", f"PGAPPNAME={tag}", *plain, "sh", "-c", script, "sh", *arguments]
        ran: Ran | None = None
        try:
            ran = await self.driver.execute(self.container, argv, seconds, stdin=stdin, stdout=stdout)
        finally:
            if ran is None or not ran.ok:
                await asyncio.shield(self._reap(tag))
        if ran.code is None or ran.code in (124, 137):
            raise PostgresError(f"no answer in {seconds:g} s", silent=True)
        if not ran.ok:
            raise PostgresError(clean(_telling(ran), 400))
        return ran

    async def _reap(self, tag: str) -> None:
        """End what a broken or cancelled call left in the container: a dump holds its snapshot for ever."""
        with contextlib.suppress(SevdeckError, OSError):
            await self.driver.execute(self.container, ["sh", "-c", _REAP, "sh", f"PGAPPNAME={tag}"], _REAP_SECONDS)

    @property
    def _who(self) -> str:
        return f"'{self.user}'" if self.user else '"${POSTGRES_USER:-postgres}"'


def compare(before: Mapping[str, TableCount], after: Mapping[str, TableCount]) -> list[str]:
    """What was there before and is not any more, in words; empty when nothing was lost.

    >>> compare({"a": TableCount(5, 9), "b": TableCount(1)}, {"a": TableCount(4, 9)})
    ['table b is gone', 'a: 4 rows, were 5']
    """
    gone = [f"table {name} is gone" for name in before if name not in after]
    fewer = [
        f"{name}: {after[name].rows} rows, were {was.rows}"
        for name, was in before.items()
        if name in after and after[name].rows < was.rows
    ]
    back = [
        f"{name}: its numbers went back from {was.last} to {after[name].last}"
        for name, was in before.items()
        if name in after and was.last is not None and (after[name].last or 0) < was.last
    ]
    return gone + fewer + back


def _counted(told: str) -> dict[str, TableCount]:
    return {str(name): TableCount(int(c["rows"] or 0), c["last"]) for name, c in json.loads(told).items()}


def _telling(ran: Ran) -> str:
    lines = [line.strip() for line in ran.error.splitlines() if line.strip()]
    telling = [line for line in lines if "rror" in line or "FATAL" in line]
    return "; ".join((telling or lines)[-2:]) or f"exit {ran.code}"
