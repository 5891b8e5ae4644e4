"""Containment against the project's twin: plans, the ledger, the way back, doubt, and kills at every boundary."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from console.actions import gather, recovery, router, runner
from console.actions.containment import control, ledger
from console.actions.containment.control import Proposal, Result, Room
from console.actions.containment.holding import holds
from console.actions.containment.measures import MEASURES
from console.actions.facts import Holder
from console.actions.lock import LockedError, ProjectLock
from console.config import Config, ContainmentConfig, ProbeConfig
from console.errors import RefusedError, UsageError
from console.incident.events import Actor
from console.incident.rules import check_containment
from console.incident.store import IncidentStore
from console.programs.running import Ran
from console.watch.probes import ProbeResult
from tests.unit.project_twin import PROJECT, ProjectTwin, config

ANA = Actor("ana", host="h", via="cli")
NETWORKS: dict[str, Any] = {
    "shop_back": {"NetworkID": "id-shop_back", "Aliases": ["app", "shop-app-1", "app"], "IPAMConfig": None,
                  "Links": None},
    "shop_front": {"NetworkID": "id-shop_front", "Aliases": ["app", "api", "app"], "Links": ["shop-old-1:legacy"],
                   "IPAMConfig": {"IPv4Address": "172.30.0.9"}},
}  # fmt: skip


class KilledError(BaseException):
    """As a SIGKILL: nothing of our own code handles it."""


class Shop:
    """A data directory, a twin whose app is on two networks, and the room."""

    def __init__(self, data_dir: Path, settings: Config | None = None) -> None:
        self.twin = ProjectTwin()
        self.twin.set("app", networks=NETWORKS)
        self.room = Room(settings or config(), data_dir, ANA, self.twin, settle=0.0, run=self.run, probe=self.probe)
        self.ran: list[list[str]] = []
        self.rules: list[str] = []
        self.refusing = False

    async def run(self, argv: Sequence[str], deadline: float, env: dict[str, str] | None) -> Ran:
        """iptables and commands of one's own."""
        self.ran.append(list(argv))
        if argv[0] != "iptables":
            self.refusing = argv[-1] == "on"
            return Ran(0, b"", "")
        verb, source = argv[3], argv[6]
        if verb == "-I":
            self.rules.append(source)
        elif verb == "-D":
            self.rules.remove(source)
        elif source not in self.rules:
            return Ran(1, b"", "Bad rule")
        return Ran(0, b"", "")

    async def probe(self, asked: ProbeConfig) -> ProbeResult:
        return ProbeResult(asked.name, asked.kind, asked.target, self.refusing, "503", 0.01, 0.0, 0.0, False)

    def networks(self) -> dict[str, Any]:
        return dict(self.twin._inspect("app")["NetworkSettings"]["Networks"])

    async def propose(self, name: str, target: str = "", seconds: float | None = None) -> Proposal:
        return await control.propose(self.room, name, target, seconds)

    async def apply(self, name: str, target: str = "", incident: str = "", seconds: float | None = None) -> Result:
        proposal = await self.propose(name, target, seconds)
        return await control.apply(self.room, proposal, proposal.confirm, incident)

    async def undo(self, ident: str) -> Result:
        return await control.undo(self.room, ident)

    async def standing(self) -> dict[str, str]:
        found, damaged = await control.status(self.room)
        assert not damaged
        return {s.entry.title: s.state for s in found}


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def contained(**changes: Any) -> Config:
    return replace(config(), containment=ContainmentConfig(**changes))


# -- isolate


async def test_isolating_saves_first_what_leads_back_and_releasing_gives_exactly_that(shop: Shop) -> None:
    done = await shop.apply("isolate", "app")
    assert done.entry.state == "active"
    assert shop.networks() == {}
    saved = [p.step.call for p in ledger.load(shop.room.data_dir, done.entry.id).parts]
    assert [c["aliases"] for c in saved] == [["shop-app-1"], ["api"]]  # without the short id, which is "app" here
    assert saved[1]["links"] == ["shop-old-1:legacy"]
    assert saved[1]["ipam"] == {"IPv4Address": "172.30.0.9"}
    undone = await shop.undo(done.entry.id)
    assert undone.entry.state == "undone"
    assert {n: set(s["Aliases"]) for n, s in shop.networks().items()} == {
        n: set(s["Aliases"]) for n, s in NETWORKS.items()
    }
    assert shop.networks()["shop_front"]["IPAMConfig"] == {"IPv4Address": "172.30.0.9"}


async def test_one_network_can_be_left_and_is_named_as_compose_names_it(shop: Shop) -> None:
    proposal = await shop.propose("isolate", "app:back")
    assert proposal.confirm == "isolate app:shop_back"
    assert [s.command for s in proposal.steps] == ["docker network disconnect shop_back shop-app-1"]
    await control.apply(shop.room, proposal, "isolate app:shop_back")
    assert list(shop.networks()) == ["shop_front"]


async def test_a_reconnect_without_its_names_is_no_release(shop: Shop) -> None:
    """The positive control: somebody connects it by hand and forgets the aliases; undo gives them back."""
    done = await shop.apply("isolate", "app:front")
    await shop.twin.connect("app", "shop_front", {"aliases": [], "ipam": {}, "links": []})
    assert await shop.standing() == {"isolate app:shop_front": "lost"}
    undone = await shop.undo(done.entry.id)
    assert undone.entry.state == "undone"
    assert set(shop.networks()["shop_front"]["Aliases"]) == {"api", "app"}


async def test_a_name_that_does_not_come_back_is_not_undone(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.twin.set("edge", networks={"shop_front": {"NetworkID": "id-shop_front", "Aliases": ["edge"]}})
    done = await shop.apply("isolate", "app:front")

    async def nothing(container: str, argv: Sequence[str], seconds: float) -> Ran:
        return Ran(2, b"", "")

    monkeypatch.setattr(shop.twin, "execute", nothing)
    undone = await shop.undo(done.entry.id)
    assert undone.entry.state == "active"
    assert "api does not lead to shop-app-1 on shop_front" in undone.entry.history[-1]["text"]


async def test_what_is_no_target_is_refused_with_what_would_do(shop: Shop) -> None:
    for name, target, reason in (
        ("isolate", "", "no service was named"),
        ("isolate", "billing", "no container of service billing"),
        ("isolate", "app:void", "app is not on a network void"),
        ("pause", "billing", "no container of service billing"),
        ("safe-mode", "", "no safe mode is configured"),
        ("connection-limit", "shop", "say which database"),
        ("block", "everybody", "is no IP address"),
        ("block", "0.0.0.0/0", "more than one attacker"),
    ):
        proposal = await shop.propose(name, target)
        assert reason in str(proposal.refused), (name, target, proposal.refused)
        assert proposal.help
        with pytest.raises(RefusedError):
            await control.apply(shop.room, proposal, proposal.confirm)
    with pytest.raises(UsageError):
        await shop.propose("quarantine", "app")
    assert ledger.read(shop.room.data_dir).entries == ()
    assert shop.twin.calls == [] or all(c.startswith("exec") for c in shop.twin.calls)


async def test_a_container_of_the_hosts_network_has_none_to_leave(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    real = shop.twin._inspect

    def on_host(service: str) -> dict[str, Any]:
        found = real(service)
        return {**found, "HostConfig": {**found["HostConfig"], "NetworkMode": "host"}}

    monkeypatch.setattr(shop.twin, "_inspect", on_host)
    assert "uses the host's network" in str((await shop.propose("isolate", "app")).refused)


# -- admission


async def test_it_is_confirmed_word_for_word_for_the_containers_that_were_shown(shop: Shop) -> None:
    proposal = await shop.propose("isolate", "app")
    with pytest.raises(RefusedError, match="not confirmed"):
        await control.apply(shop.room, proposal, "isolate")
    with pytest.raises(RefusedError, match="older than 2 minutes"):
        await control.apply(shop.room, replace(proposal, created_at=time.time() - 121), proposal.confirm)
    shop.twin.set("app", started=7)
    with pytest.raises(RefusedError, match="changed since the plan was made"):
        await control.apply(shop.room, proposal, proposal.confirm)
    assert shop.twin.calls == []


async def test_the_hold_file_and_a_recovery_under_way_refuse_both_ways(shop: Shop) -> None:
    data = shop.room.data_dir
    done = await shop.apply("pause", "app")
    proposal = await shop.propose("isolate", "edge")
    (data / "hold").write_text("database move")
    assert "on hold: database move" in str((await shop.propose("isolate", "edge")).refused)
    with pytest.raises(RefusedError, match="on hold"):
        await shop.undo(done.entry.id)
    (data / "hold").unlink()
    lock = ProjectLock.acquire(data, PROJECT, Holder("R1", "ben", time.time(), 2, "restart 4 services"))
    try:
        for change in (control.apply(shop.room, proposal, proposal.confirm), shop.undo(done.entry.id)):
            with pytest.raises(LockedError, match="ben is recovering shop: level 2"):
                await change
        assert "ben is recovering shop" in str((await shop.propose("isolate", "edge")).refused)
    finally:
        lock.release()
    assert (await shop.undo(done.entry.id)).entry.state == "undone"


async def test_the_same_again_only_sets_its_time_anew(shop: Shop) -> None:
    first = await shop.apply("pause", "app", seconds=60)
    calls = list(shop.twin.calls)
    again = await shop.apply("pause", "app", seconds=600)
    assert again.entry.id == first.entry.id
    assert (again.entry.expires_at or 0) - (first.entry.expires_at or 0) > 500
    assert shop.twin.calls == calls
    assert len(ledger.read(shop.room.data_dir).entries) == 1
    undone = await shop.undo("pause app")
    again = await shop.undo(undone.entry.id)
    assert again.notes == ("it was undone already",)


async def test_measures_that_would_undo_each_other_are_refused(shop: Shop) -> None:
    first = await shop.apply("pause", "app")
    refused = await shop.propose("stop-writers")
    assert "pause app is in force on app" in str(refused.refused)
    assert refused.help.endswith(f"contain undo {first.entry.id}")


# -- each of the others


async def test_pause_stop_and_restart_policy_come_back_as_they_were(shop: Shop) -> None:
    shop.twin.set("app", policy="always")
    paused = await shop.apply("pause", "redis")
    assert shop.twin.state("redis") == "paused"
    kept = await shop.apply("no-restart", "app")
    assert shop.twin._inspect("app")["HostConfig"]["RestartPolicy"]["Name"] == "no"
    for done in (paused, kept):
        assert (await shop.undo(done.entry.id)).entry.state == "undone"
    assert shop.twin.state("redis") == "running"
    assert shop.twin._inspect("app")["HostConfig"]["RestartPolicy"]["Name"] == "always"


async def test_stop_writers_starts_again_exactly_what_ran_in_order(tmp_path: Path) -> None:
    shop = Shop(tmp_path, contained(writers=("app", "redis", "edge", "postgres")))
    shop.room = replace(shop.room, config=replace(shop.room.config, roles=replace(config().roles, cache=())))
    shop.twin.set("redis", status="exited", health="")
    proposal = await shop.propose("stop-writers")
    assert proposal.confirm == "stop-writers shop"
    assert [s.target for s in proposal.steps] == ["app"]  # redis did not run, edge and database stay
    await control.apply(shop.room, proposal, proposal.confirm)
    assert shop.twin.state("app") == "exited"
    await shop.undo("stop-writers shop")
    assert (shop.twin.state("app"), shop.twin.state("redis")) == ("running", "exited")
    assert [c for c in shop.twin.calls if c.startswith(("start", "stop"))] == ["stop app", "start app"]


async def test_a_toggle_file_is_made_and_only_ours_removed(tmp_path: Path) -> None:
    file = tmp_path / "safe"
    shop = Shop(tmp_path / "data", contained(safe_mode_file=str(file)))
    done = await shop.apply("safe-mode")
    assert (done.entry.target, done.entry.state, file.exists()) == ("app", "active", True)
    await shop.undo(done.entry.id)
    assert not file.exists()
    file.touch()
    theirs = await shop.apply("safe-mode")
    assert theirs.entry.parts[0].state == "skipped"
    await shop.undo(theirs.entry.id)
    assert file.exists()


async def test_commands_of_your_own_show_the_page_and_the_edge_is_asked(tmp_path: Path) -> None:
    shop = Shop(tmp_path, contained(maintenance_on="switch on", maintenance_off="switch off"))
    done = await shop.apply("maintenance")
    assert (done.entry.title, done.entry.state, shop.ran[-1]) == ("maintenance edge", "active", ["switch", "on"])
    await shop.undo(done.entry.id)
    assert shop.ran[-1] == ["switch", "off"]


async def test_an_edge_that_is_no_nginx_says_so_and_what_to_configure(shop: Shop) -> None:
    refused = await shop.propose("maintenance")  # the twin's edge prints nothing for nginx -T
    assert "is not understood" in str(refused.refused)
    assert "maintenance_on and maintenance_off" in refused.help


async def test_evidence_is_kept_masked_before_a_full_isolation(shop: Shop) -> None:
    done = await shop.apply("full-isolation", "app")
    assert done.entry.parts[0].step.id == "evidence"
    blobs = list((shop.room.data_dir / "containment" / "blobs").iterdir())
    assert len(blobs) == 1
    raw = blobs[0].read_text()
    assert "hunter2" not in raw
    assert "shop-app-1" in raw
    assert blobs[0].name in done.entry.parts[0].detail
    assert (await shop.undo(done.entry.id)).entry.state == "undone"
    assert blobs[0].exists()


async def test_only_our_own_rule_is_put_in_and_taken_out(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    async def allowed(address: str) -> dict[str, Any]:
        return {}

    monkeypatch.setattr("console.actions.containment.ground._packet_filter", allowed)
    done = await shop.apply("block", "203.0.113.7")
    assert (done.entry.state, shop.rules) == ("active", ["203.0.113.7"])
    assert "--comment sevdeck -j DROP" in done.entry.undo
    await shop.undo(done.entry.id)
    assert shop.rules == []


async def test_every_measure_is_described() -> None:
    assert {"isolate", "pause", "stop-writers", "no-restart", "maintenance", "safe-mode", "connection-limit", "block",
            "full-isolation"} == set(MEASURES)  # fmt: skip
    assert all(m.about and m.target for m in MEASURES.values())


# -- doubt


@pytest.mark.parametrize(("fault", "state"), [("lost", "active"), ("ignored", "unknown"), ("refused", "failed")])
async def test_silence_is_unknown_and_looked_at_a_plain_no_is_taken_back(shop: Shop, fault: str, state: str) -> None:
    shop.twin.faults["disconnect:app"] = ""
    proposal = await shop.propose("isolate", "app")
    await control.apply(shop.room, proposal, proposal.confirm)
    await shop.undo("isolate app")
    shop.twin.calls.clear()
    shop.twin.faults["disconnect:app"] = fault
    done = await shop.apply("isolate", "app")
    assert done.entry.state == state
    if state == "unknown":
        assert await shop.standing() == {"isolate app": "unknown"}
        assert (await shop.undo(done.entry.id)).entry.state == "undone"
    if state != "active":
        assert set(shop.networks()) == set(NETWORKS)


async def test_the_second_part_refused_takes_the_first_back(shop: Shop) -> None:
    def then_refuse(where: str) -> None:
        if where == "acted disconnect-shop-app-1-shop_back":
            shop.twin.faults["disconnect:app"] = "refused"

    shop.room = replace(shop.room, boundary=then_refuse)
    done = await shop.apply("isolate", "app")
    assert done.entry.state == "failed"
    assert "disconnect shop-app-1 from shop_front: port is already allocated" in done.entry.history[-1]["text"]
    assert set(shop.networks()) == set(NETWORKS)


async def test_an_entry_of_another_version_is_neither_looked_at_nor_undone_blindly(shop: Shop) -> None:
    done = await shop.apply("pause", "app")
    part = done.entry.parts[0]
    ledger.save(
        shop.room.data_dir,
        replace(done.entry, parts=(replace(part, step=replace(part.step, call={"op": "teleport", "id": "app"})),)),
    )
    (found,), _ = await control.status(shop.room)
    assert "does not know how to look: teleport" in found.words
    undone = await shop.undo(done.entry.id)
    assert undone.entry.state == "active"
    assert "does not know how to do it: teleport" in undone.entry.history[-1]["text"]
    assert shop.twin.state("app") == "paused"


async def test_an_unknown_application_that_a_look_finds_whole_becomes_active(shop: Shop) -> None:
    shop.twin.faults["pause:app"] = "frozen"
    done = await shop.apply("pause", "app")
    assert done.entry.state == "unknown"
    assert await shop.standing() == {"pause app": "unknown"}
    shop.twin.frozen = False
    shop.twin.set("app", status="paused")  # the engine did it after all
    assert await shop.standing() == {"pause app": "active"}
    assert ledger.load(shop.room.data_dir, done.entry.id).state == "active"


async def test_a_container_that_was_made_anew_has_nothing_left_of_it(shop: Shop) -> None:
    done = await shop.apply("isolate", "app")
    shop.twin.remove("app")
    assert await shop.standing() == {"isolate app": "lost"}
    undone = await shop.undo(done.entry.id)
    assert undone.entry.state == "undone"
    assert "what it was done to is gone" in undone.entry.history[-1]["text"]


# -- kills


class Mortal:
    """Dies at the n-th boundary; the names of all that were passed."""

    def __init__(self, at: int) -> None:
        self.at, self.passed = at, list[str]()

    def __call__(self, where: str) -> None:
        self.passed.append(where)
        if len(self.passed) == self.at:
            raise KilledError


async def killed(change: Callable[[Room], Any], room: Room, at: int) -> bool:
    """True when it died there; False when it came to its end before."""
    try:
        await change(replace(room, boundary=Mortal(at)))
    except KilledError:
        return True
    return False


@pytest.mark.parametrize("name", ["isolate", "full-isolation", "pause", "no-restart"])
async def test_a_kill_at_any_boundary_of_applying_leaves_an_entry_that_undo_takes_back(
    tmp_path: Path, name: str
) -> None:
    at, doubts = 0, 0
    while True:
        at += 1
        shop = Shop(tmp_path / str(at))
        before = json.dumps(shop.twin._all(), sort_keys=True)
        proposal = await shop.propose(name, "app")
        if not await killed(lambda room, p=proposal: control.apply(room, p, p.confirm), shop.room, at):  # type: ignore[misc]
            break
        (entry,) = ledger.read(shop.room.data_dir).active
        assert holds(shop.room.data_dir, PROJECT)[0].entry == entry.id
        state = next(iter((await shop.standing()).values()))
        assert state in ("in_doubt", "active"), (at, state)
        doubts += state == "in_doubt"
        undone = await shop.undo(entry.id)
        assert undone.entry.state == "undone", (at, undone.entry.history)
        same(before, shop)
    assert doubts >= 3
    assert at > 7


@pytest.mark.parametrize("name", ["isolate", "pause", "no-restart"])
async def test_a_kill_at_any_boundary_of_undoing_is_undone_again(tmp_path: Path, name: str) -> None:
    at = 0
    while True:
        at += 1
        shop = Shop(tmp_path / str(at))
        before = json.dumps(shop.twin._all(), sort_keys=True)
        done = await shop.apply(name, "app")
        if not await killed(lambda room, i=done.entry.id: control.undo(room, i), shop.room, at):  # type: ignore[misc]
            break
        if ledger.load(shop.room.data_dir, done.entry.id).state != "undone":
            assert (await shop.undo(done.entry.id)).entry.state == "undone"
        same(before, shop)
    assert at > 5


def same(before: str, shop: Shop) -> None:
    """Everything is as it was: states, policies, networks with their names."""

    def plain(all_of_them: list[dict[str, Any]]) -> list[Any]:
        return [
            (d["Name"], d["State"]["Status"], d["HostConfig"]["RestartPolicy"],
             {n: sorted(set(s.get("Aliases") or ())) for n, s in d["NetworkSettings"]["Networks"].items()})
            for d in all_of_them
        ]  # fmt: skip

    assert plain(shop.twin._all()) == plain(json.loads(before))


async def test_a_disk_that_is_full_in_the_middle_takes_back_what_was_done(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, left = ledger.save, [3]

    def full(data_dir: Path, entry: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(28, "No space left on device")
        real(data_dir, entry)

    monkeypatch.setattr(ledger, "save", full)
    done = await shop.apply("isolate", "app")
    assert done.entry.state == "failed"
    assert any("No space left" in n for n in done.notes)
    assert set(shop.networks()) == set(NETWORKS)


# -- the ledger


async def test_a_damaged_document_is_named_and_never_taken_for_none(shop: Shop) -> None:
    done = await shop.apply("pause", "app")
    (shop.room.data_dir / "containment" / f"{done.entry.id}.json").write_text('{"v": 1')
    found, damaged = await control.status(shop.room)
    assert found == ()
    assert damaged[0].startswith(f"{done.entry.id}.json is damaged")
    with pytest.raises(UsageError, match="cannot be read"):
        await shop.undo(done.entry.id)
    with pytest.raises(UsageError, match="there is no containment"):
        await shop.undo("../../etc/passwd")


async def test_an_entry_is_overdue_again_and_again_and_never_undone_by_itself(shop: Shop) -> None:
    done = await shop.apply("pause", "app", seconds=0.01)
    await asyncio.sleep(0.02)
    assert await shop.standing() == {"pause app": "overdue"}
    assert await shop.standing() == {"pause app": "overdue"}
    assert shop.twin.state("app") == "paused"
    assert done.entry.overdue(time.time())


# -- the incident and recovery


async def test_the_incident_hears_of_it_and_cannot_be_closed_meanwhile(shop: Shop) -> None:
    store = IncidentStore(shop.room.data_dir, ANA)
    ident = store.create("checkout fails", 1).incident
    done = await shop.apply("isolate", "app", incident=ident)
    incident = store.incident(ident)
    (measure,) = incident.active_containment
    assert (measure.id, measure.name, measure.target, measure.state) == (done.entry.id, "isolate", "app", "active")
    assert "docker network connect" in measure.undo
    with pytest.raises(RefusedError, match="containment is active"):
        check_containment(incident, "closed")
    await shop.undo(done.entry.id)
    assert store.incident(ident).active_containment == ()
    check_containment(store.incident(ident), "closed")


async def test_what_the_record_did_not_hear_before_a_kill_it_hears_later_once(shop: Shop) -> None:
    store = IncidentStore(shop.room.data_dir, ANA)
    ident = store.create("checkout fails", 1).incident
    proposal = await shop.propose("pause", "app")
    dead = Mortal(0)

    def at_the_end(where: str) -> None:
        dead.passed.append(where)
        if where == "after active":  # on the ledger, and not in the record
            raise KilledError

    with pytest.raises(KilledError):
        await control.apply(replace(shop.room, boundary=at_the_end), proposal, proposal.confirm, ident)
    assert store.incident(ident).containment[0].state == "applying"
    await shop.undo("pause app")
    told = [e.data["state"] for e in store.open(ident).events() if e.kind == "containment"]
    assert told == ["applying", "active", "undoing", "undone"]


async def test_an_application_that_failed_does_not_keep_the_incident_open(shop: Shop) -> None:
    store = IncidentStore(shop.room.data_dir, ANA)
    ident = store.create("checkout fails", 1).incident
    shop.twin.faults["pause:app"] = "refused"
    done = await shop.apply("pause", "app", incident=ident)
    assert done.entry.state == "failed"
    assert store.incident(ident).active_containment == ()


async def test_levels_are_refused_by_name_and_a_plan_made_before_is_too(shop: Shop) -> None:
    before = recovery.plan(1, "app", shop.twin.facts(), config())
    done = await shop.apply("isolate", "app")
    facts = await gather.gather(config(), shop.room.data_dir, driver=shop.twin, run_probe=shop.twin.run_probe)
    assert facts.contained == ("app",)
    for level in (1, 2):
        plan = recovery.plan(level, "app" if level == 1 else "", facts, config())
        assert f"held in deliberate containment: isolate app ({done.entry.id})" in str(plan.refused)
        assert plan.help.endswith(f"sevdeck contain undo {done.entry.id}")
    with pytest.raises(RefusedError, match="held in deliberate containment"):
        runner.start(before, before.confirm, config(), shop.room.data_dir, ANA)
    await shop.undo(done.entry.id)
    facts = await gather.gather(config(), shop.room.data_dir, driver=shop.twin, run_probe=shop.twin.run_probe)
    assert facts.holds == ()
    assert recovery.plan(1, "app", facts, config()).refused is None


async def test_a_measure_that_a_restart_leaves_in_force_refuses_no_restart(shop: Shop) -> None:
    await shop.apply("no-restart", "app")
    facts = await gather.gather(config(), shop.room.data_dir, driver=shop.twin, run_probe=shop.twin.run_probe)
    assert facts.contained == ()
    assert [(h.service, h.level) for h in facts.holds] == [("app", 3)]
    assert recovery.plan(1, "app", facts, config()).refused is None
    # A container made anew gets its policy back: also one that died meanwhile and looks like a finished job.
    shop.twin.set("app", status="exited", health="", policy="no")
    facts = await gather.gather(config(), shop.room.data_dir, driver=shop.twin, run_probe=shop.twin.run_probe)
    assert "app" not in router.services(facts)
    refused = router.refusal(3, "", facts, config())
    assert refused is not None
    assert "no-restart app" in refused.reason


async def test_a_ledger_that_cannot_be_read_stops_no_recovery_and_is_said(shop: Shop) -> None:
    (shop.room.data_dir / "containment").mkdir()
    (shop.room.data_dir / "containment" / "pause-app-0001.json").write_text("{")
    facts = await gather.gather(config(), shop.room.data_dir, driver=shop.twin, run_probe=shop.twin.run_probe)
    plan = recovery.plan(2, "", facts, config())
    assert plan.refused is None
    assert any("pause-app-0001.json is damaged" in text for text in plan.advice)


async def test_names_from_outside_cannot_leave_their_word_in_a_command(shop: Shop) -> None:
    shop.twin.set("app", networks={"n": {"NetworkID": "id-n", "Aliases": ["a; rm -rf /", "b\x1b[2J"]}})
    proposal = await shop.propose("isolate", "app")
    assert "--alias 'a; rm -rf /'" in proposal.undo
    assert "\x1b" not in proposal.undo
    done = await control.apply(shop.room, proposal, proposal.confirm)
    await shop.undo(done.entry.id)
    assert "b\x1b[2J" in shop.networks()["n"]["Aliases"]  # what is given back is what was there


async def test_a_stop_in_doubt_is_believed_undone_only_when_it_can_no_longer_be_at_work(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine goes on stopping after our process was killed: `undo` must wait for it, or it would undo nothing."""
    shop.room = replace(shop.room, settle=0.2)
    proposal = await shop.propose("stop-writers")

    def killed_while_stopping(where: str) -> None:
        if where.startswith("after engaging stop-"):
            raise KilledError

    with pytest.raises(KilledError):
        await control.apply(replace(shop.room, boundary=killed_while_stopping), proposal, proposal.confirm)

    async def the_engine_finishes() -> None:
        await asyncio.sleep(0.15)
        shop.twin.set("app", status="exited", health="")

    late = asyncio.create_task(the_engine_finishes())
    undone = await shop.undo("stop-writers shop")
    await late
    assert undone.entry.state == "undone"
    assert shop.twin.state("app") == "running"
