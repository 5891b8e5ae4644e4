"""Mounted file systems that hold data: which of the many in the mount table matter, and how full each is.

Network and FUSE file systems are asked in a thread of their own each, because `statvfs` on a hung one never
returns. It mounts and unmounts nothing.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from console.errors import SourceError
from console.text import clean
from console.watch.source import Lane

Statvfs = Callable[[str], os.statvfs_result]

_REMOTE = {
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "ceph",
    "glusterfs",
    "lustre",
    "beegfs",
    "afs",
    "gfs2",
    "ocfs2",
    "virtiofs",
}
_VIRTUAL_FUSE = {"fuse.lxcfs", "fuse.portal", "fuse.gvfsd-fuse", "fusectl", "fuse.snapfuse"}
_IMAGES = {"squashfs", "iso9660", "erofs", "udf", "cramfs"}  # full by nature
_POOLED = {"zfs", "btrfs", "bcachefs"}  # their source need not be a device
_REMOTE_EVERY = 10.0
_REMOTE_DEADLINE = 2.0
_FIRST_WAIT = 0.2  # the first reading waits this long for remote mounts, later ones never
_MAX_DISKS = 32


@dataclass(frozen=True, slots=True)
class Disk:
    """One mounted file system that holds data. Bytes; inode figures are None where there are none.

    `fault`: why the figures are old ("no answer in 2 s"); "" when they are of this reading.
    """

    mount: str
    device: str
    total: int
    used: int
    free: int  # available to ordinary users
    inodes_total: int | None
    inodes_free: int | None
    fault: str = ""

    @property
    def percent(self) -> float:
        """Share in use as `df` counts it: used / (used + available), 0-100."""
        return 100.0 * self.used / (self.used + self.free) if self.used + self.free else 0.0

    @property
    def inodes_percent(self) -> float | None:
        if not self.inodes_total or self.inodes_free is None:
            return None
        return 100.0 * (self.inodes_total - self.inodes_free) / self.inodes_total


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of the mount table. `root` is what part of the file system is seen here; "/" is all of it."""

    device_id: str  # "254:0"
    root: str
    point: str
    kind: str
    source: str
    read_only: bool = False  # here, or the whole file system

    @property
    def remote(self) -> bool:
        return self.kind in _REMOTE or self.kind.startswith("fuse")


def parse_mounts(table: bytes) -> list[Mount]:
    """The lines of /proc/self/mountinfo, later mounts over the same point replacing earlier ones."""
    found: dict[str, Mount] = {}
    for line in table.decode("utf-8", "surrogateescape").splitlines():
        left, _, right = line.partition(" - ")
        fields, tail = left.split(" "), right.split(" ")
        if len(fields) >= 5 and len(tail) >= 2:
            point = _unescape(fields[4])
            found.pop(point, None)
            options = {*(fields[5:6] or [""])[0].split(","), *(tail[2:3] or [""])[0].split(",")}
            found[point] = Mount(
                fields[2], _unescape(fields[3]), point, tail[0], _unescape(tail[1]), read_only="ro" in options
            )
    return list(found.values())


def _unescape(field: str) -> str:
    r"""
    >>> _unescape(r"/mnt/my\040disk")
    '/mnt/my disk'
    """
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


def that_matter(mounts: Iterable[Mount], data_paths: Sequence[str]) -> tuple[Mount, ...]:
    """Real disks and remote file systems, one mount for each, and whatever holds the data paths."""
    listed = list(mounts)
    holders = {mount.point for mount in (holder(listed, path) for path in data_paths) if mount}
    best: dict[str, Mount] = {}
    for mount in listed:
        if not (mount.point in holders or _real(mount)):
            continue
        key = mount.source if mount.kind == "zfs" else mount.device_id
        known = best.get(key)
        if known is None or _rank(mount) < _rank(known):
            best[key] = mount
    return tuple(sorted(best.values(), key=lambda mount: mount.point)[:_MAX_DISKS])


def holder(mounts: Iterable[Mount], path: str) -> Mount | None:
    """The mount that `path` lies on."""
    over = [m for m in mounts if path == m.point or path.startswith(m.point.rstrip("/") + "/")]
    return max(over, key=lambda mount: len(mount.point), default=None)


def _real(mount: Mount) -> bool:
    if mount.kind in _IMAGES or mount.kind in _VIRTUAL_FUSE or mount.point.startswith(("/boot/efi", "/snap/")):
        return False
    return mount.remote or mount.kind in _POOLED or mount.source.startswith("/dev/")


def _rank(mount: Mount) -> tuple[bool, int]:
    """Of several mounts of one device, the whole file system at its shortest path stands for all."""
    return mount.root != "/", len(mount.point)


def docker_data_root(settings: Path = Path("/etc/docker/daemon.json")) -> str:
    """Where the local engine keeps images, logs and volumes."""
    try:
        root = json.loads(settings.read_text()).get("data-root")
    except (OSError, ValueError, AttributeError):
        root = None
    return root if isinstance(root, str) and root else "/var/lib/docker"


def measure(mount: Mount, statvfs: Statvfs) -> Disk | None:
    """How full one file system is; None when it has no blocks or went away."""
    try:
        figures = statvfs(mount.point)
    except OSError:
        return None
    if not figures.f_blocks:
        return None
    size = figures.f_frsize
    return Disk(
        mount=clean(mount.point),
        device=clean(mount.source),
        total=figures.f_blocks * size,
        used=(figures.f_blocks - figures.f_bfree) * size,
        free=figures.f_bavail * size,
        inodes_total=figures.f_files or None,
        inodes_free=figures.f_favail if figures.f_files else None,
    )


class RemoteDisks:
    """File systems that may hang: each asked in its own lane every 10 s, shown with its last figures."""

    def __init__(self, statvfs: Statvfs, clock: Callable[[], float] = time.monotonic) -> None:
        self._statvfs = statvfs
        self._clock = clock
        self._known: dict[Mount, _Remote] = {}

    async def look(self, mounts: Iterable[Mount]) -> tuple[tuple[Disk, ...], tuple[str, ...]]:
        """Disks that ever answered, and "mount: reason" for those that have not."""
        wanted = tuple(mounts)
        for gone in self._known.keys() - set(wanted):
            self._known.pop(gone).cancel()
        fresh: list[asyncio.Task[None]] = []
        for mount in wanted:
            remote = self._known.setdefault(mount, _Remote(mount, self._statvfs))
            if remote.due(self._clock()):
                task = remote.ask(self._clock())
                if remote.disk is None and not remote.fault:
                    fresh.append(task)
        if fresh:
            await asyncio.wait(fresh, timeout=_FIRST_WAIT)
        answers = [self._known[mount] for mount in wanted]
        disks = tuple(replace(a.disk, fault=a.fault) for a in answers if a.disk)
        silent = tuple(f"{clean(a.mount.point)}: {a.fault or 'not answered yet'}" for a in answers if not a.disk)
        return disks, silent

    def close(self) -> None:
        for remote in self._known.values():
            remote.cancel()
        self._known.clear()


class _Remote:
    """One remote mount: its lane, the question under way and the last answer."""

    def __init__(self, mount: Mount, statvfs: Statvfs) -> None:
        self.mount = mount
        self.disk: Disk | None = None
        self.fault = ""
        self._statvfs = statvfs
        self._lane = Lane(f"disk {mount.point}")
        self._task: asyncio.Task[None] | None = None
        self._asked: float | None = None

    def due(self, now: float) -> bool:
        if self._task is not None and not self._task.done():
            return False
        return self._asked is None or now - self._asked >= _REMOTE_EVERY

    def ask(self, now: float) -> asyncio.Task[None]:
        self._asked = now
        self._task = asyncio.create_task(self._ask(), name=f"disk {self.mount.point}")
        return self._task

    async def _ask(self) -> None:
        try:
            disk = await self._lane.call(measure, self.mount, self._statvfs, deadline=_REMOTE_DEADLINE)
        except SourceError:
            self.fault = f"no answer in {_REMOTE_DEADLINE:g} s"
            return
        self.disk, self.fault = disk, "" if disk else "gone or empty"

    def cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
        self._lane.close()
