"""Inspect documents of containers as they may be made, and a scene that has them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from console.checks.made import Made, made
from console.checks.scene import Scene
from console.config import Config, DockerConfig
from console.programs.blueprint import Blueprint, ComposeProject, Wanted
from tests.unit.engine_twin import EngineTwin

CREATED = 1767258000.0  # 2026-01-01T09:00:00Z


def document(service: str = "app", project: str = "shop", **changes: Any) -> dict[str, Any]:
    """GET /containers/{id}/json of a container that nothing is wrong with; `changes` go into its HostConfig.

    `config`, `state`, `mounts`, `ports`, `hash`, `image_id` and `created` go where they belong.
    """
    labels = {"com.docker.compose.project": project, "com.docker.compose.service": service} if project else {}
    labels |= {"com.docker.compose.config-hash": changes.pop("hash", "h1")} if project else {}
    config = {
        "Image": f"shop/{service}:1",
        "User": "10001",
        "Labels": labels,
        "Env": ["MODE=live", "DB_PASSWORD=hunter2"],
        "Healthcheck": {"Test": ["CMD", "true"]},
    }
    name = f"{project}-{service}-1" if project else service
    return {
        "Id": (name.encode().hex() + "0" * 64)[:64],
        "Name": f"/{name}",
        "Created": changes.pop("created", "2026-01-01T09:00:00Z"),
        "Image": changes.pop("image_id", f"sha256:{service}1"),
        "State": {"Status": "running", "ExitCode": 0, "StartedAt": "2026-01-01T09:00:05Z"} | changes.pop("state", {}),
        "Config": config | changes.pop("config", {}),
        "LogPath": f"/var/lib/docker/containers/{service}-json.log",
        "Mounts": changes.pop("mounts", []),
        "NetworkSettings": {"Ports": changes.pop("ports", {}), "Networks": {}},
        "HostConfig": {
            "RestartPolicy": {"Name": "unless-stopped"},
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m"}},
            "Memory": 1 << 28,
            "NetworkMode": "shop_default",
        }
        | changes,
    }


def container(service: str = "app", **changes: Any) -> Made:
    return made(document(service, **changes))


def plan(*services: Wanted, **changes: Any) -> Blueprint:
    """What the files of the project say; the services app and db when none are named."""
    project = ComposeProject("shop", ("/srv/shop/compose.yaml",), "/srv/shop")
    wanted = services or (want("app"), want("db"))
    return replace(Blueprint(project, wanted), **changes)


def want(service: str, hash: str = "h1", restart: str = "unless-stopped", **changes: Any) -> Wanted:
    return Wanted(service, f"shop/{service}:1", hash, restart=restart, **changes)


@asynccontextmanager
async def scene(
    *documents: dict[str, Any], blueprint: Blueprint | None = None, data_dir: Path | None = None, **changes: Any
) -> AsyncIterator[tuple[Scene, EngineTwin]]:
    """A scene of an engine with these containers; `changes` go into the settings."""
    with EngineTwin() as engine:
        engine.put(*documents)
        engine.answers["/info"] = (200, {"LiveRestoreEnabled": False, "MemTotal": 1 << 33})
        images = [{"Id": d["Image"], "RepoTags": [d["Config"]["Image"]]} for d in documents]
        engine.answers["/images/json"] = (200, images)
        made_here = Scene(Config(docker=DockerConfig(engine.host, "shop"), **changes), data_dir=data_dir)

        async def told() -> Blueprint:
            assert blueprint is not None
            return blueprint

        if blueprint is not None:
            await made_here.once("blueprint", told)
        try:
            yield made_here, engine
        finally:
            await made_here.close()
