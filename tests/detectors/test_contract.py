"""What every row detector promises, whatever it looks for; a new file in `detectors/` is found by itself."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from config import kinds
from config.snapshot import Keyed, pack, unpack
from detectors.base import Detector, Memory, Row

Values = NDArray[np.float64]
PERIOD_S = 600.0
START_NS = 1_767_600_000 * 10**9
ROWS = 5 * 144  # five days
DETECTORS = [
    found
    for kind in kinds.kinds(kinds.DETECTORS)
    if issubclass(found := kinds.kind_class(kinds.DETECTORS, kind), Detector)
]
every_detector = pytest.mark.parametrize("kind", DETECTORS, ids=lambda kind: kind.__name__)


def row(values: Values, number: int, period_s: float = PERIOD_S) -> Row:
    return Row(values, START_NS + round((number + 1) * period_s * 1e9), period_s)


def record(channels: int = 6, rows: int = ROWS, seed: int = 3) -> Values:
    """A day's rhythm, noise rounded as a sensor would, gaps, and something strange on the last day."""
    rng = np.random.default_rng(seed)
    day = np.sin(2 * np.pi * np.arange(rows) / 144)[:, None] * rng.uniform(0, 10, channels)
    values = np.round(300 + day + rng.normal(0, 1, (rows, channels)), 1)
    values[rng.random(values.shape) < 0.03] = np.nan
    values[-100:, 0] += 12
    values[-100:, 1] = values[-100, 1]
    values[-100:, 2] = np.nan
    return values


def run(
    detector: Detector, values: Values, memory: Memory | None = None, first: int = 0
) -> tuple[Values, Memory]:
    """Raw scores (rows, channels) and the memory afterwards; a channel is calm while below surprise 6."""
    memory = detector.fresh_memory(values.shape[1]) if memory is None else memory
    scores = np.empty_like(values)
    for number, levels in enumerate(values):
        scores[number] = detector.score(row(levels, first + number), memory)
        calm = ~(detector.surprise(np.nan_to_num(scores[number])) > 6.0)
        detector.learn(row(levels, first + number), calm, memory)
    return scores, memory


def same(one: Any, other: Any) -> bool:
    return bool(np.array_equal(one, other, equal_nan=True))


@every_detector
def test_scores_have_the_shape_of_the_row_and_leave_it_untouched(kind: type[Detector]) -> None:
    detector, values = kind(), record()
    memory = detector.fresh_memory(6)
    for number, levels in enumerate(values[:200]):
        before = levels.copy()
        scores = detector.score(row(levels, number), memory)
        detector.learn(row(levels, number), np.ones(6, dtype=bool), memory)
        assert scores.shape == (6,) and scores.dtype == np.float64
        assert same(levels, before)
    assert all(len(array) == 6 for array in memory.values())


@every_detector
def test_nothing_is_said_before_anything_is_known(kind: type[Detector]) -> None:
    detector = kind()
    nothing = np.full((20, 3), np.nan)

    assert np.isnan(run(detector, nothing)[0]).all()


@every_detector
def test_something_is_known_after_three_days(kind: type[Detector]) -> None:
    scores, _ = run(kind(), record(channels=20))

    assert np.isfinite(scores[3 * 144 :]).all()


@every_detector
def test_channels_do_not_depend_on_their_order(kind: type[Detector]) -> None:
    detector, values = kind(), record()
    order = np.array([3, 1, 5, 0, 4, 2])

    assert same(run(detector, values)[0][:, order], run(detector, values[:, order])[0])


@every_detector
def test_a_channel_scores_the_same_alone_and_in_company(kind: type[Detector]) -> None:
    detector, values = kind(), record()

    assert same(run(detector, values)[0][:, :1], run(detector, values[:, :1])[0])


@every_detector
def test_a_restored_memory_goes_on_as_the_saved_one(kind: type[Detector]) -> None:
    detector, values = kind(), record()
    keys = tuple("abcdef")
    expected, _ = run(detector, values)
    _, memory = run(detector, values[:500])
    saved = unpack(pack({name: Keyed(keys, array) for name, array in memory.items()}))
    fresh = detector.fresh_memory(6)
    memory = {name: saved[name].onto(keys, fresh[name]) for name in fresh}

    assert same(run(detector, values[500:], memory, first=500)[0], expected[500:])


@every_detector
def test_silence_never_calms(kind: type[Detector]) -> None:
    detector, values = kind(), record()
    scores, memory = run(detector, values[:-50])
    quiet, _ = run(detector, np.full((30, 6), np.nan), memory, first=len(values) - 50)

    assert (quiet >= scores[-1]).all()


@every_detector
@pytest.mark.parametrize("odd", [math.inf, -math.inf, 1e308, -1e308, 1e300, 5e-324, 0.0])
def test_garbage_in_one_channel_neither_raises_nor_stays_nor_spreads(
    kind: type[Detector], odd: float
) -> None:
    detector, values = kind(), record()
    clean, _ = run(detector, values)
    values[600:603, 3] = odd
    with np.errstate(all="raise", under="ignore"):
        scores, memory = run(detector, values)
    others = [0, 1, 2, 4, 5]

    assert same(scores[:, others], clean[:, others])
    assert np.isfinite(scores[610:, 3]).all()
    assert all(not np.isinf(array).any() for array in memory.values() if array.dtype == np.float64)
    assert detector.surprise(scores[-1:, 3])[0] < 6.0


@every_detector
def test_a_constant_channel_is_never_strange(kind: type[Detector]) -> None:
    for level in (0.0, 21.0, 1e9):
        scores, _ = run(kind(), np.full((ROWS, 2), level))
        known = scores[np.isfinite(scores)]
        assert (kind().surprise(known) < 1.5).all()


@every_detector
@pytest.mark.parametrize("channels", [1, 20_000])
def test_one_channel_or_many(kind: type[Detector], channels: int) -> None:
    scores, _ = run(kind(), record(channels=8)[:, np.arange(channels) % 8][:60])

    assert scores.shape == (60, channels)
    if channels > 8:
        assert same(scores[:, :8], scores[:, 8:16])


@every_detector
def test_rarer_scores_are_more_surprising(kind: type[Detector]) -> None:
    raw = np.linspace(0.0, 60.0, 500)
    surprise = kind().surprise(raw)

    assert (surprise >= 0).all() and (np.diff(surprise) >= 0).all()


@every_detector
def test_options_may_differ_by_channel(kind: type[Detector]) -> None:
    detector, values = kind(), record()
    by_channel = {
        name: np.full(6, value)
        for name in ("noise_floor", "resolution", "stale_after_s")
        if isinstance(value := getattr(detector, name, None), float)
    }

    assert same(run(replace(detector, **by_channel), values)[0], run(detector, values)[0])


@every_detector
def test_a_new_epoch_keeps_what_was_learned(kind: type[Detector]) -> None:
    detector, values = kind(), record()
    _, memory = run(detector, values[:500])
    detector.restart(memory)
    weeks_later = 500 + 40 * 144
    scores, _ = run(detector, values[500:600], memory, first=weeks_later)

    assert np.isfinite(scores[-1]).all()
    assert (detector.surprise(scores[:5]) < 5.0).all()


@every_detector
def test_a_finding_can_be_explained(kind: type[Detector]) -> None:
    detector, values = kind(), record()
    _, memory = run(detector, values)
    why = detector.explain(0, row(values[-1], ROWS - 1), memory)

    assert why.sentence and not any(letter.isdigit() for letter in why.sentence)
    assert why.direction in (-1, 0, 1)
    assert all(math.isfinite(number) for number in why.numbers.values())


@every_detector
@pytest.mark.parametrize("size", [1e-310, 1.0, 1e29])
def test_a_channel_that_alternates_from_the_first_day_on_is_usual(kind: type[Detector], size: float) -> None:
    values = record()
    values[:, 3] = np.where(np.arange(ROWS) % 2, size, -size)
    scores, memory = run(kind(), values)

    assert (kind().surprise(scores[-100:, 3]) < 6.0).all()
    assert all(not np.isinf(array).any() for array in memory.values() if array.dtype.kind == "f")
