"""The same value can be usual at noon and strange at night."""

from __future__ import annotations

import numpy as np

from detectors.base import Row
from detectors.rhythm import Rhythm
from tests.detectors.rows import Values, noise, scores_of

PERIOD_S = 300.0
HOUR, DAY = 12, 288
STRANGE = 5.5


def days_of_demand(days: int, channels: int = 4, sigma: float = 1.0) -> Values:
    """Flow between 20 in the night and 50 at noon, by the hours of the record."""
    hours = np.arange(days * DAY) % DAY / HOUR
    demand = 35 - 15 * np.cos(hours * np.pi / 12) + 3 * np.sin(hours * np.pi / 4)
    flow: Values = demand[:, None] + noise(days * DAY, channels, sigma, level=0.0)
    return flow


def test_the_flow_of_noon_is_strange_in_the_night() -> None:
    flow = days_of_demand(6)
    flow[5 * DAY + 2 * HOUR : 5 * DAY + 4 * HOUR, 1] = flow[4 * DAY + 12 * HOUR, 1]

    strange = scores_of(Rhythm(timezone="UTC"), flow, PERIOD_S) > STRANGE

    assert strange[5 * DAY + 2 * HOUR + 1, 1]
    assert not strange[:, [0, 2, 3]].any()


def test_nothing_is_said_on_the_first_day_and_the_third_is_good() -> None:
    scores = scores_of(Rhythm(timezone="UTC"), days_of_demand(4), PERIOD_S)

    assert np.isnan(scores[: DAY - HOUR]).all()
    assert np.isfinite(scores[2 * DAY :]).all()
    assert not (scores[np.isfinite(scores)] > STRANGE).any()


def test_hours_are_those_of_the_place() -> None:
    """At 18:00 UTC it is 02:00 in Shanghai; both zones learn the same day, at another place of the memory."""
    flow = days_of_demand(3, channels=1)
    memories = []
    for zone in ("UTC", "Asia/Shanghai"):
        rhythm = Rhythm(timezone=zone)
        memory = rhythm.fresh_memory(1)
        for number, values in enumerate(flow):
            now = Row(values, round((number + 1) * PERIOD_S * 1e9), PERIOD_S)
            rhythm.score(now, memory)
            rhythm.learn(now, np.ones(1, dtype=bool), memory)
        memories.append(memory["level"][0])

    assert np.allclose(np.roll(memories[0], 8), memories[1], atol=2.0)


def test_a_change_for_good_is_not_learned_while_it_is_strange() -> None:
    flow = days_of_demand(12)
    flow[6 * DAY :, 1] += 20
    scores = scores_of(Rhythm(timezone="UTC"), flow, PERIOD_S)[6 * DAY :, 1]

    assert (scores > STRANGE).all()


def test_an_hourly_channel_is_known_after_three_days() -> None:
    hourly = days_of_demand(8)[HOUR - 1 :: HOUR]
    hourly[-5, 1] += 15
    scores = scores_of(Rhythm(timezone="UTC"), hourly, 3600.0)

    assert np.isnan(scores[:71]).all() and np.isfinite(scores[72:]).all()
    assert scores[-5, 1] > STRANGE
    assert (scores[72:] > STRANGE).sum() <= 2


def test_a_channel_that_is_new_widens_no_other() -> None:
    flow = days_of_demand(10, channels=2)
    flow[: 8 * DAY, 1] = np.nan
    alone = scores_of(Rhythm(timezone="UTC"), flow[:, :1], PERIOD_S)[:, 0]
    beside = scores_of(Rhythm(timezone="UTC"), flow, PERIOD_S)[:, 0]

    np.testing.assert_array_equal(alone, beside)
