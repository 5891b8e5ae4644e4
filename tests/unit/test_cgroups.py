"""Usage of containers from cgroup files of both versions, as real hosts lay them out."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.watch.cgroups import Figures, Hierarchies, Meter, OpenFiles, Usage, rates

ID = "c0ffee" * 10 + "beef"
PID = 4242
NET = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:    9999       9    0    0    0     0          0         0     9999       9    0    0    0     0       0          0
  eth0:    1000      10    0    0    0     0          0         0     2000      20    0    0    0     0       0          0
  eth1:      11       1    0    0    0     0          0         0       22       2    0    0    0     0       0          0
"""


class Host:
    """/proc and /sys/fs/cgroup of a made-up host."""

    def __init__(self, root: Path) -> None:
        self.proc = root / "proc"
        self.cgroup = root / "cgroup"
        self.write(self.proc / str(PID) / "net" / "dev", NET)

    def write(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def mounts(self, *lines: str) -> None:
        self.write(self.proc / "self" / "mountinfo", "".join(f"{line}\n" for line in lines))

    def memberships(self, *lines: str) -> None:
        self.write(self.proc / str(PID) / "cgroup", "".join(f"{line}\n" for line in lines))

    def version1(self, path: str = f"/docker/{ID}") -> None:
        point = self.cgroup
        self.mounts(
            f"30 20 0:26 / {point}/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct",
            f"31 20 0:27 / {point}/memory rw - cgroup cgroup rw,memory",
            f"32 20 0:28 / {point}/blkio rw - cgroup cgroup rw,blkio",
            f"33 20 0:29 / {point}/unified rw - cgroup2 cgroup2 rw",
        )
        self.memberships(f"4:memory:{path}", f"3:blkio:{path}", f"2:cpu,cpuacct:{path}", f"0::{path}")
        own = path.lstrip("/")
        self.write(point / "cpu,cpuacct" / own / "cpuacct.usage", "5000000000\n")
        self.write(point / "cpu,cpuacct" / own / "cpu.stat", "nr_periods 100\nnr_throttled 25\nthrottled_time 1\n")
        self.write(point / "memory" / own / "memory.usage_in_bytes", "20480000\n")
        self.write(
            point / "memory" / own / "memory.stat", "inactive_file 1\nactive_file 7\ntotal_inactive_file 480000\n"
        )
        self.write(
            point / "blkio" / own / "blkio.throttle.io_service_bytes_recursive",
            "8:0 Read 100\n8:0 Write 200\n8:0 Sync 1\n8:16 Read 1\n8:16 Write 2\nTotal 303\n",
        )

    def version2(self, path: str = f"/system.slice/docker-{ID}.scope", *, member: str = "", root: str = "/") -> None:
        self.mounts(f"29 20 0:26 {root} {self.cgroup} rw - cgroup2 cgroup2 rw,nsdelegate")
        self.memberships(f"0::{member or path}")
        own = self.cgroup / path.lstrip("/")
        self.write(own / "cpu.stat", "usage_usec 5000000\nuser_usec 1\nnr_periods 100\nnr_throttled 25\n")
        self.write(own / "memory.current", "20480000\n")
        self.write(own / "memory.stat", "anon 1\nfile 2\ninactive_anon 5\ninactive_file 480000\n")
        self.write(own / "io.stat", "8:0 rbytes=100 wbytes=200 rios=1 wios=1 dbytes=0 dios=0\n8:16 rbytes=1 wbytes=2\n")

    def meter(self, *, network: bool = True, quota: bool = True, files: int = 100) -> Meter:
        return Meter(PID, ID, Hierarchies(self.proc), OpenFiles(files), network=network, quota=quota)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


FULL = Usage(
    at=1.0, cpu=5_000_000_000, periods=100, throttled=25, memory=20_000_000,
    net_in=1011, net_out=2022, net_at=1.0, disk_read=101, disk_write=202,
)  # fmt: skip


@pytest.mark.parametrize("files", [100, 2, 0], ids=["kept open", "few kept open", "opened each time"])
@pytest.mark.parametrize("version", ["version1", "version2"])
def test_both_versions_tell_the_same(host: Host, version: str, files: int) -> None:
    getattr(host, version)()
    meter = host.meter(files=files)
    assert meter.read(1.0) == FULL
    assert meter.read(1.0) == FULL
    meter.close()


@pytest.mark.parametrize("path", [f"/docker/{ID}", f"/system.slice/docker-{ID}.scope", f"/teams/blue/{ID}"])
def test_any_driver_and_parent(host: Host, path: str) -> None:
    host.version1(path)
    meter = host.meter()
    assert meter.read(1.0) == FULL
    meter.close()
    host.version2(path)
    meter = host.meter()
    assert meter.read(1.0) == FULL
    meter.close()


def test_a_container_with_cgroups_of_its_own_is_measured_as_a_whole(host: Host) -> None:
    host.version2(member=f"/system.slice/docker-{ID}.scope/init.scope")
    meter = host.meter()
    assert meter.read(1.0).cpu == 5_000_000_000
    meter.close()


def test_a_mount_that_begins_below_the_root(host: Host) -> None:
    host.version2(f"/docker-{ID}.scope", member=f"/system.slice/docker-{ID}.scope", root="/system.slice")
    meter = host.meter()
    assert meter.read(1.0).memory == 20_000_000
    meter.close()


def test_a_process_that_is_not_the_container_s_is_not_measured(host: Host) -> None:
    host.version2()
    host.memberships("0::/user.slice/session-1.scope")
    with pytest.raises(OSError):
        host.meter()


def test_no_such_process(host: Host) -> None:
    host.mounts()
    with pytest.raises(OSError):
        host.meter()


def test_without_a_memory_controller_the_rest_is_known(host: Host) -> None:
    host.version2()
    own = host.cgroup / f"system.slice/docker-{ID}.scope"
    (own / "memory.current").unlink()
    (own / "io.stat").unlink()
    meter = host.meter()
    usage = meter.read(1.0)
    assert (usage.cpu, usage.memory, usage.disk_read) == (5_000_000_000, None, None)
    meter.close()


def test_no_quota_no_throttling_and_no_network_no_rates(host: Host) -> None:
    host.version2()
    meter = host.meter(network=False, quota=False)
    usage = meter.read(1.0)
    assert (usage.periods, usage.throttled, usage.net_in) == (None, None, None)
    meter.close()


def test_a_skipped_network_measurement_keeps_its_own_time(host: Host) -> None:
    host.version2()
    meter = host.meter()
    meter.read(1.0)
    later = meter.read(2.0, network=False)
    assert (later.at, later.net_at, later.net_in) == (2.0, 1.0, 1011)
    meter.close()


def test_dropped_cache_shows_though_the_total_stays(host: Host) -> None:
    host.version2()
    meter = host.meter()
    meter.read(1.0)
    host.write(host.cgroup / f"system.slice/docker-{ID}.scope/memory.stat", "x 1\ninactive_file 0\n")
    seen = [meter.read(2.0 + n).memory for n in range(10)]
    assert seen[0] == 20_000_000 and seen[-1] == 20_480_000
    meter.close()


def test_closing_gives_the_allowance_back(host: Host) -> None:
    host.version2()
    files = OpenFiles(10)
    meter = Meter(PID, ID, Hierarchies(host.proc), files, network=True, quota=True)
    assert files.left < 10
    meter.close()
    assert files.left == 10


def test_rates_between_two_measurements() -> None:
    before = Usage(10.0, 0, 100, 10, 5000, 0, 0, 10.0, 0, 0)
    now = Usage(12.0, 1_234_567_890, 120, 15, 9000, 4001, 2000, 12.0, 8192, 0)
    assert rates(before, now) == Figures(
        cpu=61.7, throttled=0.25, memory=8192, net_in=2000.0, net_out=1000.0, disk_read=4096.0, disk_write=0.0
    )


def test_the_first_measurement_tells_only_memory() -> None:
    assert rates(None, FULL) == Figures(memory=19_996_672)


def test_counters_that_went_back_are_unknown_not_negative() -> None:
    before = Usage(1.0, cpu=500, disk_read=500, net_in=500, net_out=1, net_at=1.0, periods=5, throttled=5)
    now = Usage(2.0, cpu=100, disk_read=100, net_in=100, net_out=1, net_at=2.0, periods=1, throttled=0)
    figures = rates(before, now)
    assert (figures.cpu, figures.disk_read, figures.net_in, figures.throttled) == (None, None, None, None)


def test_network_rates_hold_until_the_next_measurement_of_the_network() -> None:
    before = Usage(1.0, net_in=0, net_out=0, net_at=1.0)
    now = Usage(2.0, net_in=0, net_out=0, net_at=1.0)
    assert rates(before, now, Figures(net_in=5.0, net_out=6.0)).net_in == 5.0


def test_two_readings_of_an_idle_container_are_equal() -> None:
    quiet = [
        Usage(float(at), cpu=at * 40_000, memory=8192 + at, net_in=7, net_out=7, net_at=float(at)) for at in range(3)
    ]
    assert rates(quiet[0], quiet[1]) == rates(quiet[1], quiet[2]) != Figures()


def test_the_allowance_leaves_files_to_the_rest_of_the_program() -> None:
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert OpenFiles().left <= max(0, soft - 256)
