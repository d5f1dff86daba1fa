"""Fast and slow say the same: each kernel beside its twin of plain Python."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.base import Detector
from detectors.drift import Drift
from detectors.jump import Jump
from detectors.novelty import Novelty
from detectors.plateau import Plateau
from detectors.rhythm import Rhythm
from detectors.silence import Silence
from detectors.spike import Spike
from detectors.stuck import Stuck
from detectors.unrest import Unrest
from detectors.windows import ROWS
from tests.detectors import twin_rows
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


@pytest.mark.parametrize(
    "kind, slow_way",
    [(Plateau, twin.plateau), (Novelty, twin.novelty), (Unrest, twin.unrest), (Spike, twin.spike)],
)
def test_windows_are_their_twins(
    kind: type[Detector], slow_way: Callable[[list[list[float]], float], list[float]]
) -> None:
    for seed in range(4):
        record = walk(seed, 120 * ROWS, 3)
        scores = fast(kind(), record, BEGIN)[ROWS - 1 :: ROWS]
        windows = record.reshape(-1, ROWS, 3)
        slow = np.array([slow_way(windows[:, :, at].tolist(), PERIOD_S) for at in range(3)]).T

        assert scores == pytest.approx(slow, rel=1e-6, abs=1e-9, nan_ok=True)


ROW_TWINS: list[tuple[Detector, Callable[[list[float], list[float], float], list[float]]]] = [
    (Drift(), twin_rows.drift),
    (Rhythm(timezone="UTC", holidays=""), twin_rows.rhythm),
    (Stuck(), twin_rows.stuck),
    (Silence(), twin_rows.silence),
]


@pytest.mark.parametrize("detector, slow_way", ROW_TWINS, ids=lambda one: type(one).__name__)
def test_what_looks_at_every_row_is_its_twin(
    detector: Detector, slow_way: Callable[[list[float], list[float], float], list[float]]
) -> None:
    end_s = [row(np.zeros(1), number, PERIOD_S).end_ns * 1e-9 for number in range(4 * 288)]
    for seed in range(2):
        record = walk(seed, len(end_s), 3)
        held = np.random.default_rng(seed).random(record.shape) < 0.1
        if isinstance(detector, Silence):
            record[held] = np.nan
            record[200:230, 1] = np.nan
        elif isinstance(detector, Stuck):
            for number in range(1, len(record)):
                record[number] = np.where(held[number], record[number - 1], record[number])
            record[900:1000, 1] = record[900, 1]
        slow = np.array([slow_way(column.tolist(), end_s, PERIOD_S) for column in record.T]).T

        assert np.isfinite(slow[-1]).all()
        assert fast(detector, record, 0) == pytest.approx(slow, rel=1e-6, abs=1e-9, nan_ok=True)
