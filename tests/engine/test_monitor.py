"""The monitor on the real stack, as a service runs it: detects, recovers under the ceiling, freezes, keeps its hands off."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from console.actions import runs
from console.actions.monitor import heartbeat
from tests.engine.test_recovery import ROOT, Sevdeck, configured, started_at
from tests.lab.images import TINY
from tests.lab.lab import Lab, PrivateEngine
from tests.lab.shell import wait_until

Line = dict[str, Any]


class Watching:
    """`sevdeck watch --json` in a process of its own."""

    def __init__(self, sevdeck: Sevdeck, *words: str) -> None:
        self.sevdeck = sevdeck
        self.out = sevdeck.data.parent / f"watch-{time.monotonic_ns()}.jsonl"
        with self.out.open("wb") as out:
            self.process = subprocess.Popen(
                sevdeck.argv("watch", "--json", *words),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def lines(self) -> list[Line]:
        return [json.loads(text) for text in self.out.read_text(encoding="utf-8").splitlines() if text.endswith("}")]

    def kinds(self) -> list[str]:
        return [line["kind"] for line in self.lines()]

    def until(self, wanted: str | Callable[[Line], bool], deadline: float = 60) -> Line:
        found: list[Line] = []
        fits = wanted if callable(wanted) else lambda line: line["kind"] == wanted

        def seen() -> bool:
            assert self.process.poll() is None, self.out.read_text(encoding="utf-8")
            found[:] = [line for line in self.lines() if fits(line)]
            return bool(found)

        try:
            wait_until(seen, f"the monitor says {wanted}", deadline=deadline, every=0.1)
        except Exception as error:
            raise AssertionError(f"{error}\n{self.out.read_text(encoding='utf-8')}") from error
        return found[0]

    def goes_on(self, samples: int) -> None:
        """So many further samples are taken and judged: what was to be done would have been begun."""
        signs: set[str] = set()

        def seen() -> bool:
            beat = heartbeat.read(self.sevdeck.data)
            signs.add(beat.time if beat is not None else "")
            return len(signs) > samples + 1  # the first may be of a sample that was on its way

        wait_until(seen, f"{samples} further samples", deadline=60, every=0.2)

    def end(self) -> float:
        """SIGTERM; seconds until it was gone."""
        began = time.monotonic()
        self.process.terminate()
        assert self.process.wait(10) == 0
        return time.monotonic() - began

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)


Watch = Callable[..., Watching]


@pytest.fixture
def sevdeck(healthy_lab: Lab, tmp_path: Path) -> Sevdeck:
    return Sevdeck(tmp_path, configured(healthy_lab))


@pytest.fixture
def watch(sevdeck: Sevdeck) -> Iterator[Watch]:
    made: list[Watching] = []

    def begin(*words: str, well: bool = True) -> Watching:
        watching = Watching(sevdeck, *words)
        made.append(watching)
        if well:
            watching.until("good", 20)
        return watching

    yield begin
    for watching in made:
        if watching.process.poll() is None:
            watching.kill()


def starts(lab: Lab) -> dict[str, str]:
    return {service: started_at(lab, service) for service in ("edge", "app", "worker", "postgres", "redis")}


@pytest.mark.scenario("app hung: the monitor recovers it by level 1")
def test_a_hung_app_is_detected_within_30_s_and_recovered_by_the_lowest_level(
    healthy_lab: Lab, sevdeck: Sevdeck, watch: Watch
) -> None:
    before = starts(healthy_lab)
    watching = watch()
    healthy_lab.break_("app-hung", wait=False)
    began = time.monotonic()
    watching.until("opened", 40)
    detected = time.monotonic() - began
    recovered = watching.until("recovered", 60)
    print(f"detected after {detected:.1f} s, recovered after {time.monotonic() - began:.1f} s")
    assert detected <= 30
    assert [(level["level"], level["service"], level["outcome"]) for level in recovered["levels"]] == [(1, "app", "ok")]
    after = starts(healthy_lab)
    assert [service for service in before if before[service] != after[service]] == ["app"]
    view = sevdeck.view()
    assert view is not None
    assert (view.outcome, view.plan.level) == ("ok", 1)
    beat = heartbeat.read(sevdeck.data)
    assert beat is not None
    assert (beat.pid, beat.project, beat.trouble) == (watching.process.pid, healthy_lab.stack.project, "")
    assert heartbeat.silence(sevdeck.data, time.time()) == ""
    second = sevdeck("watch")
    assert second.code == 3
    assert "a monitor watches already" in second.err
    took = watching.end()
    assert took < 2, f"it took {took:.1f} s to end"
    assert watching.kinds()[-1] == "stopped"
    assert heartbeat.silence(sevdeck.data, time.time()) == "", "ended on purpose is not silent"


@pytest.mark.scenario("app healthy but every webhook 500: level 1 once, then a person")
@pytest.mark.timeout(240, func_only=True)
def test_a_failure_that_no_level_mends_ends_frozen_with_a_page_and_nothing_more_is_tried(
    healthy_lab: Lab, sevdeck: Sevdeck, watch: Watch
) -> None:
    declared = sevdeck("incident", "declare", "--title", "webhooks fail", "--severity", "2", "--no-evidence", "--json")
    incident = declared.data["id"]
    watching = watch()
    healthy_lab.break_("app-webhook-500", wait=False)
    try:
        frozen = watching.until("frozen", 150)
        assert frozen["page"] is True
        assert frozen["incident"] == incident
        assert [(level["level"], level["outcome"]) for level in frozen["levels"]] == [(1, "failed")]
        assert "a restart of app did not help" in frozen["text"]
        quiet = starts(healthy_lab)
        watching.goes_on(5)
        assert starts(healthy_lab) == quiet
        assert len(runs.ids(sevdeck.data)) == 1
        assert watching.kinds().count("frozen") == 1
        assert "automatic recovery is frozen: " in sevdeck("recover", "status").out
        watching.end()
        again = watch(well=False)
        assert again.until("frozen", 30)["text"].startswith("still: ")
        unattended = sevdeck("recover", "auto", "--unattended", "--json")
        assert unattended.code == 3
        assert (unattended.data["page"], unattended.data["levels"]) == (True, [])
        assert len(runs.ids(sevdeck.data)) == 1
    finally:
        healthy_lab.mend("app-webhook-500")
    told = sevdeck("incident", "show", incident, "--json").data["timeline"]
    text = "\n".join(entry["summary"] for entry in told)
    assert "monitor: users are not served: webhook: " in text
    assert "monitor: nothing more is tried by itself: " in text
    assert any(entry["kind"] == "recovery.run" for entry in told), "the run belongs to the incident that was open"
    assert len({entry["id"] for entry in told}) == len(told)


@pytest.mark.scenario("crash loop: the monitor leaves it to a person")
def test_a_crash_loop_is_left_to_a_person_without_a_single_restart(
    healthy_lab: Lab, sevdeck: Sevdeck, watch: Watch
) -> None:
    watching = watch()
    healthy_lab.break_("bad-release")
    try:
        frozen = watching.until("frozen", 90)
        assert frozen["page"] is True
        assert "crash-looping" in frozen["text"] or "no container of edge exists" in frozen["text"]
        assert "No incident is declared" in frozen["text"]
        assert runs.ids(sevdeck.data) == []
        log = (sevdeck.data / "monitor" / "monitor.log").read_text(encoding="utf-8")
        assert '"kind": "frozen"' in log
    finally:
        healthy_lab.mend("bad-release")


@pytest.mark.scenario("redis frozen 9 of every 13 s: flapping, nothing is restarted")
def test_what_comes_and_goes_is_flapping_and_nothing_is_restarted(
    healthy_lab: Lab, sevdeck: Sevdeck, watch: Watch
) -> None:
    before = starts(healthy_lab)
    watching = watch()
    healthy_lab.break_("redis-frozen", wait=False)
    try:
        flapping = watching.until("flapping", 90)
        assert flapping["page"] is True
        watching.until("evidence", 20)
        watching.goes_on(4)  # every 2 s while it is bad, every 10 s while it is good: more than one turn
        assert starts(healthy_lab) == before
        assert runs.ids(sevdeck.data) == []
        beat = heartbeat.read(sevdeck.data)
        assert beat is not None
        assert beat.state == "flapping"
        kept = list((sevdeck.data / "monitor" / "evidence").glob("*.json"))
        assert len(kept) == 1
        assert len(json.loads(kept[0].read_text(encoding="utf-8"))["containers"]) == 5
        assert "correct-horse-7" not in kept[0].read_text(encoding="utf-8")
    finally:
        healthy_lab.mend("redis-frozen")


@pytest.mark.scenario("hold file: the monitor keeps its hands off")
def test_the_hold_file_suspends_and_its_end_lets_it_recover(healthy_lab: Lab, sevdeck: Sevdeck, watch: Watch) -> None:
    watching = watch()
    (sevdeck.data / "hold").write_text("maintenance, ask ana", encoding="utf-8")
    suspended = watching.until("suspended", 20)
    assert suspended["text"] == "changes are on hold: maintenance, ask ana"
    before = started_at(healthy_lab, "app")
    healthy_lab.break_("app-hung")
    watching.until("opened", 40)
    watching.goes_on(4)
    assert started_at(healthy_lab, "app") == before
    assert runs.ids(sevdeck.data) == []
    (sevdeck.data / "hold").unlink()
    watching.until("recovered", 60)
    assert started_at(healthy_lab, "app") != before


@pytest.mark.scenario("monitor killed: its run goes on, its silence is said")
def test_a_killed_monitor_leaves_its_run_going_and_its_silence_is_said(
    healthy_lab: Lab, sevdeck: Sevdeck, watch: Watch
) -> None:
    watching = watch()
    healthy_lab.break_("app-hung", wait=False)
    view = sevdeck.until("the monitor's run", lambda v: v.state == "running", deadline=60)
    os.kill(watching.process.pid, signal.SIGKILL)
    watching.process.wait(10)
    assert view.outcome is None
    once = sevdeck("watch", "--once", "--json")
    assert once.code == 1
    assert "its process is gone" in once.data["monitor"]
    assert view.run_id in str(once.data["suspended"])
    done = sevdeck.until("the end of the run", lambda v: v.over, deadline=60)
    assert (done.run_id, done.outcome) == (view.run_id, "ok")
    assert "its process is gone" in sevdeck("recover", "status").out
    again = watch()
    assert again.kinds().count("recovered") == 0
    assert len(runs.ids(sevdeck.data)) == 1
    assert sevdeck("watch", "--once").code == 0


def test_recover_auto_asks_once_and_gives_the_run_and_its_levels(healthy_lab: Lab, sevdeck: Sevdeck) -> None:
    well = sevdeck("recover", "auto", "--json")
    assert (well.code, well.data["verdict"], well.data["levels"]) == (0, "well", [])
    healthy_lab.break_("app-hung")
    unasked = sevdeck("recover", "auto")
    assert unasked.code == 3
    assert "--confirm 'restart app', or with --unattended" in unasked.err
    assert sevdeck("recover", "auto", "--confirm", "restart redis").code == 3
    capped = sevdeck("recover", "auto", "--unattended", "--max-level", "0", "--json")
    assert capped.code == 3
    assert "no level may be run unattended" in capped.data["reason"]
    assert runs.ids(sevdeck.data) == []
    done = sevdeck("recover", "auto", "--confirm", "restart app", "--json")
    assert done.code == 0, done.out + done.err
    assert (done.data["verdict"], done.data["outcome"]) == ("mended", "ok")
    assert [level["run_id"] for level in done.data["levels"]] == [done.data["run_id"]]
    assert done.data["steps"]


@pytest.mark.scenario("engine frozen, then killed: the monitor pages and waits")
def test_a_frozen_engine_is_paged_and_nothing_is_asked_of_it_until_it_is_back(
    private_engine: PrivateEngine, tmp_path: Path
) -> None:
    private_engine.docker(
        "run", "--detach", "--name", "solo-app-1", "--label", "com.docker.compose.project=solo",
        "--label", "com.docker.compose.service=app", TINY, "sleep", "1000",
    )  # fmt: skip
    sevdeck = Sevdeck(tmp_path, f'[docker]\nhost = "{private_engine.host}"\nproject = "solo"\n[roles]\napp = ["app"]\n')
    watching = Watching(sevdeck)
    try:
        watching.until("good", 20)
        assert any("only the health of the containers" in line["text"] for line in watching.lines())
        private_engine.freeze()
        try:
            began = time.monotonic()
            page = watching.until("engine", 30)
            print(f"the frozen engine was noticed after {time.monotonic() - began:.1f} s")
            assert page["page"] is True
            watching.until(lambda line: line["kind"] == "suspended" and "does not answer" in line["text"])
            assert sevdeck("watch", "--once", "--json").code == 4
        finally:
            private_engine.thaw()
        watching.until(lambda line: line["kind"] == "engine" and "again" in line["text"], 30)
        watching.until(lambda line: line["kind"] == "resumed", 30)
        private_engine.kill()
        private_engine.start()
        assert runs.ids(sevdeck.data) == []
        recovered = watching.until("recovered", 90)
        assert recovered["text"].startswith("start app")
        state = private_engine.docker("inspect", "--format", "{{.State.Status}}", "solo-app-1").stdout.strip()
        assert state == "running"
        assert watching.end() < 2
    finally:
        if watching.process.poll() is None:
            watching.kill()
