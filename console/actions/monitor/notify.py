"""Telling systemd how the service is: its notification socket, in a few lines. Without systemd it does nothing."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping

from console.text import clean


class Notifier:
    """`ready` once, `alive` at every turn (the watchdog), `status` in words, `stopping` at the end."""

    def __init__(self, env: Mapping[str, str] | None = None) -> None:
        address = (os.environ if env is None else env).get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address

    def ready(self) -> None:
        self._send("READY=1")

    def alive(self, status: str) -> None:
        self._send(f"WATCHDOG=1\nSTATUS={clean(status, 200)}")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def _send(self, text: str) -> None:
        if not self._address:
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as s:
            s.setblocking(False)
            s.sendto(text.encode("utf-8", "replace"), self._address)
