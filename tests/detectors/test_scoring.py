"""What a recorded series shows: new values and odd hours stand out, repetition and gaps do not."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from detectors.scoring import Novelty, Scorer, scores

MINUTE = 60.0


def scored(values: NDArray[np.float64], period_s: float = 300.0) -> NDArray[np.float64]:
    scorer = Scorer()
    return np.array([scorer.score(number * period_s, float(value)) for number, value in enumerate(values)])


def steady(rows: int, seed: int = 3) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(50.0, 1.0, rows)


def test_a_value_far_from_all_before_is_news_and_the_second_time_it_is_not() -> None:
    values = steady(2000)
    values[1500] = values[1800] = 90.0
    result, novelty = scored(values), Novelty()
    distances = [novelty.of(float(value)) for value in values]

    assert result[1500] == result.max() > 0.5
    assert result[1800] < result[1500] - 0.2
    assert distances[1500] == max(distances) and distances[1800] == 0.0


def test_the_hundredth_row_can_already_stand_out() -> None:
    values = steady(200)
    values[100] = 80.0

    assert int(scored(values).argmax()) == 100


def test_an_event_is_told_by_its_first_row_and_a_worse_one_again() -> None:
    values = steady(2000)
    values[1500:1540] = np.linspace(90.0, 91.0, 40)
    values[1530] = 1e4
    result = scored(values)

    assert result[1500] > 0.5 and result[1530] > result[1500]
    assert max(result[1501:1530]) < 0.25


def test_the_first_change_of_what_never_changed_stands_out() -> None:
    values = np.full(300, 5.0)
    values[150] = 6.0
    result = scored(values)

    assert result[150] == result.max() > 0.25
    assert not result[:150].any() and result[151] < 0.1


def test_a_usual_value_at_an_unusual_hour_is_news() -> None:
    hours = np.arange(20 * 288) % 288 / 12
    values = 30 + 20 * np.sin(hours * np.pi / 12) + steady(20 * 288) * 0.2
    values[15 * 288 + 200 : 15 * 288 + 212] = values[15 * 288 + 72]
    result = scored(values)

    assert 15 * 288 + 200 <= int(result[3 * 288 :].argmax()) + 3 * 288 < 15 * 288 + 212


def test_a_gap_of_months_is_no_anomaly() -> None:
    values, scorer = steady(1000), Scorer()
    before = [scorer.score(number * 300.0, float(value)) for number, value in enumerate(values)]
    after = [
        scorer.score(9e6 + number * 300.0, float(value)) for number, value in enumerate(steady(50, seed=4))
    ]

    assert max(after) <= max(before[100:]) + 0.3


def test_a_row_of_several_columns_is_odd_where_one_of_them_is() -> None:
    one, other = steady(500), steady(500, seed=9)
    one[400] = 70.0
    both = np.array(list(scores(((n * 300.0, [a, b]) for n, (a, b) in enumerate(zip(one, other))), 2)))

    assert 400 <= int(both.argmax()) < 410 and both[400] > both[100:400].max()
    assert both[:50].max() == 0.0 and both.max() < 1.0


def test_a_series_alone_scores_as_itself() -> None:
    values = steady(300)

    assert list(scores(((n * 300.0, [v]) for n, v in enumerate(values)), 1)) == scored(values).tolist()


def test_a_score_never_looks_ahead() -> None:
    values = steady(600)
    changed = values.copy()
    changed[400:] += 1000

    assert np.array_equal(scored(values)[:400], scored(changed)[:400])


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(-1e12, 1e12), st.one_of(st.floats(), st.just(1.0), st.integers(-5, 5).map(float))
        ),
        max_size=300,
    )
)
def test_whatever_comes_a_score_is_a_number_from_0_to_1(rows: list[tuple[float, float]]) -> None:
    scorer = Scorer()

    assert all(0.0 <= scorer.score(time_s, value) <= 1.0 for time_s, value in rows)


def test_a_missing_value_scores_nothing_and_teaches_nothing() -> None:
    values = steady(400)
    gappy = np.insert(values, 200, math.nan)
    scorer = Scorer()
    times = np.insert(np.arange(400) * 300.0, 200, 200 * 300.0)
    result = [scorer.score(t, v) for t, v in zip(times, gappy)]

    assert result[200] == 0.0
    assert np.allclose(np.delete(result, 200), scored(values))
