"""Wear: what a day writes to the disk, and what a day without any store takes there; extrapolated."""

import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from gateway.bench.figures import Effort, Figure, cpu_us
from gateway.bench.site import MONDAY_NS, SECOND_NS, district, seconds
from gateway.watch import build_watch
from ingest import journal
from ingest.readings import ReadingBatch
from ingest.storage import Storage
from ingest.ticks import Epoch
from ingest.wallclock import WallClock
from ingest.writer import WINDOW_FULL

RATE = 2_000  # readings a second, one a message
WINDOW = 1_000  # the broker's max_inflight_messages
SNAPSHOT_EVERY = 300  # ticks, as the settings have it
COURIERS = ("influxdb", "archive")
DAY_S = 86_400
GB = 1e9


def wear(effort: Effort) -> Iterator[Figure]:
    """A broker's readings through storage and watch, as they would come second by second."""
    ticks = effort.of(1_500, 120)
    folder = effort.folder / "wear"
    begin = _to_the_disk()
    cpu = cpu_us(partial(_live, folder, ticks))
    written = _to_the_disk() - begin
    size = (folder / journal.FILE_NAME).stat().st_size
    note = f"{RATE:,} readings/s, window {WINDOW:,}, seen over {ticks:,} s; snapshots included"
    day = DAY_S / ticks / GB
    yield Figure("journal", "written in a day", written * day, "GB", goal="5", note=note)
    yield Figure("journal", "a day that waits for a store", size * day, "GB", goal="2", note=note)
    yield Figure("journal", "durable and judged", cpu / (ticks * RATE), "us/reading", note="with the watch")


def _live(folder: Path, ticks: int) -> None:
    table = district(RATE)
    watch = build_watch(table)
    played = [MONDAY_NS]
    storage = Storage(folder, table, WallClock(lambda: played[0], lambda: played[0]))
    storage.open()
    storage.start()
    storage.submit(_register).result()
    order = np.random.default_rng(3).permutation(RATE)
    group = int(WINDOW * WINDOW_FULL)
    epoch: Epoch | None = Epoch("start")
    for number, second in enumerate(seconds(table, ticks), start=1):
        for start in range(0, RATE, group):
            rows = order[start : start + group]
            played[0] += SECOND_NS * len(rows) // RATE
            storage.deliver(second.where(rows), lane="mqtt")
            if len(rows) == group:  # then the broker waits: as `Writer` does, though its socket is not here
                storage.submit(lambda connection: None).result()
        tick = storage.close_tick(MONDAY_NS + number * SECOND_NS, epoch)
        watch.step(tick)
        storage.commit_tick(tick, [], watch.state() if number % SNAPSHOT_EVERY == 0 else None)
        for courier in COURIERS:
            storage.submit(partial(_carried, courier, number, tick.readings), lazy=True)
        epoch = None
    storage.stop()


def _register(connection: sqlite3.Connection) -> None:
    """Couriers that say where they stand, and a third that is away: nothing is pruned."""
    connection.executemany("INSERT INTO cursors VALUES (?, 0, 0)", [(name,) for name in (*COURIERS, "away")])


def _carried(courier: str, number: int, readings: ReadingBatch, connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE cursors SET tick = ? WHERE courier = ?", (number, courier))
    journal.count(connection, "courier", courier, "stored", len(readings))


def _to_the_disk() -> int:
    """Bytes that this process has caused to be written; whole blocks, where the system tells them."""
    try:
        lines = Path("/proc/self/io").read_text().splitlines()
    except OSError:
        return 0
    told = dict(line.split(": ") for line in lines)
    return int(told["write_bytes"]) or int(told["wchar"])
