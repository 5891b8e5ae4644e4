"""The log view as a person uses it: every key, on a hub whose lines the test writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

import pytest
from textual.app import App, ComposeResult
from textual.events import MouseScrollDown, MouseScrollUp
from textual.geometry import Region
from textual.pilot import Pilot

from console.config import LogConfig
from console.watch.logs import LogHub
from screens.logs import LineScreen, LogsScreen
from widgets.log_view import LogView

LEVELS = ("INFO", "WARNING", "ERROR", "DEBUG")


class Counting(LogView):
    """Remembers what it repaints."""

    painted: list[Region]

    def refresh(self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False) -> Self:
        self.painted = [*getattr(self, "painted", []), *regions]
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)


class Harness(App[None]):
    """A view alone."""

    def __init__(self, hub: LogHub, *, compact: bool = False) -> None:
        super().__init__()
        self.hub = hub
        self.opened: list[str] = []
        self._compact = compact

    def compose(self) -> ComposeResult:
        yield Counting(self.hub, compact=self._compact)

    def on_log_view_line_opened(self, message: LogView.LineOpened) -> None:
        self.opened.append(message.record.message)


def write(hub: LogHub, *numbers: int, source: str = "app") -> None:
    for number in numbers:
        text = f"2026-11-22 03:12:{number % 60:02d} {LEVELS[number % 4]} event {number:05d}\n"
        hub.feed(source, text.encode())


@asynccontextmanager
async def opened(hub: LogHub, *, compact: bool = False, size: tuple[int, int] = (80, 24)) -> AsyncIterator[Pilot[None]]:
    async with Harness(hub, compact=compact).run_test(size=size) as pilot:
        await pilot.pause()
        yield pilot


def view_of(pilot: Pilot[None]) -> LogView:
    return pilot.app.screen.query_one(LogView)


def rows(view: LogView) -> list[str]:
    return [view.render_line(y).text.rstrip() for y in range(view.size.height)]


def shown(view: LogView) -> list[int]:
    return [int(row.split("event ")[1][:5]) for row in rows(view)[1:] if "event " in row]


async def until(what: Callable[[], bool]) -> None:
    for _ in range(300):
        if what():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it never became so")


@pytest.fixture
def hub() -> LogHub:
    hub = LogHub([LogConfig("app", path="/nowhere/app.log")])
    write(hub, *range(200))
    return hub


async def test_it_follows_and_its_title_says_so(hub: LogHub) -> None:
    async with opened(hub) as pilot:
        view = view_of(pilot)
        assert shown(view)[-1] == 198  # 199 is debug, below info
        assert "Logs  all · ≥ info · following" in rows(view)[0]
        assert rows(view)[0].endswith("0/s  +0 dropped ──")
        write(hub, 200)
        await until(lambda: shown(view)[-1] == 200)


async def test_nothing_is_repainted_when_nothing_changed_and_only_rows_that_did(hub: LogHub) -> None:
    async with opened(hub) as pilot:
        view = view_of(pilot)
        assert isinstance(view, Counting)
        await asyncio.sleep(0.3)
        view.painted = []
        await asyncio.sleep(1.3)
        assert view.painted == []
        write(hub, 203)  # debug: does not pass
        await asyncio.sleep(0.3)
        assert view.painted == []


async def test_pause_stands_still_and_counts_and_f_goes_on(hub: LogHub) -> None:
    async with opened(hub) as pilot:
        view = view_of(pilot)
        await pilot.press("p")
        before = shown(view)
        write(hub, *range(200, 240))
        await until(lambda: "paused, 40 new" in rows(view)[0])
        assert shown(view) == before
        await pilot.press("f")
        assert shown(view)[-1] == 238
        assert "following" in rows(view)[0]


async def test_what_the_view_could_not_keep_up_with_is_counted(hub: LogHub) -> None:
    async with opened(hub) as pilot:
        view = view_of(pilot)
        write(hub, *range(200, 1200))
        await until(lambda: shown(view)[-1] == 1198)
        passed = int(rows(view)[0].split("+")[1].split(" ")[0].replace(",", ""))
        assert 900 < passed < 1000


async def test_what_left_memory_while_paused_is_counted() -> None:
    hub = LogHub([LogConfig("app", path="/nowhere/app.log")], capacity=100_000)
    write(hub, *range(100))
    async with opened(hub) as pilot:
        view = view_of(pilot)
        await pilot.press("p")
        for start in range(200, 8200, 400):
            hub.feed("app", b"".join(b"INFO event %05d\n" % n for n in range(start, start + 400)))
        lost = hub.buffer.first - 100
        assert lost > 1000
        await until(lambda: f"+{lost:,} dropped" in rows(view)[0])


async def test_scrolling_up_and_down_page_by_page(hub: LogHub) -> None:
    async with opened(hub) as pilot:
        view = view_of(pilot)
        await pilot.press("pageup")
        first = shown(view)
        await pilot.press("pageup", "pageup")
        assert shown(view)[0] < first[0]
        await pilot.press("home")
        assert shown(view)[0] == 0
        for _ in range(20):
            await pilot.press("pagedown")
        assert shown(view)[-1] == 198
        assert "newest line" in rows(view)[-1]
        await pilot.press("end")
        assert "following" in rows(view)[0]


async def test_levels_cycle_and_filter(hub: LogHub) -> None:
    async with opened(hub) as pilot:
        view = view_of(pilot)
        await pilot.press("l")
        assert "≥ warn" in rows(view)[0]
        assert all(number % 4 in (1, 2) for number in shown(view)) and len(shown(view)) == 23
        await pilot.press("l")
        assert "≥ error" in rows(view)[0]
        assert all(number % 4 == 2 for number in shown(view)) and len(shown(view)) == 23
        await pilot.press("l", "l")
        assert "≥ debug" in rows(view)[0]
        assert shown(view)[-1] == 199


async def test_sources_cycle_and_are_chosen_by_name(hub: LogHub) -> None:
    write(hub, 400, 402, source="edge")
    async with opened(hub) as pilot:
        view = view_of(pilot)
        assert rows(view)[-3:] == [
            "03:12:18 ERR app  event 00198",
            "03:12:40 INF edge event 00400",
            "03:12:42 ERR edge event 00402",
        ]
        await pilot.press("s", "s")
        assert "edge · ≥ info" in rows(view)[0]
        assert shown(view) == [400, 402]
        await pilot.press("S", "a", "p", "enter")
        assert "app · ≥ info" in rows(view)[0]
        assert shown(view)[-1] == 198
        await pilot.press("S", "x", "enter")
        assert "no source begins with" in rows(view)[-1]


async def test_search_in_memory_steps_through_hits_and_marks_them(hub: LogHub) -> None:
    async with opened(hub) as pilot:
        view = view_of(pilot)
        await pilot.press("slash", *"event 0005", "enter")
        assert "“event 0005” 7 hits" in rows(view)[0]  # 50-59 without the debug lines
        assert view.selected[0].message == "event 00058"
        await pilot.press("n")
        assert view.selected[0].message == "event 00057"
        await pilot.press("N")
        assert view.selected[0].message == "event 00058"
        await pilot.press("N")
        assert "no newer line" in rows(view)[-1]
        await pilot.press("slash", "escape")
        assert view.selected[0].message == "event 00058"
        await pilot.press("slash", *"nowhere", "enter")
        assert "no older line in memory" in rows(view)[-1]


async def test_letters_typed_into_a_question_are_no_commands(hub: LogHub) -> None:
    async with opened(hub) as pilot:
        view = view_of(pilot)
        await pilot.press("ampersand", *"pwlfs")
        assert view.following and not view.wrapping
        assert "pwlfs▏" in rows(view)[-1]
        await pilot.press(*["backspace"] * 5, *"00013", "enter")
        assert set(shown(view)) == {13}
        assert "with “00013”" in rows(view)[0]


async def test_enter_opens_the_line_and_copy_takes_the_selection(hub: LogHub) -> None:
    async with opened(hub) as pilot:
        view = view_of(pilot)
        await pilot.press("up", "enter")
        await pilot.pause()
        assert isinstance(pilot.app, Harness)
        assert pilot.app.opened == ["event 00197"]
        await pilot.press("shift+up", "shift+up", "y")
        assert pilot.app.clipboard.splitlines() == [
            "2026-11-22 03:12:14 ERROR event 00194",
            "2026-11-22 03:12:16 INFO event 00196",
            "2026-11-22 03:12:17 WARNING event 00197",
        ]
        assert "copied 3 lines" in rows(view)[-1]


async def test_lines_are_written_to_a_new_file_only(
    hub: LogHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a name is typed faster than the whole path
    target = tmp_path / "out.txt"
    async with opened(hub) as pilot:
        view = view_of(pilot)
        await pilot.press("W", "ctrl+u", *target.name, "enter")
        assert "wrote" in rows(view)[-1]
        assert target.read_text().splitlines()[-1] == "app: 2026-11-22 03:12:18 ERROR event 00198"
        await pilot.press("W", "ctrl+u", *target.name, "enter")
        assert "exists already" in rows(view)[-1]


async def test_secrets_and_control_sequences_never_reach_the_screen() -> None:
    hub = LogHub([LogConfig("app", path="/nowhere/app.log")])
    hub.feed("app", b"INFO [bold]x[/] \x1b]52;c;Zm9v\x07 password=correct-horse-battery\n")
    async with opened(hub) as pilot:
        view = view_of(pilot)
        text = "\n".join(rows(view))
        assert "[bold]x[/]" in text
        assert "\x1b" not in text and "\x07" not in text
        assert "correct-horse" not in text
        await pilot.press("p", "y")
        assert "correct-horse" not in pilot.app.clipboard and "\x1b" not in pilot.app.clipboard


async def test_long_lines_wrap_on_demand_and_keep_the_cursor_in_sight() -> None:
    hub = LogHub([LogConfig("app", path="/nowhere/app.log")])
    for number in range(30):
        hub.feed("app", b"INFO event %05d %s\n" % (number, b"word " * 60))
    async with opened(hub) as pilot:
        view = view_of(pilot)
        assert rows(view)[-1].endswith("…")
        await pilot.press("w")
        assert len(shown(view)) < 8 and shown(view)[-1] == 29
        for _ in range(12):
            await pilot.press("up")
        assert 17 in shown(view)


async def test_a_huge_line_is_cut_on_screen_and_bounded_when_opened() -> None:
    hub = LogHub([LogConfig("app", path="/nowhere/app.log")])
    hub.feed("app", b"INFO " + b"x" * 1_000_000 + b"\n")
    async with opened(hub) as pilot:
        await pilot.press("p", "y")
        assert len(pilot.app.clipboard) < 70_000
        assert "KB" in pilot.app.clipboard[-20:]


async def test_resizing_keeps_following_and_fills_the_screen(hub: LogHub) -> None:
    async with opened(hub) as pilot:
        view = view_of(pilot)
        await pilot.resize_terminal(120, 40)
        await pilot.pause()
        assert len(shown(view)) == 39 and shown(view)[-1] == 198
        await pilot.press("p", "up", "up")
        place = view.selected[0].message
        await pilot.resize_terminal(80, 12)
        await pilot.pause()
        assert view.selected[0].message == place
        assert any(place in row for row in rows(view))


async def test_compact_repaints_at_its_rate_but_at_once_after_silence(hub: LogHub) -> None:
    async with opened(hub, compact=True) as pilot:
        view = view_of(pilot)
        await asyncio.sleep(1.1)
        write(hub, 200)
        await asyncio.sleep(0.35)
        assert shown(view)[-1] == 200
        write(hub, 201)
        await asyncio.sleep(0.35)
        assert shown(view)[-1] == 200
        await until(lambda: shown(view)[-1] == 201)


async def test_an_empty_log_teaches(tmp_path: Path) -> None:
    async with opened(LogHub()) as pilot:
        assert "sevdeck.toml" in rows(view_of(pilot))[1]


# -- one file on disk


@pytest.fixture
def on_disk(tmp_path: Path) -> LogHub:
    path = tmp_path / "app.log"
    with path.open("w") as file:
        for number in range(30_000):
            minute, second = divmod(number // 10, 60)
            text = f"2026-11-22 {minute // 60:02d}:{minute % 60:02d}:{second:02d} INFO event {number:05d}"
            file.write(text + (" Marker" if number % 1000 == 0 else "") + "\n")
    hub = LogHub([LogConfig("app", path=str(path))])
    hub.start()
    return hub


async def test_scrolling_back_goes_on_in_the_file(on_disk: LogHub) -> None:
    await until(lambda: on_disk.buffer.next > 0)
    assert on_disk.buffer.next < 10_000  # only the end is in memory
    async with opened(on_disk) as pilot:
        view = view_of(pilot)
        await pilot.press("home")
        assert shown(view)[0] == 0
        await pilot.press("pagedown")
        assert shown(view)[0] == 22
        await pilot.press("f")
        assert shown(view)[-1] == 29_999
    on_disk.close()


async def test_a_search_goes_through_the_whole_file_and_counts(on_disk: LogHub) -> None:
    await until(lambda: on_disk.buffer.next > 0)
    async with opened(on_disk) as pilot:
        view = view_of(pilot)
        await pilot.press("slash", *"marker", "enter")
        await until(lambda: "“marker” 30 hits" in rows(view)[0])
        assert view.selected[0].message == "event 29000 Marker"
        for _ in range(25):
            await pilot.press("n")
        assert view.selected[0].message == "event 04000 Marker"
        await pilot.press("N")
        assert view.selected[0].message == "event 05000 Marker"
    on_disk.close()


async def test_a_jump_goes_to_a_time_in_the_file(on_disk: LogHub) -> None:
    await until(lambda: on_disk.buffer.next > 0)
    async with opened(on_disk) as pilot:
        view = view_of(pilot)
        await pilot.press("t", *"2026-11-22 00:10:30", "enter")
        assert view.selected[0].message == "event 06300"
        await pilot.press("t", *"soon", "enter")
        assert "is no time" in rows(view)[-1]
    on_disk.close()


# -- the screen


class Whole(App[None]):
    def __init__(self, hub: LogHub) -> None:
        super().__init__()
        self.hub = hub

    def on_mount(self) -> None:
        self.push_screen(LogsScreen(self.hub, source="app"))


async def test_the_screen_opens_lines_whole(hub: LogHub) -> None:
    hub.feed("app", b"INFO first " + b"many words " * 100 + b"the end\n")
    async with Whole(hub).run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert "app · ≥ info" in rows(view_of(pilot))[0]
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(pilot.app.screen, LineScreen)
        text = "\n".join(str(strip.text) for strip in pilot.app.screen._compositor.render_strips())
        assert "the end" in text and "INF info" in text
        await pilot.press("escape")
        assert isinstance(pilot.app.screen, LogsScreen)


async def test_the_wheel_scrolls_and_a_click_selects(hub: LogHub) -> None:
    async with opened(hub) as pilot:
        view = view_of(pilot)
        newest = shown(view)[-1]
        await pilot._post_mouse_events([MouseScrollUp], view, offset=(5, 5))
        assert shown(view)[-1] < newest and "paused" in rows(view)[0]
        await pilot.click(view, offset=(5, 3))
        assert view.selected[0].message == f"event {shown(view)[2]:05d}"
        await pilot._post_mouse_events([MouseScrollDown], view, offset=(5, 5))
        assert shown(view)[-1] == newest


async def test_the_source_may_be_set_from_outside(hub: LogHub) -> None:
    write(hub, 400, source="edge")
    async with opened(hub) as pilot:
        view = view_of(pilot)
        view.source = "edge"
        assert shown(view) == [400]
        view.source = ""
        assert shown(view)[-1] == 400 and len(shown(view)) == 23
