"""A block of toned lines that is scrolled, not edited: plans, explanations, help."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.reactive import var

from widgets.lines import Line, LinePane, Span, line


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
