"""The console on a real terminal with real containers: start, bytes on the wire, cpu, memory, latency.

Every figure is printed beside a yardstick of the same run, because machines are shared and noisy.
"""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from tests.bench.table import Row
from tests.pty.terminal import Terminal

_LAB = [sys.executable, str(Path(__file__).parents[1] / "lab" / "lab.py")]
_TRIVIAL = textwrap.dedent("""
    from textual.app import App
    from textual.widgets import Static
    class Trivial(App):
        def compose(self):
            yield Static("hello from a trivial app", markup=False)
    Trivial().run()
""")


@contextlib.contextmanager
def many(count: int) -> Iterator[None]:
    """`count` idle containers for the time of the block."""
    subprocess.run([*_LAB, "many", str(count)], check=True, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        subprocess.run([*_LAB, "many", "0"], check=True, stdout=subprocess.DEVNULL)


@contextlib.contextmanager
def console(config: str = "", cols: int = 120, rows: int = 40) -> Iterator[Terminal]:
    """The console with its own home and data, on a pty."""
    with tempfile.TemporaryDirectory() as home:
        path = Path(home) / "sevdeck.toml"
        path.write_text(config)
        env = {"HOME": home, "XDG_DATA_HOME": f"{home}/data", "SEVDECK_CONFIG": str(path)}
        env["SEVDECK_DATA_DIR"] = f"{home}/data/sevdeck"
        with Terminal([sys.executable, "-m", "console"], cols=cols, rows=rows, env=env) as terminal:
            yield terminal


def ready(text: str) -> bool:
    """A full frame with figures: host memory, and a container with its memory."""
    return (
        "GiB" in text
        and "load" in text
        and any("healthy" in x or "running" in x for x in text.splitlines() if "iB" in x)
    )


def startup(rounds: int = 7) -> list[Row]:
    """Seconds from starting the process to a full frame with figures, and of a trivial Textual app."""
    ours, trivial = [], []
    for _ in range(rounds):
        with Terminal([sys.executable, "-c", _TRIVIAL]) as terminal:
            trivial.append(terminal.wait_for("hello from a trivial"))
        with console() as terminal:
            ours.append(terminal.wait_until(ready, "a full frame with figures"))
    a, b = statistics.median(ours), statistics.median(trivial)
    return [
        Row(
            "start to full frame, 120x40",
            f"{a:.2f} s (best {min(ours):.2f})",
            f"trivial Textual app {b:.2f} s",
            f"{a / b:.2f} x",
            "2.5 x",
        )
    ]


@contextlib.contextmanager
def writing(path: Path, per_second: float) -> Iterator[None]:
    """A log that gets `per_second` lines."""
    stop = threading.Event()

    def write() -> None:
        number = 0
        with path.open("a") as log:
            while not stop.wait(1 / per_second):
                number += 1
                log.write(
                    f"{time.strftime('%Y-%m-%dT%H:%M:%S')} INFO shop.api request {number} done in {number % 97} ms\n"
                )
                log.flush()

    path.touch()
    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def wire(seconds: float = 20.0) -> list[Row]:
    """Bytes a second to the terminal on the dashboard at 1 Hz with 5 log lines a second; and while paused."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "app.log"
        with writing(log, 5), console(f'[[logs]]\nname = "app"\npath = "{log}"\n') as terminal:
            terminal.wait_until(ready, "a full frame")
            time.sleep(3)
            before = len(terminal.raw)
            time.sleep(seconds)
            moving = (len(terminal.raw) - before) / seconds
    with console('[[logs]]\nname = "none"\npath = "/nonexistent/*.log"\n') as terminal:
        terminal.wait_until(ready, "a full frame")
        terminal.send("space")
        time.sleep(2)
        before = len(terminal.raw)
        time.sleep(5)
        still = len(terminal.raw) - before
    return [
        Row(
            "bytes to the terminal, 1 Hz, 5 log lines/s",
            f"{moving / 1024:.2f} KiB/s",
            "htop 2.4, btop 7.7 kB/s",
            "",
            "4 KiB/s",
        ),
        Row("bytes in 5 s when nothing changes (paused)", f"{still} B", "", "", "0 B"),
    ]


def _cpu_seconds(pids: list[int]) -> float:
    total = 0.0
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            times = psutil.Process(pid).cpu_times()
            total += times.user + times.system
    return total


def _engine_pids() -> list[int]:
    pid_file = Path("/var/run/docker.pid")
    return [int(pid_file.read_text())] if pid_file.exists() else []


def cpu(containers: int, must: str, seconds: float = 60.0) -> list[Row]:
    """Percent of one core that sevdeck and dockerd use together on the dashboard at 1 Hz."""
    with console() as terminal:
        terminal.wait_until(ready, "a full frame")
        time.sleep(5)
        pids = [terminal.process.pid, *_engine_pids()]
        ours, both = _cpu_seconds(pids[:1]), _cpu_seconds(pids)
        time.sleep(seconds)
        ours, both = _cpu_seconds(pids[:1]) - ours, _cpu_seconds(pids) - both
    engine = _cpu_seconds(pids[1:])
    time.sleep(min(seconds, 20))
    idle = (_cpu_seconds(pids[1:]) - engine) / min(seconds, 20)
    share = 100 * (both / seconds - idle)
    note = f"sevdeck {100 * ours / seconds:.1f} %, dockerd alone {100 * idle:.1f} %"
    return [Row(f"cpu of sevdeck + what it costs dockerd, {containers} containers", f"{share:.1f} %", note, "", must)]


def _more_exits_than(before: int) -> Callable[[str], bool]:
    return lambda text: text.count("exited 137") > before


def latency(rounds: int = 15) -> list[Row]:
    """Milliseconds from `docker kill` to the container's row changed on the screen."""
    import docker

    client = docker.from_env()
    found = client.containers.list(filters={"label": "com.docker.compose.project=many"})
    names = [str(c.name) for c in found][:rounds]
    taken = []
    with console() as terminal:
        terminal.wait_until(ready, "a full frame")
        time.sleep(2)
        for name in names:
            service = str(client.containers.get(name).labels["com.docker.compose.service"])
            before = terminal.text().count("exited 137")
            began = time.monotonic()
            client.api.kill(name)
            terminal.wait_until(_more_exits_than(before), f"{service} exited")
            taken.append(1000 * (time.monotonic() - began))
    for name in names:
        client.containers.get(name).start()
    median = statistics.median(taken)
    return [
        Row(
            "docker kill to its row changed",
            f"{median:.0f} ms (worst {max(taken):.0f})",
            "lazydocker 55, glances 1200 ms",
            "",
            "80 ms",
        )
    ]


def memory(lines: int = 360_000, seconds: float = 60.0) -> list[Row]:
    """Resident memory after one hour's lines at 100 a second, written within `seconds`."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "app.log"
        log.touch()
        with console(f'[[logs]]\nname = "app"\npath = "{log}"\n') as terminal:
            terminal.wait_until(ready, "a full frame")
            process = psutil.Process(terminal.process.pid)
            time.sleep(3)
            start = process.memory_info().rss
            peak, half = start, 0
            with log.open("a") as out:
                for part in range(100):
                    for number in range(lines // 100):
                        out.write(
                            f"2026-11-22T03:12:00.{number % 1000:03d}Z INFO api request {part}-{number} done in {number % 97} ms\n"
                        )
                    out.flush()
                    peak = max(peak, process.memory_info().rss)
                    half = process.memory_info().rss if part == 50 else half
                    time.sleep(seconds / 100)
            time.sleep(1)
            end = process.memory_info().rss
    mib = 1024 * 1024
    return [
        Row("memory, 20 containers, 360,000 log lines", f"{peak / mib:.0f} MiB peak", f"start {start / mib:.0f}, half-way {half / mib:.0f}, end {end / mib:.0f} MiB", "", "100 MB")
    ]  # fmt: skip


def rows(quick: bool) -> list[Row]:
    """All figures of the console. Needs a Docker engine."""
    if not Path("/var/run/docker.sock").exists():
        return [Row("console with containers", "not measured", "no Docker engine here", "", "")]
    out: list[Row] = []
    with many(20):
        out += startup(3 if quick else 7)
        out += wire(10 if quick else 20)
        out += latency(5 if quick else 15)
        out += cpu(20, "3 %", 20 if quick else 60)
        out += memory(seconds=20 if quick else 60)
    with many(100):
        out += cpu(100, "5 %", 20 if quick else 60)
    return out
