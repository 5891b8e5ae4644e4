"""The kernel's log: read by each way there is, understood in the words of several kernels, judged beside the stack."""

from __future__ import annotations

import asyncio
import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from console.checks.check import Finding, Status
from console.checks.looks import kernel
from console.checks.looks.kernel import Around
from console.errors import SourceError
from console.watch import kernellog
from console.watch.kernellog import KernelLine
from console.watch.kernelwords import Said, understand
from console.watch.mounts import parse_mounts
from tests.unit.made_container import container, document, scene

NOW = 1_790_000_000.0
APP = "ab" * 32
OTHER = "cd" * 32
OOM_NEW = (
    f"oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset={APP},mems_allowed=0,oom_memcg=/docker/{APP},"
    f"task_memcg=/docker/{APP},task=python3,pid=4711,uid=10001",
    "Memory cgroup out of memory: Killed process 4711 (python3) total-vm:300000kB, anon-rss:262144kB, file-rss:3072kB,"
    " shmem-rss:0kB, UID:10001 pgtables:600kB oom_score_adj:0",
)
OOM_SYSTEMD = tuple(line.replace(f"/docker/{APP}", f"/system.slice/docker-{APP}.scope") for line in OOM_NEW)
OOM_OLD = (
    f"Task in /docker/{APP} killed as a result of limit of /docker/{APP}",
    "Memory cgroup out of memory: Kill process 4711 (python3) score 990 or sacrifice child",
    "Killed process 4711 (python3) total-vm:300000kB, anon-rss:262144kB, file-rss:3072kB",
)
OOM_HOST = (
    "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,"
    "task_memcg=/system.slice/backup.service,task=restic,pid=99,uid=0",
    "Out of memory: Killed process 99 (restic) total-vm:9000000kB, anon-rss:8388608kB, file-rss:0kB",
)


def said(*texts: str, at: float = NOW - 60) -> Said:
    return understand(KernelLine(at + number / 100, text) for number, text in enumerate(texts))


def around(**changes: Any) -> Around:
    app = replace(container("app"), id=APP, memory=256 << 20)
    return replace(Around(NOW, {APP: app}, {APP: "app"}, frozenset({"vda1"}), (10, 65536)), **changes)


def judged(*texts: str, at: float = NOW - 60, **changes: Any) -> list[Finding]:
    return list(kernel.judge(said(*texts, at=at), around(**changes)))


@pytest.mark.parametrize("lines", [OOM_NEW, OOM_SYSTEMD, OOM_OLD], ids=["cgroupfs", "systemd", "before 5.0"])
def test_a_kill_is_mapped_to_its_service_in_the_words_of_each_kernel(lines: tuple[str, ...]) -> None:
    (one,) = said(*lines).killed
    assert (one.pid, one.name, one.container, one.limited, one.anonymous) == (4711, "python3", APP, True, 256 << 20)
    (found,) = judged(*lines)
    assert (found.key, found.status) == ("quick.oom:app", Status.WARN)
    assert "killed python3 (pid 4711) of app at " in found.summary and "its limit of 256 MiB" in found.summary
    assert found.suggestions[0].title == "docker update --memory 512m --memory-swap 512m shop-app-1"
    assert "held 256 MiB of its own" in found.evidence[0]


def test_kills_of_one_service_are_one_finding_and_others_kills_are_theirs() -> None:
    again = tuple(line.replace("4711", "4712") for line in OOM_NEW)
    (found,) = judged(*OOM_NEW, *again)
    assert "2 kills in 15 min" in found.summary and len(found.evidence) == 2
    assert judged(*(line.replace(APP, OTHER) for line in OOM_NEW)) == []


def test_a_host_without_memory_is_told_with_whom_the_kernel_chose() -> None:
    (found,) = judged(*OOM_HOST)
    assert found.key == "quick.oom:host"
    assert "restic (pid 99) of the host" in found.summary and "whole host had no memory" in found.summary


@pytest.mark.parametrize(
    ("line", "device", "grave"),
    [
        ("EXT4-fs (vda1): Remounting filesystem read-only", "vda1", True),
        ("EXT4-fs error (device vda1): ext4_find_entry:1455: inode #2: comm ls: reading directory", "vda1", True),
        ("XFS (vda1): Log I/O Error Detected. Shutting down filesystem", "vda1", True),
        ("XFS (vda1): Metadata corruption detected at xfs_agi_verify, Corruption of in-memory data", "vda1", True),
        ("BTRFS: error (device vda1) in btrfs_commit_transaction:2000: errno=-5 IO failure (failed)", "vda1", True),
        ("Buffer I/O error on dev vda1, logical block 5, lost async page write", "vda1", True),
        ("Buffer I/O error on dev vda1, logical block 5, async page read", "vda1", False),
        ("blk_update_request: I/O error, dev vda, sector 2048 op 0x0:(READ) flags 0x0", "vda", False),
        ("I/O error, dev nvme0n1, sector 2048 op 0x1:(WRITE) flags 0x800 phys_seg 1 prio class 2", "nvme0n1", False),
        ("critical medium error, dev sda, sector 1 op 0x0:(READ)", "sda", False),
    ],
)
def test_disk_errors_in_the_words_of_each_file_system(line: str, device: str, grave: bool) -> None:
    one = said(line).disks[device]
    assert (one.device, one.grave, one.times) == (device, grave, 1)
    (found,) = judged(line)
    mounted = device.startswith("vda")
    assert found.status is (Status.FAIL if grave and mounted else Status.WARN)


def test_a_loop_device_that_is_gone_is_nobodys_trouble() -> None:
    line = "EXT4-fs (loop5): Remounting filesystem read-only"
    assert judged(line) == []
    assert judged(line, mounted=frozenset({"loop5"}))[0].status is Status.FAIL


def test_a_full_table_of_connections_fails_while_it_drops_and_warns_before_and_after() -> None:
    line = "nf_conntrack: nf_conntrack: table full, dropping packet"
    (now,) = judged(line, at=NOW - 5, connections=(65536, 65536))
    assert (now.status, now.suggestions[0].title) == (Status.FAIL, "sysctl -w net.netfilter.nf_conntrack_max=131072")
    (past,) = judged(line, at=NOW - 600)
    assert past.status is Status.WARN
    (soon,) = judged(connections=(60000, 65536))
    assert soon.status is Status.WARN and "nearly full" in soon.summary
    assert judged(connections=(58000, 65536)) == [] and judged(connections=None) == []


def test_crashes_and_hangs_are_counted_and_named() -> None:
    (found,) = judged(
        "python3[812]: segfault at 0 ip 00007f1 sp 00007ffe error 4 in libc.so.6[7f1+195000]",
        "traps: shop worker[813] general protection fault ip:55 sp:7ffe error:0 in app[55+1]",
    )
    assert found.summary == "2 programs crashed in 15 min: python3, shop worker"
    (hung,) = judged("INFO: task kworker/u4:1+flush-254:0:77 blocked for more than 120 seconds.")
    assert "hang for more than 120 s: kworker/u4:1+flush-254:0" in hung.summary


@pytest.mark.parametrize(
    "line",
    [
        "veth15cbfdd: entered promiscuous mode",
        "EXT4-fs (vda1): mounted filesystem with ordered data mode",
        "EXT4-fs (vda1): re-mounted 1234 r/w. Quota mode: none.",
        "XFS (vda1): Ending clean mount",
        "oom_reaper: reaped process 4711 (python3), now anon-rss:0kB, file-rss:0kB, shmem-rss:0kB",
        "python3 invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0",
    ],
)
def test_what_a_healthy_kernel_says_is_nothing(line: str) -> None:
    assert judged(line) == []


# -- reading


def records(*texts: str, ago: float = 10.0) -> list[bytes]:
    micro = int((time.clock_gettime(time.CLOCK_MONOTONIC) - ago) * 1e6)
    return [f"3,{n},{micro + n},-;{text}\n SUBSYSTEM=block\n".encode() for n, text in enumerate(texts)]


def told_by(path: Path, window: float = 900.0) -> tuple[KernelLine, ...]:
    return asyncio.run(kernellog.recent(time.time(), window, path))


def test_records_of_kmsg_are_read_until_there_is_no_more(tmp_path: Path) -> None:
    pipe = tmp_path / "kmsg"
    os.mkfifo(pipe)
    keep = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)  # a pipe gives all at once: one record, then EAGAIN as kmsg does
    try:
        os.write(keep, records("I/O error, dev sda, sector 1")[0])
        (line,) = told_by(pipe)
        assert line.text == "I/O error, dev sda, sector 1" and abs(time.time() - 10 - line.at) < 1
        os.write(keep, records("old", ago=2000.0)[0])
        assert told_by(pipe) == ()
    finally:
        os.close(keep)


def test_what_programs_write_into_kmsg_is_not_the_kernels() -> None:
    assert kernellog.from_kmsg(b"12,5,1000,-;systemd[1]: Out of memory: Killed process 1 (x)\n", NOW) is None
    assert kernellog.from_kmsg(b"nonsense", NOW) is None
    escaped = kernellog.from_kmsg(rb"6,1,1000000,-;name \x1b[31mred", NOW)
    assert escaped is not None and "\x1b" not in escaped.text
    long = kernellog.from_kmsg(b"6,1,1000000,-;" + b"x" * 5000, NOW)
    assert long is not None and len(long.text) <= 2000


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "bin"
    place.mkdir()
    monkeypatch.setenv("PATH", str(place))
    return place


def program(place: Path, name: str, script: str) -> None:
    path = place / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_without_kmsg_the_journal_is_asked_then_dmesg(tmp_path: Path, programs: Path) -> None:
    nowhere = tmp_path / "nowhere"
    with pytest.raises(SourceError, match="kernel's log cannot be read"):
        told_by(nowhere)
    uptime = time.clock_gettime(time.CLOCK_MONOTONIC)
    program(programs, "dmesg", f"echo '[{uptime - 30:12.6f}] I/O error, dev sda, sector 1'")
    program(programs, "journalctl", "exit 0")  # no right to read, and quiet about it
    (line,) = told_by(nowhere)
    assert line.text.startswith("I/O error") and abs(time.time() - 30 - line.at) < 2
    program(programs, "journalctl", f"echo '{time.time() - 20:.6f} web1 kernel: EXT4-fs error (device sda1): x'")
    (line,) = told_by(nowhere)
    assert line.text == "EXT4-fs error (device sda1): x"
    program(programs, "journalctl", "exit 1")
    program(programs, "dmesg", "echo 'dmesg: read kernel buffer failed: Operation not permitted' >&2; exit 1")
    with pytest.raises(SourceError):
        told_by(nowhere)


def test_a_container_that_is_gone_is_known_by_the_engines_events() -> None:
    def event(ident: str, project: str) -> bytes:
        about = {"com.docker.compose.project": project, "com.docker.compose.service": "worker"}
        return json.dumps({"Action": "die", "Actor": {"ID": ident, "Attributes": about}}).encode() + b"\n"

    async def ask() -> dict[str, str]:
        async with scene(document("app"), document("web", project="other")) as (here, engine):
            engine.answers["/events"] = (200, event(APP, "shop") + event(OTHER, "other"))
            return await kernel._ours(here, {APP, OTHER, ""})

    mine = document("app")["Id"]
    assert asyncio.run(ask()) == {mine: "app", APP: "worker"}


# -- read-only file systems

TABLE = b"""\
25 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
40 25 254:16 / /data ro,relatime shared:9 - ext4 /dev/vdb ro,errors=remount-ro
41 25 254:32 / /srv rw,relatime - ext4 /dev/vdc ro
42 25 0:50 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw
"""


def test_a_read_only_file_system_fails_where_somebody_writes() -> None:
    table = parse_mounts(TABLE)
    assert [m.point for m in table if m.read_only] == ["/data", "/srv"]
    assert list(kernel.read_only(table, {"/home/app": "app"}, "/var/lib/docker")) == []
    found = list(kernel.read_only(table, {"/data/pg": "postgres", "/data/redis": "redis"}, "/var/lib/docker"))
    assert [(f.status, f.summary) for f in found] == [
        (Status.FAIL, "the file system at /data is read-only: postgres, redis cannot write")
    ]
    assert next(iter(kernel.read_only(table, {}, "/srv/docker"))).summary.endswith("the engine cannot write")


def test_connections_are_read_where_the_kernel_tracks_them(tmp_path: Path) -> None:
    assert kernel.connections(tmp_path) is None
    place = tmp_path / "sys" / "net" / "netfilter"
    place.mkdir(parents=True)
    (place / "nf_conntrack_count").write_text("12\n")
    (place / "nf_conntrack_max").write_text("65536\n")
    assert kernel.connections(tmp_path) == (12, 65536)
