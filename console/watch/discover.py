"""What runs on this host, found for a first configuration: projects, roles, endpoints that answer, log files.

Everything is a guess and carries its reason. It reads only, every look-up has a deadline, and of the environment
of containers only the names of variables leave this file.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from console.config import DockerConfig, ProbeConfig
from console.errors import SevdeckError
from console.text import clean
from console.watch.source import Lane

ENGINE_DEADLINE = 3.0
TRY_DEADLINE = 1.0
FILES_DEADLINE = 2.0
HEALTH_PATHS = ("/healthz", "/health", "/readyz", "/ready", "/-/healthy", "/")
_NOWHERE = "/sevdeck-asks-for-a-page-that-is-not-there"
ROLES = ("edge", "app", "database", "cache")
_WORDS = {
    "edge": r"nginx|caddy|traefik|haproxy|envoy|httpd|edge|proxy|gateway|ingress",
    "database": r"postgres(?:ql)?|postgis|timescaledb|mysql|mariadb|percona|mongo(?:db)?|db|database",
    "cache": r"redis|valkey|memcached|keydb|dragonfly|cache",
}
_STORE_PORTS = {5432: "database", 3306: "database", 27017: "database", 6379: "cache", 11211: "cache"}
_EDGE_PORTS = (80, 443, 8080, 8443)
_TLS_PORTS = (443, 8443)
_SYSTEM_LOGS = ("/var/log/nginx/*.log", "/var/log/apache2/*.log", "/var/log/postgresql/*.log", "/var/log/redis/*.log")


@dataclass(frozen=True, slots=True)
class Service:
    """One Compose service as its containers show it. All strings are cleaned."""

    name: str
    image: str
    command: str
    running: bool
    published: tuple[tuple[str, int, int], ...]  # host address, host port, container port
    exposed: tuple[int, ...]
    binds: tuple[str, ...]  # directories of the host
    depends_on: tuple[str, ...]
    container: str  # id of one of its containers


@dataclass(frozen=True, slots=True)
class Project:
    """A Compose project: its services, and the files it was started from."""

    name: str
    directory: str
    files: tuple[str, ...]
    services: tuple[Service, ...]


@dataclass(frozen=True, slots=True)
class Guess:
    """Something found, and why it is taken for what it is."""

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class FoundProbe:
    probe: ProbeConfig
    answered: bool
    detail: str  # "200 in 12 ms", or why it did not answer


@dataclass(frozen=True, slots=True)
class FoundLog:
    name: str
    kind: str  # path, container, unit
    value: str
    why: str


@dataclass(frozen=True, slots=True)
class Discovery:
    """Everything that was found. `engine_fault` says why no container was seen, "" when the engine answered."""

    engine_fault: str = ""
    projects: tuple[Project, ...] = ()  # the likeliest first
    roles: tuple[tuple[str, tuple[Guess, ...]], ...] = ()  # role -> services
    probes: tuple[FoundProbe, ...] = ()
    logs: tuple[FoundLog, ...] = ()
    metric_files: tuple[Guess, ...] = ()  # globs of JSONL files
    database_env: tuple[str, ...] = ()  # names of variables the database's container has
    database_address: str = ""  # "127.0.0.1:5432" where it is published

    @property
    def project(self) -> Project | None:
        return self.projects[0] if self.projects else None


Ask = Callable[..., Any]  # GET path of the engine, with query, to JSON
TryProbe = Callable[[ProbeConfig], Awaitable[Any]]  # to ProbeResult


async def discover(
    docker: DockerConfig,
    cwd: Path,
    *,
    ask: Ask | None = None,
    attempt: TryProbe | None = None,
    deadline: float = ENGINE_DEADLINE,
) -> Discovery:
    """Look at this host. An engine that does not answer costs `deadline` seconds; never raises.

    `ask` and `attempt` stand for the engine and for trying a probe.
    """
    found = Discovery()
    lane = Lane("discover")
    try:
        listed = await lane.call(lambda: (ask or _engine(docker))("/containers/json", all=1), deadline=deadline)
        found = replace(found, projects=_ranked(projects_of(listed), cwd))
    except (SevdeckError, OSError, ImportError) as error:
        found = replace(found, engine_fault=clean(getattr(error, "message", str(error)), 200))
    if found.project is not None:
        roles = guess_roles(found.project.services)
        probes = await try_probes(candidates(found.project.services, roles), attempt or _attempt)
        env = await _database_env(found.project.services, roles, lane, ask or _engine(docker))
        found = replace(
            found,
            roles=tuple((role, tuple(roles[role])) for role in ROLES),
            probes=probes,
            database_env=env,
            database_address=_address(found.project.services, [g.what for g in roles["database"]]),
        )
    lane.close()
    return await _with_files(found)


async def _with_files(found: Discovery) -> Discovery:
    """Log and metric files too; none where a mount does not answer."""
    lane = Lane("discover-files")
    services = found.project.services if found.project is not None else ()
    try:
        logs = await lane.call(lambda: tuple(_logs(found)), deadline=FILES_DEADLINE)
        metrics = await lane.call(lambda: tuple(_metric_files(services)), deadline=FILES_DEADLINE)
    except SevdeckError:
        return found
    finally:
        lane.close()
    return replace(found, logs=logs, metric_files=metrics)


# --- projects and roles ----------------------------------------------------------------------------------------


def projects_of(listed: list[dict[str, Any]]) -> list[Project]:
    """Compose projects by label, from the engine's list of containers. One-off containers are left out."""
    containers: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for container in listed:
        labels = container.get("Labels") or {}
        project, service = labels.get("com.docker.compose.project"), labels.get("com.docker.compose.service")
        if project and service and labels.get("com.docker.compose.oneoff", "False").lower() != "true":
            containers.setdefault(project, {}).setdefault(service, []).append(container)
    return [_project(name, services) for name, services in containers.items()]


def _project(name: str, services: dict[str, list[dict[str, Any]]]) -> Project:
    labels = next(iter(services.values()))[0].get("Labels") or {}
    files = labels.get("com.docker.compose.project.config_files", "")
    return Project(
        name=clean(name, 100),
        directory=clean(labels.get("com.docker.compose.project.working_dir", ""), 400),
        files=tuple(clean(file.strip(), 400) for file in files.split(",") if file.strip()),
        services=tuple(_service(service, found) for service, found in sorted(services.items())),
    )


def _service(name: str, found: list[dict[str, Any]]) -> Service:
    first = next((one for one in found if one.get("State") == "running"), found[0])
    labels = first.get("Labels") or {}
    ports = [port for one in found for port in one.get("Ports") or [] if port.get("Type", "tcp") == "tcp"]
    published = {
        (_reachable(port.get("IP", "")), int(port["PublicPort"]), int(port["PrivatePort"]))
        for port in ports
        if port.get("PublicPort")
    }
    depends = labels.get("com.docker.compose.depends_on", "")
    return Service(
        name=clean(name, 100),
        image=clean(first.get("Image", ""), 200),
        command=clean(first.get("Command", ""), 200),
        running=first.get("State") == "running",
        published=tuple(sorted(published, key=lambda port: port[2])),
        exposed=tuple(sorted({int(port["PrivatePort"]) for port in ports if port.get("PrivatePort")})),
        binds=tuple(clean(m.get("Source", ""), 400) for m in first.get("Mounts") or [] if m.get("Type") == "bind"),
        depends_on=tuple(clean(part.split(":")[0], 100) for part in depends.split(",") if part),
        container=str(first.get("Id", "")),
    )


def _reachable(address: str) -> str:
    return "127.0.0.1" if address in {"", "0.0.0.0", "::"} else f"[{address}]" if ":" in address else address


def _ranked(projects: Iterable[Project], cwd: Path) -> tuple[Project, ...]:
    """The likeliest first: the one whose directory we stand in, then the one with most that is published and runs."""

    def rank(project: Project) -> tuple[bool, int, int, str]:
        published = sum(bool(service.published) for service in project.services)
        return (
            project.directory != str(cwd),
            -published,
            -sum(service.running for service in project.services),
            project.name,
        )

    return tuple(sorted(projects, key=rank))


def guess_roles(services: Iterable[Service]) -> dict[str, list[Guess]]:
    """Services by role, each with the reason. What has no port and no visitor (a worker) has no role.

    >>> web = Service("web", "nginx:1.27", "", True, (("127.0.0.1", 80, 80),), (80,), (), ("api",), "")
    >>> api = Service("api", "acme/api", "", True, (), (), (), (), "")
    >>> [(role, [g.what for g in found]) for role, found in guess_roles([web, api]).items() if found]
    [('edge', ['web']), ('app', ['api'])]
    """
    roles: dict[str, list[Guess]] = {role: [] for role in ROLES}
    rest: list[Service] = []
    wanted: set[str] = set()
    for service in services:
        role, why = _role(service)
        if role:
            roles[role].append(Guess(service.name, why))
            wanted |= set(service.depends_on) if role == "edge" else set()
        else:
            rest.append(service)
    for service in rest:
        if service.name in wanted:
            roles["app"].append(Guess(service.name, "the edge depends on it"))
        elif service.published:
            roles["app"].append(Guess(service.name, f"publishes port {service.published[0][1]}"))
        elif service.exposed:
            roles["app"].append(Guess(service.name, f"exposes port {service.exposed[0]}"))
    return roles


def _role(service: Service) -> tuple[str, str]:
    image = service.image.rpartition("/")[2].partition(":")[0].partition("@")[0]
    inside = {port for _, _, port in service.published} | set(service.exposed)
    for role, words in _WORDS.items():
        pattern = re.compile(rf"(?:^|[-_.]|\b)(?:{words})(?:$|[-_.\d])", re.IGNORECASE)
        named = pattern.search(image) or pattern.search(service.name)
        if not named:
            continue
        word = named[0].strip("-_.").lower()
        if role != "edge":
            return role, f"its {'image' if pattern.search(image) else 'name'} says {word}"
        if any(private in _EDGE_PORTS or port in _EDGE_PORTS for _, port, private in service.published):
            return role, f"{word} with a published web port"
    store = next((_STORE_PORTS[port] for port in inside if port in _STORE_PORTS), "")
    return store, f"listens on port {next(p for p in inside if p in _STORE_PORTS)}" if store else ""


# --- endpoints -------------------------------------------------------------------------------------------------


def candidates(services: Iterable[Service], roles: dict[str, list[Guess]]) -> list[list[ProbeConfig]]:
    """Probes worth trying, grouped by what they are about; within a group the first that answers is taken."""
    role_of = {guess.what: role for role, found in roles.items() for guess in found}
    groups: list[list[ProbeConfig]] = []
    for service in services:
        role = role_of.get(service.name)
        many = len({private for _, _, private in service.published}) > 1
        for host, port, private in service.published:
            name = f"{service.name}-{private}" if many else service.name
            address = f"{host}:{port}"
            if role == "cache" and private == 6379:
                redis = ProbeConfig(name, "redis", f"redis://{address}/0", timeout=TRY_DEADLINE)
                groups.append([redis, ProbeConfig(name, "tcp", address, timeout=TRY_DEADLINE)])
            elif role in {"cache", "database"} or private in _STORE_PORTS:
                groups.append([ProbeConfig(name, "tcp", address, timeout=TRY_DEADLINE)])
            elif role in {"edge", "app"}:
                groups.append(_web(name, address, tls=private in _TLS_PORTS))
                if private in _TLS_PORTS:
                    certificate = ProbeConfig(f"{service.name}-certificate", "tls", address, expect="14", every=3600.0)
                    groups.append([replace(certificate, timeout=TRY_DEADLINE)])
    return groups


def _web(name: str, address: str, *, tls: bool) -> list[ProbeConfig]:
    scheme = "https" if tls else "http"
    return [
        *(
            ProbeConfig(name, "http", f"{scheme}://{address}{path}", expect="2xx", timeout=TRY_DEADLINE)
            for path in HEALTH_PATHS
        ),
        ProbeConfig(name, "tcp", address, timeout=TRY_DEADLINE),
    ]


async def try_probes(groups: list[list[ProbeConfig]], attempt: TryProbe) -> tuple[FoundProbe, ...]:
    """For each group the first probe that answers, all tried at once; its last one, unanswered, when none does."""
    return tuple(await asyncio.gather(*(_first_answer(group, attempt) for group in groups)))


async def _first_answer(group: list[ProbeConfig], attempt: TryProbe) -> FoundProbe:
    web = [probe for probe in group if probe.kind == "http"]
    # A site that answers every path with its start page has no health endpoint: only "/" means something there.
    nowhere = [replace(web[0], target=web[0].target.removesuffix(HEALTH_PATHS[0]) + _NOWHERE)] if web else []
    results = await asyncio.gather(*(_answer(probe, attempt) for probe in [*group, *nowhere]))
    catch_all = bool(nowhere) and results[-1][0]
    for probe, (answered, detail) in zip(group, results, strict=False):
        if answered and not (catch_all and probe.kind == "http" and not probe.target.endswith("/")):
            return FoundProbe(replace(probe, timeout=3.0), True, detail)
    return FoundProbe(replace(group[-1], timeout=3.0), False, results[len(group) - 1][1])


async def _answer(probe: ProbeConfig, attempt: TryProbe) -> tuple[bool, str]:
    try:
        result = await asyncio.wait_for(attempt(probe), 2 * TRY_DEADLINE)
    except TimeoutError:
        return False, "no answer"
    except (SevdeckError, OSError) as error:
        return False, clean(str(error), 80)
    return bool(result.ok), clean(result.detail, 80)


async def _attempt(probe: ProbeConfig) -> Any:
    from console.watch.probes import run_probe

    return await run_probe(probe)


# --- logs, metrics, database -----------------------------------------------------------------------------------


def _logs(found: Discovery) -> Iterable[FoundLog]:
    roles = dict(found.roles)
    for role in ("edge", "app"):
        for guess in roles.get(role, ()):
            yield FoundLog(guess.what, "container", guess.what, f"{role} service")
    if found.project is not None:
        for directory in dict.fromkeys(b for service in found.project.services for b in service.binds):
            if files := _some(Path(directory), "*.log"):
                name = f"{Path(directory).parent.name}-{Path(directory).name}"
                yield FoundLog(name, "path", f"{directory}/*.log", f"mounted into containers; holds {files}")
    for pattern in _SYSTEM_LOGS:
        directory_of = Path(pattern).parent
        if files := _some(directory_of, "*.log"):
            yield FoundLog(f"host-{directory_of.name}", "path", pattern, f"this host has {files}")
    if Path("/run/systemd/system").is_dir() and shutil.which("journalctl"):
        yield FoundLog("docker-engine", "unit", "docker.service", "this host runs systemd")


def _some(directory: Path, pattern: str) -> str:
    """The names of a few readable files that match, "" when there is none."""
    try:
        names = sorted(file.name for file in directory.glob(pattern) if os.access(file, os.R_OK) and file.is_file())
    except OSError:
        return ""
    return ", ".join(clean(name, 60) for name in names[:3]) + (" ..." if len(names) > 3 else "")


def _metric_files(services: Iterable[Service]) -> Iterable[Guess]:
    for directory in dict.fromkeys(b for service in services for b in service.binds):
        for below in ("", "*/"):
            for place in sorted({file.parent for file in _safe_glob(Path(directory), f"{below}*.jsonl")})[:3]:
                yield Guess(f"{clean(str(place), 400)}/*.jsonl", f"holds {_some(place, '*.jsonl')}")


def _safe_glob(directory: Path, pattern: str) -> list[Path]:
    try:
        return list(directory.glob(pattern))[:100]
    except OSError:
        return []


def _address(services: Iterable[Service], names: list[str]) -> str:
    for service in services:
        if service.name in names and service.published:
            host, port, _ = service.published[0]
            return f"{host}:{port}"
    return ""


async def _database_env(
    services: Iterable[Service], roles: dict[str, list[Guess]], lane: Lane, ask: Ask
) -> tuple[str, ...]:
    """Names of the variables the database's container was started with. Their values stay in the engine."""
    names = [guess.what for guess in roles["database"]]
    container = next((service.container for service in services if service.name in names), "")
    if not container:
        return ()
    try:
        shown = await lane.call(lambda: ask(f"/containers/{container}/json"), deadline=ENGINE_DEADLINE)
    except (SevdeckError, OSError):
        return ()
    env = (shown.get("Config") or {}).get("Env") or []
    words = re.compile(r"(?i)postgres|mysql|mariadb|mongo|pg|database|db_|password|user")
    return tuple(sorted(clean(entry.partition("=")[0], 60) for entry in env if words.search(entry.partition("=")[0])))


def _engine(docker: DockerConfig) -> Ask:
    from console.watch.engine_api import Engine

    return Engine(docker).get
