"""A frozen value is a fault of the sensor; a quiet channel, a resting one and a coarse one are not."""

from __future__ import annotations

import numpy as np

from detectors.stuck import Stuck
from tests.detectors.rows import Values, noise, scores_of, wandering

MINUTE = 60.0
DAY = 1440
STRANGE = 6.0


def rounded(record: Values, to: float) -> Values:
    return np.round(record / to) * to


def test_a_frozen_pressure_is_found_within_the_quarter_of_an_hour() -> None:
    pressure = rounded(noise(3 * DAY), 0.1)
    pressure[2 * DAY :, 1] = pressure[2 * DAY, 1]
    strange = scores_of(Stuck(resolution=0.1), pressure, MINUTE) > STRANGE

    assert strange[2 * DAY + 15, 1]
    assert not strange[:, [0, 2]].any()


def test_a_coarse_sensor_that_often_repeats_itself_is_given_longer() -> None:
    warmth = rounded(20 + 3 * wandering(4 * DAY, 3, 0.9995), 0.1)
    warmth[3 * DAY :, 1] = warmth[3 * DAY, 1]
    strange = scores_of(Stuck(resolution=0.1), warmth, MINUTE) > STRANGE

    assert strange[-1, 1]
    assert not strange[:, [0, 2]].any()


def test_no_flow_and_no_gas_are_no_fault() -> None:
    flow = rounded(noise(4 * DAY, level=20.0), 0.1)
    flow[3 * DAY :] = 0.0

    assert not (scores_of(Stuck(resolution=0.1), flow, MINUTE) > STRANGE).any()


def test_a_channel_that_never_changes_is_never_known() -> None:
    assert np.isnan(scores_of(Stuck(), np.full((3 * DAY, 2), 7.0), MINUTE)).all()


def test_what_is_missing_is_neither_the_same_nor_a_change() -> None:
    pressure = rounded(noise(3 * DAY), 0.1)
    pressure[2 * DAY :, 1] = pressure[2 * DAY, 1]
    pressure[2 * DAY + 3 : 2 * DAY + 2000 : 2, 1] = np.nan

    assert (scores_of(Stuck(resolution=0.1), pressure, MINUTE) > STRANGE)[2 * DAY + 30, 1]
