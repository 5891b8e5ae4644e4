"""A Compose stack of three tiny containers that comes and goes in seconds, for tests that kill and rebuild often."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab.images import BASE, TINY, ensure_images
from tests.lab.shell import wait_until

ROWS = 200  # in the small database
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
cache = ["store"]
"""


# An empty cluster is made once, beside its place, and copied there when there is none: that takes no second.
_SERVE = (
    "set -e; PATH=/usr/lib/postgresql/15/bin:$$PATH; cd /var/lib/postgresql;"
    " [ -e seed ] || ( initdb --no-sync --auth=trust --username=postgres --encoding=UTF8 --locale=C new >/dev/null;"
    " echo 'CREATE DATABASE shop' | postgres --single -D new postgres >/dev/null; mv new seed );"
    " [ -e data ] || ( cp -a seed copy; mv copy data );"
    " exec postgres -c fsync=off -c shared_buffers=8MB -c max_connections=20 -c listen_addresses="
)
# A volume that is mounted where the image has nothing belongs to root.
_SERVE_WHOLE = re.sub(
    r" \[ -e seed \].* exec",
    " chown postgres data; as='setpriv --reuid=postgres --regid=postgres --clear-groups';"
    " [ -e data/PG_VERSION ] || $$as initdb --no-sync --auth=trust --username=postgres data >/dev/null; exec $$as",
    _SERVE,
)
DATABASE = f"""\
name: {{name}}
services:
  postgres:
    image: {BASE}
    pull_policy: never
    init: true
    restart: unless-stopped
    user: postgres
    command: [sh, -c, "{_SERVE}"]
    environment: {{{{PGDATA: /var/lib/postgresql/data}}}}
    volumes: [pgdata:/var/lib/postgresql]
    stop_signal: SIGINT
    healthcheck:
      test: [CMD, /usr/lib/postgresql/15/bin/pg_isready, -q, -U, postgres]
      interval: 1s
      timeout: 3s
      retries: 3
      start_period: 10s
  app:
    image: {{image}}
    pull_policy: never
    restart: unless-stopped
    stop_signal: SIGKILL
    command: [sleep, "2147483647"]
    depends_on:
      postgres: {{{{condition: service_healthy}}}}
volumes:
  pgdata:
"""
DATABASE_CONFIG = """\
[docker]
project = "{name}"
compose_files = ["{file}"]
[roles]
app = ["app"]
database = ["postgres"]
"""


class SmallStack:
    """The stack `name` in `directory`; `file` may be edited to make it another one."""

    services: tuple[str, ...] = ("store", "app", "edge")
    text, settings = COMPOSE, CONFIG

    def __init__(self, name: str, directory: Path) -> None:
        ensure_images()
        directory.mkdir(parents=True, exist_ok=True)
        self.name, self.file = name, directory / "compose.yaml"
        self.restore_file()
        self.config = self.settings.format(name=name, file=self.file)

    def restore_file(self) -> None:
        self.file.write_text(self.text.format(name=self.name, image=TINY), encoding="utf-8")

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
        return set(found) == set(self.services) and all(s.startswith("running") for s in found.values())

    def rows(self) -> int:
        """Starts that the store's volume remembers: a line for each."""
        return len(self.docker("exec", f"{self.name}-store-1", "cat", "/data/starts").splitlines())

    @property
    def volumes(self) -> str:
        return self.docker("volume", "ls", "--quiet", "--filter", f"label=com.docker.compose.project={self.name}")


class SmallDatabase(SmallStack):
    """A PostgreSQL with ROWS rows in the table `messages` of the database `shop`, and one container that needs it."""

    services = ("postgres", "app")
    text, settings = DATABASE, DATABASE_CONFIG
    place = "/var/lib/postgresql"

    def up(self) -> None:
        super().up()
        if self.sql("SELECT to_regclass('messages')") == "":
            self.sql(f"CREATE TABLE messages AS SELECT i AS id, md5(i::text) AS text FROM generate_series(1, {ROWS}) i")

    def inside(self, *words: str) -> str:
        return self.docker("exec", "--user", "root", f"{self.name}-postgres-1", *words)

    def sql(self, statement: str, database: str = "shop") -> str:
        return self.inside("psql", "-XqAt", "-U", "postgres", "-d", database, "-c", statement).strip()

    def rows(self) -> int:
        return int(self.sql("SELECT count(*) FROM messages"))

    def databases(self) -> dict[str, str]:
        """Name -> "t" where clients may connect."""
        told = self.sql("SELECT datname, datallowconn FROM pg_database", "postgres")
        return dict(line.split("|") for line in told.splitlines())

    def corrupt(self) -> None:
        """pg_control becomes garbage, and the server crash-loops over it when this returns."""
        name = f"{self.name}-postgres-1"
        spoil = f"dd if=/dev/urandom of={self.place}/data/global/pg_control bs=1 seek=64 count=128 conv=notrunc"
        self.inside("sh", "-c", spoil)
        self.docker("kill", name)  # any other end would write the file anew
        self.docker("start", name)

        def looping() -> bool:
            return int(self.docker("inspect", "--format", "{{.RestartCount}}", name)) > 0

        wait_until(looping, "the crash loop", deadline=30)

    def asides(self) -> list[str]:
        """Data directories that were moved aside."""
        return [name for name in self.inside("ls", self.place).split() if ".broken." in name]

    def tidy(self) -> None:
        """Remove what runs kept on purpose."""
        for name in self.databases():
            if "_pre_" in name:
                self.sql(f'DROP DATABASE "{name}" WITH (FORCE)', "postgres")
        self.inside("sh", "-c", f"rm -rf {self.place}/data.broken.*")


class WholeDatabase(SmallDatabase):
    """The same, where PGDATA is a volume by itself: it cannot be renamed within it."""

    text = (
        DATABASE.replace(_SERVE, _SERVE_WHOLE)
        .replace("    user: postgres\n", "")
        .replace("pgdata:/var/lib/postgresql]", "pgdata:/var/lib/postgresql/data]")
    )

    def up(self) -> None:
        self.compose("up", "--detach", "--timeout", "0", "--wait", "postgres")
        if "shop" not in self.databases():
            self.sql("CREATE DATABASE shop", "postgres")
        super().up()

    def asides(self) -> list[str]:
        return [name for name in self._beside("ls", "/beside").split() if ".broken." in name]

    def tidy(self) -> None:
        super().tidy()
        self._beside("sh", "-c", "rm -rf /beside/*.broken.*")

    def _beside(self, *words: str) -> str:
        """In a container that sees what lies beside the volume's own directory on the engine's host."""
        place = self.docker("volume", "inspect", "--format", "{{.Mountpoint}}", self.volumes.strip()).strip()
        return self.docker("run", "--rm", "--network", "none", "-v", f"{Path(place).parent}:/beside", BASE, *words)


@contextmanager
def small_stack(name: str, directory: Path) -> Iterator[SmallStack]:
    with _kept_up(SmallStack(name, directory)) as stack:
        yield stack


@contextmanager
def small_database(stack: SmallDatabase) -> Iterator[SmallDatabase]:
    with _kept_up(stack):
        yield stack


@contextmanager
def _kept_up(stack: SmallStack) -> Iterator[SmallStack]:
    """Up and running; gone afterwards, with its rollback tags."""
    stack.down()  # what a killed run of the tests left
    stack.up()
    try:
        yield stack
    finally:
        stack.restore_file()
        stack.down()
        form, runs = "{{.Repository}}:{{.Tag}}", {run.name for run in stack.file.parent.parent.glob("*/runs/*")}
        for service in stack.services:
            for tag in stack.docker("images", "--format", form, f"sevdeck-rollback/{service}").split():
                if tag.rpartition(":")[2] in runs:  # other projects have services of these names too
                    stack.docker("rmi", tag, check=False)
