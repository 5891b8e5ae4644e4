"""An ssh:// engine as a socket file of this host: one ssh process forwards it, for all clients together.

docker-py's own ssh transport needs paramiko and starts an ssh per connection; the user's ssh command knows his
keys, agent, jump hosts and known hosts already. It never asks anything: a login that needs an answer fails.
"""

from __future__ import annotations

import subprocess
import tempfile
import threading
import time
from pathlib import Path

from console.text import clean
from console.watch.engine_host import Endpoint

_OPTIONS = (
    "BatchMode=yes",
    "ConnectTimeout=5",
    "ExitOnForwardFailure=yes",
    "ServerAliveInterval=2",
    "ServerAliveCountMax=2",
    "StreamLocalBindMask=0177",
    # A shared master connection would answer at once, forward the socket itself and outlive us.
    "ControlMaster=no",
    "ControlPath=none",
)
_STEP = 0.02  # seconds between looks whether ssh is through


class Tunnel:
    """The forwarded socket. Opened when first asked for, and again after ssh has ended."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._lock = threading.Lock()
        self._directory: tempfile.TemporaryDirectory[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False

    def open(self, deadline: float) -> str:
        """The path of the socket, ready to connect. Raises OSError, or TimeoutError after `deadline` seconds."""
        end = time.monotonic() + deadline
        with self._lock:
            if self._closed:
                raise ConnectionError("closed")
            if self._directory is None:
                self._directory = tempfile.TemporaryDirectory(prefix="sevdeck-ssh-")
            path = Path(self._directory.name) / "docker.sock"
            if self._process is None or self._process.poll() is not None:
                self._start(path)
            while not path.exists():
                if self._process is not None and self._process.poll() is not None:
                    raise ConnectionError("ssh ended")
                if time.monotonic() > end:
                    raise TimeoutError
                time.sleep(_STEP)
        return str(path)

    def trouble(self) -> str:
        """What ssh said when it ended by itself, "" while it runs."""
        process = self._process
        if process is None or process.poll() is None or self._directory is None:
            return ""
        try:
            said = (Path(self._directory.name) / "said").read_text(encoding="utf-8", errors="replace")
        except OSError:
            said = ""
        return clean(said.strip().splitlines()[-1] if said.strip() else f"exit {process.returncode}", 200)

    def close(self) -> None:
        """End ssh. Connections through it break."""
        self._closed = True
        process, directory = self._process, self._directory
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(0.5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(0.5)
        if directory is not None:
            directory.cleanup()

    def _start(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        command = ["ssh", "-nNT", *(word for option in _OPTIONS for word in ("-o", option))]
        command += ["-L", f"{path}:{self._endpoint.remote_socket}", "--", self._endpoint.ssh_target]
        with (path.parent / "said").open("wb") as said:
            # Its own session, so that ctrl+c in the terminal does not reach it.
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True
            )
