"""Journal: the one SQLite file that holds arrivals, ticks, commands, outbox, snapshots, cursors and counters.

Only the storage thread writes it, and only it checkpoints the WAL: SQLite before 3.51.3 can corrupt one
when two connections checkpoint at once (sqlite.org/wal.html#walresetbug). Readers are read-only.
"""

import fcntl
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from config.channels import ChannelTable
from config.errors import SettingsError
from ingest.columns import Damaged, decode
from ingest.folders import make_folder
from ingest.readings import ReadingBatch
from ingest.ticks import Command, Epoch

FILE_NAME = "journal.sqlite"
VERSION = 1
CHECKPOINT_PAGES = 2000  # 8 MB of WAL: pages that change each second are copied once in many seconds
DEAD_LETTERS_KEPT = 10_000
PAYLOAD_KEPT = 1 << 16
REMEMBERED_NS = 3600 * 10**9  # arrivals from which a restarted inbox learns what it has seen
REMEMBERED_READINGS = 1_000_000

SCHEMA = """
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
"""

COUNT = """INSERT INTO counters VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (owner, name, what, reason) DO UPDATE SET n = n + excluded.n"""
DEAD_LETTER = "INSERT INTO dead_letters (lane, topic, payload, reason, at_ns) VALUES (?, ?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class Listed:
    """The channels that the journal has ever known; a channel's journal number is its place here.

    It outlives a changed `channels.csv`: what was stored under a number keeps its name and tags.
    """

    id: tuple[str, ...]
    medium: tuple[str, ...]
    place: tuple[str, ...]
    quantity: tuple[str, ...]
    zone: tuple[str, ...]
    period_s: NDArray[np.float64]

    def numbers_in(self, channels: ChannelTable) -> NDArray[np.int32]:
        """For each journal number its number in the table; -1 for a channel that is no longer listed."""
        return np.array([channels.number.get(id, -1) for id in self.id], dtype=np.int32)


@dataclass(frozen=True, slots=True)
class StoredTick:
    """A committed boundary: arrivals after `after_arrival` up to `upto_arrival` belong to it."""

    id: int
    now_ns: int
    after_arrival: int
    upto_arrival: int
    readings: int
    clock_good: bool
    epoch: Epoch | None


class FolderInUse(SettingsError):
    """Another process writes this journal."""


def open_writer(folder: Path) -> tuple[sqlite3.Connection, IO[str]]:
    """The writing connection, its schema in place, and the held lock; SettingsError says why it cannot be."""
    try:
        make_folder(folder)
        lock = (folder / "journal.lock").open("w")
    except OSError as error:
        raise SettingsError(
            f"{folder}: cannot be written: {error.strerror}; choose another data folder"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise FolderInUse(f"{folder}: another gateway is using this data folder; stop it first") from error
    path = folder / FILE_NAME
    try:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
        connection.execute("PRAGMA journal_size_limit=33554432")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            connection.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version={VERSION}; COMMIT")
        elif version != VERSION:
            raise SettingsError(
                f"{path}: written by another version of this program (schema {version}, known is {VERSION});"
                " start that version, or choose another data folder"
            )
    except sqlite3.DatabaseError as error:
        lock.close()
        raise SettingsError(f"{path}: cannot be used: {error}; move it away to start afresh") from error
    return connection, lock


def open_reader(folder: Path) -> sqlite3.Connection:
    """A read-only connection, for one thread at a time; never checkpoints. SettingsError if there is none."""
    path = folder / FILE_NAME
    if not path.is_file():
        raise SettingsError(f"{path}: no such file; name the data folder of a gateway that has run")
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=10, check_same_thread=False
    )
    connection.execute("PRAGMA query_only=1")
    return connection


def list_channels(connection: sqlite3.Connection, channels: ChannelTable) -> NDArray[np.int32]:
    """Write the table's channels; their journal numbers (channels,), kept for ever."""
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(
        "INSERT INTO channel (id, medium, place, quantity, zone, period_s) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET medium = excluded.medium, place = excluded.place,"
        " quantity = excluded.quantity, zone = excluded.zone, period_s = excluded.period_s"
        " WHERE (medium, place, quantity, zone, period_s) IS NOT"
        " (excluded.medium, excluded.place, excluded.quantity, excluded.zone, excluded.period_s)",
        ((c.id, c.medium, c.place, c.quantity, c.zone, c.period_s) for c in channels.channels),
    )
    connection.execute("COMMIT")
    number = dict(connection.execute("SELECT id, number FROM channel"))
    return np.array([number[id] for id in channels.ids], dtype=np.int32)


def listed(connection: sqlite3.Connection) -> Listed:
    """All channels by journal number; number 0 is nobody's, as SQLite counts from 1."""
    rows = connection.execute(
        "SELECT number, id, medium, place, quantity, zone, period_s FROM channel ORDER BY number"
    ).fetchall()
    size = rows[-1][0] + 1 if rows else 1
    texts = [[""] * size for _ in range(5)]
    period_s = np.ones(size)
    for number, *fields, period in rows:
        for column, text in zip(texts, fields):
            column[number] = text
        period_s[number] = period
    ids, medium, place, quantity, zone = (tuple(column) for column in texts)
    return Listed(ids, medium, place, quantity, zone, period_s)


def count(connection: sqlite3.Connection, owner: str, name: str, what: str, n: int, reason: str = "") -> None:
    """Add to a counter of the ledger, in the transaction of what it counts. owner: lane, courier, journal."""
    if n:
        connection.execute(COUNT, (owner, name, what, reason, n))


def stored_ticks(connection: sqlite3.Connection, after: int, most: int = -1) -> Iterator[StoredTick]:
    """Committed ticks behind a tick's id, oldest first, `most` of them (-1: all)."""
    rows = connection.execute(
        "SELECT id, now_ns, after_arrival, upto_arrival, readings, clock_good, epoch FROM ticks"
        " WHERE id > ? ORDER BY id LIMIT ?",
        (after, most),
    )
    for id, now_ns, after_arrival, upto_arrival, readings, good, epoch in rows:
        known = None if epoch is None else Epoch(**msgspec.json.decode(epoch))
        yield StoredTick(id, now_ns, after_arrival, upto_arrival, readings, bool(good), known)


def stored_arrivals(
    connection: sqlite3.Connection, after: int, upto: int
) -> Iterator[tuple[int, int, int, ReadingBatch | None]]:
    """(id, second_ns, count, readings by journal number) of arrivals in (after, upto]; None where damaged."""
    rows = connection.execute(
        "SELECT id, second_ns, readings, columns FROM arrivals WHERE id > ? AND id <= ? ORDER BY id",
        (after, upto),
    )
    for id, second_ns, readings, blob in rows:
        try:
            yield id, second_ns, readings, decode(blob)
        except Damaged:
            yield id, second_ns, readings, None


def recent_arrivals(connection: sqlite3.Connection) -> Iterator[ReadingBatch]:
    """What arrived in the last hour before the newest arrival, oldest first, at most a million readings."""
    (newest,) = connection.execute("SELECT max(second_ns) FROM arrivals").fetchone()
    if newest is None:
        return
    first, total = None, 0
    for id, second_ns, readings in connection.execute(
        "SELECT id, second_ns, readings FROM arrivals ORDER BY id DESC"
    ):
        total += readings
        if newest - second_ns > REMEMBERED_NS or total > REMEMBERED_READINGS:
            break
        first = id
    if first is not None:
        for _, _, _, batch in stored_arrivals(connection, first - 1, 1 << 62):
            if batch is not None:
                yield batch


def commands_of(connection: sqlite3.Connection, tick: int | None) -> tuple[Command, ...]:
    """The commands that acted in a tick, in order; with None those that wait for one."""
    rows = connection.execute(
        "SELECT id, kind, body, actor, issued_ns FROM commands WHERE tick IS ? ORDER BY seq", (tick,)
    )
    return tuple(
        Command(id, kind, msgspec.json.decode(body), actor, issued_ns)
        for id, kind, body, actor, issued_ns in rows
    )


def json_text(value: Mapping[str, Any]) -> str:
    return msgspec.json.encode(value).decode()


def epoch_text(epoch: Epoch) -> str:
    return json_text(asdict(epoch))


def joined_into(batches: list[ReadingBatch], number: NDArray[np.int32]) -> ReadingBatch:
    """Readings by journal number, renumbered as in the table; those of channels not listed are left out."""
    readings = ReadingBatch.joined(batches)
    channel = number[readings.channel]
    mapped = ReadingBatch(
        channel, readings.time_ns, readings.value, readings.quality, readings.arrival_ns, readings.flags
    )
    return mapped if (channel >= 0).all() else mapped.where(channel >= 0)
