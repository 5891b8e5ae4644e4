"""A disk that does not answer, under a console on a terminal: keys do, and the screen says what is not saved.

The ext4 is frozen (FIFREEZE): whoever writes to it waits in the kernel and cannot be interrupted, as on a dying disk,
until it is thawed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.needs import need, without
from tests.faults.power_cut import image
from tests.pty.terminal import Terminal
from tests.pty.test_console import declare, env

__all__ = ["env"]  # the fixture

_FREEZE, _THAW = 0xC0045877, 0xC0045878  # FIFREEZE and FITHAW of linux/fs.h
_MOUNT = 'mount -o loop "$0" "$1" && shift && exec "$@"'
_ON_THE_LOOP = """
import sys
from console.watch.lane import QueueLane
async def call(self, fn, *args, deadline=None):
    return fn(*args)
QueueLane.call = call
from console.__main__ import main
sys.exit(main())
"""


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    need("mkfs.ext4", "unshare", root=True)
    if not Path("/dev/loop-control").exists():
        without("there are no loop devices")
    (tmp_path / "disk").mkdir()
    return image(tmp_path / "disk.img", "16M", "ext4")


@contextlib.contextmanager
def console(env: dict[str, str], disk: Path, *command: str) -> Iterator[Terminal]:
    """A console with the file system mounted for itself, and an incident declared."""
    at = disk.with_suffix("")
    env["SEVDECK_DATA_DIR"] = str(at / "data")
    argv = ["unshare", "-m", "sh", "-c", _MOUNT, str(disk), str(at), sys.executable, *command]
    with Terminal(argv, env=env, cwd=Path(env["HOME"])) as terminal:
        terminal.wait_for(r"cpu .* load")
        declare(terminal, "The disk hangs")
        terminal.wait_for("── Checklist")
        terminal.wait_for("●.*started playbook")  # what the declaration itself writes is on the disk
        yield terminal


@contextlib.contextmanager
def frozen(terminal: Terminal, disk: Path) -> Iterator[None]:
    """Nothing can be written inside; whoever tries waits until the end."""
    fd = os.open(f"/proc/{terminal.process.pid}/root{disk.with_suffix('')}", os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.ioctl(fd, _FREEZE, 0)
        try:
            yield
        finally:
            fcntl.ioctl(fd, _THAW, 0)
    finally:
        os.close(fd)


def hanging(terminal: Terminal) -> list[bool]:
    """For each thread that waits in the kernel and cannot be interrupted: is it the main one, which draws."""
    found = []
    for task in Path(f"/proc/{terminal.process.pid}/task").iterdir():
        with contextlib.suppress(OSError):
            state = (task / "stat").read_text().rpartition(")")[2].split()[0]
            if state == "D":
                found.append(int(task.name) == terminal.process.pid)
    return found


def note(terminal: Terminal, text: str) -> None:
    terminal.send("n")
    terminal.wait_for("what you saw, did, or think")
    terminal.send(text, "enter")


def test_keys_are_answered_while_the_disk_hangs_and_what_is_not_saved_is_said(env: dict[str, str], disk: Path) -> None:
    with console(env, disk, "-m", "console") as terminal:
        with frozen(terminal, disk):
            note(terminal, "written while it hangs")
            terminal.wait_for(r"1 entry NOT SAVED .*: the disk is slow")
            terminal.wait_for("○.*written while it hangs")
            assert set(hanging(terminal)) == {False}, "the disk does not hang, or it is the loop that waits for it"
            terminal.send("?")
            terminal.wait_for("Keys of the")
            terminal.send("esc")
            terminal.wait_until(lambda text: "Keys of the" not in text, "the help closed")
            note(terminal, "and another one")
            terminal.wait_for(r"2 entries NOT SAVED .*: the disk is slow")
            terminal.wait_for("○.*and another one")
            assert set(hanging(terminal)) == {False}
        terminal.wait_until(lambda text: "NOT SAVED" not in text, "all is saved")
        terminal.wait_for("●.*written while it hangs")
        terminal.wait_for("●.*and another one")


def test_a_disk_that_hangs_is_left_for_a_spare_place(env: dict[str, str], disk: Path, tmp_path: Path) -> None:
    env["XDG_RUNTIME_DIR"] = str(tmp_path / "run")
    (tmp_path / "run").mkdir()
    with console(env, disk, "-m", "console") as terminal:
        with frozen(terminal, disk):
            note(terminal, "written while it hangs")
            terminal.wait_for(r"1 entry NOT SAVED .*: the disk is slow")
            terminal.send("ctrl+w")
            terminal.wait_for("the disk does not answer: recording in")
            terminal.wait_for("●.*written while it hangs")
            note(terminal, "in the spare place")
            terminal.wait_for("●.*in the spare place")
            spare = "".join(path.read_text() for path in (tmp_path / "run").rglob("*.jsonl"))
            assert spare.index("written while it hangs") < spare.index("in the spare place")
        terminal.wait_until(lambda _: not hanging(terminal), "the disk answers")
        note(terminal, "after it has answered")
        terminal.wait_for("●.*after it has answered")
        assert terminal.text().count("written while it hangs") == 1, "it lies in two files and is one entry"


def test_a_console_that_writes_on_its_loop_would_not_answer(env: dict[str, str], disk: Path) -> None:
    """The control: its main thread waits in the kernel, where no key is read, until the disk is back."""
    with console(env, disk, "-c", _ON_THE_LOOP) as terminal:

        def loop_hangs() -> bool:
            return True in hanging(terminal)

        with frozen(terminal, disk):
            terminal.send("n")
            terminal.wait_until(
                lambda text: loop_hangs() or "what you saw" in text, "a fact hangs, or the dialog is open"
            )
            if not loop_hangs():
                terminal.send("written while it hangs", "enter")
            terminal.wait_until(lambda _: loop_hangs(), "the loop waits for the disk")
            with pytest.raises(AssertionError, match="not seen"):
                terminal.wait_until(lambda _: not loop_hangs(), "the loop goes on", 1.0)
        terminal.wait_until(lambda _: not loop_hangs(), "the loop goes on")
