"""The measures: what each does, to whom, and as which steps. Pure over `Ground`.

To add one: a function from ground, target and settings to `Draft`, and a row in `MEASURES`. It raises `CannotError`
with the reason, and with what would help.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass

from console.actions.action import Step
from console.actions.containment import edge, evidence, host, network, nginx, service, state
from console.actions.containment.ground import Ground
from console.actions.containment.operation import Operation
from console.actions.facts import ServiceContainer
from console.config import Config

_ALWAYS, _NEVER = 1, 9
_WIDEST = {4: 16, 6: 48}  # a wider network is no single attacker


class CannotError(Exception):
    """Why it must not or cannot be done now, and what would help."""

    def __init__(self, reason: str, help: str = "") -> None:
        super().__init__(reason)
        self.reason, self.help = reason, help


@dataclass(frozen=True, slots=True)
class Draft:
    """What a measure would do. `target`: how it is named from now on; `advice`: what the person should know."""

    target: str
    services: tuple[str, ...]
    steps: tuple[Step, ...]
    effect: str
    containers: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Measure:
    """One row. `level`: from which recovery level on it would be undone silently, so that the level is refused."""

    name: str
    about: str
    target: str  # what --target means
    draft: Callable[[Ground, str, Config], Draft]
    level: int = _ALWAYS
    asks: str = ""  # what a console asks for: service, network, address, limit, "" nothing


OPERATIONS: dict[str, Operation] = {
    "disconnect": network.OPERATION,
    "pause": state.PAUSE,
    "stop": state.STOP,
    "policy": state.POLICY,
    "evidence": evidence.OPERATION,
    "page": edge.PAGE,
    "command": host.COMMAND,
    "up": service.UP,
    "file": host.FILE,
    "limit": service.LIMIT,
    "block": host.BLOCK,
}


def _service(ground: Ground, target: str, *, running: bool = True) -> tuple[ServiceContainer, ...]:
    """The containers of the service that was named."""
    if not target:
        raise CannotError("no service was named", f"name one with --target: {_known(ground)}")
    found = ground.of(target) or tuple(c for c in ground.containers if c.name == target)
    if not found:
        raise CannotError(f"there is no container of service {target}", f"services here: {_known(ground)}")
    chosen = tuple(c for c in found if c.status in ("running", "restarting", "paused")) if running else found
    if not chosen:
        raise CannotError(f"{target} does not run: {found[0].state}", "what is down needs no containment")
    return chosen


def _known(ground: Ground) -> str:
    return ", ".join(dict.fromkeys(c.service for c in ground.containers if c.service)) or "none"


def _names(containers: tuple[ServiceContainer, ...]) -> tuple[str, ...]:
    return tuple(c.name for c in containers)


def _disconnects(ground: Ground, containers: tuple[ServiceContainer, ...], only: str = "") -> tuple[Step, ...]:
    steps = []
    for one in containers:
        raw = ground.raw[one.id]
        mode = str((raw.get("HostConfig") or {}).get("NetworkMode") or "")
        if mode == "host" or mode.startswith("container:"):
            words = "the host's network" if mode == "host" else "another container's network"
            raise CannotError(f"{one.name} uses {words}: it has none of its own to leave", "pause it, or stop it")
        for name, settings in sorted(network.endpoints(raw).items()):
            if name in ("none", "host") or (only and name != only):
                continue
            neighbours = [
                c.id
                for c in ground.containers
                if c.running and c.id not in {x.id for x in containers} and name in c.networks
            ]
            steps.append(network.disconnect_step(one, name, settings, neighbours[:3]))
    return tuple(steps)


def _isolate(ground: Ground, target: str, config: Config) -> Draft:
    wanted, colon, short = target.partition(":")
    containers = _service(ground, wanted)
    there = tuple(dict.fromkeys(n for c in containers for n in c.networks))
    only = next((n for n in there if n in (short, f"{ground.project}_{short}")), "") if short else ""
    if colon and not only:
        raise CannotError(
            f"{wanted} is not on a network {short or '(none named)'}", f"it is on: {', '.join(there) or 'none'}"
        )
    steps = _disconnects(ground, containers, only)
    if not steps:
        raise CannotError(f"{wanted} is on no network already", "nothing to leave")
    left = [n for n in there if n != only] if only else []
    rest = f"; it stays on {', '.join(left)}" if left else "; its published ports are closed meanwhile"
    return Draft(
        f"{wanted}:{only}" if only else wanted,
        (containers[0].service,),
        steps,
        f"nobody reaches {wanted}{f' through {only}' if only else ''} and it reaches nobody{rest}",
        _names(containers),
    )


def _pause(ground: Ground, target: str, config: Config) -> Draft:
    containers = tuple(c for c in _service(ground, target) if c.status != "paused")
    if not containers:
        raise CannotError(f"{target} is paused already", f"docker unpause {target} ends it, if nobody needs it so")
    return Draft(
        target,
        (containers[0].service,),
        tuple(state.pause_step(c) for c in containers),
        f"{target} stands still with its memory kept; callers wait for their own timeouts instead of failing fast",
        _names(containers),
        ("for quarantine isolate is better: callers fail at once",),
    )


def _stop_writers(ground: Ground, target: str, config: Config) -> Draft:
    kept = {*ground.roles.edge, *ground.roles.database, *ground.roles.cache}
    named = config.containment.writers or config.roles.app
    known = tuple(dict.fromkeys(c.service for c in ground.containers if c.service))
    writers = tuple(s for s in (named or known) if s not in kept and s in known)
    rank = {name: i for i, name in enumerate(ground.order)}
    running = [c for s in writers for c in ground.of(s) if c.status in ("running", "restarting", "paused")]
    paused = next((c for c in running if c.status == "paused" and not ground.holding((c.service,), "pause")), None)
    if paused is not None:
        raise CannotError(f"{paused.name} is paused, by somebody else", f"docker unpause {paused.name}, then again")
    if not running:
        raise CannotError("no writer runs", "writers are: " + (", ".join(writers) or "none; set [containment] writers"))
    running.sort(key=lambda c: (-rank.get(c.service, 0), c.name))
    services = tuple(dict.fromkeys(c.service for c in running))
    return Draft(
        ground.project,
        services,
        tuple(state.stop_step(c) for c in running),
        f"{', '.join(services)} stop, dependents first; nothing more is written; edge and database stay up",
        _names(tuple(running)),
        ("users get errors from the edge meanwhile: maintenance shows them a page",),
    )


def _no_restart(ground: Ground, target: str, config: Config) -> Draft:
    containers = tuple(c for c in _service(ground, target, running=False) if c.policy != "no")
    if not containers:
        raise CannotError(f"{target} is not restarted by the engine anyway", "nothing to change")
    steps = []
    for one in containers:
        policy = (ground.raw[one.id].get("HostConfig") or {}).get("RestartPolicy") or {}
        steps.append(state.policy_step(one, int(policy.get("MaximumRetryCount") or 0)))
    return Draft(
        target,
        (containers[0].service,),
        tuple(steps),
        f"when {target} dies it stays down, as it was when it died",
        _names(containers),
    )


def _maintenance(ground: Ground, target: str, config: Config) -> Draft:
    wanted = target or next((s for s in ground.roles.edge if ground.of(s)), "")
    if not wanted:
        raise CannotError("no service has the role edge", "name it in [roles] edge, or with --target")
    containers = _service(ground, wanted)
    asked = edge.urls(ground.raw[containers[0].id]) if ground.local else ()
    own = config.containment
    if own.maintenance_on:
        steps: tuple[Step, ...] = (host.command_step(own.maintenance_on, own.maintenance_off, wanted, asked),)
    else:
        steps = tuple(_page(ground, c, asked) for c in containers)
    advice = () if asked else (f"{wanted} publishes no port that can be asked from here: whether it works is not seen",)
    return Draft(
        wanted, (wanted,), steps, f"users get 503 and a maintenance page from {wanted}", _names(containers), advice
    )


_OWN_WAY = "set [containment] maintenance_on and maintenance_off to commands that do it here"


def _page(ground: Ground, one: ServiceContainer, asked: tuple[str, ...]) -> Step:
    dump = ground.learned.get(one.id)
    if not isinstance(dump, str):
        why = ground.learned.get(f"problem {one.id}") or f"{one.name} is {one.state}"
        raise CannotError(f"the maintenance page cannot be shown by itself: {why}", _OWN_WAY)
    if "page problem" in ground.learned:
        raise CannotError(f"the maintenance page cannot be read: {ground.learned['page problem']}", "mend it")
    raw = ground.raw[one.id]
    try:
        path = next(iter(nginx.files(dump)))
        step = edge.page_step(one, dump, nginx.page(str(ground.learned.get("page", ""))), asked)
    except (ValueError, StopIteration) as error:
        raise CannotError(f"the configuration of {one.name} is not understood: {error}", _OWN_WAY) from None
    if (raw.get("HostConfig") or {}).get("ReadonlyRootfs"):
        raise CannotError(f"the files of {one.name} are read-only", _OWN_WAY)
    if any(str(m.get("Destination")) == path for m in raw.get("Mounts") or ()):
        raise CannotError(f"{path} of {one.name} is mounted from outside and cannot be replaced", _OWN_WAY)
    return step


def _safe_mode(ground: Ground, target: str, config: Config) -> Draft:
    own = config.containment
    wanted = target or next((s for s in ground.roles.app if ground.of(s)), "")
    containers = _service(ground, wanted, running=False)
    if own.safe_mode_file:
        if ground.local is False:
            raise CannotError("the engine is another host's, and the toggle file with it", "use safe_mode_env")
        effect = f"{wanted} sees {own.safe_mode_file} and goes into its safe mode"
        return Draft(wanted, (wanted,), (host.file_step(own.safe_mode_file, wanted),), effect, _names(containers))
    if not own.safe_mode_env:
        raise CannotError(
            "no safe mode is configured",
            'set [containment] safe_mode_env = "SAFE_MODE=1" (the service is made anew) or safe_mode_file',
        )
    if "problem" in ground.learned:
        raise CannotError(f"the service cannot be made anew from here: {ground.learned['problem']}")
    drifted = ground.learned.get("drifted") or ()
    if drifted:
        raise CannotError(
            f"the Compose files say something else than what runs of {', '.join(drifted)}: "
            "making the service anew would change more than its safe mode",
            "settle that first: docker compose up --dry-run shows what would change",
        )
    held = ground.holding((wanted,))
    if held:
        raise CannotError(
            f"{wanted} is made anew for its safe mode, which would undo {held[0].title}",
            f"undo that first: sevdeck contain undo {held[0].id}",
        )
    if ground.compose is None:
        raise CannotError("the Compose files of the project are not known", "set [docker] compose_files")
    name, _, value = own.safe_mode_env.partition("=")
    before = service.environment(ground.raw[containers[0].id]).get(name)
    if before == value:
        raise CannotError(f"{wanted} runs with {name}={value} already", "nothing to change")
    step = service.up_step(ground.compose, wanted, name, value, before, config.docker.host)
    effect = f"{wanted} is made anew with {name}={value}, in about 4 s, and once more when it is undone"
    return Draft(wanted, (wanted,), (step,), effect, _names(containers))


def _connection_limit(ground: Ground, target: str, config: Config) -> Draft:
    database, _, number = target.rpartition(":")
    if not database or not number.isdecimal():
        raise CannotError("say which database and how many connections", "for example: --target shop:20")
    learned = ground.learned
    if "problem" in learned:
        raise CannotError(str(learned["problem"]))
    before = learned.get("limit")
    if before is None:
        raise CannotError(f"there is no database {database}", "psql -l lists them")
    if before == int(number):
        raise CannotError(f"{database} is limited to {number} connections already", "nothing to change")
    one: ServiceContainer = learned["container"]
    step = service.limit_step(ground.project, one, str(learned["user"]), database, int(number), int(before))
    was = "no limit" if before < 0 else f"{before}"
    return Draft(
        f"{database}:{number}",
        (one.service,),
        (step,),
        f"at most {number} connections to {database} (before: {was}); superusers are not counted, open ones stay open",
        (one.name,),
    )


def _block(ground: Ground, target: str, config: Config) -> Draft:
    if not target:
        raise CannotError("no address was named", "for example: --target 203.0.113.7")
    try:
        found = ipaddress.ip_network(target, strict=False)
    except ValueError:
        raise CannotError(f"{target} is no IP address", "for example: --target 203.0.113.7") from None
    if found.prefixlen < _WIDEST[found.version] or found.is_loopback or found.is_unspecified:
        raise CannotError(f"{found} is more than one attacker", f"at most a /{_WIDEST[found.version]}")
    if "problem" in ground.learned:
        raise CannotError(str(ground.learned["problem"]))
    if not ground.local:
        raise CannotError("the engine is another host's, and so is its packet filter", "run sevdeck on that host")
    own = [
        f"{c.name} ({at.get('IPAddress')})"
        for c in ground.containers
        for at in network.endpoints(ground.raw[c.id]).values()
        for ip in (at.get("IPAddress"), at.get("Gateway"))
        if ip and ipaddress.ip_address(ip) in found
    ]
    if own:
        raise CannotError(f"{found} is of this project: {own[0]}", "isolate the service instead")
    address = str(found.network_address) if found.num_addresses == 1 else str(found)
    return Draft(
        address,
        (),
        (host.block_step(address),),
        f"what {address} sends to containers through this host is dropped, open connections too; "
        "this host itself (ssh) still hears it",
        advice=("behind a load balancer or proxy its own address is what arrives here, not the user's",),
    )


def _full_isolation(ground: Ground, target: str, config: Config) -> Draft:
    containers = _service(ground, target)
    steps = _disconnects(ground, containers)
    if not steps:
        raise CannotError(f"{target} is on no network already", "nothing to leave")
    return Draft(
        target,
        (containers[0].service,),
        (evidence.evidence_step(containers), *steps),
        f"evidence of {target} is kept first; then nobody reaches it and it reaches nobody",
        _names(containers),
    )


MEASURES: dict[str, Measure] = {
    m.name: m
    for m in (
        Measure("isolate", "take a service off its networks; one of them with SERVICE:NETWORK",
                "SERVICE or SERVICE:NETWORK", _isolate, asks="network"),
        Measure("full-isolation", "keep evidence, then take a service off everything", "SERVICE", _full_isolation,
                asks="service"),
        Measure("pause", "freeze a service as it is, for forensics", "SERVICE", _pause, asks="service"),
        Measure("stop-writers", "stop app and workers; edge and database stay up", "none", _stop_writers),
        Measure("no-restart", "what dies stays down, as it was", "SERVICE", _no_restart, level=3, asks="service"),
        Measure("maintenance", "the edge answers 503 with a page", "none, or the edge SERVICE", _maintenance),
        Measure("safe-mode", "the app in its safe mode, as configured", "none, or a SERVICE", _safe_mode, level=3),
        Measure("connection-limit", "at most N connections to a database", "DATABASE:N", _connection_limit, level=4,
                asks="limit"),
        Measure("block", "drop what an address sends to containers", "ADDRESS", _block, level=_NEVER,
                asks="address"),
    )
}  # fmt: skip
