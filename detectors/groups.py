"""Groups: channels or subjects that are looked at side by side: rows of a padded array, and their middle."""

from collections.abc import Sequence

import numpy as np

from detectors.base import FloatArray, IntArray


def padded(groups: Sequence[Sequence[int]]) -> IntArray:
    """(groups, longest) the columns of each group, -1 behind its last."""
    padded = np.full((len(groups), max(map(len, groups), default=0)), -1, dtype=np.int32)
    for place, columns in zip(padded, groups):
        place[: len(columns)] = columns
    return padded


def medians(values: FloatArray) -> tuple[FloatArray, IntArray]:
    """Over axis 1, NaN left out, and of how many; any order of channels gives the same bits."""
    ordered = np.sort(values, axis=1)  # NaN goes last
    count = values.shape[1] - np.count_nonzero(np.isnan(values), axis=1)
    low, high = np.maximum(count - 1, 0) // 2, np.minimum(count // 2, values.shape[1] - 1)
    first = np.arange(len(values))
    middle: FloatArray = 0.5 * (ordered[first, low] + ordered[first, high])
    return middle, count.astype(np.int32)
