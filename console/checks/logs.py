"""Error bursts in logs, and the few sentences in logs and answers that name a cause by themselves."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from console.checks.check import Finding, Status
from console.checks.containers import crossed
from console.checks.wording import figure, shorten, span
from console.config import Config, Limits
from console.watch.logrecord import Burst, InputStats, LogRecord, LogStats, PatternStat

FLOOD = 500.0  # lines a second from one input: nobody reads that, and disks fill
SLACK = 10.0  # seconds a sentence may be older than the trouble it explains: probes ask every few seconds
_Said = TypeVar("_Said", PatternStat, Burst)
RECENT = 300.0  # seconds an error line may be old and still speak about now

# What these programs write themselves; source: their documentation and source code.
SIGNS: dict[str, re.Pattern[str]] = {
    "disk_full": re.compile(r"no space left on device|\bENOSPC\b|disk quota exceeded|MISCONF Redis", re.I),
    "corrupt": re.compile(
        r"PANIC:|pg_control|in control file|invalid page in block|checksum (?:mismatch|verification failed)"
        r"|database files are incompatible|could not locate a valid checkpoint|initdb before",
        re.I,
    ),
    "connections": re.compile(
        r"too many clients already|remaining connection slots are reserved|too many connections"
        r"|max number of clients reached",
        re.I,
    ),
    "cache_full": re.compile(r"OOM command not allowed|used memory > 'maxmemory'", re.I),
    "password": re.compile(r"password authentication failed|\bWRONGPASS\b|\bNOAUTH\b", re.I),
    "name": re.compile(
        r"could not translate host name|name or service not known|host not found in upstream"
        r"|temporary failure in name resolution|could not be resolved",
        re.I,
    ),
}


@dataclass(frozen=True, slots=True)
class Sign:
    """One sentence that names a cause: which, who said it, the sentence, and when it was last said."""

    kind: str
    subject: str
    text: str
    at: float

    def explains(self, since: float) -> bool:
        """Whether it was (still) said after a trouble began: yesterday's reason is not today's."""
        return self.at >= since - SLACK


def log_findings(stats: LogStats, config: Config, now: float) -> list[Finding]:
    """An input that writes more errors than the threshold, and inputs that cannot be read."""
    bound = config.thresholds.get("errors_per_minute", Limits())
    found: list[Finding] = []
    for one in stats.inputs:
        if one.fault:
            text = f"logs of {one.name} cannot be read: {one.fault}"
            evidence = (one.remedy,) if one.remedy else ()
            found.append(Finding("logs.source", "logs", Status.UNKNOWN, text, evidence, subject=one.name))
        elif status := crossed(one.errors_per_minute, bound):
            found.append(_burst(one, status, stats.last_errors, now))
        if one.lines_per_second >= FLOOD:
            text = f"{one.name} writes {one.lines_per_second:.0f} log lines a second"
            found.append(Finding("logs.flood", "logs", Status.WARN, text, subject=one.name))
    loud = {finding.subject for finding in found if finding.check == "logs.burst"}
    return found + [one for one in _unusual(stats) if one.check != "logs.spike" or one.subject not in loud]


def _unusual(stats: LogStats) -> list[Finding]:
    """What the patterns say: new ones, many at once, silence. Hints, so never more than a warning; one for each source."""
    found: list[Finding] = []
    for source, fresh in _by_source(one for one in stats.patterns if one.new).items():
        more = f" (and {len(fresh) - 1} more)" if len(fresh) > 1 else ""
        text = f"{source} logs something new: {shorten(fresh[-1].text, 80)}{more}"
        evidence = tuple(f"{one.level}, {one.count} times: {one.text}" for one in fresh[-3:])
        found.append(Finding("logs.new", "logs", Status.WARN, text, evidence, subject=source, since=fresh[0].first_at))
    for source, bursts in _by_source(stats.bursts).items():
        # One pattern says more than the sum of all that it is part of.
        one = max(bursts, key=lambda burst: (bool(burst.pattern), burst.count))
        text = f"{source} logs {one.count:.0f} times in 5 min, usually {figure(one.usual)}: {shorten(one.text, 80)}"
        evidence = tuple(
            f"{burst.count:.0f} times, usually {figure(burst.usual)}: {burst.text}" for burst in bursts[:3]
        )
        found.append(Finding("logs.spike", "logs", Status.WARN, text, evidence, subject=source, since=one.at))
    for silence in stats.silent:
        text = f"{silence.source} has logged nothing for {span(silence.seconds)}, and usually does all the time"
        found.append(Finding("logs.silence", "logs", Status.WARN, text, subject=silence.source))
    return found


def _by_source(seen: Iterable[_Said]) -> dict[str, list[_Said]]:
    sources: dict[str, list[_Said]] = {}
    for one in seen:
        sources.setdefault(one.source, []).append(one)
    return sources


def _burst(one: InputStats, status: Status, errors: Iterable[LogRecord], now: float) -> Finding:
    about = "about " if one.estimated else ""
    last = [r for r in errors if r.source == one.name and _recent(r, now)]
    quote = f": {shorten(last[-1].message, 80)}" if last else ""
    text = f"{one.name} logs {about}{one.errors_per_minute:.0f} errors a minute{quote}"
    evidence = tuple(r.message for r in last[-3:])
    return Finding("logs.burst", "logs", status, text, evidence, subject=one.name)


def signs(lines: Iterable[tuple[str, str, float]]) -> dict[str, Sign]:
    """The newest sign of each kind among (who, what it said, when)."""
    found: dict[str, Sign] = {}
    for subject, text, at in lines:
        for kind, pattern in SIGNS.items():
            known = found.get(kind)
            if (known is None or known.at < at) and pattern.search(text):
                found[kind] = Sign(kind, subject, text, at)
    return found


def recent_errors(stats: LogStats | None, now: float) -> list[tuple[str, str, float]]:
    """(source, message, when) of the error lines that may speak about now."""
    if stats is None:
        return []
    return [(r.source, r.message, r.at or r.arrived) for r in stats.last_errors if _recent(r, now)]


def _recent(record: LogRecord, now: float) -> bool:
    at = record.arrived or record.at
    return at is not None and now - at <= RECENT
