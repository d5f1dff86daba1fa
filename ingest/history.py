"""History: one channel's readings over a span of time, for a plot, from the archive and the journal.

In the archive rows and row groups follow the channel's text, so that a look at the footer finds the one row
group of a file to read. What the archive does not have yet, the last hour as a rule, is in the journal.
"""

import contextlib
import sqlite3
from collections import Counter, OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from config.errors import InputError
from ingest.fetch import fetched
from ingest.journal import StoredTick, listed, open_reader, stored_ticks
from ingest.parquet import columns_of, legible, opened, texts_of
from ingest.readings import CONFLICT, ReadingBatch
from ingest.shelf import HOUR_NS, about_of, volumes

FOOTERS_KEPT = 64
AT_ONCE = 1_000_000
AHEAD_NS = HOUR_NS  # a reading that was stamped further ahead of its arrival is not looked for


@dataclass(frozen=True, slots=True)
class Curve:
    """Columns (readings,) of one channel, by time."""

    time_ns: NDArray[np.int64]
    value: NDArray[np.float64]
    quality: NDArray[np.uint8]
    arrival_ns: NDArray[np.int64]  # its tick
    conflict: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.time_ns)


def history(
    channel: str, start_ns: int, end_ns: int, *, archive: Path | None = None, data: Path | None = None
) -> Curve:
    """What was measured in [start, end): from an archive's folder, a gateway's data folder, or both."""
    return History(archive, data).read(channel, start_ns, end_ns)


class History:
    """Remembers the footers of the files that it read last; for one thread."""

    def __init__(self, archive: Path | None = None, data: Path | None = None) -> None:
        self._archive = archive
        self._data = data
        self._footers: OrderedDict[tuple[Path, int, int], Any] = OrderedDict()

    def read(self, channel: str, start_ns: int, end_ns: int) -> Curve:
        """Readings of the channel measured in [start, end), late ones included; none where it is not known.

        InputError when a file of the archive cannot be read.
        """
        parts: list[ReadingBatch] = []
        with contextlib.ExitStack() as stack:
            connection = None
            if self._data is not None:
                # Opened first: what the journal forgets meanwhile is in the archive by then.
                connection = stack.enter_context(contextlib.closing(open_reader(self._data)))
                connection.execute("BEGIN")
                connection.execute("SELECT 1 FROM ticks LIMIT 1").fetchone()
            archived = 0
            for volume in [] if self._archive is None else volumes(self._archive):
                archived, found = self._in_file(volume.path, channel, volume.end_ns + AHEAD_NS > start_ns)
                parts += found
            if connection is not None:
                parts += _in_journal(connection, channel, archived, start_ns)
        return _curve(parts, start_ns, end_ns)

    def _in_file(self, path: Path, channel: str, wanted: bool) -> tuple[int, list[ReadingBatch]]:
        """The journal's id of a file's last tick, and the channel's readings there."""
        try:
            with legible():
                footer = self._footer(path)
                about = about_of(footer.metadata)
                last_tick = 0 if about is None else about.last_tick
                group = _group_of(footer, channel) if wanted else None
            if group is None:
                return last_tick, []
            with opened(path, footer, memory_map=True) as file:
                return last_tick, _rows_of(file.read_row_group(group, use_threads=False), channel)
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error}; move it away") from error

    def _footer(self, path: Path) -> Any:
        import pyarrow.parquet as pq

        state = path.stat()
        key = (path, state.st_mtime_ns, state.st_size)
        footer = self._footers.pop(key, None) or pq.read_metadata(path)
        self._footers[key] = footer
        if len(self._footers) > FOOTERS_KEPT:
            self._footers.popitem(last=False)
        return footer


def _group_of(footer: Any, channel: str) -> int | None:
    """The row group that holds a channel, by the statistics of each; they rise."""
    low, high = 0, int(footer.num_row_groups)
    column = [footer.schema.column(place).path for place in range(footer.num_columns)].index("channel")
    while low < high:
        middle = (low + high) // 2
        statistics = footer.row_group(middle).column(column).statistics
        if channel > statistics.max:
            low = middle + 1
        elif channel < statistics.min:
            high = middle
        else:
            return middle
    return None


def _rows_of(table: Any, channel: str) -> list[ReadingBatch]:
    """The channel's rows, which stand together."""
    names, index = texts_of(table.column("channel"))
    if channel not in names:
        return []
    rows = np.flatnonzero(index == names.index(channel))
    return [columns_of(table.slice(int(rows[0]), len(rows)))] if len(rows) else []


def _in_journal(
    connection: sqlite3.Connection, channel: str, archived: int, start_ns: int
) -> list[ReadingBatch]:
    """What is behind the archive's last tick."""
    known = listed(connection)
    if channel not in known.id:
        return []
    ticks = [tick for tick in stored_ticks(connection, archived) if tick.now_ns + AHEAD_NS > start_ns]
    chosen = np.zeros(len(known.id), dtype=bool)
    chosen[known.id.index(channel)] = True
    parts: list[ReadingBatch] = []
    for run in _consecutive(ticks):
        parts += fetched(connection, run, known, AT_ONCE, Counter(), chosen)
    return parts


def _consecutive(ticks: list[StoredTick]) -> list[list[StoredTick]]:
    """Runs of ticks without one missing: the clock may have been set back."""
    runs: list[list[StoredTick]] = []
    for tick in ticks:
        if runs and runs[-1][-1].id + 1 == tick.id:
            runs[-1].append(tick)
        else:
            runs.append([tick])
    return runs


def _curve(parts: list[ReadingBatch], start_ns: int, end_ns: int) -> Curve:
    readings = ReadingBatch.joined(parts)
    conflict = (readings.flags & CONFLICT) != 0
    inside = (readings.time_ns >= start_ns) & (readings.time_ns < end_ns)
    order = np.lexsort((conflict, readings.time_ns))
    order = order[inside[order]]
    return Curve(
        readings.time_ns[order],
        readings.value[order],
        readings.quality[order],
        readings.arrival_ns[order],
        conflict[order],
    )
