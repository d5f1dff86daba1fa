"""A sudden change of level is seen at once; noise, a spike and a slow day are not mistaken for it."""

from __future__ import annotations

import numpy as np

from detectors.jump import Jump
from tests.detectors.rows import noise, scores_of, wandering

MINUTE = 60.0
DAY = 1440
STRANGE = 4.5  # deviations


def test_a_burst_main_is_seen_in_the_second_row_in_which_it_shows() -> None:
    pressure = noise(DAY)
    pressure[1000:, 1] -= 8.0

    strange = scores_of(Jump(), pressure, MINUTE) > STRANGE

    assert strange[1001, 1]
    assert not strange[:1001].any() and not strange[:, [0, 2]].any()


def test_the_new_level_is_history_within_the_hour() -> None:
    pressure = noise(DAY)
    pressure[1000:, 1] += 30.0

    assert not (scores_of(Jump(), pressure, MINUTE)[1060:, 1] > STRANGE).any()


def test_a_spike_that_returns_at_once_is_no_jump() -> None:
    pressure = noise(DAY)
    pressure[1000, 1] += 50.0

    assert not (scores_of(Jump(), pressure, MINUTE) > STRANGE).any()


def test_the_slow_rise_of_a_day_is_no_jump() -> None:
    pressure = noise(2 * DAY) + 30 * np.sin(np.arange(2 * DAY) * 2 * np.pi / DAY)[:, None]

    assert not (scores_of(Jump(), pressure, MINUTE) > STRANGE).any()


def test_a_smaller_change_than_the_sensor_is_trusted_for_is_none() -> None:
    pressure = np.full((DAY, 1), 300.0)
    pressure[1000:] += 0.1

    assert scores_of(Jump(noise_floor=0.1), pressure, MINUTE)[1001, 0] <= 1.01
    assert scores_of(Jump(), pressure, MINUTE)[1001, 0] > STRANGE


def test_after_a_gap_the_level_begins_anew() -> None:
    pressure = noise(DAY)
    pressure[900:960, 1] = np.nan
    pressure[960:, 1] += 40.0

    assert not (scores_of(Jump(), pressure, MINUTE)[:, 1] > STRANGE).any()


def test_on_gaussian_noise_it_is_as_rare_as_it_says_and_on_wandering_noise_not_far_off() -> None:
    """Shares of scores beyond a nominal chance of 1e-3, after a day of lessons; 1.8 million rows."""
    for record, least, most in (
        (noise(4 * DAY, 300), 3e-4, 3e-3),
        (300 + wandering(4 * DAY, 300, 0.7), 1e-4, 2e-2),
    ):
        surprise = Jump().surprise(scores_of(Jump(), record, MINUTE)[DAY:])
        assert least < float((surprise > 3).mean()) < most
