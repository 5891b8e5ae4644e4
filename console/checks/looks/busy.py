"""What takes the cpu and memory of containers: loops that never pause, quotas, limits of processes and of open files."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from console.checks.check import Finding, Status, Suggestion
from console.checks.containers import crossed
from console.checks.diagnosis import Check, Looked
from console.checks.looks.sampled import labels, sample
from console.checks.made import count
from console.checks.scene import Scene
from console.config import Limits
from console.watch import processtable
from console.watch.container_records import Container
from console.watch.inspected import container_from_inspect
from console.watch.processtable import Proc, Thread
from console.watch.sampling import BUSY, Sample

GROUP = "performance"
PAUSES = 2.0  # waits of its own in a second: a program that serves somebody waits more often than that
LONGER = 1.0  # seconds more that a process is watched which did not pause: work may do that for half a second
OWN = 0.95  # of its cpu in its own code; threads of one interpreter wait for each other, and turn all the same
WHOLE = 0.85  # of a core, or of its quota where that is less
QUARTER = 0.25  # of a core, by one thread: less is no trouble while cores are free ...
ALWAYS = 0.9  # ... and where they are not, it ran or waited for one so much of the time
HELD = 0.25  # of the periods of its quota
_NO_CORE_FREE = 0.95  # of all cores used
_PERIODS = 4  # of which the quota must have had so many
_MOST_FILES = 30  # processes of one container whose open files are counted, the oldest first
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Seen:
    """One container: its record, what people and recovery call it, its role, and what the sample has of it."""

    container: Container
    label: str
    name: str  # the label, and which of its replicas it is where there are several
    service: str
    role: str
    sample: Sample
    cores: int  # of the host

    @property
    def room(self) -> float:
        """Cores that it may use."""
        return self.container.cpu_limit or float(self.cores)

    @property
    def pids(self) -> list[int]:
        return self.sample.of(self.container.id)

    @property
    def cpu(self) -> float | None:
        """Cores that it used."""
        old, new = (self.sample.looks[at].stands.get(self.container.id) for at in (0, 2))
        if old is None or new is None or old.cpu is None or new.cpu is None:
            return None
        return max(0, new.cpu - old.cpu) / 1e9 / self.sample.seconds

    @property
    def throttled(self) -> float | None:
        """Share of the quota's periods in which it was held back."""
        old, new = (self.sample.looks[at].stands.get(self.container.id) for at in (0, 2))
        if old is None or new is None or None in (old.periods, old.throttled, new.periods, new.throttled):
            return None
        periods = (new.periods or 0) - (old.periods or 0)
        return ((new.throttled or 0) - (old.throttled or 0)) / periods if periods >= _PERIODS else 0.0

    def told(self, pids: Iterable[int]) -> tuple[str, ...]:
        """Processes with what they use, for evidence."""
        processes = self.sample.looks[2].processes
        return tuple(f"{processes[p].name} (pid {p}) uses {100 * self.sample.cpu(p):.0f} % of a core" for p in pids)


async def look(scene: Scene) -> Looked:
    """Says nothing of containers that are no processes of this host."""
    seen = await sample(scene)
    some = await _all(scene, seen)
    if not some:
        return Looked()
    found: list[Finding] = []
    loops = await _loops(some)
    for one in some:
        limits = scene.config.thresholds
        turning = loops.get(one.container.id, [])
        cpu = await asyncio.to_thread(spin, one, turning) if turning else busy(one, limits)
        found += [f for f in (cpu, memory(one, limits), processes(one, limits)) if f is not None]
        if (told := await asyncio.to_thread(_files, one.pids, seen)) and (full := open_files(one, told, limits)):
            found.append(full)
    return Looked(tuple(found), f"{count(len(some), 'container')}: none turns in a loop or is at a limit")


async def _all(scene: Scene, seen: Sample) -> list[Seen]:
    if not scene.engine.local:
        return []
    stack, names = await scene.stack(), await labels(scene)
    found = []
    for told in await scene.watched():
        one = container_from_inspect(told)
        if one.running and one.id in names and one.id in seen.looks[2].stands:
            label = names[one.id]
            name = label if len(stack.services[label]) == 1 else f"{label} ({one.name})"
            role, cores = stack.roles.get(label, ""), os.cpu_count() or 1
            found.append(Seen(one, label, name, stack.service(label), role, seen, cores))
    return found


# --- loops --------------------------------------------------------------------------------------------------------


async def _loops(some: Sequence[Seen]) -> dict[str, list[int]]:
    """Container id -> processes of it that did not pause. Who looks like it is watched a little longer."""
    suspects = {one.container.id: found for one in some if (found := suspected(one))}
    pids = [pid for its in suspects.values() for pid in its]
    if not pids:
        return {}
    began = time.monotonic()
    before = {pid: await asyncio.to_thread(processtable.threads, pid) for pid in pids}
    await asyncio.sleep(LONGER)
    seconds = time.monotonic() - began
    after = {pid: await asyncio.to_thread(processtable.threads, pid) for pid in pids}
    rooms = {one.container.id: one.room for one in some}
    shares = {one.container.id: {p: one.sample.own_code(p) for p in one.pids} for one in some}
    return {
        container: still
        for container, its in suspects.items()
        if (
            still := [
                pid
                for pid in its
                if turns(before[pid], after[pid], seconds, rooms[container], shares[container].get(pid, 0.0))
            ]
        )
    }


def suspected(one: Seen) -> list[int]:
    """Processes that did not pause throughout the sample, the busiest first."""
    seen = one.sample
    found = [
        pid
        for pid in one.pids
        if pid in seen.threads
        and seen.cpu(pid) >= BUSY
        and turns(*seen.threads[pid], seen.looks[2].at - seen.looks[1].at, one.room, seen.own_code(pid))
    ]
    return sorted(found, key=lambda pid: -seen.cpu(pid))


def turns(
    before: Mapping[int, Thread], after: Mapping[int, Thread], seconds: float, room: float, own_code: float
) -> bool:
    """Whether a thread never waited for anything, or the process took all it may have for code of its own.

    On a host without a free core both are told by the time in which they would have run. A thread that was ready to
    run before and after, and waited for nothing in between, was so all the time, however little it was let run.

    >>> turns({7: Thread(5, 9, 1.0)}, {7: Thread(5, 40, 1.9)}, 1.0, 2.0, 0.5)
    True
    >>> turns({7: Thread(5, 9, 1.0)}, {7: Thread(400, 40, 1.9)}, 1.0, 2.0, 0.7)
    False
    >>> turns({7: Thread(5, 9, 1.0, 2.0)}, {7: Thread(5, 40, 1.1, 2.99)}, 1.0, 2.0, 0.5)
    True
    >>> turns({7: Thread(5, 9, 1.0, 2.0, "R")}, {7: Thread(5, 40, 1.1, 2.3, "R")}, 1.0, 2.0, 0.5)
    True
    """
    used = ready = 0.0
    for thread, new in after.items():
        old = before.get(thread)
        if old is None:
            continue
        cpu = (new.cpu - old.cpu) / seconds
        wanted = 0.0 if old.ready is None or new.ready is None else (new.ready - old.ready) / seconds
        used, ready = used + cpu, ready + wanted
        waits = new.voluntary - old.voluntary
        if max(cpu / QUARTER, wanted / ALWAYS) >= 1 and waits <= PAUSES * max(seconds, 0.5):
            return True
        if waits == 0 and old.state == new.state == "R":
            return True
    return own_code >= OWN and (used >= WHOLE * min(1.0, room) or ready >= ALWAYS)


def spin(one: Seen, pids: Sequence[int], proc: Path = processtable.PROC) -> Finding:
    """Reads the command of each of `pids`: it blocks."""
    process = one.sample.looks[2].processes[pids[0]]
    used = sum(one.sample.cpu(pid) for pid in pids)
    more = f" and {len(pids) - 1} more" if len(pids) > 1 else ""
    verb = "never pause" if more else "never pauses"
    text = f"{one.name} burns cpu: {process.name} (pid {process.pid}){more} {verb}, {100 * used:.0f} % of a core"
    evidence = []
    for pid in pids[:3]:
        evidence.append(f"pid {pid}: {processtable.command(pid, proc) or one.sample.looks[2].processes[pid].name}")
        evidence.append(f"it was never idle, and {one.sample.own_code(pid):.0%} of its cpu is its own code")
    evidence += _quota(one)
    if one.sample.host_cpu >= _NO_CORE_FREE:
        evidence.append("the host has no core free: it would take more")
    fix = _end(one, process, processtable.inner_pid(process.pid, proc))
    return Finding(f"{GROUP}.spin", GROUP, Status.WARN, text, tuple(evidence), (fix,), one.label)


def _end(one: Seen, process: Proc, inner: int | None) -> Suggestion:
    """A restart; of a store only the statement is ended, where it is one."""
    wrong = "it ends by itself within a minute: then it was work"
    if one.role == "database" and process.name.startswith("postgres") and inner:
        return Suggestion(
            f"see the statement of session {inner} of {one.label}, then SELECT pg_cancel_backend({inner})",
            "a statement that computes takes a core until it ends; a restart ends everybody's",
            "none",
            0.5,
            cost="that statement fails, and its program is told",
            falsified_by=wrong,
        )
    return Suggestion(
        f"restart {one.label} (level 1)",
        f"a loop does not end by itself; look at pid {process.pid} first (py-spy dump, perf top): a restart destroys "
        "the evidence",
        f"recover:1:{one.service}",
        0.4 if one.role in ("database", "cache") else 0.6,
        falsified_by=wrong,
    )


# --- quota, memory, processes, files ------------------------------------------------------------------------------


def busy(one: Seen, limits: Mapping[str, Limits]) -> Finding | None:
    """Near what it may use, or held back by it."""
    cpu, held = one.cpu, one.throttled
    if cpu is None:
        return None
    quota = one.container.cpu_limit
    near = crossed(100 * cpu / one.room, limits.get("container_cpu", Limits())) is not None
    if quota is None:
        if not near:
            return None
        text = f"{one.name} uses {100 * cpu / one.room:.0f} % of all {one.cores} cores, and has no cpu limit"
        return _limited("containers.cpu", one, text, one.told(one.sample.busiest(one.pids)), None)
    if held is None or held < HELD:
        return None
    text = f"{one.name} is held back by its limit of {quota:g} cpu {100 * held:.0f} % of the time"
    twice = f"{2 * quota:g}"
    fix = Suggestion(
        f"docker update --cpus {twice} {one.container.name}",
        "it has work for more than it may use; see its processes first, and write the same into its Compose file",
        "none",
        0.4,
        cost="the others of this host have that much less; nothing is restarted",
        falsified_by="its callers wait as long with twice the cpu",
    )
    return _limited("containers.cpu", one, text, (*one.told(one.sample.busiest(one.pids)), *_quota(one)), fix)


def _quota(one: Seen) -> list[str]:
    quota, held, cpu = one.container.cpu_limit, one.throttled, one.cpu
    if quota is None or held is None or cpu is None:
        return []
    return [f"the container uses {cpu:.2f} of its {quota:g} cpu, held back {100 * held:.0f} % of the time"]


def memory(one: Seen, limits: Mapping[str, Limits]) -> Finding | None:
    """By what is its own: page cache is given back when there is need of it."""
    now, limit = one.sample.looks[2].stands[one.container.id], one.container.memory_limit
    if limit is None or now.anonymous is None:
        return None
    share = 100 * now.anonymous / limit
    if (status := crossed(share, limits.get("container_memory", Limits()))) is None:
        return None
    text = f"{one.name} uses {share:.0f} % of its memory limit ({limit / _MIB:.0f} MiB) for itself"
    cache = f", {now.cache / _MIB:.0f} MiB is page cache" if now.cache is not None else ""
    largest = sorted(one.pids, key=lambda pid: -one.sample.looks[2].processes[pid].rss)[:2]
    held = [one.sample.looks[2].processes[pid] for pid in largest]
    evidence = [f"{now.anonymous / _MIB:.0f} MiB is its own{cache}"]
    evidence += [f"{p.name} (pid {p.pid}) holds {p.rss / _MIB:.0f} MiB" for p in held]
    return _limited("containers.memory", one, text, evidence, None, status)


def processes(one: Seen, limits: Mapping[str, Limits]) -> Finding | None:
    now = one.sample.looks[2].stands[one.container.id]
    most = now.most_pids
    if most is None or now.pids is None or not most:
        return None
    if (status := crossed(100 * now.pids / most, limits.get("container_pids", Limits()))) is None:
        return None
    text = f"{one.name} has {now.pids} of the {most} processes and threads it may have"
    every = [one.sample.looks[2].processes[pid] for pid in one.pids]
    names = Counter(p.name for p in every).most_common(3)
    threads = max(every, key=lambda p: p.threads, default=None)
    evidence = [f"{number} of {name}" for name, number in names]
    if threads is not None and threads.threads > 1:
        evidence.append(f"{threads.name} (pid {threads.pid}) has {threads.threads} threads")
    fix = Suggestion(
        f"docker update --pids-limit {2 * most} {one.container.name}",
        "at the limit it can start nothing any more, not even its health check; then see why it starts so many",
        "none",
        0.5,
        cost="nothing is restarted",
        falsified_by="their number goes on growing: then it leaks them, and a restart buys time",
    )
    return _limited(f"{GROUP}.pids", one, text, evidence, fix, status)


def _files(pids: Sequence[int], seen: Sample) -> dict[int, tuple[int, int]]:
    """pid -> (open, limit), of those that tell."""
    oldest = sorted(pids, key=lambda pid: seen.looks[2].processes[pid].started)[:_MOST_FILES]
    return {pid: told for pid in oldest if (told := processtable.open_files(pid)) is not None}


def open_files(one: Seen, told: Mapping[int, tuple[int, int]], limits: Mapping[str, Limits]) -> Finding | None:
    """`told`: pid -> (open, how many it may have open)."""
    pid = max(told, key=lambda p: told[p][0] / max(1, told[p][1]))
    number, most = told[pid]
    if (status := crossed(100 * number / max(1, most), limits.get("open_files", Limits()))) is None:
        return None
    name = one.sample.looks[2].processes[pid].name
    text = f"{one.name} has {number} of the {most} files and connections open that it may have: {name} (pid {pid})"
    fix = Suggestion(
        f"restart {one.label} (level 1), then raise its ulimits.nofile above {most}",
        f"at the limit it takes no connection any more; see first what it holds: ls -l /proc/{pid}/fd",
        f"recover:1:{one.service}",
        0.4,
        falsified_by="as many are open a minute after the restart: then it needs them, or the limit is too low",
    )
    return _limited(f"{GROUP}.files", one, text, (), fix, status)


def _limited(
    check: str,
    one: Seen,
    text: str,
    evidence: Iterable[str],
    fix: Suggestion | None,
    status: Status = Status.WARN,
) -> Finding:
    return Finding(check, GROUP, status, text, tuple(evidence), (fix,) if fix else (), one.label)


CHECKS = (Check(f"{GROUP}.containers", "no container turns in a loop or is at a limit", look),)
