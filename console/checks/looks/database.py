"""Is the database free to work: connections left, nobody waiting for a lock that somebody forgot, and the server willing to write.

Asked by one question of each server; judged here, from records.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from console.checks.check import Finding, Status, Suggestion
from console.checks.diagnosis import Check, Looked
from console.checks.scene import Scene
from console.checks.wording import span
from console.errors import SourceError, UsageError
from console.watch import pg_activity
from console.watch.pg_activity import Activity, Group, Session

GROUP = "database"
ASK = 2.0  # seconds
FULL_WARN, FULL_FAIL = 0.80, 0.95  # share of the connections
IDLE = 60.0  # seconds in a transaction without doing anything
IDLE_FULL = 5.0  # the same where no connection is left
LONG = 60.0  # seconds that one statement takes
BLOCKED = 5.0  # seconds that a lock is waited for, or held by whom others wait for: less is everyday life
XID_WARN, XID_FAIL = 1_000_000_000, 1_800_000_000  # transaction ids; from about 2,144,000,000 nothing is written
SLOT_WARN = 5 * 1024**3  # bytes of WAL kept for a replica that does not fetch it


async def activity(scene: Scene) -> tuple[str, Activity] | None:
    """(service, what its server is busy with); None where no PostgreSQL is known. Raises SourceError."""
    return await scene.once("pg_activity", lambda: _activity(scene))


async def _activity(scene: Scene) -> tuple[str, Activity] | None:
    label, container = serving(await services(scene), "database")
    dsn = scene.config.database.dsn
    told: Activity | None = None
    trouble: SourceError | None = None
    if dsn:
        try:
            told = await pg_activity.over_network(dsn, ASK)
        except (SourceError, UsageError) as error:
            trouble = error if isinstance(error, SourceError) else SourceError(error.message, remedy=error.remedy)
    # A login for watching may not see what others do, and none gets in when all connections are taken.
    if container and (told is None or not told.sees_all):
        try:
            told = await pg_activity.in_container(container, ASK + 1, scene.config.docker.host)
        except SourceError as error:
            trouble = trouble or error
    if told is not None:
        return label or "the database", told
    if trouble is not None:
        raise trouble
    return None


async def services(scene: Scene) -> tuple[tuple[str, str, str], ...]:
    """(label, role, container's name) of each watched service that runs; none where the engine does not answer."""
    try:
        stack = await scene.stack()
    except SourceError:
        return ()
    return tuple(
        (label, stack.roles.get(label, ""), c.name)
        for label in sorted(stack.watched)
        for c in stack.services[label][:1]
        if c.running
    )


def serving(services: Iterable[tuple[str, str, str]], role: str) -> tuple[str, str]:
    """(label, container) of the first service with this role; empty where there is none."""
    return next(((label, name) for label, its, name in services if its == role), ("", ""))


async def look_sessions(scene: Scene) -> Looked:
    found = await activity(scene)
    if found is None:
        return Looked()
    label, told = found
    findings = tuple(sessions(label, told, await _places(scene)))
    return Looked(findings, f"{told.used} of {told.limit} connections of {label} are used, nobody waits for a lock")


async def _places(scene: Scene) -> dict[str, str]:
    """Address -> service, for those of this engine."""
    try:
        stack, told = await scene.stack(), await scene.inspects()
    except SourceError:
        return {}
    return {
        str(network["IPAddress"]): label
        for label, its in stack.services.items()
        for c in its
        for network in ((told[c.id].get("NetworkSettings") or {}).get("Networks") or {}).values()
        if network and network.get("IPAddress")
    }


def sessions(label: str, told: Activity, places: Mapping[str, str] | None = None) -> Iterable[Finding]:
    """Connections running out, and who holds others up. `places`: address -> service."""
    places = places or {}
    share = told.used / told.limit if told.limit > 0 else 0.0
    idle = [s for s in told.idle if (s.age or 0.0) >= (IDLE_FULL if share >= FULL_FAIL else IDLE)]
    root, waiting = _held(told)
    if share >= FULL_WARN:
        yield _full(label, told, share, idle, places)
    if waiting:
        yield _blocked(label, root, waiting, places)
    elif idle and share < FULL_WARN:
        text = (
            f"{_count(idle, 'session')} of {label} {'has' if len(idle) == 1 else 'have'} a transaction open and "
            f"{'does' if len(idle) == 1 else 'do'} nothing, the longest for {span(idle[0].age or 0)}"
        )
        fix = _end(label, idle, "they hold locks and keep old rows from being removed", 0.5, places)
        yield Finding(f"{GROUP}.idle", GROUP, Status.WARN, text, _lines(idle, places), (fix,), subject=label)
    long = [s for s in told.active if (s.age or 0.0) >= LONG]
    if long:
        text = (
            f"{_count(long, 'statement')} of {label} {'takes' if len(long) == 1 else 'take'} longer than {span(LONG)}"
        )
        fix = Suggestion(
            f"see what {_who(long[0], places)} does in {label}",
            "a backup, a report or a migration may be wanted: ask before you end it",
            "none",
            0.4,
            cost=f"ended, its work is lost: SELECT pg_cancel_backend({long[0].pid})",
            falsified_by="it is a job that always takes so long",
        )
        yield Finding(f"{GROUP}.long", GROUP, Status.WARN, text, _lines(long, places), (fix,), subject=label)


def _who(one: Session | Group, places: Mapping[str, str]) -> str:
    place = places.get(one.address, one.address)
    name = one.app or (one.user if isinstance(one, Session) else "") or "somebody"
    return f"{name} from {place}" if place and place != name else name


def _full(label: str, told: Activity, share: float, idle: list[Session], places: Mapping[str, str]) -> Finding:
    status = Status.FAIL if share >= FULL_FAIL else Status.WARN
    text = f"{told.used} of {told.limit} connections of {label} are used"
    if len(idle) * 4 >= told.used:
        text += f", {len(idle)} of them idle in a transaction"
        fix = _end(
            label, idle, "that gives their connections back at once; no restart does it as cheaply", 0.85, places
        )
    else:
        holders: Counter[str] = Counter()
        for group in told.groups:
            holders[_who(group, places)] += group.count
        who, count = holders.most_common(1)[0] if holders else ("somebody", told.used)
        fix = Suggestion(
            f"see why {who} holds {count} connections of {label}",
            "a pool that is too big, or a leak: a restart of the one that holds them gives them back",
            "none",
            0.6,
            cost="its requests under way are lost",
            falsified_by="the number stays as it is after its restart",
        )
    check = f"{GROUP}.connections" if status is Status.FAIL else f"{GROUP}.connections_low"
    evidence = tuple(
        f"{g.count} {g.state}: {_who(g, places)}" + (f", the longest for {span(g.longest)}" if g.longest else "")
        for g in told.groups
    )
    return Finding(check, GROUP, status, text, evidence, (fix,), subject=label)


def _held(told: Activity) -> tuple[Session | None, list[Session]]:
    """(who holds a lock that others wait for, those who wait); nobody when the waits are everyday life.

    Where programs give up after some seconds no single wait is long: then the lock's owner tells how old it is.
    """
    blocked = {s.pid for s in told.blocked}
    counts = Counter(pid for s in told.blocked for pid in s.blockers if pid not in blocked)
    root = next((told.blockers[pid] for pid, _ in counts.most_common() if pid in told.blockers), None)
    longest = max((s.age or 0.0 for s in told.blocked), default=0.0)
    held = (root.age or 0.0) if root is not None else 0.0
    return root, list(told.blocked) if max(longest, held) >= BLOCKED else []


def _blocked(label: str, root: Session | None, waiting: list[Session], places: Mapping[str, str]) -> Finding:
    count = f"{_count(waiting, 'session')} of {label} {'waits' if len(waiting) == 1 else 'wait'} for a lock"
    evidence = _lines(waiting, places)
    if root is None:
        longest = max((s.age or 0.0) for s in waiting)
        fix = Suggestion(f"see who holds the locks of {label}", "SELECT * FROM pg_locks WHERE NOT granted", "none", 0.3)
        text = f"{count}, the longest for {span(longest)}"
        return Finding(f"{GROUP}.blocked", GROUP, Status.FAIL, text, evidence, (fix,), subject=label)
    who = _who(root, places)
    state = f", {root.state}" if root.state else ""
    text = f"{count} that {who} (pid {root.pid}{state}) has held for {span(root.age or 0)}"
    fix = Suggestion(
        f"end session {root.pid} of {label}: SELECT pg_terminate_backend({root.pid})",
        "everybody behind it goes on at once; no restart is needed",
        "none",
        0.85,
        cost=f"what {who} has not committed is undone",
        falsified_by="the same statement blocks again: then it is the program that needs mending",
    )
    held = f"held by pid {root.pid}, {who}: {root.query}"
    return Finding(f"{GROUP}.blocked", GROUP, Status.FAIL, text, (held, *evidence), (fix,), subject=label)


def _end(label: str, its: list[Session], why: str, confidence: float, places: Mapping[str, str]) -> Suggestion:
    """Ends the sessions that are idle in a transaction for as long as the youngest of these."""
    least = int(min(s.age or 0.0 for s in its))
    sql = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' "
        f"AND now() - xact_start >= interval '{least} s'"
    )
    return Suggestion(
        f"end {_count(its, 'session')} of {_who(its[0], places)} in {label}",
        f"{why}: {sql}",
        "none",
        confidence,
        cost="what they have not committed is undone",
        falsified_by="new ones take their place within a minute: then restart the one that opens them",
    )


def _lines(its: list[Session], places: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(f"pid {s.pid}, {_who(s, places)}, {span(s.age or 0)}: {s.query}" for s in its[:5])


def _count(its: list[Session], what: str) -> str:
    return f"{len(its)} {what}{'' if len(its) == 1 else 's'}"


async def look_server(scene: Scene) -> Looked:
    found = await activity(scene)
    if found is None:
        return Looked()
    label, told = found
    return Looked(tuple(server(label, told, scene.now)), f"{label} {told.version} takes writes")


def server(label: str, told: Activity, now: float) -> Iterable[Finding]:
    """Whether the server can go on writing: transaction ids, read-only, WAL that is kept for nobody, its clock."""
    if told.xid_age >= XID_WARN:
        status = Status.FAIL if told.xid_age >= XID_FAIL else Status.WARN
        text = f"{label} has used {told.xid_age / 2**31:.0%} of its transaction ids"
        fix = Suggestion(
            f"vacuum {label}: vacuumdb --all --freeze",
            "at about 2.1 thousand million it takes no more writes; a restart changes nothing",
            "none",
            0.9,
            cost="hours of disk load",
            falsified_by="an old replication slot or prepared transaction holds the age up",
        )
        yield Finding(f"{GROUP}.xid", GROUP, status, text, (), (fix,), subject=label)
    if told.recovery or told.read_only:
        why = "is a standby or still recovering" if told.recovery else "is set to read only"
        fix = Suggestion(
            f"see why {label} takes no writes",
            "a standby must be promoted, a setting taken back; a restart does neither",
            "none",
            0.6,
            falsified_by="it is meant to be a standby",
        )
        yield Finding(
            f"{GROUP}.read_only", GROUP, Status.WARN, f"{label} takes no writes: it {why}", (), (fix,), subject=label
        )
    kept = [(name, size) for name, active, size in told.slots if not active and (size or 0) >= SLOT_WARN]
    if kept:
        name, size = max(kept, key=lambda one: one[1] or 0)
        text = (
            f"{label} keeps {(size or 0) / 1024**3:.0f} GiB of WAL for the replication slot {name}, which nobody reads"
        )
        fix = Suggestion(
            f"bring the replica of {name} back, or drop the slot: SELECT pg_drop_replication_slot('{name}')",
            "its disk fills until then",
            "none",
            0.7,
            cost="the replica of a dropped slot must be made anew",
            falsified_by="the replica catches up",
        )
        yield Finding(f"{GROUP}.slot", GROUP, Status.WARN, text, (), (fix,), subject=label)
    if abs(told.now - now) > 10.0:
        text = f"the clock of {label} differs from this host's by {span(abs(told.now - now))}"
        yield Finding(f"{GROUP}.clock", GROUP, Status.WARN, text, subject=label)


CHECKS = (
    Check(f"{GROUP}.sessions", "the database has connections left and nobody waits for a lock", look_sessions, 6.0),
    Check(f"{GROUP}.server", "the database takes writes", look_server, 6.0),
)
