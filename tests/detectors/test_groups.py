"""Groups: the middle of what was heard, and groups of any size side by side."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.groups import medians, padded


@given(st.lists(st.lists(st.one_of(st.just(np.nan), st.floats(-9, 9)), min_size=3, max_size=3), min_size=1))
def test_the_middle_is_the_median_of_what_was_heard(values: list[list[float]]) -> None:
    for row, middle, count in zip(values, *medians(np.array(values))):
        heard = [value for value in row if not np.isnan(value)]
        assert count == len(heard)
        assert middle == pytest.approx(np.median(heard)) if heard else np.isnan(middle)


def test_groups_stand_side_by_side_and_nothing_stands_behind_the_last_of_each() -> None:
    assert padded([[4, 1], [7], [2, 3, 5]]).tolist() == [[4, 1, -1], [7, -1, -1], [2, 3, 5]]
    assert padded([]).shape == (0, 0)
