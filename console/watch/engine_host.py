"""Where the Docker engine is: from the configuration, DOCKER_HOST, the Docker context, or the default sockets.

It follows the docker command, so that both look at the same engine. Nothing here connects.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from console.text import clean

DEFAULT_SOCKET = "/var/run/docker.sock"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One engine's address. `certificates` is a directory with ca.pem, cert.pem and key.pem."""

    host: str  # "unix:///var/run/docker.sock", "tcp://10.0.0.5:2376", "ssh://root@web1"
    certificates: Path | None = None
    verify: bool = True

    @property
    def scheme(self) -> str:
        return self.host.partition("://")[0]

    @property
    def path(self) -> str:
        """The socket file, "" for an engine that is not behind one."""
        return self.host.partition("://")[2] if self.scheme == "unix" else ""

    @property
    def ssh_target(self) -> str:
        """What the ssh command takes as its destination: user@host or ssh://user@host:port."""
        address = self.host.partition("://")[2].split("/")[0]
        return f"ssh://{address}" if ":" in address else address

    @property
    def remote_socket(self) -> str:
        """The engine's socket on the far side of ssh."""
        _, slash, path = self.host.partition("://")[2].partition("/")
        return slash + path if path else DEFAULT_SOCKET


def find_endpoint(host: str, env: Mapping[str, str]) -> Endpoint:
    """The engine to use: `host` from the configuration, else DOCKER_HOST, the Docker context, the default socket.

    >>> find_endpoint("", {"DOCKER_HOST": "tcp://10.0.0.5:2375"}).host
    'tcp://10.0.0.5:2375'
    >>> find_endpoint("/run/other.sock", {}).host
    'unix:///run/other.sock'
    """
    settings = Path(env.get("DOCKER_CONFIG") or Path(env.get("HOME", "~")).expanduser() / ".docker")
    told = host or env.get("DOCKER_HOST", "")
    if told:
        address = _normal(told)
        if not address.startswith(("tcp://", "https://")):
            return Endpoint(address)
        # As docker does: any value of DOCKER_TLS_VERIFY but the empty one means verify.
        verify = bool(env.get("DOCKER_TLS_VERIFY"))
        certificates = env.get("DOCKER_CERT_PATH") or (str(settings) if verify else "")
        return Endpoint(address, Path(certificates) if certificates else None, verify)
    if (context := _context(settings, env)) is not None:
        return context
    rootless = f"{env.get('XDG_RUNTIME_DIR', '')}/docker.sock"
    # Path.exists raises where another user's directory may not be looked into.
    if env.get("XDG_RUNTIME_DIR") and os.path.exists(rootless) and not os.path.exists(DEFAULT_SOCKET):  # noqa: PTH110
        return Endpoint(f"unix://{rootless}")
    return Endpoint(f"unix://{DEFAULT_SOCKET}")


def engine_socket(host: str) -> Path | None:
    """The socket file of the engine at `host`, None for one that is reached another way.

    >>> engine_socket("unix:///run/docker.sock"), engine_socket("tcp://10.0.0.5:2375")
    (PosixPath('/run/docker.sock'), None)
    """
    path = Endpoint(_normal(host)).path
    return Path(path) if path else None


def _normal(host: str) -> str:
    host = clean(host.strip(), 300).removeprefix("http+")
    if host.startswith("/"):
        return f"unix://{host}"
    if "://" not in host:
        return f"tcp://{host}"
    scheme, _, rest = host.partition("://")
    if scheme == "unix" and not rest.startswith("/"):
        return f"unix:///{rest}"
    return f"tcp://{rest}" if scheme == "http" else host


def _context(settings: Path, env: Mapping[str, str]) -> Endpoint | None:
    """The engine of the context that `docker context use` chose; None for the default one."""
    name = env.get("DOCKER_CONTEXT", "") or _json(settings / "config.json").get("currentContext", "")
    if not isinstance(name, str) or name in ("", "default"):
        return None
    import hashlib

    digest = hashlib.sha256(name.encode()).hexdigest()
    meta = _json(settings / "contexts" / "meta" / digest / "meta.json")
    try:
        told = meta["Endpoints"]["docker"]
        address, verify = _normal(str(told["Host"])), not told.get("SkipTLSVerify", False)
    except (KeyError, TypeError, AttributeError):
        return None
    tls = settings / "contexts" / "tls" / digest / "docker"
    return Endpoint(address, tls if tls.is_dir() else None, verify)


def _json(path: Path) -> dict[str, Any]:
    """A settings file of Docker; empty when there is none or it cannot be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
