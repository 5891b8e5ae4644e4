"""The live sources of one configuration, made together: what a console, a snapshot or a monitor reads."""

from __future__ import annotations

from typing import Any

from console.config import Config
from console.watch.containers import ContainersSource
from console.watch.host import HostSource
from console.watch.logs import LogHub, LogsSource
from console.watch.metrics import HubLines, MetricsSource
from console.watch.probes import ProbesSource
from console.watch.source import Source


class LiveSources:
    """All sources, unread. `containers` and `hub` are named because screens ask them for details."""

    def __init__(self, config: Config) -> None:
        self.hub = LogHub(config.logs, config.docker)
        self.containers = ContainersSource(config.docker)
        self.sources: tuple[Source[Any], ...] = (
            HostSource(),
            self.containers,
            ProbesSource(config.probes),
            MetricsSource(config.metrics, config.database, HubLines(self.hub)),
            LogsSource(self.hub),
        )
