"""Recovery levels beside the raw commands on the same stack, until it is verified that users are served again.

A stack of its own comes and goes for it. The old way is what people had before: a restart, a fixed sleep, one curl.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import psutil

from console.actions import gather, lock, recovery, runner, runs
from console.actions.backup import service as backups
from console.actions.backup import shelf
from console.actions.facts import Facts, Holder
from console.actions.lock import LockedError, ProjectLock
from console.config import BackupConfig, Config, RecoveryConfig, read
from console.incident.events import Actor
from tests.bench.table import Row
from tests.bench.timing import at
from tests.lab.lab import Lab
from tests.lab.shell import run, wait_until

_PROJECT, _OFFSET = "bench", 500
_ROWS = 500_000
_BIG = "big"


def rows(quick: bool) -> list[Row]:
    if run(["docker", "version"], check=False, timeout=10).returncode:
        return [Row("recovery levels", "no Docker engine answers", "", "", "raw + 2 or 3 s")]
    lab = Lab(_PROJECT, _OFFSET)
    lab.up()
    try:
        with tempfile.TemporaryDirectory(prefix="bench-recovery-", dir=Path.home()) as data:
            return _Bench(lab, Path(data), 1 if quick else 3).rows(quick)
    finally:
        lab.down()


class _Bench:
    def __init__(self, lab: Lab, data: Path, rounds: int) -> None:
        self._lab, self._data, self._rounds = lab, data, rounds
        file = data / "sevdeck.toml"
        file.write_text(lab.config())
        free = {f"level{n}": "99/1h" for n in range(1, 5)}
        self._config = replace(read(file), recovery=RecoveryConfig(observation=0.1, budgets=free))
        self._actor = Actor.current("cli")

    def rows(self, quick: bool) -> list[Row]:
        found = [self._plan(), self._lock(), self._refusal(), self._resume()]
        for level, name, raw, allowed in (
            (1, "restart the app", self._raw_restart, "raw + 2 s"),
            (2, "restart everything in order", self._raw_medium, "raw + 3 s"),
            (3, "rebuild everything", self._raw_rebuild, "raw + 3 s"),
        ):
            mine = [self._level(level) for _ in range(self._rounds)]
            bare = [self._timed(raw) for _ in range(self._rounds)]
            found.append(_beside(f"level {level}: {name}, verified", mine, bare, allowed))
            if not quick:
                found.append(self._old_way(level, raw, mine))
        return [*found, self._restore()]

    def _plan(self) -> Row:
        took = []
        for _ in range(10):
            began = time.perf_counter()
            recovery.plan(1, "", self._facts(), self._config)
            took.append(time.perf_counter() - began)
        return Row("plan of level 1: everything looked at", f"median {at(took, 0.5):.2f} s", "", "", "1 s")

    def _lock(self) -> Row:
        took = []
        for n in range(300):
            began = time.perf_counter()
            ProjectLock.acquire(self._data, "lock", Holder(f"r{n}", "ana", time.time(), 1)).release()
            took.append(1000 * (time.perf_counter() - began))
        return Row("project lock taken and let go", f"p99 {at(took, 0.99):.1f} ms", "", "", "p99 20 ms")

    def _refusal(self) -> Row:
        """How long the second responder waits for the no, with the name of the first."""
        plan = recovery.plan(1, "", self._facts(), self._config)
        held = ProjectLock.acquire(self._data, plan.project, Holder("r", "ana", time.time(), 1))
        took = []
        try:
            for _ in range(20):
                began = time.perf_counter()
                with contextlib.suppress(LockedError):
                    runner.start(plan, plan.confirm, self._config, self._data, self._actor)
                took.append(time.perf_counter() - began)
        finally:
            held.release()
        return Row("second run refused, by name", f"worst {max(took):.3f} s", "", "", "0.5 s")

    def _resume(self) -> Row:
        """From `resume` until the killed run's record says that it goes on."""
        took = []
        for _ in range(self._rounds):
            plan = recovery.plan(2, "", self._facts(), self._config)
            run_id = runner.start(plan, plan.confirm, self._config, self._data, self._actor)
            wait_until(partial(self._at, run_id, "stop-"), "a stop", deadline=60, every=0.02)
            held = lock.holder(self._data, plan.project)
            worker = psutil.Process(held.pid if held is not None else 0)
            for process in (worker.parent(), worker):
                if process is not None:
                    process.kill()
            wait_until(partial(self._is, run_id, "interrupted"), "the end of the runner", deadline=60, every=0.02)
            known = self._notes(run_id)
            began = time.perf_counter()
            runner.resume(self._data, run_id, self._config, self._actor)
            wait_until(partial(self._says_more, run_id, known), "a word of the run", deadline=60, every=0.01)
            took.append(time.perf_counter() - began)
            wait_until(partial(self._over, run_id), "its end", deadline=120, every=0.1)
        return Row(
            "killed run resumed: until it has looked and goes on", f"median {at(took, 0.5):.2f} s", "", "", "1 s"
        )

    def _at(self, run_id: str, step: str) -> bool:
        view = runs.status(self._data, run_id)
        return view is not None and view.step.startswith(step)

    def _is(self, run_id: str, state: str) -> bool:
        view = runs.status(self._data, run_id)
        return view is not None and view.state == state

    def _says_more(self, run_id: str, than: int) -> bool:
        return self._notes(run_id) > than

    def _notes(self, run_id: str) -> int:
        view = runs.status(self._data, run_id)
        return len(view.notes) if view is not None else 0

    def _facts(self, config: Config | None = None, restoring: str | None = None) -> Facts:
        return asyncio.run(gather.gather(config or self._config, self._data, restoring=restoring))

    def _level(self, level: int, config: Config | None = None, facts: Facts | None = None) -> float:
        """Seconds from the confirmation until all was found well."""
        chosen = config or self._config
        plan = recovery.plan(level, "", facts or self._facts(chosen), chosen)
        began = time.time()
        run_id = runner.start(plan, plan.confirm, chosen, self._data, self._actor, consent=plan.consent)
        wait_until(lambda: self._over(run_id), f"the end of level {level}", deadline=300, every=0.05)
        view = runs.status(self._data, run_id)
        if view is None or view.outcome != "ok" or view.observation is None:
            raise RuntimeError(f"level {level}: {view.reason if view else 'no run'}")
        return view.observation.started_at - began

    def _over(self, run_id: str) -> bool:
        view = runs.status(self._data, run_id)
        return view is not None and view.over

    def _timed(self, work: Callable[[], None]) -> float:
        """Until every container is healthy: who works by hand looks until then."""
        began = time.perf_counter()
        work()
        wait_until(lambda: not self._lab.stack.troubles(), "a well stack", deadline=120, every=0.1)
        return time.perf_counter() - began

    def _raw_restart(self) -> None:
        self._lab.stack.docker("restart", self._lab.stack.container("app"))

    def _raw_medium(self) -> None:
        order = ("postgres", "redis", "app", "worker", "edge")
        for service in reversed(order):
            self._lab.stack.docker("stop", self._lab.stack.container(service))
        for service in order:
            self._lab.stack.docker("start", self._lab.stack.container(service))
            wait_until(partial(self._healthy, service), service, deadline=60, every=0.1)

    def _healthy(self, service: str) -> bool:
        form = "{{.State.Health.Status}}"
        return (
            self._lab.stack.docker("inspect", "-f", form, self._lab.stack.container(service)).stdout.strip()
            == "healthy"
        )

    def _raw_rebuild(self) -> None:
        self._lab.stack.compose("down")
        self._lab.stack.compose("up", "--detach", "--wait")

    def _old_way(self, level: int, raw: Callable[[], None], mine: list[float]) -> Row:
        """Fixed sleeps as the scripts had them, then one request."""
        sleeps = {1: 30.0, 2: 60.0, 3: 90.0}[level]
        began = time.perf_counter()
        if level == 1:
            raw()
        elif level == 2:
            self._lab.stack.compose("restart")
        else:
            self._lab.stack.compose("down")
            self._lab.stack.compose("up", "--detach")
        time.sleep(sleeps)
        self._lab.stack.http("/readyz")
        took = time.perf_counter() - began
        return Row(
            f"the old way of level {level}: restart, sleep {sleeps:.0f} s, curl",
            f"{took:.1f} s",
            f"sevdeck {at(mine, 0.5):.1f} s",
            f"{took / at(mine, 0.5):.1f} x",
            "",
        )

    def _restore(self) -> Row:
        """500,000 rows: a dump, a restore beside it, the change of names; by hand, and as level 4."""
        stack = self._lab.stack

        def psql(text: str, database: str = "postgres") -> None:
            stack.inside("postgres", "psql", "-X", "-q", "-U", "postgres", "-d", database, "-c", text, timeout=120)

        psql(f"CREATE DATABASE {_BIG}")
        psql(
            f"CREATE TABLE t (i bigserial PRIMARY KEY, x text); "
            f"INSERT INTO t (x) SELECT md5(i::text) FROM generate_series(1, {_ROWS}) i",
            _BIG,
        )
        began = time.perf_counter()
        script = (
            f"pg_dump -Fc -U postgres {_BIG} > /tmp/raw.dump && createdb -U postgres raw && "
            "pg_restore -U postgres --exit-on-error -d raw /tmp/raw.dump"
        )
        stack.inside("postgres", "sh", "-c", script, timeout=300)
        bare = time.perf_counter() - began
        psql("DROP DATABASE raw")
        config = replace(self._config, backup=BackupConfig(str(self._data / "backups"), _BIG))
        asyncio.run(backups.create(config, self._data, self._actor))
        mine = self._level(4, config, self._facts(config, restoring=""))
        kept = shelf.directory(config, self._data)
        size = max(p.stat().st_size for p in kept.glob("*.dump"))
        return _beside(f"level 4 of {_ROWS} rows, {size / 1e6:.0f} MB dumped, verified", [mine], [bare], "raw + 5 s")


def _beside(what: str, mine: list[float], bare: list[float], allowed: str) -> Row:
    one, raw = at(mine, 0.5), at(bare, 0.5)
    return Row(what, f"{one:.1f} s", f"raw commands {raw:.1f} s", f"{one - raw:+.1f} s", allowed)
