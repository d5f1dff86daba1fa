"""Short windows: a shifted mean, new noise, values never seen, spikes, and a wrong unit."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.novelty import Novelty
from detectors.plateau import Plateau
from detectors.scale import Scale
from detectors.spike import Spike
from detectors.unrest import Unrest
from detectors.windows import ROWS, WindowDetector
from tests.detectors.rows import START_NS, Values, noise, row, scores_of, wandering

PERIOD_S = 300.0
DAY = 288
WARNING = 6.0  # surprise


def surprises(detector: WindowDetector, record: Values) -> Values:
    scores = scores_of(detector, record, PERIOD_S)
    known = np.isfinite(scores)
    result: Values = np.where(known, detector.surprise(np.where(known, scores, 0.0)), np.nan)
    return result


def test_a_shift_of_two_deviations_shows_in_the_second_window() -> None:
    values = noise(10 * DAY)
    values[8 * DAY :, 1] += 2.0
    told = surprises(Plateau(), values)

    assert told[8 * DAY + 2 * ROWS, 1] > WARNING
    assert not (told[:, [0, 2]] > WARNING).any() and not (told[: 8 * DAY] > WARNING).any()


@pytest.mark.parametrize("correlation", [0.0, 0.9])
def test_means_of_slow_noise_are_measured_by_means(correlation: float) -> None:
    """p = 1e-4 a window; over 60 channels and 12 days some 4 are due."""
    told = surprises(Plateau(), 300 + wandering(14 * DAY, 60, correlation))[2 * DAY :: ROWS]

    assert (told > 4.0).sum() < 20


def test_a_channel_that_grows_noisy_is_told_and_one_that_steps_is_not() -> None:
    values = noise(10 * DAY)
    values[8 * DAY :, 1] += noise(2 * DAY, 1, sigma=15.0, level=0.0)[:, 0]
    values[8 * DAY + 6 :, 2] += 500.0
    told = surprises(Unrest(), values)

    assert told[8 * DAY + 2 * ROWS, 1] > WARNING
    assert not (told[:, [0, 2]] > 4.0).any()


def test_a_value_never_seen_is_news_and_one_seen_before_is_not() -> None:
    values = noise(12 * DAY)
    for day in (2, 4, 10):
        values[day * DAY : day * DAY + 4 * ROWS, 0] += 40.0
    values[10 * DAY : 10 * DAY + 4 * ROWS, 1] += 40.0
    detector = Novelty()
    scores = scores_of(detector, values, PERIOD_S, calm_to=1e9)
    here = slice(10 * DAY + ROWS, 10 * DAY + 3 * ROWS)

    assert scores[here, 1].max() > 20 * scores[here, 0].max()


def test_spikes_again_and_again_are_a_fault_and_one_is_none() -> None:
    values = noise(10 * DAY, 4)
    chance = np.random.default_rng(3)
    hit = 8 * DAY + np.flatnonzero(chance.random(DAY) < 0.1)
    values[hit, 1] += chance.choice([-1, 1], len(hit)) * chance.uniform(40, 160, len(hit))
    values[8 * DAY + 5, 2] += 100
    values[8 * DAY + 40 :, 3] += 100
    raw = scores_of(Spike(), values, PERIOD_S)

    assert (raw[8 * DAY : 9 * DAY, 1] >= 1.0).any()
    assert not (raw[:, [0, 2, 3]] >= 1.0).any()


@pytest.mark.parametrize("factor", [1000.0, 0.001, 0.145038])
def test_a_wrong_unit_is_told_from_a_pressure_that_fell(factor: float) -> None:
    values = noise(10 * DAY)
    values[8 * DAY :, 1] *= factor
    values[8 * DAY :, 2] -= 255.0
    raw = scores_of(Scale(), values, PERIOD_S)

    assert (raw[8 * DAY + 9 * ROWS :, 1] >= 1.0).all()
    assert not (raw[:, [0, 2]] >= 1.0).any()


def test_a_flow_that_falls_to_a_third_each_night_has_no_wrong_unit_until_it_has_one() -> None:
    hours = np.arange(12 * DAY)[:, None] * PERIOD_S / 3600.0 % 24.0
    demand = np.where((hours > 1.0) & (hours < 6.0), 480.0, 1700.0)
    values = demand * (1.0 + 0.0125 * np.random.default_rng(5).normal(size=(12 * DAY, 3)))
    values[10 * DAY :, 1] *= 0.15
    raw = scores_of(Scale(), values, PERIOD_S)

    assert not (raw[: 10 * DAY] >= 1.0).any() and not (raw[:, [0, 2]] >= 1.0).any()
    assert (raw[10 * DAY :, 1] >= 1.0).any()


def test_a_dead_sensor_has_no_wrong_unit() -> None:
    values = noise(10 * DAY)
    values[8 * DAY :, 1] = 0.3
    values[8 * DAY :, 2] = 0.0

    assert not (scores_of(Scale(), values, PERIOD_S) >= 1.0).any()


@pytest.mark.parametrize("detector", [Plateau(), Unrest(), Spike()], ids=lambda one: type(one).__name__)
def test_windows_end_at_the_same_times_whenever_a_process_began(detector: WindowDetector) -> None:
    values = noise(6 * DAY)
    early, late = detector.fresh_memory(3), detector.fresh_memory(3)
    ends: list[list[int]] = [[], []]
    for number, levels in enumerate(values[: 5 * ROWS]):
        now = row(levels, number, PERIOD_S)
        for memory, seen, begun in ((early, ends[0], True), (late, ends[1], number >= 7)):
            if begun:
                detector.score(now, memory)
                detector.learn(now, np.ones(3, dtype=bool), memory)
                if np.isnan(memory["window"]).all():
                    seen.append(number)

    assert ends[0][1:] == ends[1][1:] or ends[0] == ends[1]


def strange_days(kind: type[WindowDetector]) -> Values:
    """Nine calm days and two windows of what this kind looks for, from where a window begins."""
    begin = -(START_NS // round(PERIOD_S * 1e9) + 1) % ROWS
    values = noise(begin + 9 * DAY + 4 * ROWS, 1)
    event = values[begin + 9 * DAY :]
    if kind is Spike:
        event[3::5] += 80.0
    elif kind is Unrest:
        event += noise(len(event), 1, sigma=20.0, level=0.0, seed=8)
    elif kind is Scale:
        event *= 10.0
    else:
        event += 30.0
    return values


@pytest.mark.parametrize("kind", [Plateau, Novelty, Unrest, Spike, Scale])
def test_a_window_inside_of_the_band_would_have_been_silent(kind: type[WindowDetector]) -> None:
    detector, values = kind(), strange_days(kind)
    raw = 1.0 if not detector.calibrated else 5.0
    memory = detector.fresh_memory(1)
    scores = scores_of(detector, values, PERIOD_S, memory)
    low, high = detector.band(0, raw, row(values[-1], len(values) - 1, PERIOD_S), memory)
    kept = values.copy()
    kept[-4 * ROWS :] = np.clip(kept[-4 * ROWS :], low, high)

    assert scores[-1, 0] >= raw
    assert low < high
    assert scores_of(detector, kept, PERIOD_S)[-1, 0] < raw
