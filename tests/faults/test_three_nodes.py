"""Three hosts and a server, cut off, killed, unplugged, filled and copied at random: nothing promised is broken.

The journals, the exchange and the mirrors are the real ones, on disks that can lose their power and a server in
memory. `SEVDECK_TEST_STEPS` multiplies the number of runs. Each guard that can be taken away is taken away once,
and then the same machine must find what that breaks.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.faults.crash_disk import Draw
from tests.faults.guards import GUARDS, Guard
from tests.faults.host_twin import HostTwin
from tests.faults.promises import BrokenError, Promises
from tests.faults.server_twin import Connection, ServerTwin

LONGER = int(os.environ.get("SEVDECK_TEST_STEPS", "1"))
SKEWS = (0.0, -840.0, 3.0, 100_000.0)  # seconds that the clocks of the hosts are wrong by
ENTRIES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("note", {"text": "looking at it"}),
    ("severity", {"severity": 2, "reason": "worse"}),
    ("status", {"status": "contained", "reason": "holds"}),
    ("role", {"role": "commander", "who": "ana"}),
    ("annotate", {"event": "1", "text": "see the graph"}),
    ("amend", {"event": "1", "text": "corrected", "reason": "typing"}),
    ("handover.offered", {"to": "bob", "brief": "all yours"}),
    ("resolved", {"text": "done"}),
)
COPIES = ("", "both go on", "both race")
hosts = st.integers(0, 3)
chances = st.integers(0, 5)


def draw_by(chance: int) -> Draw:
    """How much of what was not synced survives: mostly nothing, sometimes everything, else by chance."""
    dice = random.Random(chance)
    return lambda most: 0 if chance < 3 else most if chance == 3 else dice.randint(0, most)


class ThreeHosts(RuleBasedStateMachine):
    """A copy of one of them may become the fourth."""

    without: ClassVar[Guard] = Guard("nothing")

    def __init__(self) -> None:
        super().__init__()
        memory = Path("/dev/shm")
        self.home = Path(tempfile.mkdtemp(prefix="sevdeck-", dir=memory if memory.is_dir() else None))
        # Equal runs must be equal: a writer's number decides where its entries stand among simultaneous ones.
        numbers = random.Random(1)
        self.patches = contextlib.ExitStack()
        self.patches.enter_context(
            mock.patch.object(uuid, "uuid4", lambda: uuid.UUID(int=numbers.getrandbits(128), version=4))
        )
        self.now = 1_795_000_000.0
        self.entries = 0
        self.promises = Promises()
        self.server = ServerTwin(checks_forks=self.without.checks_forks)
        self.backups: list[dict[str, int]] = []
        self.hosts: list[HostTwin] = []
        while len(self.hosts) < 3:
            self.hosts.append(self.new_host())

    def new_host(self) -> HostTwin:
        name = f"host-{len(self.hosts)}"
        skew = SKEWS[len(self.hosts)]
        host = HostTwin(name, self.home / name, self.server, self.promises, lambda: self.now + skew)
        host.disk.ignores = self.without.ignores
        return host

    def host(self, number: int) -> HostTwin:
        return self.hosts[number % len(self.hosts)]

    def write(self, host: HostTwin, console: int, kind: int) -> None:
        self.entries += 1
        host.append(console, str(self.entries), *ENTRIES[kind])

    # -- people

    @initialize(known=st.sampled_from([0, 2, 3, 3]), copied=st.sampled_from([None, None, *COPIES]))
    def declare(self, known: int, copied: str | None) -> None:
        self.hosts[0].declare()
        for host in self.hosts[:known]:
            self.rounds(host)
        if copied is not None:
            self.copy(self.hosts[0], copied)

    @rule(number=hosts, console=st.integers(0, 2), kind=st.integers(0, len(ENTRIES) - 1), reads=st.booleans())
    def append(self, number: int, console: int, kind: int, reads: bool) -> None:
        """`reads`: what others wrote has come just before, so that the entry names it."""
        host = self.host(number)
        if reads:
            self.rounds(host)
        self.write(host, console, kind)

    @rule(number=hosts)
    def open_another_console(self, number: int) -> None:
        if len(self.host(number).consoles) < 3:
            self.host(number).open()

    # -- misfortune of a host

    @rule(number=hosts)
    def kill(self, number: int) -> None:
        self.host(number).killed()

    @rule(number=hosts, chance=chances)
    def lose_power(self, number: int, chance: int) -> None:
        self.host(number).lose_power(draw_by(chance))

    @rule(number=hosts, calls=st.integers(0, 7), power=st.booleans(), chance=chances)
    def die_while_appending(self, number: int, calls: int, power: bool, chance: int) -> None:
        host = self.host(number)
        if host.dies_within(calls, lambda: self.write(host, 0, 0)) and power:
            host.lose_power(draw_by(chance))

    @rule(number=hosts, calls=st.integers(1, 3), chance=chances)
    def read_what_a_dead_one_left(self, number: int, calls: int, chance: int) -> None:
        """A console dies about when it syncs; another one reads its line, writes, and then the power goes."""
        host = self.host(number)
        self.write(host, 0, 0)
        if host.dies_within(calls, lambda: self.write(host, 0, 0)):
            self.write(host, 0, 0)
            host.lose_power(draw_by(chance))

    @rule(number=hosts, calls=st.integers(0, 12), power=st.booleans(), chance=chances)
    def die_while_exchanging(self, number: int, calls: int, power: bool, chance: int) -> None:
        host = self.host(number)
        if host.dies_within(calls, lambda: self.rounds(host)) and power:
            host.lose_power(draw_by(chance))

    @rule(number=hosts, call=st.sampled_from(["", "", "write", "sync"]))
    def fill_or_free_the_disk(self, number: int, call: str) -> None:
        self.host(number).disk.full_at = call

    @rule(number=hosts, call=st.sampled_from(["write", "sync"]), seen=st.booleans())
    def have_no_room_for_a_moment(self, number: int, call: str, seen: bool) -> None:
        """`seen`: somebody reads meanwhile what could not be synced."""
        host = self.host(number)
        host.disk.full_at = call
        self.write(host, 0, 0)
        if seen:
            self.rounds(host)
        host.disk.full_at = ""
        self.write(host, 0, 1)

    @precondition(lambda self: len(self.hosts) == 3)
    @rule(number=st.integers(0, 2), then=st.sampled_from(COPIES))
    def copy_a_host(self, number: int, then: str) -> None:
        self.copy(self.hosts[number], then)

    def copy(self, host: HostTwin, then: str) -> None:
        """Its disk alone, or with the programs as they run: then one writer writes in two places."""
        copy = self.new_host()
        if then:
            host.reachable, host.disk.full_at = True, ""
            self.write(host, 0, 0)
            self.rounds(host)
        host.copy_to(copy, running=bool(then))
        self.hosts.append(copy)
        for one in (host, host, copy) if then else ():
            self.write(one, 0, 0)
        if then == "both race":
            self.meet(host, lambda: self.rounds(copy))

    # -- the server and the way to it

    @rule(number=hosts, times=st.integers(1, 3), limit=st.integers(1, 4), twice=st.booleans(), quick=st.booleans())
    def exchange(self, number: int, times: int, limit: int, twice: bool, quick: bool) -> None:
        for _ in range(times):
            connection = Connection(self.server)
            connection.twice = twice
            self.host(number).round(connection, limit, quick=quick)

    @rule(number=hosts, after=st.integers(0, 8), quick=st.booleans())
    def lose_the_connection(self, number: int, after: int, quick: bool) -> None:
        connection = Connection(self.server)
        connection.cut_after = after
        for _ in range(3):
            self.host(number).round(connection, quick=quick)

    @rule(number=hosts, other=hosts, appends=st.booleans())
    def exchange_while_others_do_something(self, number: int, other: int, appends: bool) -> None:
        host, busy = self.host(number), self.host(other)
        if appends:
            self.meet(host, lambda: self.write(busy, 0, 0))
        elif busy is not host:
            self.meet(host, lambda: self.rounds(busy))

    def meet(self, host: HostTwin, between: Callable[[], None]) -> None:
        """Something happens between the comparison and what follows from it."""
        connection = Connection(self.server)
        connection.between = between
        host.round(connection)

    @rule(number=hosts, reachable=st.sampled_from([True, True, False]))
    def cut_off_or_reconnect(self, number: int, reachable: bool) -> None:
        self.host(number).reachable = reachable

    @rule()
    def back_up_the_server(self) -> None:
        self.backups.append({writer: len(chain) for writer, chain in self.server.chains.items()})

    @rule(backup=st.integers(0, 3))
    def restore_the_server(self, backup: int) -> None:
        backups = [{}, *self.backups]
        self.server.restore(backups[backup % len(backups)])

    # -- what must hold

    @invariant()
    def promises_are_kept(self) -> None:
        self.now += 0.5
        self.promises.check_server(self.server)
        for host in self.hosts:
            if host.touched:
                self.promises.check_host(host.store.root)
                host.touched = False

    def teardown(self) -> None:
        try:
            if self.promises.kept and self.promises.acknowledged:
                self.promises_are_kept()
                self.all_comes_together()
        finally:
            for host in self.hosts:
                host.disk.let_go()
            self.patches.close()
            shutil.rmtree(self.home, ignore_errors=True)

    def all_comes_together(self) -> None:
        """Every way is open and every disk has room: soon all have everything, except where a fork is named."""
        for host in self.hosts:
            host.reachable, host.disk.full_at = True, ""
        for _ in range(3):
            for host in self.hosts:
                self.rounds(host)
        self.promises_are_kept()
        for host in self.hosts:
            self.promises.check_host(host.store.root, complete=True)
        must, forked = self.promises.must, self.promises.forked
        there = {w: head for vector in self.server.heads().values() for w, head in vector.items()}
        for host in self.hosts:
            must(not host.others_stopped(), "I9", f"{host.name} stopped for no reason: {host.others_stopped()}")
            here = host.chains()
            for writer in {*here, *there}:
                same = here.get(writer) == there.get(writer)
                must(same or writer in forked, "convergence", f"{host.name} and the server differ in {writer[:8]}")
                must(same or writer in host.forks(), "fork", f"{host.name} does not name the fork of {writer[:8]}")
            if not forked:
                self.promises.check_everything_is_in(host.directory())

    def rounds(self, host: HostTwin) -> None:
        """Until nothing moves."""
        for _ in range(60):
            if not host.round(Connection(self.server)):
                return
        self.promises.must(False, "convergence", f"{host.name} never comes to rest")


def limits(examples: int, steps: int = 30, *, phases: tuple[Phase, ...] = (Phase.generate,)) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        derandomize=True,
        database=None,
        deadline=None,
        phases=phases,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )


@pytest.mark.timeout(600)
def test_nothing_promised_is_ever_broken() -> None:
    run_state_machine_as_test(ThreeHosts, settings=limits(40 * LONGER, phases=(Phase.generate, Phase.shrink)))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", GUARDS)
def test_without_a_guard_it_is_found(name: str) -> None:
    guard = GUARDS[name]

    class Unguarded(ThreeHosts):
        without = guard

    with guard.patch(), pytest.raises(BrokenError, match=f"^({guard.breaks}):"):
        run_state_machine_as_test(Unguarded, settings=limits(1000))
