"""One container in full, for its detail screen: what it is, its processes, its recent events, its last log lines.

Each part is read by itself, in a thread of its own, and fails by itself with its own reason: the logs of a
container are wanted most when the engine cannot tell its processes. All text is cleaned and redacted, and of the
environment only the names are told. Following the logs is the business of `console.watch.logs`.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, TypeVar

from console.errors import SourceError
from console.redact import redact
from console.text import clean, decode
from console.watch.container_records import ContainerDetail, DetailLine, EngineEvent
from console.watch.engine_api import Engine
from console.watch.inspected import container_from_inspect, moment
from console.watch.source import Lane

T = TypeVar("T")

_DEADLINE = 3.0  # seconds for each part
_LOG_LINES = 200
_HEALTH_RUNS = 3
_LINE = 2000  # characters
_COMPOSE = "com.docker.compose."
_PS = "-wweo pid,user,pcpu,rss,etime,args"  # busybox knows none of it: then the engine's own choice


class DetailReader:
    """Reads details of one container at a time. `events` gives what the engine reported."""

    def __init__(self, engine: Engine, events: Callable[[], tuple[EngineEvent, ...]]) -> None:
        self._engine = engine
        self._events = events
        self._lanes = tuple(Lane(f"container {part}") for part in ("summary", "processes", "logs"))

    async def read(self, container: str) -> ContainerDetail:
        """`container` is an id or a name. Raises nothing but cancellation."""
        summary, processes, logs = self._lanes
        (about, no_summary), (table, no_processes), (lines, no_logs) = await asyncio.gather(
            _part(summary.call(self._inspect, container, deadline=_DEADLINE)),
            _part(processes.call(self._top, container, deadline=_DEADLINE)),
            _part(logs.call(self._logs, container, deadline=_DEADLINE)),
        )
        id_, name = (str(about["Id"]), clean(str(about.get("Name", ""))).lstrip("/")) if about else (container, "")
        titles, rows = table or ((), ())
        asked = {container, id_}
        return ContainerDetail(
            id=id_,
            name=name or container,
            summary=tuple(summary_lines(about)) if about else (),
            summary_error=no_summary,
            process_titles=titles,
            processes=rows,
            processes_error=no_processes,
            events=tuple(event for event in self._events() if event.container in asked or event.name in asked),
            logs=lines or (),
            logs_error=no_logs,
        )

    def close(self) -> None:
        for lane in self._lanes:
            lane.close()

    def _inspect(self, container: str) -> dict[str, Any]:
        found = self._engine.get(f"/containers/{container}/json")
        if not isinstance(found, dict) or "Id" not in found:
            raise SourceError("the engine's answer is no container")
        return found

    def _top(self, container: str) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
        path = f"/containers/{container}/top"
        try:
            told = self._engine.get(path, ps_args=_PS)
        except SourceError as error:
            if getattr(error, "status", None) != 500:
                raise
            told = self._engine.get(path)
        rows = told.get("Processes") or ()
        return _row(told.get("Titles") or ()), tuple(_row(row) for row in rows)

    def _logs(self, container: str) -> tuple[DetailLine, ...]:
        client = self._engine.client(_DEADLINE)
        try:
            with self._engine.plain_words(_DEADLINE):
                # One call for each stream: docker-py mixes them into one without saying which is which.
                said = [
                    (stream, client.logs(container, stdout=stream == "stdout", stderr=stream == "stderr",
                                         timestamps=True, tail=_LOG_LINES))
                    for stream in ("stdout", "stderr")
                ]  # fmt: skip
        finally:
            client.close()
        lines = [line for stream, raw in said for line in log_lines(stream, raw)]
        lines.sort(key=lambda line: line.at or 0.0)
        return tuple(lines[-_LOG_LINES:])


def log_lines(stream: str, raw: bytes) -> Iterator[DetailLine]:
    """Lines of a log read with timestamps, oldest first."""
    for line in raw.splitlines()[-_LOG_LINES:] if raw else ():
        stamp, space, rest = line.partition(b" ")
        at = moment(stamp.decode("ascii", errors="replace"))
        told = rest if at is not None and space else b"" if at is not None else line
        yield DetailLine(at, stream, redact(decode(told[:_LINE])))


def summary_lines(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Keys and values to show of GET /containers/{id}/json, cleaned and redacted, without empty ones."""
    for key, value in _all_lines(data):
        text = clean(redact(value), _LINE)
        if text:
            yield key, text


def _all_lines(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    container = container_from_inspect(data)
    state, config, host = _dict(data, "State"), _dict(data, "Config"), _dict(data, "HostConfig")
    yield "id", container.id[:12]
    yield "image", container.image
    yield "image id", str(data.get("Image", "")).removeprefix("sha256:")[:12]
    yield "command", shlex.join(str(word) for word in (data.get("Path") or "", *(data.get("Args") or ())) if word)
    yield "user", str(config.get("User") or "")
    yield "state", container.status + (f", exit {container.exit_code}" if container.exit_code is not None else "")
    yield "killed for memory", "yes" if container.oom_killed else ""
    yield "error", str(state.get("Error") or "")
    yield "created", _time(container.created_at)
    yield "started", _time(container.started_at)
    yield "finished", _time(container.finished_at) if container.status not in ("running", "paused") else ""
    yield "restart policy", container.restart_policy
    yield "restarts", str(container.restarts)
    yield "stop timeout", f"{config['StopTimeout']} s" if config.get("StopTimeout") is not None else ""
    yield from _limits(container.cpu_limit, container.memory_limit, host)
    for mount in data.get("Mounts") or ():
        yield "mount", _mount(mount)
    for name, network in sorted(_dict(_dict(data, "NetworkSettings"), "Networks").items()):
        yield "network", _network(name, network or {}, container.id)
    for port in container.ports:
        yield "port", port
    for setting in config.get("Env") or ():
        yield "env", str(setting).partition("=")[0] + "=***"
    yield from _health(_dict(config, "Healthcheck"), _dict(state, "Health"))
    for label, value in sorted(_dict(config, "Labels").items()):
        if label.startswith(_COMPOSE):
            yield "compose " + label.removeprefix(_COMPOSE), str(value)


def _limits(cpu: float | None, memory: int | None, host: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "cpu limit", "none" if cpu is None else f"{cpu:g} core" + ("s" if cpu != 1 else "")
    yield "memory limit", "none" if memory is None else f"{memory / 1048576:g} MiB"
    pids = host.get("PidsLimit")
    yield "process limit", str(pids) if isinstance(pids, int) and pids > 0 else ""
    yield "privileged", "yes" if host.get("Privileged") else ""


def _mount(mount: Mapping[str, Any]) -> str:
    source = mount.get("Name") or mount.get("Source") or ""
    return f"{mount.get('Type', '')} {source} -> {mount.get('Destination', '')}" + (
        "" if mount.get("RW", True) else " (read only)"
    )


def _network(name: str, network: Mapping[str, Any], container: str) -> str:
    aliases = [alias for alias in network.get("Aliases") or () if alias != container[:12]]
    known_as = f" as {', '.join(aliases)}" if aliases else ""
    return f"{name} {network.get('IPAddress') or 'no address'}{known_as}"


def _health(check: Mapping[str, Any], health: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    test = check.get("Test") or ()
    if not test or test[0] == "NONE":
        return
    interval, timeout, retries = check.get("Interval") or 30e9, check.get("Timeout") or 30e9, check.get("Retries") or 3
    words = shlex.join(str(word) for word in test[1:]) if test[0] == "CMD" else " ".join(str(w) for w in test[1:])
    yield "health check", f"{words} (every {interval / 1e9:g} s, {timeout / 1e9:g} s to answer, {retries} tries)"
    if health:
        yield "health", f"{health.get('Status', '')}, {health.get('FailingStreak', 0)} failed in a row"
    for run in (health.get("Log") or ())[-_HEALTH_RUNS:]:
        said = " ".join(str(run.get("Output") or "").split())
        yield "health output", f"{_time(moment(run.get('Start')))} exit {run.get('ExitCode')}: {said}"


def _time(at: float | None) -> str:
    return "" if at is None else datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")


def _row(words: Any) -> tuple[str, ...]:
    return tuple(clean(redact(str(word)), _LINE) for word in words)


async def _part(reading: Awaitable[T]) -> tuple[T | None, str]:
    """A part and "", or None and why there is none."""
    try:
        return await reading, ""
    except SourceError as error:
        return None, str(error)
    except Exception as error:  # an answer no version of the engine should give; the other parts are still wanted
        return None, clean(redact(f"unexpected {type(error).__name__}: {error}"), 200)


def _dict(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = data.get(key)
    return found if isinstance(found, dict) else {}
