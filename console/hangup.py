"""Notices that the terminal is gone. A hang-up signal only comes to whoever the terminal controls: under `su -c`, in
some containers and after a lost multiplexer nobody gets one, and a console without a terminal would spin for ever."""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from collections.abc import Callable

EXIT = 129  # as by SIGHUP
_GRACE = 2.0  # seconds to end well; what is recorded was on the disk long before


def watch(fd: int, gone: Callable[[], object]) -> None:
    """Call `gone` from a thread when the terminal at `fd` hangs up, and end the process soon after, whatever it does."""
    threading.Thread(target=_wait, args=(fd, gone), name="hang-up", daemon=True).start()


def _wait(fd: int, gone: Callable[[], object]) -> None:
    poll = select.poll()
    poll.register(fd, 0)  # no event but those that are always told: hung up, failed, closed
    poll.poll()
    with contextlib.suppress(RuntimeError):  # the loop has ended: we are on our way out
        gone()
    time.sleep(_GRACE)
    os._exit(EXIT)  # the main thread may be waiting for a terminal that will never take another byte
