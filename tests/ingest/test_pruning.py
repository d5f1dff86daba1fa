"""Pruning: the journal forgets what everyone has, and nothing else unless it must."""

import sqlite3
import threading
from pathlib import Path

import pytest

from ingest import storage as storage_module
from ingest.archive import Archive
from ingest.courier import Courier, Gap, Place, Trip
from ingest.journal import stored_ticks
from ingest.pruning import Limits, _forget, prune
from ingest.ticks import SECOND_NS
from tests.ingest.world import Hands, Life, balanced, living, site


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
        archive = Courier(life.storage, Archive(tmp_path / "archive", life.clock.now_ns))
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
