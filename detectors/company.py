"""Company: how strange a row is among channels that belong together, each by itself and beside the others.

Two questions are asked of each channel. *Own level*: does its short mean lie where it used to lie? *Kin*:
does its value agree with what all others, and the row before, make of it? Kin is the residual of the linear
regression on all of them, read off the inverse covariance (Hotelling's T2 is the sum of its products with the
values). Deviations are taken in usual ones, where a channel that wanders is usually far from its mean. They
are added as logarithms, by Student's likelihood instead of Gauss's, so that one is not the whole answer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from detectors.base import HUGE, BoolArray, FloatArray

OWN_ROWS = 6.0  # mean over so many rows (exponential) is compared with the level …
KIN_ROWS = 2.0  # … and with the others; they react within a row, so this one is short
WANDER_ROWS = 64.0  # what moves slower than this is wandering
WANDER = 8.0  # an unseen hour wanders so much wider (in variance) than the hours that were seen
FINEST = (
    0.002  # of its largest value: finer than class 0.2 no channel is believed, however many digits it has
)
RIDGE = 1e-4  # of a variance; keeps a regression on twins (a pump's state and its flow) from splitting hairs
OWN_TAIL, KIN_TAIL = 100.0, 10.0  # squared deviations from which on logarithms are added rather than squares
HISTORY = 8192  # calm rows that are remembered
SETTLED = 20  # rows until a mean over rows has forgotten where it began
FIRST = 64  # calm rows before anything is said
TRUSTED = (
    400  # rows that are taken as normal whatever they look like: with fewer, wandering looks like an event
)
CALM = 5.0  # times the usual score: rows above it are not learned
RESUME_S = 5 * 86400.0  # what has been strange so long is learned all the same: the world has changed
GAP = 100.0  # periods without a row after which means begin anew
LASTING_ROWS = 3.0  # what lasts counts for more than one row …
STRANGE = 8.0  # … of which what exceeds so many usual ones counts as its logarithm
FARTHEST = 1e3  # deviations; beyond it nothing grows stranger


@dataclass(frozen=True)
class Normal:
    """What was learned from the history: linear in a row beside the one before it (2 p values)."""

    centre: FloatArray  # (2 p,)
    weights: FloatArray  # (p, 2 p): a value minus what the others make of it
    own_spread: FloatArray  # (p,) in the units of the channels
    kin_spread: FloatArray  # (p,)
    own_usual: float  # mean scores over the history
    kin_usual: float


class Company:
    """One group of `columns` channels, row after row; nothing ahead is looked at."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self._history = np.zeros((FIRST, 2 * columns))
        self._taken = 0  # calm rows so far; the history is a ring
        self._fit_at = FIRST
        self._normal: Normal | None = None
        self._last = np.full(columns, np.nan)
        self._own = np.zeros(columns)  # short means: of the row …
        self._kin = np.zeros(2 * columns)  # … and of it beside the row before
        self._began = False
        self._strange_s = 0.0
        self._lasting = 0.0
        self.own = np.zeros(columns)  # deviations of the last row, in usual ones
        self.kin = np.zeros(columns)

    def ratio(self, values: FloatArray, step_s: float, period_s: float) -> float:
        """How many times as strange as usual the last rows are; 0 while too little is known.

        values (columns,): NaN, infinite and huge ones count as missing: they are neither strange nor learned
        from.
        """
        heard = np.abs(values) < HUGE
        row = np.where(heard, values, self._last)
        row[np.isnan(row)] = 0.0
        pair = np.concatenate([row, np.where(np.isnan(self._last), row, self._last)])
        self._last = row
        if not self._began or step_s > GAP * period_s:
            self._began = True
            pair[self.columns :] = row
            self._own, self._kin = row.copy(), pair.copy()
        self._own += (row - self._own) / OWN_ROWS
        self._kin += (pair - self._kin) / KIN_ROWS
        ratio = self._judge(heard)
        self._strange_s = 0.0 if ratio < CALM else self._strange_s + step_s
        if ratio < CALM or self._strange_s >= RESUME_S or self._taken < TRUSTED:
            self._learn(pair)
        worth = ratio if ratio < STRANGE else STRANGE * (1.0 + math.log(ratio / STRANGE))
        self._lasting += (worth - self._lasting) / LASTING_ROWS
        return self._lasting

    def _judge(self, heard: BoolArray) -> float:
        normal = self._normal
        if normal is None:
            return 0.0
        p = self.columns
        own = (self._own - normal.centre[:p]) / normal.own_spread
        kin = normal.weights @ (self._kin - normal.centre) / normal.kin_spread
        self.own = np.clip(np.where(heard, own, 0.0), -FARTHEST, FARTHEST)
        self.kin = np.clip(np.where(heard, kin, 0.0), -FARTHEST, FARTHEST)
        return max(total(self.own, OWN_TAIL) / normal.own_usual, total(self.kin, KIN_TAIL) / normal.kin_usual)

    def _learn(self, pair: FloatArray) -> None:
        room = len(self._history)
        if self._taken == room and room < HISTORY:
            self._history = np.concatenate([self._history, np.zeros_like(self._history)])
            room *= 2
        self._history[self._taken % room] = pair
        self._taken += 1
        if self._taken >= self._fit_at:
            self._fit_at = self._taken + min(max(self._taken // 4, 16), HISTORY // 8)
            known = self._history[: min(self._taken, room)]
            self._normal = learned(
                np.roll(known, -(self._taken % room), axis=0) if self._taken > room else known
            )


def learned(history: FloatArray) -> Normal:
    """From calm rows beside the rows before them (rows, 2 p), in order of time."""
    rows, p = len(history), history.shape[1] // 2
    centre = history.mean(axis=0)
    floor = FINEST * np.abs(history).max(axis=0)
    variance = history.var(axis=0) + floor**2
    scale = np.sqrt(np.where(variance > 0.0, variance, 1.0))
    scaled = (history - centre) / scale
    covariance = scaled.T @ scaled / rows
    covariance[np.diag_indices(2 * p)] += (floor / scale) ** 2 + RIDGE + 1.0 / rows
    inverse = np.linalg.inv(covariance)[:p]
    weights = inverse / np.diag(inverse)[:, None]
    grain = (floor / scale)[:p] / 2
    own_spread, own_usual = _usual(scaled[:, :p], OWN_ROWS, OWN_TAIL, grain)
    kin_spread, kin_usual = _usual(scaled @ weights.T, KIN_ROWS, KIN_TAIL, grain)
    fitted = rows / max(rows - 2 * p, rows / 8)  # residuals of rows that were not fitted are wider by this
    still = history[:, :p].min(axis=0) == history[:, :p].max(axis=0)  # never seen to move: nothing is known
    own_spread[still] = kin_spread[still] = np.inf
    return Normal(centre, weights / scale, own_spread * scale[:p], fitted * kin_spread, own_usual, kin_usual)


def _usual(series: FloatArray, over: float, tail: float, grain: FloatArray) -> tuple[FloatArray, float]:
    """Usual deviations (p,) of short means over a series (rows, p) around 0, and the usual total of them."""
    short = _means(series, over)[SETTLED:]
    slow = _means(series, WANDER_ROWS)[SETTLED:]
    noise = series.var(axis=0) / (
        2 * WANDER_ROWS - 1
    )  # that a mean over WANDER_ROWS shows without any wandering
    wander = np.maximum(slow.var(axis=0) - noise, 0.0)
    spread = np.sqrt(np.square(short).mean(axis=0) + grain**2 + WANDER * wander)
    spread = np.maximum(spread, 1e-9)
    return spread, float(np.mean([total(row, tail) for row in short / spread]))


def total(deviations: FloatArray, tail: float) -> float:
    """How strange deviations are together; one of `tail` squared or more adds only its logarithm."""
    return float(np.log1p(np.square(deviations) / tail).sum())


def _means(series: FloatArray, over: float) -> FloatArray:
    """Exponential means over so many rows (rows, p), beginning with the plain mean of the first ones."""
    from scipy.signal import lfilter

    keep = 1.0 - 1.0 / over
    begin = series[: int(over)].mean(axis=0, keepdims=True)
    smooth: FloatArray = lfilter([1.0 / over], [1.0, -keep], series, axis=0, zi=keep * begin)[0]
    return smooth
