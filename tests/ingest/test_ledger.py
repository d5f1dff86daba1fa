"""Ledger: every reading is somewhere, and a missing one shows."""

import json
import sqlite3
from pathlib import Path

import pytest

from config.errors import SettingsError
from ingest.archive import Archive
from ingest.courier import Courier, retire
from ingest.journal import FILE_NAME
from ingest.ledger import read_ledger
from ingest.readings import ReadingBatch
from tests.ingest.world import NOON_NS, balanced, living, site


def test_the_books_of_a_busy_second(tmp_path: Path) -> None:
    with living(tmp_path, site()) as life:
        batch = ReadingBatch.of([0, 1, 2], NOON_NS, [1.0, 2.0, 3.0])
        life.storage.deliver(batch, lane="broker")
        life.storage.deliver(batch, lane="broker")
        life.hear([0, 1], [5.0, 6.0], ago_s=1.0, lane="rtu")
        life.storage.drop("rtu", 2, "unit not known")
        life.storage.dead_letter("broker", "t", b"{", "not JSON")
        life.tick()
        ledger = balanced(tmp_path)  # also while the gateway runs

    assert ledger.as_dict()["lanes"] == {
        "broker": {
            "received": 6,
            "durable": 3,
            "duplicate": 3,
            "dropped": {},
            "undecodable": {"not JSON": 1},
        },
        "rtu": {
            "received": 4,
            "durable": 2,
            "duplicate": 0,
            "dropped": {"unit not known": 2},
            "undecodable": {},
        },
    }
    assert json.loads(json.dumps(ledger.as_dict()))["balanced"] is True
    table = ledger.table().splitlines()
    assert table[0].split() == [
        "lane",
        "received",
        "durable",
        "duplicate",
        "dropped",
        "undecodable",
        "messages",
    ]
    assert table[1].split() == ["broker", "6", "3", "3", "0", "1", "not", "JSON"]
    assert table[-1] == "balanced"


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
        courier = Courier(life.storage, Archive(tmp_path / "archive", life.clock.now_ns))
        courier.start()
        assert balanced(tmp_path / "data").couriers["archive"].pending == 2
        courier.stop()
        assert balanced(tmp_path / "data").couriers["archive"].stored == 2
        retire(life.storage, [])
        assert not balanced(tmp_path / "data").couriers


def test_a_folder_without_a_journal_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="data folder"):
        read_ledger(tmp_path)
