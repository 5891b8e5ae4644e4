"""The console's log screen alone, for measuring: `python -m tests.bench.log_console [--compact] FILE...`."""

from __future__ import annotations

import sys
from pathlib import Path

from textual.app import App, ComposeResult

from console.config import LogConfig
from console.watch.logs import LogHub
from widgets.log_view import LogView


class LogConsole(App[None]):
    """One log view and nothing else."""

    CSS = "LogView.-compact { width: 72; height: 12; }"
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, hub: LogHub, *, compact: bool) -> None:
        super().__init__()
        self._hub = hub
        self._compact = compact

    def compose(self) -> ComposeResult:
        yield LogView(self._hub, compact=self._compact, classes="-compact" if self._compact else None)


def main() -> None:
    paths = [arg for arg in sys.argv[1:] if not arg.startswith("--")]
    hub = LogHub([LogConfig(Path(path).stem, path=path) for path in paths])
    hub.start()
    LogConsole(hub, compact="--compact" in sys.argv).run()
    hub.close()


if __name__ == "__main__":
    main()
