"""Processes and cgroups as Linux tells them, in made trees: version 1 and 2, and two looks compared."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from console.watch import processtable
from console.watch.cgroup_stand import Stand, stand
from console.watch.cgroups import Hierarchies
from console.watch.processtable import Thread
from console.watch.sampling import take

ID = "ab" * 32
MIB = 1 << 20
# As written by Linux 6.1 (memory.stat shortened); cpu.stat of version 2 counts in microseconds.
VERSION2 = {
    "cpu.stat": "usage_usec 2500000\nuser_usec 2000000\nsystem_usec 500000\nnr_periods 40\nnr_throttled 12\n"
    "throttled_usec 900000\nnr_bursts 0\nburst_usec 0\n",
    "memory.current": f"{230 * MIB}\n",
    "memory.stat": f"anon {100 * MIB}\nfile {120 * MIB}\nkernel_stack 65536\nshmem {20 * MIB}\ninactive_file {90 * MIB}\n",
    "pids.current": "17\n",
    "pids.max": "20\n",
}
VERSION1 = {
    "cpuacct/cpuacct.usage": "2500000000\n",
    "cpu/cpu.stat": "nr_periods 40\nnr_throttled 12\nthrottled_time 900000000\n",
    "memory/memory.usage_in_bytes": f"{230 * MIB}\n",
    "memory/memory.stat": f"cache 0\nrss 0\ntotal_cache {120 * MIB}\ntotal_rss {100 * MIB}\ntotal_shmem {20 * MIB}\n"
    f"total_inactive_file {90 * MIB}\n",
    "pids/pids.current": "17\n",
    "pids/pids.max": "max\n",
}
WANTED = Stand(2_500_000_000, 40, 12, 230 * MIB, 120 * MIB, 100 * MIB, 17, 20)


def write(place: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def stat(
    pid: int, user: int = 0, system: int = 0, state: str = "S", name: str = "app", parent: int = 1, flags: int = 0
) -> str:
    """/proc/PID/stat; times in ticks."""
    return (
        f"{pid} ({name}) {state} {parent} {pid} {pid} 0 -1 {flags} 9 0 0 0 {user} {system} 0 0 20 0 3 0 777 4096 25 184467"
        " 1 1 0 0 0 0 0 4096 0 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
    )


def test_one_look_at_a_cgroup_of_version_2(tmp_path: Path) -> None:
    write(tmp_path, VERSION2)
    assert stand({"": str(tmp_path)}) == WANTED


def test_one_look_at_a_cgroup_of_version_1(tmp_path: Path) -> None:
    write(tmp_path, VERSION1)
    paths = {name: str(tmp_path / name) for name in ("cpu", "cpuacct", "memory", "pids")}
    assert stand(paths) == Stand(2_500_000_000, 40, 12, 230 * MIB, 120 * MIB, 100 * MIB, 17, None)


def test_controllers_that_are_off_and_groups_that_are_gone_are_unknown(tmp_path: Path) -> None:
    assert stand({"": str(tmp_path / "gone")}) == Stand()
    assert stand({}) == Stand()
    write(tmp_path, {"memory/memory.usage_in_bytes": "4096\n"})
    assert stand({"memory": str(tmp_path / "memory"), "cpuacct": str(tmp_path / "none")}) == Stand(memory=4096)


def test_a_sample_follows_the_containers_cgroup_by_its_process(tmp_path: Path) -> None:
    proc, tree = tmp_path / "proc", tmp_path / "tree"
    scope = f"system.slice/docker-{ID}.scope"
    write(tree / scope, VERSION2)
    write(
        proc,
        {
            "self/mountinfo": f"30 20 0:26 / {tree} rw shared:4 - cgroup2 cgroup2 rw\n",
            "41/cgroup": f"0::/{scope}\n",
            "41/stat": stat(41, 100, 20),
            "41/io": "rchar: 1\nwchar: 1\nread_bytes: 4096\nwrite_bytes: 8192\n",
            "42/cgroup": "0::/user.slice\n",
            "42/stat": stat(42),
            "2/stat": stat(2, flags=0x00200000),
            "stat": "cpu  10 0 10 70 10 0 0 0 0 0\ncpu0 10 0 10 70 10 0 0 0 0 0\n",
            "diskstats": " 254 0 vda 10 0 80 5 20 0 160 9 0 1500 2500\n 254 1 vda1 1 0 1 1 1 0 1 1 0 1 1\n 7 0 loop0 1 0 1 1 1 0 1 1 0 1 1\n",
        },
    )
    seen = asyncio.run(take({ID: 41}, proc))
    assert seen.where == {41: ID} and seen.of(ID) == [41]
    assert seen.looks[2].stands == {ID: WANTED}
    assert seen.looks[0].disks == {"vda": (1.5, 2.5)}
    assert seen.looks[0].cpu == (20.0, 100.0) and seen.host_cpu == 0.0
    assert seen.looks[0].moved == {41: (4096, 8192)} and seen.looks[1].moved == {}
    assert seen.looks[0].processes[2].kernel and not seen.looks[0].processes[41].kernel
    assert seen.cpu(41) == 0.0 and seen.cpu(7) == 0.0
    assert Hierarchies(proc).paths(42, ID) is None


def test_a_container_elsewhere_is_in_no_stands(tmp_path: Path) -> None:
    write(tmp_path, {"self/mountinfo": "", "41/stat": stat(41), "41/cgroup": "0::/\n"})
    assert asyncio.run(take({ID: 41}, tmp_path)).looks[2].stands == {}


def test_what_single_processes_tell(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "41/stat": stat(41, name="a) b"),
            "41/task/41/stat": stat(41, 50, 50, "R"),
            "41/task/41/schedstat": "1500000000 500000000 90\n",
            "41/task/41/status": "Name:\tapp\nvoluntary_ctxt_switches:\t12\nnonvoluntary_ctxt_switches:\t340\n",
            "41/task/43/stat": stat(43),
            "41/status": "Name:\tapp\nNSpid:\t41\t7\n",
            "41/fd/0": "",
            "41/fd/1": "",
            "41/limits": "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 524288               files\n",
            "41/cmdline": "app\0--password=hunter2secret\0",
            "41/wchan": "io_schedule",
            "42/stat": "garbage",
        },
    )
    table = processtable.table(tmp_path)
    assert table.keys() == {41} and table[41].name == "a) b" and table[41].threads == 3
    tick = os.sysconf("SC_CLK_TCK")
    (one,) = processtable.threads(41, tmp_path).values()  # the other one has no status any more
    assert one == Thread(12, 340, 100 / tick, 2.0, "R")
    assert processtable.open_files(41, tmp_path) == (2, 1024)
    assert processtable.inner_pid(41, tmp_path) == 7
    assert processtable.waits_in(41, tmp_path) == "io_schedule"
    assert "hunter2secret" not in processtable.command(41, tmp_path)
    assert processtable.threads(99, tmp_path) == {} and processtable.open_files(99, tmp_path) is None
    assert processtable.command(99, tmp_path) == "" and processtable.inner_pid(99, tmp_path) is None


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc here")
def test_this_very_process_is_found_as_it_is() -> None:
    mine = processtable.table()[os.getpid()]
    assert mine.parent == os.getppid() and mine.rss > 1 << 20 and not mine.kernel
    assert os.getpid() in processtable.threads(os.getpid())
    number, most = processtable.open_files(os.getpid()) or (0, 0)
    assert 0 < number < most
