"""Screens are tested in UTC and on a terminal that draws our marks, wherever the tests run."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from textual import _wait

from widgets.lines import LinePane


@pytest.fixture(autouse=True)
def same_everywhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as changed:
        changed.setenv("TZ", "UTC")
        changed.setattr(LinePane, "plain", False)
        # After each key a pilot sleeps twice as long, and longer while a thread works: most of the time of these tests.
        changed.setattr(_wait, "SLEEP_GRANULARITY", 0.008)
        time.tzset()
        yield
    time.tzset()
