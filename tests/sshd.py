"""A real sshd on loopback with keys of its own, for tests that come in over ssh."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Sshd:
    """Where it listens and how to log in."""

    port: int
    options: tuple[str, ...]  # for the ssh command

    @property
    def command(self) -> list[str]:
        return ["ssh", *self.options]


def missing() -> str:
    """Why no sshd can be started here; "" where it can."""
    if os.geteuid() != 0:
        return "only root can start an sshd that lets this user in"
    return "" if _program() and shutil.which("ssh") and shutil.which("ssh-keygen") else "openssh is missing"


def _program() -> str:
    found = shutil.which("sshd") or "/usr/sbin/sshd"
    return found if Path(found).exists() else ""


@contextlib.contextmanager
def sshd(place: Path) -> Iterator[Sshd]:
    """It runs for the time of the block; `place` holds its files."""
    Path("/run/sshd").mkdir(exist_ok=True)
    for name in ("host", "me"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(place / name)], check=True)
    (place / "authorized").write_text((place / "me.pub").read_text())
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = place / "sshd_config"
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {place}/host\nAuthorizedKeysFile {place}/authorized\n"
        "StrictModes no\nUsePAM no\nPermitRootLogin yes\nPidFile none\nPasswordAuthentication no\n"
    )
    server = subprocess.Popen([_program(), "-D", "-e", "-f", str(config)], stderr=subprocess.PIPE, text=True)
    assert server.stderr is not None
    for line in server.stderr:
        if "Server listening" in line:
            break
    drain = threading.Thread(target=server.stderr.read, daemon=True)
    drain.start()
    settings = ("StrictHostKeyChecking=no", f"UserKnownHostsFile={place}/known", "LogLevel=ERROR")
    options = ["-F", "none", "-p", str(port), "-i", str(place / "me")]
    try:
        yield Sshd(port, (*options, *(word for setting in settings for word in ("-o", setting))))
    finally:
        server.terminate()
        server.wait(5)
        drain.join(5)
        server.stderr.close()
