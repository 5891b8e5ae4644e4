"""Where an entry is, in marks and words: never called saved where it is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.incident.chain import Damage
from console.incident.durability import MARKS, Counts, counts, damage_words, line, place

heads = st.dictionaries(st.sampled_from("abc"), st.tuples(st.integers(1, 9), st.just("")))


@pytest.mark.parametrize(
    ("seq", "mark", "words"),
    [(2, "◆", "saved here + DB"), (4, "●", "saved here"), (5, "○", "not saved"), (0, "○", "not saved")],
)
def test_marks(seq: int, mark: str, words: str) -> None:
    assert MARKS[place("a", seq, {"a": (4, "")}, {"a": (3, "")})] == (mark, words)


def test_what_only_the_server_has() -> None:
    assert MARKS[place("b", 1, {"a": (4, "")}, {"b": (1, "")})] == ("◇", "DB only")


@given(heads, heads)
def test_the_counts_are_the_marks_counted(here: dict[str, tuple[int, str]], there: dict[str, tuple[int, str]]) -> None:
    found = counts(here, there)
    marks = [place(writer, seq, here, there) for writer in "abc" for seq in range(2, 10)]  # 1 says who writes
    assert found.waiting == marks.count("here") and found.missing == marks.count("server")
    assert found.saved == marks.count("here") + marks.count("both")
    assert found.database == marks.count("server") + marks.count("both")


def test_lines() -> None:
    assert line(counts({"a": (813, "")}, {"a": (810, "")})) == "● 812 saved · DB 809 · 3 waiting"
    assert line(counts({"a": (5, "")}, {"a": (5, ""), "b": (2, "")})) == "● 4 saved · DB 5 · 1 to fetch"
    assert line(counts({"a": (5, "")}, None)) == "● 4 saved"
    assert line(Counts(5, 5, 0, 0, unsaved=2)) == "○ 2 NOT SAVED · ● 5 saved · DB 5"
    away = "DB offline 3m12s (connection refused) - recording here, 41 waiting, retry in 2 s"
    assert line(counts({"a": (5, "")}, {"a": (1, "")}), away) == f"● 4 saved · {away}"


def test_damage_is_told_with_its_place_and_whether_a_copy_has_it() -> None:
    lost = Damage("a.jsonl", "3f2a9c1e" * 4, 40, 0, 9, "its hash does not match")
    torn = Damage("a.jsonl", "3f2a9c1e" * 4, 41, 9, 3, "3 bytes, never acknowledged", torn=True)
    assert damage_words([torn], lambda *_: False) == "" == damage_words([], lambda *_: True)
    assert damage_words([lost, torn], lambda writer, seq: (writer[:4], seq) == ("3f2a", 41)) == (
        "1 damaged entry on this disk (3f2a9c1e#41), read from a copy"
    )
    assert damage_words([lost, lost], lambda *_: False).startswith(
        "2 damaged entries on this disk (3f2a9c1e#41 and 1 more), not readable: its hash does not match"
    )
