"""Ledger: every reading is somewhere, and a missing one shows."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from config.errors import SettingsError
from ingest.archive import Archive
from ingest.courier import Courier, retire
from ingest.journal import FILE_NAME
from ingest.lanes import MOST_LANES, settle
from ingest.ledger import Lane, read_ledger
from ingest.readings import ReadingBatch
from tests.ingest.world import NOON_NS, Hands, balanced, living, site


def test_the_books_of_a_busy_second(tmp_path: Path) -> None:
    with living(tmp_path, site()) as life:
        batch = ReadingBatch.of([0, 1, 2], NOON_NS, [1.0, 2.0, 3.0])
        life.storage.deliver(batch, lane="broker")
        life.storage.deliver(batch, lane="broker")
        life.hear([0, 1], [5.0, 6.0], ago_s=1.0, lane="rtu")
        life.storage.drop("gas.p09", 2, "unit not known")
        life.storage.dead_letter("t", "t", b"{", "not JSON")
        life.tick()
        ledger = balanced(tmp_path)  # also while the gateway runs

    assert ledger.as_dict()["lanes"] == {
        "gas.p00": lane(received=3, durable=2, duplicate=1),
        "gas.p01": lane(received=3, durable=2, duplicate=1),
        "gas.p02": lane(received=2, durable=1, duplicate=1),
        "gas.p09": lane(received=2, dropped={"unit not known": 2}),
        "t": lane(undecodable={"not JSON": 1}),
    }
    assert ledger.sources == {"broker": 6, "rtu": 2, "unusable": 2}
    assert json.loads(json.dumps(ledger.as_dict()))["balanced"] is True
    table = ledger.table().splitlines()
    assert table[1].split() == [
        "all",
        "lanes",
        "10",
        "5",
        "3",
        "2",
        "unit",
        "not",
        "known",
        "1",
        "not",
        "JSON",
    ]
    assert table[2].split() == ["gas.p00", "3", "2", "1", "0", "0"]
    assert table[-1] == "balanced"


def lane(**given: Any) -> dict[str, Any]:
    nothing = {"received": 0, "durable": 0, "duplicate": 0, "dropped": {}, "undecodable": {}}
    return nothing | given


def test_what_the_journal_notes_of_itself_is_said(tmp_path: Path) -> None:
    with living(tmp_path, site()) as life:
        life.hear(0, 5.0)
        life.hear(0, 6.0)  # another value for the same time
        life.tick()

    assert "noted by the journal: 1 conflict" in read_ledger(tmp_path).table()


def test_a_reading_that_vanished_is_seen(tmp_path: Path) -> None:
    with living(tmp_path, site()) as life:
        life.hear([0, 1], [5.0, 6.0])
        life.tick()
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute("DELETE FROM arrivals")

    ledger = read_ledger(tmp_path)

    assert not ledger.balanced
    assert "NOT BALANCED" in ledger.table()


def test_a_courier_that_came_late_or_left_keeps_the_books_whole(tmp_path: Path) -> None:
    with living(tmp_path / "data", site()) as life:
        life.hear([0, 1], [5.0, 6.0])
        life.tick()
        courier = Courier(life.storage, Archive(tmp_path / "archive", life.clock.now_ns, stop_s=60.0))
        courier.start()
        assert balanced(tmp_path / "data").couriers["archive"].pending == 2
        courier.stop()
        assert balanced(tmp_path / "data").couriers["archive"].stored == 2
        retire(life.storage, [])
        assert not balanced(tmp_path / "data").couriers


def test_a_folder_without_a_journal_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="data folder"):
        read_ledger(tmp_path)


def test_lanes_are_counted_in_time_and_survive_a_restart(tmp_path: Path) -> None:
    hands = Hands()
    with living(tmp_path, site(), hands) as life:
        life.hear([0, 1, 1], [5.0, 6.0, 7.0], ago_s=[0.0, 1.0, 2.0])
        life.tick()
        assert read_ledger(tmp_path).lanes["gas.p01"].durable == 2
        life.storage.submit(settle).result()
        assert read_ledger(tmp_path).lanes["gas.p01"].durable == 2
        life.hear([1], [8.0])
        life.tick()
    with living(tmp_path, site(), hands) as life:
        life.hear([1, 3], [9.0, 9.0])
        life.tick()
        assert balanced(tmp_path).lanes["gas.p01"] == Lane(received=4, durable=4)


def test_a_sender_of_nonsense_fills_one_lane_and_not_the_ledger(tmp_path: Path) -> None:
    with living(tmp_path, site()) as life:
        for number in range(MOST_LANES + 500):
            life.storage.dead_letter(f"no/such/{number}", "t", b"", "unknown device")
        life.hear([0], [5.0])
        life.tick()
        ledger = balanced(tmp_path)

    assert len(ledger.lanes) <= MOST_LANES + 1
    assert ledger.lanes["other"].undecodable == {"unknown device": 500}
    assert ledger.durable == 1
    assert "more lanes" in ledger.table()
    assert len(ledger.table(every_lane=True).splitlines()) > MOST_LANES


def test_a_journal_of_an_earlier_version_keeps_its_counts_by_source(tmp_path: Path) -> None:
    hands = Hands()
    with living(tmp_path, site(), hands) as life:
        life.hear([0, 1], [5.0, 6.0])
        life.tick()
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute("DELETE FROM counters")
        for what in ("received", "durable"):
            connection.execute("INSERT INTO counters VALUES ('lane', 'modbus', ?, '', 2)", (what,))
    with living(tmp_path, site(), hands) as life:
        life.hear([0], [7.0])
        life.tick()
        lanes = balanced(tmp_path).lanes

    assert lanes == {"modbus": Lane(received=2, durable=2), "gas.p00": Lane(received=1, durable=1)}


def test_a_journal_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with living(tmp_path, site()) as life:
        life.hear([0], [5.0])
        life.tick()
    path = tmp_path / FILE_NAME
    path.write_bytes(path.read_bytes()[:4096] + b"\xff" * (path.stat().st_size - 4096))

    with pytest.raises(SettingsError, match="cannot be read"):
        read_ledger(tmp_path)
