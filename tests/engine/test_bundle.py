"""The evidence bundle of real stacks: complete, readable without us, and without what was planted in them."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from console.checks.bundle import Bundle, collect, write
from console.checks.bundle.files import contents
from console.checks.scene import Scene
from console.config import Config, read
from tests.engine.small import SmallStack, small_stack
from tests.lab.images import TINY
from tests.lab.lab import Lab
from tests.lab.shell import wait_until
from tests.unit import planted


def of(config: Config, **how: Any) -> Bundle:
    async def ask() -> Bundle:
        scene = Scene(config)
        try:
            return await collect(scene, **how)
        finally:
            await scene.close()

    return asyncio.run(ask())


def settings(text: str, directory: Path) -> Config:
    file = directory / "sevdeck.toml"
    file.write_text(text, encoding="utf-8")
    return read(file)


def test_everything_about_the_lab_is_in_it_and_opens_with_tar_alone(healthy_lab: Lab, tmp_path: Path) -> None:
    bundle = of(settings(healthy_lab.config(), tmp_path))
    told = write(bundle, tmp_path, archive=True)
    assert told.archive is not None
    place = tmp_path / "elsewhere"
    place.mkdir()
    subprocess.run(["tar", "-xzf", str(told.archive), "-C", str(place)], check=True)
    unpacked = place / told.path.name
    manifest = json.loads((unpacked / "manifest.json").read_text())
    failed = {one["file"]: one["reason"] for one in manifest["items"] if one["status"] != "ok"}
    assert set(failed) <= {"host/dmesg.txt"}, failed
    for service in ("edge", "app", "worker", "postgres", "redis"):
        mine = unpacked / "services" / f"{healthy_lab.stack.project}-{service}-1"
        assert json.loads((mine / "inspect.json").read_text())["State"]["Running"] is True
        assert json.loads((mine / "stats.json").read_text())["memory_stats"]
        assert "PID" in (mine / "top.txt").read_text() and (mine / "logs.txt").exists()
    assert "HTTP" in (unpacked / f"services/{healthy_lab.stack.project}-edge-1/logs.txt").read_text()
    assert json.loads((unpacked / "stores/postgres.json").read_text())["limit"] > 0
    assert "query" not in json.loads((unpacked / "stores/postgres.json").read_text())
    assert json.loads((unpacked / "stores/redis.json").read_text())["redis_version"]
    compose = json.loads((unpacked / "compose/config.json").read_text())
    assert compose["services"]["app"]["environment"]["OPENAI_API_KEY"] == "•••"
    hashes = json.loads((unpacked / "compose/hashes.json").read_text())
    made = {one["service"]: one["hash"] for one in hashes["containers"].values()}
    assert made == hashes["files"]
    networks = json.loads((unpacked / "docker/networks.json").read_text())
    assert {one["Name"].rpartition("_")[2] for one in networks} == {"front", "back"}
    assert (unpacked / "docker/events.jsonl").read_text().count("\n") > 0
    assert abs(manifest["clock"]["engine_ahead_seconds"]) < 5
    secrets = [line.partition("=")[2] for line in (healthy_lab.stack.directory / ".env").read_text().splitlines()
               if "PASSWORD" in line or "TOKEN" in line or "KEY" in line]  # fmt: skip
    password = read_dsn(healthy_lab)
    assert planted.leaks(contents(bundle), [password, *filter(None, secrets)]) == []


def read_dsn(lab: Lab) -> str:
    """The password of the lab's database, as its settings refer to it."""
    return (lab.stack.directory / "database.dsn").read_text().partition("://")[2].partition("@")[0].partition(":")[2]


class Planted(SmallStack):
    """A container that tells its secrets: in its environment, labels, arguments and output."""

    services = ("app",)

    def restore_file(self) -> None:
        place = self.file.parent
        (place / "said.txt").write_text(planted.log_lines(), encoding="utf-8")
        (place / ".env").write_text(f"FILE_TOKEN='{planted.IN_FILE}'\n", encoding="utf-8")
        (place / "secret.txt").write_text(planted.IN_QUERY, encoding="utf-8")
        service = {
            "image": TINY,
            "pull_policy": "never",
            "stop_signal": "SIGKILL",
            "environment": {name: value.replace("$", "$$") for name, value in planted.ENVIRONMENT.items()},
            "labels": {"com.example.api_key": planted.IN_LABEL},
            "volumes": [f"{place}/said.txt:/said.txt:ro"],
            "command": ["sh", "-c", f"cat /said.txt; echo {planted.IN_QUERY}; exec tail -f /dev/null --pid=1",
                        "requirepass", planted.IN_ARGUMENT, f"--api-token={planted.IN_PS}"],
            "secrets": ["one"],
        }  # fmt: skip
        whole = {"name": self.name, "services": {"app": service}, "secrets": {"one": {"file": "./secret.txt"}}}
        self.file.write_text(yaml.safe_dump(whole), encoding="utf-8")


@pytest.fixture
def talker(engine: str, lab_name: str, tmp_path: Path) -> Iterator[Planted]:
    stack = Planted(f"{lab_name}-bundle-planted", tmp_path / "stack")
    stack.down()
    stack.up()
    try:
        wait_until(lambda: planted.IN_QUERY in stack.docker("logs", f"{stack.name}-app-1"), "its output", deadline=30)
        yield stack
    finally:
        stack.down()


def planted_config(stack: Planted) -> Config:
    return settings(f'[docker]\nproject = "{stack.name}"\ncompose_files = ["{stack.file}"]\n', stack.file.parent)


def test_nothing_that_was_planted_leaves_the_host(talker: Planted, tmp_path: Path) -> None:
    raw = talker.docker("logs", f"{talker.name}-app-1") + talker.docker("inspect", f"{talker.name}-app-1")
    assert len(planted.leaks([("raw", raw.encode())])) > 15  # it would be there
    bundle = of(planted_config(talker))
    files = dict(contents(bundle))
    assert planted.leaks(files.items()) == []
    told = write(bundle, tmp_path / "out", archive=True)
    assert told.archive is not None
    with tarfile.open(told.archive) as tar:
        inside = [(name, tar.extractfile(name).read()) for name in tar.getnames()]  # type: ignore[union-attr]
    assert planted.leaks(inside) == []
    place = f"services/{talker.name}-app-1"
    assert "INFO worker started with •••" in files[f"{place}/logs.txt"].decode()
    assert '"LOG_LEVEL": "debug"' in files["compose/config.json"].decode()
    assert bundle.masked["known values"] > 20 and bundle.masked["personal"] > 3


def test_who_is_not_root_and_may_not_ask_the_engine_gets_the_rest(tmp_path: Path, engine: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    program = (
        "import os, asyncio, json, concurrent.futures.thread\n"  # the interpreter itself may be root's alone
        "from console.checks.bundle import collect\nfrom console.checks.scene import Scene\n"
        "from console.config import Config, DockerConfig\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "async def main():\n    scene = Scene(Config(docker=DockerConfig(host='unix:///var/run/docker.sock')))\n    bundle = await collect(scene)\n    await scene.close()\n"
        "    print(json.dumps({i.name: [i.status, i.reason] for i in bundle.items}))\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["services"][0] == "failed" and "no permission" in told["services"][1]
    assert told["host/ps.txt"][0] == told["host/df.txt"][0] == "ok"


def test_a_container_that_does_not_run_is_in_it_with_what_it_said_last(
    engine: str, lab_name: str, tmp_path: Path
) -> None:
    with small_stack(f"{lab_name}-bundle-stopped", tmp_path / "stack") as stack:
        stack.docker("stop", "--time", "0", f"{stack.name}-app-1")
        bundle = of(settings(stack.config, tmp_path))
    names = {item.name: item.status for item in bundle.items if f"{stack.name}-app-1" in item.name}
    place = f"services/{stack.name}-app-1"
    assert names == {f"{place}/inspect.json": "ok", f"{place}/logs.txt": "ok"}
