"""What all dashboard panes share: a title that says what is shown and how fresh it is, a body, scrolling.

A dead source keeps its last values greyed below `stale 12 s: reason. remedy`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from textual.binding import Binding, BindingType
from textual.reactive import var

from console.watch.source import Reading
from widgets.format import age_text
from widgets.lines import Line, LinePane, Span, between, line


def greyed(lines: Sequence[Line]) -> list[Line]:
    """The lines without tones: values that were true once."""
    return [tuple(Span(s.text, "dim") for s in spans) for spans in lines]


def wrap(text: str, width: int) -> list[str]:
    """Text in lines of at most `width` columns, cut at spaces where there are any."""
    import textwrap

    return textwrap.wrap(text, max(10, width)) or [""]


class Pane(LinePane, can_focus=True):
    """A titled pane of one reading. Subclasses give `body`, and `subtitle` where there is more to say."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", show=False),
        Binding("up,k", "move(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("home", "move(-1000000)", show=False),
    ]

    TITLE: ClassVar[str] = ""
    reading: var[Any] = var(Reading())
    now: var[float] = var(0.0)
    top: var[int] = var(0)  # first body line shown
    still: var[bool] = var(False)  # a person paused the console: nothing is read

    def body(self, width: int, height: int) -> Sequence[Line]:
        """All lines of the pane, more than fit are scrolled to."""
        raise NotImplementedError

    def subtitle(self) -> str:
        """What stands beside the title."""
        return ""

    def figures(self) -> str:
        """What stands at the right end of the title line."""
        return ""

    def watch_now(self) -> None:
        if self.reading.fault is not None:
            self.redraw()

    def watch_top(self) -> None:
        self.redraw()

    def watch_still(self) -> None:
        self.redraw()

    def view(self, width: int, height: int) -> Sequence[Line]:
        lines = list(self.body(width, height - 1))
        fault = self.reading.fault
        head: list[Line] = [self._title(width)]
        if fault is not None:
            age = age_text(max(0.0, self.now - fault.since)) if self.now else "0s"
            state = f"stale {age}" if self.reading.value is not None else "no data"
            words = f"{state}: {fault.reason}. {fault.remedy}".rstrip(" .") + "."
            head += [
                line(Span(("⧗ " if n == 0 else "  ") + text, "warn")) for n, text in enumerate(wrap(words, width - 2))
            ]
            lines = greyed(lines)
        room = height - len(head)
        top = min(self.top, max(0, len(lines) - room))
        shown = lines[top : top + room]
        if len(lines) > top + room > 0 and shown:
            shown[-1] = line(Span(f"… {len(lines) - top - room + 1} more", "dim"))
        return head + shown

    def _title(self, width: int) -> Line:
        tone = "focus" if self.has_focus else "title"
        left = line(
            Span("── ", tone),
            Span(self.TITLE, "focus" if self.has_focus else "strong"),
            Span(f"  {self.subtitle()} ", "dim"),
        )
        figures = self.figures()
        right = line(Span(f" {figures} ──", "dim")) if figures else line(Span("──", tone))
        if self.still:
            right = line(Span(" paused ", "warn"), Span("──", tone))
        return between(left, right, width, "─", tone)

    def on_mouse_scroll_down(self) -> None:
        self.top += 1

    def on_mouse_scroll_up(self) -> None:
        self.top = max(0, self.top - 1)

    def action_move(self, rows: int) -> None:
        self.move(rows)

    def action_page(self, pages: int) -> None:
        self.move(pages * max(1, self.size.height - 3))

    def move(self, rows: int) -> None:
        """Scroll, or move the selection where a pane has one."""
        self.top = max(0, self.top + rows)
