"""A private PostgreSQL: its own directory, its own port, an unprivileged user, gone afterwards. For tests and benches."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PASSWORD = "correct-horse-9"
_START = 60  # seconds


class AbsentError(Exception):
    """What is needed is not installed here."""


@dataclass(frozen=True)
class Server:
    """A PostgreSQL. Its superuser is `postgres`, its password "correct-horse-9"."""

    bin: Path
    data: Path
    port: int
    user: str  # of the system, whose processes it runs as
    settings: tuple[str, ...] = ("fsync=off",)
    within: tuple[str, ...] = ()  # a command that what starts it is run by, such as `ip netns exec NAME`

    def dsn(self, database: str = "postgres", password: str = PASSWORD, host: str = "127.0.0.1") -> str:
        return f"postgresql://postgres:{password}@{host}:{self.port}/{database}"

    def stop(self, mode: str = "immediate") -> None:
        run(self.user, str(self.bin / "pg_ctl"), "-D", str(self.data), "-m", mode, "-w", "stop")

    def start(self) -> None:
        asked = (f"port={self.port}", "listen_addresses=127.0.0.1", "unix_socket_directories=", *self.settings)
        options = " ".join(f"-c {one}" for one in asked)
        log = self.data.parent / f"{self.data.name}.log"
        run(self.user, str(self.bin / "pg_ctl"), "-D", str(self.data), "-l", str(log), "-w", "-o", options, "start")

    def initialise(self) -> None:
        """Make its files. Raises CalledProcessError."""
        secret = self.data.parent / "password"
        secret.write_text(f"{PASSWORD}\n")
        secret.chmod(0o644)
        run(self.user, str(self.bin / "initdb"), "-D", str(self.data), "-U", "postgres", "-A", "scram-sha-256",
            "--pwfile", str(secret), "--no-sync", "-E", "UTF8", "--locale", "C")  # fmt: skip

    def promote(self) -> None:
        """Make a standby the server that writes."""
        run(self.user, str(self.bin / "pg_ctl"), "-D", str(self.data), "-w", "promote")

    def processes(self) -> list[int]:
        """The pid of the server, and of everything that it started."""
        first = int((self.data / "postmaster.pid").read_text().splitlines()[0])
        found = [first]
        for place in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError, IndexError):
                if int(place.read_text().rpartition(")")[2].split()[1]) == first:
                    found.append(int(place.parent.name))
        return found

    def signal(self, number: signal.Signals) -> None:
        """To the server and all of its processes."""
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def run(user: str, *command: str) -> None:
    """As this user, which is another only when the tests run as root: PostgreSQL refuses to run as root."""
    subprocess.run(
        command,
        check=True,
        timeout=_START,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        **identity(user),
    )


def identity(user: str) -> dict[str, Any]:
    """What subprocess needs to run something as this user, when we are root."""
    if os.geteuid() != 0:
        return {}
    person = pwd.getpwnam(user)
    return {"user": person.pw_uid, "group": person.pw_gid, "extra_groups": []}


def binaries() -> Path | None:
    """The newest installation: Debian's, or wherever `initdb` is found."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    found = [path for path in debian if (path.parent / "pg_ctl").exists()]
    if found:
        return found[-1].parent
    anywhere = shutil.which("initdb")
    return Path(anywhere).resolve().parent if anywhere else None


def ordinary_user() -> str | None:
    """Who the server runs as: we ourselves, or for root its own user or nobody."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid()).pw_name
    known = {person.pw_name for person in pwd.getpwall()}
    return next((name for name in ("postgres", "nobody") if name in known), None)


def spare_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def home() -> Iterator[tuple[Path, Path, str]]:
    """(programs, a directory that the server's user may write to, that user). Raises AbsentError."""
    programs, user = binaries(), ordinary_user()
    if programs is None:
        raise AbsentError("no PostgreSQL server is installed (Debian: apt-get install postgresql)")
    if user is None:
        raise AbsentError("PostgreSQL does not run as root and there is no user postgres or nobody")
    # Not below pytest's own directory, which only its owner may enter.
    made = Path(tempfile.mkdtemp(prefix="sevdeck-test-postgres-"))
    made.chmod(0o755)
    try:
        if os.geteuid() == 0:
            shutil.chown(made, user)
        yield programs, made, user
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextlib.contextmanager
def private_server(*settings: str) -> Iterator[Server]:
    """A server that runs. Raises AbsentError where there is none to be had."""
    with home() as (programs, place, user):
        server = Server(programs, place / "data", spare_port(), user, settings or ("fsync=off",))
        server.initialise()
        server.start()
        try:
            yield server
        finally:
            server.stop()
