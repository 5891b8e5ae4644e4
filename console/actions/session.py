"""The login session that a process belongs to: what its end would do to a run, and the way out of it.

logind may kill all that a person leaves behind at log-out, also what left the terminal. A scope of its own, asked for
through systemd-run, is no part of the session. It only reads a few files and names a command line; it starts nothing.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_DIRECTORIES = ("etc", "run", "usr/local/lib", "usr/lib")  # of systemd's settings; the first one wins
_IN_SESSION = re.compile(r"/session-[^/]+\.scope(?:/|$)", re.MULTILINE)
_IN_MANAGER = re.compile(r"/user@\d+\.service(?:/|$)", re.MULTILINE)
_COMPILED_IN = re.compile(r"^#\s*KillUserProcesses=(\S+)", re.MULTILINE)
_YES = {"1", "yes", "y", "true", "t", "on"}


@dataclass(frozen=True, slots=True)
class Scope:
    """A unit around one process. `command` goes before the process's own, which it becomes: pid, standard input,
    environment and open files stay."""

    unit: str
    command: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Session:
    """Where this process stands. `root` and `uid` are for tests."""

    root: Path = Path("/")
    uid: int | None = None

    @property
    def user(self) -> int:
        return os.geteuid() if self.uid is None else self.uid

    @property
    def booted(self) -> bool:
        """systemd runs this host; the test is sd_booted(3)'s."""
        return _there(self.root / "run/systemd/system")

    @property
    def name(self) -> str:
        try:
            return pwd.getpwuid(self.user).pw_name
        except KeyError:
            return str(self.user)

    @property
    def lingers(self) -> bool:
        """The user's own systemd outlives the last log-out."""
        return _there(self.root / "var/lib/systemd/linger" / self.name)

    def scopes(self, unit: str, description: str) -> tuple[Scope, ...]:
        """Ways to start a process outside the session, the better one first; none is promised to work."""
        program = shutil.which("systemd-run") if self.booted else None
        if program is None or (self.user != 0 and not self.lingers):
            return ()
        unit = f"{unit}.scope"
        whose = () if self.user == 0 else ("--user",)
        words = (program, *whose, "--scope", "--quiet", "--collect", "--no-ask-password", f"--unit={unit}")
        words = (*words, f"--description={description}")
        # From 252 on systemd ends a scope whole when one of its processes is out of memory, and the watcher with it.
        # Older ones neither do that nor know the setting.
        better = (*words, "--property=OOMPolicy=continue")
        return tuple(Scope(unit, (*each, "--"), self._manager()) for each in (better, words))

    def _manager(self) -> tuple[tuple[str, str], ...]:
        """Where the user's systemd is found; su, sudo and services do not say it."""
        place = self.root / f"run/user/{self.user}"
        return () if self.user == 0 or not _there(place) else (("XDG_RUNTIME_DIR", str(place)),)

    @property
    def why_no_scope(self) -> str:
        if not self.booted:
            return "systemd does not run this host"
        if self.user != 0 and not self.lingers:
            return f"lingering is off for {self.name}"
        return "systemd-run is missing"

    def ended_by_logout(self) -> str:
        """Whose log-out would kill what is started here; "" when nobody's, or when there is a way out."""
        if self.user == 0 or not self.booted or self.scopes("", ""):
            return ""
        place = _text(self.root / "proc/self/cgroup")
        if _IN_MANAGER.search(place) and not self.lingers:
            return self.name
        return self.name if _IN_SESSION.search(place) and self._killed() else ""

    def _killed(self) -> bool:
        """What logind.conf(5) says of this user."""
        main, *more = self._settings()
        found = _COMPILED_IN.search(main)
        kill, only, spared = found is not None and found[1] in _YES, list[str](), list[str]()
        for key, value in _pairs((main, *more)):
            if key == "KillUserProcesses":
                kill = value.lower() in _YES
            elif key == "KillOnlyUsers":
                only = [*only, *value.split()] if value else []
            elif key == "KillExcludeUsers":
                spared = [*spared, *value.split()] if value else []
        return kill and self.name not in spared and (not only or self.name in only)

    def _settings(self) -> list[str]:
        """The texts of logind's main file ("" when there is none) and of its drop-ins, in the order they count."""
        places = [self.root / directory / "systemd" for directory in _DIRECTORIES]
        main = next((p / "logind.conf" for p in places if _there(p / "logind.conf")), None)
        dropped: dict[str, Path] = {}
        for place in places:
            for path in (place / "logind.conf.d").glob("*.conf"):
                dropped.setdefault(path.name, path)
        return ["" if main is None else _text(main), *(_text(dropped[name]) for name in sorted(dropped))]


def _there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # on the way there somebody may not look: not there for us
        return False


def _pairs(texts: Iterable[str]) -> Iterable[tuple[str, str]]:
    for line in "\n".join(texts).splitlines():
        key, equals, value = line.partition("=")
        if equals and not key.lstrip().startswith(("#", ";")):
            yield key.strip(), value.strip()


def _text(path: Path) -> str:
    """A file's text; "" when it cannot be read: then nothing is known, and nothing is said."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
