"""Containment in lines: what is in force, one entry in full, a plan before it is confirmed. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from widgets.choice import Row
from widgets.format import time_text
from widgets.lines import Line, Span, fit, line
from widgets.marks import BAD, UNKNOWN, WARN, mark
from widgets.pane import wrap

if TYPE_CHECKING:
    from console.actions.containment.control import Proposal, Standing

_MARK = {"active": WARN, "overdue": BAD, "in_doubt": UNKNOWN, "unknown": UNKNOWN, "lost": BAD}
_PART = {"in_force": ("✔", "ok"), "released": ("✔", "ok"), "failed": (BAD, "bad"), "unknown": (UNKNOWN, "warn")}


def standing_rows(standings: Sequence[Standing], now: float) -> list[Row]:
    """One line for each measure that may be in force, in the words that undo it."""
    rows = []
    for one in standings:
        entry = one.entry
        tone = "bad" if one.state in ("overdue", "lost", "unknown", "in_doubt") else "warn"
        rows.append(
            Row(
                f"entry:{entry.id}",
                line(
                    " ",
                    mark(_MARK.get(one.state, UNKNOWN)),
                    Span(f" {fit(entry.title, 30)} ", "strong"),
                    Span(fit(left_text(one, now), 16), tone),
                    Span(f"by {entry.by.name} since {time_text(entry.at)[:5]}", "dim"),
                ),
            )
        )
    return rows


def left_text(one: Standing, now: float) -> str:
    from console.actions.containment.reminder import Contained

    if one.state == "lost":
        return "NOT IN FORCE"
    return Contained(one.entry.id, one.entry.title, one.state, one.entry.expires_at).left(now)


def standing_lines(one: Standing, width: int) -> list[Line]:
    """What was done, what is not as it should be, and what a person would type to take it back."""
    entry = one.entry
    lines = [line(Span(text)) for text in wrap(entry.effect, width)]
    lines += [line(Span(text, "bad")) for text in (wrap(f"▲ {one.words}", width) if one.words else [])]
    lines += [line(), line(Span("Done", "title"))]
    for part in entry.parts:
        glyph, tone = _PART.get(part.state, ("·", "dim"))
        lines.append(line(Span(f" {glyph} ", tone), part.step.title, Span(f"  {part.detail}", "dim")))
    lines += [line(), line(Span("The way back, as saved before", "title"))]
    for part in reversed(entry.parts):
        if part.step.undo != "none needed":
            lines += [line(Span(f"   {text}", "dim")) for text in wrap(part.step.undo, width - 3)]
    lines += [line(), line(Span("History", "title"))]
    for told in entry.history[-6:]:
        words = f"{time_text(float(told['at']))} {told['by']}: {told['state']}  {told['text']}"
        lines += [line(Span(f"   {text}", "dim")) for text in wrap(words, width - 3)]
    where = f"{entry.id}{f', recorded in {entry.incident}' if entry.incident else ''}"
    return [*lines, line(), line(Span(where, "dim"))]


def proposal_lines(proposal: Proposal, width: int) -> list[Line]:
    """The plan as a person reads it before typing yes."""
    minutes = round(proposal.seconds / 60)
    lines = [line(Span(f"Plan {proposal.plan_id[:4]}", "strong"), f" · {proposal.blast.text} · for {minutes} min")]
    lines += [line(text) for text in wrap(proposal.effect, width)]
    for number, step in enumerate(proposal.steps, 1):
        lines.append(line(f"{number:2} {step.title}"))
        lines += [line(Span(f"     {text}", "dim")) for text in wrap(step.command, width - 5)]
    undo = [s.undo for s in reversed(proposal.steps) if s.undo != "none needed"]
    for number, command in enumerate(undo):
        words = wrap(command, width - 6)
        lines += [
            line(Span(f"{'undo: ' if not number and not n else '      '}{text}", "dim")) for n, text in enumerate(words)
        ]
    return lines + [line(Span(text, "warn")) for told in proposal.advice for text in wrap(f"▲ {told}", width)]
