"""A first look at a host: roles, endpoints that really answer, logs; and a file that the reader of settings accepts."""

from __future__ import annotations

import asyncio
import doctest
import re
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from console.config import Config, DockerConfig, ProbeConfig, read
from console.errors import SourceError
from console.watch import discover as module
from console.watch.discover import (
    Discovery,
    FoundProbe,
    Project,
    Service,
    discover,
    guess_roles,
    projects_of,
    try_probes,
)
from console.watch.starter import toml


def container(
    service: str,
    image: str,
    *,
    project: str = "shop",
    ports: tuple[tuple[str, int | None, int], ...] = (),
    binds: tuple[str, ...] = (),
    depends: str = "",
    state: str = "running",
    oneoff: str = "False",
) -> dict[str, Any]:
    """What the engine lists for one container. Ports: (address, published or None, inside)."""
    return {
        "Id": f"id-{project}-{service}",
        "Image": image,
        "Command": "run",
        "State": state,
        "Ports": [
            {"IP": ip, "PrivatePort": inside, "Type": "tcp", **({"PublicPort": public} if public else {})}
            for ip, public, inside in ports
        ],
        "Mounts": [{"Type": "bind", "Source": source} for source in binds],
        "Labels": {
            "com.docker.compose.project": project,
            "com.docker.compose.service": service,
            "com.docker.compose.oneoff": oneoff,
            "com.docker.compose.depends_on": depends,
            "com.docker.compose.project.config_files": f"/srv/{project}/compose.yaml",
            "com.docker.compose.project.working_dir": f"/srv/{project}",
        },
    }


def shop(logs: str = "/nowhere") -> list[dict[str, Any]]:
    return [
        container(
            "web", "nginx:1.27", ports=(("0.0.0.0", 80, 80), ("::", 80, 80)), depends="api:service_healthy:false"
        ),
        container("api", "acme/api:3", ports=(("127.0.0.1", 8000, 8000),), binds=(logs,), depends="db:x,kv:x"),
        container("worker", "acme/api:3", depends="db:x"),
        container("db", "postgres:16", ports=(("", None, 5432),)),
        container("kv", "acme/base", ports=(("127.0.0.1", 6380, 6379),)),
        container("migrate", "acme/api:3", oneoff="True", state="exited"),
    ]


class Engine:
    """Answers as an engine would, from a list of containers."""

    def __init__(self, listed: list[dict[str, Any]], env: tuple[str, ...] = ()) -> None:
        self.listed, self.env = listed, env

    def get(self, path: str, **query: Any) -> Any:
        return self.listed if path == "/containers/json" else {"Config": {"Env": list(self.env)}}


@dataclass
class Answer:
    ok: bool
    detail: str


def answering(*good: str) -> Any:
    async def attempt(probe: ProbeConfig) -> Answer:
        return Answer(True, "200 in 3 ms") if probe.target in good else Answer(False, "404")

    return attempt


def roles_of(found: Discovery) -> dict[str, list[str]]:
    return {role: [guess.what for guess in guesses] for role, guesses in found.roles}


async def test_projects_and_roles_are_guessed(tmp_path: Path) -> None:
    found = await discover(DockerConfig(), tmp_path, ask=Engine(shop()).get, attempt=answering())
    assert found.project is not None and found.project.name == "shop"
    assert [service.name for service in found.project.services] == ["api", "db", "kv", "web", "worker"]
    assert found.project.files == ("/srv/shop/compose.yaml",)
    assert roles_of(found) == {"edge": ["web"], "app": ["api"], "database": ["db"], "cache": ["kv"]}
    why = {guess.what: guess.why for _, guesses in found.roles for guess in guesses}
    assert why == {
        "web": "nginx with a published web port",
        "api": "the edge depends on it",
        "db": "its image says postgres",
        "kv": "listens on port 6379",
    }


def made(name: str, image: str = "acme/x", published: int = 0, inside: int = 0) -> Service:
    ports = (("127.0.0.1", published, inside),) if published else ()
    return Service(name, image, "", True, ports, (inside,) if inside else (), (), (), "")


@pytest.mark.parametrize(
    ("service", "role"),
    [
        (made("proxy", "traefik:v3", 443, 443), "edge"),
        (made("lb", "haproxytech/haproxy-alpine", 8080, 8080), "edge"),
        (made("docs", "nginx:1"), None),  # serves nobody outside
        (made("x", "ghcr.io/acme/postgis:16-3"), "database"),
        (made("mariadb", "bitnami/x"), "database"),
        (made("app-db", "acme/store"), "database"),
        (made("x", "valkey/valkey:8"), "cache"),
        (made("feedback", "acme/feedback", 9000, 9000), "app"),  # holds "db" inside a word
        (made("x", "acme/x", 13306, 3306), "database"),
        (made("worker", "acme/app"), None),
    ],
)
def test_roles(service: Service, role: str | None) -> None:
    found = {role for role, guesses in guess_roles([service]).items() if guesses}
    assert found == ({role} if role else set())


def test_the_project_whose_directory_we_stand_in_comes_first() -> None:
    listed = [*shop(), container("blog", "ghost", project="blog")]
    projects = projects_of(listed)
    assert [p.name for p in module._ranked(projects, Path("/srv/blog"))] == ["blog", "shop"]
    assert [p.name for p in module._ranked(projects, Path("/"))] == ["shop", "blog"]


async def test_hostile_names_are_made_visible(tmp_path: Path) -> None:
    engine = Engine([container("a\x1b]0;x\x07", "nginx", ports=(("", 80, 80),))])
    found = await discover(DockerConfig(), tmp_path, ask=engine.get, attempt=answering())
    assert toml(found).replace("\n", "").isprintable()
    assert read_back(found, tmp_path).roles.edge == ("a\\x1b]0;x\\x07",)


async def test_without_an_engine_it_says_so_and_goes_on(tmp_path: Path) -> None:
    def absent(path: str, **query: Any) -> Any:
        raise SourceError("Docker is not running here", remedy="Start it")

    found = await discover(DockerConfig(), tmp_path, ask=absent)
    assert (found.project, found.engine_fault) == (None, "Docker is not running here")
    text = toml(found)
    assert "# No container could be seen: Docker is not running here" in text
    assert read_back(found, tmp_path).probes == ()


async def test_an_engine_that_never_answers_costs_its_deadline(tmp_path: Path) -> None:
    release = threading.Event()
    began = time.monotonic()
    found = await discover(DockerConfig(), tmp_path, ask=lambda path, **query: release.wait(), deadline=0.1)
    assert found.engine_fault == "no answer in 0.1 s" and time.monotonic() - began < 2
    release.set()


# --- endpoints


def probe(target: str, kind: str = "http") -> ProbeConfig:
    return ProbeConfig("web", kind, target)


def web() -> list[ProbeConfig]:
    return [*(probe(f"http://h{path}") for path in module.HEALTH_PATHS), probe("h:80", "tcp")]


@pytest.mark.parametrize(
    ("answers", "chosen", "ok"),
    [
        (("http://h/ready", "http://h/"), "http://h/ready", True),
        (("http://h/healthz", "http://h/health"), "http://h/healthz", True),
        (("http://h/",), "http://h/", True),
        (("h:80",), "h:80", True),
        ((), "h:80", False),
        # A site that answers everything with its start page has no health endpoint.
        ((*(p.target for p in web()), f"http://h{module._NOWHERE}"), "http://h/", True),
    ],
)
async def test_the_first_endpoint_that_answers_is_taken(answers: tuple[str, ...], chosen: str, ok: bool) -> None:
    (found,) = await try_probes([web()], answering(*answers))
    assert (found.probe.target, found.answered) == (chosen, ok)
    assert found.probe.timeout == 3.0


async def test_endpoints_are_tried_at_once_and_a_silent_one_is_given_up() -> None:
    async def silent(probe: ProbeConfig) -> Answer:
        await asyncio.Event().wait()
        return Answer(True, "")

    began = time.monotonic()
    (found,) = await try_probes([web()], silent)
    assert not found.answered and found.detail == "no answer"
    assert time.monotonic() - began < 4


async def test_what_answers_becomes_a_probe_and_what_does_not_a_comment(tmp_path: Path) -> None:
    attempt = answering("http://127.0.0.1:80/healthz", "redis://127.0.0.1:6380/0")
    found = await discover(DockerConfig(), tmp_path, ask=Engine(shop()).get, attempt=attempt)
    config = read_back(found, tmp_path)
    assert [(p.name, p.kind, p.target) for p in config.probes] == [
        ("kv", "redis", "redis://127.0.0.1:6380/0"),
        ("web", "http", "http://127.0.0.1:80/healthz"),
    ]
    assert '# target = "127.0.0.1:8000"' in toml(found)
    assert config.service.url == "http://127.0.0.1:80/"


# --- the file


def read_back(found: Discovery, directory: Path) -> Config:
    """The settings as read from the file that was written for `found`; raises when it has a fault."""
    path = directory / "found.toml"
    path.write_text(toml(found), encoding="utf-8")
    return read(path)


async def test_the_file_is_accepted_and_every_guess_is_marked(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    (logs / "metrics").mkdir(parents=True)
    (logs / "app.log").write_text("x")
    (logs / "metrics" / "m.jsonl").write_text("{}")
    engine = Engine(shop(str(logs)), env=("POSTGRES_PASSWORD=hunter22", "POSTGRES_DB=shop", "LANG=C"))
    found = await discover(DockerConfig(), tmp_path, ask=engine.get, attempt=answering("127.0.0.1:8000"))
    config, text = read_back(found, tmp_path), toml(found)
    assert (config.service.name, config.docker.project, config.roles.app) == ("shop", "shop", ("api",))
    assert config.docker.compose_files == ("/srv/shop/compose.yaml",)
    assert (config.database.dsn, config.database.container, config.cache.container) == (
        "env:SEVDECK_DATABASE_DSN",
        "db",
        "kv",
    )
    assert {log.container or log.path for log in config.logs} >= {"web", "api", f"{logs}/*.log"}
    assert "POSTGRES_DB, POSTGRES_PASSWORD" in text and "hunter22" not in text and "LANG" not in text
    assert f'# source = "{logs}/metrics/*.jsonl"' in text
    for line in text.splitlines():
        if line.startswith(
            ("edge =", "app =", "database =", "cache =", "[[probes]]", "[[logs]]", "project =", 'name = "shop"')
        ):
            assert "# guessed" in line, line


def test_the_file_for_an_empty_host_is_accepted_too(tmp_path: Path) -> None:
    assert read_back(Discovery(), tmp_path).path is not None


def test_the_file_with_every_comment_taken_away_is_still_right(tmp_path: Path) -> None:
    """What is offered in comments must be right once a person removes the mark."""
    service = Service("web", "nginx", "", True, (("127.0.0.1", 80, 80),), (80,), (), (), "")
    found = Discovery(
        projects=(Project("shop", "/srv", ("/srv/compose.yaml",), (service,)),),
        probes=(FoundProbe(ProbeConfig("web", "http", "http://127.0.0.1/"), False, "404"),),
        metric_files=(module.Guess("/srv/*.jsonl", "holds m.jsonl"),),
    )
    lines = []
    for line in toml(found).splitlines():
        lines.append(line.removeprefix("# ") if re.match(r"# (?:\[\[|[a-z_]+ = )", line) else line)
    path = tmp_path / "bare.toml"
    path.write_text("\n".join(lines))
    config = read(path)
    assert {metric.kind for metric in config.metrics} == {"jsonl"} | {"sql"}
    assert any(p.business for p in config.probes)


def test_examples_in_the_documentation() -> None:
    assert doctest.testmod(module).failed == 0
