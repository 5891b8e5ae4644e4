"""What every full screen shares: the three bars, keys from the command table, and what the application shows it.

The application sets the vars of the screen in front; the screen binds them down to its widgets. A command of
the table arrives as `do_<id>` with dots as underscores.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.reactive import var
from textual.screen import Screen

from console.commands import footer, on_screen
from console.incident.durability import Standing
from console.watch.readings import Readings
from widgets.bars import FindingBar, KeyBar
from widgets.cells import CellsCompositor
from widgets.containment_bar import ContainmentBar
from widgets.incident_bar import IncidentBar

if TYPE_CHECKING:
    from console.actions.containment.reminder import Contained
    from console.checks.check import Finding
    from console.incident.records import Incident


def bindings(screen: str) -> list[BindingType]:
    """The screen's bindings, each with the command's id so that a person can remap it."""
    return [
        Binding(c.key, f"command('{c.id}')", c.label, id=c.id, show=False, tooltip=c.help) for c in on_screen(screen)
    ]


class ConsoleScreen(Screen[None]):
    """A full screen of the console."""

    NAME: ClassVar[str] = "dashboard"
    AUTO_FOCUS = ""

    readings: var[Readings] = var(Readings())
    findings: var[Sequence[Finding] | None] = var(None)
    incident: var[Incident | None] = var(None)
    unsaved: var[str] = var("")
    standing: var[Standing] = var(Standing())  # how far the incident's record is safe
    now: var[float] = var(0.0)
    contained: var[Sequence[Contained]] = var(())  # measures of the containment ledger that may be in force

    def __init__(self) -> None:
        super().__init__()
        self._compositor = CellsCompositor()
        self.HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]
        self.VERTICAL_BREAKPOINTS = [(0, "-short"), (30, "-tall")]

    class Asked(Message):
        """A person asked for something that the application does, by command id."""

        def __init__(self, command: str, subject: str = "") -> None:
            super().__init__()
            self.command = command
            self.subject = subject

    def content(self) -> ComposeResult:
        """The widgets between the bars and the footer."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        yield IncidentBar().data_bind(
            ConsoleScreen.incident, ConsoleScreen.unsaved, ConsoleScreen.standing, ConsoleScreen.now
        )
        yield ContainmentBar().data_bind(ConsoleScreen.contained, ConsoleScreen.now)
        yield FindingBar().data_bind(ConsoleScreen.findings)
        yield from self.content()
        yield KeyBar(footer(self.NAME))

    async def action_command(self, command: str) -> None:
        """Do a command of the table: here when the screen knows it, otherwise ask the application."""
        handler = getattr(self, "do_" + command.replace(".", "_"), None)
        if handler is None:
            self.post_message(self.Asked(command))
            return
        answer = handler()
        if inspect.isawaitable(answer):
            await answer
