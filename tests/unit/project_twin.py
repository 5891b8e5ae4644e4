"""A Compose project's twin for recovery tests: an engine driver in memory, or in a file that outlives a killed process."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from console.actions import inspecting
from console.actions.conduct import Pace
from console.actions.engine import EngineRefusedError, InDoubtError
from console.actions.facts import EngineState, Facts, ProbeFacts
from console.actions.roles import place
from console.config import Config, DockerConfig, ProbeConfig, RecoveryConfig, RolesConfig
from console.errors import SourceError
from console.programs import compose
from console.programs.blueprint import Blueprint, ComposeProject, Wanted
from console.programs.running import Ran
from console.watch.engine_api import NoSuchContainerError
from console.watch.probes import ProbeResult

PROJECT = "shop"
DEPENDS = {"edge": ("app",), "app": ("postgres", "redis"), "postgres": (), "redis": ()}
PORTS = {"edge": 8080, "app": 8000}

# A run in tests takes milliseconds where people wait seconds.
QUICK = Pace(
    gate=0.002,
    ping=0.02,
    quiet=0.02,
    tolerance=0.2,
    settle=0.0,
    patience=0.3,
    long_patience=0.4,
    validate=0.005,
    validation=0.1,
    observe=0.01,
)


def config(observation: float = 0.02, **changes: Any) -> Config:
    """Settings of the twin: one probe through the edge, one of what users do, one past the edge."""
    return replace(
        Config(
            docker=DockerConfig(project=PROJECT),
            roles=RolesConfig(("edge",), ("app",), ("postgres",), ("redis",)),
            probes=(
                ProbeConfig("webhook", "http", "http://127.0.0.1:8080/webhook", business=True),
                ProbeConfig("edge", "http", "http://127.0.0.1:8080/readyz"),
                ProbeConfig("app direct", "http", "http://127.0.0.1:8000/healthz"),
            ),
            recovery=RecoveryConfig(observation=observation),
        ),
        **changes,
    )


class ProjectTwin:
    """Four services of a shop. `calls` are the changes asked for, in order; `faults` say how the next one goes wrong.

    faults: "restart:app" -> "lost" (done, the answer never came), "half" (stopped, never started; the connection
    broke), "ignored" (no answer, nothing done), "refused" (the engine says no).
    """

    def __init__(self, file: Path | None = None) -> None:
        self.file = file
        self.faults: dict[str, str] = {}
        self.frozen = False
        self.sick: set[str] = set()  # services that never become healthy
        self.hung: set[str] = set()  # services that run and do not answer; a start mends them
        self.webhook_broken = False
        self.compose_file = (file or Path("/nowhere/x")).with_name("compose.yaml")
        if file is not None:
            self.compose_file.touch()
        self.closed = False
        self._state: dict[str, Any] = {
            "tick": 0,
            "calls": [],
            "events": [],
            "containers": {s: {"status": "running", "health": "healthy", "started": 0, "restarts": 0} for s in DEPENDS},
        }
        if file is not None and file.exists():
            self._state = json.loads(file.read_text(encoding="utf-8"))
        self._save()

    # what tests see and set

    @property
    def calls(self) -> list[str]:
        return list(self._state["calls"])

    def state(self, service: str) -> str:
        return str(self._state["containers"][service]["status"])

    def set(self, service: str, **values: Any) -> None:
        self._state["containers"][service].update(values)
        self._save()

    def remove(self, service: str) -> None:
        del self._state["containers"][service]
        self._save()

    def facts(self, **changes: Any) -> Facts:
        """Facts as `gather` would give them."""
        now = time.time()
        containers = tuple(inspecting.container(d, now) for d in self._all())
        probes = tuple(
            ProbeFacts(p.name, self._answers(p), "200" if self._answers(p) else "502", 0.01, p.business, *where)
            for p in config().probes
            for where in [place(p, containers, config())]
        )
        depends = dict(DEPENDS)
        facts = Facts(
            now,
            PROJECT,
            EngineState(),
            containers,
            compose.start_order(depends),
            depends,
            "labels",
            probes=probes,
            missing=tuple(s for s in DEPENDS if s not in self._state["containers"]),
            blueprint=self.blueprint(),
        )
        return replace(facts, **changes)

    def blueprint(self) -> Blueprint:
        """Files that would build the four services just as they are."""
        services = tuple(
            Wanted(s, f"{s}:1", "h1", volumes=(f"shop_{s}data",) if s == "postgres" else (), depends=DEPENDS[s])
            for s in DEPENDS
        )
        return Blueprint(
            ComposeProject(PROJECT, (str(self.compose_file),), str(self.compose_file.parent)),
            services,
            images={w.image: "sha256:1" for w in services},
        )

    async def run_probe(self, probe: ProbeConfig) -> ProbeResult:
        ok = self._answers(probe)
        now = time.time()
        return ProbeResult(
            probe.name, probe.kind, probe.target, ok, "200" if ok else "502", 0.01, now, now, probe.business
        )

    def _answers(self, probe: ProbeConfig) -> bool:
        def serves(service: str) -> bool:
            found = self._state["containers"].get(service, {})
            return found.get("status") == "running" and service not in self.hung | self.sick

        if probe.business and self.webhook_broken:
            return False
        return serves("app") and (probe.name == "app direct" or serves("edge"))

    # the driver

    async def ping(self) -> None:
        self._look()

    async def inspect(self, container: str) -> dict[str, Any]:
        self._look()
        return self._inspect(container)

    async def project(self, name: str) -> list[dict[str, Any]]:
        self._look()
        return self._all()

    async def listing(self) -> list[dict[str, Any]]:
        self._look()
        labels = {"com.docker.compose.project": PROJECT}
        return [{"Id": s, "Names": [f"/{s}"], "Labels": labels} for s in self._state["containers"]]

    async def events(self, project: str, since: float, until: float) -> list[dict[str, Any]]:
        """What the twin did and what strangers did, as the engine tells it."""
        return [e for e in self._state["events"] if since - 1 <= e["timeNano"] / 1e9 <= until + 1]

    def happened(self, action: str, service: str) -> None:
        """The engine tells of it, whoever asked."""
        about = {"name": f"{PROJECT}-{service}-1", "com.docker.compose.service": service}
        event = {"Action": action, "timeNano": time.time_ns(), "Actor": {"ID": service, "Attributes": about}}
        self._state["events"].append(event)

    async def data_root(self) -> str:
        return ""

    async def logs(self, container: str, tail: int, since: float = 0.0) -> str:
        self._look()
        return f"2026-01-01T10:00:00Z {container} started\n2026-01-01T10:00:01Z password=hunter2 accepted"

    async def images(self) -> list[dict[str, Any]]:
        self._look()
        return [{"Id": "sha256:1", "RepoTags": [f"{s}:1" for s in DEPENDS]}]

    async def volumes(self) -> frozenset[str]:
        self._look()
        return frozenset({"shop_postgresdata"})

    async def volume(self, name: str) -> dict[str, Any]:
        self._look()
        return {"Name": name, "Driver": "local", "Options": None}

    async def tag(self, image: str, name: str, tag: str) -> None:
        self._look()

    async def compose(self, project: ComposeProject, words: Sequence[str], seconds: float) -> Ran:
        """`down`, `up` and `up --no-start` ("create") as Compose does them; faults "down" and "up:SERVICE" as for the
        other changes."""
        command = "create" if "--no-start" in words else words[0]
        services = [w for w in words if w in DEPENDS]
        key = ":".join([command, *services[-1:]])
        fault = self.faults.get(key, "")
        if fault != "refused":  # Compose is asked three times
            self.faults.pop(key, "")
        if self.frozen or fault in ("ignored", "frozen"):
            self.frozen = self.frozen or fault == "frozen"
            return Ran(None, b"", "docker gave no answer")
        if fault == "refused":
            return Ran(1, b"", "Error response from daemon: port is already allocated")
        self._note(" ".join([command, *services]))
        if command == "down":
            for service in list(self._state["containers"]):
                if not (fault == "half" and service == "postgres"):
                    self.remove(service)
        else:
            for service in services:
                made = {"status": "created", "restarts": 0, "health": "", "started": 0}
                self._state["containers"].setdefault(service, made)
                if command == "up" and self.state(service) == "created":
                    self._do("start new", service)
        return Ran(None, b"", "docker gave no answer") if fault in ("lost", "half") else Ran(0, b"", "")

    async def restart(self, container: str, t: int) -> None:
        self._change("restart", container)

    async def stop(self, container: str, t: int) -> None:
        self._change("stop", container)

    async def start(self, container: str) -> None:
        self._change("start", container)

    async def unpause(self, container: str) -> None:
        self._change("unpause", container)

    async def create_container(self, words: Sequence[str]) -> Ran:
        raise NotImplementedError  # the twin's edge publishes no port, so that nobody stands in for it

    async def remove_container(self, container: str) -> None:
        raise NotImplementedError

    async def once(
        self,
        image: str,
        argv: Sequence[str],
        seconds: float,
        options: Sequence[str] = (),
        *,
        stdin: int | None = None,
    ) -> Ran:
        self._look()
        return Ran(0, b"", "")

    async def execute(
        self,
        container: str,
        argv: Sequence[str],
        seconds: float,
        *,
        stdin: int | None = None,
        stdout: int | None = None,
    ) -> Ran:
        self._look()
        self._note(f"exec {container} {argv[0]}")
        return Ran(0, b"", "")

    def close(self) -> None:
        self.closed = True

    # inside

    def _look(self) -> None:
        if self.frozen:
            raise SourceError("no answer in 2 s")

    def _change(self, verb: str, container: str, *more: Any) -> None:
        fault = self.faults.pop(f"{verb}:{container}", "")
        if fault == "frozen":
            self.frozen = True
        if self.frozen or fault == "ignored":
            raise InDoubtError("no answer in 25 s")
        if fault == "refused":
            raise EngineRefusedError("port is already allocated")
        self._note(" ".join([verb, container, *(str(one) for one in more if isinstance(one, str))]))
        self.happened(verb, container)
        if fault == "half":
            self.set(container, status="exited")
            raise InDoubtError("the engine hung up in the middle of an answer", at_work=False)
        self._do(verb, container, *more)
        if fault == "lost":
            raise InDoubtError("no answer in 25 s")

    def _do(self, verb: str, container: str, *more: Any) -> None:
        if verb == "stop":
            self.set(container, status="exited", health="")
            return
        if verb in ("connect", "disconnect", "pause", "update", "put"):
            self._contain(verb, container, *more)
            return
        if verb == "unpause" or (verb == "start" and self.state(container) == "running"):
            self.set(container, status="running")
            return
        self._state["tick"] += 1
        self.hung.discard(container)
        health = "unhealthy" if container in self.sick else "healthy"
        self.set(container, status="running", health=health, started=self._state["tick"])

    def _contain(self, verb: str, container: str, *more: Any) -> None:
        """Networks are known by their id, which the twin makes of the name: `id-front`."""
        networks = dict(self._state["containers"][container].get("networks", {"front": {}}))
        if verb == "pause":
            self.set(container, status="paused")
        elif verb == "update":
            self.set(container, policy=more[0])
        elif verb == "disconnect":
            del networks[str(more[0]).removeprefix("id-")]
            self.set(container, networks=networks)
        elif verb == "connect":
            name = str(more[0]).removeprefix("id-")
            settings: dict[str, Any] = {"NetworkID": f"id-{name}", "Aliases": [*more[1]["aliases"], container[:12]]}
            settings["IPAMConfig"] = more[1]["ipam"] or None
            settings["Links"] = more[1]["links"] or None
            self.set(container, networks={**networks, name: settings})

    def _note(self, call: str) -> None:
        self._state["calls"].append(call)
        self._save()

    def _save(self) -> None:
        if self.file is not None:
            self.file.write_text(json.dumps(self._state), encoding="utf-8")

    def _all(self) -> list[dict[str, Any]]:
        return [self._inspect(s) for s in self._state["containers"]]

    def _inspect(self, service: str) -> dict[str, Any]:
        found = self._state["containers"].get(service)
        if found is None:
            raise NoSuchContainerError(f"No such container: {service}", status=404)
        health = {"Status": found["health"], "Log": []} if found["health"] else None
        return {
            "Id": service,
            "Name": f"/{PROJECT}-{service}-1",
            "Image": found.get("image", "sha256:1"),
            "RestartCount": found["restarts"],
            "State": {
                "Status": found["status"],
                "StartedAt": f"2026-01-01T10:00:{found['started']:02}.5Z",
                "ExitCode": found.get("exit_code", 0),
                "OOMKilled": found.get("oom", False),
                **({"Health": health} if health else {}),
            },
            "Config": {
                "Image": f"{service}:1",
                "StopTimeout": found.get("stop_timeout"),
                "Labels": {
                    "com.docker.compose.project": PROJECT,
                    "com.docker.compose.service": service,
                    "com.docker.compose.config-hash": found.get("hash", "h1"),
                },
                "Healthcheck": {"Test": ["CMD", "true"], "Interval": 2 * 10**7, "Timeout": 10**7, "Retries": 1},
                "Env": ["DATABASE_PASSWORD=hunter2"],
            },
            "HostConfig": {
                "RestartPolicy": {"Name": found.get("policy", "unless-stopped")},
                "PortBindings": {"80/tcp": [{"HostPort": str(PORTS[service])}]} if service in PORTS else {},
            },
            "NetworkSettings": {"Networks": found.get("networks", {"front": {}})},
            "Mounts": [],
        }

    # what containment asks for besides

    async def disconnect(self, container: str, network: str) -> None:
        self._change("disconnect", container, network)

    async def connect(self, container: str, network: str, endpoint: Mapping[str, Any]) -> None:
        self._change("connect", container, network, dict(endpoint))

    async def pause(self, container: str) -> None:
        self._change("pause", container)

    async def update_restart(self, container: str, policy: str, retries: int) -> None:
        self._change("update", container, policy)

    async def put_archive(self, container: str, directory: str, tar: bytes) -> None:
        self._change("put", container, directory)

    async def portrait(self, container: str, tail: int) -> dict[str, Any]:
        self._look()
        return {"inspect": self._inspect(container), "logs": ["password=hunter2 accepted"], "top": {"Processes": []}}
