"""The live sources of one configuration, made together: what a console, a snapshot or a monitor reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from console.config import Config

if TYPE_CHECKING:
    from console.watch.source import Reading, Source


class LiveSources:
    """All sources, unread. `containers` and `hub` are named because screens ask them for details.

    `begin` starts the first look at containers and host at once, in their threads, before there is an event loop.
    `recall`: containers tell of the last two minutes at once. `records`: the directory that keeps what is learnt of
    the logs.
    """

    def __init__(
        self, config: Config, *, begin: bool = False, recall: bool = False, records: Path | None = None
    ) -> None:
        # Containers and host take longest to answer: what asks them is imported and begun before the rest.
        from console.watch.containers import ContainersSource

        self._project = config.docker.project
        self.containers = ContainersSource(config.docker, recall=recall)
        if begin:
            self.containers.begin()
        from console.watch.host import HostSource

        host = HostSource()
        if begin:
            host.begin()
        from console.watch.logs import LogHub, LogsSource
        from console.watch.metrics import HubLines, MetricsSource
        from console.watch.mining.live import LogPatterns
        from console.watch.probes import ProbesSource

        self.hub = LogHub(config.logs, config.docker, patterns=LogPatterns(records))
        self.sources: tuple[Source[Any], ...] = (
            host,
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
