"""A list of lines of which one is selected: options of a dialog, steps of a checklist, events of a timeline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.reactive import var

from widgets.lines import Line, LinePane, Span


class Row(NamedTuple):
    """One line of the list. Rows without a `key` are headings and cannot be selected."""

    key: str
    spans: Line


def highlighted(spans: Line) -> Line:
    """The line as the selected one."""
    return tuple(Span(s.text, "cursor") for s in spans)


class ChoiceList(LinePane, can_focus=True):
    """Shows rows and keeps one selected; the selection stays with its key when rows come and go."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", show=False),
        Binding("up,k", "move(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("home", "move(-1000000)", show=False),
        Binding("end", "move(1000000)", show=False),
    ]

    rows: var[Sequence[Row]] = var(())
    selected: var[str] = var("")
    top: var[int] = var(0)

    class Selected(Message):
        """Another row was selected by a person."""

        def __init__(self, key: str) -> None:
            super().__init__()
            self.key = key

    def watch_rows(self) -> None:
        keys = self.keys()
        if keys and self.selected not in keys:
            self.selected = self.fallback(keys)
        self.show_selected()
        self.redraw()

    def watch_selected(self) -> None:
        self.show_selected()
        self.redraw()

    def watch_top(self) -> None:
        self.redraw()

    def on_resize(self) -> None:
        self.show_selected()
        super().on_resize()

    def keys(self) -> Sequence[str]:
        return [row.key for row in self.rows if row.key]

    def place_of(self, key: str) -> int | None:
        """The number of the row with this key; None when there is none."""
        return next((n for n, row in enumerate(self.rows) if row.key == key), None)

    def fallback(self, keys: Sequence[str]) -> str:
        """The row to select when the selected one is gone or there was none."""
        return keys[0]

    def heading(self, width: int) -> Sequence[Line]:
        """Lines above the list that do not scroll."""
        return ()

    def room(self) -> int:
        return max(1, self.size.height - len(self.heading(self.size.width)))

    def show_selected(self) -> None:
        """Scroll so that the selection is on the screen."""
        at = self.place_of(self.selected)
        room = self.room()
        self.top = max(0, min(self.top, len(self.rows) - room))  # also after it has become larger
        if at is None:
            return
        if at < self.top:
            self.top = max(0, at - 1 if at and not self.rows[at - 1].key else at)
        elif at >= self.top + room:
            self.top = at - room + 1

    def view(self, width: int, height: int) -> Sequence[Line]:
        head = list(self.heading(width))
        shown = self.rows[self.top : self.top + height - len(head)]
        body = [highlighted(r.spans) if r.key and r.key == self.selected and self.has_focus else r.spans for r in shown]
        return head + body

    def move(self, rows: int) -> None:
        keys = self.keys()
        if keys:
            at = keys.index(self.selected) if self.selected in keys else 0
            self.selected = keys[max(0, min(len(keys) - 1, at + rows))]
            self.post_message(self.Selected(self.selected))

    def action_move(self, rows: int) -> None:
        self.move(rows)

    def action_page(self, pages: int) -> None:
        self.move(pages * max(1, self.room() - 1))

    def on_mouse_scroll_down(self) -> None:
        self.move(1)

    def on_mouse_scroll_up(self) -> None:
        self.move(-1)
