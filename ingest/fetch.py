"""Fetch: committed readings out of the journal, each with its tick, for couriers and plots."""

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ingest.inbox import timely
from ingest.journal import Listed, StoredTick, stored_arrivals, stored_ticks
from ingest.progress import Gap
from ingest.readings import ReadingBatch

DAMAGED = "damaged in the journal"
TICKS_AT_ONCE = 1_000


def some_ticks(connection: sqlite3.Connection, gap: Gap, most: int) -> list[StoredTick]:
    """The first ticks of a gap, whole ones, of about `most` readings in all; the first one however large."""
    ticks: list[StoredTick] = []
    readings = 0
    for tick in stored_ticks(connection, gap.after.tick, TICKS_AT_ONCE):
        if gap.upto is not None and tick.id > gap.upto.tick:
            break
        if ticks and readings + tick.readings > most:
            break
        ticks.append(tick)
        readings += tick.readings
    return ticks


def fetched(
    connection: sqlite3.Connection,
    ticks: Sequence[StoredTick],
    known: Listed,
    at_once: int,
    lost: Counter[str],
    chosen: NDArray[np.bool_] | None = None,
) -> Iterator[ReadingBatch]:
    """Readings of consecutive ticks by journal number, about `at_once` at a time, each arriving at its tick.

    `chosen` (channels,) says which are wanted. Those of damaged blobs are counted in `lost`.
    """
    if not ticks:
        return
    ends = np.array([tick.upto_arrival for tick in ticks])
    moments = np.array([tick.now_ns for tick in ticks])
    good = np.array([tick.clock_good for tick in ticks])
    group: list[ReadingBatch] = []
    places: list[int] = []
    size = 0
    rows = stored_arrivals(connection, ticks[0].after_arrival, ticks[-1].upto_arrival)
    for id, _, count, readings in rows:
        if readings is None:
            lost[DAMAGED] += count
            continue
        if chosen is not None:
            readings = readings.where(chosen[readings.channel])
        group.append(readings)
        places.append(id)
        size += len(readings)
        if size >= at_once:
            yield _timed(group, places, ends, moments, good, known)
            group, places, size = [], [], 0
    if size:
        yield _timed(group, places, ends, moments, good, known)


def _timed(
    group: list[ReadingBatch],
    places: list[int],
    ends: NDArray[np.int64],
    moments: NDArray[np.int64],
    good: NDArray[np.bool_],
    known: Listed,
) -> ReadingBatch:
    ticks = np.repeat(np.searchsorted(ends, places), [len(readings) for readings in group])
    clock = True if good.all() else good[ticks]
    return timely(ReadingBatch.joined(group), moments[ticks], known.period_s, clock)
