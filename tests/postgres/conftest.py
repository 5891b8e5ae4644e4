"""A private PostgreSQL for these tests: its own directory, its own port, an unprivileged user, gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

_REQUIRED = "SEVDECK_REQUIRE_ENGINE"  # in CI a skipped engine test is a failure
_START = 60  # seconds


@dataclass(frozen=True)
class Server:
    """A running PostgreSQL. Its superuser is `postgres`, its password "correct-horse-9"."""

    bin: Path
    data: Path
    port: int
    user: str  # of the system, whose processes it runs as

    def dsn(self, database: str = "postgres", password: str = "correct-horse-9", host: str = "127.0.0.1") -> str:
        return f"postgresql://postgres:{password}@{host}:{self.port}/{database}"

    def stop(self) -> None:
        run(self.user, str(self.bin / "pg_ctl"), "-D", str(self.data), "-m", "immediate", "-w", "stop")

    def start(self) -> None:
        options = f"-c port={self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        log = self.data.parent / "log"
        run(self.user, str(self.bin / "pg_ctl"), "-D", str(self.data), "-l", str(log), "-w", "-o", options, "start")


def run(user: str, *command: str) -> None:
    """As this user, which is another only when the tests run as root: PostgreSQL refuses to run as root."""
    person = pwd.getpwnam(user) if os.geteuid() == 0 else None
    subprocess.run(
        command,
        check=True,
        timeout=_START,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        user=person.pw_uid if person else None,
        group=person.pw_gid if person else None,
        extra_groups=[] if person else None,
    )


def absent(reason: str) -> None:
    """Skip, or fail where PostgreSQL is required."""
    if os.environ.get(_REQUIRED) == "1":
        pytest.fail(f"{reason}, and {_REQUIRED}=1", pytrace=False)
    pytest.skip(reason)


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


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    programs, user = binaries(), ordinary_user()
    if programs is None:
        absent("no PostgreSQL server is installed (Debian: apt-get install postgresql)")
        return
    if user is None:
        absent("PostgreSQL does not run as root and there is no user postgres or nobody")
        return
    # Not below pytest's own directory, which only its owner may enter.
    home = Path(tmp_path_factory.mktemp("postgres").anchor, "tmp", f"sevdeck-test-postgres-{os.getpid()}")
    home.mkdir(mode=0o755)
    try:
        if os.geteuid() == 0:
            shutil.chown(home, user)
        secret = home / "password"
        secret.write_text("correct-horse-9\n")
        secret.chmod(0o644)
        server = Server(programs, home / "data", spare_port(), user)
        run(user, str(programs / "initdb"), "-D", str(server.data), "-U", "postgres", "-A", "scram-sha-256",
            "--pwfile", str(secret), "--no-sync", "-E", "UTF8", "--locale", "C")  # fmt: skip
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(home, ignore_errors=True)
