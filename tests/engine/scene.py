"""A stack before and after a scenario: what must hold whatever was done to it, and however it went.

The same named volumes; rows not fewer, unless the scenario declares which are lost; nothing of ours at work any
more, on the host or in a container; every record verifies; the stack is well, or users see the maintenance page.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from console.incident.chain import writer_of
from console.incident.shelf import MIRROR
from console.incident.verify import verify
from tests.engine.small import SmallStack
from tests.lab.lab import Lab, PrivateEngine
from tests.lab.shell import LabError, wait_until

SETTLE = 30.0  # seconds for health checks to notice what is well again, and for programs to end
# What sevdeck starts in a database's container; the server's own processes are called `postgres: ...`.
_OURS = ("pg_dump", "pg_restore", "psql", "PGAPPNAME=sevdeck")
_ENGINE = ("dockerd", "containerd", "containerd-shim", "docker-proxy")
_PAGE = "We will be right back"
_STANDS_IN = "sevdeck.stands-in-for"


@dataclass(frozen=True)
class Look:
    """A stack at one moment. `rows`: None where it keeps none, or where they cannot be counted."""

    volumes: frozenset[str] = frozenset()
    rows: int | None = None
    at_work: tuple[str, ...] = ()
    damage: tuple[str, ...] = ()
    entries: int = 0  # of all records, verified
    troubles: tuple[str, ...] = ()
    page: bool = False

    @property
    def settled(self) -> bool:
        return not self.at_work and (self.page or not self.troubles)

    def __str__(self) -> str:
        rows = "" if self.rows is None else f"{self.rows} rows, "
        state = "maintenance page" if self.page else "ill" if self.troubles else "well"
        return f"{len(self.volumes)} volumes, {rows}{self.entries} entries, {state}"


def wrong(before: Look, after: Look, loses: str = "") -> list[str]:
    """What does not hold, in words; empty when all of it does. `loses`: the rows that may be gone, in words."""
    found = []
    if gone := sorted(before.volumes - after.volumes):
        found.append(f"volumes are gone: {', '.join(gone)}")
    if new := sorted(after.volumes - before.volumes):
        found.append(f"volumes were made: {', '.join(new)}")
    if before.rows is not None and not loses and (after.rows is None or after.rows < before.rows):
        found.append(f"rows: {before.rows} before, {'none can be counted' if after.rows is None else after.rows} now")
    found += [f"still at work: {one}" for one in after.at_work]
    found += [f"record: {one}" for one in after.damage]
    if after.troubles and not after.page:
        found.append(f"not well, and no maintenance page: {'; '.join(after.troubles)}")
    return found


class Ground(Protocol):
    """A stack as a scene looks at it."""

    def volumes(self) -> Iterable[str]: ...

    def rows(self) -> int | None: ...

    def at_work(self) -> Iterable[str]: ...

    def troubles(self) -> Iterable[str]: ...

    def page(self) -> bool: ...


@dataclass(frozen=True)
class Nothing:
    """No stack: only what the host shows is looked at."""

    def volumes(self) -> Iterable[str]:
        return ()

    def rows(self) -> int | None:
        return None

    def at_work(self) -> Iterable[str]:
        return ()

    def troubles(self) -> Iterable[str]:
        return ()

    def page(self) -> bool:
        return False


@dataclass(frozen=True)
class LabGround(Nothing):
    """The lab's stack, with the rows of its table `messages`."""

    lab: Lab

    def volumes(self) -> Iterable[str]:
        return _volumes(self._docker, self.lab.stack.project)

    def rows(self) -> int | None:
        with contextlib.suppress(LabError, ValueError):
            return int(self.lab.stack.sql("select count(*) from messages"))
        return None

    def at_work(self) -> Iterable[str]:
        yield from _strangers_at(self._docker, self.lab.stack.project)
        yield from _ours_in(self._docker, self.lab.stack.container("postgres"))

    def troubles(self) -> Iterable[str]:
        return self.lab.stack.troubles()

    def page(self) -> bool:
        from urllib.error import HTTPError
        from urllib.request import urlopen

        try:
            urlopen(f"http://127.0.0.1:{self.lab.stack.ports.edge}/webhook", timeout=3).close()
        except HTTPError as error:
            with error:
                return error.code == 503 and _PAGE in error.read().decode(errors="replace")
        except OSError:
            pass
        return False

    def _docker(self, *words: str) -> str:
        return self.lab.stack.docker(*words, check=False).stdout


@dataclass(frozen=True)
class SmallGround(Nothing):
    """A small stack; its rows are what it counts itself."""

    stack: SmallStack

    def volumes(self) -> Iterable[str]:
        return self.stack.volumes.split()

    def rows(self) -> int | None:
        with contextlib.suppress(AssertionError, ValueError):
            return self.stack.rows()
        return None

    def at_work(self) -> Iterable[str]:
        yield from _strangers_at(self._docker, self.stack.name)
        yield from _ours_in(self._docker, f"{self.stack.name}-postgres-1")

    def troubles(self) -> Iterable[str]:
        return [] if self.stack.running else [f"{s}: {state}" for s, state in self.stack.containers().items()]

    def _docker(self, *words: str) -> str:
        return self.stack.docker(*words, check=False)


@dataclass(frozen=True)
class EngineGround(Nothing):
    """All containers of a private engine."""

    engine: PrivateEngine

    def volumes(self) -> Iterable[str]:
        return self.engine.docker("volume", "ls", "--quiet").stdout.split()

    def troubles(self) -> Iterable[str]:
        told = self.engine.docker("ps", "--all", "--format", "{{.Names}} {{.State}}").stdout
        return [line for line in told.splitlines() if not line.endswith(" running")]


Docker = Callable[..., str]


def _volumes(docker: Docker, project: str) -> list[str]:
    return docker("volume", "ls", "--quiet", "--filter", f"label=com.docker.compose.project={project}").split()


def _strangers_at(docker: Docker, project: str) -> Iterator[str]:
    """Containers that hold a volume of the project and are none of its own: one-off ones that did not go."""
    form = f'{{{{.Names}}}} {{{{.Label "com.docker.compose.project"}}}} {{{{.Label "{_STANDS_IN}"}}}}'
    for volume in _volumes(docker, project):
        for line in docker("ps", "--all", "--filter", f"volume={volume}", "--format", form).splitlines():
            if not line.split(" ")[1:3] or not any(line.split(" ")[1:3]):
                yield f"container {line.split(' ')[0]} on volume {volume}"


def _ours_in(docker: Docker, container: str) -> Iterator[str]:
    for line in docker("top", container, "-eo", "pid,args").splitlines()[1:]:
        if any(word in line for word in _OURS):
            yield f"in {container}: {line.strip()}"


def of_host(home: Path, place: Path) -> Iterator[str]:
    """Processes that this test started, or that ours started in turn, and that are there still.

    They know the test by its home in their environment, or by its directory on their command line.
    """
    marks = (f"SEVDECK_DATA_DIR={home}/".encode(), f"{place}/".encode())
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes()
            known = marks[0] in (entry / "environ").read_bytes() or marks[1] in words
            if known and words and (entry / "comm").read_text().strip() not in _ENGINE:
                yield f"process {entry.name}: {words.replace(bytes(1), b' ').decode(errors='replace').strip()[:200]}"


def records(*places: Path) -> tuple[int, tuple[str, ...]]:
    """(entries, damage) of every record below these directories, of runs and of incidents, read anew.

    An unfinished last line is no damage: it was never acknowledged.
    """
    files = {path for place in places for path in place.rglob("*.jsonl") if writer_of(path) is not None}
    verdicts = {d: verify(d) for d in sorted({path.parent for path in files if path.parent.name != MIRROR})}
    damage = tuple(f"{d.name}: {one}" for d, verdict in verdicts.items() for one in verdict.damage)
    return sum(verdict.events for verdict in verdicts.values()), damage


@dataclass
class Scene:
    """One test's stack, home and directory."""

    ground: Ground
    home: Path
    place: Path
    before: Look = field(init=False)

    def __post_init__(self) -> None:
        self.before = self.look()

    def look(self) -> Look:
        entries, damage = records(self.home, self.place)
        return Look(
            volumes=frozenset(self.ground.volumes()),
            rows=self.ground.rows(),
            at_work=(*self.ground.at_work(), *of_host(self.home, self.place)),
            damage=damage,
            entries=entries,
            troubles=tuple(self.ground.troubles()),
            page=self.ground.page(),
        )

    def after(self) -> Look:
        """The stack once it has settled, or as it is when it does not."""
        looks: list[Look] = []

        def settled() -> bool:
            looks.append(self.look())
            return looks[-1].settled

        with contextlib.suppress(LabError):
            wait_until(settled, "a settled stack", deadline=SETTLE, every=0.5)
        return looks[-1]
