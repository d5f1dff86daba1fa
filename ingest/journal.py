"""Journal: the one SQLite file that holds arrivals, ticks, commands, outbox, snapshots, cursors and counters.

Only the storage thread writes it, and only it checkpoints the WAL: SQLite before 3.51.3 can corrupt one
when two connections checkpoint at once (sqlite.org/wal.html#walresetbug). Readers are read-only.
"""

import contextlib
import logging
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from config.channels import ChannelTable
from config.errors import SettingsError
from ingest.columns import Damaged, decode
from ingest.readings import ReadingBatch
from ingest.ticks import Command, Epoch
from ingest.writer import StorageFailed, is_damage

log = logging.getLogger(__name__)

FILE_NAME = "journal.sqlite"
VERSION = 2
MOST_VERSIONS = 255  # a higher number is no version, but damage
SUSPECT = "journal.suspect"  # this file beside it says that damage was seen: the next start looks closely
PAGE_BYTES = 1024  # of a new file: a commit touches few pages, and each is written whole (docs/decisions)
CHECKPOINT_BYTES = 8 << 20  # of WAL: pages that change each second are copied once in many seconds
DEAD_LETTERS_KEPT = 10_000
PAYLOAD_KEPT = 1 << 16
REMEMBERED_NS = 3600 * 10**9  # arrivals from which a restarted inbox learns what it has seen
REMEMBERED_READINGS = 1_000_000
MOST_CHANNELS = 1_000_000  # that a journal ever knew

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
CREATE TABLE marks (name TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE damage (id INTEGER PRIMARY KEY, at TEXT NOT NULL, file TEXT NOT NULL, reason TEXT NOT NULL,
    lost INTEGER NOT NULL);
"""
MIGRATIONS = {  # by the version that they start from; each is one transaction with its new version
    1: """
CREATE TABLE marks (name TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE damage (id INTEGER PRIMARY KEY, at TEXT NOT NULL, file TEXT NOT NULL, reason TEXT NOT NULL,
    lost INTEGER NOT NULL);
"""
}

LATER = """CREATE TABLE IF NOT EXISTS ahead (courier TEXT NOT NULL, after_tick INTEGER NOT NULL,
    after_arrival INTEGER NOT NULL, upto_tick INTEGER NOT NULL, upto_arrival INTEGER NOT NULL,
    PRIMARY KEY (courier, after_tick)) WITHOUT ROWID"""  # came in later than version 2, which can do without

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


def set_up(connection: sqlite3.Connection) -> None:
    """Create the schema in an empty file, or bring an older one up to date. ValueError: it is a newer one."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if not 0 <= version <= MOST_VERSIONS or (version == 0 and tables):
        raise damaged(f"its header says schema {version}")
    if version not in (0, VERSION) and not changed_tables(connection):  # each version changes some table
        raise damaged(f"its header says schema {version}, its tables are those of {VERSION}")
    if version == 0:
        connection.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version={VERSION}; COMMIT")
    elif version > VERSION:
        raise ValueError(f"schema {version}, known is {VERSION}")
    while 0 < version < VERSION:
        script = f"BEGIN; {MIGRATIONS[version]} PRAGMA user_version={version + 1}; COMMIT"
        connection.executescript(script)
        version += 1
    connection.execute(LATER)


def damaged(text: str) -> sqlite3.DatabaseError:
    """What SQLite itself would raise, had it noticed."""
    error = sqlite3.DatabaseError(text)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def tables(connection: sqlite3.Connection) -> dict[str, str]:
    """The statement that made each table and index, by its name."""
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'")
    return {str(name): str(sql) for name, sql in rows if not str(sql).startswith("CREATE INDEX")}


def changed_tables(connection: sqlite3.Connection) -> list[str]:
    """Tables that are missing, or not as this version makes them."""
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as fresh:
        set_up(fresh)
        known = tables(connection)
        return [name for name, sql in tables(fresh).items() if known.get(name) != sql]


def misfit(connection: sqlite3.Connection, table: str) -> str:
    """A condition that holds for rows with a value of another type than their column's."""
    conditions = [
        f'typeof("{name}") != {kind.lower()!r}' + ("" if filled or key else f' AND "{name}" IS NOT NULL')
        for _, name, kind, filled, _, key in connection.execute(f'PRAGMA table_info("{table}")')
    ]
    return " OR ".join(conditions)


def read_texts(connection: sqlite3.Connection, table: str) -> None:
    """Touch every text of a table: SQLite itself does not care whether one can be read."""
    columns = connection.execute(f'PRAGMA table_info("{table}")').fetchall()
    texts = ", ".join(f'"{name}"' for _, name, kind, *_ in columns if kind == "TEXT")
    if texts:
        for _ in connection.execute(f'SELECT {texts} FROM "{table}"'):
            pass


def mark(connection: sqlite3.Connection, name: str) -> int:
    """How far a piece of housekeeping has come; 0 at first."""
    row = connection.execute("SELECT n FROM marks WHERE name = ?", (name,)).fetchone()
    return int(row[0]) if row else 0


def set_mark(connection: sqlite3.Connection, name: str, n: int) -> None:
    connection.execute("INSERT OR REPLACE INTO marks VALUES (?, ?)", (name, n))


@contextlib.contextmanager
def watched(connection: sqlite3.Connection) -> Iterator[None]:
    """Where reading meets damage, leave word for the next start, which puts the journal right."""
    try:
        yield
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        if is_damage(error):
            suspect(connection, error)
            raise StorageFailed(
                f"the journal is damaged ({error}); start again, it is put right then"
            ) from error
        raise


def suspect(connection: sqlite3.Connection, error: BaseException) -> None:
    """Leave word that the file of this connection is damaged."""
    with contextlib.suppress(sqlite3.Error, OSError):
        file = connection.execute("PRAGMA database_list").fetchone()[2]
        if Path(file).is_absolute():  # not in memory
            Path(file).with_name(SUSPECT).write_text(f"{error}\n")


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
    rows = [row for row in rows if _is_channel(*row)]  # damage may give anything, in any order
    size = max((row[0] for row in rows), default=0) + 1
    texts = [[""] * size for _ in range(5)]
    period_s = np.ones(size)
    for number, *fields, period in rows:
        for column, text in zip(texts, fields):
            column[number] = text
        period_s[number] = period
    ids, medium, place, quantity, zone = (tuple(column) for column in texts)
    return Listed(ids, medium, place, quantity, zone, period_s)


def _is_channel(number: object, *fields: object) -> bool:
    *texts, period = fields
    numbered = isinstance(number, int) and 0 < number <= MOST_CHANNELS
    return numbered and all(isinstance(text, str) for text in texts) and isinstance(period, float)


def count(connection: sqlite3.Connection, owner: str, name: str, what: str, n: int, reason: str = "") -> None:
    """Add to a counter of the ledger, in the transaction of what it counts. owner: lane, courier, journal."""
    if n:
        connection.execute(COUNT, (owner, name, what, reason, n))


def stored_ticks(connection: sqlite3.Connection, after: int, most: int = -1) -> Iterator[StoredTick]:
    """Committed ticks behind a tick's id, oldest first, `most` of them (-1: all)."""
    with watched(connection):
        rows = connection.execute(
            "SELECT id, now_ns, after_arrival, upto_arrival, readings, clock_good, epoch FROM ticks"
            " WHERE id > ? ORDER BY id LIMIT ?",
            (after, most),
        )
        for id, now_ns, after_arrival, upto_arrival, readings, good, epoch in rows:
            _check_whole(now_ns, after_arrival, upto_arrival, readings)
            known = None if epoch is None else _epoch_of(epoch)
            yield StoredTick(id, now_ns, after_arrival, upto_arrival, readings, bool(good), known)


def stored_arrivals(
    connection: sqlite3.Connection, after: int, upto: int
) -> Iterator[tuple[int, int, int, ReadingBatch | None]]:
    """(id, second_ns, count, readings by journal number) of arrivals in (after, upto]; None where damaged."""
    with watched(connection):
        rows = connection.execute(
            "SELECT id, second_ns, readings, columns FROM arrivals WHERE id > ? AND id <= ? ORDER BY id",
            (after, upto),
        )
        for id, second_ns, readings, blob in rows:
            _check_whole(second_ns, readings)
            try:
                batch = decode(blob)
            except Damaged:
                yield id, second_ns, readings, None
                continue
            yield id, second_ns, readings, batch


def _check_whole(*numbers: object) -> None:
    """Whole numbers are stored as such; anything else was put there by damage."""
    if not all(type(number) is int for number in numbers):
        raise damaged("a row holds what does not belong there")


def arrival_sizes(connection: sqlite3.Connection, after: int) -> Iterator[tuple[int, int]]:
    """(id, count) of the arrivals behind an id, oldest first."""
    yield from connection.execute("SELECT id, readings FROM arrivals WHERE id > ? ORDER BY id", (after,))


def read_through(connection: sqlite3.Connection, after_tick: int) -> None:
    """Touch what a start needs, so that damage shows now: ticks behind a snapshot, and what is in them."""
    (arrival,) = connection.execute(
        "SELECT coalesce(max(upto_arrival), 0) FROM ticks WHERE id <= ?", (after_tick,)
    ).fetchone()
    for sql, least in (
        ("SELECT * FROM ticks WHERE id > ?", after_tick),
        ("SELECT * FROM arrivals WHERE id > ?", arrival),
        ("SELECT * FROM commands WHERE seq > ?", 0),
        ("SELECT id FROM outbox WHERE id > ? ORDER BY id DESC", 0),
        ("SELECT * FROM counters WHERE n > ?", 0),
    ):
        for _ in connection.execute(sql, (least,)):
            pass


def recent_arrivals(connection: sqlite3.Connection) -> Iterator[ReadingBatch]:
    """What arrived in the last hour before the newest arrival, oldest first, at most a million readings."""
    (newest,) = connection.execute("SELECT max(second_ns) FROM arrivals").fetchone()
    if newest is None:
        return
    first, total = None, 0
    with watched(connection):
        for id, second_ns, readings in connection.execute(
            "SELECT id, second_ns, readings FROM arrivals ORDER BY id DESC"
        ):
            _check_whole(newest, second_ns, readings)
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
    commands = []
    for id, kind, body, actor, issued_ns in rows:
        try:
            commands.append(Command(id, kind, msgspec.json.decode(body), actor, issued_ns))
        except msgspec.DecodeError:
            log.error("command %s is damaged in the journal and left out; give it again", id)
    return tuple(commands)


def _epoch_of(text: str) -> Epoch:
    """One that cannot be read any more is still an epoch."""
    try:
        return Epoch(**msgspec.json.decode(text))
    except (msgspec.DecodeError, TypeError):
        return Epoch("damaged", clock_good=False)


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
