"""The process of a run: leaves the terminal that asked for it, keeps the lock, and outlives its own worker.

`spawn` is called by a console or a command; `main` is the new process. Where systemd runs the host it is put into a
scope outside the login session, if that can be had. In any case it forks twice and leaves the terminal, so that neither
a hang-up nor the end of its parent reaches it; then it watches a worker that does the run, and starts it again (it will
resume) when something kills it, three times at most.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from console.actions.session import Session
from console.incident.disk import open_log

TRIES = 3  # times a killed worker is started again
_SPAWN_DEADLINE = 10.0  # seconds until the new process stands on its own; it takes 0.05
_SCOPE_DEADLINE = 5.0  # seconds until it is there by way of systemd-run, which would wait 25 for a bus that hangs
_SILENT = "did not come up in time"


def spawn(
    data_dir: Path, run_id: str, lock_fd: int, settings: bytes, log: Path, *, session: Session | None = None
) -> None:
    """Start the run's process, which takes the lock over. `settings` go through a pipe and never to disk: they
    may hold secrets. Raises OSError when the process could not be started.

    Only a process that said it is there gets the settings, and none does anything without them: a way that fails or
    hangs is killed before the next one is tried, so a run is never started twice.
    """
    code = Path(__file__).resolve().parents[2]
    path = os.pathsep.join(filter(None, (str(code), os.environ.get("PYTHONPATH", ""))))
    environment = {**os.environ, "PYTHONPATH": path}
    argv = [sys.executable, "-m", "console.actions.detached", str(data_dir), run_id, str(lock_fd)]
    with open_log(log) as output:
        scoped = _in_scope(argv, lock_fd, environment, output, run_id, session or Session())
        process = scoped or _start(argv, lock_fd, environment, output, _SPAWN_DEADLINE)
        if isinstance(process, str):
            raise OSError(f"the run's process {process}; see {log}")
        try:
            process.communicate(settings, timeout=_SPAWN_DEADLINE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.returncode != 0:
        raise OSError(f"the run's process did not start (exit {process.returncode}); see {log}")


def _in_scope(
    argv: Sequence[str], lock_fd: int, environment: Mapping[str, str], output: BinaryIO, run_id: str, session: Session
) -> subprocess.Popen[bytes] | None:
    """The process in a scope of its own; None where that cannot be had. The log says which, and why."""
    why = session.why_no_scope
    # Of one run there may be two at a time: resumed, while a Compose of its killed worker is still at work.
    for scope in session.scopes(f"sevdeck-run-{run_id}-{os.getpid()}", f"sevdeck recovery, run {run_id}"):
        known = {**dict(scope.environment), **environment}
        started = _start([*scope.command, *argv], lock_fd, known, output, _SCOPE_DEADLINE)
        if not isinstance(started, str):
            _note(output, f"started in {scope.unit}")
            return started
        why = f"systemd-run {started}"
        if started == _SILENT:  # it would be so again
            break
    _note(output, f"started by double fork: {why}")
    return None


def _start(
    argv: Sequence[str], lock_fd: int, environment: Mapping[str, str], output: BinaryIO, deadline: float
) -> subprocess.Popen[bytes] | str:
    """A process that waits for its settings, or in words why there is none; then nothing of it is left."""
    hearing, telling = os.pipe()
    try:
        process = subprocess.Popen(
            [*argv, str(telling)],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            pass_fds=(lock_fd, telling),
            env=environment,
            start_new_session=True,
        )
    except OSError as error:
        os.close(hearing)
        return f"did not start ({error.strerror})"
    finally:
        os.close(telling)
    with os.fdopen(hearing, "rb", buffering=0) as ready:
        patience = select.poll()
        patience.register(ready, select.POLLIN)
        heard = patience.poll(deadline * 1000)
        if heard and ready.read(1):
            return process
    if heard:  # nobody is left to tell anything
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(1.0)
    with contextlib.suppress(ProcessLookupError):  # with what it may have started: a child would keep the lock
        os.killpg(process.pid, signal.SIGKILL)
    with process:  # closes its input
        pass
    return f"did not start (exit {process.returncode})" if heard else _SILENT


def _note(output: BinaryIO, text: str) -> None:
    with contextlib.suppress(OSError):  # a full disk must not stop a run
        os.write(output.fileno(), f"{text}\n".encode())


def main(argv: Sequence[str]) -> int:
    """DATA_DIR RUN_ID LOCK_FD READY_FD, settings on standard input. The first process returns at once; the run goes on.

    Without settings it is not wanted any more: nothing is done.
    """
    data_dir, run_id, lock_fd, ready_fd = Path(argv[0]), argv[1], int(argv[2]), int(argv[3])
    os.write(ready_fd, b"+")
    os.close(ready_fd)
    settings = sys.stdin.buffer.read()
    if not settings:
        return 1
    if os.fork():
        return 0
    _leave_terminal()
    _watch(lambda: _work(data_dir, run_id, lock_fd, settings))
    os._exit(0)


def _leave_terminal() -> None:
    with contextlib.suppress(PermissionError):  # already a leader
        os.setsid()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)


def _watch(work: Callable[[], int]) -> None:
    """Run `work` in a child; a child that was killed is replaced, one that ended by itself is not."""
    worker = 0

    def forward(number: int, _frame: object) -> None:
        if worker:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, number)

    signal.signal(signal.SIGTERM, forward)
    for _ in range(TRIES + 1):
        # Asked to end in its first moments a worker must not die of it and be replaced: it listens when it can obey.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        worker = os.fork()
        if worker == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            code = 1
            try:
                code = work()
            finally:
                sys.stderr.flush()
                os._exit(code)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        _, status = os.waitpid(worker, 0)
        if not os.WIFSIGNALED(status):
            return


def _work(data_dir: Path, run_id: str, lock_fd: int, settings: bytes) -> int:
    import traceback

    try:
        from console.actions import runner

        return runner.work(data_dir, run_id, lock_fd, settings)
    except BaseException:
        traceback.print_exc()
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
