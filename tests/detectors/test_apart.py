"""Apart: one sensor that leaves its neighbours is at fault; what neighbours share, or do at once, is not."""

from __future__ import annotations

import numpy as np
import pytest

from config.channels import Channel, ChannelTable
from config.defaults import defaults_for
from detectors.apart import Apart, neighbours
from detectors.windows import ROWS
from tests.detectors import twin_windows as twin
from tests.detectors.rows import START_NS, Values, noise, row, scores_of, wandering

PERIOD_S = 300.0
DAY = 288
BEGIN = -(START_NS // round(PERIOD_S * 1e9) + 1) % ROWS  # the first row of a whole window
WARNING = 5.6  # surprise: that of a twelfth of the budget at five minutes
TOGETHER = Apart(group=np.zeros(8, dtype=np.int32))


def zone(days: int = 9, channels: int = 8) -> Values:
    """Residuals of a zone's pressures: what is shared, of the size of their own noise, beside that noise."""
    shared = wandering(days * DAY, 1, 0.98, seed=5)
    return noise(days * DAY, channels, level=0.0) + 2.0 * shared


def told(record: Values, detector: Apart = TOGETHER) -> Values:
    scores = scores_of(detector, record, PERIOD_S, calm_to=WARNING)
    known = np.isfinite(scores)
    surprise: Values = np.where(known, detector.surprise(np.where(known, scores, 0.0)), np.nan)
    return surprise


def ramp(days: int, slope: float) -> Values:
    return slope * np.arange(days * DAY) / DAY


@pytest.mark.parametrize("slope", [4.0, -4.0])
def test_a_sensor_that_leaves_its_neighbours_is_told_within_two_days(slope: float) -> None:
    values = zone()
    values[6 * DAY :, 2] += ramp(3, slope)
    warned = told(values) > WARNING

    assert warned[8 * DAY, 2]
    assert not warned[:, [0, 1, 3, 4, 5, 6, 7]].any() and not warned[: 6 * DAY].any()


def test_what_all_do_is_no_fault_of_any() -> None:
    values = zone()
    values[6 * DAY :] += ramp(3, -8.0)[:, None]

    assert not (told(values) > WARNING).any()


def test_a_leak_lowers_several_and_most_the_nearest() -> None:
    values = zone()
    values[6 * DAY :, :4] += ramp(3, -1.0)[:, None] * np.array([8.0, 6.0, 4.0, 3.0])

    assert not (told(values) > WARNING).any()


def test_a_valve_that_is_shut_takes_one_at_once() -> None:
    values = zone()
    values[6 * DAY :, 2] -= 30.0

    assert not (told(values) > WARNING).any()


def test_three_channels_are_too_few_to_outvote_one() -> None:
    values = zone(channels=3)
    values[6 * DAY :, 2] += ramp(3, 6.0)

    assert not (told(values, Apart(group=np.zeros(3, dtype=np.int32))) > WARNING).any()


def test_a_neighbour_that_is_silent_neither_agrees_nor_objects() -> None:
    values = zone()
    values[6 * DAY :, 2] += ramp(3, 4.0)
    values[5 * DAY :, 7] = np.nan

    assert told(values)[-1, 2] > WARNING


def test_groups_do_not_know_of_each_other() -> None:
    values = zone()
    values[6 * DAY :, 2] += ramp(3, 4.0)
    both = np.concatenate([values, noise(len(values), 8, level=0.0, seed=3)], axis=1)
    group = np.repeat([0, 1], 8).astype(np.int32)

    assert np.array_equal(told(both, Apart(group=group))[:, :8], told(values), equal_nan=True)


def test_the_order_of_neighbours_means_nothing() -> None:
    values, order = zone(), [3, 1, 7, 5, 0, 4, 2, 6]
    values[6 * DAY :, 2] += ramp(3, 4.0)

    assert np.array_equal(told(values)[:, order], told(values[:, order]), equal_nan=True)


def test_it_says_which_way_and_how_far() -> None:
    values = zone()
    values[6 * DAY :, 2] -= ramp(3, 4.0)
    memory = TOGETHER.fresh_memory(8)
    scores_of(TOGETHER, values, PERIOD_S, memory, calm_to=WARNING)
    why = TOGETHER.explain(2, row(values[-1], len(values) - 1, PERIOD_S), memory)

    assert why.direction == -1 and "downwards" in why.sentence
    assert -13.0 < why.numbers["shift"] < -8.0


def test_it_is_its_twin() -> None:
    for seed in range(2):
        values = noise(120 * ROWS, 5, level=0.0, seed=seed) + wandering(120 * ROWS, 1, 0.95, seed)
        values[70 * ROWS :, 1] += np.linspace(0, 25, 50 * ROWS)
        detector = Apart(group=np.zeros(5, dtype=np.int32))
        memory = detector.fresh_memory(5)
        scores = []
        for number, levels in enumerate(values, BEGIN):
            now = row(levels, number, PERIOD_S)
            scores.append(detector.score(now, memory).copy())
            detector.learn(now, np.ones(5, dtype=bool), memory)
        windows = values.T.reshape(5, -1, ROWS).tolist()
        slow = np.array(twin.apart(windows, PERIOD_S))

        assert np.array(scores)[ROWS - 1 :: ROWS] == pytest.approx(slow, rel=1e-6, abs=1e-9, nan_ok=True)
        assert np.nanmax(slow[:, 1]) > 3.0


def test_neighbours_are_like_channels_of_a_zone_that_share_a_pipe_or_the_weather() -> None:
    channels = ChannelTable(
        [
            Channel("a.p", "gas", "a", "pressure", "kPa", 60.0, 0.1, 300.0, "north"),
            Channel("b.p", "gas", "b", "pressure", "kPa", 60.0, 0.1, 300.0, "north"),
            Channel("b.outlet", "gas", "b", "pressure", "kPa", 60.0, 0.01, 2.0, "north"),
            Channel("c.p", "gas", "c", "pressure", "kPa", 60.0, 0.1, 300.0, "south"),
            Channel("d.p", "water", "d", "pressure", "kPa", 60.0, 0.1, 300.0, "north"),
            Channel("a.ch4", "gas", "a", "ch4", "%{LEL}", 60.0, 0.1, np.nan, "north"),
            Channel("e.p", "gas", "e", "pressure", "kPa", 60.0, 0.1, 300.0),
        ]
    )
    group = neighbours(channels, [defaults_for(channel) for channel in channels.channels]).tolist()

    assert group[0] == group[1] >= 0
    assert len({group[0], group[3], group[4]}) == 3
    assert [group[2], group[5], group[6]] == [-1, -1, -1]
