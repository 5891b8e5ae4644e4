"""Cuts the power under living writers, again and again: `python -m tests.faults.power_cut --fs ext4 --cuts 300`.

A file system lives in an image on an xfs; at a random moment the image is cloned in one instant (FICLONE), which is
what a disk holds when the power goes: what was not synced is in memory only. The clone is mounted, its own journal
replayed, and everything acknowledged before the clone must be there. Models lost memory, not a disk that lies.
Needs root, loop devices and mkfs.xfs.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import random
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from console.incident.events import Actor
from console.incident.journal import Journal
from console.incident.verify import verify

ROOT = Path(__file__).parents[2]
SIZES = {"ext4": "64M", "xfs": "320M", "btrfs": "160M"}
_FICLONE = 0x40049409
_WRITERS = 3
_INCIDENT = "INC-2026-0001"


@dataclass(frozen=True)
class Outcome:
    """`lost` are acknowledged entries that a clone did not hold, `damaged` clones whose record was not whole."""

    cuts: int
    checked: int  # acknowledged entries looked for, over all clones
    lost: int
    damaged: int
    refused: int  # clones whose file system or record could not be read at all


def missing(fs: str) -> str:
    """Why it cannot be run here; "" where it can."""
    if os.geteuid() != 0:
        return "power cuts need root"
    tools = [tool for tool in ("mkfs.xfs", f"mkfs.{fs}", "unshare") if not shutil.which(tool)]
    return f"missing: {', '.join(tools)}" if tools else "" if Path("/dev/loop-control").exists() else "no loop devices"


def cut(fs: str, cuts: int, *, sync: bool = True, seed: int = 1) -> Outcome:
    """So many cuts. `sync=False` takes the fdatasync out of the writers: then entries must be lost."""
    chance = random.Random(seed)
    checked = lost = damaged = refused = 0
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        with mounted(image(place / "outer.img", "900M", "xfs"), place / "outer") as outer:
            for number in range(cuts):
                live = image(outer / "live.img", SIZES[fs], fs)
                with mounted(live, place / "inner") as inner:
                    acknowledged = _write_until_cut(inner, live, outer / "clone.img", chance, sync)
                live.unlink()
                try:
                    with mounted(outer / "clone.img", place / "after") as after:
                        found, whole = _read(after / _INCIDENT)
                except (OSError, subprocess.CalledProcessError):
                    refused += 1
                    continue
                checked += len(acknowledged)
                lost += len(acknowledged - found)
                damaged += not whole
                (outer / "clone.img").unlink()
                if (number + 1) % 50 == 0:
                    print(f"{number + 1} cuts, {checked} entries looked for, {lost} lost", file=sys.stderr, flush=True)
    return Outcome(cuts, checked, lost, damaged, refused)


def _write_until_cut(inner: Path, live: Path, clone: Path, chance: random.Random, sync: bool) -> set[bytes]:
    """What was acknowledged before the clone was made."""
    directory = inner / _INCIDENT
    directory.mkdir(mode=0o700)
    os.sync()  # the directory itself is made durable by whoever declares
    command = [sys.executable, "-m", "tests.faults.journal_writer", str(directory)]
    env = {**os.environ, "TEST_JOURNAL_SYNC": "yes" if sync else "no"}
    writers = [subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, bufsize=0) for _ in range(_WRITERS)]
    heard = {writer.stdout.fileno(): b"" for writer in writers if writer.stdout}
    until = float("inf")
    while time.monotonic() < until:
        for fd in select.select(list(heard), [], [], 0.05)[0]:
            heard[fd] += os.read(fd, 65536)
        if until == float("inf") and all(heard.values()):
            until = time.monotonic() + chance.uniform(0.005, 0.12)
    acknowledged = {line for data in heard.values() for line in data.split(b"\n")[:-1]}
    with live.open("rb") as source, clone.open("wb") as target:
        fcntl.ioctl(target.fileno(), _FICLONE, source.fileno())
    for writer in writers:
        writer.kill()
        writer.communicate()
    return acknowledged


def _read(directory: Path) -> tuple[set[bytes], bool]:
    journal = Journal(directory, Actor("reader", host="lab"))
    found = {event.id.encode() for event in journal.events()}
    return found, verify(directory).ok


def image(path: Path, size: str, fs: str) -> Path:
    subprocess.run(["truncate", "-s", size, str(path)], check=True)
    subprocess.run([f"mkfs.{fs}", "-q", str(path)], check=True, stdout=subprocess.DEVNULL)
    return path


@contextlib.contextmanager
def mounted(image: Path, at: Path) -> Iterator[Path]:
    at.mkdir(exist_ok=True)
    # A clone has the UUID of its origin, which xfs refuses to mount twice unless told.
    options = "loop,nouuid" if image.name == "clone.img" and _is_xfs(image) else "loop"
    subprocess.run(["mount", "-o", options, str(image), str(at)], check=True)
    try:
        yield at
    finally:
        for _ in range(50):
            if subprocess.run(["umount", str(at)], stderr=subprocess.DEVNULL, check=False).returncode == 0:
                break
            time.sleep(0.05)


def _is_xfs(image: Path) -> bool:
    with image.open("rb") as file:
        return file.read(4) == b"XFSB"


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--fs", choices=list(SIZES), default="ext4")
    options.add_argument("--cuts", type=int, default=300)
    options.add_argument("--unsafe", action="store_true", help="without fdatasync: shows that a loss is noticed")
    options.add_argument("--seed", type=int, default=1)
    chosen = options.parse_args()
    if why := missing(chosen.fs):
        print(why, file=sys.stderr)
        return 3
    if "POWER_CUT_INSIDE" not in os.environ:  # mounts of our own: a Docker engine would hold copies of them
        os.environ["POWER_CUT_INSIDE"] = "1"
        os.execvp("unshare", ["unshare", "-m", sys.executable, "-m", "tests.faults.power_cut", *sys.argv[1:]])
    began = time.monotonic()
    outcome = cut(chosen.fs, chosen.cuts, sync=not chosen.unsafe, seed=chosen.seed)
    control = " WITHOUT fdatasync" if chosen.unsafe else ""
    print(
        f"{chosen.fs}{control}: {outcome.cuts} power cuts, {outcome.checked} acknowledged entries looked for, "
        f"{outcome.lost} lost, {outcome.damaged} records damaged, {outcome.refused} refused, "
        f"{time.monotonic() - began:.0f} s"
    )
    return 1 if outcome.lost or outcome.damaged or outcome.refused else 0


if __name__ == "__main__":
    sys.exit(main())
