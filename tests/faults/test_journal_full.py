"""A disk that is really full: a small tmpfs of the test's own, filled to the last byte."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Runs in a mount namespace of its own; prints what happened, one fact a line.
STORY = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from console.incident.events import Actor, new_id
from console.incident.journal import Journal, NotSavedError
from console.incident.verify import verify

place = Path(sys.argv[1]) / "INC-2026-0001"
place.mkdir()
journal = Journal(place, Actor("ana", host="lab"))
journal.append("note", {"text": "before"})
hog = os.open(Path(sys.argv[1]) / "hog", os.O_WRONLY | os.O_CREAT)
size = 1 << 20
while size:
    try:
        os.write(hog, b"x" * size)
    except OSError:
        size //= 2
accepted, id = 0, ""
while accepted < 20000:
    id = new_id()
    try:
        journal.append("note", {"text": "x" * 100}, id=id)
        accepted += 1
    except NotSavedError as error:
        print("refused", error)
        break
print("accepted", accepted)
try:
    journal.put_blob(b"y" * 300_000)
except Exception as error:
    print("blob", type(error).__name__)
print("left over", len(list((place / "blobs").glob(".*"))) if (place / "blobs").exists() else 0)
os.ftruncate(hog, 0)
event = journal.append("note", {"text": "x" * 100}, id=id)
print("resumed", event.id == id)
events = Journal(place, Actor("bob", host="lab")).events()
print("read", len(events), "whole", verify(place).ok, "files", len(list(place.glob("*.jsonl"))))
"""


def test_a_full_disk_is_said_plainly_and_the_record_goes_on_when_there_is_room(tmp_path: Path) -> None:
    story = tmp_path / "story.py"
    story.write_text(STORY)
    mount = tmp_path / "small"
    mount.mkdir()
    script = 'mount -t tmpfs -o size=4m,nr_inodes=200 none "$1" && exec "$2" "$3" "$1" "$4"'
    unshare = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-Urm"]
    probe = [*unshare, "sh", "-c", 'mount -t tmpfs none "$1"', "sh", str(mount)]
    try:
        if subprocess.run(probe, capture_output=True, timeout=10).returncode:
            pytest.skip("this user may not mount a tmpfs in a namespace of its own")
    except FileNotFoundError:
        pytest.skip("there is no unshare on this machine")
    ran = subprocess.run(
        [*unshare, "sh", "-c", script, "sh", str(mount), sys.executable, str(story), str(ROOT)],
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert ran.returncode == 0, ran.stderr
    facts = dict(line.split(" ", 1) for line in ran.stdout.splitlines())
    accepted = int(facts["accepted"])
    assert "the disk is full" in facts["refused"] and "Free some space" in facts["refused"]
    assert accepted >= 1500, "the reserve of 1 MiB did not hold"
    assert facts["blob"] == "RecordError" and facts["left"] == "over 0"
    assert facts["resumed"] == "True"
    assert facts["read"] == f"{accepted + 2} whole True files 1"
