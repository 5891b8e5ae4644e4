"""Every test runs in a world of its own: no home, settings, records or environment of whoever runs it."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from _pytest.terminal import TerminalReporter

from tests import scenarios

# COLUMNS and LINES: pytest-xdist sets the width of its own terminal, and consoles under test believe it.
_FOREIGN = ("SEVDECK_", "XDG_", "COMPOSE_", "PG", "DOCKER_", "COLUMNS", "LINES")
_TEST_SETTINGS = ("SEVDECK_LAB_", "SEVDECK_REQUIRE_", "SEVDECK_TEST_")
# These talk to an engine on purpose: the one its user's Docker settings name, with the plugins found there.
# Engine tests with stacks that are theirs alone; all others share the one lab of a run.
_OF_THEIR_OWN = {"test_failure_modes.py", "test_killed.py", "test_systemd.py", "test_whole_volume.py"}
_WITH_ENGINE = {"engine", "faults", "pty", "bench", "lab"}


def pytest_configure() -> None:
    """A shell's background job ignores SIGINT, and all it starts would: programs under test are to hear it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    scenarios.mark(items)


@pytest.hookimpl(optionalhook=True)  # without pytest-xdist nothing runs side by side
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Where tests run side by side, those that share a stack, a server or a terminal's patience have one worker."""
    import xdist.scheduler

    scheduler: Any = xdist.scheduler.LoadScopeScheduling(config, log)
    scheduler._split_scope = lambda nodeid: _shared(nodeid) or nodeid
    return scheduler


def _shared(nodeid: str) -> str:
    """What a test shares with others; "" when nothing."""
    path = Path(nodeid.partition("::")[0])
    if "engine" in path.parts:
        return "small stacks" if path.name in _OF_THEIR_OWN else "lab"
    return next((room for room in ("postgres", "pty") if room in path.parts), "")


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """One table of all scenarios that ran, whichever files they are in."""
    reports = [r for kind in terminalreporter.stats.values() for r in kind if isinstance(r, pytest.TestReport)]
    found = scenarios.rows(sorted(reports, key=lambda report: report.start))
    if found:
        terminalreporter.section(f"{len(found)} scenarios")
        for line in scenarios.table(found):
            terminalreporter.write_line(line)


@pytest.fixture(autouse=True)
def own_world(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A home directory for this test alone. Returns it; records go to `data` in it."""
    home = tmp_path_factory.mktemp("home")
    with_engine = bool(_WITH_ENGINE & set(request.path.parts))
    docker_config = os.environ.get("DOCKER_CONFIG") or str(Path("~/.docker").expanduser())
    for name in list(os.environ):
        if with_engine and name.startswith("DOCKER_"):
            continue
        if name.startswith(_FOREIGN) and not name.startswith(_TEST_SETTINGS):
            monkeypatch.delenv(name)
    for kind in ("data", "config", "runtime"):
        (home / kind).mkdir(mode=0o700)
    if with_engine:
        monkeypatch.setenv("DOCKER_CONFIG", docker_config)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "share"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(home / "runtime"))
    monkeypatch.setenv("SEVDECK_DATA_DIR", str(home / "data"))
    return home
