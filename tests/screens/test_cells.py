"""Repaints send the changed cells, and the screen then shows what it should."""

from __future__ import annotations

import pyte
import pytest
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate
from textual.strip import Strip

from widgets.cells import CellsUpdate

WIDTH = 24


def strip(text: str) -> Strip:
    """A line in several styles, as panes draw them."""
    parts = text[:5], text[5:9], text[9:]
    return Strip([Segment(part, Style(bold=n == 1, color="red")) for n, part in enumerate(parts) if part])


@pytest.mark.parametrize(
    ("before", "after", "span"),
    [
        ("web   12 %  running  4s  ", "web   15 %  running  4s  ", (7, 8)),
        ("web   12 %  running  4s  ", "web   12 %  running  5s  ", (21, 22)),
        ("web   12 %  running  4s  ", "api   99 %  exited   1s  ", (0, 24)),
        ("日本  12 %  running  4s  ", "日本  15 %  running  4s  ", (7, 8)),
        ("日本  12 %  running      ", "日語  12 %  running      ", (2, 4)),
    ],
)
@pytest.mark.parametrize("left", [0, 30])
def test_changed_cells_make_the_screen_right(before: str, after: str, span: tuple[int, int], left: int) -> None:
    console = Console(force_terminal=True, color_system="256", width=80)
    old, new = strip(before).crop(0, WIDTH), strip(after).crop(0, WIDTH)
    first, last = span
    changes = [(1, left + first, left + last)]
    chops, ends = [{}, {left: new}], [[], [left + WIDTH]]
    update = CellsUpdate(chops, changes, ends)
    screen = pyte.Screen(80, 4)
    stream = pyte.Stream(screen)
    stream.feed(f"\x1b[2;{left + 1}H{old.render(console)}{update.render_segments(console)}")
    shown = pyte.Screen(80, 4)
    pyte.Stream(shown).feed(f"\x1b[2;{left + 1}H{new.render(console)}")
    assert screen.display == shown.display
    assert len(update.render_segments(console)) <= len(ChopsUpdate(chops, changes, ends).render_segments(console))
