"""A small shift that lasts adds up; noise, however slow, takes its promised time to look like one."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.drift import Drift
from tests.detectors.rows import noise, scores_of, wandering

MINUTE = 60.0
DAY = 1440
ALARM = 20.0


def test_a_seeping_joint_adds_up_within_the_hour() -> None:
    pressure = noise(5 * DAY)
    pressure[4 * DAY :, 1] -= 2.0

    alarms = scores_of(Drift(), pressure, MINUTE) > ALARM

    assert alarms[4 * DAY + 60, 1]
    assert not alarms[:, [0, 2]].any() and not alarms[: 4 * DAY].any()


def test_silence_never_calms_an_alarm() -> None:
    pressure = noise(5 * DAY)
    pressure[4 * DAY : 4 * DAY + 120, 1] -= 2.0
    pressure[4 * DAY + 120 :, 1] = np.nan

    assert (scores_of(Drift(), pressure, MINUTE)[4 * DAY + 60 :, 1] > ALARM).all()


def test_one_spike_is_no_drift() -> None:
    pressure = noise(5 * DAY)
    pressure[4 * DAY, 1] += 1e6

    assert not (scores_of(Drift(), pressure, MINUTE)[:, 1] > ALARM).any()


def test_a_recovered_channel_is_seen_to_recover() -> None:
    pressure = noise(6 * DAY)
    pressure[4 * DAY : 5 * DAY, 1] += 3.0
    scores = scores_of(Drift(), pressure, MINUTE)[:, 1]

    assert scores[5 * DAY - 1] > ALARM
    assert scores[-1] < 10.0


@pytest.mark.parametrize("correlation", [0.0, 0.9, 0.99])
def test_the_run_to_a_false_alarm_is_as_long_as_promised_however_slow_the_noise(correlation: float) -> None:
    """On h = 12 about exp(13.2) independent rows; with its pace learned, slow noise must not be worse."""
    record = 300 + wandering(10 * DAY, 60, correlation)
    scores = scores_of(Drift(), record, MINUTE)[4 * DAY :]
    above = scores > 12.0
    episodes = int((above[1:] & ~above[:-1]).sum() + above[0].sum())

    assert np.isfinite(scores).all()
    assert episodes <= 60 * 6 * DAY / np.exp(12 + 1.17) * 2 + 6


def test_the_drift_of_a_day_is_believed_slowly_and_shows_after_days() -> None:
    """0.3 deviations a day: too slow for a jump, but not for a sum."""
    pressure = noise(20 * DAY, 3)
    pressure[10 * DAY :, 1] += np.arange(10 * DAY) * 0.3 / DAY
    alarms = scores_of(Drift(), pressure, MINUTE) > ALARM

    assert not alarms[:, [0, 2]].any()
    assert alarms[15 * DAY :, 1].any()
