"""A host that systemd booted, in a container: people log in over ssh, logind kills what they leave behind, services run.

It sees the engine that it runs on, and the code of this checkout, read-only.
"""

from __future__ import annotations

import os
import subprocess
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from console.watch.engine_host import find_endpoint
from tests.lab.images import SYSTEMD, ensure_systemd_image
from tests.lab.shell import LabError, run, wait_until

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """\
#!/bin/sh
export PYTHONPATH=/srv/code:/srv/packages PYTHONDONTWRITEBYTECODE=1
exec /usr/bin/python3 -m console "$@"
"""
# Root is spared unless somebody else is named.
LOGIND = "[Login]\nKillUserProcesses=yes\nKillExcludeUsers=nobody\n"
SET_UP = """\
set -e
groupadd --gid {gid} --non-unique docker
useradd --create-home --shell /bin/bash --groups docker ana
for home in /root /home/ana; do
  install -D -m 600 /etc/sevdeck/key.pub $home/.ssh/authorized_keys
done
chown -R ana: /home/ana/.ssh
systemctl restart systemd-logind
"""


def engine_socket() -> Path | None:
    """The socket file of the engine in use; None when it is reached in another way."""
    host = find_endpoint("", os.environ).host
    path = Path(host.removeprefix("unix://"))
    return path if host.startswith("unix://") and path.is_socket() else None


class BootedHost:
    """The running host. `ana` and `root` log in with the key in `place`; `sevdeck` is on PATH."""

    def __init__(self, name: str, place: Path) -> None:
        self.name, self.place = name, place

    def start(self, socket: Path) -> None:
        """Returns when everything is up. Raises LabError."""
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.place / "key")])
        files = {"sevdeck": PROGRAM, "kill.conf": LOGIND, "etc/key.pub": (self.place / "key.pub").read_text()}
        for file, text in files.items():
            (self.place / file).parent.mkdir(exist_ok=True)
            (self.place / file).write_text(text)
        (self.place / "sevdeck").chmod(0o755)
        (self.place / "etc").chmod(0o755)
        mounts = {
            ROOT: "/srv/code:ro",
            Path(sysconfig.get_paths()["purelib"]): "/srv/packages:ro",
            self.place / "sevdeck": "/usr/local/bin/sevdeck:ro",
            self.place / "etc": "/etc/sevdeck:ro",
            self.place / "kill.conf": "/etc/systemd/logind.conf.d/kill.conf:ro",
            socket.resolve(): "/run/docker.sock",
        }
        volumes = [word for path, target in mounts.items() for word in ("--volume", f"{path}:{target}")]
        options = ["--detach", "--name", self.name, "--hostname", "booted", "--env", "container=docker"]
        run(["docker", "run", *options, *_freedom(), *volumes, SYSTEMD, "/lib/systemd/systemd"])
        wait_until(
            lambda: self.exec("systemctl is-system-running", check=False).strip() == "running", "boot", deadline=60
        )
        self.exec(SET_UP.format(gid=socket.stat().st_gid))

    def exec(self, script: str, *, user: str = "root", check: bool = True) -> str:
        """Standard output of a script that runs in no session."""
        done = run(["docker", "exec", "--user", user, self.name, "sh", "-c", script], check=check, timeout=60)
        return done.stdout

    @property
    def address(self) -> str:
        form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        return run(["docker", "inspect", "--format", form, self.name]).stdout.strip()

    def log_in(self, user: str, script: str) -> subprocess.Popen[str]:
        """A session in which `script` runs. Killing the process is what a dropped connection is."""
        settings = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR")
        options = [word for setting in settings for word in ("-o", setting)]
        command = ["ssh", "-F", "none", "-i", str(self.place / "key"), *options, f"{user}@{self.address}", script]
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def remove(self) -> None:
        run(["docker", "rm", "--force", "--volumes", self.name], check=False)


def _freedom() -> list[str]:
    """What systemd needs of an engine to be process 1, and no more: /proc/sys and devices stay closed to it."""
    temporary = ("/run:exec,mode=755", "/run/lock", "/tmp:exec,mode=1777")
    given = ["--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined"]
    given += [word for place in temporary for word in ("--tmpfs", place)]
    groups = Path("/sys/fs/cgroup")
    if (groups / "cgroup.controllers").exists():
        return [*given, "--cgroupns=host", "--volume", f"{groups}:{groups}"]
    # Of the old hierarchies only systemd's own, and only its part is written to.
    return [
        *given,
        "--cgroupns=host",
        "--tmpfs",
        f"{groups}:mode=755",
        "--volume",
        f"{groups}/systemd:{groups}/systemd",
    ]


@contextmanager
def booted_host(name: str, place: Path) -> Iterator[BootedHost]:
    """Up for the time of the block."""
    socket = engine_socket()
    if socket is None:
        raise LabError("the engine is reached by no socket file")
    ensure_systemd_image()
    host = BootedHost(name, place)
    host.remove()
    try:
        host.start(socket)
        yield host
    finally:
        host.remove()
