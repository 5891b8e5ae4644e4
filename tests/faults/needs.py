"""What a fault test needs of its machine: without it the test is skipped and says why, or fails where it is required."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest

_REQUIRED = "SEVDECK_REQUIRE_ENGINE"


def without(reason: str) -> NoReturn:
    """Skip, or fail where everything is required."""
    if os.environ.get(_REQUIRED) == "1":
        pytest.fail(f"{reason}, and {_REQUIRED}=1", pytrace=False)
    pytest.skip(reason)


def need(*programs: str, root: bool = False) -> None:
    """These programs on PATH, and root if it must be."""
    if root and os.geteuid() != 0:
        without("this needs root")
    missing = [program for program in programs if not shutil.which(program)]
    if missing:
        without(f"missing: {', '.join(missing)}")
