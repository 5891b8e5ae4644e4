"""Records of a Docker engine: its containers, what it reported, and one reading of all. Nothing here reads."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Container:
    """One container as the engine tells it. All strings are cleaned. Unknown figures are None."""

    id: str  # full 64 hex digits
    name: str  # without the leading slash
    image: str
    project: str  # Compose project, "" outside Compose
    service: str  # Compose service, "" outside Compose
    status: str  # created, running, paused, restarting, removing, exited, dead
    health: str  # healthy, unhealthy, starting, "" without a health check
    health_detail: str  # last output of a failing health check, one line, else ""
    failing_streak: int
    exit_code: int | None  # None while running
    oom_killed: bool
    restarts: int  # engine's own count; zeroed by manual restarts
    deaths: int  # `die` events seen by this console in the last 120 s
    restart_policy: str
    created_at: float | None  # unix seconds
    started_at: float | None
    finished_at: float | None
    pid: int | None
    ports: tuple[str, ...]  # "127.0.0.1:8080->80/tcp"
    networks: tuple[str, ...]
    depends_on: tuple[str, ...]  # Compose services, from the label
    cpu: float | None  # percent of one core
    cpu_limit: float | None  # cores
    throttled: float | None  # share of periods throttled since the last reading, 0-1
    memory: int | None  # bytes, page cache that can be dropped excluded
    memory_limit: int | None  # bytes, None without a limit
    net_in: float | None  # bytes per second
    net_out: float | None
    disk_read: float | None
    disk_write: float | None

    @property
    def running(self) -> bool:
        return self.status == "running"

    @property
    def label(self) -> str:
        """What people call it: the service inside Compose, the container's name elsewhere."""
        return self.service or self.name


@dataclass(frozen=True, slots=True)
class EngineEvent:
    """One thing the engine reported: die, oom, start, restart, health_status ... `exec_*` is left out."""

    at: float  # unix seconds, by the engine's clock
    action: str  # "health_status" without its value
    container: str  # id
    name: str
    service: str
    project: str
    detail: str  # "exit 137", "unhealthy", signal ...; ""


@dataclass(frozen=True, slots=True)
class ContainersReading:
    """Every container of the engine, and what it reported since this console looked (newest last, bounded)."""

    engine: str  # "Docker 20.10.24 (API 1.41)"
    host: str  # "unix:///var/run/docker.sock"
    containers: tuple[Container, ...]
    events: tuple[EngineEvent, ...]


@dataclass(frozen=True, slots=True)
class DetailLine:
    """One line of a container's log."""

    at: float | None  # unix seconds, by the engine
    stream: str  # stdout, stderr
    text: str


@dataclass(frozen=True, slots=True)
class ContainerDetail:
    """What is known of one container. Where a part could not be read its `..._error` says why, else it is ""."""

    id: str  # full, or what was asked for where the engine does not tell
    name: str
    summary: tuple[tuple[str, str], ...]  # in the order to show; a key may come several times
    summary_error: str
    process_titles: tuple[str, ...]
    processes: tuple[tuple[str, ...], ...]
    processes_error: str
    events: tuple[EngineEvent, ...]  # since the console looks, oldest first
    logs: tuple[DetailLine, ...]  # the last 200, oldest first
    logs_error: str
