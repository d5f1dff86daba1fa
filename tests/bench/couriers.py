"""Bench of the InfluxDB courier, against the real engine behind nginx (python -m tests.bench.couriers).

A backlog is drained while live ticks go on once a second; beside it, in the same run, the engine takes ready
bodies one after another: its own limit. Then readings come at a steady rate, and each is followed from the
moment of its arrival to the moment at which its write was answered.
"""

import argparse
import gzip
import http.client
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from config.channels import Channel, ChannelTable
from ingest.courier import Courier, Trip
from ingest.influx import Influx, Writing
from ingest.journal import Listed
from ingest.lines import Lines
from ingest.progress import pending
from ingest.readings import ReadingBatch
from ingest.storage import Storage
from ingest.ticks import SECOND_NS, Epoch
from ingest.wallclock import WallClock
from tests.parts import influxdb

BODY = 5_000  # readings in a write
DEVICES = 50  # hand-overs a second


def site(channels: int) -> ChannelTable:
    return ChannelTable(
        [
            Channel(
                f"gas.p{n:05}.pressure", "gas", f"gas.p{n:05}", "pressure", "kPa", 1.0, 0.01, zone="north"
            )
            for n in range(channels)
        ]
    )


class Watched(Influx):
    """Notes when the readings of each tick were stored."""

    def _settle(self, writing: Writing, lines: Lines, trip: Trip) -> int:
        stored = super()._settle(writing, lines, trip)
        now_s = time.time()
        for tick in np.unique(writing.readings.arrival_ns).tolist():
            self.stored_s[tick] = now_s
        return stored

    stored_s: dict[int, float]


class Played:
    """A wall clock that shows what it is told."""

    def __init__(self, now_ns: int) -> None:
        self.now_ns = now_ns

    def __call__(self) -> int:
        return self.now_ns


class Bench:
    """One storage whose seconds are played, and one courier."""

    def __init__(self, folder: Path, url: str, rate: int, begin_ns: int) -> None:
        self.rate = rate
        self.played = Played(begin_ns)
        self.storage = Storage(folder, site(rate), WallClock(self.played, self.played))
        self.storage.open()
        self.storage.start()
        self.influx = Watched(url, "sensors", batch=BODY)
        self.influx.stored_s = {}
        self.courier = Courier(self.storage, self.influx)
        self.epoch: Epoch | None = Epoch("start")
        rng = np.random.default_rng(0)
        self.values = [np.round(rng.normal(300, 1, rate), 2) for _ in range(20)]

    def deliver(self, second: int, part: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> None:
        value = self.values[second % len(self.values)][part]
        self.storage.deliver(ReadingBatch.of(part, self.played.now_ns, value))

    def tick(self, now_ns: int) -> None:
        self.played.now_ns = now_ns
        self.storage.commit_tick(self.storage.close_tick(now_ns, self.epoch), [])
        self.epoch = None

    def stop(self) -> None:
        self.courier.stop()
        self.storage.stop()


def drain(folder: Path, url: str, rate: int, seconds: int) -> Iterator[tuple[str, float, str]]:
    """A backlog of so many seconds, and live ticks of the same size beside it."""
    begin_ns = (time.time_ns() // SECOND_NS - 86_400) * SECOND_NS
    bench = Bench(folder, url, rate, begin_ns)
    everyone = np.arange(rate)
    for second in range(seconds):
        bench.deliver(second, everyone)
        bench.tick(begin_ns + (second + 1) * SECOND_NS)
    cpu, begin = time.process_time(), time.perf_counter()
    bench.courier.start()
    delays, second, reader = [], seconds, bench.storage.reader()
    while pending(reader, bench.courier.name) > 2 * rate and time.perf_counter() - begin < 120:
        bench.deliver(second, everyone)
        second += 1
        tick_ns, asked_s = begin_ns + second * SECOND_NS, time.time()
        bench.tick(tick_ns)
        while tick_ns not in bench.influx.stored_s and time.time() - asked_s < 10:
            time.sleep(0.002)
        delays.append(time.time() - asked_s)
        time.sleep(max(1.0 - delays[-1], 0.0))
    took = time.perf_counter() - begin
    carried = len(bench.influx.stored_s) * rate
    reader.close()
    bench.stop()
    yield "backlog and live together", carried / took, "readings/s"
    yield "CPU of ours, live ticks included", (time.process_time() - cpu) / carried * 1e6, "us a reading"
    yield "live tick stored after its end, p50 while the backlog drains", float(np.median(delays)), "s"
    yield "the longest", max(delays), "s"


def limit(url: str, rate: int) -> float:
    """Readings a second that the engine takes in ready bodies."""
    table = site(rate)
    lines = Lines(Listed(table.ids, table.medium, table.place, table.quantity, table.zone, table.period_s))
    rng, begin_ns, bodies = np.random.default_rng(1), time.time_ns() - 40_000 * SECOND_NS, []
    for number in range(60):
        order = np.arange(BODY) + number * BODY
        value = np.round(rng.normal(300, 1, BODY), 2)
        readings = ReadingBatch.of(order % rate, begin_ns + order // rate * SECOND_NS, value)
        bodies.append(gzip.compress("\n".join(lines.encode(readings).to_pylist()).encode(), 1))
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc)
    begin = time.perf_counter()
    for body in bodies:
        connection.request("POST", "/api/v2/write?bucket=sensors", body, {"Content-Encoding": "gzip"})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 204
    return len(bodies) * BODY / (time.perf_counter() - begin)


def delays(folder: Path, url: str, rate: int, seconds: int) -> Iterator[tuple[str, float, str]]:
    """Readings that come evenly; how long after its arrival each is stored."""
    begin_ns = (time.time_ns() // SECOND_NS + 1) * SECOND_NS
    bench = Bench(folder, url, rate, begin_ns)
    bench.courier.start()
    arrived: dict[int, list[float]] = {}
    parts = np.array_split(np.arange(rate), DEVICES)
    for second in range(seconds):
        tick_ns = begin_ns + (second + 1) * SECOND_NS
        for number, part in enumerate(parts):
            due_s = begin_ns / SECOND_NS + second + number / DEVICES
            threading.Event().wait(max(due_s - time.time(), 0.0))
            bench.played.now_ns = tick_ns - SECOND_NS + number * SECOND_NS // DEVICES
            bench.deliver(second, part)
            arrived.setdefault(tick_ns, []).append(time.time())
        threading.Event().wait(max(tick_ns / SECOND_NS - time.time(), 0.0))
        bench.tick(tick_ns)
    time.sleep(2.0)
    stored = bench.influx.stored_s
    bench.stop()
    took = [stored.get(tick, np.inf) - moment for tick, moments in arrived.items() for moment in moments]
    yield f"arrival to stored at {rate:,} readings/s, p50", float(np.median(took)), "s"
    yield "p99", float(np.quantile(took, 0.99)), "s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=2_000, help="readings a second in the backlog")
    parser.add_argument("--backlog", type=int, default=600, help="seconds of backlog")
    parser.add_argument("--seconds", type=int, default=20, help="of steady readings")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="watchline-bench-") as name:
        folder = Path(name)
        with influxdb(folder / "influx") as server:
            figures = list(drain(folder / "drain", server.url, args.rate, args.backlog))
            figures.append(
                ("the engine's own limit, ready bodies", limit(server.url, args.rate), "readings/s")
            )
            figures += delays(folder / "steady", server.url, 5_000, args.seconds)
    for what, figure, unit in figures:
        print(f"{what:62}  {figure:12,.3f} {unit}", flush=True)


if __name__ == "__main__":
    main()
