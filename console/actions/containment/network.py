"""Leaving a network and coming back with everything that led there: aliases, links, a fixed address.

A container that is reconnected without its aliases is on the network and has no name there: permanently 502.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from console.actions.action import Risk, Step
from console.actions.containment.entry import Sight
from console.actions.containment.operation import Operation, Tools, inspected, must
from console.actions.facts import ServiceContainer
from console.actions.operation import StepFailedError, StepSkipped
from console.text import clean

_TIMEOUT = 15.0  # seconds; a well engine takes 0.03 to 0.06
_ASK = 3.0  # seconds for a neighbour to resolve a name


def endpoint(container_id: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What must be given back when this endpoint is made anew. The short id is an alias the engine adds itself.

    >>> endpoint("a" * 64, {"NetworkID": "n1", "Aliases": ["app", "aaaaaaaaaaaa"], "IPAMConfig": None, "Links": None})
    {'network_id': 'n1', 'aliases': ['app'], 'links': [], 'ipam': {}, 'driver_opts': {}}
    """
    aliases = [str(a) for a in settings.get("Aliases") or () if str(a) != container_id[:12]]
    ipam = {k: v for k, v in (settings.get("IPAMConfig") or {}).items() if v}
    return {
        "network_id": str(settings.get("NetworkID") or ""),
        "aliases": aliases,
        "links": [str(one) for one in settings.get("Links") or ()],
        "ipam": ipam,
        "driver_opts": dict(settings.get("DriverOpts") or {}),
    }


def endpoints(inspect: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Network name -> settings of a container's endpoints, as the engine says them."""
    found = (inspect.get("NetworkSettings") or {}).get("Networks") or {}
    return {str(name): dict(at or {}) for name, at in found.items()}


def disconnect_step(c: ServiceContainer, network: str, settings: Mapping[str, Any], neighbours: Sequence[str]) -> Step:
    """Leave one network. `neighbours`: ids of containers that may be asked afterwards whether the name resolves."""
    saved = endpoint(c.id, settings)
    return Step(
        f"disconnect-{c.name}-{network}",
        f"disconnect {c.name} from {clean(network, 100)}",
        f"docker network disconnect {shlex.quote(network)} {shlex.quote(c.name)}",
        {"op": "disconnect", "id": c.id, "network": network, "neighbours": list(neighbours), **saved},
        undo=connect_command(c.name, network, saved),
        target=c.service,
        expected=0.1,
        timeout=_TIMEOUT,
        risk=Risk.OUTAGE,
    )


def connect_command(name: str, network: str, saved: Mapping[str, Any]) -> str:
    """
    >>> connect_command("shop-app-1", "shop_back", {"aliases": ["app"], "ipam": {"IPv4Address": "10.0.0.9"}})
    'docker network connect --alias app --ip 10.0.0.9 shop_back shop-app-1'
    """
    words = ["docker", "network", "connect"]
    for alias in saved.get("aliases") or ():
        words += ["--alias", alias]
    for flag, key in (("--ip", "IPv4Address"), ("--ip6", "IPv6Address")):
        if (saved.get("ipam") or {}).get(key):
            words += [flag, saved["ipam"][key]]
    for one in saved.get("links") or ():
        words += ["--link", one]
    return clean(shlex.join([*words, network, name]), 2000)


async def _engage(tools: Tools, step: Step) -> str:
    if await _look(tools, step) is Sight.IN_FORCE:
        raise StepSkipped("it is not on that network any more")
    await tools.driver.disconnect(str(step.call["id"]), str(step.call["network_id"] or step.call["network"]))
    return "disconnected"


async def _release(tools: Tools, step: Step) -> str:
    call, network = step.call, str(step.call["network_id"] or step.call["network"])
    if await _look(tools, step) is Sight.PARTLY:  # somebody connected it without its names: that cannot be amended
        await tools.driver.disconnect(str(call["id"]), network)
    await tools.driver.connect(str(call["id"]), network, call)
    return f"connected as {', '.join(call['aliases']) or 'it was'}"


async def _look(tools: Tools, step: Step) -> Sight:
    found = await inspected(tools, step)
    if found is None:
        return Sight.GONE
    at = endpoints(found).get(str(step.call["network"]))
    if at is None:
        return Sight.IN_FORCE
    names = {*(at.get("Aliases") or ()), *(at.get("DNSNames") or ())}
    return Sight.ABSENT if set(step.call["aliases"]) <= names else Sight.PARTLY


async def _check(tools: Tools, steps: Sequence[Step]) -> str:
    """Ask a neighbour on each network whether the name leads to the container again."""
    said = await asyncio.gather(*(_resolves(tools, step) for step in steps))
    return "; ".join(dict.fromkeys(text for text in said if text))


async def _resolves(tools: Tools, step: Step) -> str:
    """What a neighbour says; raises StepFailedError where it does not find the container by its name."""
    found = await must(tools, step)
    names = [a for a in step.call["aliases"] if a != found.name] or list(step.call["aliases"])
    if not found.running or not names:
        return ""
    raw = await inspected(tools, step) or {}
    # On any of its networks: a neighbour that shares two of them is told the address of one.
    addresses = {str(at.get("IPAddress") or "") for at in endpoints(raw).values()} - {""}
    for neighbour in step.call["neighbours"]:
        ran = await tools.driver.execute(str(neighbour), ["getent", "ahostsv4", names[0]], _ASK)
        if ran.code is None or ran.code not in (0, 2):  # gone, paused, without such a program: ask the next
            continue
        told = {line.split()[0] for line in ran.out.decode(errors="replace").splitlines() if line.split()}
        if told & addresses:
            return f"{names[0]} resolves on {step.call['network']}"
        seen = ", ".join(sorted(told)) or "nothing"
        raise StepFailedError(
            f"{names[0]} does not lead to {found.name} on {step.call['network']}: a neighbour finds {seen}"
        )
    return f"no neighbour on {step.call['network']} could be asked for {names[0]}"


OPERATION = Operation(_engage, _release, _look, _check)
