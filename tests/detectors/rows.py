"""Rows for tests: feed a record (rows, channels) to a detector or a panel, one row after another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from detectors.base import Detector, Memory, Row

Values = NDArray[np.float64]
START_NS = 1_767_600_000 * 10**9  # a whole hour


def row(values: Values, number: int, period_s: float) -> Row:
    return Row(values, START_NS + round((number + 1) * period_s * 1e9), period_s)


def scores_of(
    detector: Detector, record: Values, period_s: float, memory: Memory | None = None, calm_to: float = 6.0
) -> Values:
    """Raw scores (rows, channels); a channel teaches while its nominal surprise is below `calm_to`."""
    memory = detector.fresh_memory(record.shape[1]) if memory is None else memory
    scores = np.empty_like(record)
    for number, values in enumerate(record):
        now = row(values, number, period_s)
        scores[number] = detector.score(now, memory)
        detector.learn(now, ~(detector.surprise(np.nan_to_num(scores[number])) > calm_to), memory)
    return scores


def noise(rows: int, channels: int = 3, sigma: float = 1.0, level: float = 300.0, seed: int = 7) -> Values:
    return np.random.default_rng(seed).normal(level, sigma, (rows, channels))


def wandering(rows: int, channels: int, correlation: float, seed: int = 7) -> Values:
    """AR(1) noise of variance 1: each row remembers `correlation` of the one before."""
    steps = np.random.default_rng(seed).normal(0, np.sqrt(1 - correlation**2), (rows, channels))
    values: Values = lfilter([1.0], [1.0, -correlation], steps, axis=0)
    return values
