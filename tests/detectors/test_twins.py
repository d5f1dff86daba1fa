"""Fast and slow say the same: each kernel beside its twin of plain Python."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.base import Detector
from detectors.jump import Jump
from detectors.novelty import Novelty
from detectors.plateau import Plateau
from detectors.windows import ROWS
from tests.detectors import twin_windows as twin
from tests.detectors.rows import START_NS, Values, row

PERIOD_S = 300.0
BEGIN = -(START_NS // round(PERIOD_S * 1e9) + 1) % ROWS  # the first row of a whole window


def fast(detector: Detector, record: Values, first: int) -> Values:
    memory = detector.fresh_memory(record.shape[1])
    scores = np.empty_like(record)
    for number, values in enumerate(record, first):
        now = row(values, number, PERIOD_S)
        scores[number - first] = detector.score(now, memory)
        detector.learn(now, np.ones(record.shape[1], dtype=bool), memory)
    return scores


def walk(seed: int, rows: int, channels: int) -> Values:
    """Noise, steps and repetitions, of any size."""
    chance = np.random.default_rng(seed)
    steps = np.where(chance.random((rows, channels)) < 0.02, chance.normal(0, 20, (rows, channels)), 0.0)
    size = 10.0 ** chance.uniform(-3, 4, channels)
    values: Values = np.round(chance.normal(0, 1, (rows, channels)) + steps.cumsum(axis=0), 2) * size
    return values


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**31))
def test_jump_is_its_twin(seed: int) -> None:
    record = walk(seed, 400, 3)
    slow = np.array([twin.jump(column.tolist(), PERIOD_S) for column in record.T]).T

    assert fast(Jump(), record, 0) == pytest.approx(slow, rel=1e-6, abs=1e-9, nan_ok=True)


@pytest.mark.parametrize("kind, slow_way", [(Plateau, twin.plateau), (Novelty, twin.novelty)])
def test_windows_are_their_twins(
    kind: type[Detector], slow_way: Callable[[list[list[float]], float], list[float]]
) -> None:
    for seed in range(4):
        record = walk(seed, 120 * ROWS, 3)
        scores = fast(kind(), record, BEGIN)[ROWS - 1 :: ROWS]
        windows = record.reshape(-1, ROWS, 3)
        slow = np.array([slow_way(windows[:, :, at].tolist(), PERIOD_S) for at in range(3)]).T

        assert scores == pytest.approx(slow, rel=1e-6, abs=1e-9, nan_ok=True)
