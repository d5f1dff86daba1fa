"""Parquet: the columns of a recording, as the archive writes them and any tool reads them."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from config.channels import ChannelTable
from ingest.readings import CONFLICT, QUALITY_NAMES, ReadingBatch

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
        if kind is None:
            sync(self._part)
            self._part.replace(self.path)
            sync(self.path.parent)
        else:
            self._part.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Bring a file's content, or a folder's names, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_readings(path: Path, batches: Iterable[ReadingBatch], channels: ChannelTable) -> int:
    """Write a recording in the order given: Parquet, or CSV where the name ends so. The rows written."""
    path = Path(path)
    if path.suffix == ".csv":
        return _write_csv(path, batches, channels)
    with Recording(path) as recording:
        waiting: list[ReadingBatch] = []
        for batch in batches:
            waiting.append(batch)
            if sum(map(len, waiting)) >= ROWS_BY_TIME:
                recording.write(ReadingBatch.joined(waiting), channels.ids)
                waiting = []
        rest = ReadingBatch.joined(waiting)
        if len(rest) or not recording.rows:
            recording.write(rest, channels.ids)
        return recording.rows


def _write_csv(path: Path, batches: Iterable[ReadingBatch], channels: ChannelTable) -> int:
    """Times as integer ns; a value that is not a number is left empty."""
    import pyarrow as pa
    from pyarrow import csv

    fields = [
        ("time", pa.int64()),
        ("channel", pa.string()),
        ("value", pa.float64()),
        ("quality", pa.string()),
    ]
    shape = pa.schema([*fields, ("arrival", pa.int64()), ("conflict", pa.bool_())])
    names, qualities = pa.array(channels.ids), pa.array(QUALITY_NAMES)
    rows = 0
    part = path.with_name(path.name + ".part")
    with csv.CSVWriter(part, shape) as writer:
        for batch in batches:
            columns = [
                pa.array(batch.time_ns),
                names.take(pa.array(batch.channel)),
                pa.array(batch.value, mask=np.isnan(batch.value)),
                qualities.take(pa.array(batch.quality)),
                pa.array(batch.arrival_ns),
                pa.array((batch.flags & CONFLICT) != 0),
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=shape))
            rows += len(batch)
    sync(part)
    part.replace(path)
    return rows
