"""A channel that stops is noticed after five periods, and one that is known for gaps gets more patience."""

from __future__ import annotations

import numpy as np

from detectors.silence import Silence
from tests.detectors.rows import noise, row, scores_of

MINUTE = 60.0


def test_five_missing_periods_are_too_many() -> None:
    record = noise(200)
    record[100:, 1] = np.nan
    scores = scores_of(Silence(), record, MINUTE)

    assert scores[103, 1] < 1.0 <= scores[104, 1]
    assert (scores[:, [0, 2]] == 0).all()


def test_a_fast_channel_may_be_silent_for_a_minute() -> None:
    record = noise(200)
    record[100:, 1] = np.nan
    scores = scores_of(Silence(), record, 1.0)

    assert scores[150, 1] < 1.0 <= scores[160, 1]


def test_one_reading_is_enough_to_be_back() -> None:
    record = noise(200)
    record[50:150, 1] = np.nan

    assert scores_of(Silence(), record, MINUTE)[150, 1] == 0


def test_a_channel_that_never_spoke_is_not_silent() -> None:
    record = noise(200)
    record[:, 1] = np.nan

    assert np.isnan(scores_of(Silence(), record, MINUTE)[:, 1]).all()


def test_an_epoch_starts_the_clock_anew() -> None:
    silence, record = Silence(), noise(100)
    memory = silence.fresh_memory(3)
    scores_of(silence, record, MINUTE, memory)
    silence.restart(memory)
    day_later = [silence.score(row(np.full(3, np.nan), 1540 + n, MINUTE), memory) for n in range(6)]

    assert (day_later[0] < 1.0).all() and (day_later[5] >= 1.0).all()


def test_a_device_that_sleeps_every_night_earns_patience_and_a_usual_one_does_not() -> None:
    """Eight hours of silence a day, at one reading in ten minutes: alarms die away, the neighbour's stay."""
    rows = 30 * 144
    record = noise(rows, 2)
    record[np.arange(rows) % 144 < 48, 0] = np.nan
    record[-48:, 1] = np.nan
    strange = scores_of(Silence(), record, 600.0) >= 1.0

    assert strange[: 5 * 144, 0].any()
    assert not strange[-10 * 144 :, 0].any()
    assert strange[-1, 1]
