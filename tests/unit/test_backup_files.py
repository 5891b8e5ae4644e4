"""Files beside a dump: no secret of theirs can be read there, and the key brings all of them back."""

from __future__ import annotations

import asyncio
import io
import os
import shutil
import subprocess
import tarfile
import time
from dataclasses import replace
from pathlib import Path

import pytest

from console.actions.backup import alongside, making, manifest
from console.actions.backup.alongside import Wanted
from console.actions.backup.checking import bytes_of
from console.actions.backup.manifest import Backup, TableCount, Verified
from console.checks.check import Status
from console.errors import RefusedError, UsageError

SECRETS = ("Tr0ub4dor-and-3", "xoxb-17653672481-19874698323-pdFZKVeTuE8sk7oOHcbrzqgy", "s3cr3t with space")
COMPOSE = f"""\
services:
  app:
    image: shop:1.4
    environment:
      SLACK_TOKEN: {SECRETS[1]}
      DATABASE_URL: postgresql://app:{SECRETS[0]}@db/shop
      COPY: {SECRETS[2]}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "compose.yaml").write_text(COMPOSE)
    (tmp_path / ".env").write_text(f'# for the shop\nGREETING="{SECRETS[2]}"\nPORT=8080\nrest of a value\n')
    (tmp_path / "logo.bin").write_bytes(b"\xff\xfe\x00")
    return tmp_path


def unpacked(content: bytes) -> dict[str, str]:
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return {Path(m.name).name: tar.extractfile(m).read().decode() for m in tar.getmembers()}  # type: ignore[union-attr]


async def test_excluded_means_that_no_secret_is_there(project: Path) -> None:
    target = project / "out.tar.gz"
    kept = await alongside.keep(Wanted((f"{project}/*.yaml", f"{project}/.env", f"{project}/*.bin")), target)
    found = unpacked(target.read_bytes())
    assert set(found) == {"compose.yaml", ".env"}
    assert not any(secret in text for secret in SECRETS for text in found.values())
    assert "image: shop:1.4" in found["compose.yaml"]
    assert found[".env"] == "# for the shop\nGREETING=•••\nPORT=•••\n•••\n"
    assert kept.left_out == (f"{project}/logo.bin: no text, so its secrets cannot be masked",)
    assert target.stat().st_mode & 0o077 == 0


async def test_a_file_that_is_missing_or_too_large_is_said(project: Path) -> None:
    (project / "huge").write_bytes(b"x" * (alongside._LARGEST + 1))
    kept = await alongside.keep(Wanted((f"{project}/nothing*", f"{project}/huge")), project / "out")
    assert kept.left_out == (
        f"{project}/nothing*: there is no such file",
        f"{project}/huge: {alongside._LARGEST + 1} bytes are too much",
    )
    assert not (project / "out").exists()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
async def test_encrypted_means_all_of_it_and_only_with_the_key(project: Path) -> None:
    key = project / "key"
    key.write_text("correct horse battery\n")
    wanted = Wanted((f"{project}/compose.yaml", f"{project}/.env", f"{project}/logo.bin"), "encrypt", f"file:{key}")
    target = project / f"x{wanted.suffix}"
    kept = await alongside.keep(wanted, target)
    assert (target.name, len(kept.names), kept.left_out) == ("x.files.tar.gz.enc", 3, ())
    assert not any(secret.encode() in target.read_bytes() for secret in SECRETS)

    def opened(passphrase: str) -> subprocess.CompletedProcess[bytes]:
        # As docs/backups.md tells a person to do it.
        argv = ["openssl", "enc", "-d", "-aes-256-cbc", "-pbkdf2", "-iter", "600000", "-in", str(target), "-pass"]
        return subprocess.run([*argv, f"pass:{passphrase}"], check=False, capture_output=True, timeout=30)

    with tarfile.open(fileobj=io.BytesIO(opened("correct horse battery").stdout)) as tar:
        stored = {Path(m.name).name: tar.extractfile(m).read() for m in tar.getmembers()}  # type: ignore[union-attr]
    assert stored["compose.yaml"].decode() == COMPOSE
    assert stored["logo.bin"] == b"\xff\xfe\x00"
    wrong = opened("something else entirely")
    assert wrong.returncode != 0 or not wrong.stdout.startswith(b"\x1f\x8b")


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("", "needs a key"),
        ("file:short", "shorter than 12"),
        ("plain passphrase", "neither"),
        ("age1" + "q" * 58, "age"),
    ],
)
async def test_without_a_way_to_encrypt_it_is_refused_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "short").write_text("short")
    (tmp_path / "openssl").write_text("#!/bin/sh\n")
    (tmp_path / "openssl").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RefusedError, match=words):
        alongside.check(Wanted(("x",), "encrypt", key))
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(RefusedError):
        alongside.check(Wanted(("x",), "encrypt", "env:NOT_SET" if key.startswith("file") else key))


def backup(place: Path, **more: object) -> Backup:
    ident = "20261123-030005-a7f3c1"
    dump = place / f"{ident}.dump"
    dump.write_bytes(b"PGDMP" * 10)
    digest = "7ad4" if "sha256" in more else ""
    made = Backup(ident, 1000.0, "shop", "shop", 15, 50, digest, dump, tables={"public.t": TableCount(5, 9)})
    return replace(made, **more)  # type: ignore[arg-type]


def test_a_manifest_reads_back_as_it_was_written(tmp_path: Path) -> None:
    made = backup(
        tmp_path,
        files=("/srv/compose.yaml",),
        left_out=("/srv/x: gone",),
        archive="a.tar.gz",
        archive_sha256="ab",
        verified=Verified(2.0, "decoded", "ana"),
    )
    manifest.write(made)
    assert manifest.catalog(tmp_path) == [made]
    assert manifest.withdraw(made).verified is None
    assert manifest.catalog(tmp_path)[0].verified is None


def test_an_archive_that_changed_is_a_warning_and_no_more(tmp_path: Path) -> None:
    made = backup(tmp_path, archive="a.tar.gz", archive_sha256="ab", files=("x",))
    first = bytes_of(made)[0]
    assert (first.subject, first.status) == ("files", Status.WARN)
    (tmp_path / "a.tar.gz").write_bytes(b"other")
    assert "sha256 differs" in bytes_of(made)[0].summary
    assert bytes_of(made)[-1].subject == "bytes"  # the dump is looked at all the same


def test_what_kills_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    kept = {"20261123-030005-a7f3c1.dump", "20261123-030005-a7f3c1.json", "notes.dump", "20261123-030009-ffffff.dump"}
    gone = {".20261123-030006-000000.part", "20261123-030007-000000.dump", "20261123-030007-000000.roles.sql"}
    gone |= {"20261123-030007-000000.files.tar.gz.enc"}
    for name in kept | gone:
        (tmp_path / name).write_text("x")
        if name != "20261123-030009-ffffff.dump":  # another backup's, a moment before its manifest
            os.utime(tmp_path / name, (1000.0, 1000.0))
    assert making.sweep(tmp_path, time.time()) == len(gone)
    assert {p.name for p in tmp_path.iterdir()} == kept


def test_settings_that_name_no_key_are_a_fault(tmp_path: Path) -> None:
    from console.config import read

    (tmp_path / "c.toml").write_text('[backup]\nsecrets = "hide"\nkey = "hunter2hunter2"\n')
    with pytest.raises(UsageError) as raised:
        read(tmp_path / "c.toml")
    assert "one of exclude, encrypt" in raised.value.message
    assert "age recipient" in raised.value.message


@pytest.mark.skipif(shutil.which("age") is None, reason="age is not installed")
def test_a_recipient_of_age_is_enough_to_encrypt(project: Path) -> None:
    identity = project / "identity"
    subprocess.run(["age-keygen", "-o", str(identity)], check=True, capture_output=True, timeout=30)
    recipient = identity.read_text().partition("public key: ")[2].split()[0]
    wanted = Wanted((f"{project}/.env",), "encrypt", recipient)
    target = project / f"x{wanted.suffix}"
    alongside.check(wanted)
    asyncio.run(alongside.keep(wanted, target))
    argv = ["age", "--decrypt", "-i", str(identity), str(target)]
    opened = subprocess.run(argv, check=True, capture_output=True, timeout=30).stdout
    assert SECRETS[2] in unpacked(opened)[".env"]
