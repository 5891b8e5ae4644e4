"""Where the configuration is looked for and where records are kept. Decides and creates directories; reads nothing."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from console.errors import UsageError

CONFIG_NAME = "sevdeck.toml"
SYSTEM_CONFIG = Path("/etc/sevdeck") / CONFIG_NAME
_SHARED_MODE = 0o2770  # the setgid bit hands the group on to everything that is made inside
SHARED_DATA = Path("/var/lib/sevdeck")  # made by the administrator: all responders of a host share one record


@dataclass(frozen=True, slots=True)
class DataDir:
    """The directory for records. `note` says in a sentence when it is not the usual one, else ""."""

    path: Path
    note: str = ""


def config_candidates(cwd: Path | None = None, env: Mapping[str, str] | None = None) -> tuple[Path, ...]:
    """The files looked for when none is named, first match wins."""
    here = cwd if cwd is not None else Path.cwd()
    user = _user_dir("config", os.environ if env is None else env)
    return (here / CONFIG_NAME, *([user / CONFIG_NAME] if user else []), SYSTEM_CONFIG)


def find_config(path: Path | None = None, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Path | None:
    """The configuration file to read, None when there is none.

    `path` (from --config), then SEVDECK_CONFIG, then the candidates. A file that was named and is not there
    raises UsageError: silently going on with defaults would hide the slip.
    """
    env = os.environ if env is None else env
    named = path if path is not None else Path(env["SEVDECK_CONFIG"]) if env.get("SEVDECK_CONFIG") else None
    if named is not None:
        if not _is_file(named):
            told = "--config" if path is not None else "SEVDECK_CONFIG"
            raise UsageError(
                f"{told} names {named}, which is no file I can find",
                remedy=f"Write one with `sevdeck init --output {named}`, or leave {told} out",
            )
        return named
    return next((candidate for candidate in config_candidates(cwd, env) if _is_file(candidate)), None)


def data_dir(path: Path | None = None, env: Mapping[str, str] | None = None, shared: Path = SHARED_DATA) -> DataDir:
    """The directory for records, created when missing.

    `path` (from --data-dir), then SEVDECK_DATA_DIR: must be usable, else UsageError. Otherwise the shared
    directory where an administrator made one, then the user's; when that cannot be written, a private
    directory that does not outlive a restart, and `note` says so.
    """
    env = os.environ if env is None else env
    named = path if path is not None else Path(env["SEVDECK_DATA_DIR"]) if env.get("SEVDECK_DATA_DIR") else None
    if named is not None:
        if not _usable(named):
            told = "--data-dir" if path is not None else "SEVDECK_DATA_DIR"
            raise UsageError(
                f"{told} names {named}, which cannot be written", remedy="Name a directory you may write to"
            )
        return DataDir(named)
    if shared.is_dir() and os.access(shared, os.W_OK | os.X_OK):
        return DataDir(shared)
    user = _user_dir("data", env)
    if user is not None and _usable(user):
        return DataDir(user)
    return _last_resort(user, env)


def make_shared(group: str, path: Path = SHARED_DATA) -> bool:
    """Make the directory that all responders of this host share, for the members of `group`; False when it was so.

    Raises UsageError without such a group, or when it cannot be made (only root can).
    """
    import grp

    try:
        number = grp.getgrnam(group).gr_gid
    except KeyError:
        raise UsageError(f"there is no group {group!r}", remedy=f"Make it first: groupadd {group}") from None
    try:
        found = path.stat() if path.is_dir() else None
        if found is not None and found.st_gid == number and stat.S_IMODE(found.st_mode) == _SHARED_MODE:
            return False
        path.mkdir(parents=True, exist_ok=True)
        os.chown(path, -1, number)
        path.chmod(_SHARED_MODE)  # after chown, which takes the setgid bit away
    except OSError as error:
        raise UsageError(f"{path} cannot be made: {error.strerror}", remedy="Run it with sudo") from None
    return True


def _last_resort(user: Path | None, env: Mapping[str, str]) -> DataDir:
    why = f"{user} cannot be written" if user is not None else "there is no home directory"
    runtime = env.get("XDG_RUNTIME_DIR")
    if runtime and _usable(Path(runtime) / "sevdeck"):
        chosen = Path(runtime) / "sevdeck"
    else:
        chosen = _private(Path(env["TMPDIR"]) if env.get("TMPDIR") else None)
    return DataDir(chosen, f"{why}: records are kept in {chosen} and do not outlive a restart of this host")


def _private(temp: Path | None) -> Path:
    """A directory in a place that everybody may write to, which nobody else has prepared for us."""
    import tempfile

    temp = temp or Path(tempfile.gettempdir())
    chosen = temp / f"sevdeck-{os.getuid()}"
    try:
        chosen.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = chosen.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid():
            chosen.chmod(0o700)
            return chosen
    except OSError:
        pass
    try:
        return Path(tempfile.mkdtemp(prefix="sevdeck-", dir=temp if temp.is_dir() else None))
    except OSError as error:
        raise UsageError(
            "no directory for records can be written, not even a temporary one",
            remedy="Name one with --data-dir, for example on another disk",
        ) from error


def _usable(path: Path) -> bool:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(path, os.W_OK | os.X_OK)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file() or path.is_char_device()  # /dev/null: an emergency start without settings
    except OSError:  # a directory on the way may not be searched
        return False


def _user_dir(kind: str, env: Mapping[str, str]) -> Path | None:
    """The user's own directory: XDG where it is told or usual, the platform's elsewhere; None without a home."""
    told = env.get(f"XDG_{kind.upper()}_HOME", "")
    if told.startswith("/"):
        return Path(told) / "sevdeck"
    home = env.get("HOME", "")
    if not home:
        return None
    if sys.platform == "linux":
        return Path(home) / (".config" if kind == "config" else ".local/share") / "sevdeck"
    import platformdirs  # 8 ms that Linux need not pay

    found = platformdirs.user_config_path if kind == "config" else platformdirs.user_data_path
    return found("sevdeck", appauthor=False)
