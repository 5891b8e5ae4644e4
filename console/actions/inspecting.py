"""The engine's inspect data and events as `ServiceContainer` records: pure translation, every string cleaned."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from console.actions.facts import CRASH_WINDOW, HealthCheck, ServiceContainer
from console.redact import redact
from console.text import clean

_SECOND = 1_000_000_000  # durations of health checks are nanoseconds
_DEFAULT_STOP = 10  # seconds, the engine's own when a container has no StopTimeout
_NEVER = "0001-01-01"
_HEX = re.compile(r"[0-9a-f]{64}")


def container(data: Mapping[str, Any], now: float, deaths: Mapping[str, int] | None = None) -> ServiceContainer:
    """One container from its inspect data. Missing fields become unknown, never an error."""
    state, config = _map(data.get("State")), _map(data.get("Config"))
    host, labels = _map(data.get("HostConfig")), _map(config.get("Labels"))
    health = _map(state.get("Health"))
    status = _word(state.get("Status")) or "unknown"
    policy = _word(_map(host.get("RestartPolicy")).get("Name")) or "no"
    started = _word(state.get("StartedAt"))
    ident = _word(data.get("Id"))
    networks = _map(_map(data.get("NetworkSettings")).get("Networks"))
    oom = bool(state.get("OOMKilled"))
    running = status in ("running", "paused")
    stop = config.get("StopTimeout")
    return ServiceContainer(
        id=ident,
        name=_word(data.get("Name")).lstrip("/"),
        service=_word(labels.get("com.docker.compose.service")),
        status=status,
        health=_health(health),
        health_detail=_last_output(health),
        started_at=started,
        uptime=_since(started, now) if running else None,
        exit_code=None if running else _number(state.get("ExitCode")),
        oom_killed=oom and not running,
        restarts=_number(data.get("RestartCount")) or 0,
        deaths=(deaths or {}).get(ident, 0),
        # The engine itself brings these policies back after a crash; they stay down only when told to.
        stopped_by_hand=status == "exited" and policy in ("always", "unless-stopped") and not oom,
        policy=policy,
        stop_timeout=stop if isinstance(stop, int) and stop >= 0 else _DEFAULT_STOP,
        image=_word(config.get("Image")),
        image_id=_word(data.get("Image")),
        networks=tuple(sorted(map(_word, networks))),
        nameless=tuple(sorted(_word(n) for n, at in networks.items() if not _named(at, labels))),
        ports=_ports(data),
        depends_on=depends_label(_word(labels.get("com.docker.compose.depends_on"))),
        volumes=tuple(_word(m.get("Source")) for m in data.get("Mounts") or () if isinstance(m, dict)),
        check=_check(_map(config.get("Healthcheck"))),
        memory_limit=_number(host.get("Memory")) or None,
        config_hash=_word(labels.get("com.docker.compose.config-hash")),
        settings=tuple(_word(str(e).partition("=")[0]) for e in config.get("Env") or ()),
        anonymous=tuple(_word(m.get("Name")) for m in data.get("Mounts") or () if _anonymous(_map(m))),
    )


def _anonymous(mount: Mapping[str, Any]) -> bool:
    """The engine names a volume that nobody named by 64 hex digits."""
    return mount.get("Type") == "volume" and bool(_HEX.fullmatch(str(mount.get("Name"))))


def depends_label(text: str) -> tuple[str, ...]:
    """
    >>> depends_label("postgres:service_healthy:false,redis:service_started:false")
    ('postgres', 'redis')
    """
    return tuple(part.split(":")[0].strip() for part in text.split(",") if part.strip())


def deaths(events: Iterable[tuple[float, str, str]], now: float) -> dict[str, int]:
    """Container id -> how often it died by itself in the last CRASH_WINDOW seconds.

    `events` are (time, action, container id). A death after a `kill` was somebody's doing: restarts and stops
    by hand are no crash loop.

    >>> deaths([(1, "kill", "a"), (2, "die", "a"), (3, "start", "a"), (4, "die", "a")], 10)
    {'a': 1}
    """
    killed: set[str] = set()
    counted: dict[str, int] = {}
    for at, action, ident in sorted(events):
        if action == "kill":
            killed.add(ident)
        elif action == "die":
            if ident not in killed and now - at <= CRASH_WINDOW:
                counted[ident] = counted.get(ident, 0) + 1
            killed.discard(ident)
        elif action == "start":
            killed.discard(ident)
    return counted


def event_tuples(events: Sequence[Mapping[str, Any]]) -> list[tuple[float, str, str]]:
    """The engine's own event records, as `deaths` wants them."""
    found = []
    for event in events:
        at, action = event.get("timeNano"), event.get("Action")
        ident = _map(event.get("Actor")).get("ID") or event.get("id")
        if isinstance(at, int) and isinstance(action, str) and isinstance(ident, str):
            found.append((at / _SECOND, action.split(":")[0], ident))
    return found


def _named(endpoint: Any, labels: Mapping[str, Any]) -> bool:
    """Does the service's name lead to this endpoint? Compose gives it as an alias; newer engines list DNSNames."""
    known = _map(endpoint)
    names = [*(known.get("Aliases") or ()), *(known.get("DNSNames") or ())]
    return labels.get("com.docker.compose.service") in names


def _health(health: Mapping[str, Any]) -> str:
    word = _word(health.get("Status"))
    return "" if word == "none" else word


def _last_output(health: Mapping[str, Any]) -> str:
    log = health.get("Log")
    last = _map(log[-1]) if isinstance(log, list) and log else {}
    if not last.get("ExitCode"):
        return ""
    return clean(redact(str(last.get("Output") or "").strip()), 200)


def _check(data: Mapping[str, Any]) -> HealthCheck | None:
    test = data.get("Test")
    if not isinstance(test, list) or not test or test[0] == "NONE":
        return None
    words = [str(w) for w in test]
    command = ["sh", "-c", words[1]] if words[0] == "CMD-SHELL" and len(words) > 1 else words[1:]
    return HealthCheck(
        tuple(command),
        _seconds(data.get("Interval"), 30.0),
        _seconds(data.get("Timeout"), 30.0),
        _number(data.get("Retries")) or 3,
        _seconds(data.get("StartPeriod"), 0.0),
    )


def _ports(data: Mapping[str, Any]) -> tuple[int, ...]:
    bound = _map(_map(data.get("HostConfig")).get("PortBindings"))
    found = set()
    for targets in bound.values():
        for target in targets or ():
            port = str(_map(target).get("HostPort", ""))
            if port.isdecimal():
                found.add(int(port))
    return tuple(sorted(found))


def _since(stamp: str, now: float) -> float | None:
    """Seconds since an RFC 3339 time with nanoseconds."""
    if not stamp or stamp.startswith(_NEVER):
        return None
    head, _, fraction = stamp.rstrip("Z").partition(".")
    try:
        zone = "+00:00" if "+" not in fraction else "+" + fraction.partition("+")[2]
        at = datetime.fromisoformat(head + zone).timestamp() + float("0." + (fraction.partition("+")[0] or "0"))
    except ValueError:
        return None
    return max(0.0, now - at)


def _seconds(value: Any, default: float) -> float:
    return value / _SECOND if isinstance(value, int) and value > 0 else default


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _word(value: Any) -> str:
    return clean(value, 300) if isinstance(value, str) else ""


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
