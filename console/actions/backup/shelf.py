"""Where backups are kept, and which there are: our own dumps, and those of the program behind the hook."""

from __future__ import annotations

from pathlib import Path

from console.actions.backup import manifest
from console.actions.backup.hook import Hook
from console.actions.backup.manifest import Backup
from console.config import Config


def directory(config: Config, data_dir: Path) -> Path:
    """Where backups go."""
    return Path(config.backup.directory) if config.backup.directory else data_dir / "backups"


def hook(config: Config, data_dir: Path, project: str = "", keep_fds: tuple[int, ...] = ()) -> Hook:
    """The program that keeps the backups, for looks; changes go through `service.hook_at_work`."""
    asked = config.backup
    place = directory(config, data_dir)
    return Hook(asked.hook, place, project or config.docker.project, asked.database, asked.deadline, keep_fds)


async def known(config: Config, data_dir: Path) -> list[Backup]:
    """Every backup, newest first: our own dumps, and those of the hook where there is one. Raises SevdeckError."""
    own = manifest.catalog(directory(config, data_dir))
    others = await hook(config, data_dir).backups() if config.backup.hook else []
    return sorted([*own, *others], key=lambda b: (b.created_at, b.id), reverse=True)
