"""The Docker engine as a driver for recovery: calls with deadlines, and what each way of failing means.

Connections, the pinned API version and error texts are `console.watch.engine_api`'s. This file knows which
calls change something, that silence after such a call is no failure, and how to run a command in a container
without leaving it behind. It decides nothing.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

from console.config import DockerConfig
from console.errors import SevdeckError, SourceError
from console.programs import compose
from console.programs.blueprint import ComposeProject
from console.programs.docker import run_docker, run_docker_to_its_end
from console.programs.running import Ran
from console.redact import redact
from console.text import clean, clean_block
from console.watch.engine_api import Engine, EngineError, EngineSilentError
from console.watch.source import Lane

T = TypeVar("T")

PING_DEADLINE = 2.0  # seconds; a well engine answers in 0.6 ms, p99 4.4
SLACK = 15.0  # seconds of HTTP patience beyond what the call itself may take
_LOOK = 2.5
_LANES = 6  # looks at once; so many may hang before we say so
_PORTRAIT = 5.0  # seconds for one part of a portrait: the list of changed files can be long


class EngineRefusedError(SevdeckError):
    """The engine answered, and the answer was no: nothing is in doubt."""


class InDoubtError(SevdeckError):
    """A change was asked for and the answer never came: look, never repeat blindly.

    `at_work` False: the connection broke, so the engine died and nothing of ours is still being done.
    """

    exit_code = 4

    def __init__(self, message: str, *, remedy: str = "", at_work: bool = True) -> None:
        super().__init__(message, remedy=remedy)
        self.at_work = at_work


class EngineDriver(Protocol):
    """What recovery needs of an engine. Looks raise SourceError; changes raise EngineRefusedError, InDoubtError."""

    async def ping(self) -> None: ...

    async def inspect(self, container: str) -> dict[str, Any]: ...

    async def project(self, name: str) -> list[dict[str, Any]]: ...

    async def listing(self) -> list[dict[str, Any]]: ...

    async def events(self, project: str, since: float, until: float) -> list[dict[str, Any]]: ...

    async def data_root(self) -> str: ...

    async def logs(self, container: str, tail: int, since: float = 0.0) -> str: ...

    async def images(self) -> list[dict[str, Any]]: ...

    async def volumes(self) -> frozenset[str]: ...

    async def volume(self, name: str) -> dict[str, Any]: ...

    async def tag(self, image: str, name: str, tag: str) -> None: ...

    async def compose(self, project: ComposeProject, words: Sequence[str], seconds: float) -> Ran: ...

    async def restart(self, container: str, t: int) -> None: ...

    async def stop(self, container: str, t: int) -> None: ...

    async def start(self, container: str) -> None: ...

    async def unpause(self, container: str) -> None: ...

    async def execute(
        self,
        container: str,
        argv: Sequence[str],
        seconds: float,
        *,
        stdin: int | None = None,
        stdout: int | None = None,
    ) -> Ran: ...

    async def once(
        self,
        image: str,
        argv: Sequence[str],
        seconds: float,
        options: Sequence[str] = (),
        *,
        stdin: int | None = None,
    ) -> Ran: ...

    async def create_container(self, words: Sequence[str]) -> Ran: ...

    async def remove_container(self, container: str) -> None: ...

    def close(self) -> None: ...

    # what containment needs besides

    async def disconnect(self, container: str, network: str) -> None: ...

    async def connect(self, container: str, network: str, endpoint: Mapping[str, Any]) -> None: ...

    async def pause(self, container: str) -> None: ...

    async def update_restart(self, container: str, policy: str, retries: int) -> None: ...

    async def put_archive(self, container: str, directory: str, tar: bytes) -> None: ...

    async def portrait(self, container: str, tail: int) -> dict[str, Any]: ...


class DockerDriver:
    """The real engine. Looks and changes have threads of their own, so that a hung change can be looked at."""

    def __init__(self, docker: DockerConfig, *, keep_fds: Sequence[int] = ()) -> None:
        self._engine = Engine(docker)
        self._lanes: list[Lane] = []
        self._turns = asyncio.Semaphore(_LANES)
        self._change_lane = Lane("engine-change")
        self._keep_fds = tuple(keep_fds)
        self._host = docker.host

    async def ping(self) -> None:
        await self._look(lambda: self._engine.ping(PING_DEADLINE), PING_DEADLINE)

    async def inspect(self, container: str) -> dict[str, Any]:
        return dict(await self._look(lambda: self._engine.get(f"/containers/{container}/json", _LOOK)))

    async def project(self, name: str) -> list[dict[str, Any]]:
        """Inspect data of every container of a Compose project, stopped ones included, by name."""
        return await self._look(lambda: self._project(name))

    def _project(self, name: str) -> list[dict[str, Any]]:
        filters = json.dumps({"label": [f"com.docker.compose.project={name}"]})
        found = self._engine.get("/containers/json", _LOOK, all=1, filters=filters)
        details = []
        for entry in found:
            try:
                details.append(dict(self._engine.get(f"/containers/{entry['Id']}/json", _LOOK)))
            except EngineError as error:
                if error.status != 404:  # removed between the two calls: no longer there
                    raise
        return sorted(details, key=lambda d: str(d.get("Name", "")))

    async def listing(self) -> list[dict[str, Any]]:
        """Every container of the engine, briefly."""
        return list(await self._look(lambda: self._engine.get("/containers/json", _LOOK, all=1)))

    async def events(self, project: str, since: float, until: float) -> list[dict[str, Any]]:
        """What the engine still remembers (its last 256 events: often less than a minute)."""
        filters = json.dumps({"type": ["container"], "label": [f"com.docker.compose.project={project}"]})
        return await self._look(lambda: self._events(since, until, filters))

    def _events(self, since: float, until: float, filters: str) -> list[dict[str, Any]]:
        with self._engine.plain_words():
            client = self._engine.client(_LOOK)
            try:
                wanted = json.loads(filters)
                # To the fraction: the engine keeps the answer open until a time that has not come yet.
                window: Any = {"since": f"{since:.6f}", "until": f"{until:.6f}"}
                return list(client.events(**window, filters=wanted, decode=True))
            finally:
                client.close()

    async def data_root(self) -> str:
        """The engine's own directory on this host; "" where it is another host's."""
        if not self._engine.local:
            return ""
        return str((await self._look(lambda: self._engine.get("/info", _LOOK))).get("DockerRootDir", ""))

    async def logs(self, container: str, tail: int, since: float = 0.0) -> str:
        """The last lines, cleaned and with secrets masked."""
        raw = await self._look(lambda: self._logs(container, tail, since))
        return redact(clean_block(raw.decode("utf-8", errors="replace")))

    def _logs(self, container: str, tail: int, since: float) -> bytes:
        with self._engine.plain_words():
            client = self._engine.client(_LOOK)
            try:
                return bytes(client.logs(container, stream=False, tail=tail, since=int(since) or None, timestamps=True))
            finally:
                client.close()

    async def images(self) -> list[dict[str, Any]]:
        """Every image of the engine, briefly: Id, RepoTags, RepoDigests."""
        return list(await self._look(lambda: self._engine.get("/images/json", _LOOK)))

    async def volumes(self) -> frozenset[str]:
        """Names of the engine's volumes."""
        found = await self._look(lambda: self._engine.get("/volumes", _LOOK))
        return frozenset(str(volume.get("Name")) for volume in found.get("Volumes") or ())

    async def volume(self, name: str) -> dict[str, Any]:
        """One volume: Driver, Options, Mountpoint."""
        return dict(await self._look(lambda: self._engine.get(f"/volumes/{name}", _LOOK)))

    async def tag(self, image: str, name: str, tag: str) -> None:
        await self._change(lambda client: client.tag(image, name, tag), SLACK)

    async def compose(self, project: ComposeProject, words: Sequence[str], seconds: float) -> Ran:
        """`docker compose` of the project with these words; killed with all it started after `seconds`.

        It inherits the lock: should we die, nobody else begins before it has ended.
        """
        return await run_docker_to_its_end(
            compose.words(project, *words),
            deadline=seconds,
            host=self._host,
            cwd=project.directory or None,
            keep_fds=self._keep_fds,
        )

    async def restart(self, container: str, t: int) -> None:
        """`t` always: docker-py's default of 10 overrides the container's own StopTimeout."""
        await self._change(lambda client: client.restart(container, timeout=t), t + SLACK)

    async def stop(self, container: str, t: int) -> None:
        await self._change(lambda client: client.stop(container, timeout=t), t + SLACK)

    async def start(self, container: str) -> None:
        await self._change(lambda client: client.start(container), SLACK)

    async def unpause(self, container: str) -> None:
        await self._change(lambda client: client.unpause(container), SLACK)

    async def execute(
        self,
        container: str,
        argv: Sequence[str],
        seconds: float,
        *,
        stdin: int | None = None,
        stdout: int | None = None,
    ) -> Ran:
        """Run `argv` in the container and let nothing of it outlive `seconds`. `stdin`, `stdout`: open files.

        By the docker program: docker-py's exec ignores its timeout. `timeout` inside: ending `docker exec` leaves
        the command running in the container. `seconds` is whole: busybox knows no fractions.
        """
        inside = ["timeout", "-k", "1", str(max(1, round(seconds)))]
        words = ["exec", *([] if stdin is None else ["--interactive"]), container, *inside, *argv]
        return await run_docker(
            words, deadline=seconds + 3, host=self._host, keep_fds=self._keep_fds, stdin=stdin, stdout=stdout
        )

    async def once(
        self,
        image: str,
        argv: Sequence[str],
        seconds: float,
        options: Sequence[str] = (),
        *,
        stdin: int | None = None,
    ) -> Ran:
        """Run `argv` in a container of its own that goes when it ends, without a network, and never longer."""
        inside = ["timeout", "-k", "1", str(max(1, round(seconds))), *argv]
        words = ["run", "--rm", "--network", "none", "--pull", "never", *options, "--entrypoint", inside[0]]
        words += [*([] if stdin is None else ["--interactive"]), image, *inside[1:]]
        return await run_docker(words, deadline=seconds + 10, host=self._host, keep_fds=self._keep_fds, stdin=stdin)

    async def create_container(self, words: Sequence[str]) -> Ran:
        """`docker create WORDS`; nothing is pulled."""
        return await run_docker(["create", "--pull", "never", *words], deadline=SLACK, host=self._host)

    async def remove_container(self, container: str) -> None:
        """A container that sevdeck made itself, running or not. Its volumes stay."""
        await self._change(lambda client: client.remove_container(container, force=True), SLACK)

    def close(self) -> None:
        for lane in (*self._lanes, self._change_lane):
            lane.close()
        self._engine.close()

    async def _look(self, fn: Callable[[], T], deadline: float = _LOOK) -> T:
        """Some looks at a time, the others wait for their turn; a look that hangs keeps its thread for ever."""
        async with self._turns:
            free = next((lane for lane in self._lanes if lane.stuck_for is None), None)
            if free is None:
                if len(self._lanes) >= _LANES:
                    raise SourceError("the Docker engine does not answer (earlier questions still wait)")
                free = Lane(f"engine-look-{len(self._lanes)}")
                self._lanes.append(free)
            return await free.call(fn, deadline=deadline + 0.5)

    async def _change(self, fn: Callable[[Any], None], patience: float) -> None:
        """One call that changes something. Only an answer of the engine itself is a plain no."""

        def call() -> None:
            client = self._engine.client(patience)
            try:
                with self._engine.plain_words(patience):
                    fn(client)
            finally:
                client.close()

        try:
            await self._change_lane.call(call, deadline=patience + 2)
        except EngineError as error:
            if error.status is not None:
                raise EngineRefusedError(clean(error.message, 400), remedy=error.remedy) from error
            silent = isinstance(error, EngineSilentError)
            raise InDoubtError(clean(error.message, 400), remedy=error.remedy, at_work=silent) from error
        except SourceError as error:
            raise InDoubtError(clean(error.message, 400), remedy=error.remedy) from error

    async def disconnect(self, container: str, network: str) -> None:
        await self._change(lambda client: client.disconnect_container_from_network(container, network), SLACK)

    async def connect(self, container: str, network: str, endpoint: Mapping[str, Any]) -> None:
        """`endpoint`: aliases, links ("name:alias"), ipam, driver_opts. Without aliases nobody finds it by name."""
        ipam = endpoint.get("ipam") or {}
        links = [tuple(str(one).split(":", 1)) for one in endpoint.get("links") or ()]
        await self._change(
            lambda client: client.connect_container_to_network(
                container,
                network,
                aliases=list(endpoint.get("aliases") or ()) or None,
                links=[(one[0], one[-1]) for one in links] or None,
                ipv4_address=ipam.get("IPv4Address"),
                ipv6_address=ipam.get("IPv6Address"),
                link_local_ips=ipam.get("LinkLocalIPs"),
                driver_opt=dict(endpoint.get("driver_opts") or {}) or None,
            ),
            SLACK,
        )

    async def pause(self, container: str) -> None:
        await self._change(lambda client: client.pause(container), SLACK)

    async def update_restart(self, container: str, policy: str, retries: int) -> None:
        """Compose does not undo it: its hash of a service knows nothing of `docker update`."""
        wanted: dict[str, Any] = {"Name": policy}
        if policy == "on-failure" and retries:
            wanted["MaximumRetryCount"] = retries
        await self._change(lambda client: client.update_container(container, restart_policy=wanted), SLACK)

    async def put_archive(self, container: str, directory: str, tar: bytes) -> None:
        """Unpack `tar` in a directory of the container, running or not."""
        await self._change(lambda client: client.put_archive(container, directory, tar), SLACK)

    async def portrait(self, container: str, tail: int) -> dict[str, Any]:
        """Everything that is told of a container without changing it; a part that fails says why in its place."""
        parts: dict[str, Callable[[], Any]] = {
            "inspect": lambda: self._engine.get(f"/containers/{container}/json", _LOOK),
            "top": lambda: self._engine.get(f"/containers/{container}/top", _LOOK),
            "changed_files": lambda: self._engine.get(f"/containers/{container}/changes", _PORTRAIT),
            "logs": lambda: self._logs(container, tail, 0.0).decode("utf-8", errors="replace").splitlines(),
        }
        found: dict[str, Any] = {}
        for name, ask in parts.items():
            try:
                found[name] = await self._look(ask, _PORTRAIT)
            except SourceError as error:
                found[name] = {"error": error.message}
        names = (((found["inspect"] or {}).get("NetworkSettings") or {}).get("Networks") or {}).values()
        networks = [str(one.get("NetworkID") or "") for one in names if isinstance(one, dict)]
        for number, network in enumerate(n for n in networks if n):
            path = f"/networks/{network}"
            try:
                found[f"network_{number}"] = await self._look(partial(self._engine.get, path, _LOOK))
            except SourceError as error:
                found[f"network_{number}"] = {"error": error.message}
        return found
