"""What is said of a full disk: where it is, and for how many entries there is room."""

from __future__ import annotations

import os
from pathlib import Path

from console.incident.room import full_disk


def disk(free: int) -> os.statvfs_result:
    return os.statvfs_result((4096, 4096, 1000, free, free, 0, 0, 0, 0, 255))


def test_a_full_disk_is_named_with_what_is_left(tmp_path: Path) -> None:
    assert full_disk(tmp_path, 1 << 20, lambda _: disk(1000)) == ""
    said = full_disk(tmp_path, 1 << 20, lambda _: disk(0))
    mount = said.removeprefix("DISK FULL on ").partition(":")[0]
    assert os.path.ismount(mount) and said.endswith(": still recording, room for ~2,621 entries")
    assert full_disk(tmp_path, None, lambda _: disk(0)).endswith(": nothing is reserved before the first entry")


def test_a_disk_that_cannot_be_asked_is_not_called_full(tmp_path: Path) -> None:
    assert full_disk(tmp_path / "gone", 0) == ""
