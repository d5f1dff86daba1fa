"""Recall: what arrived within the last hour, for readings older than their channel's ring reaches back.

Rarely needed: when a broker delivers again more readings of a channel than its ring holds, or a device sends
its history. So it is read from the journal when it is asked for the first time, kept up to date while it is
asked, and dropped after a minute of rest.
"""

import time
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from ingest.journal import REMEMBERED_READINGS
from ingest.readings import ReadingBatch

BoolArray = NDArray[np.bool_]
REST_S = 60.0
JOINED = 50_000  # readings; small batches are put together, so that there are few to look through


class Recall:
    """`load` tells what arrived lately, oldest first; at most a million readings are kept."""

    def __init__(self, load: Callable[[], Iterable[ReadingBatch]]) -> None:
        self._load = load
        self._batches: list[ReadingBatch] | None = None
        self._asked_s = 0.0

    def add(self, readings: ReadingBatch) -> None:
        """One more group has arrived."""
        if self._batches is None:
            return
        if time.monotonic() - self._asked_s > REST_S:
            self._batches = None
            return
        self._append(self._batches, readings)
        while sum(map(len, self._batches[1:])) > REMEMBERED_READINGS:
            del self._batches[0]

    def known(
        self, channel: NDArray[np.int32], time_ns: NDArray[np.int64], value: NDArray[np.float64]
    ) -> tuple[BoolArray, BoolArray]:
        """Whether each (channel, time) has arrived within the last hour, and with this value."""
        if self._batches is None:
            self._batches = []
            for readings in self._load():
                self._append(self._batches, readings)
        self._asked_s = time.monotonic()
        alike = ReadingBatch.joined([self._alike(batch, channel, time_ns) for batch in self._batches])
        times = set(zip(alike.channel.tolist(), alike.time_ns.tolist()))
        values = set(zip(alike.channel.tolist(), alike.time_ns.tolist(), _bits(alike.value)))
        moments = list(zip(channel.tolist(), time_ns.tolist()))
        same_time = np.array([moment in times for moment in moments], dtype=bool)
        same_value = np.array([(*m, bits) in values for m, bits in zip(moments, _bits(value))], dtype=bool)
        return same_time, same_value

    @staticmethod
    def _append(batches: list[ReadingBatch], readings: ReadingBatch) -> None:
        if batches and len(batches[-1]) < JOINED:
            batches[-1] = ReadingBatch.joined([batches[-1], readings])
        else:
            batches.append(readings)

    @staticmethod
    def _alike(batch: ReadingBatch, channel: NDArray[np.int32], time_ns: NDArray[np.int64]) -> ReadingBatch:
        """Those of a batch that bear one of the times, and one of the channels."""
        rows = np.flatnonzero((batch.time_ns >= time_ns.min()) & (batch.time_ns <= time_ns.max()))
        rows = rows[np.isin(batch.channel[rows], channel)]
        return batch.where(rows[np.isin(batch.time_ns[rows], time_ns)])


def _bits(value: NDArray[np.float64]) -> list[int]:
    bits: list[int] = np.ascontiguousarray(value).view(np.uint64).tolist()
    return bits
