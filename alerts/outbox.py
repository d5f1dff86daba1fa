"""Outbox: the alert changes still to be told, one cursor a receiver; rows come with the tick's commit.

P1 goes before others, so a receiver may have rows behind its cursor that it has already (`delivery_ahead`).
What it refused for good is put aside with the reason.
"""

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import msgspec

T = TypeVar("T")
SCHEMA = """
CREATE TABLE IF NOT EXISTS delivery_ahead (notifier TEXT NOT NULL, id INTEGER NOT NULL,
    PRIMARY KEY (notifier, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS delivery_tried (notifier TEXT NOT NULL, id INTEGER NOT NULL,
    PRIMARY KEY (notifier, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS delivery_refused (id INTEGER PRIMARY KEY, notifier TEXT NOT NULL,
    event_id TEXT NOT NULL, reason TEXT NOT NULL, at_ns INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS delivery_counts (notifier TEXT NOT NULL, what TEXT NOT NULL, n INTEGER NOT NULL,
    PRIMARY KEY (notifier, what)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS outbox_p1 ON outbox (id) WHERE grade = 'P1';
"""
DAY_NS = 86_400 * 10**9
REFUSED_KEPT = 10_000


class Store(Protocol):
    """What the storage thread offers: its writing connection in turn, readers, and news of each commit."""

    def submit(self, work: Callable[[sqlite3.Connection], T], lazy: bool = False) -> "Future[T]": ...

    def reader(self) -> sqlite3.Connection: ...

    def subscribe(self) -> threading.Event: ...


class Standby(Protocol):
    """What a receiver that stands in for another must tell (`alerts/standby.py`)."""

    def sort(
        self, reader: sqlite3.Connection, letters: "Sequence[Letter]", now_ns: int
    ) -> "tuple[list[Letter], list[int]]": ...


@dataclass(frozen=True, slots=True)
class Letter:
    """One change that a receiver has not confirmed."""

    id: int
    grade: str
    event: dict[str, Any]
    created_ns: int = 0  # when it was committed, by the tick's clock


class Outbox:
    """One receiver's part of the outbox; used by one thread."""

    def __init__(self, store: Store, receiver: str) -> None:
        self.receiver = receiver
        self._store = store
        self._cursor = 0
        self._done: set[int] = set()  # confirmed or refused, and not yet behind the cursor
        self._moved: Future[int] | None = None
        self._reader: sqlite3.Connection | None = None

    def register(self) -> None:
        """Find the receiver's place. A new one starts with what comes, the very first with the first row."""
        receiver = self.receiver

        def work(connection: sqlite3.Connection) -> tuple[int, set[int]]:
            _prepare(connection)
            row = connection.execute("SELECT cursor FROM delivery WHERE notifier = ?", (receiver,)).fetchone()
            if row is None:
                (others,) = connection.execute("SELECT count(*) FROM delivery").fetchone()
                (last,) = connection.execute("SELECT coalesce(max(id), 0) FROM outbox").fetchone()
                row = (last if others else 0,)
                connection.execute("INSERT INTO delivery (notifier, cursor) VALUES (?, ?)", (receiver, *row))
            ahead = connection.execute("SELECT id FROM delivery_ahead WHERE notifier = ?", (receiver,))
            return row[0], {id for (id,) in ahead}

        self._cursor, self._done = self._store.submit(work).result()

    def close(self) -> None:
        """Have everything that was settled synced."""
        if self._moved is not None:
            self._store.submit(lambda connection: None).result()  # lazy work rides with it
            self._moved.result()
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def waiting(self, most: int) -> list[Letter]:
        """At most so many letters, P1 first, each grade in the order of the outbox."""
        self._catch_up()
        urgent = self._rows("AND grade = 'P1'", most)
        taken = {row[0] for row in urgent}
        rest = self._rows("", most + len(taken)) if len(urgent) < most else []
        rows = [*urgent, *(row for row in rest if row[0] not in taken)][:most]
        return [
            Letter(id, grade, msgspec.json.decode(event), created_ns) for id, grade, event, created_ns in rows
        ]

    def urgent_after(self, id: int) -> bool:
        """A P1 letter newer than a row waits."""
        return any(row[0] > id for row in self._rows("AND grade = 'P1'", 1_000))

    def due(self, standby: Standby, letters: Sequence[Letter], now_ns: int) -> tuple[list[Letter], list[int]]:
        """What must be told in place of another receiver, and ids of what need not be told."""
        return standby.sort(self._looking(), letters, now_ns)

    def try_once(self, ids: Collection[int]) -> set[int]:
        """Note, synced, that these are now told to a person; those that may have been told before."""
        receiver = self.receiver

        def work(connection: sqlite3.Connection) -> set[int]:
            new = {
                id
                for id in ids
                if connection.execute(
                    "INSERT OR IGNORE INTO delivery_tried VALUES (?, ?)", (receiver, id)
                ).rowcount
            }
            return set(ids) - new

        return self._store.submit(work).result()

    def not_tried(self, ids: Collection[int]) -> None:
        """It is certain that nobody was told of these."""
        rows = [(self.receiver, id) for id in ids]
        self._store.submit(
            lambda connection: connection.executemany(
                "DELETE FROM delivery_tried WHERE notifier = ? AND id = ?", rows
            )
        ).result()

    def settle(
        self,
        confirmed: Iterable[int],
        refused: Mapping[int, tuple[str, str]],
        now_ns: int,
        report: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """These are done with; refused: by id the event id and the reason. Synced with the next commit.

        `report`: CloudEvents about it, for the centre; they are committed with it.
        """
        good, receiver = set(confirmed), self.receiver
        done = good | refused.keys()
        self._done |= done

        def work(connection: sqlite3.Connection) -> int:
            _count(connection, receiver, "settled", len(good))
            _count(connection, receiver, "refused", len(refused))
            connection.executemany(
                "INSERT INTO delivery_refused (notifier, event_id, reason, at_ns) VALUES (?, ?, ?, ?)",
                [(receiver, event_id, reason, now_ns) for event_id, reason in refused.values()],
            )
            connection.execute(
                "DELETE FROM delivery_refused WHERE id <= (SELECT max(id) FROM delivery_refused) - ?",
                (REFUSED_KEPT,),
            )
            connection.executemany(
                "INSERT OR IGNORE INTO delivery_ahead VALUES (?, ?)", [(receiver, id) for id in done]
            )
            connection.executemany(
                "INSERT OR IGNORE INTO outbox (event_id, grade, event, created_ns) VALUES (?, 'P4', ?, ?)",
                [(event["id"], msgspec.json.encode(event).decode(), now_ns) for event in report],
            )
            return _advance(connection, receiver)

        self._moved = self._store.submit(work, lazy=not refused and not report)

    def _catch_up(self) -> None:
        if self._moved is not None and self._moved.done():
            self._cursor, self._moved = self._moved.result(), None
            self._done = {id for id in self._done if id > self._cursor}

    def _looking(self) -> sqlite3.Connection:
        if self._reader is None:
            self._reader = self._store.reader()
        return self._reader

    def _rows(self, where: str, most: int) -> list[tuple[int, str, str, int]]:
        rows = self._looking().execute(
            f"SELECT id, grade, event, created_ns FROM outbox WHERE id > ? {where} ORDER BY id LIMIT ?",
            (self._cursor, most + len(self._done)),
        )
        return [row for row in rows.fetchall() if row[0] not in self._done][:most]


def _advance(connection: sqlite3.Connection, receiver: str) -> int:
    """Move the cursor over everything that is done without a gap; where it stands now."""
    (cursor,) = connection.execute("SELECT cursor FROM delivery WHERE notifier = ?", (receiver,)).fetchone()
    (open_id,) = connection.execute(
        "SELECT min(id) FROM outbox WHERE id > ? AND id NOT IN"
        " (SELECT id FROM delivery_ahead WHERE notifier = ?)",
        (cursor, receiver),
    ).fetchone()
    (last,) = connection.execute("SELECT coalesce(max(id), 0) FROM outbox").fetchone()
    cursor = max(cursor, last if open_id is None else open_id - 1)
    connection.execute("UPDATE delivery SET cursor = ? WHERE notifier = ?", (cursor, receiver))
    for table in ("delivery_ahead", "delivery_tried"):
        connection.execute(f"DELETE FROM {table} WHERE notifier = ? AND id <= ?", (receiver, cursor))
    return int(cursor)


def retire(store: Store, receivers: Collection[str]) -> None:
    """Forget receivers that the settings no longer name, so that the outbox does not wait for them."""

    def work(connection: sqlite3.Connection) -> None:
        known = [name for (name,) in connection.execute("SELECT notifier FROM delivery")]
        for name in set(known) - set(receivers):
            connection.execute("DELETE FROM delivery WHERE notifier = ?", (name,))
            with contextlib.suppress(sqlite3.OperationalError):  # nobody has been registered yet
                connection.execute("DELETE FROM delivery_ahead WHERE notifier = ?", (name,))

    store.submit(work).result()


def prune(connection: sqlite3.Connection, now_ns: int, keep_ns: int = 7 * DAY_NS, most: int = 200_000) -> int:
    """Inside a transaction: forget what every receiver has had for `keep_ns`, and keep the outbox bounded.

    Where nobody is to be told, age alone counts. Beyond `most` rows undelivered ones go too, counted: P4
    updates first, then by grade, oldest first; P1 last of all. Returns how many of them had not been told.
    """
    _prepare(connection)
    (slowest,) = connection.execute(
        "SELECT coalesce(min(cursor), (SELECT max(id) FROM outbox), 0) FROM delivery"
    ).fetchone()
    connection.execute("DELETE FROM outbox WHERE id <= ? AND created_ns < ?", (slowest, now_ns - keep_ns))
    (rows,) = connection.execute("SELECT count(*) FROM outbox").fetchone()
    if rows <= most:
        return 0
    doomed = connection.execute(
        "SELECT id, id > ? FROM outbox ORDER BY id > ?,"
        " grade = 'P4' AND json_extract(event, '$.type') LIKE '%.updated.v1' DESC, grade DESC, id LIMIT ?",
        (slowest, slowest, rows - most),
    ).fetchall()
    connection.executemany("DELETE FROM outbox WHERE id = ?", [(id,) for id, _ in doomed])
    untold = sum(waiting for _, waiting in doomed)
    _count(connection, "", "pruned", untold)
    return int(untold)


@dataclass(frozen=True, slots=True)
class Backlog:
    """What one receiver has still to be told."""

    waiting: int
    oldest_ns: int  # when the oldest of it was committed; 0 where nothing waits
    refused: int  # put aside for good, since ever


def backlogs(connection: sqlite3.Connection) -> dict[str, Backlog]:
    """By receiver."""
    if not _is_prepared(connection):
        return {}
    known = counts(connection)
    receivers = connection.execute("SELECT notifier, cursor FROM delivery").fetchall()
    found = {}
    for receiver, cursor in receivers:
        waiting, oldest_ns = connection.execute(
            "SELECT count(*), coalesce(min(created_ns), 0) FROM outbox WHERE id > ?"
            " AND id NOT IN (SELECT id FROM delivery_ahead WHERE notifier = ?)",
            (cursor, receiver),
        ).fetchone()
        found[receiver] = Backlog(waiting, oldest_ns, known.get((receiver, "refused"), 0))
    return found


def counts(connection: sqlite3.Connection) -> dict[tuple[str, str], int]:
    """Changes by (receiver, what became of them): settled, refused; pruned untold under the receiver ""."""
    if not _is_prepared(connection):
        return {}
    rows = connection.execute("SELECT notifier, what, n FROM delivery_counts").fetchall()
    return {(notifier, what): n for notifier, what, n in rows}


def _prepare(connection: sqlite3.Connection) -> None:
    for statement in filter(None, map(str.strip, SCHEMA.split(";"))):
        connection.execute(statement)


def _is_prepared(connection: sqlite3.Connection) -> bool:
    """Whether a receiver has ever been registered."""
    found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'delivery_counts'").fetchone()
    return found is not None


def _count(connection: sqlite3.Connection, receiver: str, what: str, n: int) -> None:
    if n:
        connection.execute(
            "INSERT INTO delivery_counts VALUES (?, ?, ?)"
            " ON CONFLICT (notifier, what) DO UPDATE SET n = n + excluded.n",
            (receiver, what, n),
        )
