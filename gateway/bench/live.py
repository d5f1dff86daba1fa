"""Live: ticks of a gateway in a process of its own, as fast as they come (-m gateway.bench.live …)."""

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import gateway.daemon  # for its size: the process that is measured is as large as the daemon
from gateway.bench.figures import cpu_us, written_bytes
from gateway.bench.site import MONDAY_NS, SECOND_NS, district, seconds
from gateway.vitals import peak_memory_bytes
from gateway.watch import build_watch
from ingest.storage import Storage
from ingest.ticks import Epoch
from ingest.wallclock import WallClock

DEVICES = 50  # hand-overs a second
SNAPSHOT_EVERY = 300  # ticks, as the settings have it


class PlayedClock:
    """A wall clock that shows what it is told."""

    def __init__(self) -> None:
        self.now_ns = MONDAY_NS

    def __call__(self) -> int:
        return self.now_ns


def main(arguments: Sequence[str]) -> None:
    """Measure, and print the figures as JSON."""
    folder, channels, ticks = Path(arguments[0]), int(arguments[1]), int(arguments[2])
    table = district(channels)
    played = PlayedClock()
    storage = Storage(folder, table, WallClock(played, played))
    storage.open()
    storage.start()
    watch = build_watch(table)
    took_ms, cpu, epoch = [], 0.0, Epoch("start")
    before = written_bytes()
    for number, batch in enumerate(seconds(table, ticks), start=1):
        begin = time.perf_counter()
        began_cpu = time.process_time()
        for part in np.array_split(np.arange(len(batch)), DEVICES):
            storage.deliver(batch.where(part), lane="modbus")
        played.now_ns = MONDAY_NS + number * SECOND_NS
        tick = storage.close_tick(played.now_ns, epoch if number == 1 else None)
        changes = [change.cloud_event("urn:watchline:bench") for change in watch.step(tick)]
        snapshot = watch.state() if number % SNAPSHOT_EVERY == 0 else None
        storage.commit_tick(tick, changes, snapshot)
        cpu += time.process_time() - began_cpu
        took_ms.append((time.perf_counter() - begin) * 1000)
    written = None if before is None else (written_bytes() or 0) - before
    storage.stop()
    readings = channels * ticks
    share = written or readings * 4
    print(
        json.dumps(
            {
                "p50_ms": float(np.percentile(took_ms, 50)),
                "p99_ms": float(np.percentile(took_ms, 99)),
                "max_ms": max(took_ms),
                "cpu_us": cpu * 1e6 / readings,
                "floor_us": cpu_us(lambda: _append(folder / "plain", share // ticks, ticks)) / readings,
                "rss_mb": peak_memory_bytes() / 1e6,
                "written": None if written is None else written / readings,
                "daemon": gateway.daemon.__name__,
            }
        )
    )


def _append(path: Path, size: int, times: int) -> None:
    block = os.urandom(size)
    with path.open("ab", buffering=0) as file:
        for _ in range(times):
            file.write(block)
            os.fdatasync(file.fileno())


if __name__ == "__main__":
    main(sys.argv[1:])
