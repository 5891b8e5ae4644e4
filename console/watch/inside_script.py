"""Run as a program of its own, as root: what can be reached from within a container's network namespace.

Standard input: {"pid": 4711, "hosts": path, "resolv_conf": path, "seconds": 2.0, "wanted": [["postgres", 5432], ...]};
the paths are the engine's own copies on the host. Standard output: a list beside it of
{"addresses": [...], "from": "hosts" | "dns" | "", "outcome": "connected" | ..., "took": seconds or null}, or
{"error": text}. Nothing of the container is executed, and nothing in it is written: its network namespace is entered, and
names are asked for as its own programs would. Python's own resolver cannot be used
for that: it would ask whom the host asks. Only the standard library is imported, so that it starts in 30 ms.
"""

from __future__ import annotations

import ctypes
import json
import os
import secrets
import socket
import struct
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_CLONE_NEWNET = 0x40000000
_FILE_LIMIT = 65536  # bytes
_A = 1  # DNS type of an IPv4 address
_THREADS = 16


def main() -> int:
    """Always prints one JSON document."""
    try:
        asked = json.load(sys.stdin)
        answer: object = _answer(asked, asked["wanted"], float(asked["seconds"]))
    except OSError as error:
        answer = {"error": error.strerror or str(error)}
    except (KeyError, TypeError, ValueError) as error:
        answer = {"error": f"not understood: {error}"}
    sys.stdout.write(json.dumps(answer))
    return 0


def _answer(asked: dict[str, str], wanted: list[tuple[str, int]], seconds: float) -> list[dict[str, object]]:
    hosts, servers = _hosts(_read(asked["hosts"])), _nameservers(_read(asked["resolv_conf"]))
    _enter(int(asked["pid"]))
    names = sorted({name for name, _ in wanted})
    with ThreadPoolExecutor(_THREADS) as pool:  # threads begun now are inside, too
        found = dict(zip(names, pool.map(lambda name: _resolve(name, hosts, servers, seconds), names), strict=True))
        return list(pool.map(lambda pair: _connect(*found[pair[0]], pair[1], seconds), wanted))


def _read(path: str) -> str:
    """ "" for a file that is not there."""
    try:
        with Path(path).open("rb") as file:
            return file.read(_FILE_LIMIT).decode(errors="replace")
    except OSError:
        return ""


def _enter(pid: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    fd = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.setns(fd, _CLONE_NEWNET) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
    finally:
        os.close(fd)


def _hosts(text: str) -> dict[str, list[str]]:
    """Name -> addresses."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        for name in names:
            found.setdefault(name.lower(), []).append(address)
    return found


def _nameservers(text: str) -> list[str]:
    words = [line.split() for line in text.splitlines()]
    return [w[1] for w in words if len(w) > 1 and w[0] == "nameserver"][:3]


def _resolve(name: str, hosts: dict[str, list[str]], servers: list[str], seconds: float) -> tuple[list[str], str, str]:
    """(addresses, where they come from, why there are none)."""
    if _is_address(name):
        return [name], "address", ""
    if name.lower() in hosts:
        return hosts[name.lower()], "hosts", ""
    why = "no name server" if not servers else ""
    for server in servers:
        try:
            addresses = _dns(name, server, seconds / len(servers))
        except TimeoutError:
            why = f"{server} does not answer"
        except OSError as error:
            why = f"{server}: {error.strerror or error}"
        except UnicodeError:
            why = "no name that could be asked for"
        else:
            return addresses, "dns", "" if addresses else "unknown name"
    return [], "", why


def _is_address(name: str) -> bool:
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in name else socket.AF_INET, name)
    except OSError:
        return False
    return True


def _dns(name: str, server: str, seconds: float) -> list[str]:
    """IPv4 addresses of `name`. Raises OSError (TimeoutError when nobody answers)."""
    ident = secrets.randbelow(65536)
    labels = b"".join(bytes([len(part)]) + part for part in name.encode("idna").split(b"."))
    query = struct.pack("!HHHHHH", ident, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", _A, 1)
    ends = time.monotonic() + seconds
    with socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect((server, 53))
        for _ in range(2):  # a datagram may be lost
            sock.settimeout(max(0.05, (ends - time.monotonic()) / 2))
            sock.send(query)
            try:
                answer = sock.recv(4096)
            except TimeoutError:
                continue
            if answer[:2] == query[:2]:
                return _addresses(answer)
    raise TimeoutError


def _addresses(answer: bytes) -> list[str]:
    """The A records of a DNS answer. Raises OSError for one that is cut."""
    try:
        questions, answers = struct.unpack("!HH", answer[4:8])
        place, found = 12, []
        for _ in range(questions):
            place = _after_name(answer, place) + 4
        for _ in range(answers):
            place = _after_name(answer, place)
            kind, _, _, length = struct.unpack("!HHIH", answer[place : place + 10])
            if kind == _A and length == 4:
                found.append(socket.inet_ntoa(answer[place + 10 : place + 14]))
            place += 10 + length
    except (IndexError, struct.error):
        raise OSError(0, "its answer is cut") from None
    return found


def _after_name(answer: bytes, place: int) -> int:
    while answer[place]:
        if answer[place] >= 0xC0:  # the rest of the name stands elsewhere
            return place + 2
        place += 1 + answer[place]
    return place + 1


def _connect(addresses: list[str], source: str, why: str, port: int, seconds: float) -> dict[str, object]:
    """Whether somebody takes a connection there; it is dropped at once."""
    outcome, took = why or "unknown name", None
    for address in addresses[:4]:
        began = time.monotonic()
        try:
            socket.create_connection((address, port), seconds).close()
        except TimeoutError:
            outcome = "no answer"
        except OSError as error:
            outcome = (error.strerror or str(error)).lower()
        else:
            outcome, took = "connected", time.monotonic() - began
            break
    return {"addresses": addresses, "from": source, "outcome": outcome, "took": took}


if __name__ == "__main__":
    sys.exit(main())
