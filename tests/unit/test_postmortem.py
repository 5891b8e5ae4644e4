"""The post-mortem: every fact of the record is in it, nothing hostile or secret is, and it is the same everywhere."""

from __future__ import annotations

import doctest
import json
import re
import shutil
from functools import cache
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from console.errors import RecordError, RefusedError, UsageError
from console.incident.journal import Journal
from console.incident.state import fold
from console.redact import redact
from console.tell import report as module
from console.tell import words
from console.tell.postmortem import FORMATS, export, render, untouched
from console.tell.report import report
from console.tell.words import markdown
from tests.unit.incident_made import ANA, HOSTILE, Clock, write

VOID = {"meta", "br", "link", "img", "hr", "input"}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("data") / "incidents" / "INC-2026-0007"
    write(made)
    return made


class Page(HTMLParser):
    """Reads a page: its text, its tags, and whether each tag is closed where it should be."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.errors: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open[-1] != tag:
            self.errors.append(f"</{tag}> closes {self.open[-1:]}")
        else:
            self.open.pop()

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@cache
def page(directory: Path) -> Page:
    read = Page()
    read.feed(render(directory, "html"))
    read.close()
    return read


@cache
def words_of(directory: Path, format: str) -> str:
    """What a reader of this format sees."""
    text = render(directory, format)
    if format == "html":
        return " ".join(page(directory).text)
    return unescape(re.sub(r"\\([\\`*_\[\]|~#!])", r"\1", text))


FACTS = (
    "INC-2026-0007",
    "Checkout returns 502",
    "nobody can pay",
    "2026-11-22 03:12:52 UTC",
    "worker ran out of memory",
    "probe edge fails: no answer in 3 s",
    "probe edge is well again: 200 in 12 ms",
    "SEV-1 response",
    "send the first notice",
    "45 s late",
    "no room on the disk",
    "restart app",
    "7f3a00112233",
    "docker restart -t 10 shop-app-1",
    "StartedAt changed",
    "6/6 well, better",
    "webhook row written and read",
    "6 of 6 samples well",
    "validated and stable",
    "maintenance page",
    "rm MAINT",
    "Payments work again",
    "status page",
    "restarted the app",
    "restarted the worker",
    "wrong name",
    "seen before in INC-2026-0003",
    "nginx.log",
    "error log of the edge",
    "stable for eight minutes",
    "shop-app-1",
    "running unhealthy",
    "detected − impact start (t1 − t0)",
    "3 min 5 s",  # the impact: 120 s before to 65 s after
    "12 min",  # MTTR
    "Seen by the console: worker ran out of memory, at 2026-11-22 03:10:10 UTC",
    "took 1 min 8 s: validated and stable.",
    "1 recovery attempt: restart app (ok).",
    "every chain verified",
    "ana",
    "prod-1",
)


@pytest.mark.parametrize("format", ["md", "html"])
@pytest.mark.parametrize("fact", FACTS)
def test_every_fact_is_told(directory: Path, format: str, fact: str) -> None:
    assert fact in words_of(directory, format)


@pytest.mark.parametrize("format", ["md", "html"])
def test_every_entry_of_the_timeline_and_every_hash_is_told(directory: Path, format: str) -> None:
    text = words_of(directory, format)
    made = report(directory)
    for entry in made["timeline"]:
        assert entry["summary"] in text
    for item in made["evidence"]:
        assert item["sha256"] in text
    assert made["record"]["head"] in text


def test_json_is_versioned_and_complete(directory: Path) -> None:
    data = json.loads(render(directory, "json"))
    assert data["schema"] == "sevdeck.postmortem/v1"
    incident = fold_of(directory)
    assert [e["seq"] for e in data["timeline"]] == [e.seq for e in incident.timeline]
    assert {m["name"]: m["seconds"] for m in data["metrics"]}["MTTR"] == 720.0
    assert data["impact"]["seconds_by_severity"] == {"SEV-1": 580.0, "SEV-2": 20.0}
    assert data["recoveries"][0]["steps"][0]["took"] == 0.83
    assert [s["state"] for s in data["checklists"][0]["steps"]] == ["done", "done", "skipped"]
    known = next(d for d in data["decisions"] if "nobody can pay" in d["what"])["known"]
    assert known == ["probe edge fails: no answer in 3 s", "worker ran out of memory"]
    assert data["changes_before"][0]["what"] == "start"


def fold_of(directory: Path) -> Any:
    from console.incident.events import Actor
    from console.incident.journal import Journal

    return fold(Journal(directory, Actor("test")).events())


def test_judgement_is_blank_and_marked(directory: Path) -> None:
    assert render(directory, "md").count("\n> ✎ **To be written by the team:** ") >= 9
    assert render(directory, "html").count('<p class="blank">') >= 9
    for format in ("md", "html"):
        text = words_of(directory, format)
        assert text.count("To be written by the team:") >= 9
        for section in (
            "Trigger",
            "Contributing factors",
            "What surprised us",
            "Actions",
            "Open questions",
            "Sign-off",
        ):
            assert section in text


def test_the_page_is_well_formed_and_asks_nothing_of_the_network(directory: Path) -> None:
    read = page(directory)
    assert read.errors == []
    assert read.open == []
    for tag, attrs in read.tags:
        assert tag not in {"script", "link", "img", "iframe", "object", "embed", "base", "form"}
        for name, value in attrs.items():
            assert not name.startswith("on")
            if name in {"href", "src", "action", "data", "poster"}:
                assert (value or "").startswith("#")
    style = re.search(r"<style>(.*?)</style>", render(directory, "html"), re.S)
    assert style and "url(" not in style[1] and "@import" not in style[1]


def test_charts_have_axes_marks_and_words(directory: Path) -> None:
    read = page(directory)
    svgs = [attrs for tag, attrs in read.tags if tag == "svg"]
    assert len(svgs) >= 5
    ids = {attrs.get("id") for _, attrs in read.tags}
    for svg in svgs:
        assert svg["role"] == "img"
        assert set((svg["aria-labelledby"] or "").split()) <= ids
    html = render(directory, "html")
    assert html.count('class="mark"') >= 3 * len(svgs)
    assert "impact start" in html and "lowest 9 ms, highest 3 s, last " in html
    assert 'class="bad"' in html  # the outage is shaded
    assert len([a for _, a in read.tags if a.get("id")]) == len(ids - {None})  # unique


def test_markdown_tables_are_whole(directory: Path) -> None:
    """Every row of a table has as many cells as its head, and stands directly under it."""
    rows = render(directory, "md").splitlines()
    cells = [len(re.findall(r"(?<!\\)\|", row)) if row.startswith("|") else 0 for row in rows]
    for above, below in pairwise(cells):
        assert above == below or 0 in (above, below)
    for number, row in enumerate(rows):
        if row.startswith("|---"):
            assert cells[number - 1] == cells[number]
        if row.startswith("## "):
            assert rows[number - 1] == "" and rows[number + 1] == ""


def test_hostile_text_stays_text(directory: Path) -> None:
    html, md = render(directory, "html"), render(directory, "md")
    assert "<script" not in html and "<script" not in md
    assert "\x1b" not in html + md + render(directory, "json")
    row = next(line for line in md.splitlines() if "evil.example" in line and line.startswith("|"))
    assert len(re.findall(r"(?<!\\)\|", row)) == 6  # five cells: no pipe of the text made another
    assert not re.search(r"(?<!\\)\]\(", md)
    assert "```" not in md
    assert "\\`rm -rf /\\`" in md
    assert HOSTILE.split()[0] in " ".join(page(directory).text)


@pytest.mark.parametrize("format", FORMATS)
def test_no_secret_is_told(directory: Path, format: str) -> None:
    text = render(directory, format)
    assert "correct-horse-7" not in text
    assert redact(text) == text


@pytest.mark.parametrize("format", FORMATS)
def test_two_hosts_write_the_same_bytes(
    directory: Path, tmp_path: Path, format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / directory.name
    shutil.copytree(directory, copy)
    here = render(directory, format)
    monkeypatch.setenv("TZ", "America/Sao_Paulo")
    assert render(copy, format) == here


@pytest.mark.parametrize("format", FORMATS)
def test_what_a_person_edited_is_not_overwritten(directory: Path, tmp_path: Path, format: str) -> None:
    path = export(directory, format, tmp_path)
    assert path == tmp_path / f"INC-2026-0007-postmortem.{format}"
    assert untouched(path.read_text())
    assert export(directory, format, tmp_path) == path  # ours, untouched: written anew
    edited = path.read_text().replace("Checkout returns 502", "Checkout was down")
    path.write_text(edited)
    with pytest.raises(RefusedError, match="was edited"):
        export(directory, format, path)
    assert path.read_text() == edited
    export(directory, format, path, force=True)
    assert "Checkout was down" not in path.read_text()


def test_a_file_of_somebody_else_is_not_overwritten(directory: Path, tmp_path: Path) -> None:
    path = tmp_path / "notes.md"
    path.write_text("# mine\n")
    with pytest.raises(RefusedError):
        export(directory, "md", path)
    assert path.read_text() == "# mine\n"


def test_errors_say_what_to_do(directory: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="md, html, json"):
        export(directory, "pdf", tmp_path)
    with pytest.raises(RecordError, match="-o"):
        export(directory, "md", tmp_path / "no" / "such" / "place.md")
    (tmp_path / "INC-2026-0008").mkdir()
    with pytest.raises(RecordError, match="nothing recorded"):
        export(tmp_path / "INC-2026-0008", "md", tmp_path)


def test_a_bare_incident_exports_too(tmp_path: Path) -> None:
    from console.incident.events import Actor
    from console.incident.journal import Journal

    bare = tmp_path / "INC-2026-0009"
    bare.mkdir()
    Journal(bare, Actor("ana")).append("declared", {"title": "t", "severity": 4, "drill": True})
    for format in FORMATS:
        assert "DRILL" in render(bare, format) or format == "json"


def test_a_missing_flight_record_is_no_reason_to_fail(directory: Path, tmp_path: Path) -> None:
    copy = tmp_path / directory.name
    shutil.copytree(directory, copy)
    frozen = [item["sha256"] for item in report(directory)["evidence"] if item["kind"] == "flight"]
    for sha in frozen:
        for blob in copy.rglob(f"*{sha[2:]}*"):
            blob.unlink()
    text = render(copy, "html")
    assert "No readings were frozen" in text
    assert len(frozen) == 2
    assert all(sha in text for sha in frozen)  # the manifest still names them


def test_a_damaged_record_says_so(directory: Path, tmp_path: Path) -> None:
    copy = tmp_path / directory.name
    shutil.copytree(directory, copy)
    journal = max(copy.glob("*.jsonl"), key=lambda p: p.stat().st_size)
    raw = journal.read_bytes()
    journal.write_bytes(raw.replace(b"nobody can pay", b"nobody can buy"))
    assert "NOT VERIFIED" in render(copy, "md")


def test_markdown_escapes_what_would_be_more_than_text() -> None:
    assert markdown("# not a heading") == "\\# not a heading"
    assert markdown("1. not a list") == "\\1. not a list"
    assert markdown("two\nlines") == "two lines"


def test_sentences_leave_out_what_is_zero_or_said_twice(tmp_path: Path) -> None:
    (tmp_path / "INC-2026-0008").mkdir()
    journal = Journal(tmp_path / "INC-2026-0008", ANA, wall=Clock())
    journal.append("declared", {"title": "x", "severity": 2})
    assert report(journal.directory)["detection"]["text"] == "Declared by ana at 2026-11-22 03:12:52 UTC."
    journal.append("recovery.validation", {"run": "R1", "ok": True, "passed": 6, "total": 6, "text": "6/6 well, same"})
    journal.append("recovery.observation", {"run": "R1", "state": "ok", "good": 6, "total": 6, "text": "6 of 6 well"})
    said = [entry["summary"] for entry in report(journal.directory)["timeline"]]
    assert said[1:] == ["validated: 6/6 well, same", "observation ok: 6 of 6 well"]


def test_what_the_console_wrote_carries_nobodys_name(directory: Path) -> None:
    made = report(directory)
    assert {entry["who"] for entry in made["timeline"] if entry["source"] == "automatic"} == {"sevdeck"}
    assert {entry["who"] for entry in made["timeline"] if entry["source"] == "person"} == {"ana"}
    assert "| sevdeck on prod-1 | automatic | worker ran out of memory |" in render(directory, "md")


def test_examples_in_the_documentation() -> None:
    assert sum(doctest.testmod(one).failed for one in (module, words)) == 0
