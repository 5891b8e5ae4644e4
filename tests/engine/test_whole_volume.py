"""Level 4 where the data directory is a mount by itself, as in the official image: a volume, or a path of the host."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.test_recovery import Sevdeck
from tests.lab.images import ensure_images
from tests.lab.shell import wait_until

COMPOSE = """\
name: {name}
services:
  db:
    image: sevdeck-lab/base:1
    pull_policy: never
    init: true
    restart: unless-stopped
    environment: {{PGDATA: /var/lib/postgresql/data}}
    command:
      - sh
      - -c
      - |
        # As the official image does it: root makes the directory the server's, and steps down.
        PATH=/usr/lib/postgresql/15/bin:$$PATH
        chown postgres "$$PGDATA" && chmod 700 "$$PGDATA"
        as="setpriv --reuid postgres --regid postgres --init-groups"
        [ -s "$$PGDATA/PG_VERSION" ] || $$as initdb --username=postgres --auth-local=trust >/dev/null
        exec $$as postgres
    stop_signal: SIGINT
    healthcheck:
      test: [CMD, /usr/lib/postgresql/15/bin/pg_isready, -q, -h, 127.0.0.1, -U, postgres]
      interval: 1s
      retries: 3
      start_period: 10s
    volumes: ["{source}:/var/lib/postgresql/data"]
volumes:
  pgdata:
"""
CONFIG = """\
[docker]
project = "{name}"
compose_files = ["{file}"]
[roles]
database = ["db"]
[backup]
database = "shop"
"""


class OneDatabase:
    """A stack of one PostgreSQL whose data directory is the mount itself."""

    def __init__(self, name: str, place: Path, source: str) -> None:
        ensure_images()
        self.name, self.container, self.file = name, f"{name}-db-1", place / "compose.yaml"
        self.file.write_text(COMPOSE.format(name=name, source=source), encoding="utf-8")
        self.config = CONFIG.format(name=name, file=self.file)

    def docker(self, *words: str, check: bool = True) -> str:
        done = subprocess.run(["docker", *words], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0 or not check, done.stderr
        return done.stdout.strip()

    def compose(self, *words: str) -> str:
        return self.docker("compose", "--file", str(self.file), *words)

    def sql(self, text: str, database: str = "shop") -> str:
        return self.docker("exec", self.container, "psql", "-X", "-U", "postgres", "-d", database, "-Atc", text)

    def corrupt(self) -> None:
        self.docker("kill", self.container)
        # Past the version numbers: it is the checksum that must not fit.
        script = "dd if=/dev/urandom of=/data/global/pg_control bs=1 seek=64 count=128 conv=notrunc status=none"
        source = self.docker("inspect", "--format", "{{(index .Mounts 0).Source}}", self.container)
        self.docker("run", "--rm", "--volume", f"{source}:/data", "sevdeck-lab/base:1", "sh", "-c", script)
        self.docker("start", self.container)
        wait_until(lambda: "in control file" in self.log, "the server's complaint", deadline=30)

    @property
    def volumes(self) -> str:
        return self.docker("volume", "ls", "--quiet", "--filter", f"label=com.docker.compose.project={self.name}")

    @property
    def log(self) -> str:
        done = subprocess.run(["docker", "logs", self.container], capture_output=True, text=True, timeout=30)
        return done.stdout + done.stderr


@pytest.fixture(params=["volume", "path"])
def one(request: pytest.FixtureRequest, engine: str, lab_name: str, tmp_path: Path) -> Iterator[OneDatabase]:
    source = "pgdata"
    if request.param == "path":
        (tmp_path / "host" / "pg").mkdir(parents=True)
        source = str(tmp_path / "host" / "pg")
    stack = OneDatabase(f"{lab_name}-one", tmp_path, source)
    try:
        stack.compose("up", "--detach", "--wait")
        stack.sql("CREATE ROLE shop LOGIN", "postgres")
        stack.sql("CREATE DATABASE shop OWNER shop", "postgres")
        stack.sql("ALTER DATABASE shop SET statement_timeout TO '77s'")
        stack.sql("CREATE TABLE messages (id serial PRIMARY KEY, text text)")
        stack.sql("INSERT INTO messages (text) SELECT md5(i::text) FROM generate_series(1, 50) i")
        yield stack
    finally:
        stack.compose("down", "--timeout", "0", "--volumes")


def test_the_whole_mount_is_moved_aside_and_a_new_cluster_takes_its_place(one: OneDatabase, tmp_path: Path) -> None:
    sevdeck = Sevdeck(tmp_path, one.config, observation=1.0)
    made = sevdeck("backup", "create", "--json")
    assert made.code == 0, made.err
    volumes = one.volumes
    one.corrupt()
    plan = sevdeck("recover", "plan", "4", "--json").data
    assert plan["refused"] is None, plan["refused"]
    done = sevdeck("recover", "run", "4", "--confirm", plan["confirm"], "--json")
    assert done.code == 0, done.out + done.err
    assert one.sql("SELECT count(*) FROM messages") == "50"
    assert one.sql("SHOW statement_timeout") == "77s"
    assert one.sql("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'shop'") == "shop"
    assert one.volumes == volumes
    source = one.docker("inspect", "--format", "{{(index .Mounts 0).Source}}", one.container)
    beside = Path(source).parent
    kept = [p for p in beside.iterdir() if ".broken." in p.name]
    assert len(kept) == 1, list(beside.iterdir())
    assert (kept[0] / "global" / "pg_control").is_file()
    assert f"{str(kept[0]).rpartition('.')[0]}." in str(plan["advice"])
