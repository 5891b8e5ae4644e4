"""What to do about a cause: one suggestion with its reason, and never a restart where a restart does not help.

What recovery itself refuses, and why: docs/recovery.md#what-is-refused-and-why. The rules here look at one `Case` and
change nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from console.checks.cause import Case, is_business
from console.checks.check import Finding, Suggestion
from console.checks.logs import recent_errors
from console.checks.sentence import began, known_well
from console.checks.suspects import going_back, suspect, told
from console.checks.weighing import weighed
from console.checks.wording import hangs, shorten, status_code

_SETTLE = 30.0  # seconds after a restart before it may be said that it did not help

Rule = Callable[[Case, Finding], Suggestion]


def suggestions(case: Case, cause: Finding) -> tuple[Suggestion, ...]:
    """The main suggestion first, then the suspect change where there is one. Symptoms are on the first.

    What a check has computed itself stays: it knew more than the rules here, and may bring several.
    """
    label = case.service(cause)
    foreign = label in case.stack.services and label not in case.stack.watched
    main, *rest = cause.suggestions or (_rule(cause)(case, cause),)
    if foreign:
        main, rest = _foreign(case, cause), []
    symptoms = tuple(f.summary for f in case.symptoms(cause))
    found = [replace(weighed(main, cause, label), symptoms=symptoms), *rest]
    changed = suspect(case, cause)
    if changed and not foreign and not main.title.startswith("roll back"):
        found.append(going_back(changed, case, cause))
    return tuple(found)


def _foreign(case: Case, cause: Finding) -> Suggestion:
    why = "it is not part of the project that this console looks after; recovery levels do not touch it"
    return Suggestion(f"tell whoever runs {case.service(cause)}", why, "none", 0.3)


def _level1(case: Case, label: str) -> str:
    return f"recover:1:{case.stack.service(label)}"


def _app(case: Case) -> str:
    return next(iter(case.stack.with_role("app")), "")


def _restarted_since(case: Case, label: str, start: float | None) -> bool:
    """Whether the service was started anew after the trouble began and the trouble is still there."""
    container = case.stack.container(label)
    at = container.started_at if container else None
    if at is None or start is None or container is None:
        return False
    created = container.created_at or 0.0
    return at > start + 1 and at > created + 60 and case.now - at > _SETTLE


def _restart(case: Case, cause: Finding) -> Suggestion:
    """Hung or unhealthy: level 1, and what comes next when that was done already."""
    label = case.service(cause)
    if case.role(label) == "edge" and cause.check.startswith("probes."):
        return _edge(case, cause)
    if cause.check == "probes.fail" and case.owners.get(cause.subject, "") == "":
        return _outside(case, cause)
    if cause.check == "probes.fail" and label not in case.stack.services:
        return _look(case, cause)
    container = case.stack.container(label)
    if container is not None and container.status == "created":
        return _bring_up(case, cause)
    if _restarted_since(case, label, began(case, cause)):
        return Suggestion(
            "restart all services in order (level 2)",
            f"{label} was restarted after the trouble began and that did not help",
            "recover:2:",
            0.4,
        )
    well = "its dependencies are well" if case.stack.reach.get(label) else "nothing it needs is in trouble"
    hung = hangs(cause.summary)
    return Suggestion(
        f"restart {label} (level 1)",
        f"{label} runs but {'does not answer' if hung else 'is unwell'}; {well}",
        _level1(case, label),
        0.8 if hung else 0.6,
    )


def _start(case: Case, cause: Finding) -> Suggestion:
    label = case.service(cause)
    return Suggestion(f"start {label} (level 1)", f"{label} does not run", _level1(case, label), 0.8)


def _start_asking(case: Case, cause: Finding) -> Suggestion:
    label = case.service(cause)
    why = f"somebody or something stopped {label}: ask first whether that was on purpose"
    return Suggestion(f"start {label} (level 1)", why, _level1(case, label), 0.6)


def _out_of_memory(case: Case, cause: Finding) -> Suggestion:
    label = case.service(cause)
    container = case.stack.container(label)
    limit = (
        f"its limit of {container.memory_limit / 2**20:.0f} MiB" if container and container.memory_limit else "memory"
    )
    why = f"it was killed for using more than {limit}; it will happen again until the limit or the leak is mended"
    return Suggestion(f"start {label} (level 1), then raise its limit", why, _level1(case, label), 0.7)


def _loop(case: Case, cause: Finding) -> Suggestion:
    label = case.service(cause)
    sign = case.sign("corrupt", [cause])
    if sign is not None and case.role(label) == "database":
        why = f"its data files are damaged ({sign.text}): no restart helps, do not delete anything"
        return Suggestion(f"stop {label} and restore its data from a backup", why, "none", 0.8)
    if cause.check == "containers.oom_loop":
        why = "it runs out of memory each time: a restart only begins the next round"
        return Suggestion(f"raise the memory limit of {label} or roll it back", why, "none", 0.8)
    changed = suspect(case, cause)
    if case.role(label) in ("database", "cache") and (changed is None or changed.kind == "container"):
        why = "restarts do not help: damaged data, a full disk and a wrong setting all look like this; delete nothing"
        return Suggestion(f"read the last log lines of {label}", why, "none", 0.6)
    why = "restarts do not help: it dies each time" + (f"; {told(changed, case, cause)}" if changed else "")
    return Suggestion(f"roll back release or configuration of {label}", why, "none", 0.8 if changed else 0.6)


def _unpause(case: Case, cause: Finding) -> Suggestion:
    label = case.service(cause)
    why = "level 1 unpauses it; ask first whether it was paused on purpose (forensics)"
    return Suggestion(f"unpause {label} (level 1)", why, _level1(case, label), 0.6)


def _reconnect(case: Case, cause: Finding) -> Suggestion:
    label = case.service(cause)
    container = case.stack.container(label)
    peers = [s for s in case.stack.needs.get(label, ())]
    peers += [s for s, needs in case.stack.needs.items() if label in needs]
    lost = sorted({n for s in peers for n in case.stack.networks(s)} - case.stack.networks(label))
    network = lost[0] if lost else "NETWORK"
    name = container.name if container else label
    alias = container.service if container and container.service else label
    why = f"a restart keeps its networks as they are; docker network connect --alias {alias} {network} {name}"
    return Suggestion(f"reconnect {label} to {network} under its name", why, "none", 0.8)


def _bring_up(case: Case, cause: Finding) -> Suggestion:
    why = "the stack is half created: a restart cannot start what waits for its dependencies"
    return Suggestion("bring the stack up again: docker compose up -d --wait", why, "none", 0.7)


def _wait(case: Case, cause: Finding) -> Suggestion:
    label = case.service(cause)
    if cause.check == "probes.recovering":
        return Suggestion(f"watch {label or cause.subject} for a minute", "it answers again", "none", 0.5)
    if cause.check in ("containers.starting", "probes.starting"):
        return Suggestion("wait for it to become healthy", "it was started a moment ago", "none", 0.6)
    return Suggestion(
        f"read the last log lines of {label}", "the engine is restarting it; if it dies again, roll back", "none", 0.5
    )


def _flapping(case: Case, cause: Finding) -> Suggestion:
    label = case.service(cause) or cause.subject
    why = "it comes and goes by itself: after a restart it would seem well for a while either way"
    if is_business(case, cause) or case.role(label) == "edge" or label not in case.stack.services:
        return Suggestion(f"look at {label} before acting", why, "none", 0.5)
    return Suggestion(f"look at {label}, then restart it (level 1)", why, _level1(case, label), 0.4)


def _edge(case: Case, cause: Finding) -> Suggestion:
    """Only the edge fails while what is behind it is well."""
    label = case.service(cause)
    name = None if "connectivity.pairs" in case.cleared else case.sign("name", [cause])
    app = _app(case)
    if name is not None:
        why = f"the edge cannot find it by name ({name.text}); reloading the edge does not help until the name is back"
        return Suggestion(f"reconnect {app or 'the app'} with its alias", why, "none", 0.6)
    if _restarted_since(case, label, began(case, cause)):
        why = f"{label} was restarted already: compare its configuration with the address of {app or 'the app'}"
        return Suggestion(f"look at the log of {label}", why, "none", 0.5)
    probe = case.probes.get(cause.subject)
    code = status_code(probe.detail) if probe else None
    if code is not None and code not in (502, 504) and app and known_well(case, app):
        why = f"{label} itself answers {code} while {app} answers directly: a maintenance page, a limit or a wrong rule"
        return Suggestion(f"look at the configuration of {label}", why, "none", 0.7)
    if app and not known_well(case, app):
        why = f"{label} answers and {app} behind it does not; {app} has no health check that would tell why"
        return Suggestion(f"restart {app} (level 1)", why, _level1(case, app), 0.5)
    why = f"{app or 'the app'} answers directly; {label} may hold its old address"
    return Suggestion(f"reload {label} (level 1)", why, _level1(case, label), 0.7)


def _business(case: Case, cause: Finding) -> Suggestion:
    app = _app(case) or case.service(cause)
    if not app:
        return _look(case, cause)
    start = began(case, cause)
    if _restarted_since(case, app, start):
        changed = suspect(case, cause)
        why = f"{app} was restarted after it began and it still fails" + (
            f"; {told(changed, case, cause)}" if changed else ""
        )
        return Suggestion(f"roll back {app} or repair its data", why, "none", 0.7)
    database = next(iter(case.stack.with_role("database")), "")
    probe = case.probes.get(cause.subject)
    if database and probe is not None and hangs(probe.detail):
        why = f"{app} is well and its work hangs: often a lock, which a restart of {app} only frees when it holds it"
        title = f"look for blocked sessions in {database}, then restart {app} once (level 1)"
        return Suggestion(title, why, _level1(case, app), 0.3)
    why = f"{app} looks well to its health check; if one restart does not help, roll back or repair the data"
    why += _log_says(case, app, start)
    return Suggestion(f"restart {app} once (level 1)", why, _level1(case, app), 0.4)


def _log_says(case: Case, label: str, start: float | None) -> str:
    """The newest error line of a service since the trouble began, as the end of a sentence."""
    said = [
        text
        for source, text, at in recent_errors(case.readings.logs.value, case.now)
        if source == label and (start is None or at >= start - 10)
    ]
    return f"; its log says: {shorten(said[-1], 120)}" if said else ""


def _outside(case: Case, cause: Finding) -> Suggestion:
    why = "nothing in this stack is in trouble; restarting us does not mend what others run"
    return Suggestion(f"check {cause.subject} with its provider; hold back retries", why, "none", 0.5)


def _certificate(case: Case, cause: Finding) -> Suggestion:
    if "self-signed" in cause.summary and "ended" not in cause.summary:
        return Suggestion("use a certificate that clients trust", "no restart mends a certificate", "none", 0.5)
    why = "no restart mends a certificate; the edge serves the old one until it is reloaded"
    return Suggestion("renew the certificate, then reload the edge", why, "none", 0.9)


def _free_space(case: Case, cause: Finding) -> Suggestion:
    what = cause.subject if cause.check.startswith("host.") else "the full volume"
    why = "restarts before there is room make it worse: databases may not come back"
    return Suggestion(f"free space on {what}, then look again", why, "none", 0.9)


def _engine(case: Case, cause: Finding) -> Suggestion:
    fault = case.readings.containers.fault
    title = fault.remedy if fault and fault.remedy else "mend the engine on the host (journalctl -u docker)"
    why = "no recovery level works without the engine; restarting it may stop every container"
    return Suggestion(title, why, "none", 0.8)


def _source(case: Case, cause: Finding) -> Suggestion:
    remedy = cause.evidence[0] if cause.evidence and not cause.check.startswith("metrics.") else ""
    return Suggestion(remedy or f"mend the source of {cause.subject}", "not known is not well", "none", 0.3)


def _connections(case: Case, cause: Finding) -> Suggestion:
    why = (
        f"all connections of {cause.subject} are taken; see pg_stat_activity for who holds them: only a restart of "
        "that one gives them back"
    )
    return Suggestion(f"end idle sessions of {cause.subject}", why, "none", 0.7)


def _cache_full(case: Case, cause: Finding) -> Suggestion:
    why = "no restart helps, the data stays; never FLUSHALL: find the keys without expiry, or raise maxmemory"
    return Suggestion(f"make room in {cause.subject}: remove keys or raise its limit", why, "none", 0.8)


def _slow(case: Case, cause: Finding) -> Suggestion:
    label = _app(case) if is_business(case, cause) or case.role(case.service(cause)) == "edge" else case.service(cause)
    if case.role(label) != "app" or _restarted_since(case, label, began(case, cause)):
        return Suggestion(f"see what {label or cause.subject} waits for", "slow is not down", "none", 0.4)
    why = f"{label} is slow while what it needs answers; see what it waits for first, a restart destroys the evidence"
    return Suggestion(f"restart {label} (level 1)", why, _level1(case, label), 0.4)


def _burst(case: Case, cause: Finding) -> Suggestion:
    what = cause.evidence[-1] if cause.evidence else "no line of it is kept"
    return Suggestion(f"read the log of {cause.subject}", what, "none", 0.4)


def _silent(case: Case, cause: Finding) -> Suggestion:
    why = "it may hang, have nothing to do, or log elsewhere since its last change"
    return Suggestion(f"see whether {cause.subject} still works", why, "none", 0.3)


def _flood(case: Case, cause: Finding) -> Suggestion:
    why = "volume is a symptom: see which line repeats; lower its level or cap the log before the disk fills"
    return Suggestion(f"see what {cause.subject} repeats in its log", why, "none", 0.5)


def _password(case: Case, cause: Finding) -> Suggestion:
    why = "a wrong password stays wrong after a restart: compare what changed in the environment"
    return Suggestion(f"correct the password for {cause.subject}", why, "none", 0.8)


def _memory(case: Case, cause: Finding) -> Suggestion:
    if cause.check == "host.memory":
        return Suggestion("find who holds the memory", "; ".join(cause.evidence[2:4]), "none", 0.5)
    label = case.service(cause)
    why = "at the limit the kernel kills it; a restart buys time if it leaks"
    return Suggestion(f"raise the memory limit of {label} or find the leak", why, "none", 0.5)


def _cpu(case: Case, cause: Finding) -> Suggestion:
    label = case.service(cause)
    if not case.symptoms(cause):
        return Suggestion(f"look at the processes of {label}", "busy is not broken: its callers are well", "none", 0.4)
    why = "it has no cpu left and its callers wait; see its processes first, a restart destroys the evidence"
    return Suggestion(f"restart {label} (level 1)", why, _level1(case, label), 0.5)


def _busy(case: Case, cause: Finding) -> Suggestion:
    return Suggestion("see who uses the host", "; ".join(cause.evidence[1:3]), "none", 0.4)


def _metric(case: Case, cause: Finding) -> Suggestion:
    why = "everything sevdeck can see of the stack is well: the reason lies in data, traffic or others' systems"
    return Suggestion(f"look at what {cause.subject} is made of", why, "none", 0.3)


def _look(case: Case, cause: Finding) -> Suggestion:
    what = cause.evidence[0] if cause.evidence else "no rule knows this"
    return Suggestion(f"look at {cause.subject or cause.check}", what, "none", 0.3)


RULES: dict[str, Rule] = {
    "containers.loop": _loop,
    "containers.oom_loop": _loop,
    "containers.oom": _out_of_memory,
    "containers.oom_past": _memory,
    "containers.exited": _start,
    "containers.stopped": _start_asking,
    "containers.paused": _unpause,
    "containers.isolated": _reconnect,
    "containers.created": _bring_up,
    "containers.restarting": _wait,
    "containers.health": _restart,
    "containers.starting": _wait,
    "containers.memory": _memory,
    "containers.cpu": _cpu,
    "probes.fail": _restart,
    "probes.flapping": _flapping,
    "probes.business": _business,
    "probes.certificate": _certificate,
    "probes.slow": _slow,
    "probes.starting": _wait,
    "probes.recovering": _wait,
    "host.disk": _free_space,
    "host.inodes": _free_space,
    "logs.disk_full": _free_space,
    "host.memory": _memory,
    "host.swap": _busy,
    "host.busy": _busy,
    "database.connections": _connections,
    "database.password": _password,
    "database.cache_full": _cache_full,
    "metrics.limit": _metric,
    "sources.containers": _engine,
    "sources.host": _source,
    "sources.probes": _source,
    "sources.metrics": _source,
    "sources.logs": _source,
    "logs.source": _source,
    "logs.flood": _flood,
    "logs.burst": _burst,
    "logs.new": _burst,
    "logs.spike": _burst,
    "logs.silence": _silent,
}


def _rule(cause: Finding) -> Rule:
    """A check that hung or broke is a source that is silent."""
    return _source if cause.check.endswith(".unknown") else RULES.get(cause.check, _look)
