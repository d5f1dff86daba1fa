"""Writer process: a storage that takes readings until it is killed, and says which ones it acknowledged."""

import os
import sys
from functools import partial
from pathlib import Path

import numpy as np

from config.snapshot import State
from ingest.readings import ReadingBatch
from ingest.storage import Storage
from ingest.ticks import Epoch
from ingest.wallclock import WallClock
from tests.ingest.world import site


def say(line: str) -> None:
    os.write(1, line.encode())


def main(folder: str, first: int) -> None:
    """Readings numbered from `first` on: number n is the value n of channel n % 4 at time n."""
    clock = WallClock()
    storage = Storage(Path(folder), site(4, resolution=0.0), clock)
    recovery = storage.open()
    storage.start()
    for _ in recovery.ticks:
        pass
    number, now_ns = first, clock.next_tick_ns(recovery.last_tick_ns)
    storage.commit_tick(storage.close_tick(now_ns, Epoch("start")), [])
    rng = np.random.default_rng(first)
    while True:
        size = int(rng.integers(1, 400))
        numbers = np.arange(number, number + size)
        line = f"{number} {number + size}\n"
        readings = ReadingBatch.of(numbers % 4, numbers, numbers.astype(float))
        storage.deliver(readings, partial(say, line), "mqtt")
        number += size
        if rng.random() < 0.1:
            now_ns += 1_000_000_000
            tick = storage.close_tick(now_ns)
            snapshot: State | None = {"tick": now_ns} if rng.random() < 0.2 else None
            storage.commit_tick(tick, [{"id": f"event-{now_ns}", "data": {"grade": "P3"}}], snapshot)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
