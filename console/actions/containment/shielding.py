"""Drafts that shield users and data: the maintenance page, the safe mode, a limit of connections, a blocked address."""

from __future__ import annotations

import ipaddress

from console.actions.action import Step
from console.actions.containment import edge, host, network, nginx, service
from console.actions.containment.draft import CannotError, Draft, containers_of, names
from console.actions.containment.ground import Ground
from console.actions.facts import ServiceContainer
from console.config import Config

_WIDEST = {4: 16, 6: 48}  # a wider network is no single attacker


def maintenance(ground: Ground, target: str, config: Config) -> Draft:
    wanted = target or next((s for s in ground.roles.edge if ground.of(s)), "")
    if not wanted:
        raise CannotError("no service has the role edge", "name it in [roles] edge, or with --target")
    containers = containers_of(ground, wanted)
    asked = edge.urls(ground.raw[containers[0].id]) if ground.local else ()
    own = config.containment
    if own.maintenance_on:
        steps: tuple[Step, ...] = (host.command_step(own.maintenance_on, own.maintenance_off, wanted, asked),)
    else:
        steps = tuple(_page(ground, c, asked) for c in containers)
    advice = () if asked else (f"{wanted} publishes no port that can be asked from here: whether it works is not seen",)
    return Draft(
        wanted, (wanted,), steps, f"users get 503 and a maintenance page from {wanted}", names(containers), advice
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
    mounted = [str(m.get("Destination") or "") for m in raw.get("Mounts") or ()]
    if any(path == m or path.startswith(f"{m.rstrip('/')}/") for m in mounted if m):
        raise CannotError(f"{path} of {one.name} is mounted from outside and cannot be replaced", _OWN_WAY)
    return step


def safe_mode(ground: Ground, target: str, config: Config) -> Draft:
    own = config.containment
    wanted = target or next((s for s in ground.roles.app if ground.of(s)), "")
    containers = containers_of(ground, wanted, running=False)
    if own.safe_mode_file:
        if ground.local is False:
            raise CannotError("the engine is another host's, and the toggle file with it", "use safe_mode_env")
        effect = f"{wanted} sees {own.safe_mode_file} and goes into its safe mode"
        return Draft(wanted, (wanted,), (host.file_step(own.safe_mode_file, wanted),), effect, names(containers))
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
    return Draft(wanted, (wanted,), (step,), effect, names(containers))


def connection_limit(ground: Ground, target: str, config: Config) -> Draft:
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


def block(ground: Ground, target: str, config: Config) -> Draft:
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
