"""Exactly once: however often readings come again, each is in InfluxDB and in the archive once."""

import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest import inbox, recall
from ingest.archive import Archive
from ingest.courier import Courier
from ingest.influx import Influx
from ingest.readings import CONFLICT, ReadingBatch
from ingest.recall import Recall
from tests.ingest.stub import Stub, stub
from tests.ingest.world import NOON_NS, Hands, Life, balanced, site
from tests.parts import rows_of

Moment = tuple[int, int]  # channel, milliseconds

readings = st.tuples(st.integers(0, 1), st.integers(0, 30), st.sampled_from([1.0, 2.0]))
story = st.lists(
    st.one_of(
        st.tuples(st.just("hear"), st.lists(readings, min_size=1, max_size=12)),
        st.tuples(st.just("again"), st.integers(0, 30)),
        st.tuples(st.just("tick")),
        st.tuples(st.just("carry")),
        st.tuples(st.just("restart")),
    ),
    max_size=25,
)


class Told:
    """Everything that was handed in, and what must be far away in the end."""

    def __init__(self) -> None:
        self.batches: list[list[tuple[int, int, float]]] = []
        self.first: dict[Moment, float] = {}
        self.all: set[tuple[int, int, float]] = set()

    def hear(self, life: Life, batch: list[tuple[int, int, float]]) -> None:
        channel, ms, value = (np.array(column) for column in zip(*batch))
        life.storage.deliver(ReadingBatch.of(channel, NOON_NS + ms * 1_000_000, value), lane="mqtt")
        for one, moment, number in batch:
            self.first.setdefault((one, moment), number)
            self.all.add((one, moment, number))


def carry(life: Life, url: str, archive: Path) -> None:
    """All to InfluxDB, and the hour so far to the archive, which writes it when it is stopped."""
    influx = Courier(life.storage, Influx(url, "city"))
    hour = Courier(life.storage, Archive(archive, life.clock.now_ns, stop_s=60.0))
    for courier in (influx, hour):
        courier.start()
    end_s = time.monotonic() + 20
    while not life.storage.submit(everything_is_told).result() and time.monotonic() < end_s:
        time.sleep(0.002)
    for courier in (influx, hour):
        courier.stop()
        assert not courier.trouble


def everything_is_told(connection: sqlite3.Connection) -> bool:
    sql = "SELECT tick >= (SELECT coalesce(max(id), 0) FROM ticks) FROM cursors WHERE courier = 'influxdb'"
    return bool(connection.execute(sql).fetchone()[0])


def in_influxdb(server: Stub) -> dict[Moment, float]:
    """Its rule: the same series and time are one point, and the last write stays."""
    points = {}
    for line in server.lines:
        head, fields, time_ns = line.split(" ")
        channel = int(head.split("channel=gas.p")[1][:2])
        value = float(fields.split(",")[0].removeprefix("value="))
        points[channel, (int(time_ns) - NOON_NS) // 1_000_000] = value
    return points


def in_archive(folder: Path) -> Iterator[tuple[tuple[int, int, float], bool]]:
    for file in folder.glob("*.parquet"):
        for row in rows_of(file):
            ms = (row["time"] - NOON_NS) // 1_000_000
            yield (int(row["channel"][5:7]), ms, row["value"]), row["conflict"]


@given(story)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_each_reading_is_far_away_exactly_once_whatever_comes_again(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    story: list[tuple[object, ...]],
) -> None:
    """Rings of two readings, so that most of what comes again is beyond them."""
    monkeypatch.setattr(inbox, "ring_size", lambda channels: 2)
    folder, hands, told = tmp_path_factory.mktemp("story"), Hands(), Told()
    with stub() as server:
        life = Life(folder / "data", site(), hands)
        for what, *arguments in story:
            if what == "hear":
                told.batches.append(arguments[0])  # type: ignore[arg-type]
                told.hear(life, told.batches[-1])
            elif what == "again" and told.batches:
                told.hear(life, told.batches[int(str(arguments[0])) % len(told.batches)])
            elif what == "tick":
                life.tick()
            elif what == "carry":
                carry(life, server.url, folder / "archive")
            elif what == "restart":
                life.storage.stop()
                life = Life(folder / "data", site(), hands)
        life.tick()
        carry(life, server.url, folder / "archive")
        life.storage.stop()

        archived = list(in_archive(folder / "archive"))
        assert in_influxdb(server) == told.first
    assert Counter(row for row, _ in archived) == Counter(told.all)
    assert {row for row, conflict in archived if not conflict} == {(*m, v) for m, v in told.first.items()}
    ledger = balanced(folder / "data")
    assert ledger.notes.get("conflict", 0) == len(told.all) - len(told.first)


def test_a_history_that_is_sent_again_is_known_beyond_the_ring(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    history = ReadingBatch.of(
        np.zeros(10_000), NOON_NS + np.arange(10_000) * 1_000_000, rng.normal(size=10_000)
    )
    other = history.where(np.arange(3_000, 3_010))
    changed = ReadingBatch.of(other.channel, other.time_ns, other.value + 1.0)
    life = Life(tmp_path, site(resolution=0.0), Hands())
    for group in (history, history, changed, changed, history):
        life.storage.deliver(group, lane="mqtt")
        life.tick()
    life.storage.stop()

    total = balanced(tmp_path).total
    assert (total.durable, total.duplicate) == (10_010, 20_010)


def test_what_has_no_time_of_its_own_is_counted_as_such(tmp_path: Path) -> None:
    life = Life(tmp_path, site(), Hands())
    for _ in range(2):  # a redelivery cannot be told from a new reading
        life.storage.deliver(ReadingBatch.of([0, 1], 0, [1.0, 2.0], flags=0), lane="mqtt")
    life.tick()
    life.storage.stop()

    ledger = balanced(tmp_path)
    assert ledger.total.durable == ledger.notes["without a time of their own"] == 4


def test_a_long_memory_is_read_once_kept_up_to_date_and_dropped_after_a_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loads: list[int] = []

    def load() -> Iterator[ReadingBatch]:
        loads.append(1)
        yield ReadingBatch.of([0, 1], [10, 20], [1.0, np.nan])

    memory = Recall(load)

    def known(channel: int, time_ns: int, value: float) -> tuple[bool, bool]:
        asked = ReadingBatch.of([channel], [time_ns], [value])
        same_time, same_value = memory.known(asked.channel, asked.time_ns, asked.value)
        return bool(same_time[0]), bool(same_value[0])

    memory.add(ReadingBatch.of([0], [5], [5.0]))  # not yet asked: nothing is kept
    assert known(0, 10, 1.0) == (True, True)
    assert known(1, 20, np.nan) == (True, True)
    assert known(0, 10, 2.0) == (True, False)
    assert known(1, 10, 1.0) == known(0, 5, 5.0) == (False, False)
    memory.add(ReadingBatch.of([2], [30], [3.0]))
    assert known(2, 30, 3.0) == (True, True)
    assert len(loads) == 1
    monkeypatch.setattr(recall, "REST_S", -1.0)
    memory.add(ReadingBatch.of([2], [40], [4.0]))
    assert known(2, 40, 4.0) == (False, False)
    assert len(loads) == 2


def test_a_conflict_that_comes_again_is_still_one(tmp_path: Path) -> None:
    life = Life(tmp_path, site(), Hands())
    for value in (1.0, 2.0, 1.0, 2.0):
        life.hear(0, value)
    readings = life.tick().readings
    life.storage.stop()

    assert readings.value.tolist() == [1.0, 2.0]
    assert (readings.flags & CONFLICT).astype(bool).tolist() == [False, True]
