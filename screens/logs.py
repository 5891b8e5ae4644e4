"""All logs on the whole screen, and one line of them whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.reactive import var
from textual.screen import ModalScreen

from console.watch.logs import LogHub, LogRecord, LogStats, whole_line
from console.watch.readings import Readings
from screens.base import ConsoleScreen, bindings
from widgets.lines import Line, Span, line
from widgets.log_lines import LEVEL_WORD, moment_of, split_columns
from widgets.log_view import LogView
from widgets.note import Note


class LogsScreen(ConsoleScreen):
    """The logs, full screen. `source` is the one to begin with; "" shows all."""

    NAME = "logs"
    BINDINGS: ClassVar[list[BindingType]] = bindings("logs")
    AUTO_FOCUS = "#log"

    logs: var[LogStats | None] = var(None)

    def __init__(self, hub: LogHub, *, source: str = "") -> None:
        super().__init__()
        self._hub = hub
        self._source = source

    def content(self) -> ComposeResult:
        yield LogView(self._hub, source=self._source, id="log").data_bind(stats=LogsScreen.logs)

    def watch_readings(self, readings: Readings) -> None:
        self.logs = readings.logs.value

    async def action_command(self, command: str) -> None:
        """Commands of the log go to the view, wherever the focus is."""
        if command.startswith("log."):
            self.query_one(LogView).action_log(command.removeprefix("log."))
        else:
            await super().action_command(command)

    def on_log_view_line_opened(self, message: LogView.LineOpened) -> None:
        message.stop()
        self.app.push_screen(LineScreen(message.record))


class LineScreen(ModalScreen[None]):
    """One log line whole: when, level, source, then all of it, wrapped, secrets masked."""

    CSS = """
    LineScreen { align: center middle; }
    LineScreen #box {
        width: 100%; max-width: 140; height: auto; max-height: 100%; padding: 0 1;
        border: round $accent; background: $surface;
    }
    LineScreen Note { width: 100%; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q", "close", "close", show=False),
        Binding("y", "copy", "copy", show=False),
    ]

    def __init__(self, record: LogRecord) -> None:
        super().__init__()
        self._record = record
        self._text = whole_line(record)

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            yield Note(id="text")
            keys = Note([line(Span("↑↓", "key"), Span(" scroll  ", "dim"), *_KEYS)], id="keys")
            keys.styles.height = 1
            keys.can_focus = False
            yield keys

    def on_mount(self) -> None:
        self._lay_out()
        self.query_one("#text", Note).focus()

    def on_resize(self) -> None:
        self._lay_out()

    def _lay_out(self) -> None:
        width = max(20, min(self.app.size.width, 140) - 4)
        lines = list(self._lines(width))
        note = self.query_one("#text", Note)
        note.lines = lines
        note.styles.height = max(1, min(len(lines), self.app.size.height - 3))

    def _lines(self, width: int) -> Sequence[Line]:
        record = self._record
        level = record.level or "no level"
        head = line(
            Span(moment_of(record), "strong"), Span(f"  {LEVEL_WORD.get(level, '')} {level}  {record.source}", "dim")
        )
        body = [line(part) for text in self._text.split("\n") for part in split_columns(text, width)]
        return [head, line(), *body]

    def action_close(self) -> None:
        self.dismiss(None)

    def action_copy(self) -> None:
        self.app.copy_to_clipboard(self._text)
        self.notify("Copied, if the terminal allows it.", markup=False)


_KEYS = (Span("y", "key"), Span(" copy  ", "dim"), Span("Esc", "key"), Span(" closes", "dim"))
