"""Running commands with a deadline, and waiting for a condition with a deadline."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path


class LabError(Exception):
    """The lab cannot do what was asked; the message says what to do about it."""


class NotPermitted(LabError):
    """Something is missing that only the machine's owner can provide."""


def lab_root() -> Path:
    """Where project directories live: outside the checkout, as on a real host."""
    return Path(os.environ.get("SEVDECK_LAB_DIR", "/tmp/sevdeck-lab"))


def run(
    command: Sequence[str],
    *,
    timeout: float = 60,
    check: bool = True,
    stdin: str | None = None,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command; a failure carries the end of what the command said."""
    try:
        done = subprocess.run(
            list(command),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise LabError(f"no answer within {timeout:g} s: {' '.join(command)}") from error
    except FileNotFoundError as error:
        raise NotPermitted(f"missing command: {command[0]}") from error
    if check and done.returncode:
        said = (done.stderr or done.stdout).strip()[-1500:]
        raise LabError(f"{' '.join(command)}: exit {done.returncode}\n{said}")
    return done


def wait_until(condition: Callable[[], bool], what: str, *, deadline: float, every: float = 0.1) -> float:
    """Poll until the condition holds; seconds it took. Never a fixed sleep."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > deadline:
            raise LabError(f"not within {deadline:g} s: {what}")
        time.sleep(every)
    return time.monotonic() - began
