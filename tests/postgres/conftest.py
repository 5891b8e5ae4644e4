"""One private PostgreSQL for all of these tests, and what they do where something is not installed."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.postgres.cluster import AbsentError, Server, private_server

__all__ = ["Server", "absent", "postgres"]

_REQUIRED = "SEVDECK_REQUIRE_ENGINE"  # in CI a skipped engine test is a failure


def absent(reason: str) -> None:
    """Skip, or fail where the real thing is required."""
    if os.environ.get(_REQUIRED) == "1":
        pytest.fail(f"{reason}, and {_REQUIRED}=1", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    try:
        with private_server() as server:
            yield server
    except AbsentError as error:
        absent(str(error))
