"""Parquet: the columns of a recording, as the archive writes them and any tool reads them."""

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from config.channels import ChannelTable
from ingest.readings import CONFLICT, QUALITY_NAMES, STAMPED, ReadingBatch

CHANNELS_A_GROUP = 10  # readers of one channel's day read few rows beside it …
ROWS_A_GROUP = 20_000  # … but a group costs its footer, so that sparse channels share one
ROWS_BY_TIME = 1_000_000  # where rows come in order of arrival
ABOUT = b"watchline"  # the key of our own words in a file's metadata


def schema() -> Any:
    """Times in UTC; channel and quality as dictionaries."""
    import pyarrow as pa

    return pa.schema(
        [
            ("time", pa.timestamp("ns", tz="UTC")),
            ("channel", pa.dictionary(pa.int32(), pa.string())),
            ("value", pa.float64()),
            ("quality", pa.dictionary(pa.int32(), pa.string())),
            ("arrival", pa.timestamp("ns", tz="UTC")),
            ("conflict", pa.bool_()),
        ]
    )


class Recording:
    """A file that is being written; it appears, synced, when the `with` ends without an error."""

    def __init__(self, path: Path, about: bytes = b"") -> None:
        import pyarrow.parquet as pq

        self.path = path
        self.rows = 0
        self._part = path.with_name(path.name + ".part")
        metadata = {ABOUT: about} if about else None
        self._schema = schema().with_metadata(metadata)
        self._writer = pq.ParquetWriter(
            self._part,
            self._schema,
            compression="zstd",
            compression_level=3,
            use_dictionary=["channel", "quality", "value"],
            column_encoding={"time": "DELTA_BINARY_PACKED", "arrival": "DELTA_BINARY_PACKED"},
            write_page_checksum=True,
        )

    def write(self, readings: ReadingBatch, ids: Sequence[str]) -> None:
        """Append one row group; `ids` are the texts of the channel numbers."""
        import pyarrow as pa

        used, index = np.unique(readings.channel, return_inverse=True)
        names = pa.array([ids[number] for number in used.tolist()], pa.string())
        moment = pa.timestamp("ns", tz="UTC")
        columns = [
            pa.array(readings.time_ns).cast(moment),
            pa.DictionaryArray.from_arrays(pa.array(index.astype(np.int32)), names),
            pa.array(readings.value),
            pa.DictionaryArray.from_arrays(readings.quality.astype(np.int32), pa.array(QUALITY_NAMES)),
            pa.array(readings.arrival_ns).cast(moment),
            pa.array((readings.flags & CONFLICT) != 0),
        ]
        table = pa.Table.from_arrays(columns, schema=self._schema)
        self._writer.write_table(table, row_group_size=max(len(readings), 1))
        self.rows += len(readings)

    def __enter__(self) -> "Recording":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()
        _appear(self._part, self.path, kind is None)


class CsvRecording:
    """The same as text; times as integer ns or, for people, RFC 3339. A value that is none is left empty."""

    def __init__(self, path: Path, readable: bool = False) -> None:
        import pyarrow as pa
        from pyarrow import csv

        self.path = path
        self.rows = 0
        self._part = path.with_name(path.name + ".part")
        self._time = pa.string() if readable else pa.int64()
        kinds = {
            "time": self._time,
            "channel": pa.string(),
            "value": pa.float64(),
            "quality": pa.string(),
            "arrival": self._time,
            "conflict": pa.bool_(),
        }
        self._schema = pa.schema(list(kinds.items()))
        self._writer = csv.CSVWriter(self._part, self._schema)

    def write(self, readings: ReadingBatch, ids: Sequence[str]) -> None:
        """Append rows; `ids` are the texts of the channel numbers."""
        import pyarrow as pa

        used, index = np.unique(readings.channel, return_inverse=True)
        names = pa.array([ids[number] for number in used.tolist()], pa.string())
        columns = [
            self._moments(readings.time_ns),
            names.take(pa.array(index)),
            pa.array(readings.value, mask=np.isnan(readings.value)),
            pa.array(QUALITY_NAMES).take(pa.array(readings.quality)),
            self._moments(readings.arrival_ns),
            pa.array((readings.flags & CONFLICT) != 0),
        ]
        self._writer.write_table(pa.Table.from_arrays(columns, schema=self._schema))
        self.rows += len(readings)

    def _moments(self, time_ns: NDArray[np.int64]) -> Any:
        import pyarrow as pa
        import pyarrow.compute as pc

        plain = pa.array(time_ns)
        if self._time == pa.int64():
            return plain
        return pc.strftime(plain.cast(pa.timestamp("ns", tz="UTC")), "%Y-%m-%dT%H:%M:%SZ")

    def __enter__(self) -> "CsvRecording":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()
        _appear(self._part, self.path, kind is None)


def _appear(part: Path, path: Path, whole: bool) -> None:
    """A file that is whole takes its name, synced; one that is not goes."""
    if whole:
        sync(part)
        part.replace(path)
        sync(path.parent)
    else:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def legible() -> Iterator[None]:
    """Damage met within the `with` is an OSError, whatever it looks like.

    Pages have checksums; a footer that was changed says things which none covers.
    """
    import pyarrow as pa

    try:
        yield
    except OSError:
        raise
    except (pa.ArrowException, LookupError, ValueError, TypeError, AttributeError, OverflowError) as error:
        raise OSError(f"it is damaged: {error}") from error


@contextlib.contextmanager
def opened(path: Path, footer: Any = None, memory_map: bool = False) -> Iterator[Any]:
    """A file of the archive; each page is held against its checksum when it is read. OSError: damage."""
    import pyarrow.parquet as pq

    texts = ["channel", "quality"]
    with (
        legible(),
        pq.ParquetFile(
            path,
            metadata=footer,
            memory_map=memory_map,
            read_dictionary=texts,
            page_checksum_verification=True,
        ) as file,
    ):
        yield file


def columns_of(table: Any) -> ReadingBatch:
    """The readings of a table of the archive; channel numbers are 0."""
    import pyarrow as pa

    names, index = texts_of(table.column("quality"))
    quality = np.array([QUALITY_NAMES.index(name) for name in names] or [0], dtype=np.uint8)[index]
    time_ns, arrival_ns = (
        table.column(name).combine_chunks().view(pa.int64()).to_numpy() for name in ("time", "arrival")
    )
    conflict = table.column("conflict").to_numpy()
    return ReadingBatch(
        np.zeros(len(table), dtype=np.int32),
        time_ns,
        table.column("value").to_numpy(),
        quality,
        arrival_ns,
        conflict.astype(np.uint8) * np.uint8(CONFLICT) | np.uint8(STAMPED),
    )


def texts_of(column: Any) -> tuple[list[str], NDArray[np.int32]]:
    """The texts of a dictionary column and the number of each row's."""
    array = column.unify_dictionaries().combine_chunks()
    array = array.chunk(0) if hasattr(array, "num_chunks") else array
    return array.dictionary.to_pylist(), array.indices.to_numpy()


def write_readings(path: Path, batches: Iterable[ReadingBatch], channels: ChannelTable) -> int:
    """Write a recording in the order given: Parquet, or CSV where the name ends so. The rows written."""
    path = Path(path)
    is_csv = path.suffix == ".csv"
    with CsvRecording(path) if is_csv else Recording(path) as recording:
        waiting: list[ReadingBatch] = []
        for batch in batches:
            waiting.append(batch)
            if sum(map(len, waiting)) >= ROWS_BY_TIME:
                recording.write(ReadingBatch.joined(waiting), channels.ids)
                waiting = []
        rest = ReadingBatch.joined(waiting)
        if len(rest) or not (recording.rows or is_csv):
            recording.write(rest, channels.ids)
        return recording.rows


def sync(path: Path) -> None:
    """Bring a file's content, or a folder's names, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
