"""The door: whatever people and machines say becomes an event that can be stored, shown and replicated for ever."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from console.errors import RecordError
from console.incident.events import KINDS, MAX_BODY, Actor, Event, admit, decode_event, encode_event, fact_id, new_id
from console.incident.summary import summary

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


def event(data: dict[str, Any], kind: str = "note", **more: Any) -> Event:
    made: dict[str, Any] = {
        "id": new_id(),
        "incident": "INC-2026-0001",
        "writer": "ab" * 16,
        "seq": 2,
        "written_at": 1795374593.25,
        "at": 1795374593.25,
        "hlc": (1795374593250, 0),
        "kind": kind,
        "actor": Actor("root", "ana", "192.0.2.7", 0, "prod-1", "console"),
        "data": data,
    }
    return Event(**made | more)


@settings(deadline=None)
@example({"text": r"\u0000 \\u0000"})
@given(st.dictionaries(st.text(st.characters(exclude_categories=())), JSON, max_size=5))
def test_anything_that_is_json_is_stored_as_printing_text_and_read_back_equal(data: dict[str, Any]) -> None:
    admitted = admit(data)
    raw = encode_event(event(admitted))
    assert raw.decode("utf-8").replace("\n", "").isprintable()
    again = decode_event(raw, "f" * 64)
    assert r"\x00" not in repr(again.data).replace(r"\\", "")
    assert again.data == json.loads(json.dumps(admitted))
    assert again.actor.name == "ana" and again.at == again.written_at == 1795374593.25
    assert admit(admitted) == admitted, "what passed the door once passes unchanged"


def test_control_characters_become_visible_and_lines_stay() -> None:
    data = admit({"text": "one\r\ntwo\x1b]0;owned\x07 \ud800 \x00", "k\x1b[2J": 1})
    assert data == {"text": "one\ntwo\\x1b]0;owned\\x07 \\ud800 \\x00", "k\\x1b[2J": 1}


def test_secrets_are_masked_also_when_colour_codes_hide_them() -> None:
    hidden = "postgres://app:correct-h\x1b[1morse-7\x1b[0m@db/shop"
    for text in ("postgres://app:correct-horse-7@db/shop", hidden):
        stored = json.dumps(admit({"text": text}))
        assert "correct-h" not in stored and "orse-7" not in stored
    assert "hunter22" not in json.dumps(admit({"password": "hunter22!x"}))


@pytest.mark.parametrize(
    "data", [{"n": float("nan")}, {"n": float("inf")}, {"x": b"raw"}, {"x": object()}, {"x": {1: 2}}]
)
def test_what_json_cannot_say_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(RecordError):
        admit(data)


def test_too_deep_and_too_long_is_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(20):
        deep = {"d": deep}
    with pytest.raises(RecordError, match="nested"):
        admit(deep)
    with pytest.raises(RecordError, match="too long") as caught:
        encode_event(event(admit({"text": "é" * MAX_BODY})))
    assert "file" in caught.value.remedy


def test_an_escape_that_somebody_writes_out_is_text_and_no_nul() -> None:
    written = {"text": r"invalid byte sequence: \u0000 and \\u0000"}
    assert decode_event(encode_event(event(data=admit(written))), "").data == written
    with pytest.raises(RecordError, match="NUL"):
        encode_event(event(data={"text": "\0"}))


def test_a_long_line_is_kept_whole() -> None:
    assert admit({"text": "x" * 10_000})["text"] == "x" * 10_000


def test_the_body_has_the_keys_of_the_format() -> None:
    made = event({"text": "x"}, at=1795374000.0, seen={"cd" * 16: (3, "0123456789abcdef")})
    body = json.loads(encode_event(made))
    assert body == {
        "v": 1, "id": made.id, "inc": "INC-2026-0001", "w": "ab" * 16, "s": 2, "t": 1795374593250,
        "lc": [1795374593250, 0], "k": "note", "d": {"text": "x"}, "at": 1795374000000,
        "by": {"login": "root", "sudo_user": "ana", "ssh": "192.0.2.7", "uid": 0, "host": "prod-1", "via": "console"},
        "seen": {"cd" * 16: [3, "0123456789abcdef"]},
    }  # fmt: skip
    assert decode_event(encode_event(made), "") == made


@pytest.mark.parametrize(
    "raw",
    [b"", b"{}", b"[]", b"null", b'{"v":1,"id":"x","inc":"i","w":"w","s":"x","t":1,"lc":[1,0],"k":"note","d":{}}'],
)
def test_what_is_no_event_is_a_value_error(raw: bytes) -> None:
    with pytest.raises(ValueError):
        decode_event(raw, "")


def test_an_event_of_a_later_version_is_kept() -> None:
    raw = encode_event(event({"text": "x"})).replace(b'"k":"note"', b'"k":"hologram","z":1')
    later = decode_event(raw, "")
    assert later.kind == "hologram" and "hologram" in summary(later)


def test_actor_is_the_person_behind_sudo() -> None:
    env = {"SUDO_USER": "ana\x1b[2J", "SSH_CONNECTION": "192.0.2.7 50000 192.0.2.1 22"}
    actor = Actor.current("cli", env)
    assert actor.name == "ana\\x1b[2J" and actor.ssh == "192.0.2.7" and actor.host and actor.login
    assert actor.human and not Actor("root", via="monitor").human
    assert Actor.from_json({"uid": "x", "login": 5}).login == "5" and Actor.from_json(None).name == ""


def test_ids_are_unique_and_sort_by_time() -> None:
    ids = [new_id() for _ in range(2000)]
    assert len(set(ids)) == 2000
    stamps = [id.replace("-", "")[:12] for id in ids]
    assert stamps == sorted(stamps) and all(id[14] == "7" for id in ids)


def test_a_fact_has_one_id_everywhere() -> None:
    assert fact_id("probe.down", "edge", 5) == fact_id("probe.down", "edge", 5)
    others = [fact_id("probe.up", "edge", 5), fact_id("probe.down", "edge", 6), fact_id("probe.down", "edge5")]
    assert fact_id("probe.down", "edge", 5) not in others


@settings(deadline=None)
@given(st.sampled_from(sorted(KINDS)), st.dictionaries(st.sampled_from(
    sorted({key for keys in KINDS.values() for key in keys} | {"reason", "text", "result", "total", "state"})
), JSON, max_size=8))  # fmt: skip
def test_every_kind_has_one_line_whatever_its_data(kind: str, data: dict[str, Any]) -> None:
    line = summary(event(data, kind))
    assert line.isprintable() and len(line) <= 300


def test_each_kind_says_something_of_its_own() -> None:
    values = {"severity": 2, "steps": [], "pinned": True, "ok": True, "size": 5}
    lines = {
        kind: summary(event({key: values.get(key, f"{key} of {kind}") for key in keys}, kind))
        for kind, keys in KINDS.items()
    }
    assert all(lines.values()) and len(set(lines.values())) == len(lines)
