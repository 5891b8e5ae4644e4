"""Personal data becomes tokens that keep what belongs together and tell nothing."""

from __future__ import annotations

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console import redact_people as module
from console.redact import redact
from console.redact_people import People
from tests.unit import secret_corpus


@pytest.mark.parametrize(
    ("line", "gone", "kind"),
    [
        ("sms to +55 11 98765-4321 failed", "98765", "phone"),
        ("call (11) 98765-4321 back", "98765", "phone"),
        ("jid=5511987654321@s.whatsapp.net ack=2", "5511987654321", "phone"),
        ('{"messages":[{"from":"5511987654321","id":"wamid.X"}]}', "5511987654321", "phone"),
        ('{"contacts":[{"wa_id":"551187654321"}]}', "551187654321", "phone"),
        ("to=+442071838750 delivered", "442071838750", "phone"),
        ("dial +1 (415) 555-2671 now", "555-2671", "phone"),
        ("customer maria.silva@example.com.br wrote", "maria.silva", "mail"),
        ("cpf 529.982.247-25 found", "529.982", "cpf"),
        ("document=52998224725", "52998224725", "cpf"),
        ("cnpj 11.222.333/0001-81", "11.222", "cnpj"),
        ("cnpj 12.ABC.345/01DE-35", "12.ABC", "cnpj"),
        ('{"messages":[{"text":{"body":"Oi, \\"tudo\\" bem?"}}]}', "tudo", "message"),
        ('{\\"message\\":{\\"chat\\":{},\\"text\\":\\"meu pedido sumiu\\"}}', "pedido", "message"),
        ('{"pushName":"Maria S","remoteJid":"x"}', "Maria", "name"),
    ],
)
def test_personal_data_becomes_a_token(line: str, gone: str, kind: str) -> None:
    people = People()
    done = people.text(line)
    assert gone not in done and f"[{kind}-" in done
    assert people.counts[kind] == 1
    assert people.text(done) == done
    assert redact(done) == done


def test_one_number_keeps_one_token_however_it_is_written_and_another_export_another() -> None:
    people = People()
    ways = [
        "+55 11 98765-4321",
        "(11) 98765-4321",
        "5511987654321@c.us",
        "551187654321@s.whatsapp.net",
        "wa_id=5511987654321",
    ]
    tokens = {people.text(f" {way}").split("[")[1].split("]")[0] for way in ways}
    assert len(tokens) == 1
    assert People().text(" (11) 98765-4321") != People().text(" (11) 98765-4321")
    assert people.text("cpf 52998224725").split()[1:] == people.text("cpf 529.982.247-25").split()[1:]


@pytest.mark.parametrize(
    "line",
    [
        "order 11987654321 confirmed", "timestamp=1763800000123 offset=884422", "2026-11-22 19:00:00.123 +0000 ok",
        "git clone git@github.com:acme/shop.git", "react@18.2.0 installed", "image shop/app@sha256:aabb", "root@web1 uptime",
        "cpf 529.982.247-24 is wrong", "10.0.0.5:5432 -> 10.0.0.6:51234", "amount=129.90 id=550e8400-e29b-41d4-a716-446655440000",
        '{"level":"info","text":"disk is full"}', "version 1.22.333-4444", "+1234 dropped", "build 2026.11.22-1045",
    ],
)  # fmt: skip
def test_ids_amounts_and_times_are_left_alone(line: str) -> None:
    assert People().text(line) == line


def test_harmless_lines_are_left_alone_but_for_their_addresses() -> None:
    touched = [line for line in secret_corpus.HARMLESS if People().text(line) != line]
    assert all("@" in line for line in touched), touched


def test_data_keeps_its_shape() -> None:
    data = {
        "text": "mail a@b.co",
        "n": 11987654321,
        "list": [{"at": "2026-11-22", "who": "(11) 98765-4321"}],
        "none": None,
    }
    done = People(b"salt").data(data)
    assert done["n"] == 11987654321 and done["none"] is None and done["list"][0]["at"] == "2026-11-22"
    assert "a@b.co" not in done["text"] and "98765" not in done["list"][0]["who"]


@given(st.text(max_size=300))
def test_any_text(text: str) -> None:
    people = People(b"salt")
    once = people.text(text)
    assert people.text(once) == once


def test_examples_in_the_documentation() -> None:
    assert doctest.testmod(module).failed == 0
