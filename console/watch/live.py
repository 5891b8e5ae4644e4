"""The live sources of one configuration, made together: what a console, a snapshot or a monitor reads."""

from __future__ import annotations

from typing import Any

from console.config import Config
from console.watch.containers import ContainersSource
from console.watch.host import HostSource
from console.watch.logs import LogHub, LogsSource
from console.watch.metrics import HubLines, MetricsSource
from console.watch.probes import ProbesSource
from console.watch.source import Reading, Source


class LiveSources:
    """All sources, unread. `containers` and `hub` are named because screens ask them for details."""

    def __init__(self, config: Config) -> None:
        self._project = config.docker.project
        self.hub = LogHub(config.logs, config.docker)
        self.containers = ContainersSource(config.docker)
        self.sources: tuple[Source[Any], ...] = (
            HostSource(),
            self.containers,
            ProbesSource(config.probes),
            MetricsSource(config.metrics, config.database, HubLines(self.hub)),
            LogsSource(self.hub),
        )

    def heard(self, name: str, reading: Reading[Any]) -> None:
        """Give it each reading: the logs follow the containers, those of the configured project where there is one."""
        if name == "containers" and reading.value is not None and reading.fault is None:
            shown = reading.value.containers
            if self._project:
                shown = tuple(one for one in shown if one.project == self._project)
            self.hub.set_containers(shown)
