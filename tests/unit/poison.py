"""What people paste and machines print, at its worst: texts that are stored and shown, and data that is refused."""

from __future__ import annotations

from typing import Any

TEXTS = {
    "nul": "before\0after",
    "nul written out": r"invalid byte sequence: \u0000 and \\u0000",
    "lone surrogates": "\ud800 high, low \udfff, swapped \udc00\ud800",
    "not characters": "\ufffe \uffff \U0010ffff",
    "colours, title, clipboard": "\x1b[31mred\x1b[0m \x1b]0;owned\x07 \x1b]52;c;b3duZWQ=\x07 \x9b2J",
    "turned around": "rm -rf \u202e/tmp\u202c \u2066x\u2069 \u200b\ufeff",
    "line separators": "one\r\ntwo\rthree\u2028four\u2029five\x85six\x0bseven",
    "marks in a row": "Z" + "\u0301" * 500,
    "beyond the first plane": "\U0001f9ef \U0001f468\u200d\U0001f692 \U000e0041",
    "a line of 10 kB": "x" * 10_000,
    "json and sql": '{"h":"' + "0" * 64 + '","e":{}}\n\'; drop table sevdeck.events; --',
    "nothing": "",
}
REFUSED: dict[str, dict[str, Any]] = {
    "a paste of 64 KiB": {"text": "line of a log\n" * (65536 // 14)},
    "not a number": {"text": "x", "value": float("nan")},
    "infinity": {"text": "x", "value": [float("-inf")]},
    "bytes": {"text": b"raw"},
    "a number of 5000 digits": {"text": "x", "value": 10**5000},
    "a key that is no text": {"text": "x", "value": {1: 2}},
    "a set of itself": {"text": object()},
}
