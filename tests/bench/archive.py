"""Bench of the archive: bytes a reading, time to read a channel's day (python -m tests.bench.archive).

Readings: 1,000 gas, water and power sensors once a second, a daily curve and AR(1) noise, rounded to 2 or 3
decimals; they arrive after a lognormal delay of 0.25 s. Size is measured on five million of them, a day on as
many whole hours as are asked for.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np

from gateway.bench.site import SECOND_NS
from ingest import compaction
from ingest.history import History
from ingest.parquet import CHANNELS_A_GROUP, Recording
from ingest.readings import ReadingBatch
from ingest.shelf import HOUR_NS, About, hour_name, volumes

MIDNIGHT_NS = 1_760_054_400 * SECOND_NS  # 2025-10-10T00:00:00Z
KINDS = ("gas", "water", "power")


class Sensors:
    """Their curves, the next seconds at a time; channels are numbered in the order of their texts."""

    def __init__(self, count: int) -> None:
        self.rng = np.random.default_rng(7)
        self.ids = sorted(f"{KINDS[number % 3]}-{number:05d}" for number in range(count))
        kinds = [KINDS.index(id.partition("-")[0]) for id in self.ids]
        draw = self.rng.uniform
        shapes = [
            (
                (300 + draw(-20, 20), 15, 0.02, 3),
                (40 + draw(-10, 10), 20, 0.05, 2),
                (5 + draw(0, 3), 3, 0.03, 2),
            )
            for _ in kinds
        ]
        chosen = [shape[kind] for shape, kind in zip(shapes, kinds)]
        self.base, self.swing, self.noise, self.decimals = (np.array(column) for column in zip(*chosen))
        self.wander = np.zeros(count)

    def next(self, begin_s: int, seconds: int) -> ReadingBatch:
        """Readings (channels x seconds,), by channel and time, arrival as the tick."""
        t = begin_s + np.arange(seconds)
        day = np.sin(2 * np.pi * (t % 86_400) / 86_400)
        noise = self.rng.normal(0, 1, (len(self.ids), seconds))
        for second in range(seconds):
            self.wander = 0.995 * self.wander + noise[:, second]
            noise[:, second] = self.wander
        value = self.base[:, None] + self.swing[:, None] * day + self.noise[:, None] * noise
        for decimals in (2, 3):
            rows = self.decimals == decimals
            value[rows] = np.round(value[rows], decimals)
        delay_s = self.rng.lognormal(np.log(0.25), 0.5, value.shape)
        time_ns = np.broadcast_to(t * SECOND_NS, value.shape).ravel()
        arrival = time_ns + (delay_s.ravel() * SECOND_NS).astype(np.int64)
        channel = np.repeat(np.arange(len(self.ids)), seconds)
        return ReadingBatch.of(
            channel, time_ns, value.ravel(), arrival_ns=-(-arrival // SECOND_NS) * SECOND_NS
        )


def write(path: Path, sensors: Sensors, begin_s: int, seconds: int, about: bytes) -> int:
    """One file, ten channels a row group as the archive has them; the readings in it."""
    readings = sensors.next(begin_s, seconds)
    step = CHANNELS_A_GROUP * seconds
    with Recording(path, about) as recording:
        for start in range(0, len(readings), step):
            recording.write(readings.where(np.arange(start, min(start + step, len(readings)))), sensors.ids)
    return len(readings)


def figures(folder: Path, channels: int, hours: int) -> Iterator[tuple[str, float, str]]:
    """(what, figure, unit)."""
    size = folder / "size.parquet"
    rows = write(size, Sensors(1_000), MIDNIGHT_NS // SECOND_NS, 5_000, b"")
    yield "5 million readings, ten channels a row group", size.stat().st_size / rows, "bytes a reading"
    archive = folder / "archive"
    archive.mkdir()
    sensors, rows = Sensors(channels), 0
    for hour in range(hours):
        first, begin_ns = 1 + hour * 3_600, MIDNIGHT_NS + hour * HOUR_NS
        about = msgspec.json.encode(About(first, first + 3_599, begin_ns))
        path = archive / hour_name(first, begin_ns)
        rows += write(path, sensors, begin_ns // SECOND_NS, 3_600, about)
    yield f"{hours} hours of {channels} channels", _size(archive) / rows, "bytes a reading"
    yield "one channel's day from hours, footers fresh, p50", _p50_ms(archive, sensors.ids, fresh=True), "ms"
    yield "one channel's day from hours, footers known, p50", _p50_ms(archive, sensors.ids, fresh=False), "ms"
    (run,) = compaction.mergeable(volumes(archive), 1 << 40, 1 << 62)
    begin = time.process_time()
    compaction.merge(run, lambda: False)
    yield "merging them, CPU", (time.process_time() - begin) / rows * 1e6, "us a reading"
    yield "the day", _size(archive) / rows, "bytes a reading"
    yield "one channel's day from the day, footer fresh, p50", _p50_ms(archive, sensors.ids, fresh=True), "ms"


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def _p50_ms(archive: Path, ids: list[str], fresh: bool) -> float:
    known = History(archive)

    def read(id: str) -> None:
        (History(archive) if fresh else known).read(id, MIDNIGHT_NS, MIDNIGHT_NS + 24 * HOUR_NS)

    read(ids[0])
    took = []
    for id in ids[:: max(len(ids) // 25, 1)]:
        begin = time.perf_counter()
        read(id)
        took.append(time.perf_counter() - begin)
    return float(np.median(took)) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--channels", type=int, default=300)
    parser.add_argument("--hours", type=int, default=24)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="watchline-bench-") as folder:
        for what, figure, unit in figures(Path(folder), args.channels, args.hours):
            print(f"{what:52}  {figure:10.3f} {unit}", flush=True)


if __name__ == "__main__":
    main()
