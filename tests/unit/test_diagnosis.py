"""All checks at once: one that hangs or breaks is a finding of its own, what is shared is asked for once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from console.checks.check import GROUPS, Finding, Status
from console.checks.diagnosis import Check, CheckResult, Looked, run_all
from console.checks.looks import every
from console.checks.scene import Scene
from console.config import Config, DockerConfig
from console.errors import SourceError


def scene() -> Scene:
    return Scene(Config(docker=DockerConfig(host="unix:///nonexistent/docker.sock")))


def check(name: str, look: Callable[[Scene], Awaitable[Looked]], deadline: float = 5.0) -> Check:
    return Check(name, "it is well", look, deadline)


async def well(_: Scene) -> Looked:
    return Looked(cleared="it is well")


async def hangs(_: Scene) -> Looked:
    await asyncio.Event().wait()
    raise AssertionError


async def breaks(_: Scene) -> Looked:
    raise ZeroDivisionError


async def cannot(_: Scene) -> Looked:
    raise SourceError("the server refuses", remedy="set its password")


async def bad(_: Scene) -> Looked:
    return Looked((Finding("database.blocked", "database", Status.FAIL, "3 wait", subject="db"),), "nobody waits")


async def test_a_check_that_hangs_or_breaks_is_a_finding_and_takes_no_other_with_it() -> None:
    heard: list[CheckResult] = []
    checks = [check("quick.hangs", hangs, 0.05), check("logs.breaks", breaks), check("database.cannot", cannot),
              check("database.bad", bad), check("quick.well", well)]  # fmt: skip
    diagnosis = await run_all(scene(), checks, told=heard.append)
    status = {result.check: result.status for result in diagnosis.results}
    assert status == {
        "quick.hangs": Status.UNKNOWN,
        "quick.well": Status.OK,
        "logs.breaks": Status.UNKNOWN,
        "database.cannot": Status.UNKNOWN,
        "database.bad": Status.FAIL,
    }
    assert len(heard) == len(checks)
    said = {finding.subject: finding for finding in diagnosis.findings}
    assert "no answer in 0.05 s" in said["quick.hangs"].summary
    assert said["database.cannot"].evidence == ("set its password",)
    assert "ZeroDivision" not in said["logs.breaks"].summary
    assert diagnosis.cleared == ["it is well"]


async def test_groups_that_were_asked_for_are_looked_at_and_no_others() -> None:
    checks = [check(f"{group}.well", well) for group in GROUPS]
    diagnosis = await run_all(scene(), checks, groups=["database", "quick"])
    assert [result.group for result in diagnosis.results] == ["quick", "database"]


async def test_what_is_shared_is_asked_for_once_and_outlives_who_asked_first() -> None:
    asked = 0
    here, go = scene(), asyncio.Event()

    async def slow() -> str:
        nonlocal asked
        asked += 1
        await go.wait()
        return "told"

    first = asyncio.create_task(here.once("x", slow))
    second = asyncio.create_task(here.once("x", slow))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    go.set()
    assert await second == "told"
    assert asked == 1
    await here.close()


async def test_without_an_engine_every_check_says_so_and_none_breaks() -> None:
    diagnosis = await run_all(scene(), every())
    assert all(result.status in (Status.UNKNOWN, Status.OK, Status.WARN) for result in diagnosis.results)
    assert not [f.summary for f in diagnosis.findings if "it broke" in f.summary]


def test_names_say_their_group_and_are_told_apart() -> None:
    names = [one.name for one in every()]
    assert len(set(names)) == len(names)
    assert {one.group for one in every()} <= set(GROUPS)
