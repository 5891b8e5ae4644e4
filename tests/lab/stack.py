"""The stack: a project directory on this host and the containers that come of it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

from tests.lab.images import APP, GOOD_RELEASE, HERE, ensure_images
from tests.lab.shell import LabError, lab_root, run, wait_until

SERVICES = ("edge", "app", "worker", "postgres", "redis")
APP_UID = 10001
WEBHOOK = json.dumps({"from": "+5511900000000", "text": "lab probe"})
EXPIRED = 10  # X509_V_ERR_CERT_HAS_EXPIRED


@dataclass(frozen=True)
class Ports:
    """The ports on 127.0.0.1."""

    edge: int = 18080
    tls: int = 18443
    app: int = 18000
    postgres: int = 15432
    redis: int = 16379

    def shifted(self, offset: int) -> Ports:
        return Ports(**{field.name: getattr(self, field.name) + offset for field in fields(self)})


@dataclass(frozen=True)
class Container:
    """What `docker inspect` says of one container, as far as the lab looks."""

    name: str
    service: str
    status: str
    health: str
    exit_code: int
    oom_killed: bool
    restarts: int
    image: str
    started_at: str
    restart_policy: str
    networks: tuple[str, ...]

    @property
    def well(self) -> bool:
        return self.status == "running" and self.health in ("healthy", "none")

    def __str__(self) -> str:
        words = [self.status]
        if self.status == "exited":
            words.append(f"({self.exit_code}{', OOM' if self.oom_killed else ''})")
        if self.health != "none":
            words.append(self.health)
        if self.restarts:
            words.append(f"restarts={self.restarts}")
        return " ".join(words)


class Stack:
    """One Compose project of the lab."""

    def __init__(
        self,
        project: str = "shop",
        ports: Ports | None = None,
        *,
        host: str | None = None,
        traffic: float = 3.0,
    ) -> None:
        self.project = project
        self.ports = ports or Ports()
        self.host = host
        self.traffic = traffic
        self.directory = lab_root() / project

    # Commands

    @cached_property
    def _env(self) -> dict[str, str]:
        return {"DOCKER_HOST": self.host} if self.host else {}

    def docker(self, *arguments: str, timeout: float = 60, check: bool = True) -> subprocess.CompletedProcess[str]:
        return run(["docker", *arguments], timeout=timeout, check=check, env=self._env)

    def compose(self, *arguments: str, timeout: float = 180, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = ["docker", "compose", "--progress", "quiet", *arguments]
        return run(command, timeout=timeout, check=check, cwd=self.directory, env=self._env)

    def container(self, service: str) -> str:
        return f"{self.project}-{service}-1"

    def network(self, name: str) -> str:
        return f"{self.project}_{name}"

    def volume(self, name: str) -> str:
        return f"{self.project}_{name}"

    def inside(self, service: str, *command: str, timeout: float = 20, user: str = "", check: bool = True) -> str:
        """Run a command in a service's container; what it printed."""
        options = ["--user", user] if user else []
        name = self.container(service)
        done = self.docker("exec", *options, name, *command, timeout=timeout, check=check)
        return done.stdout.strip()

    def detached(self, service: str, *command: str) -> None:
        self.docker("exec", "--detach", self.container(service), *command)

    def sql(self, statement: str) -> str:
        """As the superuser on the container's socket: works when clients are refused."""
        psql = ["psql", "--no-psqlrc", "-qtA", "-U", "postgres", "-d", "shop", "-c", statement]
        return self.inside("postgres", *psql, user="postgres")

    def redis(self, *command: str) -> str:
        return self.inside("redis", "redis-cli", *command)

    def control(self, service: str, switch: str, value: float = 0) -> None:
        """Turn one of the switches that the app and the worker keep for the lab."""
        url = f"http://127.0.0.1:9900/{switch}?value={value:g}"
        self.inside(service, "curl", "-fsS", "-m", "10", "-X", "POST", url)

    # Life

    def prepare(self) -> None:
        """The project directory, as the repository has it: undoes any drift."""
        self.directory.mkdir(parents=True, exist_ok=True)
        shutil.copy(HERE / "compose.yaml", self.directory / "compose.yaml")
        (self.directory / "compose.override.yaml").unlink(missing_ok=True)
        for part in ("edge", "postgres"):
            shutil.copytree(HERE / part, self.directory / part, dirs_exist_ok=True)
        logs = self.directory / "logs"
        logs.mkdir(exist_ok=True)
        if os.getuid() == 0:
            os.chown(logs, APP_UID, APP_UID)
        self.write_env()
        self._write_secret("database.dsn", f"{self.database_dsn}\n")

    def write_env(self, release: str = GOOD_RELEASE) -> None:
        values = {
            "COMPOSE_PROJECT_NAME": self.project,
            "APP_RELEASE": release,
            "SAFE_MODE": "0",
            "LAB_UID": str(os.getuid() or APP_UID),
            "LAB_EDGE_PORT": str(self.ports.edge),
            "LAB_TLS_PORT": str(self.ports.tls),
            "LAB_APP_PORT": str(self.ports.app),
            "LAB_POSTGRES_PORT": str(self.ports.postgres),
            "LAB_REDIS_PORT": str(self.ports.redis),
            "POSTGRES_PASSWORD": "correct-horse-7",
            "MONITOR_PASSWORD": "watch-only-3",
            "WHATSAPP_TOKEN": "EAAlab0000000000000000000000000",
            "OPENAI_API_KEY": "sk-lab-000000000000000000000000",
        }
        self._write_secret(".env", "".join(f"{key}={value}\n" for key, value in values.items()))

    def _write_secret(self, name: str, text: str) -> None:
        path = self.directory / name
        path.touch(mode=0o600)
        path.write_text(text)

    @property
    def database_dsn(self) -> str:
        """The monitoring role's; the password is of the lab and no secret."""
        return f"postgresql://monitor:watch-only-3@127.0.0.1:{self.ports.postgres}/shop"

    def up(self, deadline: float = 120) -> float:
        """From anything to healthy; seconds it took (images not counted)."""
        if not self.host:
            ensure_images()
        began = time.monotonic()
        self.prepare()
        self.compose("up", "--detach", "--remove-orphans", timeout=deadline)
        self.wait_well(deadline)
        # Anew, so that the rate is the one asked for.
        self.docker("rm", "--force", self.traffic_container, check=False)
        self._start_traffic()
        return time.monotonic() - began

    def down(self, *, keep_data: bool = False) -> None:
        self.docker("rm", "--force", self.traffic_container, check=False)
        if not self.directory.is_dir():
            return
        options = [] if keep_data else ["--volumes"]
        self.compose("down", "--remove-orphans", "--timeout", "3", *options)
        if not keep_data:
            shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def traffic_container(self) -> str:
        return f"{self.project}-traffic"

    def _start_traffic(self) -> None:
        """Customers stand outside the project: recovery must not restart them."""
        if self.traffic <= 0 or self.host:
            return
        running = self.docker("ps", "--quiet", "--filter", f"name=^{self.traffic_container}$")
        if running.stdout.strip():
            return
        self.docker("rm", "--force", self.traffic_container, check=False)
        options = ["--detach", "--init", "--network", "host", "--memory", "64m"]
        options += ["--restart", "unless-stopped", "--label", f"sevdeck.lab.project={self.project}"]
        options += ["--env", f"TARGET=http://127.0.0.1:{self.ports.edge}"]
        options += ["--env", f"RATE={self.traffic:g}", "--name", self.traffic_container]
        self.docker("run", *options, f"{APP}:{GOOD_RELEASE}", "python3", "-m", "shop.traffic")

    # Looking

    def containers(self) -> dict[str, Container]:
        """The project's containers by service."""
        mark = f"label=com.docker.compose.project={self.project}"
        listed = self.docker("ps", "--all", "--quiet", "--no-trunc", "--filter", mark)
        ids = listed.stdout.split()
        if not ids:
            return {}
        # A container that went away in between makes inspect fail for that one only.
        said = self.docker("inspect", *ids, check=False).stdout
        found = [_container(item) for item in json.loads(said or "[]")]
        return {item.service: item for item in found}

    def state(self, service: str) -> Container | None:
        return self.containers().get(service)

    def existing(self) -> bool:
        return bool(self.containers())

    def troubles(self) -> list[str]:
        """Everything that keeps the stack from being well, from the outside in."""
        found = self.containers()
        out = [f"{name}: absent" for name in SERVICES if name not in found]
        out += [f"{item.service}: {item}" for item in found.values() if not item.well]
        out += [
            f"{item.service}: restart policy {item.restart_policy}"
            for item in found.values()
            if item.restart_policy != "unless-stopped"
        ]
        if not out and not self.host:
            status = self.webhook()
            if status != "200":
                out.append(f"webhook through the edge: {status}")
        return out

    def wait_well(self, deadline: float = 60) -> float:
        left: list[str] = []

        def well() -> bool:
            left[:] = self.troubles()
            return not left

        try:
            return wait_until(well, "stack well", deadline=deadline)
        except LabError as error:
            raise LabError(f"{error}; {'; '.join(left)}") from error

    def http(self, path: str, *, port: int | None = None, body: str | None = None, timeout: float = 3) -> str:
        """The status code, or `timeout`, or `refused`."""
        url = f"http://127.0.0.1:{port or self.ports.edge}{path}"
        request = urllib.request.Request(url, data=body.encode() if body else None)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                answer.read()
                return str(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return str(error.code)
        except OSError as error:
            reason = getattr(error, "reason", error)
            return "timeout" if isinstance(reason, TimeoutError) else "refused"

    def webhook(self, timeout: float = 12) -> str:
        return self.http("/webhook", body=WEBHOOK, timeout=timeout)

    def direct(self, path: str = "/healthz", timeout: float = 2) -> str:
        return self.http(path, port=self.ports.app, timeout=timeout)

    def certificate_expired(self) -> bool:
        address = ("127.0.0.1", self.ports.tls)
        pem = ssl.get_server_certificate(address, timeout=3)
        context = ssl.create_default_context(cadata=pem)
        context.check_hostname = False
        try:
            with (
                socket.create_connection(address, timeout=3) as raw,
                context.wrap_socket(raw, server_hostname="shop.example"),
            ):
                return False
        except ssl.SSLCertVerificationError as error:
            return error.verify_code == EXPIRED

    # Parts that faults are made of

    def address(self, service: str, network: str) -> str:
        form = f'{{{{(index .NetworkSettings.Networks "{self.network(network)}").IPAddress}}}}'
        return self.docker("inspect", "--format", form, self.container(service)).stdout.strip()

    def disconnect(self, service: str, network: str) -> None:
        self.docker("network", "disconnect", self.network(network), self.container(service))

    def connect(self, service: str, network: str, *, alias: bool = True) -> None:
        """Without its alias a container is on the network but has no name there."""
        options = ["--alias", service] if alias else []
        name = self.container(service)
        self.docker("network", "connect", *options, self.network(network), name)

    def set_restart_policy(self, service: str, policy: str) -> None:
        self.docker("update", "--restart", policy, self.container(service))

    def reload_edge(self, upstream: str = "variable") -> None:
        """`literal` resolves once, at load; `maintenance` answers 503 to everybody."""
        texts = {
            "variable": (HERE / "edge" / "upstream.conf").read_text(),
            "literal": "proxy_pass http://app:8000;\n",
            "maintenance": "return 503;\n",
        }
        (self.directory / "edge" / "upstream.conf").write_text(texts[upstream])
        self.inside("edge", "nginx", "-s", "reload")

    def repair(self) -> None:
        """Undo by hand what Compose does not: pauses, restart policies, networks."""
        for item in self.containers().values():
            if item.status == "paused":
                self.docker("unpause", item.name)
            if item.restart_policy != "unless-stopped":
                self.docker("update", "--restart", "unless-stopped", item.name)

    def reset(self, mend: Callable[[], None]) -> float:
        """Back to well by the cheapest means that work; seconds it took."""
        began = time.monotonic()
        if not self.host:
            ensure_images()
        self.prepare()
        for step in (mend, self.repair):
            with contextlib.suppress(LabError):
                step()
        for options, deadline in (([], 30), (["--force-recreate"], 60)):
            with contextlib.suppress(LabError):
                self.compose("up", "--detach", "--remove-orphans", *options, timeout=deadline)
                self.wait_well(deadline)
                self._start_traffic()
                return time.monotonic() - began
        self.down()
        self.up()
        return time.monotonic() - began


def _container(item: dict[str, Any]) -> Container:
    state, host = item["State"], item["HostConfig"]
    return Container(
        name=item["Name"].lstrip("/"),
        service=item["Config"]["Labels"]["com.docker.compose.service"],
        status=state["Status"],
        health=state.get("Health", {}).get("Status", "none"),
        exit_code=state["ExitCode"],
        oom_killed=state["OOMKilled"],
        restarts=item["RestartCount"],
        image=item["Config"]["Image"],
        started_at=state["StartedAt"],
        restart_policy=host["RestartPolicy"]["Name"],
        networks=tuple(sorted(item["NetworkSettings"]["Networks"])),
    )
