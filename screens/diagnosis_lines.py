"""What the diagnosis screen says of findings, in lines: the sentence, causes with what follows, one in full. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from console.checks.check import Finding, Suggestion
from screens.diagnosis_checks import finding_mark, old
from screens.recovery_lines import sentence
from widgets.choice import Row
from widgets.format import age_text, time_text
from widgets.lines import Line, Span, between, crop, line
from widgets.marks import OK, UNKNOWN, WARN, mark
from widgets.pane import wrap

if TYPE_CHECKING:
    from console.checks.diagnose import GroupState

Seen = Callable[[str], float | None]  # finding key -> when a check found it; None: it is live

CHANGES, CLEARED = "changes", "cleared"  # keys of the rows that tell what has changed, and what is well


class Tree(NamedTuple):
    """A cause and what follows from it."""

    cause: Finding
    symptoms: tuple[Finding, ...]


def trees(findings: Sequence[Finding]) -> list[Tree]:
    """Each cause with what it explains; a symptom whose cause is not told stands by itself."""
    keys = {f.key for f in findings if not f.cause}
    return [
        Tree(replace(f, cause=""), tuple(s for s in findings if s.cause == f.key and not f.cause))
        for f in findings
        if f.cause not in keys
    ]


def led_to(action: str) -> tuple[str, str] | None:
    """The command of the console, and its subject, that an action of a suggestion leads to; None: no command does it.

    >>> led_to("recover:1:app"), led_to("playbook:disk-full"), led_to("contain:isolate:app"), led_to("none")
    (('recovery.open', '1:app'), ('incident.open', 'disk-full'), ('containment.open', 'isolate:app'), None)
    """
    kind, _, rest = action.partition(":")
    command = {"recover": "recovery.open", "playbook": "incident.open", "contain": "containment.open"}.get(kind)
    return (command, rest) if command else None


def leads(action: str) -> str:
    """Where an action leads, in words.

    >>> leads("recover:1:app"), leads("recover:2:"), leads("none")
    ('opens Recovery at level 1 for app', 'opens Recovery at level 2', 'no level or measure of sevdeck does this')
    """
    kind, _, rest = action.partition(":")
    what, _, whom = rest.partition(":")
    beside = f" for {whom}" if whom else ""
    known = {
        "recover": f"opens Recovery at level {what}{beside}" if what else "opens Recovery",
        "playbook": f"opens the incident with the checklist {what}",
        "contain": f"opens Containment at {what}{beside}",
    }
    return known.get(kind, "no level or measure of sevdeck does this")


# -- the sentence


def sentence_lines(
    findings: Sequence[Finding] | None, groups: Sequence[GroupState], running: bool, width: int, height: int
) -> list[Line]:
    """What is broken, what to do, why we think so: in at most `height` lines, of which the reason gives way first."""
    if findings is None:
        return [line(mark(UNKNOWN), Span(" looking …", "dim"))]
    if not findings:
        return [_well_line(groups, running)]
    cause = trees(findings)[0].cause
    glyph = finding_mark(cause)
    tone = glyph.tone if glyph.tone in ("bad", "warn") else "strong"
    words = wrap(cause.summary, width - 2)
    lines = [line(glyph, Span(f" {words[0]}", tone)), *(line(Span(f"  {text}", tone)) for text in words[1:])]
    if not cause.suggestions:
        return lines[:height]
    first = cause.suggestions[0]
    todo = [line(Span("  → ", "key"), Span(words, "strong")) for words in wrap(first.title, width - 4)]
    todo[1:] = [line("    ", *spans[1:]) for spans in todo[1:]]
    todo += _terms(first, width)
    room = height - len(lines) - len(todo)
    why = _cut(_labelled("why", sentence(first.why), width - 2), room) if first.why else []
    return [*lines, *why, *todo][:height]


def _terms(suggestion: Suggestion, width: int) -> list[Line]:
    """Where it leads and by which key, how sure it is, what it costs."""
    words = [leads(suggestion.action), f"{suggestion.confidence:.0%} sure"]
    words += [f"costs: {suggestion.cost}"] if suggestion.cost else []
    key = "    a " if led_to(suggestion.action) else "    "
    first, *rest = wrap(" · ".join(words), width - len(key))
    return [line(Span(key, "key"), Span(first, "dim")), *(line(Span(" " * len(key) + text, "dim")) for text in rest)]


def _well_line(groups: Sequence[GroupState], running: bool) -> Line:
    """Nothing was found: by how many checks. What they exonerate is listed below."""
    total = sum(len(group.checks) for group in groups)
    ended = sum(state.result is not None and state.since is None for group in groups for state in group.checks)
    if running or ended < total or not total:
        told = f" nothing wrong so far; {ended} of {total} checks have ended" if total else " nothing wrong so far"
        return line(mark(UNKNOWN), Span(told, "strong"))
    return line(mark(OK), Span(f" nothing wrong was found by what is watched and by {total} checks", "strong"))


def _cut(lines: list[Line], height: int) -> list[Line]:
    """The first lines; the last of them says that it is not the end."""
    if len(lines) <= height:
        return lines
    kept = lines[: max(0, height)]
    return [*kept[:-1], (*kept[-1], Span(" …", "dim"))] if kept else []


def _labelled(label: str, text: str, width: int) -> list[Line]:
    """Text under a dim word, its further lines below its first.

    >>> ["".join(span.text for span in row) for row in _labelled("why", "app does not answer", 20)]
    ['  why  app does not', '       answer']
    """
    indent = len(label) + 4
    return [
        line(Span(f"  {label}  " if n == 0 else " " * indent, "dim"), part)
        for n, part in enumerate(wrap(text, width - indent))
    ]


# -- the list


def cause_rows(
    findings: Sequence[Finding],
    width: int,
    room: int,
    now: float,
    seen: Seen,
    since: str = "",
    changed: Sequence[str] = (),
) -> list[Row]:
    """Causes, beneath each what to do and what follows from it.

    Where that is more than `room` rows, all that follows from a cause is one row, so that every cause is in sight.
    """
    found = trees(findings)
    whole = sum(1 + len(tree.cause.suggestions) + len(tree.symptoms) for tree in found) + bool(changed)
    rows = [changed_row(since, changed)] if changed else []
    for tree in found:
        rows += [_finding_row(tree.cause, width, now, seen), *_suggestion_rows(tree.cause, width)]
        if whole <= room or len(tree.symptoms) == 1:
            rows += [_finding_row(symptom, width, now, seen, "    ") for symptom in tree.symptoms]
        elif tree.symptoms:
            words = f"     {len(tree.symptoms)} follow: {'; '.join(s.summary for s in tree.symptoms)}"
            rows.append(Row(f"x:{tree.cause.key}", line(Span(words, "dim"))))
    return rows


def _finding_row(finding: Finding, width: int, now: float, seen: Seen, indent: str = "") -> Row:
    left = line(indent, finding_mark(finding), Span(f" {finding.summary}", "dim" if indent else "strong"))
    age = old(seen(finding.key), now)
    return Row(f"f:{finding.key}", between(left, line(Span(age, "warn")), width) if age else crop(left, width))


def _suggestion_rows(finding: Finding, width: int) -> list[Row]:
    return [
        Row(
            f"s{n}:{finding.key}",
            between(
                line(Span("  → ", "key"), Span(suggestion.title, "key")),
                line(Span(f"{suggestion.confidence:.0%} sure", "dim")),
                width,
            ),
        )
        for n, suggestion in enumerate(finding.suggestions)
    ]


def changed_row(since: str, changed: Sequence[str]) -> Row:
    """What has changed since then, in one row: a recent change is the first suspect."""
    return Row(CHANGES, line(mark(WARN), Span(f" changed {since}: ", "strong"), "; ".join(changed)))


def cleared_row(words: Sequence[str]) -> Row:
    """What is well, in one row: it need not be looked at again."""
    return Row(CLEARED, line(mark(OK), Span(f" {len(words)} well: ", "dim"), Span("; ".join(words), "dim")))


def bullets(texts: Sequence[str], width: int) -> list[Line]:
    """The texts in full, each beginning a line."""
    return [line("· " if n == 0 else "  ", part) for text in texts for n, part in enumerate(wrap(text, width - 2))]


# -- one of them in full


def finding_lines(finding: Finding, symptoms: Sequence[Finding], now: float, width: int, seen: Seen) -> list[Line]:
    """What it is, what it rests on, what to do about it, what follows from it."""
    words = wrap(finding.summary, width - 2)
    lines = [
        line(finding_mark(finding), Span(f" {words[0]}", "strong")),
        *(line(Span(f"  {t}", "strong")) for t in words[1:]),
    ]
    lines.append(line(Span(f"  {_origin(finding, now, seen)}", "dim")))
    told = {f"explains: {symptom.summary}" for symptom in symptoms}
    for fact in finding.evidence:
        if fact not in told:
            lines += [line("  · " if n == 0 else "    ", text) for n, text in enumerate(wrap(fact, width - 4))]
    for suggestion in finding.suggestions:
        lines += suggestion_lines(suggestion, width)
    if symptoms:
        lines.append(line(Span("  from this follows", "dim")))
    for symptom in symptoms:
        words = wrap(symptom.summary, width - 6)
        lines.append(line("    ", finding_mark(symptom), f" {words[0]}"))
        lines += [line(f"      {text}") for text in words[1:]]
    return lines


def _origin(finding: Finding, now: float, seen: Seen) -> str:
    """What said so, and when."""
    at = seen(finding.key)
    parts = [f"since {time_text(finding.since)}"] if finding.since is not None else []
    parts.append("live" if at is None else f"found {age_text(now - at)} ago by the checks of {finding.group}")
    return " · ".join([*parts, finding.check])


def suggestion_lines(suggestion: Suggestion, width: int) -> list[Line]:
    """What to do, how sure that is, why, what it costs, what would show that it is wrong, and where Enter leads."""
    lines = [
        line(Span("→ " if n == 0 else "  ", "key"), Span(text, "key"))
        for n, text in enumerate(wrap(suggestion.title, width - 2))
    ]
    lines += _labelled("sure ", f"{suggestion.confidence:.0%}", width)
    lines += _labelled("why  ", sentence(suggestion.why), width) if suggestion.why else []
    lines += _labelled("costs", suggestion.cost, width) if suggestion.cost else []
    lines += _labelled("wrong", f"if {suggestion.falsified_by}", width) if suggestion.falsified_by else []
    return [*lines, *_labelled("next ", leads(suggestion.action), width)]
