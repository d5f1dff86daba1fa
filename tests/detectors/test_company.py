"""What channels that belong together show: broken relations and lost levels stand out, wandering does not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from detectors.company import GAP, Company

Values = NDArray[np.float64]
ROWS = 1200


def ratios(rows: Values, period_s: float = 1.0) -> Values:
    company = Company(rows.shape[1])
    return np.array([company.ratio(row, period_s, period_s) for row in rows])


def network(seed: int = 5, rows: int = ROWS) -> Values:
    """(rows, 4): two pressures and a flow that follow one demand, and a temperature that wanders."""
    dice = np.random.default_rng(seed)
    demand = np.sin(np.arange(rows) / 40.0) + 0.3 * dice.normal(size=rows)
    noise = dice.normal(size=(rows, 3))
    warmth = 15.0 + np.cumsum(dice.normal(scale=0.02, size=rows))
    return np.column_stack(
        [
            300.0 - 8.0 * demand + noise[:, 0],
            280.0 - 10.0 * demand + noise[:, 1],
            60.0 + 12.0 * demand + 0.5 * noise[:, 2],
            warmth,
        ]
    )


def test_a_relation_that_breaks_stands_out_although_each_value_is_usual() -> None:
    rows = network()
    rows[900:, 0] = rows[500 : ROWS - 400, 0]  # a recording is played instead of the sensor

    result = ratios(rows)

    assert np.median(result[900:]) > 2.5 * np.median(result[400:900])


def test_a_level_that_is_lost_stays_strange_and_is_not_learned_as_usual() -> None:
    rows = network()
    rows[700:, 2] += 40.0

    result = ratios(rows)

    assert result[710:].min() > 2.0 * np.quantile(result[400:700], 0.99)


def test_what_has_been_so_for_five_days_is_the_world() -> None:
    rows = network(rows=2000)
    rows[700:, 2] += 40.0

    result = ratios(rows, period_s=3600.0)

    assert result[710:800].min() > 5.0
    assert np.median(result[1600:]) < 3.0


def test_a_channel_that_wanders_is_not_strange_for_being_elsewhere() -> None:
    result = ratios(network(rows=3000))

    assert np.mean(result[400:] > 5.0) < 0.02
    assert np.median(result[400:]) < 2.0


def test_one_odd_channel_of_many_weighs_the_more_the_odder_it_is() -> None:
    rows, peaks = network(), []
    for size in (0.0, 30.0, 300.0):
        shifted = rows.copy()
        shifted[800:810, 1] += size
        peaks.append(ratios(shifted)[800:810].max())

    assert peaks[0] < peaks[1] < peaks[2]


def test_after_a_long_gap_short_means_begin_anew() -> None:
    company = Company(4)
    rows = network(rows=1000)
    before = [company.ratio(row, 60.0, 60.0) for row in rows]
    after = company.ratio(network(seed=8)[0], (GAP + 1) * 60.0, 60.0)

    assert after < max(before)


def test_a_score_never_looks_ahead() -> None:
    rows = network()

    assert ratios(rows[:800]).tolist() == ratios(rows)[:800].tolist()


def test_the_order_of_columns_means_nothing() -> None:
    rows = network()

    assert ratios(rows[:, [2, 0, 3, 1]]) == pytest.approx(ratios(rows), rel=1e-9, abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(
    garbage=st.sampled_from([np.nan, np.inf, -np.inf, 1e308, -1e300, 5e-324, 0.0]),
    column=st.integers(0, 3),
    first=st.integers(0, 380),
    length=st.integers(1, 300),
)
def test_garbage_is_neither_strange_nor_learned(garbage: float, column: int, first: int, length: int) -> None:
    rows = network(rows=500)
    rows[first : first + length, column] = garbage

    result = ratios(rows)

    assert np.isfinite(result).all() and (result >= 0.0).all()


def test_columns_that_never_move_say_nothing() -> None:
    rows = np.column_stack([network(), np.zeros(ROWS), np.full(ROWS, 7.0)])

    result = ratios(rows)

    assert np.isfinite(result).all()
    assert np.median(result[400:]) < 2.0
