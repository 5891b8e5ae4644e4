"""Small questions over a screen: a line of text, a choice, a typed confirmation, something to read.

No default is yes: Esc always means no, and Enter on nothing means no.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.events import Key
from textual.screen import ModalScreen

from widgets.choice import ChoiceList, Row
from widgets.lines import Line, Span, line
from widgets.note import LongNote, Note
from widgets.pane import wrap
from widgets.prompt import Prompt

_ARM_SECONDS = 0.6  # a key still held down from the screen below must not confirm

_MOVED, _PAGED = {"down": 1, "up": -1}, {"pagedown": 1, "pageup": -1}  # keys that scroll what is confirmed

_CSS = """
{name} {{ align: center middle; }}
{name} #box {{
    width: 100%; max-width: 100; height: auto; max-height: 100%; padding: 0 1;
    border: round $accent; background: $surface;
}}
{name} Note {{ width: 100%; }}
{name} Prompt {{ margin-top: 1; }}
"""


def _question(title: str, hint: str, width: int) -> list[Line]:
    """What is asked, in full, and what helps to answer."""
    room = max(20, min(width, 100) - 6)  # the box's border and padding
    lines = [line(Span(text, "strong")) for text in wrap(title, room)]
    return lines + [line(Span(text, "dim")) for text in wrap(hint, room) if hint]


class Ask(ModalScreen[str | None]):
    """One line of text, or None."""

    AUTO_FOCUS = "Prompt"
    CSS = _CSS.format(name="Ask")
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "no", "cancel", show=False)]

    def __init__(self, title: str, hint: str = "", value: str = "", *, required: bool = True) -> None:
        super().__init__()
        self._title = title
        self._hint = hint
        self._value = value
        self._required = required

    def compose(self) -> ComposeResult:
        lines = _question(self._title, self._hint, self.app.size.width)
        with Vertical(id="box"):
            note = Note(lines)
            note.styles.height = len(lines)
            note.can_focus = False
            yield note
            yield Prompt(self._entered, self._value)
            keys = Note(
                [
                    line(
                        Span("Enter", "key"),
                        Span(" writes it   ", "dim"),
                        Span("Esc", "key"),
                        Span(" leaves", "dim"),
                    )
                ]
            )
            keys.styles.height = 1
            keys.can_focus = False
            yield keys

    def _entered(self, text: str) -> bool:
        if not text and self._required:
            return False
        self.dismiss(text)
        return True

    def action_no(self) -> None:
        self.dismiss(None)


class Choose(ModalScreen[str | None]):
    """One of several options (key, lines), or None."""

    CSS = _CSS.format(name="Choose")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "no", "cancel", show=False),
        Binding("enter", "yes", "choose", show=False),
    ]

    def __init__(self, title: str, options: Sequence[tuple[str, Line]], selected: str = "", hint: str = "") -> None:
        super().__init__()
        self._title = title
        self._options = [Row(key, spans) for key, spans in options]
        self._selected = selected
        self._hint = hint

    def compose(self) -> ComposeResult:
        lines = _question(self._title, self._hint, self.app.size.width)
        with Vertical(id="box"):
            note = Note(lines)
            note.styles.height = len(lines) + 1
            note.can_focus = False
            yield note
            choices = ChoiceList()
            choices.styles.height = len(self._options)
            choices.styles.max_height = 14
            yield choices
            keys = Note(
                [
                    line(),
                    line(
                        Span("Enter", "key"),
                        Span(" chooses   ", "dim"),
                        Span("Esc", "key"),
                        Span(" leaves", "dim"),
                    ),
                ]
            )
            keys.styles.height = 2
            keys.can_focus = False
            yield keys

    def on_mount(self) -> None:
        choices = self.query_one(ChoiceList)
        choices.rows = self._options
        if self._selected:
            choices.selected = self._selected
        choices.focus()

    def action_yes(self) -> None:
        self.dismiss(self.query_one(ChoiceList).selected or None)

    def action_no(self) -> None:
        self.dismiss(None)


class Confirm(ModalScreen[str | None]):
    """A change of the host, or what leaves it, shown whole before it is made.

    With `word` the person types it; without, one `key` runs it. Answers what was typed (or the key), else None.
    """

    CSS = _CSS.format(name="Confirm") + "\nConfirm #box { border: round $warning; }\n"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "no", "cancel", show=False)]

    def __init__(self, lines: Sequence[Line], *, word: str = "", key: str = "", does: str = "run it") -> None:
        super().__init__()
        self._lines = list(lines)
        self._word = word
        self._key = key
        self._does = does
        self._armed_at = 0.0

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            note = LongNote(self._lines)
            note.styles.height = len(self._lines)
            yield note
            if self._word:
                ask = line(
                    "type ",
                    Span(self._word, "strong"),
                    " to run it; ",
                    Span("Esc", "key"),
                    " or an empty line leaves",
                )
            else:
                ask = line(
                    "press ",
                    Span(self._key, "key"),
                    f" to {self._does}; ",
                    Span("Esc", "key"),
                    " or ",
                    Span("Enter", "key"),
                    " leaves",
                )
            question = Note([line(), ask])
            question.styles.height = 2
            question.can_focus = False
            yield question
            if self._word:
                yield Prompt(self._entered)

    def on_resize(self) -> None:
        # Border, question and prompt take eight rows: what is asked must stay in sight on every terminal.
        self.query_one(LongNote).styles.max_height = max(3, self.size.height - 8)

    def on_mount(self) -> None:
        self._armed_at = time.monotonic() + _ARM_SECONDS
        if self._word:
            self.query_one(Prompt).focus()
        else:
            self.query_one(LongNote).focus()

    def on_key(self, event: Key) -> None:
        # Here and not by the note's own bindings: a prompt has the focus for typing, and without one all keys end here.
        note = self.query_one(LongNote)
        if event.key in _MOVED or event.key in _PAGED:
            event.stop()
            note.action_move(_MOVED.get(event.key, 0))
            note.action_page(_PAGED.get(event.key, 0))
            return
        if self._word:
            return
        event.stop()
        if event.key == "enter":
            self.dismiss(None)
        elif event.character == self._key and time.monotonic() >= self._armed_at:
            self.dismiss(self._key)

    def _entered(self, typed: str) -> bool:
        if typed and typed != self._word:
            prompt = self.query_one(Prompt)
            prompt.value = ""
            prompt.placeholder = f"that was not “{self._word}”: nothing was done"
            return False
        self.dismiss(typed or None)
        return True

    def action_no(self) -> None:
        self.dismiss(None)


class Read(ModalScreen[None]):
    """Something to read; any of Esc, Enter, q closes it."""

    CSS = _CSS.format(name="Read") + "\nRead #box { max-width: 110; }\n"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,enter,q,question_mark,i", "close", "close", show=False)]

    def __init__(self, lines: Sequence[Line]) -> None:
        super().__init__()
        self._lines = list(lines)

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            note = LongNote(self._lines)
            note.styles.height = max(1, len(self._lines))
            yield note

    def on_resize(self) -> None:
        self.query_one(LongNote).styles.max_height = max(1, self.size.height - 2)  # the border

    def on_mount(self) -> None:
        self.query_one(LongNote).focus()

    def action_close(self) -> None:
        self.dismiss(None)
