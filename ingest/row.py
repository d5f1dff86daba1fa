"""Row: one step of the even grid of a period; a value per channel, NaN where nothing was read."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.once import once

HUGE = 1e30  # beyond this a value is garbage that was decoded as a number; nothing is learned from it


@dataclass(frozen=True)
class Row:
    """One settled step of a grid, or one input row of `watchline score`.

    values (channels,): each channel's level in (end - period, end], in its unit; NaN where nothing was read.
    """

    values: NDArray[np.float64]
    end_ns: int
    period_s: float

    @once
    def heard(self) -> NDArray[np.bool_]:
        """(channels,) where a value can be used: finite and below HUGE."""
        heard: NDArray[np.bool_] = np.abs(self.values) < HUGE
        return heard

    @once
    def whole(self) -> bool:
        """Every channel was heard."""
        return int(np.count_nonzero(self.heard)) == len(self.values)

    @once
    def missing(self) -> NDArray[np.bool_]:
        """(channels,) where it was not."""
        return ~self.heard
