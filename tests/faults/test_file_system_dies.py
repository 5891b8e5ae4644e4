"""A real file system fails under a living writer: nothing acknowledged is lost, and the record goes on elsewhere.

The ext4 lies in an image that is mounted for the writer alone. `gone`: it is shut down in an instant, as when the
device vanishes; what was not synced is lost. `read-only`: it reports an error of its own and stops all writing.
"""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path

import pytest

from tests.faults.needs import need, without
from tests.faults.power_cut import image
from tests.faults.scribe import Scribe

_GOINGDOWN = 0x8004587D  # FS_IOC_GOINGDOWN of linux/fs.h
_WITHOUT_FLUSH = 2
_MOUNT = 'mount -o loop,errors=remount-ro "$0" "$1" && mkdir -p "$1/INC-2026-0001" && shift && exec "$@"'
WORDS = {"gone": "Input/output error", "read-only": "Read-only file system"}


class Disk:
    """An ext4 in a file, and what is done to it through the process that has it mounted."""

    def __init__(self, place: Path) -> None:
        need("mkfs.ext4", "unshare", "nsenter", root=True)
        if not Path("/dev/loop-control").exists():
            without("there are no loop devices")
        self._file = image(place / "disk.img", "16M", "ext4")
        self.at = place / "disk"
        self.at.mkdir()

    def scribe(self, login: str = "ana", weakness: str = "") -> Scribe:
        """A writer that has the file system mounted, for itself and those who join it."""
        before = ["unshare", "-m", "sh", "-c", _MOUNT, str(self._file), str(self.at)]
        return Scribe(self.at / "INC-2026-0001", login, weakness, before=before)

    def joined(self, other: Scribe, login: str) -> Scribe:
        """Another one that sees what `other` sees."""
        return Scribe(self.at / "INC-2026-0001", login, before=["nsenter", "-m", "-t", str(other.pid)])

    def fail(self, how: str, owner: Scribe) -> None:
        seen = Path(f"/proc/{owner.pid}/root{self.at}")
        if how == "gone":
            fd = os.open(seen, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.ioctl(fd, _GOINGDOWN, struct.pack("I", _WITHOUT_FLUSH))
            finally:
                os.close(fd)
        else:
            mounts = Path(f"/proc/{owner.pid}/mounts").read_text().splitlines()
            device = next(line.split()[0] for line in mounts if line.split()[1] == str(self.at))
            Path(f"/sys/fs/ext4/{Path(device).name}/trigger_fs_error").write_text("a test")


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


@pytest.mark.parametrize("how", list(WORDS))
def test_it_goes_on_in_a_spare_place_and_everybody_reads_both(disk: Disk, how: str) -> None:
    with disk.scribe() as ana, disk.joined(ana, "bob") as bob:
        before = [ana.note(f"before {number}")["id"] for number in range(20)]
        assert len(bob.ask("poll")["texts"]) == 20
        disk.fail(how, ana)
        told = [ana.note(f"after {number}") for number in range(20)]
        assert all("id" in answer for answer in told), told[0]
        assert WORDS[how] in told[0]["elsewhere"] and "recording in" in told[0]["elsewhere"]
        assert bob.ask("poll")["texts"] == [f"after {number}" for number in range(20)]
        assert bob.note("bob too")["elsewhere"]
        assert ana.ask("poll")["texts"][-1] == "bob too"
    with disk.scribe("eve") as eve:  # the file system is mounted anew, its own journal replayed
        found = eve.ask("read")
        assert set(before) | {answer["id"] for answer in told} <= set(found["ids"]) and len(found["ids"]) == 41
        assert found["ok"]
        assert eve.note("the disk is back")["elsewhere"] == ""


def test_without_a_spare_place_it_would_not_go_on(disk: Disk) -> None:
    with disk.scribe(weakness="no spare place") as ana:
        before = ana.note("before")["id"]
        disk.fail("read-only", ana)
        told = ana.note("after")
        assert told["kind"] == "DiskFailedError" and told["remedy"]
        assert ana.ask("read") == {"ids": [before], "ok": True}


def test_without_the_sync_a_loss_is_noticed(disk: Disk) -> None:
    with disk.scribe(weakness="unsynced") as ana:
        before = {ana.note(f"before {number}")["id"] for number in range(20)}
        disk.fail("gone", ana)
    with disk.scribe("eve") as eve:
        assert before - set(eve.ask("read")["ids"]), "everything was there: this test would not notice a loss"
