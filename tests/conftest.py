"""Every test runs in a world of its own: no home, settings, records or environment of whoever runs it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_FOREIGN = ("SEVDECK_", "XDG_", "DOCKER_", "COMPOSE_", "PG")


@pytest.fixture(autouse=True)
def own_world(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory for this test alone. Returns it; its parts are `data`, `config` and `runtime`."""
    home = tmp_path_factory.mktemp("home")
    # A private engine that a lab has started for the tests is no setting of the developer's.
    kept = {"DOCKER_HOST", "DOCKER_CONFIG"} if os.environ.get("SEVDECK_TEST_ENGINE") else set()
    for name in list(os.environ):
        if name.startswith(_FOREIGN) and not name.startswith("SEVDECK_TEST_") and name not in kept:
            monkeypatch.delenv(name)
    for kind in ("data", "config", "runtime"):
        (home / kind).mkdir(mode=0o700)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "share"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(home / "runtime"))
    monkeypatch.setenv("SEVDECK_DATA_DIR", str(home / "data"))
    return home
