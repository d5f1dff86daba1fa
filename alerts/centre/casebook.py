"""Casebook: the centre's record of facts in SQLite; one thread writes, and what it confirms is synced."""

import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from alerts.centre.events import STAFF_SOURCE, Fact
from ingest.folders import make_folder

T = TypeVar("T")

GROUP = 256  # jobs that share one commit at most: a commit costs the same whatever is in it
SCHEMA = """
CREATE TABLE IF NOT EXISTS fact (
    number INTEGER PRIMARY KEY,
    received_ns INTEGER NOT NULL,
    source TEXT NOT NULL,
    id TEXT NOT NULL,
    type TEXT NOT NULL,
    incident TEXT NOT NULL,
    data BLOB NOT NULL,
    UNIQUE (source, id)
) STRICT;
CREATE INDEX IF NOT EXISTS fact_of_incident ON fact (incident, number);
CREATE INDEX IF NOT EXISTS fact_of_source ON fact (source, number);
CREATE TABLE IF NOT EXISTS outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT NOT NULL,
    grade TEXT NOT NULL,
    event TEXT NOT NULL,
    created_ns INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS climb (
    incident TEXT PRIMARY KEY,
    armed INTEGER NOT NULL,
    grade TEXT NOT NULL,
    began_ns INTEGER NOT NULL,
    step INTEGER NOT NULL,
    calls INTEGER NOT NULL,
    called_ns INTEGER NOT NULL,
    taken INTEGER NOT NULL,
    arrived INTEGER NOT NULL,
    due_ns INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS account_area (
    account TEXT PRIMARY KEY,
    area TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS round_known (
    round TEXT PRIMARY KEY,
    since_ns INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS delivery (
    notifier TEXT PRIMARY KEY,
    cursor INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS gateway (
    id TEXT PRIMARY KEY,
    heard_ns INTEGER NOT NULL,
    heartbeat BLOB
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS account (
    name TEXT PRIMARY KEY,
    role TEXT NOT NULL CHECK (role IN ('staff', 'administrator')),
    hash TEXT NOT NULL,
    created_ns INTEGER NOT NULL,
    disabled INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS token (
    hash BLOB PRIMARY KEY,
    account TEXT NOT NULL REFERENCES account (name) ON DELETE CASCADE,
    created_ns INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS session (
    token_hash BLOB PRIMARY KEY,
    account TEXT NOT NULL REFERENCES account (name) ON DELETE CASCADE,
    form_token TEXT NOT NULL,
    opened_ns INTEGER NOT NULL,
    expires_ns INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
"""


class CasebookFailed(Exception):
    """Nothing was stored. `lasting`: the file can't be trusted any more, start the centre anew."""

    def __init__(self, message: str, *, lasting: bool) -> None:
        self.lasting = lasting
        super().__init__(message)


class Overtaken(Exception):
    """Something new about the incident was stored since the decision was made: decide again."""


@dataclass
class _Job:
    work: Callable[[sqlite3.Connection], Any]
    done: Future[Any] = field(default_factory=Future)


class Casebook:
    """Append facts, keep accounts and sessions. `submit` may be called from any thread.

    Only the writer thread's connection writes and checkpoints (SQLite before 3.51.3 can corrupt a WAL
    when two connections checkpoint at once); readers are read-only.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.on_failure: Callable[[CasebookFailed], None] | None = None  # called by the writer's thread
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._broken: CasebookFailed | None = None
        self._subscribers: list[threading.Event] = []
        self._thread = threading.Thread(target=self._write, name="casebook", daemon=True)

    def open(self) -> None:
        """Create the file if need be and start the writer; sqlite3.Error when it cannot be used."""
        make_folder(self.path.parent)
        fresh = not self.path.exists()
        self._connection = sqlite3.connect(
            self.path, isolation_level=None, check_same_thread=False, timeout=30
        )
        if fresh:
            self.path.chmod(0o600)  # password hashes live here
        prepare(self._connection)
        (verdict,) = self._connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(f"it is damaged ({verdict}); put a backup in its place")
        self._thread.start()

    def close(self) -> None:
        """Everything submitted is stored first."""
        if self._thread.is_alive():
            self._jobs.put(None)
            self._thread.join()
        self._connection.close()

    def submit(self, work: Callable[[sqlite3.Connection], T], lazy: bool = False) -> Future[T]:
        """Run `work` on the writer; done once its transaction is synced, CasebookFailed if it isn't.

        `lazy` is there for those who also know the gateway's storage; here nothing waits for company.
        """
        job = _Job(work)
        self._jobs.put(job)
        return job.done

    def subscribe(self) -> threading.Event:
        """An event that is set whenever something was committed."""
        self._subscribers.append(threading.Event())
        return self._subscribers[-1]

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A read-only connection for the time of a `with`."""
        connection = self.reader()
        try:
            yield connection
        finally:
            connection.close()

    def reader(self) -> sqlite3.Connection:
        """A read-only connection, for whoever keeps one; it belongs to the thread that asked for it."""
        return sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True, timeout=30)

    def _write(self) -> None:
        while (job := self._jobs.get()) is not None:
            group = [job]
            last = False
            while len(group) < GROUP and not last:
                try:
                    following = self._jobs.get_nowait()
                except queue.Empty:
                    break
                if following is None:
                    last = True
                else:
                    group.append(following)
            self._commit(group)
            if last:
                return

    def _commit(self, group: Sequence[_Job]) -> None:
        """One transaction for all jobs of a group; a job that raises is undone alone."""
        outcomes: list[tuple[_Job, Any, BaseException | None]] = []
        try:
            if self._broken:
                raise self._broken
            self._connection.execute("BEGIN IMMEDIATE")
            for job in group:
                self._connection.execute("SAVEPOINT job")
                try:
                    outcomes.append((job, job.work(self._connection), None))
                except (sqlite3.OperationalError, sqlite3.DatabaseError) as error:
                    if not isinstance(error, sqlite3.IntegrityError):
                        raise  # full, read-only, I/O error: of the file, not of this job
                    self._undo(outcomes, job, error)
                except Exception as error:
                    self._undo(outcomes, job, error)
                self._connection.execute("RELEASE job")
            self._connection.execute("COMMIT")
        except (sqlite3.Error, CasebookFailed) as error:
            self._fail(group, error)
            return
        for job, result, problem in outcomes:
            if problem is None:
                job.done.set_result(result)
            else:
                job.done.set_exception(problem)
        for subscriber in self._subscribers:
            subscriber.set()

    def _undo(
        self, outcomes: list[tuple[_Job, Any, BaseException | None]], job: _Job, error: Exception
    ) -> None:
        self._connection.execute("ROLLBACK TO job")
        outcomes.append((job, None, error))

    def _fail(self, group: Sequence[_Job], error: Exception) -> None:
        """Tell every job of the group. After a failed sync a later one that succeeds proves nothing."""
        if not isinstance(error, CasebookFailed):
            with contextlib.suppress(sqlite3.Error):
                self._connection.rollback()
            passing = ("SQLITE_FULL", "SQLITE_BUSY", "SQLITE_LOCKED")
            name = getattr(error, "sqlite_errorname", "")
            failure = CasebookFailed(f"{self.path}: {error}", lasting=not name.startswith(passing))
            if failure.lasting:
                self._broken = failure
            if self.on_failure:
                self.on_failure(failure)
            error = failure
        for job in group:
            job.done.set_exception(error)


def prepare(connection: sqlite3.Connection) -> None:
    """WAL, every commit synced, the tables in place."""
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.executescript(SCHEMA)


COLUMNS = "number, received_ns, source, id, type, incident, data"


def append(connection: sqlite3.Connection, facts: Sequence[Fact]) -> list[Fact]:
    """Store facts, their `number` is given here; those whose source and id are known are left out."""
    (newest,) = connection.execute("SELECT coalesce(max(number), 0) FROM fact").fetchone()
    connection.executemany(
        "INSERT INTO fact (received_ns, source, id, type, incident, data) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (source, id) DO NOTHING",
        [(one.received_ns, one.source, one.id, one.type, one.incident, one.data) for one in facts],
    )
    rows = connection.execute(f"SELECT {COLUMNS} FROM fact WHERE number > ? ORDER BY number", (newest,))
    return [Fact(*row) for row in rows]


def append_unless_overtaken(connection: sqlite3.Connection, fact: Fact, known: int) -> list[Fact]:
    """Store a decision made when `known` was its incident's newest fact; Overtaken if there is a newer."""
    newest = connection.execute(
        "SELECT max(number) FROM fact WHERE incident = ?", (fact.incident,)
    ).fetchone()[0]
    if newest is not None and newest > known:
        repeat = connection.execute("SELECT 1 FROM fact WHERE source = ? AND id = ?", (fact.source, fact.id))
        if repeat.fetchone() is None:
            raise Overtaken(fact.incident)
    return append(connection, [fact])


def heard(connection: sqlite3.Connection, gateway: str, now_ns: int, heartbeat: bytes | None) -> None:
    """A gateway spoke; its heartbeat is kept as the latest."""
    connection.execute(
        "INSERT INTO gateway (id, heard_ns, heartbeat) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
        " heard_ns = excluded.heard_ns, heartbeat = coalesce(excluded.heartbeat, heartbeat)",
        (gateway, now_ns, heartbeat),
    )


def all_facts(connection: sqlite3.Connection) -> Iterator[Fact]:
    """Every fact in the order in which it was stored."""
    for row in connection.execute(
        "SELECT number, received_ns, source, id, type, incident, data FROM fact ORDER BY number"
    ):
        yield Fact(*row)


def audit(connection: sqlite3.Connection, limit: int) -> list[Fact]:
    """What people did, newest first."""
    rows = connection.execute(
        "SELECT number, received_ns, source, id, type, incident, data FROM fact WHERE source = ?"
        " ORDER BY number DESC LIMIT ?",
        (STAFF_SOURCE, limit),
    )
    return [Fact(*row) for row in rows]


def gateways(connection: sqlite3.Connection) -> list[tuple[str, int, bytes | None]]:
    """(site id, when it was last heard, its latest heartbeat's data) of every gateway that ever spoke."""
    return list(connection.execute("SELECT id, heard_ns, heartbeat FROM gateway ORDER BY id"))
