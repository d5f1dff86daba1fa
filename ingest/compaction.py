"""Compaction: the hours of a day become one file, sorted by channel and time across the whole day.

Reading one channel's day then means one row group instead of 24. Memory holds one row group of each hour,
and one of the day.
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import msgspec
import numpy as np

from ingest.parquet import Recording, columns_of, opened, texts_of
from ingest.readings import CONFLICT, ReadingBatch
from ingest.shelf import DAY_NS, About, Volume, about, day_name

DAY_ROWS_A_GROUP = 250_000  # whole channels; three at 1 Hz, hundreds at 1 min

Run = tuple[str, int, ReadingBatch]  # channel, number of the file, its readings there


class Stopped(Exception):
    """We are to end; what was half written is removed, and begun again the next time."""


def mergeable(known: Sequence[Volume], carried_tick: int, now_ns: int) -> Iterator[list[Volume]]:
    """Runs of two and more hours of one day that is over, whose ticks follow one another.

    Only files that the journal no longer needs to write again: up to `carried_tick`. Where stream time was
    set back, or an hour is missing among the ticks, a new run begins: merged, their order would be lost.
    """
    run: list[Volume] = []
    last: About | None = None
    for volume in known:
        told = None if volume.is_day else about(volume.path)
        over = now_ns >= _day(volume) + DAY_NS
        fits = told is not None and told.last_tick <= carried_tick and over
        follows = (
            bool(run)
            and told is not None
            and last is not None
            and told.first_tick == last.last_tick + 1
            and volume.start_ns >= run[-1].end_ns
            and _day(volume) == _day(run[-1])
        )
        if run and not (fits and follows):
            if len(run) > 1:
                yield run
            run = []
        if fits:
            run.append(volume)
        last = told
    if len(run) > 1:
        yield run


def merge(hours: Sequence[Volume], give_up: Callable[[], bool]) -> Path:
    """Write the day beside its hours, then remove them; Stopped, with nothing changed, if told to give up."""
    first, last = about(hours[0].path), about(hours[-1].path)
    if first is None or last is None:
        raise ValueError(f"{hours[0].path}: not a file of the archive")
    told = About(first.first_tick, last.last_tick, first.first_ns, tuple(hour.path.name for hour in hours))
    path = hours[0].path.with_name(day_name(first.first_tick, hours[0].start_ns))
    with Recording(path, msgspec.json.encode(told)) as recording:
        for group, ids in _groups([hour.path for hour in hours]):
            if give_up():
                raise Stopped
            recording.write(group, ids)
    for hour in hours:
        hour.path.unlink()
    return path


def _groups(paths: Sequence[Path]) -> Iterator[tuple[ReadingBatch, list[str]]]:
    """Row groups of whole channels, each with the texts of its channel numbers."""
    parts: list[ReadingBatch] = []
    ids: list[str] = []
    rows = 0
    merged = heapq.merge(*(_runs(path, number) for number, path in enumerate(paths)), key=itemgetter(0, 1))
    for id, runs in groupby(merged, key=itemgetter(0)):
        channel = _in_time(ReadingBatch.joined([readings for _, _, readings in runs]), len(ids))
        ids.append(id)
        parts.append(channel)
        rows += len(channel)
        if rows >= DAY_ROWS_A_GROUP:
            yield ReadingBatch.joined(parts), ids
            parts, ids, rows = [], [], 0
    if parts:
        yield ReadingBatch.joined(parts), ids


def _in_time(readings: ReadingBatch, number: int) -> ReadingBatch:
    """One channel's readings, sorted; a conflict behind the reading that it contradicts."""
    conflict = readings.flags & CONFLICT
    if not conflict.any() and (readings.time_ns[1:] >= readings.time_ns[:-1]).all():
        ordered = readings
    else:
        ordered = readings.where(np.lexsort((conflict, readings.time_ns)))
    ordered.channel[:] = number
    return ordered


def _runs(path: Path, number: int) -> Iterator[Run]:
    """The channels of a file, in its order."""
    with opened(path) as file:
        for group in range(file.num_row_groups):
            table = file.read_row_group(group)
            names, channel = texts_of(table.column("channel"))
            readings = columns_of(table)
            starts = np.flatnonzero(np.diff(channel, prepend=-1)).tolist()
            for start, end in zip(starts, [*starts[1:], len(channel)]):
                yield names[channel[start]], number, readings.where(np.arange(start, end))


def _day(volume: Volume) -> int:
    """Where a volume's day begins."""
    return volume.start_ns - volume.start_ns % DAY_NS
