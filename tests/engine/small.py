"""A Compose stack of three tiny containers that comes and goes in seconds, for tests that kill and rebuild often."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab.images import TINY, ensure_images

COMPOSE = """\
name: {name}
x-tiny: &tiny
  image: {image}
  pull_policy: never
  restart: unless-stopped
  stop_signal: SIGKILL
services:
  store:
    <<: *tiny
    command: [sh, -c, "echo ${{MARK:-}} >> /data/starts; exec sleep 2147483647"]
    volumes: [storedata:/data]
  app:
    <<: *tiny
    command: [sleep, "2147483647"]
    depends_on: [store]
  edge:
    <<: *tiny
    command: [sleep, "2147483647"]
    depends_on: [app]
volumes:
  storedata:
"""
CONFIG = """\
[docker]
project = "{name}"
compose_files = ["{file}"]
[roles]
edge = ["edge"]
app = ["app"]
database = ["store"]
"""


class SmallStack:
    """The stack `name` in `directory`; `file` may be edited to make it another one."""

    def __init__(self, name: str, directory: Path) -> None:
        ensure_images()
        directory.mkdir(parents=True, exist_ok=True)
        self.name, self.file = name, directory / "compose.yaml"
        self.file.write_text(COMPOSE.format(name=name, image=TINY), encoding="utf-8")
        self.config = CONFIG.format(name=name, file=self.file)

    def docker(self, *words: str, check: bool = True) -> str:
        done = subprocess.run(["docker", *words], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0 or not check, done.stderr
        return done.stdout

    def compose(self, *words: str) -> str:
        return self.docker("compose", "--file", str(self.file), *words)

    def up(self) -> None:
        self.compose("up", "--detach", "--timeout", "0")

    def down(self) -> None:
        self.compose("down", "--timeout", "0", "--volumes", "--remove-orphans")

    def containers(self) -> dict[str, str]:
        """Service -> "state id" of each container."""
        form = '{{.Label "com.docker.compose.service"}} {{.State}} {{.ID}}'
        told = self.docker("ps", "--all", "--filter", f"label=com.docker.compose.project={self.name}", "--format", form)
        return {service: f"{state} {ident}" for service, state, ident in map(str.split, told.splitlines())}

    @property
    def running(self) -> bool:
        found = self.containers()
        return set(found) == {"store", "app", "edge"} and all(s.startswith("running") for s in found.values())

    def rows(self) -> int:
        """Starts that the store's volume remembers: a line for each."""
        return len(self.docker("exec", f"{self.name}-store-1", "cat", "/data/starts").splitlines())

    @property
    def volumes(self) -> str:
        return self.docker("volume", "ls", "--quiet", "--filter", f"label=com.docker.compose.project={self.name}")


@contextmanager
def small_stack(name: str, directory: Path) -> Iterator[SmallStack]:
    """Up and running; gone afterwards, with its rollback tags."""
    stack = SmallStack(name, directory)
    stack.up()
    try:
        yield stack
    finally:
        stack.file.write_text(COMPOSE.format(name=name, image=TINY), encoding="utf-8")
        stack.down()
        tags = [
            stack.docker("images", "--format", "{{.Repository}}:{{.Tag}}", f"sevdeck-rollback/{s}")
            for s in ("store", "app", "edge")
        ]
        for tag in "".join(tags).split():
            stack.docker("rmi", tag, check=False)
