"""What stands beside a dump: Compose files, their env files, sevdeck's settings, and what `[backup] files` names.

A database without them is hard to bring up again. They hold secrets, so that there are two ways and no third:
"exclude" (the default) copies them with secrets masked, and every value of an env file masked whole; "encrypt" copies
them as they are into an archive that only the holder of the key can read. Nothing readable touches the disk on the way.
"""

from __future__ import annotations

import asyncio
import contextlib
import glob
import hashlib
import io
import os
import re
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from console.config import resolve_secret
from console.errors import RefusedError, SevdeckError
from console.incident.disk import write_atomically
from console.programs.running import run_program
from console.redact import MASK, add_literals, redact

EXCLUDE, ENCRYPT = "exclude", "encrypt"
_LARGEST = 10 << 20  # bytes of one file: settings are small, and this is no backup of data
_ALL = 64 << 20
_SECONDS = 60.0
_RECIPIENT = re.compile(r"age1[a-z0-9]{20,}")
_PASSPHRASE = "SEVDECK_BACKUP_KEY"  # the variable's name, in the environment of openssl alone
_VALUE = re.compile(r"^(\s*(?:export\s+)?[A-Za-z_][\w.]*\s*=)[^\n]*", re.MULTILINE)


class AlongsideError(SevdeckError):
    """The files could not be kept: then there is no backup either, because somebody counts on them."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """`paths`: files and globs. `key` for "encrypt": an age recipient, or a reference to a passphrase."""

    paths: tuple[str, ...] = ()
    secrets: str = EXCLUDE
    key: str = ""

    @property
    def suffix(self) -> str:
        if self.secrets != ENCRYPT:
            return ".files.tar.gz"
        return ".files.tar.gz.age" if _RECIPIENT.fullmatch(self.key) else ".files.tar.gz.enc"


NOTHING = Wanted()


@dataclass(frozen=True, slots=True)
class Kept:
    """`names`: what is in the archive. `left_out`: what is not, and why. `sha256` of the archive, "" without one."""

    names: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    sha256: str = ""


def check(wanted: Wanted) -> None:
    """Before anything is dumped. Raises RefusedError, UsageError."""
    if wanted.secrets != ENCRYPT:
        return
    if not wanted.key:
        raise RefusedError(
            'secrets = "encrypt" needs a key',
            remedy='Set [backup] key to "age1..." (age), "file:/path" or "env:NAME" (openssl), or secrets = "exclude"',
        )
    program = _encrypting(wanted)[0]
    if not any(os.access(Path(place, program), os.X_OK) for place in os.get_exec_path()):
        raise RefusedError(f"{program} is not on this host", remedy=f'Install {program}, or set secrets = "exclude"')
    if not _RECIPIENT.fullmatch(wanted.key):
        _passphrase(wanted)


async def keep(wanted: Wanted, target: Path) -> Kept:
    """Write the archive; nothing where nothing was found. Raises AlongsideError, RefusedError, OSError."""
    names, left_out, archive = await asyncio.to_thread(_archive, wanted)
    if not names:
        return Kept(left_out=left_out)
    content = await _encrypted(wanted, archive) if wanted.secrets == ENCRYPT else archive
    await asyncio.to_thread(_write, target, content)
    return Kept(names, left_out, hashlib.sha256(content).hexdigest())


def _write(target: Path, content: bytes) -> None:
    write_atomically(target, content)
    target.chmod(0o600)


def files(wanted: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Regular files that exist, each once, and the words that matched none."""
    found: dict[Path, None] = {}
    nothing = []
    for pattern in wanted:
        matches = [Path(pattern)] if Path(pattern).is_file() else [Path(p) for p in sorted(glob.glob(pattern))]  # noqa: PTH207
        regular = [p.absolute() for p in matches if p.is_file()]
        found.update(dict.fromkeys(regular))
        if not regular:
            nothing.append(f"{pattern}: there is no such file")
    return list(found), nothing


def _archive(wanted: Wanted) -> tuple[tuple[str, ...], tuple[str, ...], bytes]:
    found, left_out = files(wanted.paths)
    names, total, buffer = [], 0, io.BytesIO()
    masking = wanted.secrets != ENCRYPT
    if masking:
        _learn(found)
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for path in found:
            try:
                status = path.stat()
                if status.st_size > _LARGEST or total + status.st_size > _ALL:
                    left_out.append(f"{path}: {status.st_size} bytes are too much")
                    continue
                content = path.read_bytes()
                if masking:
                    content = masked(path.name, content)
            except (OSError, UnicodeDecodeError) as error:
                why = error.strerror if isinstance(error, OSError) else "no text, so its secrets cannot be masked"
                left_out.append(f"{path}: {why}")
                continue
            entry = tarfile.TarInfo(str(path).lstrip("/"))
            entry.size, entry.mtime, entry.mode = len(content), status.st_mtime, status.st_mode & 0o777
            tar.addfile(entry, io.BytesIO(content))
            names.append(str(path))
            total += len(content)
    return tuple(names), tuple(left_out), buffer.getvalue()


def masked(name: str, content: bytes) -> bytes:
    """A copy without secrets. In an env file every value is one: nobody can tell by its name which is not.

    >>> masked(".env", b"# the shop\\nPORT=80\\nexport X=y\\n").decode()
    '# the shop\\nPORT=•••\\nexport X=•••\\n'
    """
    text = content.decode("utf-8")
    if _is_env(name):
        text = "".join(_env_line(line) for line in text.splitlines(keepends=True))
    return redact(text).encode()


def _is_env(name: str) -> bool:
    return name == ".env" or name.startswith(".env.") or name.endswith(".env")


def _env_line(line: str) -> str:
    """Comments and names stay; what is neither may be the rest of a value of several lines."""
    end = line[len(line.rstrip("\r\n")) :]
    if not line.strip() or line.lstrip().startswith("#"):
        return line
    told = _VALUE.match(line)
    return (told[1] + MASK if told else MASK) + end


def _learn(found: Sequence[Path]) -> None:
    """What the env files call a value is masked in the other files too."""
    for path in (p for p in found if _is_env(p.name)):
        with contextlib.suppress(OSError, UnicodeDecodeError):
            lines = path.read_text(encoding="utf-8").splitlines()
            pairs = (line.partition("=") for line in lines if not line.lstrip().startswith("#"))
            add_literals(value.strip().strip("\"'") for name, _, value in pairs if len(value.strip()) >= 8)


def _encrypting(wanted: Wanted) -> list[str]:
    if _RECIPIENT.fullmatch(wanted.key):
        return ["age", "--encrypt", "--recipient", wanted.key]
    return ["openssl", "enc", "-aes-256-cbc", "-salt", "-pbkdf2", "-iter", "600000", "-pass", f"env:{_PASSPHRASE}"]


def _passphrase(wanted: Wanted) -> str:
    if not wanted.key.startswith(("env:", "file:")):
        raise RefusedError(
            "[backup] key is neither an age recipient nor a reference",
            remedy='Put the passphrase elsewhere and write "file:/path" or "env:NAME"',
        )
    found = resolve_secret(wanted.key)
    add_literals([found])
    if len(found) < 12:
        raise RefusedError("the passphrase of [backup] key is shorter than 12 characters")
    return found


async def _encrypted(wanted: Wanted, archive: bytes) -> bytes:
    check(wanted)
    env = dict(os.environ)
    if not _RECIPIENT.fullmatch(wanted.key):
        env[_PASSPHRASE] = _passphrase(wanted)
    plain, cipher = (os.memfd_create(name, os.MFD_CLOEXEC) for name in ("plain", "cipher"))
    try:
        _put(archive, lambda data: os.write(plain, data))
        os.lseek(plain, 0, os.SEEK_SET)
        ran = await run_program(_encrypting(wanted), deadline=_SECONDS, env=env, stdin=plain, stdout=cipher)
        size = os.fstat(cipher).st_size
        if not ran.ok or not size:
            raise AlongsideError(f"the files could not be encrypted: {ran.error or 'no answer'}")
        return os.pread(cipher, size, 0)
    finally:
        os.close(plain)
        os.close(cipher)


def _put(data: bytes, write: Callable[[bytes], int]) -> None:
    while data:
        data = data[write(data) :]
