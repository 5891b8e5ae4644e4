"""One line of text that is typed.

Enter is taken the moment its key arrives. With Textual's own `Submitted`, keys typed right behind it would still
land in the text, because the message travels while they do.
"""

from __future__ import annotations

from collections.abc import Callable

from textual.events import Key
from textual.widgets import Input

from widgets.lines import ASCII_MARKS, LinePane


class Prompt(Input):
    """Calls `enter` with the stripped text; when that answers True, further keys are for what comes next."""

    DEFAULT_CSS = """
    Prompt { border: none; height: 1; padding: 0; background: $panel; }
    """

    def __init__(
        self, enter: Callable[[str], bool], value: str = "", placeholder: str = "", id: str | None = None
    ) -> None:
        super().__init__(value, placeholder, compact=True, id=id)
        self.cursor_blink = False
        self._enter = enter
        self._left = False

    def watch_placeholder(self, placeholder: str) -> None:
        """Drawn by Textual, not by a line pane: it is translated here for a terminal that draws ASCII only."""
        if LinePane.plain:
            self.placeholder = placeholder.translate(ASCII_MARKS)

    def on_focus(self) -> None:
        self._left = False

    async def _on_key(self, event: Key) -> None:
        if self._left:
            event.prevent_default()
            return
        if event.key == "enter":
            event.stop()
            event.prevent_default()
            self._left = self._enter(self.value.strip())
            return
        await super()._on_key(event)
