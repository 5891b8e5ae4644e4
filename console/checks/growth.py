"""What grew in the last day against what is usual: Docker's kinds of room, databases, deadlocks. Judgement only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from math import isnan
from statistics import fmean, median

from console.checks.check import Finding, Status, Suggestion
from console.checks.wording import size
from console.config import Limits
from console.watch.history import Known, Series

_DAY = 24  # hours
_LEAST, _SHARE = 2**30, 0.1  # bytes, and the part of what it was, below which a day's growth is no news
_TIMES = 3.0  # more than usual
_LEAST_DAYS = 3  # of growth that must be known before anything is called unusual
_RECENT = 3  # hours within which the newest value must be, and the one to compare it with
_HOUR = 3600.0  # seconds
_MOST_KINDS = 3

_WAYS = {
    "images": ("docker image ls --all, newest first", "docker image prune takes those without a name"),
    "volumes": ("docker system df -v", "what is in a volume is data: look before anything goes"),
    "containers": ("docker ps -as", "a container writes beside its volumes; made anew, that is gone"),
    "build cache": ("docker builder du", "docker builder prune takes what no build has used lately"),
    "logs": ("sevdeck check config", "logs without a cap: truncate them, and set max-size for json-file"),
    "data": (
        "SELECT oid::regclass, pg_size_pretty(pg_total_relation_size(oid)) FROM pg_class WHERE relkind = 'r' "
        "ORDER BY pg_total_relation_size(oid) DESC LIMIT 10",
        "a table that is only ever written, or dead rows that no vacuum takes away",
    ),
}


def rooms(known: Known) -> tuple[Finding, ...]:
    """Kinds of what Docker keeps that grew far more in a day than in the days before."""
    return _sizes(known.of("docker"))


def databases(known: Known) -> tuple[Finding, ...]:
    """Databases that did."""
    return _sizes(known.of("database", "size"))


def _sizes(some: Iterable[Series]) -> tuple[Finding, ...]:
    found = []
    for one in some:
        hours = one.tens.coarser(6).values
        grew, usual = _of_a_day(hours, 0), _usual(hours)
        now = _about(hours, 0)
        if grew is None or usual is None or now is None:
            continue
        if grew >= max(_LEAST, _SHARE * (now - grew)) and grew > _TIMES * max(0.0, usual):
            found.append(_grown(one, grew, usual, now))
    return tuple(found)


def kinds(known: Known, mount: str) -> str:
    """In words what Docker took of the file system at `mount` in the last day, most first; "" where nobody knows."""
    grown = [(_of_a_day(one.tens.coarser(6).values, 0) or 0.0, one.key[2]) for one in known.of("docker")
             if one.key[1] == mount]  # fmt: skip
    told = [f"{kind} {size(grew)}" for grew, kind in sorted(grown, reverse=True) if grew >= 2**20]
    return f"Docker took in the last day: {', '.join(told[:_MOST_KINDS])}" if told else ""


def deadlocks(known: Known, now: float, limits: Mapping[str, Limits]) -> tuple[Finding, ...]:
    """Databases in which transactions wait for each other more than they did."""
    bound = limits.get("deadlocks", Limits())
    found = []
    for one in known.of("database", "deadlocks"):
        steps = [(at, max(0.0, after - before)) for (_, before), (at, after) in pairwise(one.minutes.known)]
        last = sum(rise for at, rise in steps if at > now - _HOUR)
        before = [rise for at, rise in steps if at <= now - _HOUR]
        usual = fmean(before) * 60 if before else 0.0
        if bound.warn is None or last < bound.warn or last <= _TIMES * usual:
            continue
        label = one.key[1] or "the database"
        fix = Suggestion(
            f"find the two transactions in the log of {label}: /deadlock detected on the Logs screen",
            "each of them failed for its user; the log names both statements, which should take their rows in one order",
            "none",
            0.5,
            cost="nothing to look",
            falsified_by="a migration or a bulk job ran in this hour alone",
        )
        evidence = (f"{usual:.1f} an hour before" if before else "no hour before is known",)
        summary = f"{last:.0f} deadlocks in {label} within the last hour"
        severe = bound.crit is not None and last >= bound.crit
        status = Status.FAIL if severe else Status.WARN
        found.append(Finding("database.deadlocks", "database", status, summary, evidence, (fix,), subject=label))
    return tuple(found)


def _grown(one: Series, grew: float, usual: float, now: float) -> Finding:
    database = one.key[0] == "database"
    kind = "data" if database else one.key[2]
    what = f"the data of {one.key[1] or 'the database'}" if database else f"Docker's {kind}"
    look, why = _WAYS[kind]
    return Finding(
        "trends.growth",
        "database" if database else "quick",
        Status.WARN,
        f"{what}: {size(grew)} more than a day ago, {size(now)} in all",
        (f"usually {size(max(0.0, usual))} a day",),
        (
            Suggestion(
                f"see what grew: {look}",
                why,
                "none",
                0.4,
                cost="nothing to look",
                falsified_by="somebody brought it there on purpose",
            ),
        ),
        subject=one.key[1],
    )


def _usual(hours: Sequence[float]) -> float | None:
    """The median growth of the days before the last one; None where too few of them are known."""
    days = [grew for back in range(_DAY, len(hours), _DAY) if (grew := _of_a_day(hours, back)) is not None]
    return median(days) if len(days) >= _LEAST_DAYS else None


def _of_a_day(hours: Sequence[float], back: int) -> float | None:
    """How much more it was `back` hours ago than a day before that; None where one of both is not known.

    >>> _of_a_day([5.0, *[float("nan")] * 23, 7.0, float("nan")], 0)
    2.0
    """
    then, before = _about(hours, back), _about(hours, back + _DAY)
    return None if then is None or before is None else then - before


def _about(hours: Sequence[float], back: int) -> float | None:
    """The newest known value not newer than so many hours ago, and at most three hours older."""
    end = len(hours) - back
    return next((v for v in reversed(hours[max(0, end - _RECENT) : max(0, end)]) if not isnan(v)), None)
