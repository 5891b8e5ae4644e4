"""The process of a run: leaves the terminal that asked for it, keeps the lock, and outlives its own worker.

`spawn` is called by a console or a command; `main` is the new process. It forks twice and leaves the session, so
that neither a hang-up nor the end of its parent reaches it; then it watches a worker that does the run, and
starts it again (it will resume) when something kills it, three times at most.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from console.incident.disk import open_log

TRIES = 3  # times a killed worker is started again
_SPAWN_DEADLINE = 10.0  # seconds until the new process stands on its own; it takes 0.05


def spawn(data_dir: Path, run_id: str, lock_fd: int, settings: bytes, log: Path) -> None:
    """Start the run's process, which takes the lock over. `settings` go through a pipe and never to disk: they
    may hold secrets. Raises OSError when the process could not be started."""
    code = Path(__file__).resolve().parents[2]
    path = os.pathsep.join(filter(None, (str(code), os.environ.get("PYTHONPATH", ""))))
    argv = [sys.executable, "-m", "console.actions.detached", str(data_dir), run_id, str(lock_fd)]
    with open_log(log) as output:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            pass_fds=(lock_fd,),
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,
        )
        try:
            process.communicate(settings, timeout=_SPAWN_DEADLINE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.returncode != 0:
        raise OSError(f"the run's process did not start (exit {process.returncode}); see {log}")


def main(argv: Sequence[str]) -> int:
    """DATA_DIR RUN_ID LOCK_FD, settings on standard input. The first process returns at once; the run goes on."""
    data_dir, run_id, lock_fd = Path(argv[0]), argv[1], int(argv[2])
    settings = sys.stdin.buffer.read()
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
        worker = os.fork()
        if worker == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            code = 1
            try:
                code = work()
            finally:
                sys.stderr.flush()
                os._exit(code)
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
