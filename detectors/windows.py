"""Windows: what detectors share that look at short windows of rows, once a window instead of once a row."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from detectors.base import BoolArray, Detector, FloatArray, Memory, Row

ROWS = 12
LEAST_ROWS = 8  # of a window that must have been heard


@dataclass(frozen=True)
class WindowDetector(Detector):
    """Keeps ROWS rows and judges them together when the window is over; the score stands until the next.

    A row costs one copy, the rest is paid once a window. A channel heard in fewer than LEAST_ROWS rows, or
    not in the last, keeps its score and teaches nothing; only a window calm in every row teaches. Windows end
    at multiples of ROWS periods of universal time, so that they do not hang on when a process was started.
    """

    spans: ClassVar[int] = ROWS
    momentary: ClassVar[tuple[str, ...]] = ("window", "calm_rows", "judged")

    def fresh_memory(self, channels: int) -> Memory:
        memory: Memory = {"window": np.full((ROWS, channels), np.nan).T}
        memory["calm_rows"] = np.zeros(channels)
        memory["judged"] = np.zeros(channels, dtype=bool)  # the window that ends was heard well enough
        memory["raw"] = np.full(channels, np.nan)
        return memory | self.lessons_of(channels)

    def score(self, row: Row, memory: Memory) -> FloatArray:
        place = _place(row)
        window = memory["window"]
        window[:, place] = row.values
        if not row.whole:
            window[row.missing, place] = np.nan
        if place == ROWS - 1:
            missing = np.isnan(window)
            judged = np.count_nonzero(missing, axis=1) <= ROWS - LEAST_ROWS
            judged &= row.heard
            memory["judged"] = judged
            filled = _filled(window, missing, judged) if np.count_nonzero(missing) else window
            with np.errstate(invalid="ignore"):
                raw = self.judge(filled, row, memory)
            np.copyto(memory["raw"], raw, where=judged & np.isfinite(raw))
        return memory["raw"]

    def learn(self, row: Row, calm: BoolArray, memory: Memory) -> None:
        calm_rows = memory["calm_rows"]
        calm_rows += calm
        if _place(row) == ROWS - 1:
            self.take(memory["judged"] & (calm_rows >= ROWS), row, memory)
            calm_rows[:] = 0.0
            memory["window"][:] = np.nan

    @abstractmethod
    def lessons_of(self, channels: int) -> Memory:
        """What it has learned before the first window; arrays by name."""

    @abstractmethod
    def judge(self, window: FloatArray, row: Row, memory: Memory) -> FloatArray:
        """Raw score (channels,) of a window (channels, ROWS), NaN until something is known.

        Rows that were missing hold the last value before them; channels that are not `judged` hold 0.
        """

    @abstractmethod
    def take(self, pupils: BoolArray, row: Row, memory: Memory) -> None:
        """Take the window that was just judged as normal for these channels."""


def middle(window: FloatArray) -> FloatArray:
    """The median of three rows of each window, (channels,): where it is, whatever one row says."""
    one, two, three = window[:, 1], window[:, 5], window[:, 9]
    found: FloatArray = np.maximum(np.minimum(one, two), np.minimum(np.maximum(one, two), three))
    return found


def _place(row: Row) -> int:
    return round(row.end_ns / (row.period_s * 1e9)) % ROWS


def _filled(window: FloatArray, missing: BoolArray, judged: BoolArray) -> FloatArray:
    """Every missing value replaced by the last one heard, or the first where none came before."""
    last = np.where(missing, 0, np.arange(ROWS))
    np.maximum.accumulate(last, axis=1, out=last)
    first = np.argmin(missing, axis=1)
    last = np.maximum(last, first[:, None])
    filled: FloatArray = np.take_along_axis(window, last, axis=1)
    filled[~judged] = 0.0
    return filled
