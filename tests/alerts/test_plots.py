"""Plots: drawn from what the gateway sends, gaps where nothing was read, nothing that a browser would run."""

import math
import xml.etree.ElementTree as ElementTree
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.plots import draw, plain_unit, series_of

SHANGHAI = ZoneInfo("Asia/Shanghai")
PLOT: dict[str, Any] = {
    "end": "2026-01-05T02:14:07.000Z",
    "period_s": 1.0,
    "unit": "kPa",
    "values": [300.0, 301.0, 220.0],
}


def drawn(**given: Any) -> ElementTree.Element:
    series = series_of({**PLOT, **given})
    assert series is not None
    return ElementTree.fromstring(draw(series, SHANGHAI, "Pressure"))


def lines(svg: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [one for one in svg.iter() if one.get("class") == name]


def test_times_run_back_from_the_end_in_the_citys_hours() -> None:
    series = series_of(PLOT)

    assert series is not None
    assert [time - series.time_ns[0] for time in series.time_ns] == [0, 10**9, 2 * 10**9]
    assert "10:14:07" in [one.text for one in drawn().iter() if one.text]


def test_nothing_is_drawn_where_nothing_was_read() -> None:
    svg = drawn(values=[1.0, 2.0, None, 3.0, 4.0, 5.0])

    assert [len(str(line.get("points")).split()) for line in lines(svg, "line")] == [2, 3]


def test_limits_are_drawn_unless_they_would_flatten_the_readings() -> None:
    assert len(lines(drawn(limit=250.0, expected=300.0), "limit")) == 1
    assert lines(drawn(limit=1e6), "limit") == []


def test_the_moment_of_the_event_is_marked() -> None:
    series = series_of(PLOT, event_ns=series_of(PLOT).time_ns[1])  # type: ignore[union-attr]

    assert series is not None
    assert 'class="event"' in draw(series, SHANGHAI, "x")


def test_a_long_history_is_thinned_but_ends_with_the_newest() -> None:
    series = series_of({**PLOT, "values": [float(value) for value in range(10_000)]})

    assert series is not None
    assert len(series.value) <= 600
    assert series.value[-1] == 9999


@pytest.mark.parametrize(
    "plot",
    [
        None,
        [],
        {},
        {**PLOT, "values": []},
        {**PLOT, "values": [1.0, None, None]},
        {**PLOT, "values": "abc"},
        {**PLOT, "values": [[1], {"a": 2}, True]},
        {**PLOT, "end": 5},
        {**PLOT, "end": "yesterday"},
        {**PLOT, "period_s": 0},
        {**PLOT, "period_s": "1"},
    ],
)
def test_what_cannot_be_drawn_is_left_out(plot: Any) -> None:
    assert series_of(plot) is None


def test_texts_cannot_break_out_of_the_drawing() -> None:
    series = series_of({**PLOT, "unit": "<script>"})

    assert series is not None
    svg = draw(series, SHANGHAI, '"><script>alert(1)</script>')
    assert "<script" not in svg
    ElementTree.fromstring(svg)


numbers = st.one_of(st.none(), st.floats(), st.integers(), st.booleans())


@settings(max_examples=200, deadline=None)
@given(st.lists(numbers, max_size=30), numbers, numbers, st.floats(min_value=1e-3, max_value=1e5))
def test_whatever_the_numbers_the_drawing_is_well_formed_and_finite(
    values: list[Any], limit: Any, expected: Any, period_s: float
) -> None:
    plot = {**PLOT, "values": values, "limit": limit, "expected": expected, "period_s": period_s}
    series = series_of(plot)
    if series is None:
        return
    svg = ElementTree.fromstring(draw(series, SHANGHAI, "x"))

    for line in lines(svg, "line"):
        for pair in str(line.get("points")).split():
            assert all(math.isfinite(float(number)) for number in pair.split(","))


def test_units_are_written_as_people_write_them() -> None:
    assert [plain_unit(unit) for unit in ("%{LEL}", "{NTU}", "m[H2O]", "Cel", "kPa", "1")] == [
        "%LEL",
        "NTU",
        "mH2O",
        "°C",
        "kPa",
        "",
    ]
