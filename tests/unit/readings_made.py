"""Hand-made readings: a small healthy stack, and single things in it made wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from console.config import Config, RolesConfig, ServiceConfig
from console.watch.containers import Container, ContainersReading, EngineEvent
from console.watch.host import Disk, HostReading, Pressure, Process
from console.watch.logrecord import InputStats, LogRecord, LogStats
from console.watch.metrics import MetricPoint, MetricsReading
from console.watch.probes import ProbeResult, ProbesReading
from console.watch.readings import Readings
from console.watch.source import Fault, Reading

NOW = 1_790_000_000.0
START = NOW - 9 * 86400
GIB = 2**30

NEEDS = {"edge": ("app",), "app": ("postgres", "redis"), "worker": ("postgres", "redis")}
NETWORKS = {"edge": ("shop_front",), "app": ("shop_back", "shop_front")}
PORTS = {
    "edge": ("127.0.0.1:18080->80/tcp",),
    "app": ("127.0.0.1:18000->8000/tcp",),
    "postgres": ("127.0.0.1:15432->5432/tcp",),
    "redis": ("127.0.0.1:16379->6379/tcp",),
}
CONFIG = Config(
    service=ServiceConfig(name="shop", url="http://127.0.0.1:18080"),
    roles=RolesConfig(edge=("edge",), app=("app",), database=("postgres",), cache=("redis",)),
)


def container(service: str, /, **changes: Any) -> Container:
    made = Container(
        id=f"{service:0<64}",
        name=f"shop-{service}-1",
        image=f"shop/{service}:1.4",
        project="shop",
        service=service,
        status="running",
        health="healthy",
        health_detail="",
        failing_streak=0,
        exit_code=None,
        oom_killed=False,
        restarts=0,
        deaths=0,
        restart_policy="unless-stopped",
        created_at=START,
        started_at=START,
        finished_at=None,
        pid=100,
        ports=PORTS.get(service, ()),
        networks=NETWORKS.get(service, ("shop_back",)),
        depends_on=NEEDS.get(service, ()),
        cpu=3.0,
        cpu_limit=1.0,
        throttled=0.0,
        memory=80 * 2**20,
        memory_limit=256 * 2**20,
        net_in=0.0,
        net_out=0.0,
        disk_read=0.0,
        disk_write=0.0,
    )
    return replace(made, **changes)


def stopped(service: str, code: int, ago: float = 60.0, **changes: Any) -> Container:
    gone: dict[str, Any] = {
        "status": "exited",
        "health": "",
        "exit_code": code,
        "finished_at": NOW - ago,
        "pid": None,
        "cpu": None,
        "memory": None,
        "networks": (),
    }
    return container(service, **(gone | changes))


def event(service: str, action: str, ago: float, detail: str = "") -> EngineEvent:
    return EngineEvent(NOW - ago, action, f"{service:0<64}", f"shop-{service}-1", service, "shop", detail)


def probe(name: str, target: str, **changes: Any) -> ProbeResult:
    kind = target.split(":")[0] if "://" in target else "tcp"
    made = ProbeResult(
        name=name,
        kind={"https": "tls"}.get(kind, kind),
        target=target,
        ok=True,
        detail="200 in 12 ms",
        latency=0.012,
        at=NOW - 1,
        since=START,
        business=False,
        history=(True,) * 20,
    )
    return replace(made, **changes)


PROBES = {
    "edge": probe("edge", "http://127.0.0.1:18080/readyz"),
    "app": probe("app", "http://127.0.0.1:18000/readyz"),
    "webhook": probe("webhook", "http://127.0.0.1:18080/webhook", business=True),
    "postgres": probe("postgres", "postgres://shop@127.0.0.1:15432/shop", detail="answers in 3 ms"),
    "redis": probe("redis", "redis://127.0.0.1:16379/0", detail="PONG in 1 ms"),
}


def failing(name: str, detail: str, ago: float = 50.0, **changes: Any) -> ProbeResult:
    down: dict[str, Any] = {
        "ok": False,
        "detail": detail,
        "since": NOW - ago,
        "latency": None,
        "history": (True,) * 15 + (False,) * 5,
    }
    return replace(PROBES[name], **(down | changes))


def host(**changes: Any) -> HostReading:
    made = HostReading(
        hostname="prod-1",
        cores=4,
        cpu=12.0,
        cpu_per_core=(12.0,) * 4,
        load=(0.5, 0.4, 0.4),
        pressure=Pressure(1.0, 0.5, 0.1, 0.0, 0.0),
        memory_total=8 * GIB,
        memory_available=5 * GIB,
        swap_total=GIB,
        swap_used=0,
        disks=(disk("/", 60),),
        net_in=1e5,
        net_out=1e5,
        disk_read=0.0,
        disk_write=1e5,
        top=(Process(41, "python3", 30.0, 2 * GIB),),
        uptime=9 * 86400.0,
    )
    return replace(made, **changes)


def disk(mount: str, percent: float) -> Disk:
    used = int(GIB * percent)
    return Disk(mount, "/dev/vda1", 100 * GIB, used, 100 * GIB - used, 1_000_000, 900_000)


def metric(name: str, status: str = "ok", **changes: Any) -> MetricPoint:
    made = MetricPoint(name, "", 41.0, 40.0, status, "", (40.0, 41.0), "down", "", NOW)
    return replace(made, **changes)


def errors(source: str, *messages: str, per_minute: float = 0.0) -> LogStats:
    records = tuple(LogRecord(NOW - 5, "error", source, text, arrived=NOW - 5) for text in messages)
    inputs = (InputStats(source, "container", 1000, 5.0, per_minute, 0.0, False, 0, "", ""),)
    return LogStats(inputs, 5.0, per_minute, 0.0, False, 0, records, NOW)


def replace_rate(stats: LogStats, lines_per_second: float) -> LogStats:
    inputs = tuple(replace(one, lines_per_second=lines_per_second) for one in stats.inputs)
    return replace(stats, inputs=inputs, lines_per_second=lines_per_second)


def readings(
    containers: tuple[Container, ...] = (),
    probes: tuple[ProbeResult, ...] = (),
    events: tuple[EngineEvent, ...] = (),
    drop: tuple[str, ...] = (),
    asked: tuple[str, ...] = tuple(PROBES),
    **others: Any,
) -> Readings:
    """A healthy stack in which these containers and probes replace their healthy namesakes.

    `drop`: services and probes that are not there; `asked`: the healthy probes that are configured.
    """
    stack = {s: container(s) for s in ("edge", "app", "worker", "postgres", "redis")}
    stack |= {c.service or c.name: c for c in containers}
    answers = {name: PROBES[name] for name in asked} | {p.name: p for p in probes}
    for name in drop:
        stack.pop(name, None)
        answers.pop(name, None)
    return Readings(
        host=fresh(others.get("host", host())),
        containers=fresh(ContainersReading("Docker 20.10.24 (API 1.41)", "unix:///x", tuple(stack.values()), events)),
        probes=fresh(ProbesReading(tuple(answers.values()))),
        metrics=fresh(MetricsReading(others.get("metrics", (metric("bookings"),)))),
        logs=fresh(others.get("logs", errors("app"))),
    )


def with_container(given: Readings, one: Container) -> ContainersReading:
    assert given.containers.value is not None
    return replace(given.containers.value, containers=(*given.containers.value.containers, one))


def fresh(value: Any) -> Reading[Any]:
    return Reading(value, NOW - 0.5)


def broken(reading: Reading[Any], reason: str, remedy: str = "", ago: float = 20.0) -> Reading[Any]:
    return Reading(reading.value, NOW - ago, Fault(reason, remedy, NOW - ago))
