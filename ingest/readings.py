"""Readings: what a source hands in, as columns; the one shape between the socket and the detectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from ingest.once import once

GOOD, UNCERTAIN, BAD = 0, 1, 2
QUALITY_NAMES = ("good", "uncertain", "bad")

STAMPED = 1  # the reading carries the device's own time; without it, `time_ns` is its arrival
LATE = 2  # older on arrival than max(3 periods, 15 min): stored, but raises `late_detected` only
EARLY = 4  # more than 5 min in the future on arrival: stored as uncertain, not judged
CONFLICT = 8  # a second, different value of that channel and time: kept in the archive, not judged

UNUSUAL = LATE | EARLY | CONFLICT
MOST_PLANS = 256  # that are remembered, and
MOST_PLANNED = 100_000  # channels in all of them
T = TypeVar("T")


@dataclass(frozen=True)
class ReadingBatch:
    """Columns of equal length (readings,). Times are UTC ns since 1970; values in the channel's unit."""

    channel: NDArray[np.int32]  # the channel's number in the ChannelTable
    time_ns: NDArray[np.int64]  # when it was measured
    value: NDArray[np.float64]  # NaN where nothing could be read (quality bad)
    quality: NDArray[np.uint8]  # GOOD, UNCERTAIN, BAD
    arrival_ns: NDArray[np.int64]  # when it reached the gateway, in stream time
    flags: NDArray[np.uint8]  # STAMPED | LATE | EARLY | CONFLICT

    def __len__(self) -> int:
        return len(self.channel)

    def where(self, rows: NDArray[Any]) -> ReadingBatch:
        """The readings that a mask or an array of row numbers picks, in its order."""
        return ReadingBatch(
            self.channel[rows],
            self.time_ns[rows],
            self.value[rows],
            self.quality[rows],
            self.arrival_ns[rows],
            self.flags[rows],
        )

    @once
    def together(self) -> bytes:
        """Which channels speak, as a key; see `Recurring`."""
        return self.channel.tobytes()

    @once
    def everyday(self) -> ReadingBatch | None:
        """The finite readings that are not bad; None where one is uncertain, late, early or in conflict."""
        if np.count_nonzero(self.flags & UNUSUAL):
            return None
        finite = np.isfinite(self.value)
        if not np.count_nonzero(self.quality):
            return self if np.count_nonzero(finite) == len(finite) else self.where(finite)
        if np.count_nonzero(self.quality == UNCERTAIN):
            return None
        return self.where(finite & (self.quality == GOOD))

    def sorted(self) -> ReadingBatch:
        """By channel, then time, then order of arrival: order inside a tick means nothing."""
        return self.where(np.lexsort((self.time_ns, self.channel)))

    @classmethod
    def of(
        cls,
        channel: Any,
        time_ns: Any,
        value: Any,
        quality: Any = GOOD,
        arrival_ns: Any = None,
        flags: Any = STAMPED,
    ) -> ReadingBatch:
        """From anything array-like; scalars are repeated, `arrival_ns` defaults to `time_ns`."""
        channel = np.atleast_1d(np.asarray(channel, dtype=np.int32))
        size = len(channel)
        arrival_ns = time_ns if arrival_ns is None else arrival_ns
        return cls(
            channel,
            _column(time_ns, np.int64, size),
            _column(value, np.float64, size),
            _column(quality, np.uint8, size),
            _column(arrival_ns, np.int64, size),
            _column(flags, np.uint8, size),
        )

    @classmethod
    def empty(cls) -> ReadingBatch:
        return cls.of([], [], [])

    @classmethod
    def joined(cls, batches: Sequence[ReadingBatch]) -> ReadingBatch:
        """One batch after another."""
        if not batches:
            return cls.empty()
        if len(batches) == 1:
            return batches[0]
        return cls(*(np.concatenate([getattr(batch, c.name) for batch in batches]) for c in fields(cls)))


def _column(values: Any, dtype: Any, size: int) -> NDArray[Any]:
    array = np.asarray(values, dtype=dtype)
    return np.full(size, array, dtype=dtype) if array.ndim == 0 else array


class Recurring(Generic[T]):
    """What follows from which channels speak together, worked out once: most ticks repeat an earlier one.

    `plan` is asked for channels (readings,) that rise strictly, once they have come together twice.
    """

    def __init__(self, plan: Callable[[NDArray[np.intp]], T]) -> None:
        self._plan = plan
        self._plans: dict[bytes, T | None] = {}
        self._seen: set[int] = set()
        self._size = 0

    def of(self, readings: ReadingBatch) -> T | None:
        """The plan for their channels; None where these are new together, or one of them speaks twice."""
        try:
            return self._plans[readings.together]
        except KeyError:
            return self._new(readings.together, readings.channel)

    def _new(self, key: bytes, channel: NDArray[np.int32]) -> T | None:
        if hash(key) not in self._seen:
            if len(self._seen) >= MOST_PLANS:
                self._seen.clear()
            self._seen.add(hash(key))
            return None
        if len(self._plans) >= MOST_PLANS or self._size > MOST_PLANNED:
            self._plans.clear()
            self._size = 0
        rises = bool((channel[1:] > channel[:-1]).all())
        plan = self._plans[key] = self._plan(channel.astype(np.intp)) if rises else None
        self._size += len(channel)
        return plan
