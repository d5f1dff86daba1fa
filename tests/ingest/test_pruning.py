"""Pruning: the journal forgets what everyone has, and nothing else unless it must."""

import contextlib
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from config.channels import Channel, ChannelTable
from ingest import storage as storage_module
from ingest.archive import Archive
from ingest.courier import Courier, Gap, Place, Trip
from ingest.journal import open_reader, stored_arrivals, stored_ticks
from ingest.pruning import Limits, _forget, prune
from ingest.readings import ReadingBatch
from ingest.ticks import SECOND_NS
from tests.ingest.world import NOON_NS, Hands, Life, balanced, living, site


@pytest.fixture(autouse=True)
def at_every_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage_module, "PRUNE_EVERY_S", 0.0)


class Away:
    """A carrier whose far side is never there."""

    name = "away"
    fresh_first = False
    stop_s = 10.0

    def carry(self, connection: sqlite3.Connection, gap: Gap, stop: threading.Event) -> Trip | None:
        return None


def hours(life: Life, number: int) -> None:
    """One reading and one snapshot an hour."""
    for value in range(number):
        life.hear(0, float(value))
        life.tick(snapshot={"hour": value})
        life.hands.wind(3599)


def test_what_all_have_is_forgotten_but_not_the_last_hour_and_snapshots(tmp_path: Path) -> None:
    hands = Hands()
    with living(tmp_path / "data", site(), hands) as life:
        archive = Courier(life.storage, Archive(tmp_path / "archive", life.clock.now_ns, stop_s=60.0))
        archive.start()
        hours(life, 6)
        archive.stop()
        life.hear(0, 100.0)
        life.tick()
        life.tick()

    ledger = balanced(tmp_path / "data")
    assert (ledger.kept, ledger.removed) == (2, 5)  # what the older snapshot has seen is gone
    with living(tmp_path / "data", site(), hands) as life:
        assert life.recovery.snapshot == {"hour": 5}
        assert [tick.readings.value.tolist() for tick in life.recovery.ticks] == [[100.0]]


def test_a_courier_that_is_away_holds_the_journal_until_the_limit(tmp_path: Path) -> None:
    limits = Limits(keep_ns=10 * 3600 * SECOND_NS)
    with living(tmp_path / "data", site(), limits=limits) as life:
        archive = Courier(life.storage, Away())
        archive.start()
        hours(life, 8)
        assert balanced(tmp_path / "data").couriers["away"].pending == 8
        hours(life, 8)
        archive.stop()

    told = balanced(tmp_path / "data").couriers["away"]
    assert (told.pruned, told.pending) == (5, 11)


def test_a_journal_that_grew_too_large_gives_up_its_oldest_readings(tmp_path: Path) -> None:
    with living(tmp_path / "data", site(), limits=Limits(keep_bytes=1)) as life:
        archive = Courier(life.storage, Away())
        archive.start()
        hours(life, 40)
        archive.stop()

    told = balanced(tmp_path / "data").couriers["away"]
    assert told.pruned > 0
    assert told.pending > 0


def test_without_a_snapshot_nothing_is_forgotten(tmp_path: Path) -> None:
    with living(tmp_path, site()) as life:
        for _ in range(5):
            life.hear(0, 1.0)
            life.tick()
            life.hands.wind(7200)
        life.storage.submit(lambda connection: prune(connection, Limits(), life.clock.now_ns())).result()

    assert balanced(tmp_path).kept == 5


class Overtaken:
    """A carrier that takes a tick at a time, and is overtaken by pruning while it does."""

    name = "overtaken"
    fresh_first = False
    stop_s = 10.0

    def __init__(self, life: Life) -> None:
        self.life = life
        self.carried: list[int] = []

    def carry(self, connection: sqlite3.Connection, gap: Gap, stop: threading.Event) -> Trip | None:
        ticks = list(stored_ticks(connection, gap.after.tick, 1))
        if not ticks:
            return None
        self.carried.append(ticks[0].id)
        if len(self.carried) in (3, 4):
            self.life.storage.submit(lambda writer: _forget(writer, 6), lazy=True)
        return Trip(Place(ticks[0].id, ticks[0].upto_arrival), stored=ticks[0].readings)


def test_a_courier_that_is_overtaken_by_pruning_keeps_the_books_whole(tmp_path: Path) -> None:
    with living(tmp_path, site()) as life:
        for value in range(10):
            life.hear([0, 1], [float(value), 1.0])
            life.tick()
        carrier = Overtaken(life)
        courier = Courier(life.storage, carrier)
        courier.start()
        courier.stop()
        again = Courier(life.storage, carrier)
        again.start()
        again.stop()

    told = balanced(tmp_path).couriers["overtaken"]
    assert set(carrier.carried) >= set(range(7, 11))
    assert told.stored + told.pruned == 20
    assert told.pending == 0


def district() -> ChannelTable:
    """A pressure, a methane sensor, a wristband's pulse and its SOS button."""
    kinds = [("gas", "pressure", "kPa"), ("gas", "ch4", "%{LEL}")]
    kinds += [("wristband", "heart_rate", "/min"), ("wristband", "sos", "1")]
    return ChannelTable([Channel(f"c{n}", m, f"p{n}", q, u, 1.0) for n, (m, q, u) in enumerate(kinds)])


def hours_of_all(life: Life, number: int) -> None:
    """One reading of each channel and one snapshot an hour."""
    for hour in range(number):
        life.hear(np.arange(4), float(hour))
        life.tick(snapshot={"hour": hour})
        life.hands.wind(3599)


def held(folder: Path) -> Counter[int]:
    """Readings in the journal, by channel: journal numbers begin at 1."""
    with contextlib.closing(open_reader(folder)) as connection:
        batches = [batch for *_, batch in stored_arrivals(connection, 0, 1 << 60) if batch is not None]
    return Counter(channel - 1 for batch in batches for channel in batch.channel.tolist())


def test_beyond_the_age_limit_only_what_life_hangs_on_is_kept(tmp_path: Path) -> None:
    limits = Limits(keep_ns=10 * 3600 * SECOND_NS)
    with living(tmp_path / "data", district(), limits=limits) as life:
        courier = Courier(life.storage, Away())
        courier.start()
        hours_of_all(life, 15)
        kept = held(tmp_path / "data")
        assert kept[1] == kept[3] == 15
        assert kept[0] == kept[2] == 11
        assert balanced(tmp_path / "data").couriers["away"].pruned == 4 * 15 - kept.total()
        hours_of_all(life, 15)
        courier.stop()

    kept = held(tmp_path / "data")
    assert kept[1] == kept[3] < 22  # after twice the time they go too
    assert kept[1] > kept[0] == kept[2] > 0
    assert balanced(tmp_path / "data").notes["thinned"] > 0


def test_a_journal_that_is_too_large_gives_up_what_life_hangs_on_last(tmp_path: Path) -> None:
    with living(tmp_path / "data", district(), limits=Limits(keep_bytes=1)) as life:
        courier = Courier(life.storage, Away())
        courier.start()
        hours_of_all(life, 20)
        courier.stop()

    kept = held(tmp_path / "data")
    assert kept[1] == kept[3] > kept[0] == kept[2]


def test_a_disk_with_little_room_counts_as_a_journal_too_large(tmp_path: Path) -> None:
    with living(tmp_path / "data", site(), limits=Limits(room_bytes=1 << 60)) as life:
        courier = Courier(life.storage, Away())
        courier.start()
        hours(life, 40)
        courier.stop()

    assert balanced(tmp_path / "data").couriers["away"].pruned > 0


def test_a_journal_that_never_had_a_snapshot_keeps_to_its_limits(tmp_path: Path) -> None:
    with living(tmp_path, site(), limits=Limits(keep_ns=3600 * SECOND_NS)) as life:
        for _ in range(10):
            life.hear(0, 1.0)
            life.tick()
            life.hands.wind(3599)

    assert balanced(tmp_path).kept <= 3


def test_ticks_stamped_by_a_wrong_clock_do_not_stay_for_ever(tmp_path: Path) -> None:
    hands = Hands()
    with living(tmp_path, site(), hands) as life:
        hands.wall_ns += 400 * 86_400 * SECOND_NS
        epoch = life.clock.epoch_if_stepped()
        life.hear(0, 1.0)
        life.tick(epoch, snapshot={"clock": "ahead"})
        hands.wall_ns -= 400 * 86_400 * SECOND_NS
        epoch = life.clock.epoch_if_stepped()
        life.tick(epoch, snapshot={"clock": "right"})
        hours(life, 4)

    with contextlib.closing(open_reader(tmp_path)) as connection:
        assert all(tick.now_ns < NOON_NS + 86_400 * SECOND_NS for tick in stored_ticks(connection, 0))


def test_small_rows_that_wait_are_packed_into_one_and_nothing_changes(tmp_path: Path) -> None:
    hands = Hands()
    with living(tmp_path, site(), hands) as life:
        courier = Courier(life.storage, Away())
        courier.start()
        lived = []
        for number in range(3):
            for part in range(10):
                life.hear([0, 1], [number + part / 10, 5.0], ago_s=part / 1000)
                life.storage.submit(lambda connection: None).result()
            lived.append(life.tick(snapshot=None if number else {"n": 0}))
        life.hands.wind(2 * 3600)
        life.tick(snapshot={"n": 1})
        life.hands.wind(1)
        life.hear(3, 1.0)
        life.tick(snapshot={"n": 2})
        courier.stop()
        rows = life.storage.reader().execute("SELECT readings FROM arrivals ORDER BY id").fetchall()
        again = [list(one) for one in read_back(life)]

    assert rows == [(20,), (20,), (20,), (1,)]
    assert again[:3] == [tick.readings.value.tolist() for tick in lived]


def read_back(life: Life) -> Iterator[list[float]]:
    with contextlib.closing(life.storage.reader()) as connection:
        for tick in stored_ticks(connection, 0):
            rows = stored_arrivals(connection, tick.after_arrival, tick.upto_arrival)
            batches = [batch for *_, batch in rows if batch is not None]
            if batches:
                yield ReadingBatch.joined(batches).sorted().value.tolist()
