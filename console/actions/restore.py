"""Level 4 as a plan: yesterday's data brought back without overwriting today's.

4a, the server answers: the backup is read into a database beside the live one, compared, and the two change names.
4b, the server cannot start: its data directory is moved aside first, and a new cluster is made in its place.
Either way what was there before stays there under another name, and the way back is to change the names again.
Pure over `Facts`; `console.actions.restore_survey` fills `Facts.restore`.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console.actions.action import Precondition, Refusal, Risk, Step
from console.actions.backup.manifest import Backup, TableCount

if TYPE_CHECKING:
    from console.actions.facts import Facts

_ROOM = 1.2  # times database and dump
_ALIKE = 0.5  # a backup below this share of the size of the one before wants a look
_HOST = "/sevdeck"  # in the container that renames a whole volume's directory
_NAME = 40  # characters of a database's name that a kept copy carries; PostgreSQL takes 63


@dataclass(frozen=True, slots=True)
class Ground:
    """What level 4 stands on. `problem`: why there is nothing to restore, or nowhere."""

    directory: str = ""
    problem: str = ""
    help: str = ""
    backup: Backup | None = None
    previous: Backup | None = None  # the one made before it
    container: str = ""  # id
    name: str = ""
    service: str = ""
    image: str = ""
    answers: bool = False  # the server takes statements
    silence: str = ""  # why not
    version: int | None = None
    sizes: Mapping[str, int] = field(default_factory=dict)  # databases -> bytes
    lasts: Mapping[str, TableCount] = field(default_factory=dict)  # table -> rows (estimate) and last number, now
    schema_version: str = ""
    free: int | None = None  # bytes on the data volume
    data: str = ""  # PGDATA in the container
    mount: str = ""  # where its volume is mounted
    volume: str = ""  # name, or path on the host of a bind
    whole: str = ""  # where PGDATA is a mount by itself: its directory on the engine's host, which can be renamed there
    stamp: str = ""  # goes into the names of kept copies

    @property
    def database(self) -> str:
        return self.backup.database if self.backup is not None else ""

    @property
    def side(self) -> str:
        """The database beside the live one that the backup is read into."""
        return f"{self.database[:_NAME]}_restore_{self.stamp}"

    @property
    def kept(self) -> str:
        """What the live database is called after the change."""
        return f"{self.database[:_NAME]}_pre_{self.stamp}"

    @property
    def aside(self) -> str:
        """What the broken data directory is called after the change."""
        return f"{Path(self.moved).name}.broken.{self.stamp}"

    @property
    def moved(self) -> str:
        """The data directory as the container sees it that renames it."""
        return f"{_HOST}/{Path(self.whole).name}" if self.whole else self.data

    @property
    def mounted(self) -> tuple[str, str]:
        """What that container mounts, and where: the volume, or the directory on the host that holds it."""
        return (str(Path(self.whole).parent), _HOST) if self.whole else (self.volume, self.mount)

    @property
    def left(self) -> str:
        """Where people find the broken data directory afterwards."""
        if self.whole:
            return f"{Path(self.whole).with_name(self.aside)} on the engine's host"
        return f"{self.aside} in the volume"

    @property
    def movable(self) -> bool:
        """The data directory can be renamed: within its volume, or with all of it."""
        within = bool(self.mount) and self.data != self.mount and Path(self.data).is_relative_to(self.mount)
        return bool(self.whole) or within


def refusal(facts: Facts) -> Refusal | None:
    """What level 4 must have before it begins."""
    ground = facts.restore
    if ground is None:
        return Refusal("the backups were not looked at", "plan it: sevdeck recover plan 4")
    if ground.problem or ground.backup is None:
        return Refusal(ground.problem or "there is no backup", ground.help or "make one: sevdeck backup create")
    backup = ground.backup
    if not backup.path.is_file() or backup.path.stat().st_size != backup.size:
        return Refusal(
            f"backup {backup.id} is not whole: its dump is missing or was cut", "choose another: --backup ID"
        )
    if ground.version is not None and backup.server > ground.version:
        return Refusal(
            f"backup {backup.id} is of server {backup.server}, this one is {ground.version}: too new for it",
            "restore it on a newer server",
        )
    if ground.answers and ground.database not in ground.sizes:
        known = ", ".join(ground.sizes) or "none"
        return Refusal(
            f"backup {backup.id} is of database {ground.database}; here are: {known}",
            f"choose another: --backup ID; if {ground.database} was dropped, make an empty one first: createdb",
        )
    wanted = _wanted(ground)
    if ground.free is not None and ground.free < wanted:
        return Refusal(
            f"the data volume has {_size(ground.free)} free; the copy beside the live one needs {_size(wanted)}",
            "free space on the data volume first",
        )
    if not ground.answers and not ground.movable:
        return Refusal(
            f"{ground.service} does not answer ({ground.silence}), and its data directory {ground.data or '?'} is a "
            "volume that this engine cannot rename (of a driver, or with options)",
            "give PGDATA a directory below the mount, or restore by hand into a new volume",
        )
    return None


def preconditions(facts: Facts) -> tuple[Precondition, ...]:
    """What was looked at for level 4 alone."""
    ground = facts.restore
    if ground is None or ground.backup is None:
        return (Precondition("a backup", False, ground.problem if ground else "not looked at"),)
    backup, now = ground.backup, facts.taken_at
    done = backup.verified
    words = f"{done.how} {_ago(now - done.at)}" if done else "not yet; it is read to its last byte before anything else"
    alike = ground.previous is None or backup.size >= _ALIKE * ground.previous.size
    schema = not ground.schema_version or not backup.schema_version or ground.schema_version == backup.schema_version
    return (
        Precondition(
            "a backup", True, f"{backup.id} of {backup.database}, {_ago(backup.age(now))}, {_size(backup.size)}"
        ),
        Precondition("verified", True if done else None, words),
        Precondition("as big as the one before", True if alike else None, _size(backup.size)),
        Precondition(
            "the server answers", True if ground.answers else None, ground.silence or f"version {ground.version}"
        ),
        Precondition(
            "schema the app knows",
            True if schema else None,
            f"{backup.schema_version or '?'}, now {ground.schema_version or '?'}",
        ),
        Precondition(
            "room for both",
            None if ground.free is None else ground.free >= _wanted(ground),
            "cannot be told" if ground.free is None else f"{_size(ground.free)} free, {_size(_wanted(ground))} needed",
        ),
    )


def loss(ground: Ground) -> str:
    """What is in the live database and not in the backup, as well as can be told."""
    backup = ground.backup
    if backup is None:
        return "unknown"
    since = f"writes since {_minute(backup.created_at)} UTC"
    if not ground.answers:
        return f"{since}; how many cannot be told"
    return f"{since}, about {_newer(backup, ground.lasts)} rows"


def _newer(backup: Backup, now: Mapping[str, TableCount]) -> int:
    """By the numbers the sequences have given since; where a table has none, by its rows."""
    total = 0
    for name, count in now.items():
        was = backup.after.get(name) or backup.tables.get(name) or TableCount(0)
        if count.last is not None and count.last >= (was.last or 0):
            grown = count.last - (was.last or 0)
            total += min(grown, max(grown, 0))
        else:
            total += max(0, count.rows - was.rows)
    return total


def consent(facts: Facts, rpo: float) -> str:
    """A second thing to type, for a backup older than the limit; "" when it is young enough."""
    ground = facts.restore
    if ground is None or ground.backup is None or ground.backup.age(facts.taken_at) <= rpo:
        return ""
    return f"lose since {_minute(ground.backup.created_at)}"


def confirmation(facts: Facts) -> str:
    """The project's name and the end of the backup's id: nobody types that by habit."""
    ground = facts.restore
    return (
        f"{facts.project} {ground.backup.short}" if ground is not None and ground.backup is not None else facts.project
    )


def title(facts: Facts) -> str:
    ground = facts.restore
    if ground is None or ground.backup is None:
        return "restore from a backup"
    how = "" if ground.answers else " into a new cluster"
    return f"restore {ground.database} of {_ago(ground.backup.age(facts.taken_at))}{how}"


def advice(facts: Facts) -> tuple[str, ...]:
    ground = facts.restore
    if ground is None or ground.backup is None:
        return ()
    said = [f"lost: {loss(ground)}"]
    if ground.backup.schema_version and ground.schema_version not in ("", ground.backup.schema_version):
        said.append(f"the backup has schema {ground.backup.schema_version}, the app works with {ground.schema_version}")
    where = f"database {ground.kept}" if ground.answers else ground.left
    if not ground.answers:
        said.append("what was set in the old data directory (pg_hba.conf, ALTER SYSTEM) does not come along")
    return (*said, f"what is there now stays as {where}; remove it when nobody needs it any more")


# --- steps of 4a --------------------------------------------------------------------------------------------------


def beside(ground: Ground, project: str) -> tuple[Step, ...]:
    """The server answers: keep a dump of now, read the backup in beside it, compare, change the names."""
    now = safety(ground.container, ground.directory, project, ground.database, 3600.0)
    return (check(ground), now, _read_in(ground), _compare(ground), _swap(ground), _properties(ground))


def beside_back(ground: Ground) -> tuple[Step, ...]:
    """The way back: the names again, then the copy of the backup goes, which can be had anew."""
    return (
        Step(
            "undo-swap",
            f"give {ground.database} its own data back",
            f"ALTER DATABASE {ground.database} RENAME TO {ground.side}; "
            f"ALTER DATABASE {ground.kept} RENAME TO {ground.database}",
            _call(ground, "swap_back"),
            timeout=60.0,
            risk=Risk.LOW,
        ),
        Step(
            "undo-read-in",
            f"drop {ground.side}",
            f"DROP DATABASE IF EXISTS {ground.side}",
            _call(ground, "drop_side"),
            timeout=90.0,
            risk=Risk.LOW,
            optional=True,
        ),
    )


def check(ground: Ground) -> Step:
    backup = _of(ground)
    return Step(
        "check",
        f"read backup {backup.short} to its last byte",
        f"sha256sum {shlex.quote(str(backup.path))}; pg_restore -f /dev/null {shlex.quote(str(backup.path))}",
        _call(ground, "check_backup"),
        expected=1.0 + backup.size / 20e6,
        timeout=_patience(backup),
    )


def safety(container: str, directory: str, project: str, database: str, seconds: float) -> Step:
    """A dump of what is there now. `database` "" is every one."""
    return Step(
        "safety",
        f"back up {database or 'the database'} as it is now",
        "sevdeck backup create",
        {
            "op": "dump",
            "container": container,
            "directory": directory,
            "databases": [database] if database else [],
            "project": project,
        },
        expected=3.0,
        timeout=seconds,
        risk=Risk.LOW,
    )


def _read_in(ground: Ground) -> Step:
    backup = _of(ground)
    return Step(
        "read-in",
        f"read it into {ground.side}, beside the live one",
        f"createdb {ground.side}; pg_restore --exit-on-error -d {ground.side} {shlex.quote(str(backup.path))}",
        _call(ground, "read_in"),
        undo=f"DROP DATABASE {ground.side}",
        expected=2.0 + backup.size / 10e6,
        timeout=_patience(backup) + 60.0,
        risk=Risk.LOW,
    )


def _compare(ground: Ground) -> Step:
    return Step(
        "compare",
        "compare its rows with what was backed up",
        f"SELECT count(*) of every table in {ground.side}",
        _call(ground, "compare"),
        expected=1.0,
        timeout=120.0,
    )


def _swap(ground: Ground) -> Step:
    return Step(
        "swap",
        f"change names: {ground.database} becomes {ground.kept}",
        f"ALTER DATABASE {ground.database} RENAME TO {ground.kept}; "
        f"ALTER DATABASE {ground.side} RENAME TO {ground.database}",
        _call(ground, "swap"),
        undo=f"ALTER DATABASE {ground.kept} RENAME TO {ground.database}, after moving the other away",
        target=ground.service,
        expected=0.5,
        timeout=60.0,
        risk=Risk.OUTAGE,
    )


def _properties(ground: Ground) -> Step:
    return Step(
        "properties",
        f"give {ground.database} its settings and grants of the backup",
        f"pg_restore --create (ALTER DATABASE {ground.database} SET ..., GRANT ... ON DATABASE {ground.database}) | psql",
        _call(ground, "properties"),
        expected=0.4,
        timeout=60.0,
        risk=Risk.LOW,
        optional=True,
    )


# --- steps of 4b --------------------------------------------------------------------------------------------------


def move_aside(ground: Ground) -> Step:
    where, moved = shlex.quote(":".join(ground.mounted)), Path(ground.moved)
    return Step(
        "aside",
        f"move the data directory to {ground.aside}",
        f"docker run --rm --network none -v {where} {shlex.quote(ground.image)} "
        f"mv {shlex.quote(str(moved))} {shlex.quote(str(moved.with_name(ground.aside)))}",
        _call(ground, "aside"),
        undo="move it back",
        target=ground.service,
        expected=1.0,
        timeout=60.0,
        risk=Risk.LOW,
    )


def aside_back(ground: Ground) -> Step:
    return Step(
        "undo-aside",
        f"put {ground.aside} back in its place",
        f"mv {ground.moved} {ground.moved}.failed.{ground.stamp}; mv {ground.aside} {ground.moved}",
        _call(ground, "aside_back"),
        timeout=60.0,
        risk=Risk.LOW,
    )


def new_cluster(ground: Ground) -> tuple[Step, ...]:
    """In the new, empty cluster: roles, then as in 4a without a dump of what cannot be read."""
    roles = Step(
        "globals",
        "bring back roles and their passwords",
        "psql -f ROLES (of the backup; those that exist stay)",
        _call(ground, "globals"),
        expected=0.3,
        timeout=60.0,
        risk=Risk.LOW,
    )
    return (roles, _read_in(ground), _compare(ground), _swap(ground), _properties(ground))


def _call(ground: Ground, op: str) -> dict[str, Any]:
    backup = _of(ground)
    return {
        "op": op,
        "container": ground.container,
        "image": ground.image,
        "directory": ground.directory,
        "backup": backup.id,
        "database": ground.database,
        "side": ground.side,
        "kept": ground.kept,
        "data": ground.moved,
        "aside": ground.aside,
        "volume": ground.mounted[0],
        "mount": ground.mounted[1],
        "whole": bool(ground.whole),
        "answers": ground.answers,
    }


def _of(ground: Ground) -> Backup:
    if ground.backup is None:
        raise ValueError("no backup was chosen")
    return ground.backup


def _patience(backup: Backup) -> float:
    from console.actions.backup.checking import patience

    return patience(backup) * 2


def _wanted(ground: Ground) -> int:
    backup = _of(ground)
    return int(_ROOM * (max(ground.sizes.get(ground.database, 0), backup.size) + backup.size))


def _size(size: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024 or unit == "GiB":
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return ""


def _minute(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(at))


def _ago(seconds: float) -> str:
    return f"{_span(seconds)} ago"


def _span(seconds: float) -> str:
    """
    >>> _span(40), _span(700), _span(20_000), _span(400_000)
    ('40 s', '12 min', '5.6 h', '4.6 days')
    """
    if seconds < 120:
        return f"{max(0, seconds):.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} days"
