"""Failing disk: a storage whose system calls fail takes forty readings, and says which it acknowledged."""

import logging
import sys
import threading
from functools import partial
from pathlib import Path

from ingest import writer
from ingest.readings import ReadingBatch
from ingest.storage import Storage
from ingest.wallclock import WallClock
from tests.ingest.world import site

OPENED = "the journal is open"


def main(folder: str) -> None:
    """Reading n is value n; each waits for the one before it while the disk works, the last for all.

    So each has a transaction of its own up to the first failure, however slow the machine is, and those
    that come during it are written together.
    """
    logging.basicConfig(level=logging.WARNING)
    writer.RETRY_S = 0.02
    storage = Storage(Path(folder), site(4, resolution=0.0), WallClock())
    storage.open()
    print(OPENED, file=sys.stderr, flush=True)
    storage.start()
    told = threading.Semaphore(0)

    def acknowledge(number: int) -> None:
        print(number, flush=True)
        told.release()

    for number in range(40):
        storage.deliver(
            ReadingBatch.of([number % 4], number, float(number)), partial(acknowledge, number), "mqtt"
        )
        storage.submit(lambda connection: None)
        while not (told.acquire(timeout=0.05) or storage.trouble or storage.failure):
            pass
    storage.submit(lambda connection: None).result(30)
    storage.stop()


if __name__ == "__main__":
    main(sys.argv[1])
