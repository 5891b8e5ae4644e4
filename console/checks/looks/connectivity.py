"""Does each service reach what it needs: names resolve to the present address, and connections are taken.

Asked from within the caller's own network namespace: a container that was taken off a network, or lost its alias, looks
well from everywhere else.
"""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from console.checks.check import Finding, Status, Suggestion
from console.checks.diagnosis import Check, Looked
from console.checks.scene import Scene
from console.checks.topology import Topology
from console.errors import SourceError
from console.text import clean
from console.watch import inside
from console.watch.inside import Reached, Socket

GROUP = "connectivity"
SLOW = 1.0  # seconds until a connection within one host stands
_DEFAULT_PORTS = {"database": 5432, "cache": 6379}
_WEB = ("http", "https")


@dataclass(frozen=True, slots=True)
class Pair:
    """`caller` needs `target`, at `port`. `said`: its own settings name that place; else Compose or the roles do."""

    caller: str
    target: str
    port: int
    said: bool = False


# --- who needs whom ----------------------------------------------------------------------------------------------


def pairs(stack: Topology, told: Mapping[str, Mapping[str, Any]]) -> tuple[Pair, ...]:
    """What the running watched services must reach. `told`: container id -> inspect document."""
    found: dict[tuple[str, str, int], Pair] = {}
    for caller in sorted(stack.watched):
        document = _running(stack, told, caller)
        if document is None:
            continue
        settings = _settings(document)
        for target in sorted(stack.services):
            if target == caller:
                continue
            named = {_name(stack, target), *(c.name for c in stack.services[target])}
            said = {port for name in named for port in _ports_said(settings, name)}
            wanted = said or (_ports(stack, told, target) if target in stack.needs.get(caller, ()) else set())
            for port in sorted(wanted):
                found[caller, target, port] = Pair(caller, target, port, bool(said))
    return tuple(found.values())


def _name(stack: Topology, label: str) -> str:
    return stack.services[label][0].service or stack.services[label][0].name


def _running(stack: Topology, told: Mapping[str, Mapping[str, Any]], label: str) -> Mapping[str, Any] | None:
    """The document of a replica that runs; None when there is none."""
    return next((told[c.id] for c in stack.services[label] if c.running and c.id in told), None)


def _settings(document: Mapping[str, Any]) -> str:
    """What its environment and command say, as one text. Never shown: it holds secrets."""
    config = document.get("Config") or {}
    return "\n".join(map(str, (*(config.get("Env") or ()), *(config.get("Cmd") or ()))))


def _ports_said(settings: str, name: str) -> set[int]:
    """Ports at which these settings expect the host `name`.

    >>> _ports_said("DATABASE_URL=postgresql://a:b@db:5432/shop", "db"), _ports_said("X=http://api/v1", "api")
    ({5432}, {80})
    """
    if name not in settings:
        return set()
    place = rf"(?:(?:(\w+)://)(?:[^\s/@]*@)?|(?<![\w.-])){re.escape(name)}(?::(\d{{2,5}}))?(?![\w.-])"
    found = set()
    for scheme, port in re.findall(place, settings):
        if port:
            found.add(int(port))
        elif scheme in _WEB:
            found.add(80 if scheme == "http" else 443)
    return found


def _ports(stack: Topology, told: Mapping[str, Mapping[str, Any]], label: str) -> set[int]:
    """Where a service is to be found when nobody says: what it listens on of what its image exposes, else its role's."""
    exposed: set[int] = set()
    listening: set[int] = set()
    for container in stack.services[label]:
        document = told.get(container.id) or {}
        config, network = document.get("Config") or {}, document.get("NetworkSettings") or {}
        for spec in (*(config.get("ExposedPorts") or ()), *(network.get("Ports") or ())):
            port, _, kind = str(spec).partition("/")
            if port.isdigit() and kind in ("tcp", ""):
                exposed.add(int(port))
        if container.pid:
            listening |= {s.local_port for s in inside.sockets(container.pid) if s.state == "listening"}
    role = _DEFAULT_PORTS.get(stack.roles.get(label, ""), 0)
    if role and (not exposed or role in exposed):
        return {role}
    # Of several that are open nobody knows which one is meant; those that nobody opened say nothing.
    return exposed & listening or (exposed if len(exposed) == 1 else set())


# --- what was seen -----------------------------------------------------------------------------------------------


async def look_pairs(scene: Scene) -> Looked:
    stack, told = await asyncio.gather(scene.stack(), scene.inspects())
    wanted = await asyncio.to_thread(pairs, stack, told)
    by_caller: dict[str, list[Pair]] = defaultdict(list)
    for pair in wanted:
        by_caller[pair.caller].append(pair)
    answers = await asyncio.gather(*(_ask(stack, told, caller, its) for caller, its in by_caller.items()))
    found = [finding for findings, _ in answers for finding in findings]
    asked = sum(count for _, count in answers)
    plain = f"{asked} of {asked} connections between services stand" if asked else ""
    return Looked(tuple(_together(found)), plain)


async def _ask(
    stack: Topology, told: Mapping[str, Mapping[str, Any]], caller: str, its: list[Pair]
) -> tuple[list[Finding], int]:
    document = _running(stack, told, caller)
    if document is None or (document.get("State") or {}).get("Paused"):
        return [], 0
    wanted = [(_name(stack, pair.target), pair.port) for pair in its]
    try:
        reached = await inside.reach(document, wanted)
    except SourceError as error:
        text = f"not known what {caller} reaches: {error.message}"
        evidence = (error.remedy,) if error.remedy else ()
        return [Finding(f"{GROUP}.unknown", GROUP, Status.UNKNOWN, text, evidence, subject=caller)], 0
    found = [judge_pair(stack, told, pair, one) for pair, one in zip(its, reached, strict=True)]
    return [finding for finding in found if finding is not None], len(its)


def judge_pair(stack: Topology, told: Mapping[str, Mapping[str, Any]], pair: Pair, one: Reached) -> Finding | None:
    """What is wrong with this connection; None when it stands, and leads to where it should."""
    target = stack.services[pair.target]
    runs = any(c.running for c in target)
    present = {address for c in target for address in _addresses(told.get(c.id) or {})}
    line = f"{pair.caller} asked for {one.name}:{pair.port}: {_heard(one)}"
    if not one.addresses:
        if not runs:  # the engine forgets the names of what does not run
            return None
        return _unresolved(stack, told, pair, one, line)
    stale = [a for a in one.addresses if present and a not in present]
    if stale and len(stale) == len(one.addresses) and one.source != "address":
        where = "its own hosts file" if one.source == "hosts" else "its name server"
        text = f"{pair.caller} is sent to {stale[0]} for {one.name}, which has {', '.join(sorted(present))}"
        fix = _recreate(pair.caller, f"it takes the old address from {where}")
        return Finding(f"{GROUP}.address", GROUP, Status.FAIL, text, (line,), (fix,), subject=pair.caller)
    if one.ok:
        if one.took is not None and one.took > SLOW:
            text = f"{pair.caller} waits {one.took:.1f} s for a connection to {pair.target}"
            return Finding(f"{GROUP}.slow", GROUP, Status.WARN, text, (line,), subject=pair.target)
        return None
    if not runs:
        return None  # that it does not run is said by others
    return _refused(pair, one, line)


def _heard(one: Reached) -> str:
    place = f" at {', '.join(one.addresses)}" if one.addresses else ""
    return f"{one.outcome}{place}"


def _addresses(document: Mapping[str, Any]) -> Iterable[str]:
    networks = (document.get("NetworkSettings") or {}).get("Networks") or {}
    for network in networks.values():
        for key in ("IPAddress", "GlobalIPv6Address"):
            if network and network.get(key):
                yield str(network[key])


def _unresolved(
    stack: Topology, told: Mapping[str, Mapping[str, Any]], pair: Pair, one: Reached, line: str
) -> Finding | None:
    """The name leads nowhere though its service runs: no network in common, or the name was lost on the way."""
    shared = stack.networks(pair.caller) & stack.networks(pair.target)
    if not shared and not pair.said:
        return None  # Compose's order says nothing of connections: a worker may wait for the edge and never call it
    name = one.name
    if not shared:
        networks = [", ".join(sorted(stack.networks(s))) or "none" for s in (pair.caller, pair.target)]
        text = f"{pair.caller} and {pair.target} have no network in common"
        theirs = zip((pair.caller, pair.target), networks, strict=True)
        evidence = (line, *(f"networks of {label}: {its}" for label, its in theirs))
        fix = Suggestion(
            "connect the one that lost its network, or rebuild (level 3)",
            "no restart gives a container a network; a rebuild makes it with those of the Compose file",
            "recover:3:",
            0.6,
            cost="everything is away for some seconds",
            falsified_by="the Compose file gives them no common network either",
        )
        return Finding(f"{GROUP}.network", GROUP, Status.FAIL, text, evidence, (fix,), subject=pair.target)
    if one.outcome != "unknown name":
        text = f"{pair.caller} cannot ask for names: {one.outcome}"
        fix = _recreate(pair.caller, "the engine's name server does not answer it")
        return Finding(f"{GROUP}.names", GROUP, Status.FAIL, text, (line,), (fix,), subject=pair.caller)
    text = f"{pair.caller} cannot find {pair.target} by the name {name}"
    network = min(shared)
    container = stack.services[pair.target][0]
    aliases = _aliases(told.get(container.id) or {}, network)
    names = f"names of {pair.target} on {network}: {', '.join(aliases) or 'none'}"
    command = f"docker network disconnect {network} {container.name}; docker network connect --alias {name} {network} {container.name}"
    fix = Suggestion(
        f"reconnect {pair.target} to {network} under its name",
        f"a restart keeps what is there; by hand: {command}; or rebuild (level 3)",
        "recover:3:",
        0.85,
        cost=f"connections of {pair.target} on that network break",
        falsified_by=f"{pair.caller} finds {name} without it",
    )
    return Finding(f"{GROUP}.alias", GROUP, Status.FAIL, text, (line, names), (fix,), subject=pair.target)


def _aliases(document: Mapping[str, Any], network: str) -> list[str]:
    its = ((document.get("NetworkSettings") or {}).get("Networks") or {}).get(network) or {}
    short = str(document.get("Id", ""))[:12]
    names = {*(its.get("Aliases") or ()), *(its.get("DNSNames") or ())}
    return sorted(clean(str(n), 80) for n in names if n != short)


def _recreate(service: str, why: str) -> Suggestion:
    return Suggestion(
        f"make {service} anew: docker compose up --detach --force-recreate {service}",
        f"{why}; a restart keeps that",
        "none",
        0.6,
        cost=f"{service} is away for some seconds",
        falsified_by=f"{service} reaches it after a restart",
    )


def _refused(pair: Pair, one: Reached, line: str) -> Finding:
    refused = "refused" in one.outcome
    told = "nothing listens there" if refused else one.outcome
    text = f"{pair.caller} cannot connect to {pair.target} at port {pair.port}: {told}"
    check = f"{GROUP}.refused" if refused else f"{GROUP}.silent"
    why = (
        f"{pair.target} runs but takes no connection: see its log; it may be starting, or listen elsewhere"
        if refused
        else f"{pair.target} or a packet filter swallows the connection: it hangs, is paused, or is blocked"
    )
    fix = Suggestion(
        f"restart {pair.target} (level 1)",
        why,
        f"recover:1:{pair.target}",
        0.5,
        cost=f"{pair.target} is away for some seconds",
        falsified_by=f"{pair.target} answers others at port {pair.port}",
    )
    return Finding(check, GROUP, Status.FAIL, text, (line,), (fix,), subject=pair.target)


def _together(findings: Iterable[Finding]) -> Iterable[Finding]:
    """Several callers that suffer from the same thing are one finding."""
    known: dict[str, Finding] = {}
    for finding in findings:
        first = known.get(finding.key)
        if first is None:
            known[finding.key] = finding
        else:
            lines = tuple(dict.fromkeys((*first.evidence, finding.summary, *finding.evidence)))
            known[finding.key] = Finding(
                first.check, first.group, first.status, first.summary, lines, first.suggestions, first.subject
            )
    return known.values()


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
    bound = await asyncio.gather(*(_bound(*place) for place in wanted))
    closed = [(place, label) for (place, label), open_ in zip(wanted.items(), bound, strict=True) if not open_]
    found = tuple(
        Finding(
            f"{GROUP}.port",
            GROUP,
            Status.FAIL,
            f"nobody listens at {host}:{port}, which {label} publishes",
            (f"a connection from this host to {host}:{port} was refused",),
            (_recreate(label, "the engine did not bind the port"),),
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


async def _bound(host: str, port: int) -> bool:
    """False only when the connection is refused: one that hangs is taken by somebody."""
    try:
        async with asyncio.timeout(1.0):
            _, writer = await asyncio.open_connection(host, port)
    except ConnectionRefusedError:
        return False
    except (OSError, TimeoutError):
        return True
    writer.close()
    return True


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
    owners = {address for document in told.values() for address in _addresses(document)}
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
    Check(f"{GROUP}.pairs", "services reach what they need", look_pairs, 7.0),
    Check(f"{GROUP}.ports", "published ports are bound", look_ports, 3.0),
    Check(f"{GROUP}.stale", "nobody talks to an address that is gone", look_stale, 4.0),
)
