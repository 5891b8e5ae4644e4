"""A unit's messages from a real journald: the host's own, or one that is started for the test where there is none."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pty.test_console import OBEYED, env, open_console

__all__ = ["env"]

SOCKET = Path("/run/systemd/journal/socket")
DAEMON = Path("/lib/systemd/systemd-journald")


@pytest.fixture(scope="module")
def journald() -> Iterator[None]:
    """A journald that listens."""
    if not (shutil.which("journalctl") and shutil.which("logger")):
        pytest.skip("journalctl or logger is not installed")
    if listens():
        yield
        return
    if os.geteuid() != 0 or not DAEMON.exists():
        pytest.skip("no journald is running, and only root may start one")
    for needed in (SOCKET.parent, Path("/run/log/journal")):
        needed.mkdir(parents=True, exist_ok=True)
    SOCKET.unlink(missing_ok=True)
    with subprocess.Popen([DAEMON], stderr=subprocess.DEVNULL) as daemon:
        try:
            deadline = time.monotonic() + 10
            while not listens() and time.monotonic() < deadline:
                time.sleep(0.02)
            yield
        finally:
            daemon.terminate()


def listens() -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asked:
        try:
            asked.connect(str(SOCKET))
        except OSError:
            return False
        return True


def say(unit: str, priority: int, message: bytes) -> None:
    """One message of this unit. Only journald's own words name the sender, so root says whom it speaks of."""
    fields = [b"MESSAGE=" + message, b"PRIORITY=%d" % priority, b"OBJECT_SYSTEMD_UNIT=%s.service" % unit.encode()]
    subprocess.run(["logger", "--journald"], input=b"\n".join(fields) + b"\n", check=True, timeout=5)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may speak for a unit")
def test_messages_of_a_unit_come_with_their_level_and_nothing_that_a_terminal_obeys(
    journald: None, env: dict[str, str]
) -> None:
    unit = f"sevdeck-{os.getpid()}"
    say(unit, 6, b"before the console looked")
    with open_console(env, config=f'[[logs]]\nname = "shopd"\nunit = "{unit}"\n') as terminal:
        terminal.wait_for("before the console looked")
        say(unit, 3, b"payment \x1b]0;owned\x07refused")
        terminal.wait_for(r"ERR payment .*refused")
        subprocess.run(["journalctl", "--rotate"], check=True, timeout=20)
        say(unit, 4, b"after the rotation")
        terminal.wait_for(r"WRN after the rotation")
        assert not OBEYED.search(bytes(terminal.raw))
