"""The monitor's sign of life: written at every turn, read by whoever wants to know whether somebody watches.

A monitor that ended on purpose says so in its last beat. One whose beat is old, or whose process is gone, is silent.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from console.actions.attempts import directory, open_lock
from console.errors import RefusedError
from console.incident.disk import ensure_directory, write_atomically
from console.text import clean

SILENT = 90.0  # seconds; a turn takes 10, and as long as a slow probe
_TEXT = 300


@dataclass(frozen=True, slots=True)
class Beat:
    """One sign of life. `time` is RFC 3339 in UTC. `state`: watching, episode, recovering, suspended, frozen,
    flapping, stopped. What is not known or not so is ""."""

    time: str
    pid: int
    host: str
    project: str
    state: str
    episode: str = ""  # when it was opened, RFC 3339
    probe_at: str = ""
    probe_ok: bool | None = None
    probe: str = ""  # what the last sample said
    suspended: str = ""
    frozen: str = ""
    incident: str = ""
    armed: str = ""
    max_level: int = 0
    trouble: str = ""  # of the monitor itself: a full disk

    @property
    def at(self) -> float:
        """Unix seconds, 0 when it cannot be read."""
        with contextlib.suppress(ValueError):
            return datetime.fromisoformat(self.time).timestamp()
        return 0.0

    @property
    def words(self) -> str:
        """What it is at, in one line."""
        why = {"suspended": self.suspended, "frozen": self.frozen}.get(self.state, "")
        since = f" since {self.episode[11:19]} UTC" if self.episode and self.state in ("episode", "recovering") else ""
        return f"{self.state}{since}{': ' + why if why else ''}"


def stamp(at: float) -> str:
    """
    >>> stamp(0.25)
    '1970-01-01T00:00:00.250000Z'
    """
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def path(data_dir: Path) -> Path:
    return directory(data_dir) / "heartbeat.json"


def write(data_dir: Path, beat: Beat) -> None:
    """Raises OSError."""
    place = path(data_dir)
    ensure_directory(place.parent)
    write_atomically(place, json.dumps(asdict(beat)).encode())


def read(data_dir: Path) -> Beat | None:
    """The newest beat; None when no monitor ever ran here, or it cannot be read."""
    try:
        found = json.loads(path(data_dir).read_bytes())
        values = {f.name: found[f.name] for f in fields(Beat) if f.name in found}
        text: dict[str, Any] = {k: clean(v, _TEXT) if isinstance(v, str) else v for k, v in values.items()}
        return Beat(**text)
    except (OSError, ValueError, TypeError):
        return None


def silence(data_dir: Path, now: float) -> str:
    """When one should watch and does not: "monitor: silent for 3 min"; "" when it does, or none was meant to."""
    beat = read(data_dir)
    if beat is None or beat.state == "stopped":
        return ""
    age = max(0.0, now - beat.at)
    gone = beat.host == os.uname().nodename and not running(data_dir)
    if age < SILENT and not gone:
        return ""
    return f"monitor: silent for {_span(age)}" + (", its process is gone" if gone else "")


def standing(data_dir: Path, now: float) -> str:
    """One line about the monitor for people, "" when none ever ran here."""
    beat = read(data_dir)
    if beat is None:
        return ""
    if beat.state == "stopped":
        return f"monitor: stopped {_span(max(0.0, now - beat.at))} ago"
    return silence(data_dir, now) or f"monitor: {beat.words}"


def running(data_dir: Path) -> bool:
    """Does a process on this host hold the monitor's lock?"""
    try:
        fd = os.open(directory(data_dir) / "watch.lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(fd)


@contextlib.contextmanager
def only_one(data_dir: Path) -> Iterator[None]:
    """Be the monitor of this data directory. Raises RefusedError while another is, OSError."""
    place = directory(data_dir)
    ensure_directory(place)
    fd = open_lock(place / "watch.lock")
    try:
        for attempt in range(20):  # whoever only looks holds it for microseconds
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if attempt == 19:
                    beat = read(data_dir)
                    who = f" (pid {beat.pid}, project {beat.project or 'unknown'})" if beat else ""
                    raise RefusedError(
                        f"a monitor watches already{who}",
                        remedy="One is enough; another project needs a --data-dir of its own",
                    ) from None
                _nap()
        yield
    finally:
        os.close(fd)


def _nap() -> None:
    import time

    time.sleep(0.005)


def metrics(beat: Beat) -> str:
    """The beat as lines for node_exporter's textfile collector."""
    project = beat.project.replace("\\", "").replace('"', "").replace("\n", "")
    rows: Mapping[str, tuple[str, Any]] = {
        "heartbeat_timestamp_seconds": ("Unix time of the monitor's last turn.", f"{beat.at:.3f}"),
        "episode_open": ("1 while users are not served.", int(bool(beat.episode))),
        "suspended": ("1 while nothing is begun, for a reason that the heartbeat names.", int(bool(beat.suspended))),
        "needs_person": ("1 while it is frozen or flapping.", int(bool(beat.frozen) or beat.state == "flapping")),
        "probe_ok": ("Last sample: 1 good, 0 bad, -1 not known.", -1 if beat.probe_ok is None else int(beat.probe_ok)),
    }
    lines = []
    for name, (about, value) in rows.items():
        full = f"sevdeck_monitor_{name}"
        lines += [f"# HELP {full} {about}", f"# TYPE {full} gauge", f'{full}{{project="{project}"}} {value}']
    return "\n".join(lines) + "\n"


def write_metrics(file: Path, beat: Beat) -> None:
    """Readable by everybody, since the exporter is another user. Raises OSError."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        temporary.write_text(metrics(beat), encoding="utf-8")
        temporary.chmod(0o644)
        temporary.replace(file)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def _span(seconds: float) -> str:
    """
    >>> _span(12.4), _span(190), _span(7300)
    ('12 s', '3 min', '2 h')
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 3600 else f"{seconds / 3600:.0f} h"
