"""What it costs to open a long incident: the record alone, and on the screen of the real console.

The loop's longest pause is measured inside the console (`paced_console`), beside the same console with a short
incident: that is what the machine itself does to it.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil

from console.incident.events import Actor
from console.incident.journal import Journal
from console.incident.store import IncidentStore
from tests.bench.journal_made import TITLE, make_incident
from tests.bench.table import Row
from tests.pty.terminal import Terminal

_MIB = 1024 * 1024


def rows(made: dict[int, Path], quick: bool) -> list[Row]:
    """`made`: incidents by the number of their events, of 10,000 and of 100,000; they are copied."""
    notes = 3 if quick else 10
    screens = [row for length in (10_000, 100_000) for row in _screen(made[length], length, notes)]
    return [*_record(made[100_000]), *screens, *_slow()]


def _record(long: Path) -> list[Row]:
    command = [sys.executable, "-m", "tests.bench.opening", str(long)]
    took = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    bare = took["bare"]
    yardstick = f"sha256 chain + json.loads {bare:.2f} s"

    def row(what: str, seconds: float, must: str) -> Row:
        return Row(what, f"{seconds:.2f} s", yardstick, f"{seconds / bare:.2f} x", must)

    return [
        row("100,000 events: read, verified and folded", took["open"], "1.2 s, at most 2.4"),
        row("... verify", took["verify"], ""),
        Row(
            "... memory",
            f"{(took['after'] - took['before']) / _MIB:.0f} MiB above {took['before'] / _MIB:.0f}",
            f"the files {sum(path.stat().st_size for path in long.glob('*.jsonl')) / _MIB:.0f} MiB",
            "",
            "",
        ),
    ]


@contextlib.contextmanager
def _console(data: Path, env: Mapping[str, str]) -> Iterator[tuple[Terminal, Path]]:
    pulse = data / "pulse"
    config = data / "sevdeck.toml"
    config.write_text("")
    full = {"HOME": str(data), "SEVDECK_CONFIG": str(config), "SEVDECK_DATA_DIR": str(data), **env}
    full["DOCKER_HOST"] = "unix:///nonexistent"  # its lists and figures are another section's
    with Terminal([sys.executable, "-m", "tests.bench.paced_console", str(pulse)], env=full) as terminal:
        yield terminal, pulse


def _longest(pulse: Path, since: float, until: float = float("inf")) -> float:
    """The longest pause of the loop in milliseconds."""
    pairs = [line.split() for line in pulse.read_text().splitlines()] if pulse.exists() else []
    return 1000 * max((float(gap) for at, gap in pairs if since <= float(at) <= until), default=0.0)


def _screen(made: Path, length: int, notes: int) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="bench-opening-", dir=Path.home()) as name:
        data = Path(name)
        make_incident(data / "incidents" / "INC-2026-0001", 50)
        directory = Path(shutil.copytree(made, data / "incidents" / made.name))
        IncidentStore(data, Actor.current()).list()  # the list of a host where consoles have run
        other = Journal(directory, Actor("bob", host="prod-1", via="console"))
        with _console(data, {}) as (terminal, pulse):
            terminal.wait_for("INC-2026-0001.*" + TITLE[:8], 20)
            terminal.send("I")
            terminal.wait_for("Timeline")
            terminal.wait_for(r"\d+ saved")
            time.sleep(2.0)
            quiet = time.monotonic()
            time.sleep(2.0)
            before = _longest(pulse, quiet)
            terminal.send("w")
            terminal.wait_for(made.name)
            terminal.send("down")
            time.sleep(0.3)
            began = time.monotonic()
            terminal.send("enter")
            last = f"shop-app-{(length - 1) % 7}: restarted, {(length - 1) % 13} times"
            terminal.wait_until(lambda text: made.name in text and last in text, "its end", 60)
            first = time.monotonic() - began
            whole = re.compile(rf"{length // 10}\d saved")
            terminal.wait_until(
                lambda text: whole.search(text) is not None and "verifying" not in text, "all of it", 60
            )
            loaded = time.monotonic()
            time.sleep(1.5)  # the answer of the loop to the first frames of it
            gap = _longest(pulse, began)
            memory = psutil.Process(terminal.process.pid).memory_info().rss
            other.append("note", {"text": "begins"})
            terminal.wait_for("bob begins", 20)
            time.sleep(1.0)
            told, since, used = [], time.monotonic(), _cpu(terminal)
            for number in range(notes):
                wrote = time.monotonic()
                other.append("note", {"text": f"news {number}."})
                terminal.wait_for(rf"news {number}\.", 20)
                told.append(time.monotonic() - wrote)
                time.sleep(0.4)
            busy, passed = _cpu(terminal) - used, time.monotonic() - since
            used, since_rest = _cpu(terminal), time.monotonic()
            note_gap = _longest(pulse, since, since_rest)
            time.sleep(2.0)
            rest = (_cpu(terminal) - used) / (time.monotonic() - since_rest)
    return [
        Row(
            f"incident of {length:,} events in the console: chosen until its end is on the screen",
            f"{1000 * first:.0f} ms, all of it after {loaded - began:.2f} s",
            "",
            "",
            "200 ms",
        ),
        Row("... longest pause of the screen meanwhile", f"{gap:.0f} ms", f"at rest {before:.0f} ms", "", "120 ms"),
        Row("... memory of the console", f"{memory / _MIB:.0f} MiB", "", "", ""),
        Row(
            "... another's note: written until on the screen, median",
            f"{1000 * sorted(told)[len(told) // 2]:.0f} ms, {1000 * max(0.0, busy - rest * passed) / notes:.0f} ms of cpu",
            f"longest pause {note_gap:.0f} ms",
            "",
            "250 ms",
        ),
    ]


def _cpu(terminal: Terminal) -> float:
    times = psutil.Process(terminal.process.pid).cpu_times()
    return times.user + times.system


def _slow() -> list[Row]:
    """The loop while an entry waits for a disk that takes two seconds."""
    with tempfile.TemporaryDirectory(prefix="bench-opening-", dir=Path.home()) as name:
        data = Path(name)
        make_incident(data / "incidents" / "INC-2026-0001", 50)
        with _console(data, {"BENCH_SLOW_SYNC": "2"}) as (terminal, pulse):
            terminal.wait_for("INC-2026-0001.*" + TITLE[:8], 20)
            terminal.send("I")
            terminal.wait_for("Timeline")
            time.sleep(5.0)  # what the console itself writes when it begins to follow
            quiet = time.monotonic()
            time.sleep(2.0)
            before = _longest(pulse, quiet)
            terminal.send("n")
            time.sleep(0.5)
            terminal.send("slow words")
            time.sleep(0.5)
            began = time.monotonic()
            terminal.send("enter")
            terminal.wait_for("NOT SAVED", 20)
            terminal.wait_for("ana slow words|root slow words|slow words", 20)
            time.sleep(2.5)
            gap = _longest(pulse, began)
    return [
        Row(
            "longest pause of the screen while fdatasync takes 2 s", f"{gap:.0f} ms", f"at rest {before:.0f} ms", "",
            "50 ms",
        )
    ]  # fmt: skip
