"""The monitor's loop on a clock that a pause moves: what it does, says and writes, and what never ends it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from console.actions import attempts, runs
from console.actions.climb import Climbed, Rung, Ways
from console.actions.facts import Facts
from console.actions.lock import ProjectLock
from console.actions.monitor import heartbeat
from console.actions.monitor.watch import Monitor, Parts
from console.config import Config, MonitorConfig
from console.incident.events import Actor
from console.incident.store import IncidentStore
from console.watch.container_records import EngineEvent
from tests.unit.project_twin import PROJECT, ProjectTwin, config

ANA = Actor("ana", via="cli")
ENOUGH = 20.0  # real seconds


class Silent:
    """An engine that tells nothing, or what a test puts here."""

    def __init__(self) -> None:
        self.told: tuple[EngineEvent, ...] = ()
        self.turns: list[bool] = []

    def events(self) -> tuple[EngineEvent, ...]:
        return self.told

    def turned(self, up: bool, detail: str) -> None:
        self.turns.append(up)

    def close(self) -> None:
        return


class Life:
    """A monitor over a twin. `script` maps clock seconds to what happens then; it ends after the last of them."""

    def __init__(self, data_dir: Path, settings: Config | None = None) -> None:
        self.data_dir, self.settings = data_dir, settings or config()
        self.twin, self.hearing = ProjectTwin(), Silent()
        self.now, self.began = 0.0, time.time()
        self.lines: list[dict[str, Any]] = []
        self.climbs: list[float] = []
        self.answer: Callable[[Ways], Awaitable[Climbed]] = self.mend
        self.changes: dict[str, Any] = {}

    async def mend(self, ways: Ways) -> Climbed:
        self.twin.hung.clear()
        return Climbed("mended", "all well", rungs=(Rung(1, "app", "restart app", "hung", "R1", "ok", "stable"),))

    async def hopeless(self, ways: Ways) -> Climbed:
        return Climbed("stopped", "nothing helps", "a person")

    async def look(self) -> Facts:
        return self.twin.facts(**self.changes)

    async def climb(self, settings: Config, ways: Ways) -> Climbed:
        self.climbs.append(self.now)
        return await self.answer(ways)

    def live(self, until: float, script: Mapping[float, Callable[[], object]] | None = None, **more: Any) -> list[str]:
        """Live until then; the kinds of the lines."""
        asyncio.run(asyncio.wait_for(self._live(until, dict(sorted((script or {}).items())), more), ENOUGH))
        return [line["kind"] for line in self.lines]

    async def _live(self, until: float, script: dict[float, Callable[[], object]], more: dict[str, Any]) -> None:
        async def pause(wake: asyncio.Event, seconds: float) -> None:
            self.now += seconds
            for at in [at for at in script if at <= self.now]:
                script.pop(at)()
            if self.now >= until:
                monitor.stop("the test")
                await asyncio.sleep(5)
            await asyncio.sleep(0)

        parts = Parts(
            self.twin, self.twin.run_probe, lambda ring: self.hearing, self.look, self.climb,
            clock=lambda: self.now, wall=lambda: self.began + self.now, pause=pause,
        )  # fmt: skip
        monitor = Monitor(self.settings, self.data_dir, self.lines.append, parts=parts, **more)
        await monitor.run()

    def hang(self) -> None:
        self.twin.hung.add("app")
        self.twin.set("app", health="unhealthy")

    def heal(self) -> None:
        self.twin.hung.clear()
        self.twin.set("app", health="healthy")

    def said(self, kind: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["kind"] == kind]

    @property
    def beat(self) -> heartbeat.Beat:
        found = heartbeat.read(self.data_dir)
        assert found is not None
        return found


@pytest.fixture
def life(tmp_path: Path) -> Life:
    return Life(tmp_path)


def test_a_quiet_day_is_two_lines_and_a_heartbeat(life: Life) -> None:
    assert life.live(3600) == ["started", "good", "stopped"]
    assert (life.beat.state, life.beat.project, life.beat.probe_ok) == ("stopped", PROJECT, True)
    assert life.climbs == []
    assert life.twin.calls == []


def test_trouble_is_opened_recovered_and_closed(life: Life) -> None:
    kinds = life.live(300, {60: life.hang})
    assert kinds == ["started", "good", "bad", "opened", "recovered", "good", "closed", "stopped"]
    assert len(life.climbs) == 1
    assert 75 <= life.climbs[0] <= 100
    assert life.said("recovered")[0]["levels"][0]["level"] == 1
    memory = attempts.load(life.data_dir, PROJECT)
    assert memory.bad_at > 0
    assert memory.well_at > memory.bad_at


def test_what_no_level_mends_is_paged_once_frozen_and_still_so_after_a_restart(life: Life) -> None:
    life.answer = life.hopeless
    assert life.live(1800, {60: life.hang}).count("frozen") == 1
    page = life.said("frozen")[0]
    assert (page["page"], page["incident"]) == (True, None)
    assert page["text"] == "nothing helps. Would help: a person. No incident is declared"
    assert len(life.climbs) == 1
    again = Life(life.data_dir)
    again.hang()
    again.began = life.began + 1800
    kinds = again.live(300, {150: again.heal})
    assert again.climbs == []
    assert again.said("frozen")[0]["text"] == "still: nothing helps. Would help: a person"
    assert kinds[-3:] == ["closed", "thawed", "stopped"]
    assert attempts.load(life.data_dir, PROJECT).frozen == ""


def test_what_was_mended_while_no_monitor_watched_is_thawed_by_the_next(life: Life) -> None:
    attempts.update(life.data_dir, PROJECT, lambda known: known.froze("nothing helps", life.began))
    kinds = life.live(400, {250: life.hang})
    assert kinds.index("frozen") < kinds.index("thawed") < kinds.index("recovered")
    assert attempts.load(life.data_dir, PROJECT).frozen == ""
    assert life.climbs


def test_a_reason_to_wait_is_said_once_and_tried_again(life: Life) -> None:
    async def wait(ways: Ways) -> Climbed:
        return Climbed("waiting", "ana is recovering shop")

    life.answer = wait
    life.live(300, {60: life.hang})
    assert len(life.said("waiting")) == 1
    assert len(life.climbs) > 3


def test_a_hold_file_a_run_and_containment_suspend_it(life: Life) -> None:
    def hold() -> None:
        (life.data_dir / "hold").write_text("ask ana")

    def contain() -> None:
        life.changes = {"contained": ("app",)}

    held: list[ProjectLock] = []

    def run() -> None:
        from console.actions.facts import Holder

        (life.data_dir / "hold").unlink()
        held.append(ProjectLock.acquire(life.data_dir, PROJECT, Holder("R9", "ana", life.began, 1, "restart app")))

    def over() -> None:
        contain()
        held[0].release()

    def free() -> None:
        life.changes = {}

    life.live(700, {20: hold, 40: life.hang, 200: run, 400: over, 600: free})
    reasons = [line["text"].split(",")[0] for line in life.said("suspended")]
    assert reasons[0] == "changes are on hold: ask ana"
    assert reasons[1].startswith("ana is recovering shop: level 1")
    assert reasons[2] == "app held in deliberate containment"
    assert len(life.said("resumed")) == 1, "between the run and the containment nothing could begin"
    assert life.climbs
    assert life.climbs[0] > 600


def test_an_engine_that_freezes_is_paged_nothing_is_begun_and_its_return_is_waited_for(life: Life) -> None:
    def freeze() -> None:
        life.twin.frozen = True
        life.hang()

    def thaw() -> None:
        life.twin.frozen = False

    life.live(400, {60: freeze, 200: thaw})
    told = life.said("engine")
    assert [line.get("page", False) for line in told] == [True, False]
    assert life.hearing.turns == [True, False, True]
    assert life.climbs
    assert life.climbs[0] > 205
    assert "does not answer" in life.said("suspended")[0]["text"]


def test_flapping_is_paged_with_evidence_and_nothing_is_begun(life: Life) -> None:
    script = {30.0 + 13 * n: life.hang for n in range(40)} | {39.0 + 13 * n: life.heal for n in range(40)}
    kinds = life.live(500, script)
    assert kinds.count("flapping") == 1
    assert life.climbs == []
    assert life.said("flapping")[0]["page"] is True
    kept = list((life.data_dir / "monitor" / "evidence").glob("*.json"))
    assert len(kept) == 1
    assert "hunter2" not in kept[0].read_text()


def test_an_open_incident_gets_each_fact_once_from_any_number_of_monitors(life: Life) -> None:
    store = IncidentStore(life.data_dir, ANA)
    incident = store.create("webhooks fail", 2).incident
    died = EngineEvent(life.began + 50, "die", "app", "shop-app-1", "app", PROJECT, "exit 137")
    life.hearing.told = ()

    def die() -> None:
        life.hearing.told = (died,)

    life.answer = life.hopeless
    life.live(300, {50: die, 60: life.hang})
    again = Life(life.data_dir)
    again.began = life.began
    again.answer = again.hopeless
    again.hearing.told = ()

    def die_again() -> None:
        again.hearing.told = (died,)

    again.live(300, {50: die_again, 60: again.hang})
    events = [e for e in store.open(incident).events() if e.kind == "fact"]
    texts = [e.data["text"] for e in events]
    assert len({e.id for e in events}) == len(events)
    assert texts.count("app died (exited 137, killed)") == 1
    assert sum(text.startswith("probe webhook fails") for text in texts) == 1
    assert sum(text.startswith("monitor: users are not served") for text in texts) == 1
    assert sum(text.startswith("monitor: nothing more is tried") for text in texts) == 1
    assert {e.actor.via for e in events} == {"monitor"}
    assert not any("No incident is declared" in text for text in texts)


def test_a_disk_that_takes_nothing_is_said_once_and_nothing_is_begun_on_it(life: Life) -> None:
    """A directory in the place of the file fails for root too, which a full disk does not."""

    def full() -> None:
        heartbeat.path(life.data_dir).unlink()
        (heartbeat.path(life.data_dir) / "x").mkdir(parents=True)

    def room() -> None:
        (heartbeat.path(life.data_dir) / "x").rmdir()
        heartbeat.path(life.data_dir).rmdir()

    life.live(600, {30: full, 60: life.hang, 400: room})
    troubles = [line["text"] for line in life.said("trouble")]
    assert troubles[0].startswith("the data directory cannot be used: ")
    assert troubles[-1] == "everything can be written again"
    assert len(troubles) == 2
    assert life.climbs
    assert life.climbs[0] > 400
    assert life.said("opened"), "it keeps watching"


def test_what_a_full_disk_did_not_take_is_no_trouble_once_there_is_room(life: Life) -> None:
    """Its own log and the heartbeat fail; only the heartbeat is tried again by itself."""
    place = life.data_dir / "monitor"

    def full() -> None:
        (place / "monitor.log").unlink()
        (place / "monitor.log").mkdir()
        heartbeat.path(life.data_dir).unlink()
        heartbeat.path(life.data_dir).mkdir()

    def room() -> None:
        (place / "monitor.log").rmdir()
        heartbeat.path(life.data_dir).rmdir()

    life.live(600, {30: full, 60: life.hang, 300: room})
    assert life.said("trouble")[-1]["text"] == "everything can be written again"
    assert life.climbs
    assert life.climbs[0] > 300


def test_metrics_that_cannot_be_written_are_said_and_stop_nothing(tmp_path: Path) -> None:
    life = Life(tmp_path, config(monitor=MonitorConfig(str(tmp_path / "none" / "sevdeck.prom"))))
    life.live(200, {60: life.hang})
    assert "sevdeck.prom cannot be written" in life.said("trouble")[0]["text"]
    assert len(life.said("trouble")) == 1
    assert life.climbs


def test_a_fault_of_ours_is_said_once_and_does_not_end_it(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken() -> Facts:
        if 50 < life.now < 200:
            raise ZeroDivisionError
        return life.twin.facts()

    real = asyncio.sleep
    monkeypatch.setattr(asyncio, "sleep", lambda seconds: real(min(seconds, 0.01) if life.now < 400 else seconds))
    life.look = broken  # type: ignore[method-assign]
    life.live(400, {250: life.hang})
    assert [line["text"] for line in life.said("trouble")] == [
        "unexpected ZeroDivisionError; the details are in sevdeck.log"
    ]
    assert life.climbs


def test_the_end_comes_at_once_also_in_the_middle_of_a_climb(life: Life) -> None:
    ended: list[str] = []

    async def long(ways: Ways) -> Climbed:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        raise AssertionError

    life.answer = long
    began = time.monotonic()
    life.live(200, {60: life.hang})
    assert time.monotonic() - began < 10
    assert ended == ["cancelled"]
    assert life.lines[-1]["kind"] == "stopped"
    assert life.beat.state == "stopped"


def test_without_probes_the_health_of_containers_counts_and_that_is_said(tmp_path: Path) -> None:
    life = Life(tmp_path, replace(config(), probes=()))
    life.live(300, {60: life.hang})
    assert "only the health of the containers" in life.said("note")[0]["text"]
    assert "shop-app-1 is running, unhealthy" in life.said("opened")[0]["text"]
    assert life.climbs


def test_the_log_is_bounded(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.actions.monitor.record.LOG_LIMIT", 2000)
    life.live(900, {30.0 + 26 * n: (life.hang if n % 2 else life.heal) for n in range(30)})
    place = life.data_dir / "monitor"
    sizes = {p.name: p.stat().st_size for p in place.glob("monitor.log*")}
    assert set(sizes) == {"monitor.log", "monitor.log.1"}
    assert all(size < 3000 for size in sizes.values())
    for text in (place / "monitor.log").read_text().splitlines():
        assert json.loads(text)["kind"]


def test_max_level_0_only_watches(life: Life) -> None:
    life.live(30, max_level=0)
    assert "watches only" in life.said("started")[0]["text"]
    assert life.beat.max_level == 0
    assert runs.ids(life.data_dir) == []
