"""A second engine of the lab's own, to be frozen and killed.

It lives in a network namespace: two engines on one network would rewrite each
other's bridges and packet filter rules.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

from tests.lab.images import TINY
from tests.lab.shell import LabError, NotPermitted, lab_root, run, wait_until

START_DEADLINE = 60
STOP_DEADLINE = 30


class PrivateEngine:
    """dockerd with its own data, its own pid file and its own network namespace."""

    def __init__(self, name: str = "engine") -> None:
        self.directory = lab_root() / name
        self.namespace = f"sevdeck-{name}"
        self.socket = self.directory / "docker.sock"
        self.pid_file = self.directory / "docker.pid"
        self.log_file = self.directory / "dockerd.log"

    @property
    def host(self) -> str:
        """For DOCKER_HOST."""
        return f"unix://{self.socket}"

    @property
    def data_root(self) -> Path:
        return self.directory / "data"

    def docker(self, *arguments: str, timeout: float = 60, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = ["docker", "--host", self.host, *arguments]
        return run(command, timeout=timeout, check=check)

    def inside(self, *command: str) -> list[str]:
        """The command, to be run in the engine's network: there its ports are."""
        return ["nsenter", f"--net=/run/netns/{self.namespace}", "--", *command]

    @property
    def pid(self) -> int | None:
        """The daemon's, if it is ours and alive: the number may have been reused."""
        try:
            pid = int(self.pid_file.read_text())
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return None
        return pid if str(self.data_root).encode() in words else None

    def answers(self) -> bool:
        form = ["version", "--format", "{{.Server.Version}}"]
        try:
            return self.docker(*form, timeout=3, check=False).returncode == 0
        except LabError:
            return False

    def start(self, *images: str) -> str:
        """Start it if needed and load images; its address for DOCKER_HOST."""
        if os.getuid() != 0:
            raise NotPermitted("the private engine needs root")
        if not self.pid:
            self._make_namespace()
            self._spawn()
        wait_until(self.answers, f"answer of {self.host}", deadline=START_DEADLINE)
        for image in images or (TINY,):
            self.load(image)
        return self.host

    def load(self, image: str) -> None:
        """Copy an image over from the main engine."""
        if self.docker("image", "inspect", image, check=False).returncode == 0:
            return
        archive = self.directory / "image.tar"
        run(["docker", "save", "--output", str(archive), image], timeout=120)
        try:
            self.docker("load", "--input", str(archive), timeout=300)
        finally:
            archive.unlink()

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def thaw_if_running(self) -> None:
        if self.pid:
            self.thaw()

    def kill(self) -> None:
        """As the OOM killer does it: no goodbye, containers left as they are."""
        pid = self._signal(signal.SIGKILL)
        wait_until(lambda: not _alive(pid), "end of the engine", deadline=STOP_DEADLINE)

    def stop(self) -> None:
        """Stop it with all its containers and remove what it left."""
        if not self.directory.exists():
            return
        if not self.pid:
            # Containers of a killed engine live on; only an engine ends them well.
            self.start()
        pid = self._signal(signal.SIGCONT)
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not _alive(pid), "end of the engine", deadline=STOP_DEADLINE)
        run(["ip", "netns", "delete", self.namespace], check=False)
        self._unmount()
        shutil.rmtree(self.directory)

    def _unmount(self) -> None:
        """The data directory is mounted on itself, once for every start."""
        targets = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for target in reversed(targets):
            if target.startswith(f"{self.directory}/"):
                run(["umount", target], check=False)

    def _signal(self, number: signal.Signals) -> int:
        pid = self.pid
        if not pid:
            raise LabError("the private engine is not running")
        os.kill(pid, number)
        return pid

    def _make_namespace(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        if not Path(f"/run/netns/{self.namespace}").exists():
            run(["ip", "netns", "add", self.namespace])
        run(self.inside("ip", "link", "set", "lo", "up"))

    def _spawn(self) -> None:
        # A killed engine leaves both; either keeps the next one from starting.
        self.pid_file.unlink(missing_ok=True)
        (self.directory / "exec" / "containerd" / "containerd.pid").unlink(missing_ok=True)
        command = self.inside(
            "dockerd",
            f"--host={self.host}",
            "--data-root",
            str(self.data_root),
            f"--exec-root={self.directory / 'exec'}",
            f"--pidfile={self.pid_file}",
            # Names of its own also where both engines share one system containerd.
            "--containerd-namespace=sevdeck-lab",
            "--containerd-plugins-namespace=sevdeck-lab-plugins",
        )
        # By way of setsid: the daemon belongs to nobody, and no child is left to wait for.
        script = 'exec "$@" >>"$LOG" 2>&1 </dev/null'
        run(["setsid", "--fork", "sh", "-c", script, "sh", *command], env={"LOG": str(self.log_file)})


def _alive(pid: int) -> bool:
    """A zombie of ours counts as ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
