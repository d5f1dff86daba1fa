"""Calibration: what scores are worth, learned from how often they come; a table per pool of like channels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from config.snapshot import Keyed, State, restored
from detectors import tails

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LOWEST = 2.0  # nominal surprise (-log10 p) from which scores are counted; below it nothing can alarm
STEP = 0.1  # width of a bin in the root of nominal surprise: for Gaussian noise a fifth of a deviation
EVEN = 40  # bins of that width, up to nine deviations; beyond, each is wider than the one before …
BINS = 68  # … up to a hundred, which one of 300,000 rows of Student's t with 3 degrees of freedom needs
FIRST, KNEE = float(np.sqrt(LOWEST)), float(np.sqrt(LOWEST)) + STEP * EVEN
WIDER = 1.085  # the last takes all above; straight beyond it
ROOTS = np.concatenate([FIRST + STEP * np.arange(EVEN), KNEE * WIDER ** np.arange(BINS - EVEN + 1)])
EDGES = ROOTS**2  # of the bins, in nominal surprise
PRIOR_ROWS = 2000.0  # weight of what is believed before data: that nominal tails are real ones stretched by
PRIOR_STRETCH = 1.6  # this factor, because real noise is never as tame as ideal noise
TAIL_ROWS = 100.0  # exceedances (the prior's included) that the tail is fitted to
TOTAL_EVERY = 16  # rows between two counts of all scores; the rare high ones are counted on each
SHARES = 16  # tables are renewed in so many turns, every RENEW_EVERY rows one share
RENEW_EVERY = 32
FORGET_ROWS = 5e6  # a pool that has counted so much halves its counts


class Calibration:
    """Maps nominal surprise to surprise as observed, per pool; monotone, and useful from the start.

    Up to where exceedances are plentiful the observed share is used as it is; beyond it a generalised
    Pareto tail fitted to the excesses, on the scale of deviations (the root of surprise), where it is at
    home: Student's tails have its very form, and Gaussian ones are followed from the safe side.
    Counting depends on rows alone, never on how they were grouped.
    """

    def __init__(self, pools: Sequence[str], most: float) -> None:
        """pools: in the order of their turns, as `in_turns` puts them; most: see `count_high`."""
        self.pools = tuple(pools)
        self.most = most
        first = np.searchsorted([turn_of(pool) for pool in pools], np.arange(SHARES + 1)).tolist()
        self._turns = [slice(*ends) for ends in pairwise(first)]
        self._counts = np.zeros((len(pools), BINS), dtype=np.float32)
        self._total = np.zeros(len(pools))
        self._rows = 0
        self._table = np.zeros((len(pools), BINS + 1), dtype=np.float32)
        self._renew(slice(None))

    def lowest(self) -> Floats:
        """What LOWEST is worth (pools,): the most that an uncounted score can be."""
        return self._table[:, 0].astype(np.float64)

    def of(self, pool: Ints, nominal: Floats) -> Floats:
        """The observed surprise of nominal ones (n,), all at least LOWEST."""
        root = np.sqrt(nominal)
        bin = _bin(root)
        flat = self._table.reshape(-1)
        at = pool * (BINS + 1) + bin
        low = flat[at]
        share = (root - ROOTS[bin]) / (ROOTS[bin + 1] - ROOTS[bin])
        surprise: Floats = low + share * (flat[at + 1] - low)
        return surprise

    def nominal_of(self, pool: int, observed: float) -> float:
        """The nominal surprise that is worth so much in that pool: the inverse of `of`."""
        return float(np.interp(observed, self._table[pool], ROOTS)) ** 2

    def count_high(self, pool: Ints, nominal: Floats) -> None:
        """Count scores of at least LOWEST that calm channels showed in this row (all (n,)).

        One that is worth more than `most` counts as one of the last bin that is not: a single event, however
        far out, bends no tail; noise that keeps reaching there bends it step by step.
        """
        bin = _bin(np.sqrt(nominal))
        far = bin > 0
        while np.count_nonzero(far):
            far &= self._table[pool, bin] > self.most
            bin -= far
            far &= bin > 0
        np.add.at(self._counts.reshape(-1), pool * BINS + bin, np.float32(1.0))

    def wants_total(self) -> bool:
        """Whether this row's scores are to be counted in all."""
        return self._rows % TOTAL_EVERY == 0

    def count_all(self, known: Ints) -> None:
        """Count all known scores of this row, so many in each pool."""
        self._total += TOTAL_EVERY * known

    def tables(self) -> tuple[Floats, Any, Any, float]:
        """What compiled kernels work with: roots of the bins, counts (which they move), tables, `most`."""
        return ROOTS, self._counts, self._table, self.most

    def end_row(self) -> bool:
        """One row is over; True where tables were renewed."""
        self._rows += 1
        if self._rows % RENEW_EVERY:
            return False
        self._renew(self._turns[self._rows // RENEW_EVERY % SHARES])
        return True

    def state(self) -> State:
        return {
            "counts": Keyed(self.pools, self._counts),
            "total": Keyed(self.pools, self._total),
            "table": Keyed(self.pools, self._table),
            "rows": self._rows,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        known: dict[str, Any] = _as_now(dict(state))
        self._counts = restored(known, "counts", self.pools, self._counts)
        self._total = restored(known, "total", self.pools, self._total)
        self._table = restored(known, "table", self.pools, self._table)
        self._rows = int(known.get("rows", 0))

    def _renew(self, share: slice) -> None:
        counts, total = self._counts[share], self._total[share]
        if len(total) == 0:
            return
        old = total > FORGET_ROWS
        counts[old] *= 0.5
        total[old] *= 0.5
        self._table[share] = _table(counts + PRIOR_COUNTS, total + PRIOR_ROWS)


def _bin(root: Floats) -> Ints:
    """The bins (n,) of roots of nominal surprise, all at least FIRST."""
    bin: Ints = np.searchsorted(ROOTS[1:-1], root, side="right")
    return bin


def _as_now(state: State) -> State:
    """A state whose bins were all of one width, as earlier versions had them, in the bins of now."""
    counts = state.get("counts")
    if not isinstance(counts, Keyed) or counts.array.shape[1:] == (BINS,):
        return state
    middles = np.asarray(FIRST + STEP * (np.arange(counts.array.shape[1]) + 0.5), dtype=np.float64)
    array = np.zeros((len(counts.keys), BINS), dtype=np.float32)
    for before, now in enumerate(_bin(middles).tolist()):
        array[:, now] += counts.array[:, before]
    edges = FIRST + STEP * np.arange(counts.array.shape[1] + 1)
    table = state.get("table")
    if isinstance(table, Keyed):
        rows = [np.interp(ROOTS, edges, row) for row in table.array]
        state["table"] = Keyed(table.keys, np.array(rows, dtype=np.float32).reshape(-1, BINS + 1))
    return {**state, "counts": Keyed(counts.keys, array)}


def turn_of(pool: str) -> int:
    """In which turn a pool's table is renewed: by its name alone, whatever pools there are beside it."""
    return crc32(pool.encode()) % SHARES


def in_turns(pools: Iterable[str]) -> tuple[str, ...]:
    """Pools in the order in which `Calibration` wants them."""
    return tuple(sorted(pools, key=lambda pool: (turn_of(pool), pool)))


PRIOR_COUNTS = PRIOR_ROWS * (
    10.0 ** (-EDGES[:-1] / PRIOR_STRETCH) - np.append(10.0 ** (-EDGES[1:-1] / PRIOR_STRETCH), 0.0)
)


def _table(counts: Floats, total: Floats) -> Floats:
    """Surprise at EDGES (pools, BINS + 1) from counts (pools, BINS) among total (pools,) scores."""
    above = np.cumsum(counts[:, ::-1], axis=1)[:, ::-1]  # at each lower edge
    share = np.minimum(above / np.maximum(total, above[:, 0])[:, None], 1.0)
    observed = -np.log10(np.maximum(share, 1e-300))
    start = np.maximum((above >= TAIL_ROWS).sum(axis=1) - 1, 0)  # the bin at which the fitted tail begins
    pool = np.arange(len(counts))
    excess = (ROOTS[:-1] + ROOTS[1:]) / 2 - ROOTS[start][:, None]  # middle of each bin over the threshold
    inside = np.where(excess > 0, counts, 0.0)
    number = above[pool, start]
    mean = (inside * excess).sum(axis=1) / number
    rarer = (above - counts / 2) / number[:, None]  # 1 - F in the middle of a bin
    shape, scale = tails.pareto(mean, (inside * excess * rarer).sum(axis=1) / number, number)
    beyond = np.maximum(ROOTS - ROOTS[start][:, None], 0.0)
    fitted = observed[pool, start][:, None] + tails.pareto_surprise(beyond, shape[:, None], scale[:, None])
    padded = np.concatenate([observed, fitted[:, -1:]], axis=1)
    table: Floats = np.where(np.arange(BINS + 1) < start[:, None], padded, fitted)
    return table
