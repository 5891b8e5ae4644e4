"""The three lines that are on every screen: the incident, the finding, and the keys that matter here."""

from __future__ import annotations

from collections.abc import Sequence

from textual.reactive import var

from console.checks.check import Finding, Status
from console.commands import Command
from widgets.lines import Line, LinePane, Span, crop, line, width_of
from widgets.marks import BAD, OK, UNKNOWN, WARN, mark

_STUMP = 16  # columns below which an advice says nothing


class Bar(LinePane, can_focus=False):
    """One line over the whole width."""

    DEFAULT_CSS = """
    Bar { height: 1; width: 100%; }
    """


def finding_line(findings: Sequence[Finding] | None, width: int) -> Line:
    """The most important finding and what to do about it; how many more there are.

    None: nothing has been read yet. Empty: everything that is watched is well.
    """
    if findings is None:
        return line(mark(UNKNOWN), Span(" looking …", "dim"))
    if not findings:
        return line(mark(OK), Span(" nothing wrong found in what is watched", "dim"))
    first = findings[0]
    glyph = {Status.FAIL: BAD, Status.WARN: WARN, Status.OK: OK}.get(first.status, UNKNOWN)
    tone = {BAD: "bad", WARN: "warn"}.get(glyph, "")
    more = len(findings) - 1
    why = Span(f"  +{more} [i]" if more else "  why [i]", "dim")
    head = line(mark(glyph), Span(f" {first.summary}", tone))
    advice = line(Span(f"  → {first.suggestions[0].title}", "strong")) if first.suggestions else ()
    room = width - len(why.text)
    # The cause comes first: on a narrow screen it keeps three fifths, and a stump of an advice is left out.
    left = room - min(width_of(head), max(room - width_of(advice), 3 * room // 5))
    if left < min(width_of(advice), _STUMP):
        advice, left = (), 0
    elif width_of(advice) > left:
        advice = crop(advice, left)
    head_room = room - width_of(advice)
    return (*(head if width_of(head) <= head_room else crop(head, head_room)), *advice, why)


class FindingBar(Bar):
    """Shows the headline of the findings."""

    findings: var[Sequence[Finding] | None] = var(None)

    def watch_findings(self) -> None:
        self.redraw()

    def view(self, width: int, height: int) -> Sequence[Line]:
        return [finding_line(self.findings, width)]


class KeyBar(Bar):
    """The keys of a screen, from the command table; as many as fit, help and quit always."""

    def __init__(self, commands: Sequence[Command], keys: dict[str, str] | None = None) -> None:
        super().__init__()
        self._commands = commands
        self._keys = keys or {}

    def view(self, width: int, height: int) -> Sequence[Line]:
        items: list[tuple[int, Line]] = []
        for command in self._commands:
            key = self._keys.get(command.id, "").split(",")[0] or command.display
            items.append((command.footer, line(Span(f" {key}", "key"), Span(f" {command.label} ", "dim"))))
        while len(items) > 2 and sum(width_of(i[1]) for i in items) > width:
            drop = max((n for n, i in enumerate(items) if i[0] < 98), default=0)
            items.pop(max(0, drop))
        return [tuple(span for _, spans in items for span in spans)]
