"""Repaints that send changed cells and nothing else.

Textual redraws part of a line from the left edge of its widget on, so that the last figure of a row costs the
whole row. Here it is sent from its own first column: a third of the bytes on a dashboard. Nothing is composed here;
the strips are Textual's.
"""

from __future__ import annotations

from rich.console import Console
from rich.control import Control
from textual._compositor import ChopsUpdate, Compositor


class CellsUpdate(ChopsUpdate):
    """A partial update of the screen: spans of lines, each from its first changed column to its last."""

    def render_segments(self, console: Console) -> str:
        """What to write to the terminal."""
        out: list[str] = []
        for y, first, last in self.spans:
            for end, (x, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=False):
                left, right = max(x, first), min(end, last)
                if strip is not None and left < right:
                    out.append(Control.move_to(left, y).segment.text)
                    out.append(strip.crop(left - x, right - x).render(console))
        return "".join(out)


class CellsCompositor(Compositor):
    """Textual's, with cells for partial updates."""

    def render_partial_update(self) -> ChopsUpdate | None:
        update = super().render_partial_update()
        return None if update is None else CellsUpdate(update.chops, update.spans, update.chop_ends)
