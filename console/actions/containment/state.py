"""Parts that change how a container runs: paused, stopped, or without a restart policy."""

from __future__ import annotations

import shlex

from console.actions.action import Risk, Step
from console.actions.containment.entry import Sight
from console.actions.containment.operation import Operation, Tools, container, inspected, must
from console.actions.facts import ServiceContainer
from console.actions.operation import StepFailedError, StepSkipped

_SLACK = 15.0  # seconds that a call to the engine may take beyond what it does
_DOWN = ("exited", "created", "dead")


def pause_step(c: ServiceContainer) -> Step:
    return Step(
        f"pause-{c.name}",
        f"pause {c.name}",
        f"docker pause {shlex.quote(c.name)}",
        {"op": "pause", "id": c.id},
        undo=f"docker unpause {shlex.quote(c.name)}",
        target=c.service,
        expected=0.1,
        timeout=_SLACK,
        risk=Risk.OUTAGE,
    )


def stop_step(c: ServiceContainer) -> Step:
    return Step(
        f"stop-{c.name}",
        f"stop {c.name}",
        f"docker stop -t {c.stop_timeout} {shlex.quote(c.name)}",
        {"op": "stop", "id": c.id, "t": c.stop_timeout},
        undo=f"docker start {shlex.quote(c.name)}",
        target=c.service,
        expected=1.0,
        timeout=c.stop_timeout + _SLACK,
        risk=Risk.OUTAGE,
    )


def policy_step(c: ServiceContainer, retries: int) -> Step:
    was = f"{c.policy}:{retries}" if c.policy == "on-failure" and retries else c.policy
    return Step(
        f"policy-{c.name}",
        f"no restart of {c.name} by the engine",
        f"docker update --restart=no {shlex.quote(c.name)}",
        {"op": "policy", "id": c.id, "policy": c.policy, "retries": retries},
        undo=f"docker update --restart={was} {shlex.quote(c.name)}",
        target=c.service,
        expected=0.1,
        timeout=_SLACK,
        risk=Risk.LOW,
    )


async def _pause(tools: Tools, step: Step) -> str:
    found = await must(tools, step)
    if found.status == "paused":
        raise StepSkipped("it is paused already, by somebody else")
    await tools.driver.pause(found.id)
    return "paused: its memory and files are as they were"


async def _unpause(tools: Tools, step: Step) -> str:
    await tools.driver.unpause(str(step.call["id"]))
    return "unpaused"


async def _paused(tools: Tools, step: Step) -> Sight:
    found = await container(tools, step)
    if found is None:
        return Sight.GONE
    return Sight.IN_FORCE if found.status == "paused" else Sight.ABSENT


async def _stop(tools: Tools, step: Step) -> str:
    if (await must(tools, step)).status in _DOWN:
        raise StepSkipped("it does not run any more")
    await tools.driver.stop(str(step.call["id"]), int(step.call["t"]))
    return f"stopped, {(await must(tools, step)).state}"


async def _start(tools: Tools, step: Step) -> str:
    await tools.driver.start(str(step.call["id"]))
    found = await must(tools, step)
    if found.status in _DOWN:
        raise StepFailedError(f"it did not stay up: {found.state}")
    return f"{found.status} since {found.started_at[:19]}Z"


async def _stopped(tools: Tools, step: Step) -> Sight:
    found = await container(tools, step)
    if found is None:
        return Sight.GONE
    return Sight.IN_FORCE if found.status in _DOWN else Sight.ABSENT


async def _no_restart(tools: Tools, step: Step) -> str:
    await tools.driver.update_restart(str(step.call["id"]), "no", 0)
    return "restart policy no"


async def _restart_again(tools: Tools, step: Step) -> str:
    await tools.driver.update_restart(str(step.call["id"]), str(step.call["policy"]), int(step.call["retries"]))
    return f"restart policy {step.call['policy']}"


async def _policy(tools: Tools, step: Step) -> Sight:
    found = await inspected(tools, step)
    if found is None:
        return Sight.GONE
    name = str(((found.get("HostConfig") or {}).get("RestartPolicy") or {}).get("Name") or "no")
    return Sight.IN_FORCE if name == "no" else Sight.ABSENT


PAUSE = Operation(_pause, _unpause, _paused)
STOP = Operation(_stop, _start, _stopped)
POLICY = Operation(_no_restart, _restart_again, _policy)
