"""Fills a disk to the last byte under a living writer: `python -m tests.faults.full_disk --fs ext4`.

How many entries are taken after that, how it is told when no more is, and whether it goes on when there is room.
The disk fills up when the writer's reserve is as small as it gets. tmpfs works for every user, the others lie in
images and need root.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from console.errors import RecordError
from console.incident import disk
from console.incident.events import Actor, new_id
from console.incident.journal import Journal, NotSavedError
from console.incident.verify import verify
from tests.faults.power_cut import SIZES, image, mounted

LEAST = 2500  # entries of a usual length that a full disk must still take
_MOST = 20_000
_WEAKNESSES = ("", "no reserve", "copy on write")


@dataclass(frozen=True)
class Outcome:
    """What a full disk still took. `slowest` of 100 in milliseconds, `size` of an entry in bytes."""

    accepted: int
    slowest: float
    size: int
    refused: str  # how it was told, with what to do
    blob: str  # the same of an attachment
    left_over: int  # unfinished files
    resumed: bool  # the entry that was refused, with its own id, once there was room
    read: int  # entries since it was full
    whole: bool
    files: int


def story(place: Path) -> Outcome:
    home = place / "INC-2026-0001"
    home.mkdir(mode=0o700)
    journal = Journal(home, Actor("ana", ssh="192.0.2.7", uid=1000, host="prod-1", via="console"))
    data = {"text": "restarted the app, its pool is exhausted"}
    before = 0
    while sum(path.stat().st_size for path in home.glob("*.jsonl")) < 500_000:
        journal.append("note", data)
        before += 1
    hog = fill(place)
    refused, id = "", ""
    times: list[float] = []
    while len(times) < _MOST and not refused:
        id, began = new_id(), time.perf_counter()
        try:
            journal.append("note", data, id=id)
            times.append(time.perf_counter() - began)
        except NotSavedError as error:
            refused = str(error)
    blob = ""
    try:
        journal.put_blob(b"y" * 300_000)
    except RecordError as error:
        blob = str(error)
    left_over = len(list((home / "blobs").glob(".*"))) if (home / "blobs").exists() else 0
    os.ftruncate(hog, 0)
    os.fsync(hog)  # btrfs gives room back with its next transaction
    os.close(hog)
    resumed = journal.append("note", data, id=id).id == id
    journal.close()
    events = Journal(home, Actor("bob", host="prod-1")).events()
    (file,) = files = list(home.glob("*.jsonl"))
    return Outcome(
        accepted=len(times),
        slowest=round(sorted(times)[int(0.99 * len(times))] * 1000, 2) if times else 0.0,
        size=file.stat().st_size // len(events),
        refused=refused,
        blob=blob,
        left_over=left_over,
        resumed=resumed,
        read=len(events) - before,
        whole=verify(home).ok,
        files=len(files),
    )


def fill(place: Path) -> int:
    """Take all room there is, until not one byte more is given. Answers the open file that has it."""
    hog = os.open(place / "hog", os.O_WRONLY | os.O_CREAT)
    taken = True
    while taken:
        taken, size = False, 1 << 20
        while size:
            try:
                taken |= os.write(hog, b"x" * size) > 4096
            except OSError:
                size //= 2
        with contextlib.suppress(OSError):
            os.fsync(hog)  # some room is found only when what was promised is laid out
    return hog


def weaken(weakness: str) -> None:
    """Take a protection away, to see that this is noticed."""
    if weakness == "no reserve":
        disk.RealDisk.reserve = lambda self, fd, offset, size: False  # type: ignore[method-assign]
    if weakness == "copy on write":
        disk._NOCOW = 0


@contextlib.contextmanager
def small(fs: str, at: Path) -> Iterator[Path]:
    if fs != "tmpfs":
        with mounted(image(at / "disk.img", SIZES[fs], fs), at / "disk") as place:
            yield place
        return
    place = at / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,nr_inodes=200", "none", str(place)], check=True)
    yield place
    subprocess.run(["umount", str(place)], check=True)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--fs", choices=["tmpfs", *SIZES], default="tmpfs")
    options.add_argument("--weakness", choices=_WEAKNESSES, default="", help="shows what a protection is good for")
    options.add_argument("--json", action="store_true")
    chosen = options.parse_args()
    if "FULL_DISK_INSIDE" not in os.environ:
        os.environ["FULL_DISK_INSIDE"] = "1"
        flags = "-m" if os.geteuid() == 0 else "-Urm"
        os.execvp("unshare", ["unshare", flags, sys.executable, "-m", "tests.faults.full_disk", *sys.argv[1:]])
    weaken(chosen.weakness)
    with tempfile.TemporaryDirectory() as name, small(chosen.fs, Path(name)) as place:
        outcome = story(place)
    if chosen.json:
        print(json.dumps(asdict(outcome)))
    else:
        weakness = f" ({chosen.weakness})" if chosen.weakness else ""
        print(
            f"{chosen.fs}{weakness}: {outcome.accepted} entries of {outcome.size} bytes taken by a full disk, "
            f"99 of 100 within {outcome.slowest} ms; then told; resumed {outcome.resumed}, whole {outcome.whole}"
        )
    sound = outcome.accepted >= LEAST and outcome.resumed and outcome.whole and outcome.refused
    return 0 if sound and outcome.read == outcome.accepted + 1 else 1


if __name__ == "__main__":
    sys.exit(main())
