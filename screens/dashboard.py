"""The dashboard: host, containers, business and logs at a glance; one pane at a time on a small terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container as Box
from textual.reactive import var

from console.watch.source import Reading
from screens.base import ConsoleScreen, bindings
from widgets.bars import KeyBar
from widgets.business_pane import BusinessPane
from widgets.containers_pane import ContainersPane
from widgets.host_pane import HostPane
from widgets.log_view import LogView

if TYPE_CHECKING:
    from console.config import Limits
    from console.watch.containers import ContainersReading
    from console.watch.host import HostReading
    from console.watch.logs import LogHub, LogStats
    from console.watch.metrics import MetricsReading
    from console.watch.probes import ProbesReading
    from console.watch.readings import Readings
    from widgets.prompt import Prompt

PANES = ("host", "containers", "business", "logs")


class Dashboard(ConsoleScreen):
    """The first screen."""

    NAME = "dashboard"
    BINDINGS: ClassVar[list[BindingType]] = bindings("dashboard")
    AUTO_FOCUS = "#containers"
    # Not CSS: that of a default screen is never loaded.
    DEFAULT_CSS = """
    Dashboard #grid { layout: grid; grid-size: 2; grid-columns: 5fr 6fr; grid-rows: 3fr 2fr; grid-gutter: 0 1; }
    Dashboard.-zoom #grid, Dashboard.-narrow #grid, Dashboard.-short #grid {
        layout: vertical;
    }
    Dashboard.-zoom #grid > *, Dashboard.-narrow #grid > *, Dashboard.-short #grid > * { display: none; }
    Dashboard.-zoom #grid > .-front, Dashboard.-narrow #grid > .-front, Dashboard.-short #grid > .-front {
        display: block;
    }
    Dashboard #grid { height: 1fr; }
    Dashboard #filter { display: none; }
    Dashboard #filter.-open { display: block; }
    """

    host: var[Reading[HostReading]] = var(Reading())
    containers: var[Reading[ContainersReading]] = var(Reading())
    probes: var[Reading[ProbesReading]] = var(Reading())
    metrics: var[Reading[MetricsReading]] = var(Reading())
    logs: var[LogStats | None] = var(None)
    front: var[str] = var("containers")
    every: var[float] = var(1.0)  # seconds between repaints of the log pane; infinite while the console is paused
    still: var[bool] = var(False)

    def __init__(self, thresholds: Mapping[str, Limits], hub: LogHub, project: str = "") -> None:
        super().__init__()
        self._project = project  # the configured Compose project, whose containers come first
        self._thresholds = thresholds
        self._filter: Prompt | None = None
        self._hub = hub

    def content(self) -> ComposeResult:
        with Box(id="grid"):
            yield HostPane(self._thresholds, id="host").data_bind(
                Dashboard.now, Dashboard.still, reading=Dashboard.host
            )
            front = ContainersPane(project=self._project, id="containers", classes="-front")
            yield front.data_bind(Dashboard.now, Dashboard.still, reading=Dashboard.containers)
            business = BusinessPane(id="business")
            yield business.data_bind(Dashboard.now, Dashboard.still, Dashboard.probes, reading=Dashboard.metrics)
            yield LogView(self._hub, compact=True, id="logs").data_bind(Dashboard.every, stats=Dashboard.logs)

    def watch_readings(self, readings: Readings) -> None:
        self.host = readings.host
        # What says the same as before costs no redraw; the panes show no time of reading.
        if not readings.containers.same_as(self.containers):
            self.containers = readings.containers
        if not readings.probes.same_as(self.probes):
            self.probes = readings.probes
        if not readings.metrics.same_as(self.metrics):
            self.metrics = readings.metrics
        self.logs = readings.logs.value

    def watch_every(self) -> None:
        self.still = math.isinf(self.every)

    def on_descendant_focus(self) -> None:
        if self.focused is not None and self.focused.id in PANES:
            self._to_front(self.focused.id)

    def _to_front(self, pane: str) -> None:
        if pane == self.front:
            return
        self.front = pane
        for name in PANES:
            self.query_one(f"#{name}").set_class(name == pane, "-front")

    def _go(self, pane: str) -> None:
        # A hidden widget cannot take the focus, so it comes to the front first; one that is visible takes it at
        # once, so that keys typed ahead reach it.
        self._to_front(pane)
        widget = self.query_one(f"#{pane}")
        if widget.focusable:
            self.set_focus(widget)
        else:
            widget.focus()

    def do_pane_host(self) -> None:
        self._go("host")

    def do_pane_containers(self) -> None:
        self._go("containers")

    def do_pane_business(self) -> None:
        self._go("business")

    def do_pane_logs(self) -> None:
        self._go("logs")

    def on_log_view_line_opened(self, message: LogView.LineOpened) -> None:
        from screens.logs import LineScreen

        message.stop()
        self.app.push_screen(LineScreen(message.record))

    def do_pane_zoom(self) -> None:
        self.toggle_class("-zoom")

    def do_list_sort(self) -> None:
        self.query_one(ContainersPane).next_sort()

    def do_list_open(self) -> None:
        self.query_one(ContainersPane).open_selected()

    async def do_list_filter(self) -> None:
        self._go("containers")
        box = self._filter or await self._make_filter()
        box.add_class("-open")
        box.value = self.query_one(ContainersPane).needle
        box.focus()

    async def _make_filter(self) -> Prompt:
        """Made when it is first asked for: the first frame is earlier without it."""
        from widgets.prompt import Prompt

        words = "show only rows that contain …  Enter keeps, Esc clears"
        self._filter = Prompt(self._filtered, placeholder=words, id="filter")
        await self.mount(self._filter, before=self.query_one(KeyBar))
        return self._filter

    def do_app_back(self) -> None:
        box = self._filter
        if box is not None and box.has_class("-open"):
            box.value = ""
            self._close_filter()
        elif self.query_one(ContainersPane).needle:
            self.query_one(ContainersPane).needle = ""
        else:
            self.remove_class("-zoom")

    def _close_filter(self) -> None:
        self.query_one("#filter").remove_class("-open")
        self._go("containers")

    def on_input_changed(self, event: Prompt.Changed) -> None:
        self.query_one(ContainersPane).needle = event.value

    def _filtered(self, needle: str) -> bool:
        self._close_filter()
        return True
