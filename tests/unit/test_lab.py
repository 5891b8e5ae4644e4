"""The lab's own sums and settings, as far as they need no engine."""

from __future__ import annotations

import tomllib

from tests.lab.control import Lab
from tests.lab.shop.figures import BUSINESS_SQL, figures


def test_the_settings_of_another_stack_name_its_project_directory_and_ports() -> None:
    lab = Lab("second", 100)
    told = tomllib.loads(lab.config())
    assert told["docker"]["project"] == "second"
    assert told["docker"]["compose_files"] == [f"{lab.stack.directory}/compose.yaml"]
    assert told["service"]["url"] == "http://127.0.0.1:18180"


def test_conversion_is_bookings_per_message_and_never_above_100_percent() -> None:
    def conversion(started: float, messages: float, bookings: float) -> float:
        row = figures(started, 300, 1.0, 0.1, 4.5, messages, bookings, 71780)
        return next(value for _, name, value, _ in row if name == "booking_conversion")

    assert conversion(started=0, messages=3513, bookings=439) == 12.5  # customers of before come back and book
    assert conversion(started=2, messages=8, bookings=8) == 100.0
    assert conversion(started=0, messages=0, bookings=0) == 0.0
    assert BUSINESS_SQL.count("(SELECT ") == 8, "one column for each argument"
