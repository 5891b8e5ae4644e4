"""All logs on the whole screen, and one line of them whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container as Box
from textual.containers import Vertical
from textual.reactive import var
from textual.screen import ModalScreen

from console.errors import SevdeckError
from console.guide.reveal import REVEALED, may_not, place, recorded_in, write_down
from console.redact import MASK
from console.watch.logread import bare_line
from console.watch.logs import LogHub, LogRecord, LogStats, whole_line
from console.watch.readings import Readings
from screens.base import ConsoleScreen, bindings
from screens.dialogs import Confirm
from widgets.lines import Line, Span, line
from widgets.log_lines import LEVEL_WORD, moment_of, split_columns
from widgets.log_pattern import PatternList
from widgets.log_view import LogView
from widgets.note import Note
from widgets.pane import wrap

if TYPE_CHECKING:
    from screens.seat import Seat


_BESIDE = 110  # columns from which the patterns are shown without being asked for


class LogsScreen(ConsoleScreen):
    """The logs, full screen. `source` is the one to begin with; "" shows all."""

    NAME = "logs"
    BINDINGS: ClassVar[list[BindingType]] = bindings("logs")
    AUTO_FOCUS = "#log"

    logs: var[LogStats | None] = var(None)
    CSS = """
    LogsScreen #both { height: 1fr; layout: vertical; }
    LogsScreen.-wide #both { layout: horizontal; }
    LogsScreen LogView { height: 1fr; width: 1fr; }
    LogsScreen PatternList { display: none; height: 8; width: 100%; }
    LogsScreen.-wide PatternList { height: 1fr; width: 45; }
    LogsScreen.-patterns PatternList { display: block; }
    """

    def __init__(self, hub: LogHub, *, source: str = "", seat: Seat | None = None) -> None:
        super().__init__()
        self._hub = hub
        self._source = source
        self._seat = seat

    def content(self) -> ComposeResult:
        with Box(id="both"):
            yield LogView(self._hub, source=self._source, id="log").data_bind(stats=LogsScreen.logs)
            yield PatternList(id="patterns").data_bind(stats=LogsScreen.logs)

    def on_mount(self) -> None:
        self.set_class(self.size.width >= _BESIDE, "-patterns")

    def watch_readings(self, readings: Readings) -> None:
        self.logs = readings.logs.value

    async def action_command(self, command: str) -> None:
        """Commands of the log go to the view, wherever the focus is."""
        listed = self.query_one(PatternList)
        if command == "log.patterns":
            self.toggle_class("-patterns")
            (listed if self.has_class("-patterns") else self.query_one(LogView)).focus()
        elif command == "log.only" and listed.has_focus and listed.pattern is not None:
            view = self.query_one(LogView)
            view.pattern = "" if view.pattern else listed.pattern.id
        elif command.startswith("log."):
            self.query_one(LogView).action_log(command.removeprefix("log."))
        else:
            await super().action_command(command)

    def on_pattern_list_chosen(self, message: PatternList.Chosen) -> None:
        message.stop()
        self.query_one(LogView).go_to_pattern(message.id)

    def on_log_view_state_changed(self) -> None:
        view, listed = self.query_one(LogView), self.query_one(PatternList)
        listed.source, listed.only = view.source, view.pattern
        if view.pattern and listed.place_of(view.pattern) is not None:
            listed.selected = view.pattern

    def on_log_view_line_opened(self, message: LogView.LineOpened) -> None:
        message.stop()
        self.app.push_screen(LineScreen(message.record))

    @work(group="reveal", exclusive=True)
    async def on_log_view_reveal_asked(self, message: LogView.RevealAsked) -> None:
        """Show the line with its secrets: after a yes, and only once that is written down."""
        message.stop()
        record, seat = message.record, self._seat
        refused = "this console has no record to write it to" if seat is None else may_not(seat.config, seat.actor)
        if MASK not in whole_line(record):
            self.notify("Nothing is masked in this line.", markup=False)
            return
        if refused or seat is None:
            self.notify(f"Not shown: {refused}.", severity="warning", timeout=10, markup=False)
            return
        where = "in the incident" if recorded_in(seat.desk) else f"in {place(seat.data_dir)}"
        asked = (
            f"Show this line of {record.source} with its secrets for {REVEALED:.0f} seconds?",
            f"Who looked, when and at which line is written down {where}; what it says is not.",
        )
        lines = [line(Span(part)) for text in asked for part in wrap(text, max(20, min(self.size.width, 100) - 6))]
        if await self.app.push_screen_wait(Confirm(lines, key="u", does="show it")) is None:
            return
        try:
            await write_down(seat.desk, seat.data_dir, seat.actor, record, seat.engine)
        except SevdeckError as error:
            self.notify(f"Not shown: {error}", severity="error", timeout=15, markup=False)
            return
        self.app.push_screen(RevealedScreen(record))


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


class RevealedScreen(LineScreen):
    """The same with its secrets. It closes by itself, and gives nothing to the clipboard."""

    CSS = LineScreen.CSS.replace("LineScreen", "RevealedScreen").replace("$accent", "$warning")

    def __init__(self, record: LogRecord, seconds: float = REVEALED) -> None:
        super().__init__(record)
        self._text = bare_line(record)
        self._seconds = seconds

    def on_mount(self) -> None:
        super().on_mount()
        self.set_timer(self._seconds, self._over)

    def _over(self) -> None:
        # Whatever was opened above it since: the text goes first, then the screen when it is in front.
        self._text = whole_line(self._record)
        self._lay_out()
        if self.is_current:
            self.dismiss(None)

    def action_copy(self) -> None:
        self.notify("What is shown unmasked is not copied.", markup=False)


_KEYS = (Span("y", "key"), Span(" copy  ", "dim"), Span("Esc", "key"), Span(" closes", "dim"))
