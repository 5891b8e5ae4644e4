"""What a container can reach, asked from within its own network namespace; and whom it is connected to now.

Entering needs root on the engine's own host. Nothing of the container is executed, so that it works with images that
hold nothing but one program, and with containers that hang.
"""

from __future__ import annotations

import ipaddress
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from console.errors import SourceError
from console.programs.running import run_program
from console.text import clean

SECONDS = 2.0  # for one name, and for one connection
_STATES = {"01": "established", "02": "connecting", "0A": "listening"}
_LINES = 5000  # of a table of connections


@dataclass(frozen=True, slots=True)
class Reached:
    """`outcome`: connected, connection refused, no answer, unknown name, no name server, network is unreachable ..."""

    name: str
    port: int
    addresses: tuple[str, ...]
    source: str  # "hosts", "dns", "address"; "" where the name led nowhere
    outcome: str
    took: float | None  # seconds until the connection stood

    @property
    def ok(self) -> bool:
        return self.outcome == "connected"


@dataclass(frozen=True, slots=True)
class Socket:
    """One TCP socket of a namespace. `state`: established, connecting (no answer yet), listening."""

    state: str
    local_port: int
    address: str  # of the other side; "" when listening
    port: int


async def reach(
    inspected: Mapping[str, Any], wanted: Sequence[tuple[str, int]], seconds: float = SECONDS
) -> tuple[Reached, ...]:
    """Whether this container (its inspect document) resolves these names and connects to these ports.

    Raises SourceError when it does not run or may not be entered.
    """
    if not wanted:
        return ()
    asked = {
        "pid": (inspected.get("State") or {}).get("Pid") or 0,
        "hosts": inspected.get("HostsPath") or "",
        "resolv_conf": inspected.get("ResolvConfPath") or "",
        "seconds": seconds,
        "wanted": list(wanted),
    }
    script = str(Path(__file__).with_name("inside_script.py"))
    ran = await run_program(
        [sys.executable, "-I", "-S", script], deadline=2 * seconds + 2, input=json.dumps(asked).encode()
    )
    try:
        told = json.loads(ran.out)
    except ValueError:
        raise SourceError(f"its network cannot be entered: {ran.error or 'no answer'}") from None
    if isinstance(told, dict):
        raise SourceError(
            f"its network cannot be entered: {clean(str(told.get('error')), 200)}", remedy="Run it as root on the host"
        )
    return tuple(
        Reached(name, port, tuple(one["addresses"]), one["from"], clean(one["outcome"], 100), one["took"])
        for (name, port), one in zip(wanted, told, strict=True)
    )


def sockets(pid: int, proc: Path = Path("/proc")) -> tuple[Socket, ...]:
    """The TCP sockets of the process's network namespace. Empty where they may not be read."""
    found = []
    for table in ("tcp", "tcp6"):
        try:
            lines = (proc / str(pid) / "net" / table).read_text(encoding="ascii").splitlines()[1 : _LINES + 1]
        except (OSError, UnicodeDecodeError):
            continue
        for line in lines:
            words = line.split()
            if len(words) > 3 and words[3] in _STATES:
                state = _STATES[words[3]]
                address, port = _place(words[2])
                found.append(Socket(state, _place(words[1])[1], "" if state == "listening" else address, port))
    return tuple(found)


def _place(text: str) -> tuple[str, int]:
    """Address and port as /proc/net/tcp writes them, each 32 bits in the order of the machine.

    >>> _place("0100007F:1F90"), _place("0000000000000000FFFF0000040014AC:1F40")
    (('127.0.0.1', 8080), ('172.20.0.4', 8000))
    """
    raw, _, port = text.partition(":")
    words = [bytes.fromhex(raw[i : i + 8])[:: -1 if sys.byteorder == "little" else 1] for i in range(0, len(raw), 8)]
    address = ipaddress.ip_address(b"".join(words))
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address), int(port, 16)
