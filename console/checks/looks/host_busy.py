"""Who uses the host when it is busy, which disk is the narrow place and who writes there, and what came back too often."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from console.checks.check import Finding, Status, Suggestion
from console.checks.containers import STOP_WINDOW, crossed
from console.checks.diagnosis import Check, Looked
from console.checks.looks.sampled import called, labels, sample
from console.checks.scene import ENGINE_DEADLINE, Scene
from console.checks.wording import clock
from console.config import Limits
from console.watch import processtable
from console.watch.sampling import Sample

GROUP = "performance"
LOADED = 0.7  # load of a minute for each core: below that a busy second is a busy second
QUEUE = 2.0  # requests that wait for a disk at any moment
LONGER = 1.0  # seconds more that a busy disk is watched
OFTEN = 3  # ends within an hour that nobody asked for
HOUR = 3600.0
_SHOWN = 4
_MIB = 1 << 20


async def look_host(scene: Scene) -> Looked:
    seen, names = await asyncio.gather(sample(scene), labels(scene))
    load = await asyncio.to_thread(os.getloadavg)
    found = host(seen, names, load[0] / (os.cpu_count() or 1), scene.config.thresholds)
    return Looked((found,) if found else (), f"the host's cpu is used {100 * seen.host_cpu:.0f} %")


def host(seen: Sample, names: dict[str, str], load: float, limits: Mapping[str, Limits]) -> Finding | None:
    """`load`: of one minute for each core."""
    share = 100 * (seen.host_cpu - seen.cpu(os.getpid()) / (os.cpu_count() or 1))
    if crossed(share, limits.get("cpu", Limits())) is None or load < LOADED:
        return None
    used: Counter[str] = Counter()
    others = [pid for pid in seen.looks[2].processes if pid != os.getpid()]  # we are busy only now
    for pid in others:
        container = seen.where.get(pid, "")
        used[names.get(container, f"container {container[:12]}") if container else ""] += seen.cpu(pid)  # type: ignore[assignment]
    top = seen.busiest(others, _SHOWN)
    evidence = [f"{called(seen, pid, names)} uses {100 * seen.cpu(pid):.0f} % of a core" for pid in top]
    places = [(name or "the host's own processes", cores) for name, cores in used.most_common(3) if cores > 0.05]
    evidence += [f"{name}: {cores:.2f} cores in all" for name, cores in places]
    first = places[0][0] if places else "nobody that stayed"
    largest = sorted(seen.looks[2].processes.values(), key=lambda p: -p.rss)[:1]
    evidence += [f"{called(seen, p.pid, names)} holds {p.rss / _MIB:.0f} MiB, more than any other" for p in largest]
    fix = Suggestion(
        f"see what keeps {called(seen, top[0], names)} busy" if top else "see who comes and goes: top, docker stats",
        "busy is not broken: whoever works for users should go on, and backups and builds can wait",
        "none",
        0.4,
        falsified_by="answers are as slow when it has ended",
    )
    text = f"the host is busy: cpu {share:.0f} %, most of it {first}"
    return Finding("host.busy", GROUP, Status.WARN, text, tuple(evidence), (fix,), "host")


async def look_disk(scene: Scene) -> Looked:
    seen, names = await asyncio.gather(sample(scene), labels(scene))
    bound = scene.config.thresholds.get("disk_busy", Limits())
    found = []
    for name, (share, queue) in rates(seen.looks[0].disks, seen.looks[2].disks, seen.seconds).items():
        if crossed(100 * share, bound) is None or queue < QUEUE:
            continue
        before = await asyncio.to_thread(processtable.disk_times)
        await asyncio.sleep(LONGER)
        still = rates(before, await asyncio.to_thread(processtable.disk_times), LONGER).get(name, (0.0, 0.0))
        if crossed(100 * still[0], bound) is not None and still[1] >= QUEUE:
            found.append(disk(name, still, seen, names))
    return Looked(tuple(found), "no disk is a narrow place")


def rates(
    before: Mapping[str, tuple[float, float]], after: Mapping[str, tuple[float, float]], seconds: float
) -> dict[str, tuple[float, float]]:
    """Disk -> (share of the time it was busy, requests that waited at any moment)."""
    return {
        name: (min(1.0, (busy - before[name][0]) / seconds), (waited - before[name][1]) / seconds)
        for name, (busy, waited) in after.items()
        if name in before
    }


def disk(name: str, told: tuple[float, float], seen: Sample, names: dict[str, str]) -> Finding:
    writers = _movers(seen)
    who = f", most by {called(seen, writers[0][0], names)}" if writers else ""
    text = f"disk {name} is busy {100 * told[0]:.0f} % of the time, {told[1]:.0f} requests wait for it{who}"
    evidence = [
        f"{called(seen, pid, names)} reads {read / _MIB:.1f} and writes {written / _MIB:.1f} MiB a second"
        for pid, read, written in writers
    ] or ["who reads and writes is told to root only"]
    fix = Suggestion(
        f"see what {called(seen, writers[0][0], names)} does" if writers else f"see who uses {name}: iotop -o",
        "everything that reads or writes there waits: a backup, an import or a missing index can be stopped, a disk not",
        "none",
        0.4,
        falsified_by="answers are as slow when that has ended",
    )
    return Finding(f"{GROUP}.disk", GROUP, Status.WARN, text, tuple(evidence), (fix,), name)


def _movers(seen: Sample, most: int = 3) -> list[tuple[int, float, float]]:
    """(pid, bytes read, bytes written a second) of who moves most."""
    old, new = seen.looks[0].moved, seen.looks[2].moved
    rows = [
        (pid, (new[pid][0] - old[pid][0]) / seen.seconds, (new[pid][1] - old[pid][1]) / seen.seconds)
        for pid in new
        if pid in old and new[pid] != old[pid]
    ]
    return sorted(rows, key=lambda row: -(row[1] + row[2]))[:most]


async def look_restarts(scene: Scene) -> Looked:
    """By the events the engine still has: some hundreds, so a busy engine knows less than an hour."""
    told = await asyncio.to_thread(
        scene.engine.lines,
        "/events",
        ENGINE_DEADLINE,
        since=int(scene.now - HOUR),
        until=int(scene.now),
        filters='{"type":["container"],"event":["die","stop","kill"]}',
    )
    stack = await scene.stack()
    watched = {c.id: label for label in stack.watched for c in stack.services[label]}
    found = restarts(told, watched, {label: stack.service(label) for label in watched.values()}, scene.now)
    return Looked(tuple(found), "nothing ended by itself three times within the hour")


def restarts(
    told: Sequence[Any], watched: Mapping[str, str], services: Mapping[str, str], now: float
) -> Iterable[Finding]:
    """`told`: the engine's events. What somebody stopped does not count."""
    died: dict[str, list[tuple[float, str]]] = {}
    asked: dict[str, list[float]] = {}
    container: dict[str, str] = {}
    for event in told:
        actor = event.get("Actor") or {} if isinstance(event, dict) else {}
        ident, at = (
            str(actor.get("ID", "")),
            float(event.get("timeNano") or 0) / 1e9 if isinstance(event, dict) else 0.0,
        )
        if ident not in watched:
            continue
        container[ident] = str((actor.get("Attributes") or {}).get("name", ""))
        if event.get("Action") == "die":
            died.setdefault(ident, []).append((at, str((actor.get("Attributes") or {}).get("exitCode", "?"))))
        else:
            asked.setdefault(ident, []).append(at)
    for ident, ends in died.items():
        alone = [e for e in ends if not any(abs(e[0] - at) <= STOP_WINDOW for at in asked.get(ident, ()))]
        if len(alone) < OFTEN:
            continue
        label = watched[ident]
        codes = ", ".join(f"{code} ({number})" for code, number in Counter(code for _, code in alone).most_common(3))
        text = f"{label} has ended by itself {len(alone)} times within the hour, last at {clock(alone[-1][0], now)}"
        fix = Suggestion(
            f"read the last lines of {label} before each end: docker logs --until {int(alone[-1][0])} --tail 50 {container[ident]}",
            "one more restart is what the engine has done already",
            "none",
            0.4,
            falsified_by="somebody killed it on purpose each time",
        )
        evidence = (f"exit codes: {codes}",)
        yield Finding(f"{GROUP}.restarts", GROUP, Status.WARN, text, evidence, (fix,), label, alone[-1][0])


CHECKS = (
    Check(f"{GROUP}.host", "the host has cpu left", look_host),
    Check(f"{GROUP}.disk", "no disk is a narrow place", look_disk),
    Check(f"{GROUP}.restarts", "nothing ends by itself again and again", look_restarts),
)
