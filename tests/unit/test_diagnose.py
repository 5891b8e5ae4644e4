"""A diagnosis joins the look with the checks; a console keeps what each check said, and has one run at a time."""

from __future__ import annotations

import asyncio
import threading

import pytest

from console.checks.check import Finding, Status
from console.checks.diagnose import Diagnosing, diagnose
from console.checks.diagnosis import Check, CheckResult, Looked
from console.checks.scene import Scene
from console.errors import SourceError
from console.watch.readings import Readings
from tests.unit.readings_made import CONFIG, NOW, failing, readings

WARNS = Finding("logs.new", "logs", Status.WARN, "app logs something new", subject="app")


def scene() -> Scene:
    return Scene(CONFIG)


def says(name: str, *findings: Finding, cleared: str = "") -> Check:
    async def look(scene: Scene) -> Looked:
        return Looked(findings, cleared)

    return Check(name, f"{name} is well", look)


def hangs(name: str, deadline: float = 60.0) -> Check:
    async def look(scene: Scene) -> Looked:
        await asyncio.Event().wait()
        return Looked()

    return Check(name, f"{name} is well", look, deadline)


async def told(states: Diagnosing, count: int) -> None:
    """Wait until so many checks have said something."""
    heard = asyncio.Event()
    states.heard = heard.set
    while len(states.diagnosis.results) < count:
        await asyncio.wait_for(heard.wait(), 10)
        heard.clear()


async def test_the_look_and_the_checks_go_on_together_and_are_judged_together() -> None:
    asked = asyncio.Event()

    async def look(scene: Scene) -> Looked:
        asked.set()
        return Looked((WARNS,))

    async def reading() -> Readings:
        await asyncio.wait_for(asked.wait(), 10)  # the checks do not wait for the look
        return readings(probes=(failing("edge", "504 in 30 ms", 60),))

    heard: list[CheckResult] = []
    checks = (Check("logs.new", "nothing new is logged", look), says("quick.clock", cleared="the clock is right"))
    here = scene()
    found = await diagnose(CONFIG, reading(), here, told=heard.append, checks=checks)
    await here.close()
    assert {"probes.fail:edge", "logs.new:app"} <= {f.key for f in found.findings}
    assert found.diagnosis.cleared == ["the clock is right"]
    assert {result.check for result in heard} == {"logs.new", "quick.clock"}
    assert found.at > NOW - 1e9 and found.took >= 0


async def test_only_the_groups_that_are_asked_for_are_run() -> None:
    here = scene()
    checks = (says("logs.new", WARNS), says("quick.clock"))
    found = await diagnose(CONFIG, readings(), here, ["quick"], checks=checks)
    await here.close()
    assert [result.check for result in found.diagnosis.results] == ["quick.clock"]
    assert found.findings == ()


async def test_a_look_that_fails_ends_the_checks_with_it() -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def look(scene: Scene) -> Looked:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return Looked()

    async def reading() -> Readings:
        await asyncio.wait_for(began.wait(), 10)
        raise SourceError("nobody is there")

    here = scene()
    with pytest.raises(SourceError, match="nobody is there"):
        await diagnose(CONFIG, reading(), here, checks=(Check("quick.a", "a", look),))
    assert ended.is_set()
    await here.close()


async def test_one_group_is_run_again_and_the_others_stand() -> None:
    moment = NOW
    states = Diagnosing(scene, lambda: (says("logs.new", WARNS), says("quick.clock")), lambda: moment)
    assert [group.status for group in states.groups] == [None] * 7, "nothing is known before the first run"
    await states.run()
    moment = NOW + 100
    await states.run(["quick"])
    known = {group.name: group for group in states.groups}
    assert (known["logs"].at, known["quick"].at) == (NOW, NOW + 100)
    assert (known["logs"].status, known["quick"].status) == (Status.WARN, Status.OK)
    assert states.diagnosis.findings == [WARNS]
    assert states.seen(WARNS.key) == NOW
    assert states.seen("probes.fail:edge") is None
    assert not states.running


async def test_what_has_ended_is_known_while_another_check_hangs_and_stands_when_the_run_is_left() -> None:
    states = Diagnosing(scene, lambda: (says("logs.new", WARNS), hangs("quick.clock")))
    run = asyncio.ensure_future(states.run())
    await told(states, 1)
    quick = states.groups[0]
    assert (quick.running, quick.status, states.running) == (1, None, True)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert not states.running
    assert [group.running for group in states.groups] == [0] * 7
    assert states.diagnosis.findings == [WARNS]


async def test_a_check_that_hangs_is_unknown_after_its_deadline_and_the_run_ends() -> None:
    states = Diagnosing(scene, lambda: (hangs("quick.clock", 0.01),))
    await states.run()
    (finding,) = states.diagnosis.findings
    assert (finding.status, finding.key) == (Status.UNKNOWN, "quick.unknown:quick.clock")
    assert states.groups[0].status is Status.UNKNOWN


async def test_a_call_that_hangs_in_its_thread_is_not_waited_for_and_starves_nobody() -> None:
    free = threading.Event()

    async def look(scene: Scene) -> Looked:
        await asyncio.gather(*(asyncio.to_thread(free.wait, 60) for _ in range(100)))
        return Looked()

    async def ask(scene: Scene) -> Looked:
        return Looked(cleared=await asyncio.to_thread(lambda: "asked"))

    slow, quick = Check("quick.disk", "the disk answers", look, 0.2), Check("logs.new", "nothing is new", ask)
    states = Diagnosing(scene, lambda: (slow, quick))
    await states.run()
    assert not free.is_set(), "the run has ended before the thread"
    assert states.diagnosis.cleared == ["asked"]
    assert states.groups[0].status is Status.UNKNOWN
    free.set()


async def test_a_check_that_never_gives_its_loop_back_takes_nobody_with_it_and_no_run_begins_beside_it() -> None:
    stuck, free, looks = threading.Event(), threading.Event(), 0

    async def look(scene: Scene) -> Looked:
        nonlocal looks
        looks += 1
        stuck.set()
        free.wait(30)
        return Looked()

    states = Diagnosing(scene, lambda: (Check("quick.a", "a", look),))
    first = asyncio.ensure_future(states.run())
    assert await asyncio.to_thread(stuck.wait, 10)
    first.cancel()  # this loop goes on
    with pytest.raises(asyncio.CancelledError):
        await first
    second = asyncio.ensure_future(states.run())
    await asyncio.sleep(0)
    assert (looks, states.running) == (1, True)
    free.set()
    await asyncio.wait_for(second, 10)
    assert looks == 2
    assert states.groups[0].status is Status.OK
