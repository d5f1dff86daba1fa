"""Opening: a journal of any earlier version lives on; one of a later version, or no room, is said plainly."""

import os
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from config.errors import SettingsError
from config.snapshot import pack
from ingest.columns import encode
from ingest.journal import FILE_NAME, VERSION
from ingest.readings import ReadingBatch
from ingest.storage import Storage
from ingest.ticks import Command
from tests.ingest.world import NOON_NS, Hands, living, site

VERSION_1 = """
CREATE TABLE channel (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, medium TEXT NOT NULL,
    place TEXT NOT NULL, quantity TEXT NOT NULL, zone TEXT NOT NULL, period_s REAL NOT NULL);
CREATE TABLE arrivals (id INTEGER PRIMARY KEY, second_ns INTEGER NOT NULL, readings INTEGER NOT NULL,
    columns BLOB NOT NULL);
CREATE TABLE ticks (id INTEGER PRIMARY KEY, now_ns INTEGER NOT NULL, after_arrival INTEGER NOT NULL,
    upto_arrival INTEGER NOT NULL, readings INTEGER NOT NULL, clock_good INTEGER NOT NULL, epoch TEXT);
CREATE TABLE commands (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, tick INTEGER, kind TEXT NOT NULL,
    body TEXT NOT NULL, actor TEXT NOT NULL, issued_ns INTEGER NOT NULL);
CREATE INDEX commands_by_tick ON commands (tick);
CREATE TABLE outbox (id INTEGER PRIMARY KEY AUTOINCREMENT, event_id TEXT NOT NULL UNIQUE, grade TEXT NOT NULL,
    event TEXT NOT NULL, created_ns INTEGER NOT NULL);
CREATE TABLE delivery (notifier TEXT PRIMARY KEY, cursor INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE snapshots (id INTEGER PRIMARY KEY AUTOINCREMENT, tick INTEGER NOT NULL, state BLOB NOT NULL);
CREATE TABLE dead_letters (id INTEGER PRIMARY KEY AUTOINCREMENT, lane TEXT NOT NULL, topic TEXT NOT NULL,
    payload BLOB NOT NULL, reason TEXT NOT NULL, at_ns INTEGER NOT NULL);
CREATE TABLE cursors (courier TEXT PRIMARY KEY, tick INTEGER NOT NULL, arrival INTEGER NOT NULL)
    WITHOUT ROWID;
CREATE TABLE counters (owner TEXT NOT NULL, name TEXT NOT NULL, what TEXT NOT NULL, reason TEXT NOT NULL,
    n INTEGER NOT NULL, PRIMARY KEY (owner, name, what, reason)) WITHOUT ROWID;
PRAGMA user_version=1;
"""


def version_1(folder: Path) -> None:
    """Two ticks, a snapshot behind the first, a command and a reading that wait, as version 1 left them."""
    folder.mkdir(exist_ok=True)
    connection = sqlite3.connect(folder / FILE_NAME, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.executescript(VERSION_1)
    numbers = np.arange(1, 6, dtype=np.int32)
    for number, channel in enumerate(site().channels, start=1):
        row = (channel.id, channel.medium, channel.place, channel.quantity, channel.zone, channel.period_s)
        connection.execute("INSERT INTO channel VALUES (?, ?, ?, ?, ?, ?, ?)", (number, *row))
    for id in (1, 2, 3):
        readings = ReadingBatch.of([0, 1], NOON_NS + id, [id, id + 0.5])
        arrival = (id, NOON_NS, 2, encode(readings, numbers))
        connection.execute("INSERT INTO arrivals VALUES (?, ?, ?, ?)", arrival)
    connection.execute("INSERT INTO ticks VALUES (1, ?, 0, 1, 2, 1, NULL)", (NOON_NS,))
    connection.execute("INSERT INTO ticks VALUES (2, ?, 1, 2, 2, 1, NULL)", (NOON_NS + 10**9,))
    connection.execute("INSERT INTO snapshots (tick, state) VALUES (1, ?)", (pack({"n": 1}),))
    connection.execute("INSERT INTO commands VALUES (1, 'c', NULL, 'ack', '{}', 'centre', 5)")
    connection.execute("INSERT INTO cursors VALUES ('away', 1, 1)")
    connection.executemany(
        "INSERT INTO counters VALUES (?, ?, ?, '', ?)",
        [("lane", "mqtt", "received", 6), ("lane", "mqtt", "durable", 6), ("courier", "away", "stored", 2)],
    )
    connection.close()


def test_a_journal_of_version_1_lives_on(tmp_path: Path) -> None:
    version_1(tmp_path)
    hands = Hands()
    hands.wind(2.0)

    with living(tmp_path, site(), hands) as life:
        (version,) = life.storage.reader().execute("PRAGMA user_version").fetchone()
        assert version == VERSION
        assert life.recovery.snapshot == {"n": 1}
        assert [tick.readings.value.tolist() for tick in life.recovery.ticks] == [[2.0, 2.5]]
        assert life.recovery.waiting == 2
        tick = life.tick()
        assert tick.readings.value.tolist() == [3.0, 3.5]
        assert tick.commands == (Command("c", "ack", {}, "centre", 5),)


def test_a_journal_of_a_later_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    version_1(tmp_path)
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute(f"PRAGMA user_version={VERSION + 1}")
    connection.close()

    with pytest.raises(SettingsError, match="a newer version of this program"):
        Storage(tmp_path, site(), Hands().clock()).open()
    assert not list(tmp_path.glob("journal-damaged-*"))


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(SettingsError, match="cannot be written"):
            Storage(tmp_path, site(), Hands().clock()).open()
    finally:
        tmp_path.chmod(0o700)


def test_a_journal_that_cannot_be_opened_is_named_and_not_taken_for_damaged(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()

    with pytest.raises(SettingsError, match=f"{FILE_NAME}: cannot be used"):
        Storage(tmp_path, site(), Hands().clock()).open()
