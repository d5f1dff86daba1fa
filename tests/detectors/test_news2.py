"""The partial early warning score is the chart's, says what is missing, and waits for rest."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from detectors.findings import ALARM, WARNING
from detectors.news2 import SIGNS, News2, scored
from tests.detectors.bands import Watched, channel

RULE = "wristband.news2_partial anna"
# value and points from the chart, sign by sign (RCP 2017)
CHART: Mapping[str, list[tuple[float, int]]] = {
    "respiration": [(8, 3), (8.4, 3), (9, 1), (11, 1), (12, 0), (20, 0), (20.6, 2), (24, 2), (25, 3)],
    "spo2": [(91, 3), (92, 2), (93, 2), (94, 1), (95, 1), (96, 0), (100, 0)],
    "systolic": [(90, 3), (91, 2), (100, 2), (101, 1), (110, 1), (111, 0), (219, 0), (220, 3)],
    "heart_rate": [
        (40, 3),
        (41, 1),
        (50, 1),
        (51, 0),
        (90, 0),
        (91, 1),
        (110, 1),
        (111, 2),
        (130, 2),
        (131, 3),
    ],
    "body_temperature": [
        (35.0, 3),
        (35.1, 1),
        (36.0, 1),
        (36.1, 0),
        (38.0, 0),
        (38.1, 1),
        (39.0, 1),
        (39.1, 2),
    ],
}


@pytest.mark.parametrize("sign", SIGNS)
def test_points_are_those_of_the_chart(sign: str) -> None:
    for value, points in CHART[sign]:
        values = np.full((1, len(SIGNS)), 0.0)
        values[0, SIGNS.index(sign)] = value
        assert scored(values)[0, SIGNS.index(sign)] == points, (sign, value)


def watched(*signs: str) -> Watched:
    return Watched(News2(), *(channel("anna", q, 300.0) for q in (*signs, "steps")))


def hours(band: Watched, count: int, first: float = 0.0, **values: float) -> int:
    for number in range(count):
        band.hear(first + 300.0 * number, {f"anna.{name}": value for name, value in values.items()})
    return band.severity()[RULE]


def test_two_signs_out_of_order_are_a_warning_and_three_are_more() -> None:
    band = watched("heart_rate", "spo2", "respiration")

    assert hours(band, 12, heart_rate=75, spo2=97, respiration=16, steps=0) == 0
    assert hours(band, 6, 3600.0, heart_rate=115, spo2=91, respiration=16, steps=0) == WARNING
    assert hours(band, 6, 7200.0, heart_rate=115, spo2=91, respiration=23, steps=0) == ALARM
    assert band.points.kind == ("news2_partial",)


def test_one_sign_alone_is_left_to_its_own_rule() -> None:
    assert hours(watched("heart_rate", "spo2"), 12, heart_rate=140, spo2=97, steps=0) == 0


def test_whoever_walks_is_not_scored() -> None:
    assert hours(watched("heart_rate", "spo2"), 12, heart_rate=135, spo2=91, steps=100) == 0


def test_what_is_missing_is_said_and_no_number() -> None:
    band = watched("heart_rate", "spo2")
    hours(band, 6, heart_rate=135, spo2=91, steps=0)
    (said,) = band.said()

    for missing in ("breath rate", "blood pressure", "temperature of the body", "consciousness"):
        assert missing in said.sentence
    assert "pulse" not in said.sentence and not any(sign.isdigit() for sign in said.sentence)
