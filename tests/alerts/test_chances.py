"""Chances: intervals hold what textbooks say, and never leave what is possible."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts import chances


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (5, 10, 0.2366, 0.7634), (81, 263, 0.2553, 0.3662)],
)
def test_shares_have_wilsons_interval(hits: int, of: int, low: float, high: float) -> None:
    assert chances.share(hits, of) == pytest.approx((low, high), abs=1e-4)


def test_of_nothing_tried_nothing_is_known() -> None:
    assert chances.share(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("seen", "low", "high"), [(0, 0.0, 3.69), (1, 0.025, 5.57), (10, 4.80, 18.39), (100, 81.36, 121.63)]
)
def test_counts_have_nearly_the_exact_poisson_interval(seen: int, low: float, high: float) -> None:
    assert chances.count(seen) == pytest.approx((low, high), rel=0.02, abs=0.03)


@given(st.integers(0, 500), st.integers(0, 500))
def test_a_share_lies_in_its_interval_and_the_interval_in_what_is_possible(hits: int, misses: int) -> None:
    low, high = chances.share(hits, hits + misses)

    assert 0 <= low <= high <= 1
    if hits + misses:
        assert low <= hits / (hits + misses) <= high


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=1200))
def test_the_median_lies_in_its_interval(values: list[float]) -> None:
    interval, middle = chances.median_interval(values), chances.median(values)

    assert interval is not None
    assert middle is not None
    assert interval[0] <= middle <= interval[1]


def test_the_median_of_few_lies_anywhere_among_them_of_many_in_the_middle() -> None:
    assert chances.median_interval([1, 2, 3, 4, 5]) == (1, 5)
    assert chances.median_interval(list(range(1, 101))) == (40, 61)
    assert chances.median_interval([]) is None
    assert chances.median([]) is None
