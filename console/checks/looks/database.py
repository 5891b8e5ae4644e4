"""Is the database free to work: connections left, nobody waiting for a lock that somebody forgot, and the cache writable.

Asked by one question of each server; judged here, from records.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping

from console.checks.check import Finding, Status, Suggestion
from console.checks.diagnosis import Check, Looked
from console.checks.scene import Scene
from console.checks.wording import span
from console.config import resolve_secret
from console.errors import SourceError, UsageError
from console.watch import pg_activity
from console.watch.address import Resolver
from console.watch.pg_activity import Activity, Session
from console.watch.probes.wire import redis_info
from console.watch.reasons import reason

GROUP = "database"
ASK = 2.0  # seconds
FULL_WARN, FULL_FAIL = 0.80, 0.95  # share of the connections
IDLE = 60.0  # seconds in a transaction without doing anything
LONG = 60.0  # seconds that one statement takes
BLOCKED = 5.0  # seconds in wait for a lock: shorter waits are everyday life
XID_WARN, XID_FAIL = (
    1_000_000_000,
    1_800_000_000,
)  # of 2,147,483,648; at about 2,144,000,000 nothing is written any more
SLOT_WARN = 5 * 1024**3  # bytes of WAL kept for a replica that does not fetch it
MEMORY_WARN = 0.90  # of maxmemory


# --- PostgreSQL --------------------------------------------------------------------------------------------------


async def activity(scene: Scene) -> tuple[str, Activity] | None:
    """(service, what its server is busy with); None where no PostgreSQL is known. Raises SourceError."""
    return await scene.once("pg_activity", lambda: _activity(scene))


async def _activity(scene: Scene) -> tuple[str, Activity] | None:
    label, container = _server(await _services(scene), "database")
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


async def _services(scene: Scene) -> tuple[tuple[str, str, str], ...]:
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


def _server(services: Iterable[tuple[str, str, str]], role: str) -> tuple[str, str]:
    """(label, container) of the first service with this role; empty where there is none."""
    return next(((label, name) for label, its, name in services if its == role), ("", ""))


async def look_sessions(scene: Scene) -> Looked:
    found = await activity(scene)
    if found is None:
        return Looked()
    label, told = found
    findings = tuple(sessions(label, told))
    return Looked(findings, f"{told.used} of {told.limit} connections of {label} are used, nobody waits for a lock")


def sessions(label: str, told: Activity) -> Iterable[Finding]:
    """Connections running out, and who holds others up."""
    share = told.used / told.limit if told.limit > 0 else 0.0
    idle = [s for s in told.idle if (s.age or 0.0) >= IDLE]
    waiting = [s for s in told.blocked if (s.age or 0.0) >= BLOCKED]
    if share >= FULL_WARN:
        yield _full(label, told, share, idle)
    if waiting:
        yield _blocked(label, told, waiting)
    elif idle:
        text = f"{_count(idle, 'session')} of {label} {_have(idle)} a transaction open and do nothing, the longest for {span(idle[0].age or 0)}"
        fix = _end(label, idle, "they hold locks and keep old rows from being removed", 0.5)
        yield Finding(f"{GROUP}.idle", GROUP, Status.WARN, text, _lines(idle), (fix,), subject=label)
    long = [s for s in told.active if (s.age or 0.0) >= LONG]
    if long:
        text = (
            f"{_count(long, 'statement')} of {label} {'takes' if len(long) == 1 else 'take'} longer than {span(LONG)}"
        )
        why = "a backup, a report or a migration may be wanted: ask before you end it"
        fix = Suggestion(
            f"see what {long[0].who} does in {label}",
            why,
            "none",
            0.4,
            cost=f"ended, its work is lost: SELECT pg_cancel_backend({long[0].pid})",
            falsified_by="it is a job that always takes so long",
        )
        yield Finding(f"{GROUP}.long", GROUP, Status.WARN, text, _lines(long), (fix,), subject=label)


def _full(label: str, told: Activity, share: float, idle: list[Session]) -> Finding:
    status = Status.FAIL if share >= FULL_FAIL else Status.WARN
    text = f"{told.used} of {told.limit} connections of {label} are used"
    if idle:
        text += f"; {len(idle)} of them idle in a transaction for more than {span(IDLE)}"
        fix = _end(label, idle, "that gives their connections back at once, and no restart does it as cheaply", 0.85)
    else:
        holder, count = _holder(told)
        fix = Suggestion(
            f"see why {holder} holds {count} connections of {label}",
            "a pool that is too big, or a leak: a restart of the one that holds them gives them back",
            "none",
            0.6,
            cost="its requests under way are lost",
            falsified_by="the number stays as it is after its restart",
        )
    check = f"{GROUP}.connections" if status is Status.FAIL else f"{GROUP}.connections_low"
    return Finding(check, GROUP, status, text, told.groups, (fix,), subject=label)


def _holder(told: Activity) -> tuple[str, int]:
    """Who has the most connections, in words, from "31 idle: app from 172.18.0.4, ..."."""
    counts: Counter[str] = Counter()
    for line in told.groups:
        number, _, rest = line.partition(" ")
        who = rest.partition(": ")[2].split(", the longest")[0]
        counts[who or "somebody"] += int(number) if number.isdigit() else 0
    who, count = counts.most_common(1)[0] if counts else ("somebody", told.used)
    return who, count


def _blocked(label: str, told: Activity, waiting: list[Session]) -> Finding:
    root = _root(told, waiting)
    longest = max((s.age or 0.0) for s in waiting)
    text = f"{_count(waiting, 'session')} of {label} wait{'s' if len(waiting) == 1 else ''} for a lock, the longest for {span(longest)}"
    evidence = [f"pid {s.pid}, {s.who}, waits {span(s.age or 0)}: {s.query}" for s in waiting[:5]]
    if root is None:
        fix = Suggestion(f"see who holds the locks of {label}", "SELECT * FROM pg_locks WHERE NOT granted", "none", 0.3)
        return Finding(f"{GROUP}.blocked", GROUP, Status.FAIL, text, tuple(evidence), (fix,), subject=label)
    state = f", {root.state}" if root.state else ""
    evidence.insert(0, f"held by pid {root.pid}, {root.who}{state}: {root.query}")
    text += f"; pid {root.pid} ({root.who}) holds it"
    fix = Suggestion(
        f"end session {root.pid} of {label}: SELECT pg_terminate_backend({root.pid})",
        "everybody behind it goes on at once; no restart is needed",
        "none",
        0.85,
        cost=f"what {root.who} has not committed is undone",
        falsified_by="the same statement blocks again: then it is the program that needs mending",
    )
    return Finding(f"{GROUP}.blocked", GROUP, Status.FAIL, text, tuple(evidence), (fix,), subject=label)


def _root(told: Activity, waiting: list[Session]) -> Session | None:
    """The one that most wait for and that waits for nobody itself."""
    blocked = {s.pid for s in told.blocked}
    counts = Counter(pid for s in waiting for pid in s.blockers if pid not in blocked)
    return next((told.blockers[pid] for pid, _ in counts.most_common() if pid in told.blockers), None)


def _end(label: str, its: list[Session], why: str, confidence: float) -> Suggestion:
    """Ends the sessions that are idle in a transaction for too long."""
    sql = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' "
        f"AND now() - xact_start > interval '{IDLE:.0f} s'"
    )
    return Suggestion(
        f"end {_count(its, 'session')} of {its[0].who} in {label}",
        f"{why}: {sql}",
        "none",
        confidence,
        cost="what they have not committed is undone",
        falsified_by="new ones take their place within a minute: then restart the one that opens them",
    )


def _lines(its: list[Session]) -> tuple[str, ...]:
    return tuple(f"pid {s.pid}, {s.who}, {span(s.age or 0)}: {s.query}" for s in its[:5])


def _count(its: list[Session], what: str) -> str:
    return f"{len(its)} {what}{'' if len(its) == 1 else 's'}"


def _have(its: list[Session]) -> str:
    return "has" if len(its) == 1 else "have"


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


# --- Redis -------------------------------------------------------------------------------------------------------


async def look_cache(scene: Scene) -> Looked:
    label, _ = _server(await _services(scene), "cache")
    target = await _cache_target(scene, label)
    if not target:
        return Looked()
    resolver = Resolver("diagnosis")
    try:
        told = await redis_info(resolve_secret(target), ASK, resolver, None)
    except ValueError as error:
        raise SourceError(f"{label or 'the cache'} {error}", remedy="Set [cache] dsn with its password") from error
    except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
        raise SourceError(f"{label or 'the cache'}: {reason(error, ASK)}") from error
    finally:
        resolver.close()
    name = label or "the cache"
    return Looked(tuple(cache(name, told)), f"{name} {told.get('redis_version', '')} takes writes".replace("  ", " "))


async def _cache_target(scene: Scene, label: str) -> str:
    """The configured DSN, a probe's target, or the address of the container."""
    if scene.config.cache.dsn:
        return scene.config.cache.dsn
    probe = next((p.target for p in scene.config.probes if p.kind == "redis"), "")
    if probe or not label:
        return probe
    stack, told = await scene.stack(), await scene.inspects()
    if not scene.engine.local:
        return ""
    networks = (told[stack.services[label][0].id].get("NetworkSettings") or {}).get("Networks") or {}
    address = next((n["IPAddress"] for n in networks.values() if n and n.get("IPAddress")), "")
    return f"redis://{address}:6379" if address else ""


def cache(label: str, told: Mapping[str, str]) -> Iterable[Finding]:
    """Whether it has room, can save, and has connections left. `told`: the fields of INFO."""
    used, limit = _number(told, "used_memory"), _number(told, "maxmemory")
    policy = told.get("maxmemory_policy", "")
    if limit and used >= MEMORY_WARN * limit:
        keeps = policy == "noeviction"
        full = used >= limit and keeps
        text = f"{label} uses {used / limit:.0%} of its memory limit of {limit / 1024**2:.0f} MiB"
        fix = Suggestion(
            f"make room in {label}: remove keys without expiry, or raise maxmemory",
            "no restart helps, the data stays; never FLUSHALL"
            if keeps
            else f"its policy {policy} throws keys away: is that what the programs expect?",
            "none",
            0.8 if keeps else 0.4,
            cost=f"CONFIG SET maxmemory {int(limit * 1.5)} costs memory of the host",
            falsified_by="memory falls again by itself: keys expire",
        )
        check = f"{GROUP}.cache_full" if full else f"{GROUP}.cache_memory"
        evidence = (f"maxmemory-policy {policy}", f"{told.get('evicted_keys', '0')} keys evicted since its start")
        if keeps or full:
            yield Finding(check, GROUP, Status.FAIL if full else Status.WARN, text, evidence, (fix,), subject=label)
    bad = [
        f"{name} {told[name]}"
        for name in ("rdb_last_bgsave_status", "aof_last_write_status", "aof_last_bgrewrite_status")
        if told.get(name, "ok") != "ok"
    ]
    if bad:
        fix = Suggestion(
            f"see why {label} cannot save: disk space and rights of its data directory",
            "it refuses writes while saving fails; a restart would lose what is not saved",
            "none",
            0.8,
            cost="nothing",
            falsified_by="its log names another reason",
        )
        yield Finding(
            f"{GROUP}.cache_save",
            GROUP,
            Status.FAIL,
            f"{label} cannot save its data",
            tuple(bad),
            (fix,),
            subject=label,
        )
    if told.get("loading") == "1":
        yield Finding(f"{GROUP}.cache_loading", GROUP, Status.WARN, f"{label} is loading its data", subject=label)
    clients, most = _number(told, "connected_clients"), _number(told, "maxclients")
    if most and clients >= FULL_WARN * most:
        status = Status.FAIL if clients >= FULL_FAIL * most else Status.WARN
        text = f"{clients} of {most} connections of {label} are used"
        yield Finding(f"{GROUP}.cache_clients", GROUP, status, text, subject=label)
    if told.get("master_link_status", "up") != "up":
        yield Finding(f"{GROUP}.cache_master", GROUP, Status.WARN, f"{label} has lost its master", subject=label)


def _number(told: Mapping[str, str], name: str) -> int:
    text = told.get(name, "0").strip()
    return int(text) if text.isdigit() else 0


CHECKS = (
    Check(f"{GROUP}.sessions", "the database has connections left and nobody waits for a lock", look_sessions, 6.0),
    Check(f"{GROUP}.server", "the database takes writes", look_server, 6.0),
    Check(f"{GROUP}.cache", "the cache has room and can save", look_cache, 4.0),
)
