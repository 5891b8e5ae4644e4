"""What consoles and commands say of containment: the bar, the reminders, the advice, the command line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from console.actions.containment import control, ledger
from console.actions.containment.entry import Entry
from console.actions.containment.explaining import explained
from console.actions.containment.reminder import AGAIN, Contained, Reminder
from console.checks.check import Finding, Status, Suggestion
from console.cli import main
from tests.unit.test_containment import Shop
from widgets.containment_bar import containment_line

NOW = 1_000_000.0
APP = Contained("isolate-app-3f2a", "isolate app", "active", NOW + 720, ("app",))
LATE = Contained("pause-worker-0001", "pause worker", "overdue", NOW - 180, ("worker",))


def bar(*contained: Contained, width: int = 120) -> str:
    return "".join(span.text for span in containment_line(contained, NOW, width))


def test_the_bar_says_how_long_still_and_what_is_overdue_first() -> None:
    assert bar(APP).startswith(" ⛨ isolate app · 12 min left")
    both = bar(APP, LATE)
    assert both.index("pause worker · OVERDUE 3 min") < both.index("isolate app · 12 min left")
    narrow = bar(APP, LATE, replace(APP, id="x", title="no-restart worker"), width=48)
    assert "pause worker · OVERDUE 3 min" in narrow
    assert "+2" in narrow
    assert len(narrow) <= 48
    assert "IN DOUBT" in bar(replace(APP, state="in_doubt"))


def test_an_overdue_measure_is_said_again_and_again() -> None:
    reminder = Reminder(Path("/nowhere"))
    assert reminder.due((APP,), NOW) == []
    assert reminder.due((LATE,), NOW) == ["pause worker: OVERDUE 3 min. C looks at it and undoes it"]
    assert reminder.due((LATE,), NOW + AGAIN - 1) == []
    assert len(reminder.due((LATE,), NOW + AGAIN)) == 1
    assert reminder.due((), NOW + AGAIN) == []
    assert len(reminder.due((LATE,), NOW + AGAIN + 1)) == 1  # the same once more: it is news


async def test_the_reminder_reads_what_changed_and_names_what_it_cannot_read(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    reminder = Reminder(tmp_path)
    assert reminder.look() == ()
    done = await shop.apply("pause", "app")
    assert [(c.title, c.state, c.services) for c in reminder.look()] == [("pause app", "active", ("app",))]
    (tmp_path / "containment" / "isolate-edge-ffff.json").write_text("{")
    assert [c.state for c in reminder.look()] == ["active", "damaged"]
    await shop.undo(done.entry.id)
    assert [c.state for c in reminder.look()] == ["damaged"]


def test_nobody_is_advised_to_undo_a_containment_by_the_way() -> None:
    advice = Suggestion("reconnect app", "it shares no network", "none", 0.9, ("edge fails",))
    cut_off = Finding("containers.isolated", "connectivity", Status.FAIL, "app is cut off", (), (advice,), "app")
    other = replace(cut_off, subject="worker")
    told, left = explained([cut_off, other], [APP])
    assert told.suggestions[0].title == "on purpose: isolate app"
    assert told.suggestions[0].why.endswith("sevdeck contain undo isolate-app-3f2a")
    assert told.suggestions[0].symptoms == ("edge fails",)
    assert left == other


# -- the command line, where no engine is asked


async def entry(data: Path, **changes: object) -> Entry:
    shop = Shop(data)
    done = await shop.apply("pause", "app")
    changed = replace(done.entry, **changes)  # type: ignore[arg-type]
    ledger.save(data, changed)
    return changed


def run(data: Path, *words: str) -> int:
    return main(["--config", "/dev/null", "--data-dir", str(data), *words])


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nothing.sock")


async def test_the_list_shows_measures_and_the_ledger(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], no_engine: None
) -> None:
    made = await entry(tmp_path / "d")
    assert run(tmp_path / "d", "contain", "list", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told["measures"]) == 9
    (one,) = told["containments"]
    assert {"id", "name", "target", "expires_at", "state"} <= set(one)
    assert (one["id"], one["state"]) == (made.id, "active")
    assert one["expires_at"].endswith("Z")


async def test_without_an_engine_status_cannot_tell_and_undo_is_unknown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], no_engine: None
) -> None:
    made = await entry(tmp_path / "d")
    import asyncio

    assert await asyncio.to_thread(run, tmp_path / "d", "contain", "status") == 4
    assert "cannot be looked at" in capsys.readouterr().out
    assert await asyncio.to_thread(run, tmp_path / "d", "contain", "undo", made.id) == 4
    assert "UNKNOWN: pause app" in capsys.readouterr().out
    assert await asyncio.to_thread(run, tmp_path / "d", "contain", "apply", "pause", "--target", "app") == 3
    assert "cannot be used" in capsys.readouterr().err


def test_wrong_words_are_refused_with_what_would_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], no_engine: None
) -> None:
    assert run(tmp_path, "contain", "apply", "quarantine") == 2
    assert "there is no measure 'quarantine'. Measures: isolate" in capsys.readouterr().err
    assert run(tmp_path, "contain", "apply", "isolate", "--for", "soon") == 2
    assert "'soon' is no time" in capsys.readouterr().err
    assert run(tmp_path, "contain", "undo", "nothing-x-0000") == 2
    assert "sevdeck contain list" in capsys.readouterr().err
    assert run(tmp_path, "contain", "status") == 0
    assert "Nothing is contained." in capsys.readouterr().out


async def test_status_of_an_overdue_one_is_told_by_its_exit_code(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    await shop.apply("pause", "app", seconds=0.001)
    found, _ = await control.status(shop.room)
    assert [s.state for s in found] == ["overdue"]
