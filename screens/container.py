"""One container in full: what it is, its processes, its recent events, its last log lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.reactive import var

from screens.base import ConsoleScreen, bindings
from widgets.format import time_text
from widgets.lines import Line, Span, fit, line
from widgets.note import Note

if TYPE_CHECKING:
    from console.watch.container_records import ContainerDetail
    from console.watch.containers import Container, ContainersSource


def detail_lines(detail: ContainerDetail, width: int) -> list[Line]:
    """The parts one below the other; a part that could not be read says why."""
    lines: list[Line] = []

    def part(title: str, error: str) -> None:
        lines.append(line(Span("── ", "title"), Span(title, "strong"), Span(f"  {error}" if error else "", "warn")))

    part(detail.name, detail.summary_error)
    last = ""
    for key, value in detail.summary:
        lines.append(line(Span(fit("" if key == last else key, 16), "dim"), value))
        last = key
    part("Processes", detail.processes_error)
    if detail.processes:
        table = [detail.process_titles, *detail.processes]
        widths = [min(30, max(len(row[i]) for row in table if i < len(row))) for i in range(len(detail.process_titles))]
        for number, row in enumerate(table):
            text = " ".join(
                fit(cell, w) if i < len(row) - 1 else cell for i, (cell, w) in enumerate(zip(row, widths, strict=False))
            )
            lines.append(line(Span(text, "dim" if number == 0 else "")))
    part("Events since this console looks", "" if detail.events else "none")
    lines += [line(Span(f"{time_text(e.at)} ", "dim"), f"{e.action} {e.detail}") for e in detail.events[-20:]]
    part("Last log lines", detail.logs_error)
    for entry in detail.logs:
        at = time_text(entry.at) if entry.at is not None else ""
        lines.append(line(Span(f"{at} ", "dim"), Span(entry.text, "warn" if entry.stream == "stderr" else "")))
    return lines


class ContainerScreen(ConsoleScreen):
    """Details of one container, read on opening and on `r`."""

    NAME = "container"
    BINDINGS: ClassVar[list[BindingType]] = bindings("container")

    detail: var[ContainerDetail | None] = var(None)

    def __init__(self, source: ContainersSource, container: Container) -> None:
        super().__init__()
        self._source = source
        self._container = container

    def content(self) -> ComposeResult:
        yield Note([line(Span(f"asking the engine about {self._container.name} …", "dim"))])

    def on_mount(self) -> None:
        self.query_one(Note).focus()
        self.do_container_refresh()

    @work(group="detail", exclusive=True)
    async def do_container_refresh(self) -> None:
        self.detail = await self._source.describe(self._container.id)

    def watch_detail(self) -> None:
        if self.detail is not None and self.is_mounted:
            self.query_one(Note).lines = tuple(detail_lines(self.detail, self.size.width))

    def do_container_logs(self) -> None:
        self.post_message(self.Asked("logs.open", self._container.label))

    def do_container_restart(self) -> None:
        self.post_message(self.Asked("recovery.open", self._container.label))
