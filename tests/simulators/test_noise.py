"""Noise that can be asked for at any moment."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from simulators.noise import normal, stream, uniform, wander

KEY = stream(7, "test")


@given(st.lists(st.integers(-(2**40), 2**40), min_size=1, max_size=50))
def test_a_step_has_its_number_whoever_asks_for_it_and_beside_what(steps: list[int]) -> None:
    together = normal(KEY, np.array(steps))

    assert together.tolist() == [float(normal(KEY, np.array([step]))[0]) for step in steps]


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=30), st.floats(10.0, 10_000.0))
def test_slow_noise_is_known_at_any_single_moment(moments: list[int], scale_s: float) -> None:
    time_s = np.array(moments, dtype=np.float64)

    together = wander(KEY, time_s, scale_s)

    assert together.tolist() == [float(wander(KEY, time_s[[n]], scale_s)[0]) for n in range(len(time_s))]


def test_normal_numbers_are_standard_and_independent() -> None:
    drawn = normal(KEY, np.arange(200_000))

    assert abs(drawn.mean()) < 0.01
    assert abs(drawn.std() - 1) < 0.01
    assert abs(np.mean(drawn[1:] * drawn[:-1])) < 0.01
    assert 0.0022 < np.mean(np.abs(drawn) > 3) < 0.0032  # 0.0027


def test_slow_noise_has_variance_one_and_forgets_after_its_scale() -> None:
    time_s = np.arange(0.0, 4_000_000.0, 10.0)
    level = wander(KEY, time_s, 1000.0)

    assert abs(level.mean()) < 0.1
    assert abs(level.std() - 1) < 0.1
    assert np.mean(level[1:] * level[:-1]) > 0.9
    assert abs(np.mean(level[400:] * level[:-400])) < 0.1


def test_streams_of_other_names_or_seeds_have_nothing_in_common() -> None:
    steps = np.arange(100_000)

    for other in (stream(8, "test"), stream(7, "tests"), stream(7, "test", "x")):
        assert abs(np.mean(normal(KEY, steps) * normal(other, steps))) < 0.015


def test_uniform_numbers_fill_the_unit_interval() -> None:
    drawn = uniform(KEY, np.arange(100_000))

    counts, _ = np.histogram(drawn, bins=10, range=(0.0, 1.0))
    assert counts.sum() == 100_000
    assert counts.min() > 9_600
