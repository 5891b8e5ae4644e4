"""Ways to the server on which packets are lost, refused, or slow."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time

import pytest

from tests.postgres.cluster import Server
from tests.postgres.conftest import absent
from tests.postgres.hosts import Make, eventually, in_step, notes
from tests.postgres.ways import Slow


@pytest.mark.timeout(180)
def test_packets_that_are_really_lost(postgres: Server) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may drop packets")
    for program in ("unshare", "iptables", "ip"):
        if shutil.which(program) is None:
            absent(f"{program} is not installed (Debian: apt-get install util-linux iptables iproute2)")
    command = ["unshare", "-n", sys.executable, "-m", "tests.postgres.cut_off"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=150)
    assert ran.returncode == 0, ran.stderr[-3000:]
    told = json.loads(ran.stdout.splitlines()[-1])
    print(json.dumps(told, indent=1))
    assert told["idle, lost: noticed"] <= 12 and told["written, lost: noticed"] <= 12
    assert told["lost: quit"] <= 2 and told["lost: waiting"] == "1"
    assert told["reset: noticed"] <= 3
    assert all(told[name] <= 12 for name in ("found again", "found once more", "after the reset"))
    assert told["entries"] == "refused"


async def test_over_a_slow_way_entries_still_flow(host: Make, postgres: Server, dsn: str) -> None:
    async with Slow(postgres.port, 0.2) as way:
        far = host("prod-1", dsn.replace(f":{postgres.port}/", f":{way.port}/"))
        near = host("prod-2")
        journal = far.store.create("Checkout returns 502", 1)
        far.write(journal, *(f"note {n}" for n in range(20)))
        await far.until(lambda s: s.in_step and bool(s.vectors))
        await eventually(lambda: near.store.list() != [] and len(notes(near.store, journal.incident)) == 20)
        began = time.monotonic()
        far.write(journal, "from far away")
        await eventually(lambda: "from far away" in notes(near.store, journal.incident))
        print(f"from far away after {time.monotonic() - began:.2f} s")
        assert time.monotonic() - began < 5
        own = near.store.open(journal.incident)
        near.write(own, "to far away")
        await eventually(lambda: "to far away" in notes(far.store, journal.incident))
        await in_step(far)
