"""The containment bar: what is held, how long still, and the key that leads there. Only there while something is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.reactive import var

from widgets.bars import Bar
from widgets.lines import Line, Span, crop, line, width_of

if TYPE_CHECKING:
    from console.actions.containment.reminder import Contained


def containment_line(contained: Sequence[Contained], now: float, width: int) -> Line:
    """All of them as far as there is room, the most urgent first; how many are left out stands at the end."""
    ordered = sorted(contained, key=lambda one: not one.alarming(now))
    key = line(Span("  C", "key"), Span(" undoes", "dim"))
    found: Line = ()
    for number, one in enumerate(ordered):
        alarming = one.alarming(now)
        piece = line(
            Span(" ⛨ " if not number else "   ⛨ ", "bad" if alarming else "warn"),
            Span(one.title, "strong"),
            Span(" · ", "dim"),
            Span(one.left(now), "bad" if alarming else "warn"),
        )
        more = len(ordered) - number
        rest = line(Span(f"  +{more}", "warn"))
        needed = width_of(piece) + width_of(key) + (width_of(rest) if more > 1 else 0)
        if number and width_of(found) + needed > width:
            return (*found, *rest, *key)
        found = (*found, *piece)
    if width_of(found) + width_of(key) > width:
        return (*crop(found, max(1, width - width_of(key))), *key)
    return (*found, *key)


class ContainmentBar(Bar):
    """Shows what is contained; takes no row while nothing is."""

    DEFAULT_CSS = """
    ContainmentBar { display: none; }
    ContainmentBar.-held { display: block; }
    """

    contained: var[Sequence[Contained]] = var(())
    now: var[float] = var(0.0)

    def watch_contained(self) -> None:
        self.set_class(bool(self.contained), "-held")
        self.redraw()

    def watch_now(self) -> None:
        if self.contained:
            self.redraw()

    def view(self, width: int, height: int) -> Sequence[Line]:
        return [containment_line(self.contained, self.now, width)]
