"""Threads for the blocking calls of checks: one that never returns holds up neither the next run nor the way out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


class DaemonThreads(ThreadPoolExecutor):
    """An executor for `loop.set_default_executor`: each call has a daemon thread of its own.

    The threads of the usual one are few, so that some that hang starve all other checks, and they are waited for at
    the end of the loop and of the process.
    """

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        answer: Future[T] = Future()
        answer.set_running_or_notify_cancel()
        work = partial(_answer, answer, partial(fn, *args, **kwargs))
        threading.Thread(target=work, name="check", daemon=True).start()
        return answer


def _answer(answer: Future[T], call: Callable[[], T]) -> None:
    try:
        result = call()
    except BaseException as error:  # whatever it is, it belongs to the caller
        answer.set_exception(error)
    else:
        answer.set_result(result)
