"""An engine that lies: a Docker API on a unix socket whose containers have hostile names. No real engine allows them,
but a remote one, a label or another tool's socket might."""

from __future__ import annotations

import json
import re
import socketserver
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

HOSTILE = "\x1b]52;c;aGFja2Vk\x07evil\x1b[2J\x9b31m\u202egnp\x1b]0;owned\x07"
ID = "a" * 64


def _inspect() -> dict[str, Any]:
    return {
        "Id": ID,
        "Name": f"/{HOSTILE}",
        "Created": "2026-11-22T03:00:00.000000000Z",
        "Image": "sha256:" + "b" * 64,
        "RestartCount": 0,
        "State": {
            "Status": "running", "Running": True, "Paused": False, "Restarting": False, "OOMKilled": False,
            "Dead": False, "Pid": 0, "ExitCode": 0, "Error": HOSTILE,
            "StartedAt": "2026-11-22T03:00:00.000000000Z", "FinishedAt": "0001-01-01T00:00:00Z",
            "Health": {"Status": "unhealthy", "FailingStreak": 3, "Log": [
                {"Start": "2026-11-22T03:00:00Z", "End": "2026-11-22T03:00:01Z", "ExitCode": 1, "Output": HOSTILE},
            ]},
        },
        "Config": {
            "Image": HOSTILE, "Env": [], "Cmd": [HOSTILE], "Tty": False,
            "Labels": {"com.docker.compose.project": HOSTILE, "com.docker.compose.service": HOSTILE},
        },
        "HostConfig": {"RestartPolicy": {"Name": "no"}, "NanoCpus": 0, "Memory": 0, "CpuQuota": 0, "CpuPeriod": 0},
        "NetworkSettings": {"Ports": {}, "Networks": {HOSTILE: {"IPAddress": "10.0.0.2", "Aliases": [HOSTILE]}}},
        "Mounts": [],
        "LogPath": "",
    }  # fmt: skip


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        path = re.sub(r"^/v[0-9.]+", "", self.path).partition("?")[0]
        version = {"Version": f"20.10{HOSTILE}", "ApiVersion": "1.41", "MinAPIVersion": "1.12", "Os": "linux"}
        if path == "/events":
            self.send_response(200)
            self.end_headers()
            self.server.closing.wait()  # type: ignore[attr-defined]
            return
        answers: dict[str, Any] = {
            "/version": version,
            "/_ping": "OK",
            "/info": {"DockerRootDir": "/var/lib/docker"},
            "/containers/json": [
                {
                    "Id": ID, "Names": [f"/{HOSTILE}"], "Image": HOSTILE, "State": "running", "Status": "Up",
                    "Labels": _inspect()["Config"]["Labels"], "Created": 1, "Ports": [],
                }
            ],
            f"/containers/{ID}/json": _inspect(),
        }  # fmt: skip
        body = json.dumps(answers.get(path, {"message": HOSTILE})).encode()
        self.send_response(200 if path in answers else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "unix"

    def log_message(self, format: str, *args: object) -> None:
        pass


class FakeEngine(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Serves until closed."""

    daemon_threads = True

    def __init__(self, path: Path) -> None:
        self.closing = threading.Event()
        super().__init__(str(path), _Handler)
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def __enter__(self) -> FakeEngine:
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self.shutdown()
        self.server_close()
