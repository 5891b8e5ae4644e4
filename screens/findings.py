"""Why: every finding with its evidence, what it explains, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from console.checks.check import Finding, Status
from widgets.lines import Line, Span, line
from widgets.marks import BAD, OK, UNKNOWN, WARN, mark
from widgets.pane import wrap

_MARK = {Status.FAIL: BAD, Status.WARN: WARN, Status.OK: OK}


def finding_lines(findings: Sequence[Finding] | None, width: int) -> list[Line]:
    """Causes first, their symptoms beneath, then what to do."""
    if not findings:
        what = "Nothing has been read yet." if findings is None else "Nothing wrong was found in what is watched."
        return [
            line(Span(what, "strong")),
            line(),
            line(Span("Watched: host, containers, probes, metrics, logs.", "dim")),
        ]
    lines: list[Line] = []
    for finding in _symptoms_beneath(findings):
        symptom = bool(finding.cause)
        head = _MARK.get(finding.status, UNKNOWN)
        indent = "    " if symptom else ""
        words = wrap(finding.summary, width - 6 - len(indent))
        if not symptom and lines:
            lines.append(line())
        lines.append(line(indent, mark(head), Span(f" {words[0]}", "dim" if symptom else "strong")))
        lines += [line(f"{indent}  {text}") for text in words[1:]]
        if symptom:
            continue
        for fact in finding.evidence:
            lines += [line(Span(f"    {text}", "dim")) for text in wrap(fact, width - 6)]
        for suggestion in finding.suggestions:
            lines += [
                line("  → " if n == 0 else "    ", Span(text, "key"))
                for n, text in enumerate(wrap(suggestion.title, width - 20))  # how sure it is stands behind it
            ]
            lines[-1] += line(Span(f"  ({suggestion.confidence:.0%} sure)", "dim"))
            lines += [line(f"    {text}") for text in wrap(suggestion.why, width - 6)]
    return lines


def _symptoms_beneath(findings: Sequence[Finding]) -> list[Finding]:
    """Each cause with what it explains right after it; a symptom whose cause is not told stands by itself."""
    keys = {f.key for f in findings if not f.cause}
    told: list[Finding] = []
    for finding in findings:
        if finding.cause not in keys:
            told += [replace(finding, cause=""), *(f for f in findings if f.cause == finding.key and not finding.cause)]
    return told
