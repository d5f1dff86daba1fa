"""Overload by heat: a short peak over the rating is borne, a long one below half of it again is not."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.findings import ALARM, WARNING
from detectors.thermal import Thermal
from tests.detectors.bands import DAY, HOUR, Watched, channel

RULE = "power.thermal_overload box"


def watched(nominal: float = 100.0, thermal: Thermal | None = None) -> Watched:
    return Watched(thermal or Thermal(), channel("box", "current", 60.0, "power", nominal=nominal))


def load(amperes: float, first: float, last: float, step: int = 60) -> list[tuple[float, dict[str, float]]]:
    return [(float(s), {"box.current": amperes}) for s in range(round(first), round(last), step)]


def test_ten_minutes_at_half_more_are_borne_and_an_hour_is_not() -> None:
    box = watched()
    box.live(load(60.0, 0, HOUR))
    assert box.live(load(150.0, HOUR, HOUR + 600)) == {}

    rose = box.live(load(150.0, HOUR + 600, 2 * HOUR))

    assert box.severity()[RULE] == ALARM and rose[RULE][0] < HOUR + 1800


def test_the_rating_itself_is_a_warning_and_less_is_nothing() -> None:
    box = watched()
    assert box.live(load(95.0, 0, 5 * HOUR)) == {}
    box.live(load(101.0, 5 * HOUR, 10 * HOUR))

    assert box.severity()[RULE] == WARNING


@settings(max_examples=20, deadline=None)
@given(st.floats(1.2, 3.0))
def test_time_to_alarm_is_that_of_the_standard(times: float) -> None:
    thermal = Thermal()
    box = watched(thermal=thermal)
    box.live(load(0.0, 0, 300))
    expected_s = thermal.tau_s * math.log((times / thermal.k) ** 2 / ((times / thermal.k) ** 2 - 1.0))
    for second, values in load(100.0 * times, 300, 300 + 4 * HOUR):
        if box.hear(second, values)[RULE] == ALARM:
            break

    assert second - 300 == pytest.approx(expected_s, rel=0.1, abs=180.0)


def test_without_a_rating_its_own_days_are_the_measure() -> None:
    box = watched(nominal=math.nan)
    for day in range(6):
        assert box.live(load(50.0, day * DAY, (day + 0.5) * DAY, 600)) == {}
        assert box.live(load(80.0, (day + 0.5) * DAY, (day + 1) * DAY, 600)) == {}
    assert box.live(load(70.0, 6 * DAY, 6 * DAY + 4 * HOUR)) == {}

    box.live(load(130.0, 6 * DAY + 4 * HOUR, 6 * DAY + 8 * HOUR))

    assert box.severity()[RULE] == WARNING
    assert "times as much as is usual" in box.said()[0].sentence
