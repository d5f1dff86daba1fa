"""Subject: a storage with its archive whose days pass in seconds; it says what it acknowledged until it dies.

The same storage, courier and archive as in a gateway, with a clock wound by hand: hours end, days are closed
and the journal is pruned while somebody watches what is written.
"""

import os
import random
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gateway.daemon import Gateway
from gateway.watch import build_watch
from ingest.archive import Archive
from ingest.courier import Courier
from ingest.readings import STAMPED, ReadingBatch
from ingest.storage import Limits, Storage
from ingest.ticks import SECOND_NS, Epoch
from ingest.wallclock import WallClock
from tests.ingest.world import Hands
from tests.rig.site import COUNTERS

STEPS = (1, 1, 20, 60, 300, 1200)  # seconds between two ticks
DAY_S = 86_400
LIFE_S = 2.5
MOST_GROUPS = 3  # of readings, in one tick
LONGEST_S = 3.5 * DAY_S  # of stream time in one life


def say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


def time_of(number: int) -> int:
    """When a numbered reading was measured; distinct, and long ago."""
    return 1_760_000_000 * SECOND_NS + number * 1_000_000


def readings(start: int, end: int, channel: NDArray[np.intp]) -> ReadingBatch:
    """Numbered readings; `channel` (counters,) are the counters' numbers in the table."""
    numbers = np.arange(start, end)
    times = np.array([time_of(number) for number in numbers.tolist()], dtype=np.int64)
    flags = np.full(len(numbers), STAMPED, dtype=np.uint8)
    return ReadingBatch.of(channel[numbers % COUNTERS], times, numbers.astype(float), flags=flags)


def main(settings: Path, first: int, days_ago: float, tidy: bool, again: list[tuple[int, int]]) -> None:
    """Live for some seconds, as of so many days ago; then stop, or just cease to be.

    `again` are groups of an earlier life that were not acknowledged: like a broker, we send them first.
    """
    files = Gateway(settings).files
    channel = np.array([files.channels.number[f"counter-{n}.flow"] for n in range(COUNTERS)])
    hands = Hands(time.time_ns() - int(days_ago * DAY_S * SECOND_NS))
    clock = WallClock(lambda: hands.wall_ns, lambda: hands.monotonic_ns)
    site = files.settings.site
    storage = Storage(site.data, files.channels, clock, Limits())
    recovery = storage.open()
    storage.start()
    watch = build_watch(files.channels, timezone=site.timezone)
    for tick in recovery.ticks:
        watch.step(tick)
    assert files.settings.archive is not None
    courier = Courier(storage, Archive(files.settings.archive.folder, clock.now_ns, stop_s=60.0))
    courier.start()
    chance = random.Random(first)
    now_ns = clock.next_tick_ns(recovery.last_tick_ns)
    hands.wind((now_ns - clock.now_ns()) / SECOND_NS)
    storage.commit_tick(storage.close_tick(now_ns, Epoch("start", settings_hash=files.hash)), [])
    for start, end in again:
        storage.deliver(readings(start, end, channel), partial(say, f"kept {start} {end}"), "mqtt")
    number, end_s = first, time.monotonic() + LIFE_S
    latest_ns = now_ns + int(LONGEST_S * SECOND_NS)
    while time.monotonic() < end_s and now_ns < latest_ns:
        for _ in range(chance.randint(1, MOST_GROUPS)):
            size = chance.randint(1, 150)
            say(f"sent {number} {number + size}")
            acknowledged = partial(say, f"kept {number} {number + size}")
            storage.deliver(readings(number, number + size, channel), acknowledged, "mqtt")
            number += size
        hands.wind(chance.choice(STEPS))
        now_ns = clock.now_ns() // SECOND_NS * SECOND_NS
        told = f"{now_ns:x}-1"
        state = watch.state() if chance.random() < 0.2 else None
        storage.commit_tick(
            storage.close_tick(now_ns), [{"id": told, "type": "rig", "data": {"grade": "P4"}}], state
        )
        say(f"told {told}")
    if tidy:
        courier.stop()
        storage.stop()
    else:
        os._exit(9)


if __name__ == "__main__":
    file, first_number, days, ending, *groups = sys.argv[1:]
    pairs = [(int(start), int(end)) for start, end in zip(groups[::2], groups[1::2])]
    main(Path(file), int(first_number), float(days), ending == "tidy", pairs)
