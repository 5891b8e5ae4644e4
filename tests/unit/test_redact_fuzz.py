"""Whatever a log holds, masking ends, keeps within bounds, changes nothing the second time, and lets no secret out."""

from __future__ import annotations

import random
import time
import timeit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.redact import MASK, PemState, Redactor, redact, redact_data
from tests.unit import secret_corpus, secret_lines

_PIECES = [line.replace("«", "").replace("»", "") for line in [*secret_lines.SECRET, *secret_corpus.SECRET]]
_PIECES += secret_lines.HARMLESS + secret_corpus.HARMLESS
_PIECES += [
    "=",
    ":",
    '"',
    "'",
    "\\",
    "\\\\",
    "\n",
    "\r\n",
    " ",
    "://",
    "@",
    "-----BEGIN PRIVATE KEY-----",
    "•••",
    "password",
]
_PIECES += [
    "token=",
    "Bearer ",
    "eyJ",
    "{",
    "}",
    "[",
    "<",
    ">",
    "&",
    "%3D",
    "\x00",
    "\x85",
    "\u2028",
    "\ud800",
    "\udcff",
    "İ",
    "ß",
    "K",
]


def mixed(seed: int) -> str:
    """Pieces of real shapes cut and joined at random."""
    made = random.Random(seed)
    parts = []
    for _ in range(made.randint(1, 8)):
        piece = made.choice(_PIECES)
        begin = made.randrange(len(piece))
        parts.append(piece if made.random() < 0.5 else piece[begin : begin + made.randint(1, 40)])
    return made.choice(["", " ", "\n"]).join(parts)


def check(text: str) -> None:
    once = redact(text)
    assert redact(once) == once
    assert len(once) <= len(text) + len(MASK) * (text.count("\n") + len(text) // 2 + 1)


@pytest.mark.parametrize("seed", range(8))
def test_shapes_cut_and_joined_at_random(seed: int) -> None:
    for case in range(500):
        check(mixed(500 * seed + case))


@given(st.text(alphabet=st.characters(), max_size=300))
def test_any_text(text: str) -> None:
    check(text)
    check(f'{{"password": "{text}", "n": 1}}')


@given(st.binary(max_size=300))
def test_bytes_that_are_no_utf_8_come_out_as_they_went_in(raw: bytes) -> None:
    text = raw.decode("utf-8", "surrogateescape")
    done = redact(f"ok {text}")
    done.encode("utf-8", "surrogateescape")
    assert MASK in done or done == f"ok {text}"


@pytest.mark.parametrize("code", [*range(0x20), *range(0x7F, 0xA0)])
def test_every_control_character(code: int) -> None:
    sign = chr(code)
    for text in (
        sign,
        f"password{sign}=x1y2z3",
        f"password={sign}x1y2z3",
        f'"password":"a{sign}b1c2"',
        f"a{sign}://u:p1{sign}@h",
    ):
        check(text)
    assert "hunter22" not in redact(f"INFO {sign} password=hunter22")


@given(
    st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="\"'`\\<>&,;|{}[]()$%*#=:@"), min_size=8),
    st.sampled_from(["password={}", '{{"user":"a","password":"{}"}}', "INFO DB_PASSWORD={} DB_HOST=db", "postgres://app:{}@db/shop",
                     "{{'passwd': '{}'}}", "exec mysqldump --password {} shop", "ALTER ROLE a PASSWORD '{}'"]),
)  # fmt: skip
def test_a_planted_secret_never_comes_through(drawn: str, shape: str) -> None:
    secret = f"q7{drawn.strip('.-/')}Z9"
    assert secret not in redact(shape.format(secret))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=40),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4),
        max_leaves=20,
    )
)
def test_any_data(data: object) -> None:
    once = redact_data(data)
    assert redact_data(once) == once


@pytest.mark.parametrize(
    "unit",
    ["password=", '"password":"', "name: password\n", "//", "https://a:b@", "Authorization: ", "cookie: a=", "PASS ", "AUTH ", "a1 LOGIN b ",
     "-----BEGIN PRIVATE KEY-----\n", "_aA1", "eyJaaaaaaaa.", "mysql -p", "--token ", "</password>", "<password>", "\x00", "\ud800", "é", "İ",
     "temporary password ", "curl -u a", "key=", "a.b-c_d", "0123456789abcdef", "/reset/", "''", "\\\\\"", "Digest response="],
)  # fmt: skip
def test_a_million_characters_cost_in_proportion(unit: str) -> None:
    def cost(size: int) -> float:
        text = f"password=x1 {(unit * (size // len(unit) + 1))[:size]}"
        return min(timeit.repeat(lambda: redact(text), timer=time.thread_time, number=1, repeat=1))

    redact("password=x1")
    # Eight times the text may cost sixteen times the time, not sixty-four; 0.05 s of noise.
    assert cost(1_000_000) < 16 * cost(125_000) + 0.05


def _key_lines() -> list[str]:
    body = [secret_corpus._m(64) for _ in range(12)]
    return ["-----BEGIN RSA PRIVATE " + "KEY-----", *body, "dGhlIGVuZA==", "-----END RSA PRIVATE " + "KEY-----"]


@pytest.mark.parametrize("front", ["", "app-1  | ", "2026-11-22T19:00:00Z stdout F ", "\t", '{"log":"'])
@pytest.mark.parametrize("end", ["", "\r"])
def test_a_key_is_masked_behind_whatever_stands_before_each_line(front: str, end: str) -> None:
    lines = [f"{front}{line}{end}" for line in ["boot", *_key_lines(), "ready in 3 s"]]
    pem, redactor = PemState(), Redactor()
    for done in ([pem.line(redactor, line) for line in lines], redact("\n".join(lines)).split("\n")):
        assert not any(part in "\n".join(done) for part in [*_key_lines()[1:-1], "dGhl"])
        assert [done[0], done[-1]] == [lines[0], lines[-1]]
        assert len(done) == len(lines)


def test_a_key_cut_short_in_a_block_leaves_what_follows() -> None:
    text = "\n".join([*_key_lines()[:5], "2026-11-22 19:00:00 INFO started as usual"])
    assert redact(text).endswith("INFO started as usual")
    assert _key_lines()[1] not in redact(text)
