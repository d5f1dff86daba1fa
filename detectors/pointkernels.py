"""Point kernels: what the panel and demand do with every point, compiled, to the bit what NumPy does.

The slow twins are in `panel.py`, `calibration.py` and `demand.py`. See `kernels.py`, which hands these on.
"""

import numpy as np
from numpy.typing import NDArray

from detectors.compiling import compiled

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
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
