"""A record of each format that ever was written, kept as files: it is read for ever, and means the same."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from console.incident.chain import ChainReader, writer_of
from console.incident.events import FORMAT, KINDS, Actor, Event
from console.incident.journal import Journal
from console.incident.pack import pack, unpack
from console.incident.shelf import MIRROR, journal_files
from console.incident.state import fold
from console.incident.verify import verify
from tests.faults import golden_record

GOLDEN = Path(__file__).parent / "golden"
RENEW = "SEVDECK_TEST_RENEW"
READER = Actor("reader", host="lab")
_LATER = {"reveal"}  # kinds that came after the record of the present format was written
VERSIONS = sorted({*(path.name for path in GOLDEN.iterdir() if path.is_dir()), f"v{FORMAT}"})


def meaning(events: list[Event]) -> Any:
    """The fold as JSON says it."""
    incident = fold(events)
    said = dataclasses.asdict(incident) | {"timeline": [entry._asdict() for entry in incident.timeline]}
    return json.loads(json.dumps(said))


def said(home: Path) -> str:
    return json.dumps(meaning(Journal(home, READER).events()), indent=1, ensure_ascii=False) + "\n"


def make(version: Path, scratch: Path) -> None:
    """Write the record of a new format. One that is there is never written again."""
    if version.exists():
        raise FileExistsError(f"{version.name} is written for ever: a changed format has a new number")
    home = scratch / golden_record.INCIDENT
    golden_record.write(home, scratch / "there" / golden_record.INCIDENT)
    version.mkdir(parents=True)
    shutil.copytree(home, version / golden_record.INCIDENT)
    (version / "head").write_text(verify(home).head + "\n")
    (version / "fold.json").write_text(said(home), encoding="utf-8")


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = GOLDEN / str(request.param)
    if os.environ.get(RENEW) and not path.exists():
        make(path, tmp_path)
    assert path.exists(), f"there is no record of the present format: {RENEW}=1 writes it"
    return path


def home_of(version: Path) -> Path:
    return version / golden_record.INCIDENT


def test_its_chains_are_whole_and_its_head_is_the_one_that_was_noted(version: Path) -> None:
    verdict = verify(home_of(version))
    assert verdict.ok and verdict.torn == () and verdict.writers == 3
    assert verdict.head == (version / "head").read_text().strip()
    assert len(list((home_of(version) / MIRROR).glob("*.jsonl"))) == 1


def test_every_event_is_read_and_heads_of_others_are_named(version: Path) -> None:
    events = [event for path in journal_files(home_of(version))
              for event in ChainReader(path, writer_of(path) or "").poll()]  # fmt: skip
    if version.name == f"v{FORMAT}":
        assert {event.kind for event in events} == set(KINDS) - _LATER, (
            "a kind that the record lacks: see golden/README.md"
        )
    seen = {(event.writer, other) for event in events for other in event.seen or {}}
    assert len(seen) == 6, "each session has named the heads of both others"


def test_it_means_what_it_meant(version: Path) -> None:
    """Another fold of the same record changes what people have read: it has to be meant so."""
    if os.environ.get(RENEW):
        (version / "fold.json").write_text(said(home_of(version)), encoding="utf-8")
    assert meaning(Journal(home_of(version), READER).events()) == json.loads(
        (version / "fold.json").read_text(encoding="utf-8")
    ), f"meant so? {RENEW}=1 renews fold.json and nothing else"


def test_packed_and_unpacked_it_is_the_same(version: Path, tmp_path: Path) -> None:
    packed = pack(home_of(version), tmp_path / "record.tar.gz")
    home = unpack(packed.path, tmp_path / "incidents").path
    assert packed.head == verify(home).head == (version / "head").read_text().strip()
    assert meaning(Journal(home, READER).events()) == json.loads((version / "fold.json").read_text(encoding="utf-8"))
    assert len(list((home / "blobs").iterdir())) == 3


def test_a_record_goes_on_behind_an_old_one(version: Path, tmp_path: Path) -> None:
    """Today's program adds to a copy of it; what was there stays as it was, byte for byte."""
    home = tmp_path / golden_record.INCIDENT
    shutil.copytree(home_of(version), home)
    old = {path: path.read_bytes() for path in journal_files(home)}
    count = len(Journal(home, READER).events())
    journal = Journal(home, READER)
    journal.append("note", {"text": "years later"})
    journal.close()
    assert verify(home).ok and len(Journal(home, READER).events()) == count + 1
    assert {path: path.read_bytes() for path in old} == old


def test_a_version_that_is_there_is_never_written_again(version: Path, tmp_path: Path) -> None:
    def files() -> dict[Path, str]:
        return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in version.rglob("*") if path.is_file()}

    before = files()
    with pytest.raises(FileExistsError, match="for ever"):
        make(version, tmp_path)
    assert files() == before


def test_a_bit_that_changes_is_noticed(version: Path, tmp_path: Path) -> None:
    """The control: one letter of one note."""
    home = tmp_path / golden_record.INCIDENT
    shutil.copytree(home_of(version), home)
    path = next(path for path in journal_files(home) if b"the pool is exhausted" in path.read_bytes())
    path.write_bytes(path.read_bytes().replace(b"the pool is exhausted", b"the pool is exhausteD"))
    assert not verify(home).ok
    wanted = json.loads((version / "fold.json").read_text(encoding="utf-8"))
    assert meaning(Journal(home, READER).events()) != wanted
