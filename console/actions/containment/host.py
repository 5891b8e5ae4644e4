"""Parts that are changed on this host itself: a packet filter rule, a toggle file, commands of your own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import time
from collections.abc import Sequence
from pathlib import Path

from console.actions.action import Risk, Step
from console.actions.containment.entry import Sight
from console.actions.containment.operation import Operation, Tools
from console.actions.engine import InDoubtError
from console.actions.operation import StepFailedError, StepSkipped
from console.config import ProbeConfig
from console.errors import SourceError
from console.incident.disk import RealDisk
from console.programs.running import Ran

COMMENT = "sevdeck"  # our tag: no other rule is ever touched
CHAIN = "DOCKER-USER"
_FILTER = 10.0  # seconds; iptables itself waits up to 5 for its lock
_OWN = 60.0  # seconds for a command of your own
_WAIT = 5.0
_ASK = 2.0


def rule(address: str) -> list[str]:
    return [CHAIN, "-s", address, "-m", "comment", "--comment", COMMENT, "-j", "DROP"]


def filter_program(address: str) -> str:
    return "ip6tables" if ":" in address else "iptables"


def block_step(address: str) -> Step:
    program, words = filter_program(address), rule(address)
    return Step(
        f"block-{address}",
        f"drop what comes from {address} to containers",
        shlex.join([program, "-w", "5", "-I", *words]),
        {"op": "block", "address": address},
        undo=shlex.join([program, "-w", "5", "-D", *words]),
        expected=0.1,
        timeout=_FILTER + 5,
        risk=Risk.OUTAGE,
    )


async def filtered(tools: Tools, address: str, verb: str) -> Ran:
    return await tools.run([filter_program(address), "-w", "5", verb, *rule(address)], _FILTER, None)


async def _block(tools: Tools, step: Step) -> str:
    address = str(step.call["address"])
    if await _blocked(tools, step) is Sight.IN_FORCE:
        raise StepSkipped("our rule is there already")
    ran = await filtered(tools, address, "-I")
    _done(ran, "the rule")
    return f"{address} reaches no container through this host"


async def _unblock(tools: Tools, step: Step) -> str:
    ran = await filtered(tools, str(step.call["address"]), "-D")
    _done(ran, "the rule")
    return "the rule is gone"


async def _blocked(tools: Tools, step: Step) -> Sight:
    ran = await filtered(tools, str(step.call["address"]), "-C")
    if ran.code == 0:
        return Sight.IN_FORCE
    if ran.code == 1:
        return Sight.ABSENT
    raise SourceError(f"the packet filter cannot be asked: {ran.text[:200]}")


def _done(ran: Ran, what: str) -> None:
    if ran.code is None:
        raise InDoubtError(f"{what}: {ran.error}")
    if not ran.ok:
        raise StepFailedError(f"{what}: exit {ran.code}: {ran.text[:300]}")


def file_step(path: str, service: str) -> Step:
    return Step(
        "toggle-file",
        f"make the toggle file {path}",
        f"touch {shlex.quote(path)}",
        {"op": "file", "path": path},
        undo=f"rm {shlex.quote(path)}",
        target=service,
        expected=0.1,
        timeout=10.0,
        risk=Risk.OUTAGE,
    )


async def _make(tools: Tools, step: Step) -> str:
    path = Path(str(step.call["path"]))
    try:
        await asyncio.to_thread(_create, path)
    except FileExistsError:
        raise StepSkipped(f"{path} exists already") from None
    except OSError as error:
        raise StepFailedError(f"{path} cannot be made: {error.strerror}") from error
    return f"{path} exists"


def _create(path: Path) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))
    RealDisk().sync_directory(path.parent)


async def _remove(tools: Tools, step: Step) -> str:
    path = Path(str(step.call["path"]))
    try:
        await asyncio.to_thread(path.unlink, True)
    except OSError as error:
        raise StepFailedError(f"{path} cannot be removed: {error.strerror}") from error
    return f"{path} is gone"


async def _exists(tools: Tools, step: Step) -> Sight:
    path = Path(str(step.call["path"]))
    with contextlib.suppress(OSError):
        return Sight.IN_FORCE if await asyncio.to_thread(path.exists) else Sight.ABSENT
    raise SourceError(f"{path} cannot be looked at")


def command_step(on: str, off: str, service: str, asked: Sequence[str]) -> Step:
    """The edge's maintenance by commands of your own; whether it is in force is asked at the edge."""
    return Step(
        "maintenance-command",
        "run your maintenance command",
        on,
        {"op": "command", "on": on, "off": off, "urls": list(asked)},
        undo=off,
        target=service,
        expected=2.0,
        timeout=_OWN + 10,
        risk=Risk.OUTAGE,
    )


async def _on(tools: Tools, step: Step) -> str:
    return await _own(tools, step, "on", True)


async def _off(tools: Tools, step: Step) -> str:
    return await _own(tools, step, "off", False)


async def _own(tools: Tools, step: Step, which: str, wanted: bool) -> str:
    ran = await tools.run(shlex.split(str(step.call[which])), _OWN, None)
    _done(ran, f"your command ({which})")
    if not step.call["urls"]:
        return "it ended well; there is no published port to ask whether it works"
    until = time.monotonic() + _WAIT
    while await _refuses(tools, step) is not wanted:
        if time.monotonic() > until:
            raise StepFailedError(f"it ended well, and the edge {'does not answer' if wanted else 'still answers'} 503")
        await asyncio.sleep(0.1)
    return "the edge answers 503" if wanted else "the edge answers as before"


async def _refuses(tools: Tools, step: Step) -> bool:
    asked = ProbeConfig("maintenance", "http", str(step.call["urls"][0]), expect="503", timeout=_ASK)
    return (await tools.probe(asked)).ok is True


async def _commanded(tools: Tools, step: Step) -> Sight:
    if not step.call["urls"]:
        return Sight.UNTOLD
    return Sight.IN_FORCE if await _refuses(tools, step) else Sight.ABSENT


BLOCK = Operation(_block, _unblock, _blocked)
FILE = Operation(_make, _remove, _exists)
COMMAND = Operation(_on, _off, _commanded)
