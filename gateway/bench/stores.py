"""Stores: what carrying readings away costs: line protocol for InfluxDB, Parquet for the archive."""

from collections.abc import Iterator

import numpy as np
import zstandard

from gateway.bench.figures import Effort, Figure, cpu_us, side_by_side
from gateway.bench.site import district, seconds
from ingest.journal import Listed
from ingest.lines import Lines
from ingest.parquet import CHANNELS_A_GROUP, Recording
from ingest.readings import ReadingBatch


def lines(effort: Effort) -> Iterator[Figure]:
    """Groups of 5,000 readings as line protocol."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = district(5_000)
    known = Listed(table.ids, table.medium, table.place, table.quantity, table.zone, table.period_s)
    encoder = Lines(known)
    (batch,) = seconds(table, 1)
    heads, value, quality, moment = (
        pa.array(texts)
        for texts in (
            [f"{medium},channel={id}" for medium, id in zip(table.medium, table.ids)],
            [f"value={value}" for value in batch.value.tolist()],
            ['quality="good" '] * len(batch),
            [str(time_ns) for time_ns in batch.time_ns.tolist()],
        )
    )
    times = effort.of(200, 5)
    ours, floor = side_by_side(
        effort.of(5, 2),
        lambda: [encoder.encode(batch) for _ in range(times)],
        lambda: [pc.binary_join_element_wise(heads, value, quality, moment, "") for _ in range(times)],
    )
    each = 1.0 / (times * len(batch))
    yield Figure(
        "lines",
        "readings as line protocol",
        ours * each,
        "us/reading",
        floor * each,
        "pyarrow joining ready texts",
    )


def archive(effort: Effort) -> Iterator[Figure]:
    """An hour at 1 Hz as the archive writes it: by channel, its tick beside every reading."""
    table = district(effort.of(500, 20))
    hour = ReadingBatch.joined(list(seconds(table, 3_600)))
    order = np.lexsort((hour.time_ns, np.argsort(np.argsort(table.ids))[hour.channel]))
    hour = hour.where(order)
    path = effort.folder / "hour.parquet"
    group = CHANNELS_A_GROUP * 3_600

    def write() -> None:
        with Recording(path) as recording:
            for start in range(0, len(hour), group):
                recording.write(hour.where(np.arange(start, min(start + group, len(hour)))), table.ids)

    cost = cpu_us(write)
    steps = np.rint(hour.value / table.resolution[hour.channel]).astype(np.int32)
    packed = len(zstandard.compress(np.diff(steps, prepend=0).astype(np.int16).tobytes(), 3))
    yield Figure(
        "archive",
        "size of a reading, its tick included",
        path.stat().st_size / len(hour),
        "bytes/reading",
        packed / len(hour),
        "zstd of the differences of the values alone, as steps of their resolution",
    )
    yield Figure("archive", "written as Parquet", cost / len(hour), "us/reading")
