"""From what the engine says to our records: inspect, list and events, cleaned, with unknown kept unknown.

Pure functions over the engine's JSON. A field may be missing or null in any version; no such gap is an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from console.redact import redact
from console.text import clean
from console.watch.container_records import Container, EngineEvent

_LABEL = "com.docker.compose."
_HEALTH_LIMIT = 300  # characters of a health check's output
_NEVER = "0001-01-01"  # Go's zero time
ACTIVE = frozenset({"running", "paused", "restarting"})


def container_from_inspect(data: Mapping[str, Any], deaths: int = 0) -> Container:
    """One container from GET /containers/{id}/json, with its figures unknown."""
    state, config, host = _dict(data, "State"), _dict(data, "Config"), _dict(data, "HostConfig")
    network, labels = _dict(data, "NetworkSettings"), _dict(config, "Labels")
    health = _dict(state, "Health")
    status = _text(state, "Status")
    verdict = _text(health, "Status")
    streak = _int(health, "FailingStreak") or 0
    pid = _int(state, "Pid") or None
    return Container(
        id=str(data.get("Id", "")),
        name=_text(data, "Name").lstrip("/"),
        image=_text(config, "Image"),
        project=_text(labels, _LABEL + "project"),
        service=_text(labels, _LABEL + "service"),
        status=status,
        health="" if verdict == "none" else verdict,
        health_detail=_last_failure(health) if streak or verdict == "unhealthy" else "",
        failing_streak=streak,
        exit_code=None if status in ACTIVE - {"restarting"} or status == "created" else _int(state, "ExitCode"),
        oom_killed=bool(state.get("OOMKilled")),
        restarts=_int(data, "RestartCount") or 0,
        deaths=deaths,
        restart_policy=restart_policy(host),
        created_at=moment(data.get("Created")),
        started_at=moment(state.get("StartedAt")),
        finished_at=moment(state.get("FinishedAt")),
        pid=pid,
        ports=_published(_dict(network, "Ports")),
        networks=tuple(sorted(clean(name) for name in _dict(network, "Networks"))),
        depends_on=depends_on(_text(labels, _LABEL + "depends_on")),
        cpu=None,
        cpu_limit=cpu_limit(host),
        throttled=None,
        memory=None,
        memory_limit=_int(host, "Memory") or None,
        net_in=None,
        net_out=None,
        disk_read=None,
        disk_write=None,
    )


def container_from_list(entry: Mapping[str, Any], deaths: int = 0) -> Container:
    """One container from GET /containers/json, for one that cannot be inspected: what is not told stays unknown."""
    labels = _dict(entry, "Labels")
    names = entry.get("Names") or [""]
    told = _text(entry, "Status").lower()  # "Up 3 minutes (healthy)"
    health = next((word for word in ("unhealthy", "healthy") if f"({word})" in told), "")
    ports = {
        f"{port.get('PrivatePort')}/{port.get('Type')}": [
            {"HostIp": port.get("IP", ""), "HostPort": str(port["PublicPort"])}
        ]
        for port in entry.get("Ports") or ()
        if isinstance(port, dict) and port.get("PublicPort")
    }
    created = _int(entry, "Created")
    return Container(
        id=str(entry.get("Id", "")),
        name=clean(str(names[0])).lstrip("/"),
        image=_text(entry, "Image"),
        project=_text(labels, _LABEL + "project"),
        service=_text(labels, _LABEL + "service"),
        status=_text(entry, "State"),
        health="starting" if "(health: starting)" in told else health,
        health_detail="",
        failing_streak=0,
        exit_code=None,
        oom_killed=False,
        restarts=0,
        deaths=deaths,
        restart_policy="",
        created_at=None if created is None else float(created),
        started_at=None,
        finished_at=None,
        pid=None,
        ports=_published(ports),
        networks=tuple(sorted(clean(name) for name in _dict(_dict(entry, "NetworkSettings"), "Networks"))),
        depends_on=depends_on(_text(labels, _LABEL + "depends_on")),
        cpu=None,
        cpu_limit=None,
        throttled=None,
        memory=None,
        memory_limit=None,
        net_in=None,
        net_out=None,
        disk_read=None,
        disk_write=None,
    )


def event_from(data: Mapping[str, Any], known: Mapping[str, Container]) -> EngineEvent | None:
    """One line of GET /events; None for what is no container's affair.

    `known` names the container of a network event, which tells only its id.
    """
    actor = _dict(data, "Actor")
    attributes = _dict(actor, "Attributes")
    action, _, value = _text(data, "Action").partition(":")
    if action.startswith("exec_"):
        return None
    kind = data.get("Type", "container")
    identity = str((attributes.get("container") if kind == "network" else actor.get("ID")) or "")
    if kind not in ("container", "network") or not identity:
        return None
    nanos = _int(data, "timeNano")
    at = nanos / 1e9 if nanos else float(_int(data, "time") or 0)
    detail = value.strip()
    if kind == "network":
        action, detail = f"network {action}", _text(attributes, "name")
    elif action == "die" and (code := _text(attributes, "exitCode")):
        detail = f"exit {code}"
    elif action == "kill" and (number := _text(attributes, "signal")):
        detail = f"signal {number}"
    elif action == "rename":
        detail = "from " + _text(attributes, "oldName").lstrip("/")
    about = known.get(identity)
    own = kind == "container"
    return EngineEvent(
        at=at,
        action=action,
        container=identity,
        name=_text(attributes, "name") if own else about.name if about else identity[:12],
        service=_text(attributes, _LABEL + "service") if own else about.service if about else "",
        project=_text(attributes, _LABEL + "project") if own else about.project if about else "",
        detail=detail,
    )


def container_after(container: Container, event: EngineEvent) -> Container:
    """`container` with what `event` says of it; an inspect must still tell the rest (pid, policy at work)."""
    match event.action:
        case "die":
            code = event.detail.removeprefix("exit ")
            ended = replace(container, status="exited", pid=None, finished_at=event.at)
            return replace(ended, exit_code=int(code) if code.isdecimal() else None)
        case "start":
            health = "starting" if container.health else ""
            return replace(container, status="running", health=health, exit_code=None, started_at=event.at)
        case "pause":
            return replace(container, status="paused")
        case "unpause":
            return replace(container, status="running")
        case "oom":
            return replace(container, oom_killed=True)
        case "health_status":
            return replace(container, health=event.detail)
        case "network connect":
            return replace(container, networks=tuple(sorted({*container.networks, event.detail})))
        case "network disconnect":
            return replace(container, networks=tuple(n for n in container.networks if n != event.detail))
    return container


def moment(text: object) -> float | None:
    """Unix seconds of a time as the engine writes it; None for Go's zero time and for what is no time.

    >>> moment("1970-01-01T00:00:10.5Z"), moment("0001-01-01T00:00:00Z")
    (10.5, None)
    """
    if not isinstance(text, str) or not text or text.startswith(_NEVER):
        return None
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None


def restart_policy(host: Mapping[str, Any]) -> str:
    """The policy as one writes it: "no", "always", "unless-stopped", "on-failure:3"."""
    policy = _dict(host, "RestartPolicy")
    name, tries = _text(policy, "Name"), _int(policy, "MaximumRetryCount")
    return f"{name}:{tries}" if name == "on-failure" and tries else name or "no"


def cpu_limit(host: Mapping[str, Any]) -> float | None:
    """Cores a container may use, from --cpus or its quota; None without a limit.

    >>> cpu_limit({"NanoCpus": 500000000}), cpu_limit({"CpuQuota": 150000}), cpu_limit({"CpuQuota": -1})
    (0.5, 1.5, None)
    """
    if nanos := _int(host, "NanoCpus"):
        return nanos / 1e9
    quota = _int(host, "CpuQuota") or 0
    return quota / (_int(host, "CpuPeriod") or 100_000) if quota > 0 else None


def depends_on(label: str) -> tuple[str, ...]:
    """
    >>> depends_on("postgres:service_healthy:false,redis:service_started:true")
    ('postgres', 'redis')
    """
    return tuple(part.partition(":")[0] for part in label.split(",") if part)


def _published(ports: Mapping[str, Any]) -> tuple[str, ...]:
    """Ports that the host listens on; the IPv6 twin of one on all addresses is not told twice."""
    found: list[str] = []
    for inside, bindings in ports.items():
        for binding in bindings if isinstance(bindings, list) else ():
            ip, port = _text(binding, "HostIp"), _text(binding, "HostPort")
            address = f"[{ip}]" if ":" in ip else ip or "0.0.0.0"
            found.append(f"{address}:{port}->{clean(inside)}")
    everywhere = {port.removeprefix("0.0.0.0") for port in found if port.startswith("0.0.0.0:")}
    return tuple(sorted({port for port in found if port.removeprefix("[::]") not in everywhere}))


def _last_failure(health: Mapping[str, Any]) -> str:
    log = health.get("Log")
    runs: Iterable[Any] = reversed(log) if isinstance(log, list) else ()
    for run in runs:
        if isinstance(run, dict) and (code := _int(run, "ExitCode")):
            said = clean(redact(" ".join(str(run.get("Output") or "").split())), _HEALTH_LIMIT)
            return said or f"exit {code}"
    return ""


def _dict(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = data.get(key)
    return found if isinstance(found, dict) else {}


def _text(data: Mapping[str, Any], key: str) -> str:
    found = data.get(key)
    return clean(found) if isinstance(found, str) else ""


def _int(data: Mapping[str, Any], key: str) -> int | None:
    found = data.get(key)
    return found if isinstance(found, int) else None
