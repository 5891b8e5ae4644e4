"""Whether published ports are open on this host, and whether somebody keeps trying an address that nobody has any more."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from console.checks.check import Finding, Status, Suggestion
from console.checks.diagnosis import Check, Looked
from console.checks.looks.connectivity import GROUP, addresses, knock, recreate
from console.checks.scene import Scene
from console.checks.topology import Topology
from console.watch import inside
from console.watch.inside import Socket

# --- published ports ---------------------------------------------------------------------------------------------


async def look_ports(scene: Scene) -> Looked:
    """Whether somebody takes connections at every port that a running container publishes on this host."""
    if not scene.engine.local:
        return Looked()
    stack = await scene.stack()
    wanted = {
        place: label
        for label in sorted(stack.watched)
        for container in stack.services[label]
        if container.running
        for text in container.ports
        if (place := published(text)) is not None
    }
    bound = await asyncio.gather(*(knock(*place, 1.0) for place in wanted))
    closed = [(place, label) for (place, label), open_ in zip(wanted.items(), bound, strict=True) if not open_]
    found = tuple(
        Finding(
            f"{GROUP}.port",
            GROUP,
            Status.FAIL,
            f"nobody listens at {host}:{port}, which {label} publishes",
            (f"a connection from this host to {host}:{port} was refused",),
            (recreate(label, "the engine did not bind the port"),),
            subject=label,
        )
        for (host, port), label in closed
    )
    return Looked(found, f"{len(wanted)} published ports are open" if wanted else "")


def published(text: str) -> tuple[str, int] | None:
    """Where this host can knock at a published TCP port.

    >>> published("127.0.0.1:8080->80/tcp"), published("0.0.0.0:53->53/udp"), published("[::]:81->80/tcp")
    (('127.0.0.1', 8080), None, ('::1', 81))
    """
    outside, arrow, inner = text.partition("->")
    host, _, port = outside.rpartition(":")
    if not arrow or not inner.endswith("/tcp") or not port.isdigit():
        return None
    host = host.strip("[]")
    return {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), int(port)


# --- connections that lead nowhere -----------------------------------------------------------------------------------


async def look_stale(scene: Scene) -> Looked:
    """Who keeps trying an address that no container has any more: an upstream that was looked up once, long ago."""
    stack, told = await asyncio.gather(scene.stack(), scene.inspects())
    open_sockets = await asyncio.to_thread(_open_sockets, stack)
    return Looked(tuple(stale(stack, told, open_sockets)), "nobody talks to an address that is gone" if told else "")


def _open_sockets(stack: Topology) -> dict[str, tuple[Socket, ...]]:
    return {
        label: tuple(s for c in stack.services[label] if c.running and c.pid for s in inside.sockets(c.pid))
        for label in stack.watched
    }


def stale(
    stack: Topology, told: Mapping[str, Mapping[str, Any]], sockets: Mapping[str, tuple[Socket, ...]]
) -> Iterable[Finding]:
    owners = {address for document in told.values() for address in addresses(document)}
    nets = {a.rpartition(".")[0] for a in owners if "." in a}  # a container's neighbours; its own /24 at the least
    gateways = {
        str(network.get("Gateway"))
        for document in told.values()
        for network in ((document.get("NetworkSettings") or {}).get("Networks") or {}).values()
        if network
    }
    for label, its in sorted(sockets.items()):
        gone = sorted({
            (s.address, s.port)
            for s in its
            if s.state == "connecting"
            and s.address not in owners | gateways
            and s.address.rpartition(".")[0] in nets
        })  # fmt: skip
        if not gone:
            continue
        address, port = gone[0]
        text = f"{label} tries to reach {address}:{port}, an address that no container has"
        fix = Suggestion(
            f"reload {label}" if stack.roles.get(label) == "edge" else f"restart {label} (level 1)",
            "it keeps an address from before; looked up anew it finds the present one",
            f"recover:1:{label}",
            0.7,
            cost=f"{label} is away for a moment",
            falsified_by=f"{address} is a machine of yours outside Docker",
        )
        yield Finding(
            f"{GROUP}.stale", GROUP, Status.WARN, text, tuple(f"{a}:{p}: no answer yet" for a, p in gone[:5]), (fix,),
            subject=label,
        )  # fmt: skip


CHECKS = (
    Check(f"{GROUP}.ports", "published ports are open", look_ports, 3.0),
    Check(f"{GROUP}.stale", "nobody talks to an address that is gone", look_stale, 4.0),
)
