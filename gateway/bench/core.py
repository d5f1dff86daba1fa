"""Core: the watch itself: replay at several sizes, the live tick with its commit, alerts into the outbox."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from config.snapshot import Keyed
from gateway.bench.figures import Effort, Figure, cpu_us
from gateway.bench.site import MONDAY_NS, SECOND_NS, district, seconds
from gateway.watch import Watch, build_watch, keep_watch, with_deadlines
from ingest.parquet import write_readings
from ingest.readings import ReadingBatch
from ingest.recorded import read_ticks
from ingest.storage import Storage
from ingest.ticks import Tick
from ingest.wallclock import WallClock

HOUSE = Path(__file__).resolve().parents[2]
CHILD_S = 600.0
REPLAY_GOALS = {5_000: "at most 250 (4,000,000 readings/s)", 10: "at most 10,000 (100,000 readings/s)"}


def replay(effort: Effort) -> Iterator[Figure]:
    """A Parquet recording through read_ticks, all detectors and the life cycle of alarms."""
    for channels, length in (
        (5_000, effort.of(600, 20)),
        (50, effort.of(7_200, 60)),
        (10, effort.of(7_200, 60)),
    ):
        yield _replayed(effort, channels, length)


def _replayed(effort: Effort, channels: int, length: int) -> Figure:
    table = district(channels)
    path = effort.folder / f"recording-{channels}.parquet"
    readings = write_readings(path, seconds(table, length), table)
    watch = build_watch(table)
    changes: list[Any] = []
    ticks = with_deadlines(read_ticks(path, table), watch)
    cost_us = cpu_us(lambda: keep_watch(ticks, watch, lambda tick, more: changes.extend(more)))
    floor_us = _copied_us(watch, length)
    return Figure(
        "replay",
        f"{channels:,} channels",
        cost_us / readings * 1e3,
        "ns/reading",
        floor_us / readings * 1e3,
        "a plain copy of what a row touches",
        goal=REPLAY_GOALS.get(channels, ""),
        note=f"{readings / cost_us * 1e6:,.0f} readings/s, {cost_us / length:.0f} us a row",
    )


def _copied_us(watch: Watch, rows: int) -> float:
    """One copy a row of the detectors' columns; the hours of a baseline count once, as a row reads one."""
    arrays = [one.array for one in watch.bank.state().values() if isinstance(one, Keyed)]
    columns = [array[:, 0].copy() if array.ndim > 1 else array for array in arrays]
    copies = [np.empty_like(column) for column in columns]

    def copy() -> None:
        for _ in range(rows):
            for column, into in zip(columns, copies):
                np.copyto(into, column)

    return cpu_us(copy)


def tick(effort: Effort) -> Iterator[Figure]:
    """5,000 channels at 1 Hz in a process of their own, played as fast as they come, each tick committed."""
    ticks = effort.of(600, 20)
    command = [sys.executable, "-m", "gateway.bench.live", str(effort.folder / "live"), "5000", str(ticks)]
    found = json.loads(
        subprocess.run(command, env=house(), stdout=subprocess.PIPE, timeout=CHILD_S, check=True).stdout
    )
    played = f"{ticks} ticks of 5,000 readings without pauses"
    yield Figure(
        "tick",
        "CPU",
        found["cpu_us"],
        "us/reading",
        found["floor_us"],
        "the bytes written, appended, synced",
        note=played,
    )
    yield Figure("tick", "p50 with commit", found["p50_ms"], "ms")
    yield Figure(
        "tick",
        "p99 with commit",
        found["p99_ms"],
        "ms",
        goal="below 100",
        note=f"longest {found['max_ms']:.0f} ms",
    )
    yield Figure("tick", "memory (RSS)", found["rss_mb"], "MB", goal="below 300")
    yield Figure(
        "tick",
        "written to disk",
        found["written"],
        "bytes/reading",
        note="journal, checkpoints, two snapshots",
    )


def alerts(effort: Effort) -> Iterator[Figure]:
    """Every methane channel of a site beyond its levels at once: alarms, incidents, outbox, synced."""
    table = district(effort.of(6_000, 300))
    gas = np.flatnonzero([quantity == "ch4" for quantity in table.quantity])
    watch = build_watch(table)
    storage = Storage(effort.folder / "alerts", table, WallClock(lambda: MONDAY_NS, lambda: 0))
    storage.open()
    storage.start()
    events: list[Any] = []

    def flood() -> None:
        for second in range(1, 121):
            now_ns = MONDAY_NS + second * SECOND_NS
            readings = ReadingBatch.of(gas, now_ns, 80.0)
            storage.close_tick(now_ns)
            changes = watch.step(Tick(now_ns, readings))
            told = [change.cloud_event("urn:watchline:bench") for change in changes]
            events.extend(told)
            storage.commit_tick(Tick(now_ns, readings), told)

    begin = time.perf_counter()
    cost_us = cpu_us(flood)
    wall_s = time.perf_counter() - begin
    storage.stop()
    texts = [msgspec.json.encode(event) for event in events]
    floor_us = cpu_us(lambda: _appended(effort.folder / "alerts.json", texts))
    yield Figure(
        "alerts",
        f"{len(events):,} changes into the outbox, synced",
        cost_us / len(events),
        "us/change",
        floor_us / len(events),
        "the same JSON appended, synced once",
        note=f"{len(events) / wall_s:,.0f} changes/s wall",
    )


def _appended(path: Path, texts: Sequence[bytes]) -> None:
    with path.open("ab", buffering=0) as file:
        file.write(b"\n".join(texts))
        os.fdatasync(file.fileno())


def house() -> dict[str, str]:
    """The environment in which a child finds this very program."""
    paths = [str(HOUSE), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
