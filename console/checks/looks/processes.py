"""Processes that nobody can help: stuck in the kernel for long, or dead and never collected."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from console.checks.check import Finding, Status, Suggestion
from console.checks.diagnosis import Check, Looked
from console.checks.looks.sampled import called, labels, sample
from console.checks.scene import Scene
from console.watch import processtable
from console.watch.processtable import Thread
from console.watch.sampling import Sample

GROUP = "quick"
LONGER = 1.5  # seconds more that a process is watched which was stuck throughout the sample
FLOOD = 50  # dead children of one parent
_SHOWN = 3


async def look(scene: Scene) -> Looked:
    seen = await sample(scene)
    names, stuck = await labels(scene), waiting(seen)
    if stuck:
        stuck = await _still(stuck)
    waits = {pid: await asyncio.to_thread(processtable.waits_in, pid) for pid in stuck}
    found = [hung(seen, names, waits)] if waits else []
    services = {name: (await scene.stack()).service(name) for name in names.values()} if names else {}
    found += zombies(seen, names, services)
    number = len(seen.looks[2].processes)
    return Looked(tuple(found), f"none of {number} processes is stuck in the kernel")


def waiting(seen: Sample) -> list[int]:
    """Those in uninterruptible sleep at every look, without any cpu in between."""
    first = seen.looks[0].processes
    return [
        pid
        for pid, one in first.items()
        if not one.kernel
        and all((p := look.processes.get(pid)) is not None and p.state == "D" for look in seen.looks)
        and all(look.processes[pid].started == one.started for look in seen.looks)
        and seen.looks[2].processes[pid].cpu == one.cpu
    ]


async def _still(pids: Collection[int]) -> list[int]:
    """Of these, those that did not run once while they were watched a little longer: slow disks make others wait, too."""
    before = {pid: await asyncio.to_thread(processtable.threads, pid) for pid in pids}
    await asyncio.sleep(LONGER)
    after = {pid: await asyncio.to_thread(processtable.threads, pid) for pid in pids}
    return [pid for pid in pids if before[pid].get(pid) and _same(before[pid][pid], after[pid].get(pid))]


def _same(before: Thread, after: Thread | None) -> bool:
    return after is not None and (before.voluntary, before.forced) == (after.voluntary, after.forced)


def hung(seen: Sample, names: dict[str, str], waits: Mapping[int, str]) -> Finding:
    """`waits`: pid -> where in the kernel it waits, "" unknown."""
    shown = sorted(waits)[:_SHOWN]
    more = f" and {len(waits) - len(shown)} more" if len(waits) > len(shown) else ""
    text = f"stuck in the kernel: {', '.join(called(seen, pid, names) for pid in shown)}{more}"
    evidence = [f"pid {pid} waits in {waits[pid] or 'a place the kernel does not name'}" for pid in shown]
    fix = Suggestion(
        "see what they wait for: a disk, a network file system (dmesg, cat /proc/PID/stack)",
        "they have not run for two seconds and cannot be killed: no restart helps before what they wait for answers",
        "none",
        0.5,
        falsified_by="they run again by themselves: the disk was slow, not gone",
    )
    places = {names.get(seen.where.get(pid, ""), "") for pid in waits}
    subject = places.pop() if len(places) == 1 else ""
    return Finding(f"{GROUP}.stuck", GROUP, Status.WARN, text, tuple(evidence), (fix,), subject or "host")


def zombies(seen: Sample, names: dict[str, str], services: Mapping[str, str]) -> Iterable[Finding]:
    """`services`: label -> the name that recovery knows. One finding for each parent that collects nobody."""
    processes = seen.looks[2].processes
    for parent, number in Counter(one.parent for one in processes.values() if one.state == "Z").items():
        if number < FLOOD:
            continue
        label = names.get(seen.where.get(parent, ""), "")
        text = f"{called(seen, parent, names)} has {number} dead children that it does not collect"
        end = "each holds a process number until its parent ends; with init: true in its Compose file it does not come back"
        fix = (
            Suggestion(
                f"restart {label} (level 1)", end, f"recover:1:{services.get(label, label)}", 0.6,
                falsified_by="their number falls by itself",
            )
            if label
            else Suggestion(f"restart the program with pid {parent}", end, "none", 0.5, falsified_by="their number falls by itself")
        )  # fmt: skip
        evidence = (f"{len(processes)} processes in all, room for {_room()}",)
        yield Finding(f"{GROUP}.zombies", GROUP, Status.WARN, text, evidence, (fix,), label or f"pid {parent}")


def _room() -> str:
    try:
        return Path("/proc/sys/kernel/pid_max").read_text(encoding="ascii").strip()
    except OSError:
        return "an unknown number"


CHECKS = (Check(f"{GROUP}.processes", "no process is stuck, and none of the dead pile up", look),)
