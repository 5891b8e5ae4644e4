"""The monitor's judgement: episodes, flapping, suspension, the engine's pulse, signs of life. All times are given."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.actions.facts import HealthCheck, ServiceContainer
from console.actions.monitor import heartbeat, messages
from console.actions.monitor.engine import Pulse
from console.actions.monitor.episode import CERTAIN, Episode, Sample
from console.actions.monitor.heartbeat import Beat, stamp
from console.actions.monitor.notify import Notifier
from console.actions.monitor.sampler import aged, chosen, judge, starting
from console.actions.monitor.sentinel import Sentinel, Situation
from console.actions.monitor.watch import Rhythm
from console.errors import RefusedError, SourceError
from console.watch.probes import ProbeResult
from tests.unit.project_twin import ProjectTwin, config

CALM = Situation()


def fed(episode: Episode, samples: str, every: float = 10.0, start: float = 0.0) -> list[str]:
    """g good, b bad, u unknown; what each changed."""
    found = []
    for place, letter in enumerate(samples):
        ok = {"g": True, "b": False, "u": None}[letter]
        found += episode.take(Sample(start + place * every, ok))
    return found


# -- episodes


@pytest.mark.parametrize(
    ("samples", "opened"),
    [("bb", False), ("bbb", True), ("bgbgb", True), ("bggbgb", False), ("gggggbb", False), ("ubububu", True)],
)
def test_three_bad_of_five_open_an_episode(samples: str, opened: bool) -> None:
    episode = Episode()
    assert ("opened" in fed(episode, samples)) is opened
    assert episode.open is opened


def test_ten_good_in_a_row_close_it_and_nine_do_not() -> None:
    episode = Episode()
    fed(episode, "bbb")
    assert fed(episode, "ggggggggg", start=30) == []
    assert fed(episode, "b", start=120) == []
    assert fed(episode, "ggggggggg", start=130) == []
    assert episode.open
    assert "closed" in fed(episode, "g", start=220)
    assert not episode.open


def test_an_answer_that_nobody_could_get_changes_nothing() -> None:
    episode = Episode()
    fed(episode, "bbb")
    bad_since = episode.bad_since
    assert fed(episode, "u" * 100, start=30) == []
    assert (episode.open, episode.bad_since, episode.good) == (True, bad_since, 0)


def test_four_turns_in_ten_minutes_are_flapping_and_three_are_not() -> None:
    episode = Episode()
    assert "flapping" not in fed(episode, "gbgb")
    assert fed(episode, "g", start=40) == ["flapping"]
    slow = Episode()
    assert "flapping" not in fed(slow, "gbgbgbgbgb", every=201.0)


def test_flapping_ends_when_it_was_good_and_the_turns_are_long_ago() -> None:
    episode = Episode()
    fed(episode, "gbgbgbg")
    assert episode.flapping
    assert "steady" not in fed(episode, "g" * 30, start=70)
    assert fed(episode, "g" * 40, start=370).count("steady") == 1
    assert not episode.flapping


# -- what it means for acting: the cadence of the loop over faults as they are


class Host:
    """Users and the loop's cadence: `serves(t)`, and a failing probe takes `patience` seconds."""

    def __init__(self, serves: Callable[[float], bool], patience: float = 3.0) -> None:
        self.serves, self.patience = serves, patience
        self.sentinel = Sentinel()
        self.opened: float | None = None
        self.acted: float | None = None
        self.flapping: float | None = None

    def live(self, start: float, until: float, situation: Callable[[float], Situation] = lambda at: CALM) -> None:
        pace, now = Rhythm(), start
        while now < until and self.acted is None:
            began, ok = now, self.serves(now)
            now += 0.05 if ok else self.patience
            for happening in self.sentinel.step(now, situation(now), Sample(began, ok)):
                if happening.kind == "opened":
                    self.opened = now
                if happening.kind == "flapping":
                    self.flapping = now
            if self.sentinel.act(now):
                self.acted = now
            now = max(now, began + (pace.close if self.sentinel.close_look else pace.sample))


@given(start=st.floats(-10, 0), patience=st.floats(0.01, 5.0))
def test_a_lasting_fault_is_detected_within_30_s_and_acted_on_soon_after(start: float, patience: float) -> None:
    host = Host(lambda at: at < 0, patience)
    host.live(start, 120)
    assert host.opened is not None
    assert host.opened <= 30
    assert host.acted is not None
    assert CERTAIN <= host.acted <= 40


@given(phase=st.floats(0, 13), patience=st.floats(0.05, 2.5))
def test_nine_bad_of_every_13_s_is_flapping_within_two_minutes_and_never_acted_on(
    phase: float, patience: float
) -> None:
    host = Host(lambda at: (at + phase) % 13 >= 9, patience)
    host.live(0, 1200)
    assert host.acted is None
    assert host.flapping is not None
    assert host.flapping <= 120


def test_a_deploy_of_twelve_seconds_is_left_alone() -> None:
    host = Host(lambda at: not 30 <= at < 42, patience=0.01)
    host.live(0, 300)
    assert host.acted is None


# -- suspension


def bad(sentinel: Sentinel, since: float, seconds: float, situation: Situation = CALM) -> None:
    for step in range(int(seconds / 2) + 1):
        at = since + step * 2.0
        sentinel.step(at, situation, Sample(at, False, "edge: 502"))


@pytest.mark.parametrize(
    ("situation", "words"),
    [
        (Situation(hold="ask ana"), "changes are on hold: ask ana"),
        (Situation(contained=("app",)), "app held in deliberate containment"),
        (Situation(starting=("app",)), "app within the start period"),
        (Situation(engine="down", engine_detail="no answer in 2 s"), "the Docker engine does not answer"),
        (Situation(engine="settling"), "the Docker engine came back a moment ago"),
        (Situation(engine="unknown"), "the Docker engine has not answered yet"),
        (Situation(run="ana is recovering shop: level 1"), "ana is recovering shop"),
        (Situation(unwritable="no space left"), "nothing can be recorded: no space left"),
    ],
)
def test_what_suspends_is_said_with_its_reason_and_nothing_is_begun(situation: Situation, words: str) -> None:
    sentinel = Sentinel()
    bad(sentinel, 0, 4)
    told = sentinel.step(6, situation)
    assert [h.kind for h in told] == ["suspended"]
    assert told[0].text.startswith(words)
    assert sentinel.state == "suspended"
    bad(sentinel, 8, 300, situation)
    assert not sentinel.act(310)
    assert [h.kind for h in sentinel.step(312, CALM)] == ["resumed"]
    assert not sentinel.act(312), "what was seen before says nothing of now"
    bad(sentinel, 314, 12)
    assert not sentinel.act(326)
    bad(sentinel, 328, 4)
    assert sentinel.act(332)


def test_samples_of_the_time_while_somebody_changes_things_are_not_counted() -> None:
    sentinel = Sentinel()
    running = Situation(run="ana is recovering shop: level 2, since 1 s")
    bad(sentinel, 0, 60, running)
    assert not sentinel.episode.open
    later = Situation(run="ana is recovering shop: level 2, since 61 s")
    assert sentinel.step(61, later) == [], "the words change with each second; it is said once"


def test_a_frozen_monitor_does_nothing_until_it_was_well_for_ten_samples() -> None:
    sentinel = Sentinel()
    bad(sentinel, 0, 20)
    assert sentinel.act(20)
    sentinel.begin()
    assert not sentinel.act(20)
    told = sentinel.end(100, "worse than before")
    assert [(h.kind, h.page) for h in told] == [("frozen", True)]
    bad(sentinel, 102, 600)
    assert not sentinel.act(702)
    found = [h.kind for n in range(10) for h in sentinel.step(710 + n, CALM, Sample(710 + n, True, "200"))]
    assert found == ["good", "closed", "thawed"]
    assert sentinel.frozen == ""


situations = st.sampled_from(
    [CALM, CALM, Situation(hold="x"), Situation(run="a run"), Situation(contained=("app",)), Situation(engine="down"),
     Situation(starting=("db",)), Situation(engine="settling"), Situation(unwritable="full")]
)  # fmt: skip


@given(
    st.lists(
        st.tuples(st.sampled_from("bbbbgu"), situations, st.floats(0.1, 40), st.sampled_from(["", "", "worse", "end"])),
        max_size=120,
    )
)
def test_it_never_acts_while_suspended_frozen_flapping_or_at_work(
    life: list[tuple[str, Situation, float, str]],
) -> None:
    sentinel, now, free_since = Sentinel(), 0.0, 0.0
    for letter, situation, pause, ending in life:
        now += pause
        ok = {"g": True, "b": False, "u": None}[letter]
        sentinel.step(now, situation, Sample(now, ok))
        if situation.reason and not sentinel.climbing:
            free_since = now
        if sentinel.climbing and ending:
            sentinel.end(now, "worse" if ending == "worse" else "")
            free_since = now
        if sentinel.act(now):
            assert situation.reason == ""
            assert not sentinel.frozen
            assert not sentinel.climbing
            assert sentinel.episode.turns(now) < 4
            assert sentinel.episode.open
            assert sentinel.episode.last is not None
            assert sentinel.episode.last.at - free_since >= CERTAIN
            sentinel.begin()


# -- the engine


class Pinged:
    """A driver that answers or not, and a clock."""

    def __init__(self) -> None:
        self.now, self.well = 0.0, True

    async def ping(self) -> None:
        if not self.well:
            self.now += 2.0
            raise SourceError("no answer in 2 s")


async def test_three_missed_pings_in_a_row_are_an_engine_that_is_down_and_it_settles_when_back() -> None:
    host = Pinged()
    pulse = Pulse(host, lambda: host.now)  # type: ignore[arg-type]
    assert pulse.state == "unknown"
    assert await pulse.beat() == "back"
    host.well = False
    assert [await pulse.beat(), await pulse.beat()] == ["", ""]
    assert pulse.state == "up"
    assert await pulse.beat() == "down"
    assert pulse.state == "down"
    host.well = True
    assert await pulse.beat() == "back"
    assert pulse.state == "settling"
    host.now += 4.9
    assert pulse.state == "settling"
    host.now += 0.2
    assert pulse.state == "up"


async def test_a_ping_that_is_missed_now_and_then_is_no_dead_engine() -> None:
    host = Pinged()
    pulse = Pulse(host, lambda: host.now)  # type: ignore[arg-type]
    await pulse.beat()
    for well in (False, False, True) * 5:
        host.well = well
        assert await pulse.beat() == ""
        assert pulse.answers is well
    assert pulse.state == "up"


# -- samples


def result(name: str, ok: bool | None, detail: str = "") -> ProbeResult:
    return ProbeResult(name, "http", "", ok, detail, 0.01, 0.0, 0.0, False)


def test_only_what_goes_the_way_of_users_is_asked() -> None:
    twin = ProjectTwin()
    assert [p.name for p in chosen(config(), twin.facts().containers)] == ["webhook", "edge"]


def test_one_failure_is_bad_and_silence_is_neither() -> None:
    assert judge(0, [result("a", True), result("b", False, "502")]) == Sample(0, False, "b: 502")
    assert judge(0, [result("a", None, "no secret")]).ok is None
    assert judge(0, []).ok is None
    assert judge(0, [result("a", True, "200"), result("b", None)]).ok is True


def test_a_first_start_has_its_start_period_and_a_crash_loop_has_none() -> None:
    slow = HealthCheck(("true",), start_period=60.0)
    first = ServiceContainer("1", "a", "app", "running", "starting", uptime=20.0, check=slow)
    looping = ServiceContainer("2", "b", "worker", "running", "starting", uptime=2.0, check=slow, restarts=4)
    assert starting((first, looping)) == ("app",)
    assert starting(aged((first,), 45.0)) == ()


# -- signs of life


def beat(at: float, state: str = "watching", **more: Any) -> Beat:
    import os

    return Beat(stamp(at), 7, os.uname().nodename, "shop", state, **more)


def test_a_heartbeat_that_is_old_or_whose_process_is_gone_is_silence(tmp_path: Path) -> None:
    assert heartbeat.silence(tmp_path, 0) == ""
    heartbeat.write(tmp_path, beat(1000.0))
    assert heartbeat.silence(tmp_path, 1012.0) == "monitor: silent for 12 s, its process is gone"
    with heartbeat.only_one(tmp_path):
        assert heartbeat.silence(tmp_path, 1012.0) == ""
        assert heartbeat.standing(tmp_path, 1012.0) == "monitor: watching"
        assert heartbeat.silence(tmp_path, 1180.0) == "monitor: silent for 3 min"
    heartbeat.write(tmp_path, beat(1000.0, "stopped"))
    assert heartbeat.silence(tmp_path, 9999.0) == ""
    assert heartbeat.standing(tmp_path, 1060.0) == "monitor: stopped 1 min ago"


def test_a_damaged_heartbeat_is_none(tmp_path: Path) -> None:
    heartbeat.write(tmp_path, beat(1000.0))
    for content in (b"", b"{", b"[]", b'{"time": 3}', b'"x"'):
        heartbeat.path(tmp_path).write_bytes(content)
        assert heartbeat.read(tmp_path) is None
        assert heartbeat.silence(tmp_path, 0) == ""


def test_one_monitor_watches_a_data_directory(tmp_path: Path) -> None:
    heartbeat.write(tmp_path, beat(1000.0))
    with (
        heartbeat.only_one(tmp_path),
        pytest.raises(RefusedError, match=r"already \(pid 7, project shop\)"),
        heartbeat.only_one(tmp_path),
    ):
        pass
    with heartbeat.only_one(tmp_path):
        pass


def test_metrics_are_for_another_user_to_read(tmp_path: Path) -> None:
    file = tmp_path / "sevdeck.prom"
    heartbeat.write_metrics(file, beat(1000.0, "frozen", frozen="worse", episode=stamp(900.0)))
    assert file.stat().st_mode & 0o777 == 0o644
    lines = file.read_text().splitlines()
    assert 'sevdeck_monitor_heartbeat_timestamp_seconds{project="shop"} 1000.000' in lines
    assert 'sevdeck_monitor_needs_person{project="shop"} 1' in lines
    assert 'sevdeck_monitor_episode_open{project="shop"} 1' in lines
    assert 'sevdeck_monitor_probe_ok{project="shop"} -1' in lines
    assert [path.name for path in tmp_path.iterdir()] == ["sevdeck.prom"]


def test_systemd_is_told_and_without_it_nothing_happens(tmp_path: Path) -> None:
    address = str(tmp_path / "n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(address)
        notifier = Notifier({"NOTIFY_SOCKET": address})
        notifier.ready()
        notifier.alive("frozen: it is\nworse")
        notifier.stopping()
        assert [server.recv(1000) for _ in range(3)] == [
            b"READY=1", b"WATCHDOG=1\nSTATUS=frozen: it is\\nworse", b"STOPPING=1",
        ]  # fmt: skip
    notifier.ready()
    Notifier({}).ready()


def test_messages_of_a_program_that_lives_for_months_stay_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "LIMIT", 3000)
    now = [0.0]
    file = tmp_path / "sevdeck.log"
    handler = logging.FileHandler(file, encoding="utf-8")
    handler.addFilter(messages.Sparse(handler, lambda: now[0]))
    log = logging.Logger("test")
    log.addHandler(handler)
    for hour in range(6):
        now[0] = hour * 3600.0
        for number in range(100):
            log.error("hour %d, message %d, %s", hour, number, "x" * 60)
    handler.close()
    text = file.read_text() + (tmp_path / "sevdeck.log.1").read_text()
    assert "hour 5, message 19," in text
    assert "message 20," not in text
    assert sorted(p.name for p in tmp_path.iterdir()) == ["sevdeck.log", "sevdeck.log.1"]
    assert file.stat().st_size < 6000


def test_a_beat_survives_its_file(tmp_path: Path) -> None:
    told = beat(1000.25, "episode", episode=stamp(990.0), suspended="x")
    heartbeat.write(tmp_path, told)
    assert heartbeat.read(tmp_path) == told
    assert told.at == 1000.25
    assert json.loads(heartbeat.path(tmp_path).read_text())["pid"] == 7
