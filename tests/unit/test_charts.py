"""Charts: right places, gaps, words for those who cannot see them, and no more points than a person sees."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

from console.tell.charts import HEIGHT, WIDTH, Line, Mark, chart, describe, quantity, thin

SVG = "{http://www.w3.org/2000/svg}"


def drawn(*lines: Line, unit: str = "ms", **more: object) -> ElementTree.Element:
    text = chart("latency", unit, lines, start=0.0, end=600.0, **more)  # type: ignore[arg-type]
    return ElementTree.fromstring(text)


def spots(svg: ElementTree.Element) -> list[list[tuple[float, float]]]:
    return [
        [(float(x), float(y)) for x, y in (pair.split(",") for pair in line.attrib["points"].split())]
        for line in svg.iter(f"{SVG}polyline")
    ]


def test_points_stand_where_time_and_value_put_them() -> None:
    [line] = spots(drawn(Line("a", ((0.0, 0.0), (300.0, 50.0), (600.0, 100.0)))))
    assert line[1][0] - line[0][0] == line[2][0] - line[1][0]
    assert abs((line[0][1] - line[1][1]) - (line[1][1] - line[2][1])) < 0.2
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in line)


def test_a_gap_breaks_the_line_and_a_lone_point_is_a_dot() -> None:
    svg = drawn(
        Line("a", ((0.0, 1.0), (60.0, 2.0), (120.0, None), (180.0, 2.0), (240.0, None), (300.0, 1.0), (360.0, 1.0)))
    )
    assert [len(line) for line in spots(svg)] == [2, 2]
    assert len(list(svg.iter(f"{SVG}circle"))) == 1


def test_axes_say_units_and_times_in_utc() -> None:
    words = [t.text for t in drawn(Line("a", ((0.0, 1.0), (600.0, 1800.0)))).iter(f"{SVG}text")]
    assert {"0 ms", "1 s", "2 s", "00:00", "00:02", "UTC"} <= set(words)


def test_marks_are_lines_with_words_and_touching_ones_share_them() -> None:
    marks = [Mark(100.0, "impact start"), Mark(400.0, "declared"), Mark(400.5, "answered"), Mark(9999.0, "later")]
    svg = drawn(Line("a", ((0.0, 1.0), (600.0, 1.0))), marks=marks)
    assert [t.text for t in svg.iter(f"{SVG}text") if t.get("class") == "mark"] == [
        "impact start",
        "declared, answered",
    ]
    assert len([m for m in svg.iter(f"{SVG}line") if m.get("class") == "mark"]) == 2


def test_words_of_marks_stay_inside_the_picture() -> None:
    svg = drawn(Line("a", ((0.0, 1.0), (600.0, 1.0))), marks=[Mark(599.0, "impact start")])
    [mark] = [t for t in svg.iter(f"{SVG}text") if t.get("class") == "mark"]
    assert float(mark.attrib["x"]) + 5.6 * len("impact start") <= WIDTH


def test_outages_are_shaded() -> None:
    svg = drawn(Line("a", ((0.0, 1.0), (600.0, 1.0))), outages=[(100.0, 200.0), (700.0, 800.0)])
    assert len(list(svg.iter(f"{SVG}rect"))) == 1


def test_lines_differ_without_colour_and_have_a_legend() -> None:
    svg = drawn(Line("app", ((0.0, 1.0), (600.0, 2.0))), Line("redis", ((0.0, 2.0), (600.0, 1.0))))
    dashes = {line.get("stroke-dasharray") for line in svg.iter(f"{SVG}polyline")}
    assert len(dashes) == 2
    assert {"app", "redis"} <= {t.text for t in svg.iter(f"{SVG}text")}


def test_hostile_names_are_text() -> None:
    svg = drawn(Line('<script>"&', ((0.0, 1.0), (600.0, 2.0))), marks=[Mark(1.0, "</svg>")])
    assert not list(svg.iter("script"))
    assert '<script>"&' in [t.text for t in svg.iter(f"{SVG}text")]


def test_it_is_described_in_words() -> None:
    told = describe([Line("edge", ((0.0, 12.0), (60.0, 3000.0), (120.0, None)))], "ms", 0.0, 600.0)
    assert told == "From 00:00 to 00:10 UTC. edge: lowest 12 ms, highest 3 s, last 3 s."
    assert "no value" in describe([Line("x", ())], "", 0.0, 1.0)


def test_thinning_keeps_every_spike_and_gap() -> None:
    points = [(float(n), 1.0) for n in range(20_000)]
    points[7777] = (7777.0, 99.0)
    kept = thin([*points[:12_000], (12_000.0, None), *points[12_001:]])
    assert len(kept) <= 400
    assert (7777.0, 99.0) in kept
    assert any(value is None for _, value in kept)


def test_nothing_and_odd_values_draw_too() -> None:
    for line in (Line("a", ()), Line("a", ((0.0, 0.0), (1.0, 0.0))), Line("a", ((0.0, math.inf), (1.0, -5.0)))):
        text = chart("t", "", [line], start=5.0, end=5.0)
        assert ElementTree.fromstring(text) is not None
        assert not re.search(r"\b(nan|inf)\b", text.split("</desc>")[1])


def test_quantities_are_short() -> None:
    assert [quantity(v, u) for v, u in ((0, "B"), (123456, "B/s"), (99.5, "%"), (12345, ""))] == [
        "0 B", "121 KiB/s", "99.5 %", "12345"]  # fmt: skip
