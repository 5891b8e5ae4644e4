"""What the history says of tomorrow: disks that fill, memory that leaks, connections that pile up. Judgement only.

Warnings: a person has time. A disk fails alone when it is full within two hours by whatever one measures. What too
little is known of is said, and never guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from console.checks import growth
from console.checks.check import Finding, Status, Suggestion
from console.checks.forecast import Forecast, filling
from console.checks.leak import Leak, leaking
from console.checks.wording import clock, size, span
from console.config import Limits
from console.watch.history import Known, Series

WITHIN = 7 * 86400.0  # seconds: what is full later is no finding
FAIL_WITHIN = 2 * 3600.0
FAIL_USED = 50.0  # percent
_WEEK = 7 * 86400.0
_LEAST_FREED = 0.05  # of the disk
FRESH = 1800.0


@dataclass(frozen=True, slots=True)
class Told:
    """Findings, and in a few words what is well or not known."""

    findings: tuple[Finding, ...] = ()
    cleared: tuple[str, ...] = ()


def disks(known: Known, now: float) -> Told:
    """Space and inodes of each disk."""
    found: list[Finding] = []
    well: list[str] = []
    for one in known.of("disk"):
        if one.limit is None or not (left := _newest(one)):
            continue
        space = one.key[2] == "free"
        used = [one.limit - value for value in one.tens.coarser(6).values]
        forecast = filling(used, one.limit, size if space else "{:,.0f} inodes".format)
        if forecast.earliest == 0:  # what is full now is told by the reading itself
            continue
        if forecast.earliest is not None and forecast.earliest <= WITHIN:
            grown = growth.kinds(known, one.key[1]) if space else ""
            found.append(_disk(one, forecast, left, grown, now))
        elif space:
            well.append(_well(f"disk {one.key[1]}", forecast))
    return Told(tuple(found), tuple(well))


def memory(known: Known, now: float) -> Told:
    """Services whose memory only ever grows."""
    host = next(iter(known.of("host", "memory")), None)
    room = host.limit - level if host and host.limit and (level := _newest(host)) is not None else None
    found: list[Finding] = []
    told = short = 0
    for one in known.of("service", "memory"):
        if _newest(one) is None:
            continue
        leak = leaking(one.tens.values)
        told, short = told + 1, short + leak.short
        if one.limit is not None:
            top, what = one.limit - leak.level, f"its limit of {size(one.limit)}"
        elif room is not None:
            top, what = room, "all memory of the host"
        else:
            continue
        ends = leak.reaches(top)
        if ends is not None and ends[0] <= WITHIN:
            found.append(_memory(one, leak, ends, what, now))
    words = f"no service leaks memory ({told} looked at" + (f", {short} run too short to tell)" if short else ")")
    return Told(tuple(found), (words,) if told > short else ())


def connections(known: Known, now: float) -> Told:
    """Connections of the database against those that there can be."""
    found: list[Finding] = []
    well: list[str] = []
    for one in known.of("database", "connections"):
        used = _newest(one)
        if one.limit is None or used is None:
            continue
        label = one.key[1] or "the database"
        forecast = filling(one.tens.coarser(6).values, one.limit, "{:.1f}".format)
        if forecast.earliest is None or forecast.earliest > WITHIN:
            well.append(_well(f"connections of {label}", forecast))
            continue
        by = clock(now + forecast.earliest, now)
        fix = Suggestion(
            f"see who keeps opening connections of {label}, before {by}",
            "SELECT application_name, client_addr, count(*) FROM pg_stat_activity GROUP BY 1, 2 ORDER BY 3 DESC; a "
            "restart of that one gives them back",
            "none",
            0.5,
            cost="nothing to look; its requests under way when it is restarted",
            falsified_by="the number falls by itself at night",
        )
        text = f"connections of {label} run out {when(forecast)}: {used:.0f} of {one.limit:.0f} are used"
        found.append(_finding("trends.connections", "performance", text, one.key[1], forecast, (), (fix,)))
    return Told(tuple(found), tuple(well))


def _disk(one: Series, forecast: Forecast, left: float, grown: str, now: float) -> Finding:
    assert one.limit is not None and forecast.earliest is not None
    space = one.key[2] == "free"
    mount, limit = one.key[1], one.limit
    percent = 100.0 * (1.0 - left / limit)
    latest = forecast.latest
    soon = latest is not None and latest <= FAIL_WITHIN and percent > FAIL_USED
    told = size if space else "{:,.0f} inodes".format
    by = clock(now + forecast.earliest, now)
    need = max(_LEAST_FREED * limit, max(forecast.slopes, default=0.0) * _WEEK - left)
    text = f"{mount} {'is full' if space else 'has no inode left'} {when(forecast)}: {percent:.0f} % used"
    look = f"docker system df -v; du -xh {mount}" if space else f"du --inodes -x {mount}"
    fix = Suggestion(
        f"free {told(need)} on {mount} before {by}",
        "at this rate that is room for a week; see what grows: "
        + (
            f"{look} | sort -h | tail; old images, build cache and logs without a cap go first"
            if space
            else f"{look} | sort -n | tail; sessions, caches and mail queues go first"
        ),
        "none",
        0.7,
        cost="what is deleted; restarts free nothing",
        falsified_by="the figure of tomorrow at this hour is no higher",
    )
    evidence = (f"{told(left)} of {told(limit)} left", *filter(None, (grown,)))
    check = "trends.disk" if space else "trends.inodes"
    found = _finding(check, "quick", f"disk {text}", mount, forecast, evidence, (fix,))
    return replace(found, status=Status.FAIL) if soon else found


def _memory(one: Series, leak: Leak, ends: tuple[float, float], what: str, now: float) -> Finding:
    assert leak.slope is not None
    label = one.key[1]
    rate = f"{size(leak.slope * 3600)} an hour"
    text = f"memory of {label} grows {rate}: it meets {what} {_range(*ends)}"
    evidence = [f"{size(leak.level)} now, {leak.hours} h after its last start; slope {size(leak.low * 3600)} to "
                f"{size(leak.high * 3600)} an hour"]  # fmt: skip
    if leak.climbs:
        usual = sorted(leak.climbs)[len(leak.climbs) // 2]
        evidence.append(
            f"{len(leak.climbs)} times before it grew for about {span(usual)} to {size(leak.peak)} and began anew"
        )
    by = clock(now + 0.8 * ends[0], now)
    fix = Suggestion(
        f"restart {label} (level 1) at a quiet hour before {by}",
        "a restart gives the memory back and hides the leak: look for what keeps growing, and at its last release",
        f"recover:1:{label}",
        0.5,
        falsified_by="it levels off: then it is a cache that fills",
    )
    return Finding("trends.memory", "performance", Status.WARN, text, tuple(evidence), (fix,), subject=label)


def _finding(
    check: str,
    group: str,
    text: str,
    subject: str,
    forecast: Forecast,
    more: Iterable[str],
    fixes: tuple[Suggestion, ...],
) -> Finding:
    evidence = (*more, forecast.reason, f"from {span(forecast.history)} of history")
    return Finding(check, group, Status.WARN, text, evidence, fixes, subject=subject)


def when(forecast: Forecast) -> str:
    """
    >>> when(Forecast(50000.0, 90000.0)), when(Forecast(50000.0, None)), when(Forecast(0.0, 60.0))
    ('in 14 to 25 h', 'in 14 h if it goes on like that', 'within the hour')
    """
    assert forecast.earliest is not None
    if forecast.latest is None:
        return f"in {span(forecast.earliest)} if it goes on like that"
    return _range(forecast.earliest, forecast.latest)


def _range(earliest: float, latest: float) -> str:
    if latest < 3600:
        return "within the hour"
    if latest < 2 * 86400:
        low, high, unit = earliest / 3600, latest / 3600, "h"
    else:
        low, high, unit = earliest / 86400, latest / 86400, "d"
    if round(low) == round(high):
        return f"in {high:.0f} {unit}"
    return f"in {low:.0f} to {high:.0f} {unit}"


def _well(what: str, forecast: Forecast) -> str:
    if forecast.short:
        return f"no forecast of {what}: {forecast.reason}"
    return f"{what}: {forecast.reason if forecast.earliest is None else f'full {when(forecast)}'}"


def _newest(one: Series) -> float | None:
    """The value of now; None where none came within the last half hour."""
    recent = [value for value in one.tens.values[-3:] if value == value]
    return recent[-1] if recent else None


def fresh(known: Known, now: float) -> bool:
    """Whether somebody still fills the history: what ended hours ago says nothing of tomorrow."""
    return known.newest is not None and abs(now - known.newest) <= FRESH


def forecasts(known: Known, now: float, limits: Mapping[str, Limits]) -> tuple[Finding, ...]:
    """All of them; none where nobody fills the history."""
    if not fresh(known, now):
        return ()
    told = (finding for one in (disks, memory, connections) for finding in one(known, now).findings)
    return (*told, *growth.rooms(known), *growth.databases(known), *growth.deadlocks(known, now, limits))
