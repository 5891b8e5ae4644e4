"""A daemon thread for the blocking calls of one source: a call that never returns costs that source and nothing else."""

from __future__ import annotations

import asyncio
import concurrent.futures
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from console.errors import SourceError

T = TypeVar("T")


class Lane:
    """One daemon thread for the blocking calls of one source, one call at a time.

    A call that never returns costs this thread and nothing else: callers are told how long it hangs, the
    event loop goes on, and the process may exit (threads of `concurrent.futures` would be joined at exit).
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._busy_since: float | None = None
        self._closed = False
        self._early: tuple[Callable[..., Any], concurrent.futures.Future[Any]] | None = None

    @property
    def stuck_for(self) -> float | None:
        """Seconds the present call has been running; None when the lane is free."""
        since = self._busy_since
        return None if since is None else time.monotonic() - since

    def begin(self, fn: Callable[[], Any]) -> None:
        """Start the first call before there is an event loop; the next `call` of the same `fn` gets its answer."""
        answer: concurrent.futures.Future[Any] = concurrent.futures.Future()
        answer.set_running_or_notify_cancel()
        self._early = (fn, answer)
        self._busy_since = time.monotonic()
        self._start(lambda: self._run_early(fn, answer))

    def _run_early(self, fn: Callable[[], Any], answer: concurrent.futures.Future[Any]) -> None:
        deliver: Callable[[], None]
        try:
            result = fn()
        except BaseException as error:  # whatever it is, it belongs to the caller
            deliver = partial(answer.set_exception, error)
        else:
            deliver = partial(answer.set_result, result)
        self._busy_since = None
        deliver()

    def _start(self, job: Callable[[], None]) -> None:
        self._jobs.put(job)
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=f"lane-{self.name}", daemon=True)
            self._thread.start()

    async def call(self, fn: Callable[..., T], *args: Any, deadline: float | None = None) -> T:
        """The result of `fn(*args)`, run in the lane's thread; what it raises is raised here.

        Raises SourceError when the previous call has not returned yet, when the lane is closed, and when
        `deadline` seconds pass. After that, or after a cancellation, the call goes on unheard and keeps the
        lane busy until it returns.
        """
        if self._closed:
            raise SourceError(f"{self.name} is closed")
        future: asyncio.Future[T]
        early, self._early = self._early, None
        if early is not None and early[0] == fn:
            future = asyncio.wrap_future(early[1])
        else:
            stuck = self.stuck_for
            if stuck is not None:
                raise SourceError(f"still waiting for the previous call ({stuck:.0f} s)")
            loop = asyncio.get_running_loop()
            future = loop.create_future()
            self._busy_since = time.monotonic()
            self._start(lambda: self._run(fn, args, loop, future))
        if deadline is None:
            return await future
        try:
            # Not wait_for: before Python 3.12 it loses a cancellation that comes with the answer.
            async with asyncio.timeout(deadline):
                return await future
        except TimeoutError:
            if future.done() and not future.cancelled():
                raise  # the call itself raised it
            raise SourceError(f"no answer in {seconds(deadline)}") from None

    def close(self) -> None:
        """Let the thread end after its present call. Never waits."""
        self._closed = True
        self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()

    def _run(
        self, fn: Callable[..., T], args: tuple[Any, ...], loop: asyncio.AbstractEventLoop, future: asyncio.Future[T]
    ) -> None:
        deliver: Callable[[], None]
        try:
            result = fn(*args)
        except BaseException as error:  # whatever it is, it belongs to the caller
            failure = error if isinstance(error, Exception) else SourceError(f"stopped by {type(error).__name__}")
            deliver = _later(_fail, future, failure)
        else:
            deliver = _later(_succeed, future, result)
        # Free before the answer is delivered, so that whoever hears it may call again at once.
        self._busy_since = None
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(deliver)


def _later(
    deliver: Callable[[asyncio.Future[T], Any], None], future: asyncio.Future[T], what: Any
) -> Callable[[], None]:
    return lambda: deliver(future, what)


def _succeed(future: asyncio.Future[T], result: T) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[T], error: Exception) -> None:
    if future.done():
        return
    if isinstance(error, StopIteration):  # a future refuses it
        error = SourceError("ended early")
    future.set_exception(error)


def seconds(value: float) -> str:
    """A duration in words.

    >>> seconds(3.0), seconds(0.25)
    ('3 s', '0.25 s')
    """
    return f"{value:g} s"


class QueueLane(Lane):
    """A lane whose callers wait for their turn instead of being told that it is busy."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._turn = asyncio.Lock()

    async def call(self, fn: Callable[..., T], *args: Any, deadline: float | None = None) -> T:
        """As `Lane.call`; `deadline` counts from the start of the call, not from the wait for it.

        A caller that is cancelled gives its turn on when its call has returned, not before.
        """
        await self._turn.acquire()
        task = asyncio.ensure_future(super().call(fn, *args))
        task.add_done_callback(self._next)
        if deadline is None:
            return await asyncio.shield(task)
        try:
            async with asyncio.timeout(deadline):
                return await asyncio.shield(task)
        except TimeoutError:
            if task.done():
                raise  # the call itself raised it
            raise SourceError(f"no answer in {seconds(deadline)}") from None

    def _next(self, task: asyncio.Task[Any]) -> None:
        self._turn.release()
        if not task.cancelled():
            task.exception()  # seen, also when the caller has gone
