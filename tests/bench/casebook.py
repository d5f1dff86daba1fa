"""What the centre can take: alert changes into its casebook in synced batches, and one a signed POST.

python -m tests.bench.casebook
"""

import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from alerts.centre.casebook import Casebook
from alerts.centre.events import Fact
from alerts.centre.passing import append_and_pass_on
from tests.alerts.centre.world import Story, centre

CHANGES = 40_000
BATCH = 500  # what a gateway sends in one POST
SENDERS = 8
POSTS_EACH = 250


def facts(count: int) -> list[Fact]:
    """Raised alarms of as many incidents, as the intake hands them over."""
    found = []
    for number in range(count):
        event = Story("urn:watchline:gw-1", f"water.main-{number}").raised()
        data = msgspec.json.encode(event["data"])
        incident = f"gw-1/{event['data']['incident']}"
        found.append(Fact(0, time.time_ns(), event["source"], event["id"], event["type"], incident, data))
    return found


def in_batches(folder: Path) -> tuple[float, float]:
    """Changes a second, each batch synced, with their rows in the outbox; processor time of one, in µs."""
    book = Casebook(folder / "casebook.db")
    book.open()
    every = facts(CHANGES)
    start_s, cpu_s = time.perf_counter(), time.process_time()
    for first in range(0, CHANGES, BATCH):
        book.submit(partial(append_and_pass_on, facts=every[first : first + BATCH])).result()
    took_s, cpu_s = time.perf_counter() - start_s, time.process_time() - cpu_s
    book.close()
    return CHANGES / took_s, 1e6 * cpu_s / CHANGES


def one_a_post(folder: Path) -> float:
    """Changes a second that a real centre stores when each comes in a signed POST of its own."""
    names = [f"gw-{number}" for number in range(SENDERS)]
    with centre(folder, gateways=names) as there:

        def send(name: str) -> None:
            gateway = there.gateway(name)
            for number in range(POSTS_EACH):
                assert gateway.post([gateway.alarm(f"water.main-{number}").raised()]).status == 200

        return SENDERS * POSTS_EACH / _together([partial(send, name) for name in names])


def _together(jobs: list[Callable[[], None]]) -> float:
    """Seconds until all are done."""
    threads = [threading.Thread(target=job) for job in jobs]
    start_s = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - start_s


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        rate, cpu_us = in_batches(Path(folder))
        print(
            f"changes/s into the casebook, batches of {BATCH}, synced: {rate:,.0f}; CPU {cpu_us:.0f} µs each"
        )
    with tempfile.TemporaryDirectory() as folder:
        rate = one_a_post(Path(folder))
        print(f"changes/s, one a signed POST on a connection of its own, {SENDERS} at once: {rate:,.0f}")


if __name__ == "__main__":
    main()
