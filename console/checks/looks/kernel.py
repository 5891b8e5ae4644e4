"""What the kernel has said lately: out of memory, sick disks, a full connection table, crashes; and read-only volumes."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from console.checks import files
from console.checks.check import Finding, Status, Suggestion
from console.checks.diagnosis import Check, Looked
from console.checks.looks.sampled import labels
from console.checks.made import Made, count, listed, made
from console.checks.scene import ENGINE_DEADLINE, Scene
from console.checks.wording import clock, shorten
from console.errors import SourceError
from console.text import clean
from console.watch.kernellog import recent
from console.watch.kernelwords import DiskError, Killed, Said, understand
from console.watch.mounts import Mount, docker_data_root, holder, parse_mounts

GROUP = "quick"
WINDOW = 900.0  # seconds
NOW = 120.0  # seconds within which what was said is still so
CROWDED = 0.9  # of the connection table
_LABEL = "com.docker.compose."
_PROC = Path("/proc")
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Around:
    """What the kernel's words are about: `made` by container id, `labels` of ours, devices that are mounted."""

    now: float
    made: Mapping[str, Made]
    labels: Mapping[str, str]
    mounted: frozenset[str]  # names of devices: "vda1", "dm-0"
    connections: tuple[int, int] | None = None  # tracked, and room for


async def look_kernel(scene: Scene) -> Looked:
    """Where nobody may read the kernel's log nothing is said of it: that is no trouble of the stack."""
    if not scene.engine.local:
        return Looked()
    now = time.time()
    try:
        lines = await recent(now, WINDOW)
    except SourceError:
        return Looked()
    said = understand(lines)
    some = {one.id: one for one in map(made, (await scene.inspects()).values())} if await labels(scene) else {}
    names = await _ours(scene, {one.container for one in said.killed})
    around = Around(now, some, names, await files.look(_mounted), await asyncio.to_thread(connections))
    found = tuple(judge(said, around))
    killed = "killed nothing of ours, and " if names else ""
    return Looked(found, f"the kernel {killed}reports no disk error and no crash in 15 min")


async def _ours(scene: Scene, killed: set[str]) -> dict[str, str]:
    """Container id -> service of the watched project, of those of `killed` that are gone, too: the engine has events."""
    try:
        stack = await scene.stack()
    except SourceError:
        return {}
    known = {c.id for its in stack.services.values() for c in its}
    found = {c.id: label for label in stack.watched for c in stack.services[label]}
    if killed - known - {""}:
        told = await asyncio.to_thread(
            scene.engine.lines,
            "/events",
            ENGINE_DEADLINE,
            since=int(scene.now - WINDOW),
            until=int(scene.now),
            filters='{"type":["container"],"event":["oom","die","destroy"]}',
        )
        projects = {c.project: label for label in stack.watched for c in stack.services[label]}
        for event in told:
            actor = event.get("Actor") or {}
            about, ident = actor.get("Attributes") or {}, str(actor.get("ID", ""))
            service = clean(str(about.get(_LABEL + "service", "")))
            if ident in killed and service and about.get(_LABEL + "project") in projects:
                found.setdefault(ident, service)
    return found


def judge(said: Said, around: Around) -> Iterable[Finding]:
    yield from _killed(said.killed, around)
    yield from (found for one in said.disks.values() if (found := _disk(one, around)))
    yield from _table(said.table_full, around)
    if said.crashes:
        yield _crashes(said, around)
    if said.hung:
        yield _hung(said.hung)


def _killed(killed: Sequence[Killed], around: Around) -> Iterable[Finding]:
    """One finding for each service that lost a process. What others' containers lost by their own limits is theirs."""
    by_place: dict[str, list[Killed]] = {}
    for one in killed:
        if one.container in around.labels or not one.container or not one.limited:
            by_place.setdefault(_place(one, around), []).append(one)
    for place, its in by_place.items():
        last = its[-1]
        limit = around.made[last.container].memory if last.container in around.made else None
        why = f"at its limit of {limit // _MIB} MiB" if limit and last.limited else "at the limit of its group"
        why = why if last.limited else "the whole host had no memory left"
        more = f", {len(its)} kills in 15 min" if len(its) > 1 else ""
        text = f"the kernel killed {last.name} (pid {last.pid}) of {place} at {clock(last.at, around.now)}: {why}{more}"
        evidence = tuple(
            f"{clock(one.at, around.now)} {one.name} (pid {one.pid})"
            + (f" held {one.anonymous / _MIB:.0f} MiB of its own" if one.anonymous is not None else "")
            for one in its[-5:]
        )
        subject = around.labels.get(last.container, "host" if not last.container else last.container[:12])
        fix = _more_memory(around.made.get(last.container), limit, last)
        yield _found("oom", Status.WARN, text, evidence, fix, subject, last.at)


def _place(one: Killed, around: Around) -> str:
    if not one.container:
        return "the host"
    return around.labels.get(one.container, f"container {one.container[:12]}")


def _more_memory(mine: Made | None, limit: int | None, last: Killed) -> Suggestion:
    if mine is None or limit is None or not last.limited:
        return Suggestion(
            "find who holds the memory", f"the kernel chose {last.name}: it need not be the culprit", "none", 0.4
        )
    twice = f"{2 * limit // _MIB}m"
    return Suggestion(
        f"docker update --memory {twice} --memory-swap {twice} {mine.name}",
        f"{mine.label} needs more than {limit // _MIB} MiB, or leaks; write the same into its Compose file",
        "none",
        0.5,
        cost=f"up to {limit // _MIB} MiB of the host's memory; nothing is restarted",
        falsified_by="it is killed again at twice the limit: then it leaks, and a restart buys time",
    )


def _disk(one: DiskError, around: Around) -> Finding | None:
    """Not told of a loop or mapped device that is gone: it was somebody's image."""
    mounted = any(name == one.device or name.startswith(one.device) for name in around.mounted)
    if not mounted and one.device.startswith(("loop", "dm-", "sr", "fd", "nbd")):
        return None
    status = Status.FAIL if one.grave and mounted else Status.WARN
    what = "the file system has given up" if one.grave else f"{count(one.times, 'error')} in 15 min"
    text = f"disk {one.device} fails: {what}, last at {clock(one.at, around.now)}"
    fix = Suggestion(
        f"save what is on {one.device}, then look at the disk: smartctl -a /dev/{one.device}",
        "restarts write to it once more and may lose data; take a backup elsewhere first",
        "none",
        0.8 if one.grave else 0.5,
        falsified_by="the device is not one that holds data of the stack",
    )
    return _found("disk", status, text, (one.text,), fix, one.device, one.at)


def _table(full: Sequence[float], around: Around) -> Iterable[Finding]:
    told = around.connections
    crowded = told is not None and told[1] > 0 and told[0] >= CROWDED * told[1]
    if not full and not crowded:
        return
    lately = bool(full) and around.now - full[-1] <= NOW
    text = (
        f"the kernel dropped connections: its table of them was full at {clock(full[-1], around.now)}"
        if full
        else "the kernel's table of connections is nearly full: new ones will be dropped"
    )
    evidence = [f"{told[0]} of {told[1]} entries are used"] if told else []
    evidence += [f"{count(len(full), 'complaint')} in 15 min"] if full else []
    twice = 2 * (told[1] if told else 131072)
    fix = Suggestion(
        f"sysctl -w net.netfilter.nf_conntrack_max={twice}",
        "new connections are dropped at random while it is full; then see who opens so many (ss -s)",
        "none",
        0.7,
        cost=f"at most {twice * 320 // _MIB} MiB of kernel memory",
        falsified_by="it fills again at once: then somebody floods, and more room does not help",
    )
    status = Status.FAIL if lately else Status.WARN
    yield _found("conntrack", status, text, evidence, fix, "host", full[0] if full else None)


def _crashes(said: Said, around: Around) -> Finding:
    names = listed([one.name for one in said.crashes])
    last = said.crashes[-1]
    text = f"{count(len(said.crashes), 'program')} crashed in 15 min: {names}"
    evidence = tuple(f"{clock(c.at, around.now)} {c.name} (pid {c.pid}): {c.what}" for c in said.crashes[-5:])
    fix = Suggestion(
        f"see what {last.name} was made of lately: its image, its libraries",
        "a program that touches memory that is not its own has a bug, or a broken library; a restart brings it back",
        "none",
        0.3,
        falsified_by="it crashed long before the trouble, too",
    )
    return _found("crash", Status.WARN, text, evidence, fix, names, last.at)


def _hung(said: Mapping[int, tuple[str, float]]) -> Finding:
    longest = max(seconds for _, seconds in said.values())
    names = listed([name for name, _ in said.values()])
    text = f"the kernel has seen {count(len(said), 'program')} hang for more than {longest:.0f} s: {names}"
    fix = Suggestion(
        "see what they wait for: a disk, a network file system (dmesg)",
        "they cannot be killed: no restart helps before what they wait for answers",
        "none",
        0.5,
        falsified_by="they run again: it was slow, and is over",
    )
    return _found("hung", Status.WARN, text, [f"pid {pid} {name}" for pid, (name, _) in said.items()], fix, names, None)


def _found(
    name: str, status: Status, text: str, evidence: Iterable[str], fix: Suggestion, subject: str, since: float | None
) -> Finding:
    lines = tuple(shorten(clean(line), 300) for line in evidence)
    return Finding(f"{GROUP}.{name}", GROUP, status, clean(text), lines, (fix,), subject, since)


def connections(proc: Path = _PROC) -> tuple[int, int] | None:
    """(tracked connections, room for them); None where the kernel tracks none."""
    place = proc / "sys" / "net" / "netfilter"
    try:
        return tuple(int((place / f"nf_conntrack_{name}").read_text()) for name in ("count", "max"))  # type: ignore[return-value]
    except (OSError, ValueError):
        return None


def _mounts() -> list[Mount]:
    return parse_mounts((_PROC / "self" / "mountinfo").read_bytes())


def _mounted() -> frozenset[str]:
    """Names of the devices that hold what is mounted. A mapped one has a name of its own behind a link."""
    sources = {mount.source for mount in _mounts() if mount.source.startswith("/dev/")}
    return frozenset(name for source in sources for name in (Path(source).name, Path(os.path.realpath(source)).name))


async def look_mounts(scene: Scene) -> Looked:
    if not scene.engine.local:
        return Looked()
    some = [made(one) for one in await scene.watched()]
    places = {
        str(m.get("Source", "")): one for one in await scene.watched() for m in one.get("Mounts") or () if m.get("RW")
    }
    table = await files.look(_mounts)
    found = read_only(table, {source: made(one).label for source, one in places.items() if source}, docker_data_root())
    return Looked(tuple(found), f"the file systems of {count(len(some), 'container')} can be written")


def read_only(table: Sequence[Mount], places: Mapping[str, str], root: str) -> Iterable[Finding]:
    """`places`: path on this host that a container writes to -> its service. `root`: the engine's own directory."""
    held: dict[str, set[str]] = {}
    for path, label in {**places, root: "the engine"}.items():
        on = holder(table, path)
        if on is not None and on.read_only:
            held.setdefault(on.point, set()).add(label)
    for point, who in held.items():
        text = f"the file system at {point} is read-only: {listed(sorted(who))} cannot write"
        fix = Suggestion(
            f"see why {point} is read-only (dmesg), check it, then mount -o remount,rw {point}",
            "the kernel makes a file system read-only when it finds it damaged: writing on may cost more data",
            "none",
            0.8,
            cost="what needs it stands still until then; no restart helps",
            falsified_by="it is read-only on purpose",
        )
        evidence = [f"{path} is on it ({label})" for path, label in places.items() if label in who]
        yield _found("read_only", Status.FAIL, text, evidence, fix, point, None)


CHECKS = (
    Check(f"{GROUP}.kernel", "the kernel reports no trouble", look_kernel),
    Check(f"{GROUP}.mounts", "the file systems of volumes can be written", look_mounts),
)
