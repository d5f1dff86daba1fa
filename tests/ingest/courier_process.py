"""A gateway's storage and its couriers in a process of its own, to be killed (-m … FOLDER URL DATABASE LIFE).

Readings are numbered without end; the last number that is durable is printed.
"""

import sys
import time
from pathlib import Path

import numpy as np

from ingest import courier as courier_module
from ingest.archive import Archive
from ingest.courier import Courier
from ingest.influx import Influx
from ingest.readings import ReadingBatch
from ingest.storage import Storage
from ingest.ticks import SECOND_NS, Epoch
from tests.ingest.world import NOON_NS, Hands, site

A_TICK = 48  # readings
A_LIFE_NS = 2_400 * SECOND_NS  # lives begin so far apart, so that hours pass
TICKS_A_LIFE = 150  # before couriers are started, so that there is a backlog


def main() -> None:
    folder, url, database, life = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
    courier_module.BACKLOG_TICKS = 20
    number = life * 1_000_000
    hands = Hands(NOON_NS + life * A_LIFE_NS)
    storage = Storage(folder / "data", site(), hands.clock())
    storage.open()
    storage.start()

    def tick(epoch: Epoch | None = None) -> None:
        nonlocal number
        numbers = number + np.arange(A_TICK)
        moments = hands.wall_ns + np.arange(A_TICK) * 1000  # each reading has a point of its own
        storage.deliver(ReadingBatch.of(numbers % 4, moments, numbers.astype(float)))
        hands.wind(1.0)
        now_ns = hands.wall_ns // SECOND_NS * SECOND_NS
        storage.commit_tick(storage.close_tick(now_ns, epoch), [])
        number += A_TICK
        print(number, flush=True)

    tick(Epoch("start"))
    for _ in range(TICKS_A_LIFE):
        tick()
    carriers = [
        Courier(storage, Influx(url, database, batch=500)),
        Courier(storage, Archive(folder / "archive", storage.clock.now_ns)),
    ]
    for carrier in carriers:
        carrier.start()
    while True:
        tick()
        time.sleep(0.01)


if __name__ == "__main__":
    main()
