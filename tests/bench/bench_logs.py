"""Measure the logs: open a big file, follow a flood, find a word, cost on the wire, memory over many lines.

    python -m tests.bench.bench_logs                    # everything at full size: 1 GB, 60 s
    python -m tests.bench.bench_logs --size 64 --seconds 5   # small

The console runs as a process of its own in a pseudo terminal of 120x40, read through a terminal emulator; the
yardsticks (tail, grep) run on the same file just before.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psutil
import pyte

from tests.bench.table import Row, markdown

COLUMNS, ROWS = 120, 40
WORD = "needleword"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--size", type=int, default=1024, help="MB of the big file")
    options.add_argument("--seconds", type=float, default=60.0, help="length of the flood")
    options.add_argument("--rate", type=int, default=50_000, help="lines a second of the flood")
    options.add_argument("--hour", type=int, default=360_000, help="lines for the memory run (100/s for an hour)")
    options.add_argument("--only", default="", help="open, flood, find, wire, hour")
    chosen = options.parse_args()
    only = {chosen.only} if chosen.only else {"open", "find", "flood", "wire", "hour"}
    print(markdown(measured(only, chosen.size, chosen.rate, chosen.seconds, chosen.hour)))


def rows(quick: bool) -> list[Row]:
    """What the table of `python -m tests.bench` shows of logs."""
    only = {"open", "find", "flood"}
    return measured(only, 128, 50_000, 12.0, 0) if quick else measured(only, 1024, 50_000, 60.0, 0)


def measured(only: set[str], size: int, rate: int, seconds: float, hour: int) -> list[Row]:
    """The rows of these measurements; `size` of the big file in MB."""
    found: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="bench-logs-") as folder:
        place = Path(folder)
        big = place / "big.log"
        if only & {"open", "find"}:
            write_big(big, size << 20)
        if "open" in only:
            found += bench_open(big)
        if "find" in only:
            found += bench_find(big)
        big.unlink(missing_ok=True)
        if "flood" in only:
            found += bench_flood(place, rate, seconds)
        if "wire" in only:
            found += bench_wire(place)
        if "hour" in only:
            found += bench_hour(place, hour)
    return found


# -- the console in a terminal


class Terminal:
    """A process in a pseudo terminal, and what its screen shows."""

    def __init__(self, *args: str) -> None:
        self.screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.ByteStream(self.screen)
        self.bytes = 0
        pid, self._fd = pty.fork()
        if pid == 0:
            os.environ.update(TERM="xterm-256color", COLORTERM="", LANG="C.UTF-8", LC_ALL="C.UTF-8")
            os.execv(sys.executable, [sys.executable, "-m", "tests.bench.log_console", *args])
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.process = psutil.Process(pid)
        self.started = time.monotonic()

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(3)
        except psutil.TimeoutExpired:
            self.process.kill()
        os.close(self._fd)

    def pump(self, seconds: float) -> bool:
        """Read what the process draws, for at most so long; whether anything came."""
        ready, _, _ = select.select([self._fd], [], [], seconds)
        if not ready:
            return False
        data = os.read(self._fd, 65536)
        self.bytes += len(data)
        self._stream.feed(data)
        return True

    def wait_for(self, seen: Callable[[str], bool], seconds: float = 10.0) -> float:
        """Seconds until the screen shows it; infinite when it never does."""
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            if self.pump(0.005) and seen("\n".join(self.screen.display)):
                return time.monotonic() - began
        return float("inf")

    def press(self, key: str) -> None:
        os.write(self._fd, key.encode())

    @property
    def cpu(self) -> float:
        times = self.process.cpu_times()
        return float(times.user + times.system)

    @property
    def rss(self) -> float:
        return float(self.process.memory_info().rss) / 1e6


# -- what is measured


def bench_open(big: Path) -> list[Row]:
    subprocess.run(["cat", big], stdout=subprocess.DEVNULL, check=True)  # a warm cache, as after writing
    yard = timed(lambda: subprocess.run(["tail", "-n", "40", big], stdout=subprocess.DEVNULL, check=True))
    last = big.open("rb").seek(0, os.SEEK_END)
    mark = f"id={last_id(big)}"
    empty = big.parent / "empty.log"
    empty.write_text("2026-11-22 03:12:01,123 INFO nothing here mark=empty\n")
    bare, bare_memory = opened(empty, "mark=empty")
    full, memory = opened(big, mark)
    return [
        Row(
            f"open a log of {last / 1e6:.0f} MB and show its end",
            f"{max(0.0, full - bare):.2f} s above an empty log ({full:.2f} s from process start)",
            f"tail -n 40 {yard:.3f} s",
            "",
            "0.3 s",
        ),
        Row(
            "memory for it",
            f"{memory - bare_memory:.1f} MB above an empty log",
            f"whole process {memory:.0f} MB",
            "",
            "15 MB",
        ),
    ]


def opened(path: Path, mark: str) -> tuple[float, float]:
    times = []
    for _ in range(3):
        with Terminal(str(path)) as terminal:
            times.append(terminal.wait_for(lambda text: mark in text))
            settle(terminal, 1.0)
            memory = terminal.rss
    return min(times), memory


def bench_find(big: Path) -> list[Row]:
    from console.watch.logsearch import FileSearch

    exact = timed(lambda: subprocess.run(["grep", "-c", WORD, big], stdout=subprocess.PIPE, check=True))
    anycase = timed(lambda: subprocess.run(["grep", "-ic", WORD, big], stdout=subprocess.PIPE, check=True))
    began = time.monotonic()
    search = FileSearch(big, WORD).start()
    while not search.count and not search.done:
        time.sleep(0.0005)
    first = time.monotonic() - began
    search.join()
    passed = time.monotonic() - began
    size = f"{big.stat().st_size / 1e6:.0f} MB"
    return [
        Row(f"find a word in {size}, any case: first hit from the end", f"{first:.3f} s", "", "", "0.1 s"),
        Row(
            f"... all {search.count:,} hits counted",
            f"{passed:.2f} s",
            f"grep -c {exact:.2f} s, grep -ic {anycase:.2f} s",
            f"{passed / exact:.2f} x",
            "1.5 s",
        ),
    ]


def bench_flood(place: Path, rate: int, seconds: float) -> list[Row]:
    path = place / "flood.log"
    path.write_text("")
    with Terminal(str(path)) as terminal:
        terminal.wait_for(lambda text: "following" in text)
        settle(terminal, 1.0)
        writer = subprocess.Popen([sys.executable, "-m", "tests.bench.log_writer", path, str(rate), str(seconds)])
        settle(terminal, min(3.0, seconds / 4))
        lags, memory, cpu = followed(terminal, seconds * 0.45)
        keys = pressed(terminal, seconds * 0.4)
        end = terminal.rss
        writer.wait()
    lags.sort()
    keys.sort()
    what = f"{rate:,} lines/s into one log for {seconds:.0f} s"
    behind = f"p50 {at(lags, 0.5):.3f} s, p99 {at(lags, 0.99):.3f} s"
    pressed_text = f"p50 {1000 * at(keys, 0.5):.0f} ms, p99 {1000 * at(keys, 0.99):.0f} ms ({len(keys)} keys)"
    return [
        Row(f"{what}: behind", behind, f"it grew to {path.stat().st_size / 1e6:.0f} MB", "", "0.2 s"),
        Row("... cpu while only followed", f"{cpu:.1f} % of a core", "", "", "15 %"),
        Row("... key to screen", pressed_text, "", "", "p99 100 ms"),
        Row("... memory", f"{memory:.0f} → {end:.0f} MB", "", "", "flat"),
    ]


def followed(terminal: Terminal, seconds: float) -> tuple[list[float], float, float]:
    """How far the screen is behind, memory at the start, cpu in percent."""
    lags: list[float] = []
    memory, cpu, began = terminal.rss, terminal.cpu, time.monotonic()
    checked = began
    while (now := time.monotonic()) - began < seconds:
        terminal.pump(0.05)
        if now - checked >= 0.05:
            checked = now
            shown = [float(stamp) for stamp in re.findall(r"sent=(\d+\.\d+)", "\n".join(terminal.screen.display))]
            if shown:
                lags.append(time.time() - max(shown))
    return lags, memory, 100.0 * (terminal.cpu - cpu) / (time.monotonic() - began)


def pressed(terminal: Terminal, seconds: float) -> list[float]:
    """Seconds from a key to its effect in the title."""
    found: list[float] = []
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        for key, effect in (("p", "paused"), ("f", "following")):
            terminal.press(key)
            found.append(terminal.wait_for(partial(titled, effect), 2.0))
            settle(terminal, 0.15)
    return found


def titled(effect: str, text: str) -> bool:
    """Whether the title line of the screen says it."""
    return effect in text.split("\n")[0]


def bench_wire(place: Path) -> list[Row]:
    path = place / "quiet.log"
    path.write_text("2026-11-22 03:12:01,123 INFO started\n")
    with Terminal("--compact", str(path)) as terminal:
        settle(terminal, 2.5)
        before = terminal.bytes
        settle(terminal, 5.0)
        silent = (terminal.bytes - before) / 5.0
        before, began = terminal.bytes, time.monotonic()
        cpu = terminal.cpu
        for number in lines_for(10.0, 5):
            with path.open("a") as file:
                file.write(
                    f"2026-11-22 03:12:{number % 60:02d},123 INFO shop.checkout order {number} accepted in 31 ms\n"
                )
            settle(terminal, 0.2)
        spent = time.monotonic() - began
        rate = f"{(terminal.bytes - before) / spent:.0f} bytes/s, silent {silent:.0f}"
        share = f"cpu {100 * (terminal.cpu - cpu) / spent:.1f} % of a core"
    return [Row("log pane of 72x12, 5 lines/s at 1 Hz", rate, share, "", "")]


def bench_hour(place: Path, lines: int) -> list[Row]:
    path = place / "hour.log"
    path.write_text("")
    with Terminal(str(path)) as terminal:
        terminal.wait_for(lambda text: "following" in text)
        settle(terminal, 1.0)
        marks = [terminal.rss]
        for part in range(4):
            with path.open("a") as file:
                for number in range(lines // 4):
                    file.write(
                        f"2026-11-22 03:12:01,123 INFO shop.checkout order {part}-{number} accepted in 31 ms for 7\n"
                    )
                    if number % 2000 == 0:
                        file.flush()
                        settle(terminal, 0.05)
            settle(terminal, 1.0)
            marks.append(terminal.rss)
    shown = " → ".join(f"{mark:.0f}" for mark in marks)
    return [Row(f"memory of the log screen, {lines:,} lines (100/s for an hour)", f"{shown} MB", "", "", "flat")]


# -- small things


def write_big(path: Path, size: int) -> None:
    words = [
        "order",
        "payment",
        "gateway",
        "customer",
        "accepted",
        "shipped",
        "refused",
        "queue",
        "worker",
        "cache",
        "miss",
        "hit",
        "latency",
    ]
    number = written = 0
    with path.open("wb") as file:
        while written < size:
            block = []
            for _ in range(5000):
                number += 1
                stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(1_795_300_000 + number // 100))
                level = "ERROR" if number % 101 == 0 else "WARN" if number % 23 == 0 else "INFO"
                text = " ".join(words[(number * k) % len(words)] for k in range(1, 8))
                extra = f" {WORD}" if number % 997 == 0 else ""
                block.append(
                    f"{stamp},{number % 1000:03d} {level} [worker-{number % 8}] shop - {text}{extra} id={number}\n"
                )
            data = "".join(block).encode()
            file.write(data)
            written += len(data)


def last_id(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(-300, os.SEEK_END)
        return file.read().rsplit(b"id=", 1)[1].strip().decode()


def settle(terminal: Terminal, seconds: float) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        terminal.pump(min(left, 0.05))


def lines_for(seconds: float, rate: int) -> Iterator[int]:
    yield from range(int(seconds * rate))


def at(values: list[float], share: float) -> float:
    """The value below which this share of sorted values lies."""
    return values[min(len(values) - 1, int(len(values) * share))] if values else float("nan")


def timed(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


if __name__ == "__main__":
    main()
