"""A disk that fills up under a console on a terminal: it says so, and how much can be recorded all the same."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from tests.faults.needs import need
from tests.faults.test_console_hung_disk import note
from tests.pty.terminal import Terminal
from tests.pty.test_console import declare, env

__all__ = ["env"]  # the fixture

_DISK = "/mnt"  # in a namespace of its own: elsewhere nothing is mounted there
_MOUNT = f'mount -t tmpfs -o size=8m none {_DISK} && exec "$0" "$@"'


def test_it_is_said_and_how_much_can_still_be_recorded(env: dict[str, str], tmp_path: Path) -> None:
    need("unshare", root=True)
    env["SEVDECK_DATA_DIR"] = f"{_DISK}/data"
    console = [sys.executable, "-m", "console"]
    with Terminal(["unshare", "-m", "sh", "-c", _MOUNT, *console], env=env, cwd=tmp_path) as terminal:
        terminal.wait_for(r"cpu .* load")
        declare(terminal, "The disk fills up")
        terminal.wait_for("readings frozen")
        inside = Path(f"/proc/{terminal.process.pid}/root{_DISK}")
        with (inside / "hog").open("wb", buffering=0) as hog, contextlib.suppress(OSError):
            while True:
                hog.write(bytes(os.sysconf("SC_PAGE_SIZE")))
        terminal.wait_for(rf"DISK FULL on {_DISK}: still recording, room for ~2,[456]\d\d entries")
        note(terminal, "written on a full disk")
        terminal.wait_for("●.*written on a full disk")
        (inside / "hog").unlink()
        terminal.wait_until(lambda text: "DISK FULL" not in text, "there is room again")
