"""A real terminal for tests: the program runs on a pty, its bytes are kept and drawn by pyte.

`wait_for` waits on the output itself, never on a fixed time. `Tmux` drives the same program as people have it,
inside tmux.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import termios
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyte

KEYS = {"enter": "\r", "esc": "\x1b", "tab": "\t", "down": "\x1b[B", "up": "\x1b[A", "space": " "}


def has_terminal(pid: int) -> bool:
    """Whether process `pid` has a controlling terminal, by field 7 of proc(5)'s `stat`.

    psutil keeps its list of terminals from the first time it was asked: one that was opened later is none to it.
    """
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return int(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[4]) != 0
    return False


class Terminal:
    """A program on its own pty of `cols` x `rows`."""

    def __init__(
        self, argv: Sequence[str], *, cols: int = 120, rows: int = 40, env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:  # fmt: skip
        self.started = time.monotonic()
        self.raw = bytearray()
        self._screen = pyte.Screen(cols, rows)
        self._stream = pyte.ByteStream(self._screen)
        self._fed = 0
        self._news = threading.Condition()
        self.exit_code: int | None = None
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color", **(env or {})}
        environment.pop("COLORTERM", None)
        self.process = subprocess.Popen(
            list(argv), stdin=slave, stdout=slave, stderr=slave, env=environment, cwd=cwd, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0) and None,
        )  # fmt: skip
        os.close(slave)
        self._master = master
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                ready, _, _ = select.select([self._master], [], [], 0.2)
                chunk = os.read(self._master, 65536) if ready else b""
            except (OSError, ValueError):
                break
            if ready and not chunk:
                break
            if chunk:
                with self._news:
                    self.raw += chunk
                    self._news.notify_all()
        with self._news:
            self._news.notify_all()

    def send(self, *keys: str) -> None:
        """Type keys: names of `KEYS`, `ctrl+x`, or text as it is."""
        for key in keys:
            text = chr(ord(key[-1]) - 96) if key.startswith("ctrl+") else KEYS.get(key, key)
            os.write(self._master, text.encode())

    def lines(self) -> list[str]:
        """The screen as it is now."""
        with self._news:
            fresh = bytes(self.raw[self._fed :])
            self._fed = len(self.raw)
        # pyte stops at sequences it does not know with a parameter prefix; terminals ignore them.
        self._stream.feed(re.sub(rb"\x1b\[[<>=][0-9;]*[a-zA-Z]", b"", fresh))
        return [line.rstrip() for line in self._screen.display]

    def text(self) -> str:
        return "\n".join(self.lines())

    def wait_until(self, true: Callable[[str], bool], what: str, timeout: float = 15.0) -> float:
        """Wait until the screen satisfies `true`; returns the seconds since the program started."""
        end = time.monotonic() + timeout
        while True:
            seen = len(self.raw)
            text = self.text()
            if true(text):
                return time.monotonic() - self.started
            left = end - time.monotonic()
            if left <= 0 or (self.process.poll() is not None and len(self.raw) == seen):
                code = self.process.poll()
                raise AssertionError(f"{what} not seen in {timeout} s (exit {code}); the screen:\n{text}")
            with self._news:
                if len(self.raw) == seen:
                    self._news.wait(min(left, 0.1))

    def wait_for(self, pattern: str, timeout: float = 15.0) -> float:
        """Wait until a regular expression is on the screen."""
        return self.wait_until(lambda text: re.search(pattern, text) is not None, repr(pattern), timeout)

    def resize(self, cols: int, rows: int) -> None:
        self.lines()
        self._screen.resize(rows, cols)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))
        os.killpg(self.process.pid, signal.SIGWINCH)

    def hang_up(self) -> None:
        """Close the terminal's other end, as a dropped ssh connection does."""
        os.close(self._master)

    def wait_exit(self, timeout: float = 10.0) -> int:
        return self.process.wait(timeout)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)
        with contextlib.suppress(OSError):
            os.close(self._master)
        self._reader.join(2)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Tmux:
    """A program inside a tmux of its own."""

    def __init__(
        self, command: str, *, cols: int = 120, rows: int = 40, env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:  # fmt: skip
        self._socket = f"sevdeck-{uuid.uuid4().hex[:8]}"
        settings = [arg for key, value in (env or {}).items() for arg in ("-e", f"{key}={value}")]
        self._tmux(
            "-f", "/dev/null", "new-session", "-d", "-x", str(cols), "-y", str(rows),
            *settings, *(["-c", str(cwd)] if cwd else []), command,
        )  # fmt: skip
        self._tmux("set-option", "-g", "remain-on-exit", "on")

    def _tmux(self, *args: str) -> str:
        # The environment is given: readline, which pytest loads, puts COLUMNS=80 behind Python's back.
        done = subprocess.run(
            ["tmux", "-L", self._socket, *args], capture_output=True, text=True, timeout=10, env=dict(os.environ)
        )
        return done.stdout

    def send(self, *keys: str) -> None:
        """Type keys by tmux's names (Enter, Escape, Space, Tab ...) or as single characters."""
        for key in keys:
            self._tmux("send-keys", key)

    def type(self, text: str) -> None:
        """Type text literally."""
        self._tmux("send-keys", "-l", text)

    def text(self) -> str:
        return self._tmux("capture-pane", "-p")

    def wait_for(self, pattern: str, timeout: float = 15.0) -> str:
        """Wait until a regular expression is on the screen; returns the screen."""
        end = time.monotonic() + timeout
        while True:
            text = self.text()
            if re.search(pattern, text):
                return text
            if time.monotonic() > end:
                raise AssertionError(f"{pattern!r} not seen in {timeout} s; the screen:\n{text}")
            threading.Event().wait(0.05)

    def close(self) -> None:
        self._tmux("kill-server")

    def __enter__(self) -> Tmux:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def have_tmux() -> bool:
    return shutil.which("tmux") is not None
