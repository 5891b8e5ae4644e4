"""What the diagnosis screen says of the checks, in lines: a row for each group, the checks of one group. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from console.checks.check import Status
from widgets.choice import Row
from widgets.format import age_text
from widgets.lines import Line, Span, between, fit, line
from widgets.marks import BAD, OK, UNKNOWN, WARN, mark
from widgets.pane import wrap

if TYPE_CHECKING:
    from console.checks.check import Finding
    from console.checks.diagnose import CheckState, GroupState

STALE = 60.0  # seconds after which a result says how old it is

_MARK = {Status.FAIL: BAD, Status.WARN: WARN, Status.OK: OK}
_RUNS = Span("…", "dim")


def finding_mark(finding: Finding) -> Span:
    return mark(_MARK.get(finding.status, UNKNOWN))


def old(at: float | None, now: float) -> str:
    """How old it is, once that matters.

    >>> old(100.0, 130.0), old(100.0, 900.0), old(None, 900.0)
    ('', '13m old', '')
    """
    return "" if at is None or now - at < STALE else f"{age_text(now - at)} old"


def checks_title(groups: Sequence[GroupState], running: bool) -> str:
    """How far the checks are."""
    total = sum(len(group.checks) for group in groups)
    waiting = sum(group.running for group in groups)
    if running:
        return f"Checks · {total - waiting} of {total} ended" if waiting else "Checks · beginning"
    said = sum(len(group.results) for group in groups)
    if said < total:
        return f"Checks · {said} of {total} ended"
    return f"Checks · all {total} in {max(group.took for group in groups):.1f} s" if total else "Checks"


def group_rows(groups: Sequence[GroupState], now: float) -> list[Row]:
    """One row for each group: its mark, its state in words, and how long it took or how old it is."""
    return [Row(f"g:{group.name}", _group_row(group, now)) for group in groups]


def _group_row(group: GroupState, now: float) -> Line:
    status = group.status
    glyph = mark(_MARK.get(status, UNKNOWN)) if status is not None else mark(UNKNOWN)
    age = old(group.at, now)
    took = age or f"{group.took:.1f} s"
    if group.running:
        glyph = _RUNS
        words = f"{len(group.checks) - group.running} of {len(group.checks)}"
        took = f"{max(0.0, now - min(s.since for s in group.checks if s.since is not None)):.0f} s …"
    elif not group.checks:
        glyph, words, took = Span(" "), "no checks", ""
    elif status is None:
        words, took = "not run", ""
    elif status is Status.OK:
        words = "well"
    else:
        words = f"{status} {len([f for f in group.findings if f.status is not Status.OK])}"
    tone = "" if group.running or status is None else glyph.tone
    return line(
        glyph,
        f" {fit(group.name, 13)} ",
        Span(fit(words, 10), tone),
        Span(fit(took, 7, "right"), "warn" if age and not group.running else "dim"),
    )


def cleared(groups: Sequence[GroupState]) -> list[tuple[str, str]]:
    """(group, what it found to be well, in words); what was not looked at is not in it."""
    return [(g.name, r.cleared) for g in groups for r in g.results if r.cleared and r.status is Status.OK]


def cleared_rows(groups: Sequence[GroupState]) -> list[Row]:
    """What the checks exonerate, a row each."""
    return [Row(f"c{n}:{name}", line(mark(OK), f" {words}")) for n, (name, words) in enumerate(cleared(groups))]


def group_lines(group: GroupState, now: float, width: int) -> list[Line]:
    """Its checks: what each asks, how it ended, what it found or cleared. What is not well stands first."""
    if not group.checks:
        return [
            line(Span(text, "dim")) for text in wrap("No check of this group is known before the first run.", width)
        ]
    states = sorted(group.checks, key=_urgency)
    return [found for state in states for found in _check_lines(state, now, width)]


def _urgency(state: CheckState) -> int:
    if state.since is not None:
        return -10  # what is waited for
    return -state.result.status.rank if state.result is not None else 1


def _check_lines(state: CheckState, now: float, width: int) -> list[Line]:
    result = state.result
    if state.since is not None:
        glyph, word, tone = _RUNS, "waiting", ""
        time = f"{max(0.0, now - state.since):.0f} s of {state.check.deadline:g} s"
    elif result is None:
        glyph, word, tone, time = mark(UNKNOWN), "not run", "", ""
    else:
        glyph = mark(_MARK.get(result.status, UNKNOWN))
        word = "well" if result.status is Status.OK else str(result.status)
        tone = glyph.tone
        time = f"{result.took:.1f} s"
    age = old(state.at, now)
    right = line(Span(fit(word, 8), tone), Span(fit(time, 11, "right"), "dim"), Span(fit(age, 8, "right"), "warn"))
    lines = [between(line(glyph, Span(f" {state.check.title}", "strong")), right, width)]
    if result is None:
        return lines
    for finding in result.findings:
        words = wrap(finding.summary, width - 6)
        lines.append(line("    ", finding_mark(finding), f" {words[0]}"))
        lines += [line(f"      {text}") for text in words[1:]]
        lines += [line(Span(f"      {text}", "dim")) for fact in finding.evidence for text in wrap(fact, width - 6)]
    if result.cleared:
        lines += [line(Span(f"    {text}", "dim")) for text in wrap(result.cleared, width - 4)]
    return lines
