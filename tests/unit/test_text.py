"""The gate for outside text: nothing a terminal obeys passes, nothing is endless, and it is cheap."""

from __future__ import annotations

import doctest
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console import text
from console.text import DISPLAY_LIMIT, clean, clean_block, decode

ANYTHING = st.text(alphabet=st.characters(), max_size=300)  # st.characters() includes lone surrogates


def longest_run_of_marks(shown: str) -> int:
    longest = run = 0
    for char in shown:
        run = run + 1 if unicodedata.category(char)[0] == "M" else 0
        longest = max(longest, run)
    return longest


@given(ANYTHING)
def test_all_output_prints_and_cleaning_twice_changes_nothing(raw: str) -> None:
    shown = clean(raw)
    assert shown.isprintable()
    assert clean(shown) == shown
    assert longest_run_of_marks(shown) <= 4


@given(ANYTHING, st.integers(0, 60))
def test_no_limit_is_exceeded(raw: str, limit: int) -> None:
    shown = clean(raw, limit)
    assert len(shown) <= limit
    assert clean(shown, limit) == shown


@given(st.text(max_size=400), st.integers(40, 200))
def test_a_block_keeps_its_lines_and_its_limit(raw: str, limit: int) -> None:
    shown = clean_block(raw, limit)
    assert len(shown) <= limit
    assert all(line.isprintable() for line in shown.split("\n"))
    assert clean_block(shown, limit) == shown


@given(st.binary(max_size=300))
def test_any_bytes_decode_to_text_that_prints(raw: bytes) -> None:
    assert decode(raw).isprintable()


@pytest.mark.parametrize("code", [*range(0x20), *range(0x7F, 0xA0)])
def test_every_control_character_is_made_visible(code: int) -> None:
    shown = clean(f"a{chr(code)}b")
    assert shown.isprintable()
    if code == 0x09:
        assert shown == "a       b"
    else:
        assert shown == {0x0A: "a\\nb", 0x0D: "a\\rb"}.get(code, f"a\\x{code:02x}b")


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b]52;c;cm0gLXJm\x07", "\\x1b]52;c;cm0gLXJm\\x07"),
        ("\x1b]8;;http://evil\x1b\\click\x1b]8;;\x1b\\", "\\x1b]8;;http://evil\\x1b\\click\\x1b]8;;\\x1b\\"),
        ("\x1b[2J\x1b[6n", "\\x1b[2J\\x1b[6n"),
        ("\x9b31m\x9d0;t\x9c", "\\x9b31m\\x9d0;t\\x9c"),
        ("good\rbad", "good\\rbad"),
        ("\u202eevil\u202c \u200b\U000e0041", "\\u202eevil\\u202c \\u200b\\U000e0041"),
        ("\ud800", "\\ud800"),
        ("\u2028\u2029\x85", "\\u2028\\u2029\\x85"),
        ("a\u00a0b\u3000c", "a b c"),
        ("\x1b[1;38:5:4mred\x1b[0m", "red"),
        ("[main] [/foo] [@click=app.quit]", "[main] [/foo] [@click=app.quit]"),
        ("naïve 日本語 ✓ │", "naïve 日本語 ✓ │"),
    ],
)
def test_hostile_text(raw: str, shown: str) -> None:
    assert clean(raw) == shown


def test_long_lines_are_cut_and_say_by_how_much() -> None:
    shown = clean("x" * 1_000_000)
    assert len(shown) == DISPLAY_LIMIT
    assert shown.endswith("x… +972 KB")
    assert clean("y" * 4100).endswith("… +4 chars")


def test_a_line_of_colours_is_not_taken_for_a_long_line() -> None:
    assert clean("\x1b[31mx\x1b[0m" * 600) == "x" * 600


def test_runs_of_combining_marks_are_capped_and_languages_are_not() -> None:
    assert clean("z" + "\u0301" * 500 + "y") == "z" + "\u0301" * 4 + "y"
    vietnamese = unicodedata.normalize("NFD", "Đường phố Việt Nam")
    assert clean(vietnamese) == vietnamese
    assert clean("─" * 80) == "─" * 80


def test_examples_in_the_documentation() -> None:
    assert doctest.testmod(text).failed == 0
