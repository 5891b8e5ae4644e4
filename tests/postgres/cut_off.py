"""A replica whose packets are really lost, as a process in a network of its own: `unshare -n python -m tests.postgres.cut_off`.

It starts a server there, drops what goes to it and comes from it while the connection stands, and prints as JSON how
many seconds each thing took. Root, because the packets are dropped by the kernel.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import tempfile
import time
from pathlib import Path

from console.replica.schema import initialise
from tests.postgres.cluster import private_server
from tests.postgres.hosts import Host, in_step

_ENDS = ("--dport", "--sport")


def _lose(port: int, *how: str) -> None:
    for end in _ENDS if how == ("DROP",) else _ENDS[:1]:
        rule = ["iptables", "-A", "INPUT", "-p", "tcp", end, str(port), "-j", *how]
        subprocess.run(rule, check=True, capture_output=True)


def _find_again() -> None:
    subprocess.run(["iptables", "-F"], check=True, capture_output=True)


async def _try(port: int, dsn: str, home: Path) -> dict[str, float | str]:
    await initialise(dsn)
    one, two = Host(home, "prod-1", dsn), Host(home, "prod-2", dsn)
    told: dict[str, float | str] = {}
    journal = one.store.create("Checkout returns 502", 1)
    one.replica.kick()
    await in_step(one, two)

    async def measured(name: str, state: str) -> None:
        began = time.monotonic()
        found = await one.until(lambda s: s.away if state == "away" else s.in_step and s.waiting == 0, 30)
        told[name] = round(time.monotonic() - began, 2)
        told[f"{name}: words"] = found.words(time.time())

    _lose(port, "DROP")
    await measured("idle, lost: noticed", "away")
    began = time.monotonic()
    one.write(journal, "into the dark")
    told["lost: waiting"] = str(await one.replica.drain(1.5))
    told["lost: quit"] = round(time.monotonic() - began, 2)
    _find_again()
    await measured("found again", "in step")
    _lose(port, "DROP")
    one.write(journal, "into the dark again")
    await measured("written, lost: noticed", "away")
    _find_again()
    await measured("found once more", "in step")
    _lose(port, "REJECT", "--reject-with", "tcp-reset")
    one.write(journal, "refused")
    await measured("reset: noticed", "away")
    _find_again()
    await measured("after the reset", "in step")
    await in_step(one, two)
    told["entries"] = str(two.store.incident(journal.incident).timeline[-1].summary)
    for host in (one, two):
        await host.stop()
    return told


def main() -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with private_server() as server, tempfile.TemporaryDirectory() as home:
        print(json.dumps(asyncio.run(_try(server.port, server.dsn(), Path(home)))))


if __name__ == "__main__":
    main()
