"""Pieces: a recording on disk as parts that fit into memory; nothing in it is believed unchecked."""

import logging
import tempfile
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from config.channels import ChannelTable
from config.errors import InputError
from ingest.readings import CONFLICT, QUALITY_NAMES, STAMPED, ReadingBatch
from ingest.shelf import about_of
from ingest.ticks import SECOND_NS

log = logging.getLogger(__name__)

AT_ONCE = 2_000_000  # readings in memory at a time
NEEDED = ("time", "channel", "value")
OPTIONAL = ("quality", "arrival", "conflict")
A_TIME = "write times as RFC 3339 with a zone, such as 2026-01-02T03:04:05Z, or as integer nanoseconds"


class Piece(Protocol):
    """Part of a recording: how many rows, and the range of their arrivals."""

    rows: int
    first_ns: int
    last_ns: int

    def load(self) -> Iterator[ReadingBatch]: ...


@dataclass
class Intake:
    """Turns a file's columns into readings of this site; channels that are not wanted are left out.

    The arrival of a reading becomes its tick: the first whole second at or after it.
    """

    channels: ChannelTable
    keep: NDArray[np.bool_] | None = None
    quiet: bool = False  # says nothing of what it leaves out
    unknown: int = 0  # readings of channels that the list does not know
    _opened: tuple[Path, Any] | None = None
    _kept: list[str] | None = None

    def file(self, path: Path) -> Any:
        """The Parquet file at a path; one is open at a time, as an archive may have thousands."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        if self._opened is None or self._opened[0] != path:
            self.close()
            try:
                plain = pq.read_schema(path)
                texts = [name for name in ("channel", "quality") if name in plain.names]
                texts = [name for name in texts if _is_text(plain.field(name).type)]
                self._opened = (path, pq.ParquetFile(path, read_dictionary=texts))
            except (pa.ArrowException, OSError) as error:
                reason = f"{path}: not a whole Parquet file: {error}"
                raise InputError(f"{reason}; copy it again, or name another") from error
        return self._opened[1]

    def close(self) -> None:
        if self._opened is not None:
            self._opened[1].close()
            self._opened = None

    def readings(self, table: Any, path: Path | str) -> ReadingBatch:
        """One table of Arrow columns; InputError names the file and what to do."""
        import pyarrow as pa

        try:
            channel = self._numbers(_one(table.column("channel")), path)
            wanted = channel >= 0
            if not wanted.all():  # by place: pyarrow's filter by truth values costs five times as much
                rows = np.flatnonzero(wanted)
                channel, table = channel[rows], table.drop_columns(["channel"]).take(pa.array(rows))
            time_ns = times(table.column("time"), "time", path)
            given = "arrival" in table.column_names
            arrival = times(table.column("arrival"), "arrival", path) if given else time_ns
            value = _one(table.column("value")).cast(pa.float64())
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise InputError(f"{path}: a value is not a number: {error}") from error
        if value.null_count:
            value = value.fill_null(float("nan"))
        flags = np.full(len(table), STAMPED, dtype=np.uint8)
        if "conflict" in table.column_names:
            conflict = _one(table.column("conflict")).fill_null(False).to_numpy(zero_copy_only=False)
            flags |= conflict.astype(np.uint8) * np.uint8(CONFLICT)
        quality = _qualities(table, path)
        whole = -(-arrival // SECOND_NS) * SECOND_NS
        return ReadingBatch(channel, time_ns, value.to_numpy(), quality, whole, flags)

    def wants(self, first: str, last: str) -> bool:
        """Whether any channel that is kept may lie between these two, in the order of texts."""
        if self.keep is None:
            return True
        if self._kept is None:
            self._kept = sorted(id for id, keep in zip(self.channels.ids, self.keep) if keep)
        place = bisect_left(self._kept, first)
        return place < len(self._kept) and self._kept[place] <= last

    def _numbers(self, column: Any, path: Path | str) -> NDArray[np.int32]:
        """Channel numbers (rows,): -1 where unknown or not kept."""
        import pyarrow as pa

        if not pa.types.is_dictionary(column.type):
            column = column.cast(pa.string()).dictionary_encode()
        if column.null_count:
            raise InputError(f"{path}: a row has no channel; fill it in or remove the row")
        texts = column.dictionary.to_pylist()
        numbers = np.array([self.channels.number.get(text, -1) for text in texts] or [-1], dtype=np.int32)
        index = column.indices.to_numpy()
        if (numbers < 0).any() and len(index):
            strange = numbers[index] < 0
            if strange.any() and not self.unknown and not self.quiet:
                text = texts[int(index[int(np.argmax(strange))])]
                log.warning(
                    '%s: channel "%s" is not in the channel list; such readings are left out', path, text
                )
            self.unknown += int(np.count_nonzero(strange))
        if self.keep is not None:
            numbers = np.where((numbers >= 0) & self.keep[numbers], numbers, np.int32(-1))
        chosen: NDArray[np.int32] = numbers[index]
        return chosen


@dataclass
class RowGroup:
    """One row group of a Parquet file; a large one comes in several batches."""

    path: Path
    number: int
    rows: int
    first_ns: int
    last_ns: int
    intake: Intake

    def load(self) -> Iterator[ReadingBatch]:
        import pyarrow as pa

        file = self.intake.file(self.path)
        if not self._concerns_us(file):
            return
        columns = [name for name in (*NEEDED, *OPTIONAL) if name in file.schema_arrow.names]
        try:
            if self.rows <= AT_ONCE:
                yield self.intake.readings(file.read_row_group(self.number, columns=columns), self.path)
                return
            for batch in file.iter_batches(AT_ONCE // 4, row_groups=[self.number], columns=columns):
                yield self.intake.readings(pa.Table.from_batches([batch]), self.path)
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{self.path}: damaged or cut off: {error}; copy it again") from error

    def _concerns_us(self, file: Any) -> bool:
        """Whether it may hold a channel that is kept: our archive has few channels in a group."""
        if self.intake.keep is None:
            return True
        leaf = [file.schema.column(place).path for place in range(len(file.schema.names))].index("channel")
        statistics = file.metadata.row_group(self.number).column(leaf).statistics
        if statistics is None or not statistics.has_min_max or not isinstance(statistics.min, str):
            return True
        return self.intake.wants(statistics.min, statistics.max)


@dataclass
class ParquetRecording:
    """A Parquet file. `ticks` are the journal's ids of its first and last tick where our archive wrote it."""

    pieces: list[RowGroup]
    ticks: tuple[int, int] | None


def open_parquet(path: Path, intake: Intake) -> ParquetRecording:
    """Look at a file's footer; InputError when it is not one, or lacks what a recording must have."""
    file = intake.file(path)
    names = file.schema_arrow.names
    check_columns(path, names)
    ordering = "arrival" if "arrival" in names else "time"
    for name in {"time", ordering}:
        unit_ns(file.schema_arrow.field(name).type, name, path)
    pieces = []
    for number in range(file.num_row_groups):
        rows = file.metadata.row_group(number).num_rows
        if rows:
            first, last = _range(file, number, ordering, path)
            pieces.append(RowGroup(path, number, rows, first, last, intake))
    about = about_of(file.schema_arrow.metadata)
    return ParquetRecording(pieces, (about.first_tick, about.last_tick) if about else None)


class Spool:
    """Readings laid down in a temporary file, so that memory does not grow with the recording."""

    COLUMNS = (np.int32, np.int64, np.float64, np.uint8, np.int64, np.uint8)

    def __init__(self) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile(prefix="watchline-")  # noqa: SIM115

    def keep(self, readings: ReadingBatch) -> "Kept":
        """Lay a batch down."""
        start = self._file.seek(0, 2)
        columns = (
            readings.channel,
            readings.time_ns,
            readings.value,
            readings.quality,
            readings.arrival_ns,
            readings.flags,
        )
        for column in columns:
            self._file.write(np.ascontiguousarray(column).tobytes())
        arrival = readings.arrival_ns
        return Kept(self, start, len(readings), int(arrival.min()), int(arrival.max()))

    def read(self, start: int, rows: int) -> ReadingBatch:
        self._file.seek(start)
        return ReadingBatch(*(self._column(rows, kind) for kind in self.COLUMNS))

    def _column(self, rows: int, kind: Any) -> NDArray[Any]:
        return np.frombuffer(self._file.read(rows * np.dtype(kind).itemsize), dtype=kind)

    def close(self) -> None:
        self._file.close()


@dataclass
class Kept:
    """A batch in the spool."""

    spool: Spool
    start: int
    rows: int
    first_ns: int
    last_ns: int

    def load(self) -> Iterator[ReadingBatch]:
        yield self.spool.read(self.start, self.rows)


def times(column: Any, name: str, path: Path | str) -> NDArray[np.int64]:
    """UTC nanoseconds (rows,) of a time column; InputError where it has no zone, or a row has no time."""
    import pyarrow as pa

    column = _one(column)
    if column.null_count:
        raise InputError(f"{path}: a row has no {name}; fill it in or remove the row")
    factor = unit_ns(column.type, name, path)
    plain: NDArray[np.int64] = column.view(pa.int64()).to_numpy()
    return plain if factor == 1 else plain * factor


def unit_ns(kind: Any, name: str, path: Path | str) -> int:
    """Nanoseconds of a time type's unit; InputError for a type that says no moment."""
    import pyarrow as pa

    if kind == pa.int64():
        return 1
    if not pa.types.is_timestamp(kind):
        raise InputError(f"{path}: column {name} is of type {kind}, not a time; {A_TIME}")
    if kind.tz is None:
        raise InputError(f"{path}: column {name} has times without a zone; store them as UTC timestamps")
    return {"s": SECOND_NS, "ms": 1_000_000, "us": 1_000, "ns": 1}[kind.unit]


def _range(file: Any, number: int, name: str, path: Path) -> tuple[int, int]:
    """The first and last arrival in a row group, from its statistics, or by reading that one column."""
    leaf = [file.schema.column(place).path for place in range(len(file.schema.names))].index(name)
    statistics = file.metadata.row_group(number).column(leaf).statistics
    factor = unit_ns(file.schema_arrow.field(name).type, name, path)
    if statistics is not None and statistics.has_min_max and isinstance(statistics.min_raw, int):
        return statistics.min_raw * factor, statistics.max_raw * factor
    arrivals = times(file.read_row_group(number, columns=[name]).column(name), name, path)
    return int(arrivals.min()), int(arrivals.max())


def _one(column: Any) -> Any:
    """A chunked column as one array."""
    import pyarrow as pa

    if isinstance(column, pa.ChunkedArray) and column.num_chunks != 1:
        if pa.types.is_dictionary(column.type):
            column = column.unify_dictionaries()
        column = column.combine_chunks()
    return column.chunk(0) if isinstance(column, pa.ChunkedArray) else column


def _qualities(table: Any, path: Path | str) -> NDArray[np.uint8]:
    """Quality codes (rows,); an empty or absent one is good."""
    import pyarrow as pa

    if "quality" not in table.column_names:
        return np.zeros(len(table), dtype=np.uint8)
    column = _one(table.column("quality"))
    if not pa.types.is_dictionary(column.type):
        column = column.cast(pa.string()).dictionary_encode()
    names = column.dictionary.to_pylist()
    strange = [name for name in names if name not in QUALITY_NAMES]
    if strange:
        raise InputError(f'{path}: quality "{strange[0]}" is not known; use {", ".join(QUALITY_NAMES)}')
    codes = np.array([*(QUALITY_NAMES.index(name) for name in names), 0], dtype=np.uint8)
    chosen: NDArray[np.uint8] = codes[column.indices.fill_null(len(names)).to_numpy()]
    return chosen


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind))


def check_columns(path: Path, names: Sequence[str]) -> None:
    missing = [name for name in NEEDED if name not in names]
    if missing:
        raise InputError(
            f"{path}: no column {', '.join(missing)} (it has {', '.join(names[:12]) or 'none'});"
            f" a recording has {', '.join(NEEDED)}, and may have {', '.join(OPTIONAL)}"
        )
