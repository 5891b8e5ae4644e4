"""What a plan rests on: one frozen record of engine, containers, disks, probes, and what was run before.

Pure records and the judgements that need nothing else. `console.actions.gather` fills them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from console.actions.action import Snapshot
from console.actions.restore import Ground
from console.programs.blueprint import Blueprint

CRASH_DEATHS = 3  # `die` events in CRASH_WINDOW make a crash loop
CRASH_WINDOW = 120.0  # seconds
_STABLE = 10.0  # seconds after which the engine forgets its restart back-off


@dataclass(frozen=True, slots=True)
class EngineState:
    """`state`: up, down (refuses), frozen (accepts and does not answer), denied (no permission).

    `place`: the address that was asked and who named it; `remedy`: what to do. Both "" while it is up.
    """

    state: str = "up"
    detail: str = ""
    place: str = ""
    remedy: str = ""

    @property
    def up(self) -> bool:
        return self.state == "up"


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """The container's own check: `command` is its argv; times in seconds."""

    command: tuple[str, ...]
    interval: float = 30.0
    timeout: float = 30.0
    retries: int = 3
    start_period: float = 0.0

    @property
    def detection(self) -> float:
        """Longest time from a hang to `unhealthy`."""
        return self.start_period + self.retries * (self.interval + self.timeout)


@dataclass(frozen=True, slots=True)
class ServiceContainer:
    """One container of the project, as far as recovery cares. Strings are cleaned."""

    id: str
    name: str
    service: str
    status: str  # created, running, paused, restarting, removing, exited, dead
    health: str = ""  # healthy, unhealthy, starting, "" without a check
    health_detail: str = ""
    started_at: str = ""
    uptime: float | None = None  # seconds, None when not running
    exit_code: int | None = None
    oom_killed: bool = False
    restarts: int = 0
    deaths: int = 0  # `die` events of the last CRASH_WINDOW
    stopped_by_hand: bool = False
    policy: str = "no"
    stop_timeout: int = 10
    image: str = ""
    image_id: str = ""
    networks: tuple[str, ...] = ()
    nameless: tuple[str, ...] = ()  # networks on which its service name does not lead to it
    ports: tuple[int, ...] = ()  # published on the host
    depends_on: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    check: HealthCheck | None = None
    memory_limit: int | None = None
    config_hash: str = ""  # Compose's own, of the configuration it was made from
    settings: tuple[str, ...] = ()  # names in its environment, without values
    anonymous: tuple[str, ...] = ()  # volumes without a name: they would not come back to a new container

    @property
    def running(self) -> bool:
        return self.status == "running"

    @property
    def crash_looping(self) -> bool:
        """Dies again and again. Manual restarts zero the engine's count, so deaths seen count first."""
        if self.deaths >= CRASH_DEATHS and (self.uptime is None or self.uptime < CRASH_WINDOW / CRASH_DEATHS):
            return True
        if self.restarts < CRASH_DEATHS:
            return False
        return self.status == "restarting" or (self.uptime is not None and self.uptime < _STABLE)

    @property
    def finished(self) -> bool:
        """A one-off job (migration, seed) that did its work and is not meant to run."""
        return self.status == "exited" and self.exit_code == 0 and self.policy in ("no", "on-failure")

    @property
    def well(self) -> bool:
        return self.running and self.health in ("", "healthy") and not self.crash_looping

    @property
    def state(self) -> str:
        """
        >>> ServiceContainer("1", "a", "a", "exited", exit_code=137).state
        'exited (137)'
        """
        if self.crash_looping:
            return f"crash-looping ({max(self.deaths, self.restarts)} deaths)"
        if self.status in ("exited", "dead") and self.exit_code is not None:
            return f"{self.status} ({self.exit_code}{', out of memory' if self.oom_killed else ''})"
        died = f", died {self.deaths} times in 2 min" if self.deaths else ""
        return f"{self.status}, {self.health}{died}" if self.health else f"{self.status}{died}"

    @property
    def snapshot(self) -> Snapshot:
        return Snapshot(self.id, self.name, self.service, self.status, self.started_at, self.image_id, self.networks)


@dataclass(frozen=True, slots=True)
class DiskFacts:
    """A file system that the project writes to. Bytes."""

    mount: str
    total: int
    free: int  # available to ordinary users

    @property
    def percent(self) -> float:
        return 100.0 * (self.total - self.free) / self.total if self.total else 0.0


@dataclass(frozen=True, slots=True)
class ProbeFacts:
    """One probe's answer now. `service`: whose published port it knocks on, "" when that cannot be told."""

    name: str
    ok: bool | None
    detail: str
    latency: float | None = None
    business: bool = False
    service: str = ""
    direct: bool = False  # asks a service past the edge
    kind: str = "http"

    @property
    def through_edge(self) -> bool:
        """Asks what users ask, the way users do. A certificate's date is no question of service."""
        return not self.direct and self.kind != "tls"


@dataclass(frozen=True, slots=True)
class PastRun:
    """An earlier run of a level on this project."""

    run_id: str
    level: int
    service: str
    at: float  # unix seconds of its start
    outcome: str  # "" while it is not over
    downtime: float | None = None
    frozen: bool = False
    override: str = ""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds the project's lock now. Times are unix seconds."""

    run_id: str
    who: str
    since: float
    level: int
    title: str = ""
    step: str = ""
    pid: int = 0
    pid_started: int = 0  # clock ticks since boot, as in /proc/PID/stat: the same pid again is another one


@dataclass(frozen=True, slots=True)
class Hold:
    """A service that an entry of the containment ledger holds: levels from `level` on would undo it silently."""

    service: str
    entry: str
    title: str
    level: int = 1


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything a plan may know. An empty `containers` with an engine that is up: nothing to recover."""

    taken_at: float
    project: str
    engine: EngineState = EngineState()
    containers: tuple[ServiceContainer, ...] = ()
    order: tuple[str, ...] = ()  # services, dependencies first
    depends: dict[str, tuple[str, ...]] = field(default_factory=dict)
    order_source: str = ""  # "compose config" or "labels"
    disks: tuple[DiskFacts, ...] = ()
    probes: tuple[ProbeFacts, ...] = ()
    corruption: tuple[str, ...] = ()  # telling lines of the database's log
    no_space: tuple[str, ...] = ()  # log lines that say the disk is full
    hold: str = ""  # text of the hold file
    holder: Holder | None = None
    past: tuple[PastRun, ...] = ()
    foreign: tuple[str, ...] = ()  # containers that restart others by themselves (watchtower, autoheal)
    contained: tuple[str, ...] = ()  # services held in deliberate containment
    networks: dict[str, tuple[str, ...]] = field(default_factory=dict)  # service -> those its Compose file names
    missing: tuple[str, ...] = ()  # services of the Compose file without a container
    blueprint: Blueprint | None = None  # what the Compose files would build; None: not looked at
    restore: Ground | None = None  # what level 4 stands on; None: not looked at
    backups: str = ""  # the directory they go to
    backed_up: bool = False  # a backup that was verified is younger than the limit
    store: str = ""  # id of the PostgreSQL container that can be dumped, "" for none
    engine_disk: str = ""  # mount of `disks` that holds the engine's own directory; "" where it is another host's
    ended_by_logout: str = ""  # user at whose log-out a run started from here would be killed; "" for nobody
    holds: tuple[Hold, ...] = ()  # which entry of the ledger holds which service; `contained` are those of level 1

    def of(self, service: str) -> tuple[ServiceContainer, ...]:
        return tuple(c for c in self.containers if c.service == service)

    @property
    def snapshots(self) -> tuple[Snapshot, ...]:
        return tuple(c.snapshot for c in self.containers)

    def dependencies(self, service: str) -> tuple[str, ...]:
        """Services it needs, directly or through others, deepest first.

        >>> Facts(0, "p", order=("db", "app", "edge"), depends={"edge": ("app",), "app": ("db",)}).dependencies("edge")
        ('db', 'app')
        """
        needed: set[str] = set()
        waiting = list(self.depends.get(service, ()))
        while waiting:
            name = waiting.pop()
            if name not in needed:
                needed.add(name)
                waiting.extend(self.depends.get(name, ()))
        rank = {name: i for i, name in enumerate(self.order)}
        return tuple(sorted(needed, key=lambda n: rank.get(n, len(rank))))
