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
from console.programs.blueprint import Blueprint
from console.text import clean
from console.watch import inside
from console.watch.inside import Reached

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
        for target in _within_reach(stack, caller):
            named = {_name(stack, target), *(c.name for c in stack.services[target])}
            said = {port for name in named for port in _ports_said(settings, name)}
            wanted = said or (_ports(stack, told, target) if target in stack.needs.get(caller, ()) else set())
            for port in sorted(wanted):
                found[caller, target, port] = Pair(caller, target, port, bool(said))
    return tuple(found.values())


def _within_reach(stack: Topology, caller: str) -> list[str]:
    """The services of its own project, and those of others that share a network with it, under names of their own."""
    project = stack.services[caller][0].project
    own = {label for label, its in stack.services.items() if its[0].project == project and label != caller}
    taken = {_name(stack, label) for label in own | {caller}}
    others = {
        label
        for label in stack.services.keys() - own - {caller}
        if stack.networks(label) & stack.networks(caller) and _name(stack, label) not in taken
    }
    return sorted(own | others)


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
    if not scene.engine.local:
        return Looked()  # its networks are another host's
    wanted = await asyncio.to_thread(pairs, stack, told)
    by_caller: dict[str, list[Pair]] = defaultdict(list)
    for pair in wanted:
        by_caller[pair.caller].append(pair)
    answers = await asyncio.gather(*(_ask(stack, told, caller, its) for caller, its in by_caller.items()))
    asked = [one for its, _ in answers for one in its]
    apart = any(not one.addresses and not _shared(stack, pair) for pair, one in asked)
    blueprint = await scene.blueprint() if apart else None
    judged = (judge_pair(stack, told, pair, one, blueprint) for pair, one in asked)
    found = [finding for finding in judged if finding is not None]
    where = "" if all(within for _, within in answers) else ", asked from the host: entering networks needs root"
    return Looked(
        tuple(_together(found)), f"all {len(asked)} connections between services stand{where}" if asked else ""
    )


async def _ask(
    stack: Topology, told: Mapping[str, Mapping[str, Any]], caller: str, its: list[Pair]
) -> tuple[list[tuple[Pair, Reached]], bool]:
    """What was answered, and whether it was asked from within the caller."""
    document = _running(stack, told, caller)
    if document is None:
        return [], True
    try:
        reached = await inside.reach(document, [(_name(stack, pair.target), pair.port) for pair in its])
        return list(zip(its, reached, strict=True)), True
    except SourceError:
        answers = await asyncio.gather(*(_from_outside(stack, told, pair) for pair in its))
        return list(zip(its, answers, strict=True)), False


async def _from_outside(stack: Topology, told: Mapping[str, Mapping[str, Any]], pair: Pair) -> Reached:
    """The same question without entering: names as the engine has them, connections from this host."""
    name, found = _name(stack, pair.target), []
    for container in stack.services[pair.target]:
        networks = (told.get(container.id, {}).get("NetworkSettings") or {}).get("Networks") or {}
        for network in _shared(stack, pair) & networks.keys():
            document = told[container.id]
            if name in (container.name, *_aliases(document, network)) and networks[network].get("IPAddress"):
                found.append(str(networks[network]["IPAddress"]))
    if not found:
        return Reached(name, pair.port, (), "", "unknown name", None)
    outcome = "connected" if await knock(found[0], pair.port, inside.SECONDS) else "connection refused"
    return Reached(name, pair.port, tuple(found), "dns", outcome, None)


async def knock(host: str, port: int, seconds: float) -> bool:
    """False only when the connection is refused: one that hangs may be taken by somebody who is slow."""
    try:
        async with asyncio.timeout(seconds):
            _, writer = await asyncio.open_connection(host, port)
    except ConnectionRefusedError:
        return False
    except (OSError, TimeoutError):
        return True
    writer.close()
    return True


def _shared(stack: Topology, pair: Pair) -> frozenset[str]:
    return stack.networks(pair.caller) & stack.networks(pair.target)


def judge_pair(
    stack: Topology,
    told: Mapping[str, Mapping[str, Any]],
    pair: Pair,
    one: Reached,
    blueprint: Blueprint | None = None,
) -> Finding | None:
    """What is wrong with this connection; None when it stands, and leads to where it should.

    `blueprint`: what the Compose files say, where that was asked for.
    """
    target = stack.services[pair.target]
    runs = any(c.running for c in target)
    present = {address for c in target for address in addresses(told.get(c.id) or {})}
    line = f"{pair.caller} asked for {one.name}:{pair.port}: {_heard(one)}"
    if not runs:  # that it does not run is said by others, and the engine forgets its name
        return None
    if not one.addresses:
        if not _shared(stack, pair):
            return _apart(stack, pair, line, blueprint)
        return _unresolved(stack, told, pair, one, line)
    if present and not present & set(one.addresses) and one.source != "address":
        where = "its own hosts file" if one.source == "hosts" else "its name server"
        text = f"{pair.caller} is sent to {one.addresses[0]} for {one.name}, which has {', '.join(sorted(present))}"
        fix = recreate(pair.caller, f"it takes the old address from {where}")
        return Finding(f"{GROUP}.address", GROUP, Status.FAIL, text, (line,), (fix,), subject=pair.caller)
    if not one.ok:
        return _refused(pair, one, line)
    if one.took is not None and one.took > SLOW:
        text = f"{pair.caller} waits {one.took:.1f} s for a connection to {pair.target}"
        return Finding(f"{GROUP}.slow", GROUP, Status.WARN, text, (line,), subject=pair.target)
    return None


def _heard(one: Reached) -> str:
    place = f" at {', '.join(one.addresses)}" if one.addresses else ""
    return f"{one.outcome}{place}"


def addresses(document: Mapping[str, Any]) -> Iterable[str]:
    networks = (document.get("NetworkSettings") or {}).get("Networks") or {}
    for network in networks.values():
        for key in ("IPAddress", "GlobalIPv6Address"):
            if network and network.get(key):
                yield str(network[key])


def _apart(stack: Topology, pair: Pair, line: str, blueprint: Blueprint | None) -> Finding | None:
    """No network in common: one of the two lost one that its files give it."""
    files = blueprint.services if blueprint is not None and not blueprint.problem else ()
    for label in (pair.caller, pair.target):
        wanted = next((set(w.networks) for w in files if w.service == _name(stack, label)), set())
        lost = sorted(wanted - stack.networks(label))
        if lost:
            text = f"{label} is not on the network {lost[0]}, where its Compose file puts it"
            fix = _reconnect(stack, label, lost[0], "connect")
            return Finding(f"{GROUP}.network", GROUP, Status.FAIL, text, (line,), (fix,), subject=label)
    if not pair.said or files:
        return None  # Compose's order says nothing of connections: a worker may wait for the edge and never call it
    text = f"{pair.caller} and {pair.target} have no network in common"
    theirs = (f"networks of {s}: {', '.join(sorted(stack.networks(s))) or 'none'}" for s in (pair.caller, pair.target))
    fix = Suggestion("see which of the two lost its network", "no restart gives a container a network", "none", 0.5)
    return Finding(f"{GROUP}.network", GROUP, Status.FAIL, text, (line, *theirs), (fix,), subject=pair.target)


def _unresolved(
    stack: Topology, told: Mapping[str, Mapping[str, Any]], pair: Pair, one: Reached, line: str
) -> Finding | None:
    """The name leads nowhere though its service runs on the same network."""
    if one.outcome != "unknown name":
        text = f"{pair.caller} cannot ask for names: {one.outcome}"
        fix = recreate(pair.caller, "the engine's name server does not answer it")
        return Finding(f"{GROUP}.names", GROUP, Status.FAIL, text, (line,), (fix,), subject=pair.caller)
    network = min(_shared(stack, pair))
    known = _aliases(told.get(stack.services[pair.target][0].id) or {}, network)
    text = f"{pair.caller} cannot find {pair.target} by the name {one.name}"
    names = f"names of {pair.target} on {network}: {', '.join(known) or 'none'}"
    fix = _reconnect(stack, pair.target, network, "reconnect")
    return Finding(f"{GROUP}.alias", GROUP, Status.FAIL, text, (line, names), (fix,), subject=pair.target)


def _reconnect(stack: Topology, label: str, network: str, verb: str) -> Suggestion:
    name, container = _name(stack, label), stack.services[label][0].name
    leave = f"docker network disconnect {network} {container}; " if verb == "reconnect" else ""
    return Suggestion(
        f"{verb} {label} to {network} under its name",
        f"a restart keeps its networks as they are; {leave}docker network connect --alias {name} {network} {container}",
        "none",
        0.85,
        cost=f"connections of {label} on that network break" if leave else "nothing",
        falsified_by=f"somebody took {label} off it on purpose",
    )


def _aliases(document: Mapping[str, Any], network: str) -> list[str]:
    its = ((document.get("NetworkSettings") or {}).get("Networks") or {}).get(network) or {}
    short = str(document.get("Id", ""))[:12]
    names = {*(its.get("Aliases") or ()), *(its.get("DNSNames") or ())}
    return sorted(clean(str(n), 80) for n in names if n != short)


def recreate(service: str, why: str) -> Suggestion:
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
            lines = tuple(line for line in (finding.summary, *finding.evidence) if line != first.summary)
            lines = tuple(dict.fromkeys((*first.evidence, *lines)))
            known[finding.key] = Finding(
                first.check, first.group, first.status, first.summary, lines, first.suggestions, first.subject
            )
    return known.values()


CHECKS = (Check(f"{GROUP}.pairs", "services reach what they need", look_pairs, 7.0),)
