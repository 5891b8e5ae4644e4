"""A block of toned lines that is scrolled, not edited: plans, explanations, help."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.reactive import var

from widgets.lines import Line, LinePane, Span, line


def more_line(above: int, below: int) -> Line:
    """How many lines are out of sight, and the keys that bring them.

    >>> more_line(0, 4)[0].text, more_line(3, 1)[0].text, more_line(3, 0)[0].text
    ('… 4 more lines: ↓', '… 1 more line: ↓  3 above: ↑', '… 3 more lines: ↑')
    """
    first = below or above
    words = f"… {first} more {'line' if first == 1 else 'lines'}: {'↓' if below else '↑'}"
    return line(Span(words + (f"  {above} above: ↑" if above and below else ""), "key"))


class Note(LinePane, can_focus=True):
    """Shows lines; scrolls when there are more than fit."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", show=False),
        Binding("up,k", "move(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("home", "move(-1000000)", show=False),
        Binding("end", "move(1000000)", show=False),
    ]

    lines: var[Sequence[Line]] = var(())
    top: var[int] = var(0)

    def __init__(self, lines: Sequence[Line] = (), *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.set_reactive(Note.lines, tuple(lines))

    def watch_lines(self) -> None:
        self.redraw()

    def watch_top(self) -> None:
        self.redraw()

    def view(self, width: int, height: int) -> Sequence[Line]:
        """What fits; the last line says that there is more, where there is."""
        shown = list(self.lines[self.top : self.top + height])
        if height > 1 and len(self.lines) > height:
            below = len(self.lines) - self.top - height + 1
            if below > 1:
                shown[height - 1 :] = [line(Span(f"… {below} more lines: ↓", "key"))]
        return shown

    def scroll_lines(self, rows: int) -> None:
        self.top = max(0, min(self.top + rows, len(self.lines) - self.size.height))

    def action_move(self, rows: int) -> None:
        self.scroll_lines(rows)

    def action_page(self, pages: int) -> None:
        self.scroll_lines(pages * max(1, self.size.height - 1))

    def on_mouse_scroll_down(self) -> None:
        self.scroll_lines(1)

    def on_mouse_scroll_up(self) -> None:
        self.scroll_lines(-1)


class LongNote(Note):
    """A note of a dialog: its last row says how much is out of sight, below and above, as long as not all fits."""

    def view(self, width: int, height: int) -> Sequence[Line]:
        room = self._room(height)
        top = max(0, min(self.top, len(self.lines) - room))  # a terminal that grew shows what it has room for
        shown = list(self.lines[top : top + room])
        if room < height:
            shown.append(more_line(top, len(self.lines) - top - room))
        return shown

    def scroll_lines(self, rows: int) -> None:
        self.top = max(0, min(self.top + rows, len(self.lines) - self._room(self.size.height)))

    def _room(self, height: int) -> int:
        """Rows for lines: the row of the sign is kept at the end too, or the last line would never be seen."""
        return height - 1 if 1 < height < len(self.lines) else height
