"""The program's own log in a process that lives for months: few messages an hour, and never a large file."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from pathlib import Path

AN_HOUR = 20  # messages; a fault that repeats each second would else fill a disk in a week
LIMIT = 2_000_000  # bytes; then one older file is kept


class Sparse(logging.Filter):
    """For a file's handler: lets the first messages of each hour through, and begins a new file when one is large."""

    def __init__(self, handler: logging.FileHandler, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._handler, self._clock = handler, clock
        self._began, self._passed = clock(), 0

    def filter(self, record: logging.LogRecord) -> bool:
        now = self._clock()
        if now - self._began >= 3600:
            self._began, self._passed = now, 0
            self._begin_anew_if_large()
        self._passed += 1
        return self._passed <= AN_HOUR

    def _begin_anew_if_large(self) -> None:
        path = Path(self._handler.baseFilename)
        with contextlib.suppress(OSError):
            if path.stat().st_size > LIMIT:
                self._handler.close()  # it opens the file again by itself
                path.replace(path.with_name(f"{path.name}.1"))


def keep_small() -> None:
    """Limit every file that messages go to."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.FileHandler):
            handler.addFilter(Sparse(handler))
