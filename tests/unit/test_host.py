"""The host source on made-up /proc trees, hung mounts and hostile names, and on this machine beside psutil."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from console.watch.host import Disk, HostReading, HostSource
from console.watch.mounts import Mount, parse_mounts, that_matter
from console.watch.procfs import ProcFiles, counters, psutil_counters

GIB = 1 << 30
ROOT = "27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw"


class FakeProc:
    """A /proc tree in a directory, with the figures a test needs to move."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("net", "self", "pressure"):
            (root / name).mkdir(parents=True)
        self.cpu(busy=1000, idle=9000)
        self.write("meminfo", "MemTotal: 8388608 kB\nMemAvailable: 6291456 kB\nSwapTotal: 1024 kB\nSwapFree: 256 kB\n")
        self.write("loadavg", "1.50 1.00 0.50 2/300 999\n")
        self.write("uptime", "5000.00 9000.00\n")
        self.write("vmstat", "nr_free_pages 1\noom_kill 3\n")
        for what in ("cpu", "io", "memory"):
            self.write(f"pressure/{what}", "some avg10=12.50 avg60=1.00\nfull avg10=2.25 avg60=0.00\n")
        self.net(eth0=(1000, 500))
        self.disk(vda=(100, 200))
        self.mounts(ROOT)

    def write(self, name: str, text: str | bytes) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)

    def cpu(self, busy: int, idle: int) -> None:
        one = f"{busy // 2} 0 0 {idle // 2} 0 0 0 0 0 0"
        self.write("stat", f"cpu  {busy} 0 0 {idle} 0 0 0 0 0 0\ncpu0 {one}\ncpu1 {one}\nintr 5\n")

    def net(self, **traffic: tuple[int, int]) -> None:
        rows = [f"  {name}: {got} 1 0 0 0 0 0 0 {sent} 1 0 0 0 0 0 0" for name, (got, sent) in traffic.items()]
        self.write("net/dev", "Inter-|   Receive\n face |bytes\n" + "\n".join(rows) + "\n")

    def disk(self, **sectors: tuple[int, int]) -> None:
        rows = [f" 254 0 {name} 5 0 {got} 1 5 0 {put} 1 0 1 1" for name, (got, put) in sectors.items()]
        self.write("diskstats", "\n".join(rows) + "\n")

    def mounts(self, *lines: str) -> None:
        self.write("self/mountinfo", "\n".join(lines) + "\n")

    def process(
        self, pid: int, name: bytes, ticks: int, *, rss: int = 100, started: int = 100, cmd: bytes = b""
    ) -> None:
        tail = f" S 1 1 1 0 -1 0 0 0 0 0 {ticks} 0 0 0 20 0 1 0 {started} 0 {rss} 0 0".encode()
        self.write(f"{pid}/stat", b"%d (" % pid + name + b")" + tail)
        self.write(f"{pid}/cmdline", cmd)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def volume(total: int = 100, used: int = 40, files: int = 1000) -> os.statvfs_result:
    free = total - used
    return os.statvfs_result((GIB, GIB, total, free, free, files, files // 2, files // 2, 0, 255))


@pytest.fixture
def proc(tmp_path: Path) -> FakeProc:
    return FakeProc(tmp_path)


def source(proc: FakeProc, clock: Clock | None = None, **more: Any) -> HostSource:
    given = {"statvfs": lambda point: volume(), **more}
    return HostSource(proc=proc.root, clock=clock or Clock(), **given)


async def read_once(proc: FakeProc, **more: Any) -> HostReading:
    host = source(proc, **more)
    try:
        return await host.read()
    finally:
        await host.close()


async def test_first_reading_has_no_rates_and_the_second_has(proc: FakeProc) -> None:
    clock = Clock()
    host = source(proc, clock)
    first = await host.read()
    assert (first.cpu, first.cpu_per_core, first.net_in, first.disk_write) == (None, (), None, None)
    clock.now += 2.0
    proc.cpu(busy=1150, idle=9050)
    proc.net(eth0=(3000, 1500), eth1=(999, 999))
    proc.disk(vda=(300, 204))
    second = await host.read()
    await host.close()
    assert second.cpu == 75.0 and second.cpu_per_core == (75.0, 75.0)
    assert (second.net_in, second.net_out) == (1000.0, 500.0), "eth1 is new: its traffic is not of these 2 s"
    assert (second.disk_read, second.disk_write) == (200 * 512 / 2, 4 * 512 / 2)


async def test_what_the_kernel_tells_at_once(proc: FakeProc) -> None:
    reading = await read_once(proc)
    assert reading.cores == 2
    assert reading.load == (1.5, 1.0, 0.5)
    assert reading.memory_percent == 25.0
    assert (reading.swap_total, reading.swap_used) == (1024 * 1024, 768 * 1024)
    assert (reading.pressure.cpu_some, reading.pressure.io_full, reading.pressure.memory_some) == (12.5, 2.25, 12.5)
    assert (reading.uptime, reading.oom_kills) == (5000.0, 3)


async def test_counters_that_go_back_leave_a_gap_and_not_a_spike(proc: FakeProc) -> None:
    clock = Clock()
    host = source(proc, clock)
    proc.net(eth0=(2**32 - 10, 50), eth1=(100, 100))
    await host.read()
    clock.now += 1.0
    proc.net(eth0=(90, 60), eth1=(300, 200))
    proc.disk(vda=(0, 0))
    reading = await host.read()
    await host.close()
    assert (reading.net_in, reading.net_out) == (200.0, 100.0)
    assert reading.disk_read is None


async def test_traffic_and_disks_are_not_counted_twice(proc: FakeProc) -> None:
    clock = Clock()
    host = source(proc, clock)
    inner = ("lo", "veth1a2b", "docker0", "br-0011", "eth0.100", "bond0", "tun0")
    for step in (0, 1):
        clock.now += step
        proc.net(eth0=(step * 10, 0), **{name: (step * 1000, 0) for name in inner})
        layers = ("vda1", "dm-0", "loop0", "md0", "sr0", "zram0")
        proc.disk(vda=(step * 2, 0), nvme0n1=(step * 2, 0), **{name: (step * 100, 0) for name in layers})
        reading = await host.read()
    await host.close()
    assert reading.net_in == 10.0
    assert reading.disk_read == 4 * 512


async def test_without_pressure_and_vmstat_the_rest_is_there(proc: FakeProc) -> None:
    for what in ("cpu", "io", "memory"):
        (proc.root / "pressure" / what).unlink()
    (proc.root / "vmstat").unlink()
    reading = await read_once(proc)
    assert reading.pressure.cpu_some is None and reading.pressure.memory_full is None
    assert reading.oom_kills is None
    assert reading.memory_total == 8 * GIB


async def test_busiest_processes_since_the_last_reading(proc: FakeProc) -> None:
    clock = Clock()
    host = source(proc, clock)
    tick = os.sysconf("SC_CLK_TCK")
    for pid in range(1, 31):
        proc.process(pid, b"idle", 0, rss=pid)
    proc.process(40, b"busy", 1000, started=10, cmd=b"busy\0--fast\0")
    await host.read()
    clock.now += 2.0
    proc.process(40, b"busy", 1000 + tick, started=10, cmd=b"busy\0--fast\0")
    reading = await host.read()
    await host.close()
    first = reading.top[0]
    assert (first.pid, first.name, first.command, first.cpu) == (40, "busy", "busy --fast", 50.0)
    assert 30 in [process.pid for process in reading.top], "the largest are there as well"
    assert len(reading.top) == 10


async def test_a_pid_that_was_given_away_does_not_inherit_cpu_time(proc: FakeProc) -> None:
    clock = Clock()
    host = source(proc, clock)
    proc.process(7, b"old", 100, started=50)
    await host.read()
    clock.now += 1.0
    proc.process(7, b"new", 90_000_000, started=499_000)
    reading = await host.read()
    await host.close()
    assert reading.top[0].name == "new"
    lifetime = (5000.0 - 499_000 / os.sysconf("SC_CLK_TCK")) * os.sysconf("SC_CLK_TCK")
    assert reading.top[0].cpu == round(100 * 90_000_000 / lifetime, 1)


async def test_hostile_names_and_secrets_in_arguments(proc: FakeProc) -> None:
    proc.process(9, b"a) S 1\n\x1b]0;owned\x07 (b", 5, cmd=b"mysql\0--password=hunter2-and-more\0\x1b[2J\0")
    reading = await read_once(proc)
    process = reading.top[0]
    assert process.name.startswith("a) S 1\\n\\x1b]0;owned\\x07 (b")
    assert process.name.isprintable() and process.command.isprintable()
    assert "hunter2" not in process.command and "mysql" in process.command


MOUNTS = [
    "22 27 0:21 / /proc rw - proc proc rw",
    ROOT,
    "28 27 0:25 / /run rw - tmpfs tmpfs rw",
    "29 27 254:16 / /srv/my\\040data rw - xfs /dev/vdb1 rw",
    "30 27 254:16 /sub /var/bind rw - xfs /dev/vdb1 rw",
    "31 27 0:50 / /var/lib/docker/overlay2/aa/merged rw - overlay overlay rw",
    "32 27 7:1 / /snap/core/1 ro - squashfs /dev/loop1 ro",
    "33 27 8:1 / /boot/efi rw - vfat /dev/sda1 rw",
    "34 27 0:60 / /mnt/nfs rw - nfs4 files.example:/export rw",
    "35 27 0:61 / /home rw - tmpfs tmpfs rw",
]


async def test_only_disks_that_matter_each_once(proc: FakeProc) -> None:
    proc.mounts(*MOUNTS)
    reading = await read_once(proc, data_paths=("/", "/var/lib/docker", "/home"))
    assert [disk.mount for disk in reading.disks] == ["/", "/home", "/mnt/nfs", "/srv/my data"]
    root = reading.disks[0]
    assert (root.total, root.used, root.free) == (100 * GIB, 40 * GIB, 60 * GIB)
    assert (root.percent, root.inodes_percent) == (40.0, 50.0)


def test_the_root_of_a_container_stands_for_its_disk() -> None:
    table = "1 0 0:99 / / rw - overlay overlay rw\n2 1 254:0 /x/hosts /etc/hosts rw - ext4 /dev/vda rw\n"
    chosen = that_matter(parse_mounts(table.encode()), ("/",))
    assert chosen[0] == Mount("0:99", "/", "/", "overlay", "overlay")


async def test_file_systems_without_inodes_and_without_blocks(proc: FakeProc) -> None:
    proc.mounts(ROOT, MOUNTS[3])
    sizes = {"/": volume(files=0), "/srv/my data": volume(total=0, used=0)}
    reading = await read_once(proc, statvfs=sizes.__getitem__)
    assert [disk.mount for disk in reading.disks] == ["/"]
    assert reading.disks[0].inodes_total is None and reading.disks[0].inodes_percent is None


async def test_a_hung_network_mount_hangs_nothing_and_goes_stale(proc: FakeProc) -> None:
    clock = Clock()
    hung = threading.Event()
    hung.set()

    def statvfs(point: str) -> os.statvfs_result:
        if point == "/mnt/nfs":
            hung.wait()
        return volume()

    proc.mounts(*MOUNTS)
    host = source(proc, clock, statvfs=statvfs, data_paths=("/",))
    assert [disk.fault for disk in (await host.read()).disks if disk.mount == "/mnt/nfs"] == [""]
    hung.clear()
    clock.now += 11.0
    stale: list[Disk] = []
    for _ in range(400):
        stale = [disk for disk in (await host.read()).disks if disk.fault]
        if stale:
            break
        await asyncio.sleep(0.05)  # the deadline of 2 s is real time
    assert [(disk.mount, disk.fault, disk.percent) for disk in stale] == [("/mnt/nfs", "no answer in 2 s", 40.0)]
    hung.set()
    await host.close()


async def test_a_network_mount_that_never_answered_is_named_and_not_shown_as_empty(proc: FakeProc) -> None:
    never = threading.Event()

    def statvfs(point: str) -> os.statvfs_result:
        if point == "/mnt/nfs":
            never.wait()
        return volume()

    proc.mounts(*MOUNTS)
    began = asyncio.get_running_loop().time()
    reading = await read_once(proc, statvfs=statvfs, data_paths=("/",))
    took = asyncio.get_running_loop().time() - began
    never.set()
    assert took < 1.5
    assert "/mnt/nfs" not in [disk.mount for disk in reading.disks]
    assert reading.unread_mounts == ("/mnt/nfs: not answered yet",)


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def test_no_files_stay_open_after_close(proc: FakeProc) -> None:
    before = open_files()
    host = HostSource()
    await host.read()
    assert open_files() > before
    await host.close()
    assert open_files() == before


def test_this_machine_says_the_same_to_us_and_to_psutil() -> None:
    files = ProcFiles(Path("/proc"))
    ours, theirs = counters(files), psutil_counters()
    files.close()
    assert ours is not None
    assert (ours.memory_total, ours.swap_total) == (theirs.memory_total, theirs.swap_total)
    assert abs(ours.memory_available - theirs.memory_available) < 0.2 * theirs.memory_total
    assert len(ours.cores) == len(theirs.cores)
    assert abs(ours.uptime - theirs.uptime) < 5
    assert ours.net.keys() == theirs.net.keys()
    assert ours.disk.keys() == theirs.disk.keys()


async def test_a_machine_without_proc_is_read_through_psutil(tmp_path: Path) -> None:
    host = HostSource(proc=tmp_path / "nothing", statvfs=lambda point: volume())
    reading = await host.read()
    await host.close()
    assert reading.memory_total > 0 and reading.top == ()
    assert [disk.mount for disk in reading.disks] == ["/"]
