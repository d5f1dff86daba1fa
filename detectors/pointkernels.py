"""Point kernels: what the panel and demand do with every point, compiled, to the bit what NumPy does.

The slow twins are in `panel.py`, `calibration.py` and `demand.py`. See `kernels.py`, which hands these on.
"""

import numpy as np
from numpy.typing import NDArray

from detectors.compiling import compiled
from detectors.findings import ALARM, WARNING

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Singles = NDArray[np.float32]
AT_ONCE = 512  # points whose columns stay in the nearest cache


@compiled
def settle(
    raw: Floats,
    blind: Floats,
    scale: Floats,
    least: Floats,
    most: Floats,
    surprise: Floats,
    score: Floats,
    high: Ints,
) -> int:
    """What `Panel.judge` does with every point, whatever it is; how many are high, the first of `high`."""
    count = 0
    for first in range(0, len(raw), AT_ONCE):
        end = min(first + AT_ONCE, len(raw))
        for i in range(first, end):
            known = raw[i] + blind[i]
            nominal, limit = known * scale[i], most[i]
            nominal = limit if nominal > limit else nominal
            raw[i], surprise[i] = known, nominal
            score[i] = nominal / (nominal + 5.0)
        for i in range(first, end):
            high[count] = i
            count += raw[i] >= least[i]
    return count


@compiled
def look(
    high: Ints,
    nominal: Floats,
    heard: Bools,
    pool: Ints,
    learning: Bools,
    warning: Floats,
    alarm: Floats,
    stood: Bools,
    roots: Floats,
    counts: Singles,
    table: Singles,
    granted: float,
    severity: NDArray[np.uint8],
    observed: Floats,
) -> None:
    """`Panel._look` at the points `high`: `Calibration.of`, their severities, `Calibration.count_high`."""
    inner = roots[1:-1]
    for k in range(len(high)):
        point = high[k]
        root = np.sqrt(nominal[k])
        bin = np.searchsorted(inner, root, side="right")
        low = table[pool[point], bin]
        share = (root - roots[bin]) / (roots[bin + 1] - roots[bin])
        seen = low + share * (table[pool[point], bin + 1] - low)
        observed[k] = seen if learning[point] else nominal[k]
        warns = observed[k] >= warning[point]
        if warns:
            severity[point] = ALARM if observed[k] >= alarm[point] else WARNING
        if learning[point] and heard[point % len(heard)] and not (warns and stood[point]):
            while bin > 0 and table[pool[point], bin] > granted:
                bin -= 1
            counts[pool[point], bin] += np.float32(1.0)


@compiled
def tally(raw: Floats, heard: Bools, pool: Ints, counted: Ints) -> None:
    """How many scores are known by their pools, into `counted` (pools,), all 0 before."""
    for first in range(0, len(raw), len(heard)):
        for i in range(len(heard)):
            counted[pool[first + i]] += np.isfinite(raw[first + i]) & heard[i]


@compiled
def shrink(
    zones: NDArray[np.int32],
    flow: Bools,
    at_night: bool,
    least: int,
    loading: Floats,
    residual: Floats,
    raw: Floats,
) -> None:
    """`Demand` for each zone; zones: (zones, longest) its columns, -1 behind the last; flow: by column."""
    swings = np.empty(zones.shape[1])
    for zone in range(zones.shape[0]):
        heard = members = 0
        for column in zones[zone]:
            if column < 0:
                break
            members += 1
            swing = residual[column] / loading[column]
            if swing == swing:
                swings[heard] = swing
                heard += 1
        shared = 0.0
        if heard >= least:
            swings[:heard].sort()
            shared = 0.5 * (swings[(heard - 1) // 2] + swings[heard // 2])
        for column in zones[zone, :members]:
            part = loading[column] * shared / residual[column]
            part = part if part > 0.0 else 0.0
            left = 1.0 - (part if part < 1.0 else 1.0)
            left = 1.0 if at_night and flow[column] else left
            residual[column] *= left
            raw[column] *= left
