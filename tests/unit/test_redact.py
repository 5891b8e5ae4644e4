"""Secrets in log shapes are masked, ordinary lines are not, and neither costs much."""

from __future__ import annotations

import doctest
import re
import time
import timeit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console import redact as module
from console.redact import MASK, PemState, Redactor, redact, redact_data
from tests.unit import secret_corpus
from tests.unit.secret_lines import HARMLESS, NAMES, PROVIDERS, SECRET, SHAPES


def plain(line: str) -> str:
    return line.replace("«", "").replace("»", "")


def leaks(line: str) -> bool:
    """Whether four characters in a row of any secret of the line survive outside of what is not secret anyway."""
    masked, context = redact(plain(line)), re.sub("«.*?»", "\0", line)
    secrets = re.findall("«(.*?)»", line)
    pieces = [secret[i : i + 4] for secret in secrets for i in range(max(1, len(secret) - 3))]
    return any(piece in masked and piece not in context for piece in pieces) or MASK not in masked


@pytest.mark.parametrize(
    ("lines", "least"),
    [
        (PROVIDERS, 0.95), (NAMES, 0.9), (SHAPES, 0.9), (SECRET, 0.95),
        (secret_corpus.PROVIDERS, 0.95), (secret_corpus.SHAPES, 0.95), (secret_corpus.LATER, 0.95),
    ],
)  # fmt: skip
def test_recall_on_log_lines(lines: list[str], least: float) -> None:
    leaked = [line for line in lines if leaks(line)]
    assert 1 - len(leaked) / len(lines) >= least, leaked


@pytest.mark.parametrize("lines", [HARMLESS, secret_corpus.HARMLESS])
def test_harmless_lines_are_left_alone(lines: list[str]) -> None:
    touched = [line for line in lines if redact(line) != line]
    assert len(touched) <= 0.02 * len(lines), touched


def test_what_stands_around_a_secret_stays() -> None:
    line = "db: connect postgresql://app:hunter22@db:5432/shop password=hunter22 retry=3"
    assert redact(line) == f"db: connect postgresql://app:{MASK}@db:5432/shop password={MASK} retry=3"


@pytest.mark.parametrize(
    "line", [plain(line) for line in [*SECRET, *secret_corpus.SECRET]] + HARMLESS + secret_corpus.HARMLESS
)
def test_masking_twice_changes_nothing(line: str) -> None:
    assert redact(redact(line)) == redact(line)


@pytest.mark.parametrize(
    ("raw", "masked"),
    [
        ('password="hunter two words" ok', f'password="{MASK}" ok'),
        ("password='it''s me' ok", f"password='{MASK}' ok"),
        (r'{"password":"a \"b\" c","n":1}', f'{{"password":"{MASK}","n":1}}'),
        (r"{\"password\":\"a b\",\"n\":1}", rf"{{\"password\":\"{MASK}\",\"n\":1}}"),
        ('password="never closed and more', f'password="{MASK}'),
        ("token=[one1, two2] n=1", f"token={MASK} n=1"),
    ],
)
def test_the_tail_of_a_quoted_secret_goes_too(raw: str, masked: str) -> None:
    assert redact(raw) == masked


def test_private_keys_are_masked_in_one_text_and_line_by_line() -> None:
    body = ["MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7", "VJTUt9Us8cKjMzEfYyjiWA4R4/M2bS1GB4t7NXp98C3S"]
    lines = ["boot", "-----BEGIN RSA PRIVATE KEY-----", *body, "-----END RSA PRIVATE KEY-----", "ready in 3 s"]
    whole = redact("\n".join(lines))
    assert not any(part in whole for part in body)
    assert whole.startswith("boot\n") and whole.endswith("ready in 3 s")
    pem, redactor = PemState(), Redactor()
    assert [pem.line(redactor, line) for line in lines] == [*lines[:2], MASK, MASK, *lines[4:]]


def test_a_key_cut_short_does_not_mask_the_rest_of_a_stream() -> None:
    pem, redactor = PemState(), Redactor()
    pem.line(redactor, "-----BEGIN PRIVATE KEY-----")
    assert (
        pem.line(redactor, "2026-11-22 19:00:00 INFO started as usual") == "2026-11-22 19:00:00 INFO started as usual"
    )


def test_known_values_are_masked_wherever_they_stand() -> None:
    redactor = Redactor(["s3cr/t word", "app", "postgres", "12345"])
    assert redactor.text("failed for s3cr/t word and s3cr%2Ft%20word") == f"failed for {MASK} and {MASK}"
    # A password that is an ordinary word would blank out half of every log.
    assert redactor.text("app postgres 12345") == "app postgres 12345"


def test_data_is_masked_by_the_names_of_its_keys() -> None:
    data = {
        "DB_PASSWORD": "abc",
        "clientSecret": "x y z",
        "password": None,
        "token_count": 12,
        "env": ["PORT=80", "API_TOKEN=abcd1234efgh"],
        "list": [{"name": "SMTP_PASSWORD", "value": "p"}, {"name": "PORT", "value": "25"}],
        "secrets": {"one": "deep1", "two": ["deep2"]},
        "url": "https://u:hunter22@h/",
        "n": 3,
        "ok": True,
    }
    assert redact_data(data) == {
        "DB_PASSWORD": MASK,
        "clientSecret": MASK,
        "password": None,
        "token_count": 12,
        "env": ["PORT=80", f"API_TOKEN={MASK}"],
        "list": [{"name": "SMTP_PASSWORD", "value": MASK}, {"name": "PORT", "value": "25"}],
        "secrets": {"one": MASK, "two": [MASK]},
        "url": f"https://u:{MASK}@h/",
        "n": 3,
        "ok": True,
    }
    assert data["DB_PASSWORD"] == "abc"


def test_a_clean_line_comes_back_as_the_same_object() -> None:
    line = HARMLESS[0]
    assert redact(line) is line


@given(st.text(alphabet=st.characters(), max_size=200))
def test_no_text_breaks_it(text: str) -> None:
    assert isinstance(redact(text), str)
    assert redact(f"password={text}") is not None


@pytest.mark.parametrize(
    "unit",
    ["eyJ-", 'password="', "token=[", "curl -u ", "cookie", "://a:b", "-----BEGIN PRIVATE KEY-----", "--password ",
     "login x password ", 'password=\\"', "passpass", "a"],
)  # fmt: skip
def test_a_megabyte_made_to_hurt_takes_time_in_proportion(unit: str) -> None:
    def cost(size: int) -> float:
        hostile = (unit * (size // len(unit) + 1))[:size] + " password=x"
        return min(timeit.repeat(lambda: redact(hostile), timer=time.thread_time, number=1, repeat=1))

    # Eight times the text may cost sixteen times the time, not sixty-four; 0.02 s of noise.
    assert cost(1_000_000) < 16 * cost(125_000) + 0.02


def test_examples_in_the_documentation() -> None:
    assert doctest.testmod(module).failed == 0
