"""Row: one step of the even grid of a period; a value per channel, NaN where nothing was read."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Row:
    """One settled step of a grid, or one input row of `watchline score`.

    values (channels,): each channel's level in (end - period, end], in its unit; NaN where nothing was read.
    """

    values: NDArray[np.float64]
    end_ns: int
    period_s: float
