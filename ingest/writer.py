"""Writer: the storage thread; it serves sockets and writes all that waits in one synced transaction.

A disk that is full or fails is waited out: what has come in stays in memory, unacknowledged, no socket is
read, and all of it is written as soon as that works again. After a failed write or sync nothing that it
left in the WAL is believed: what was committed before is copied into the main file with a sync of its own,
and the WAL begins anew. A second sync of the same bytes that succeeds would prove nothing.
"""

import contextlib
import logging
import math
import os
import selectors
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

log = logging.getLogger(__name__)

GROUP = 1_000  # readings that are worth a sync by themselves
LATEST_S = 1.0  # what waits is synced after this time, even when nobody closes a tick
RETRY_S = 1.0  # between tries while the disk takes nothing
WINDOW_FULL = 0.75  # of a broker's window: worth a sync, and early enough that it need not stand still

# SQLite's result codes (sqlite.org/rescode.html), the low byte: what may pass by itself …
_SPACE = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM}
# … or with a disk that works again, but leaves a WAL that may not hold what it shows …
_DISK = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}
# … and what only a new file can mend.
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_GARBLED = ("Could not decode to UTF-8", "unsupported file format")  # SQLite has no code of its own for these


class StorageFailed(Exception):
    """The journal cannot be written: nothing is acknowledged any more; the gateway must start again."""


def primary_code(error: BaseException) -> int:
    """SQLite's result code without its details; 0 for what is no error of SQLite."""
    return int(getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF


def is_damage(error: BaseException) -> bool:
    """The file is not what was written into it."""
    garbled = isinstance(error, UnicodeDecodeError) or any(words in str(error) for words in _GARBLED)
    return garbled or primary_code(error) in _DAMAGE


class Pollable(Protocol):
    """A source whose socket lives in the storage thread."""

    def fileno(self) -> int: ...  # -1 while closed
    def wants_write(self) -> bool: ...
    def readable(self) -> None: ...
    def writable(self) -> None: ...
    def tick(self, monotonic_s: float) -> float: ...  # housekeeping, reconnecting; when to be called again
    def waiting(self) -> int: ...  # messages handed over and not yet acknowledged
    def window(self) -> int: ...  # how many the broker sends before it waits
    def patience_s(self) -> float: ...  # monotonic time from which it seems to wait for us; inf = it does not


class Arrivals(Protocol):
    """What has arrived and is not yet written; it belongs to `storage.py`."""

    def waiting(self) -> int: ...  # readings and messages
    def write(self, connection: sqlite3.Connection) -> None: ...  # in the transaction; again if that fails
    def written(self) -> None: ...  # after its sync
    def acknowledge(self) -> None: ...  # last of all: tell the senders


@dataclass(slots=True)
class Work:
    """Something to be done in the next transaction, and what follows its sync."""

    write: Callable[[sqlite3.Connection], Any]
    after: Callable[[Any], Any] | None = None
    lazy: bool = False  # may wait for company, about a second
    future: "Future[Any]" = field(default_factory=Future)

    def concluded(self, result: Any) -> Any:
        """The answer, once the sync is over."""
        return result if self.after is None else self.after(result)


class Writer:
    """Owns the writing connection from `start` on.

    `trouble` says why nothing can be written at present, "" where all is well. `failure` is what ended the
    writer: a damaged file, a bug, or a disk that took nothing when it was told to `hurry`. `damaged` is
    told of a damaged file.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        arrivals: Arrivals,
        damaged: Callable[[BaseException], None] = lambda error: None,
    ) -> None:
        self.failure: BaseException | None = None
        self.trouble = ""
        self._connection = connection
        self._arrivals = arrivals
        self._damaged = damaged
        self._patient = True
        self._next_try_s = 0.0
        self._doubtful = False  # the WAL may hold what was never synced
        self._lock = threading.Lock()
        self._works: list[Work] = []
        self._asked: list[tuple[Callable[[], Any], Future[Any]]] = []
        self._urgent = False
        self._waiting_since_s: float | None = None
        self._pollables: list[Pollable] = []
        self._registered: dict[int, tuple[int, int]] = {}  # a pollable's place -> (descriptor, events)
        self._next_ticks: dict[int, float] = {}
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="storage", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def hurry(self) -> None:
        """From now on a disk that takes nothing is a failure, and not waited for. From any thread."""
        self._patient = False
        self._next_try_s = 0.0
        with contextlib.suppress(OSError):  # closed already
            self.wake()

    def stop(self) -> None:
        """Write what waits, then end."""
        self._patient = False
        self._stopping = True
        if self._thread.is_alive():
            self.wake()
            self._thread.join()
        elif self.failure is None:
            self._sync()
        self._selector.close()
        os.close(self._wake_read)
        os.close(self._wake_write)
        self._connection.close()

    def wake(self) -> None:
        """End the loop's sleep, from any thread."""
        with contextlib.suppress(BlockingIOError):  # full: it is awake already
            os.write(self._wake_write, b"\0")

    def host(self, pollable: Pollable) -> None:
        self._pollables.append(pollable)
        self.wake()

    def do(self, work: Work) -> "Future[Any]":
        """Queue work from any thread; before `start` and in the storage thread itself it is done at once."""
        with self._lock:
            if self.failure is not None:
                raise StorageFailed(str(self.failure)) from self.failure
            self._works.append(work)
            self._urgent = self._urgent or not work.lazy
        if not self._thread.is_alive() or threading.current_thread() is self._thread:
            self._sync()
        else:
            self.wake()
        return work.future

    def ask(self, question: Callable[[], Any]) -> "Future[Any]":
        """Have something done in the storage thread, between transactions; nothing is synced for it."""
        answer: Future[Any] = Future()
        if not self._thread.is_alive() or self.here():
            _answer(question, answer)
            return answer
        with self._lock:
            if self.failure is not None:
                raise StorageFailed(str(self.failure)) from self.failure
            self._asked.append((question, answer))
        self.wake()
        return answer

    @property
    def is_running(self) -> bool:
        return self._thread.is_alive()

    def here(self) -> bool:
        """Whether the caller runs in the storage thread."""
        return threading.current_thread() is self._thread

    def _run(self) -> None:
        try:
            while not self._stopping and self.failure is None:
                self._turn()
            self._answer_all()
            if self.failure is None:
                self._sync()
        except BaseException as error:
            self._fail(error)

    def _turn(self) -> None:
        """Wait for sockets and work, serve the sockets, write if it is time to."""
        now_s = time.monotonic()
        wake_s = self._serve_clocks(now_s)
        if self._arrivals.waiting() or self._works:
            self._waiting_since_s = self._waiting_since_s or now_s
            wake_s = min(wake_s, self._waiting_since_s + LATEST_S, self._patience_s())
        eager = bool(self._asked) or self._urgent or self._a_window_is_nearly_full()
        if self.trouble:
            eager, wake_s = bool(self._asked), min(wake_s, self._next_try_s)
        dry = True
        for key, events in self._selector.select(0.0 if eager else max(0.0, wake_s - now_s)):
            if key.data is None:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wake_read, 4096)
                continue
            if events & selectors.EVENT_READ:
                dry = False
                key.data.readable()
            if events & selectors.EVENT_WRITE and key.data.fileno() == key.fd:
                key.data.writable()
        self._answer_all()
        if self._is_time(dry):
            self._sync()

    def _answer_all(self) -> None:
        with self._lock:
            asked, self._asked = self._asked, []
        for question, answer in asked:
            _answer(question, answer)

    def _is_time(self, dry: bool) -> bool:
        if self.trouble:
            return time.monotonic() >= self._next_try_s
        since_s = self._waiting_since_s
        return (
            self._urgent
            or self._arrivals.waiting() >= GROUP
            or (dry and (self._a_window_is_nearly_full() or time.monotonic() >= self._patience_s()))
            or (since_s is not None and time.monotonic() - since_s >= LATEST_S)
        )

    def _a_window_is_nearly_full(self) -> bool:
        return any(p.waiting() >= WINDOW_FULL * p.window() for p in self._pollables if p.waiting())

    def _patience_s(self) -> float:
        return min((p.patience_s() for p in self._pollables if p.waiting()), default=math.inf)

    def _serve_clocks(self, now_s: float) -> float:
        """Call the pollables whose time has come, register their sockets; when to look again."""
        wake_s = now_s + 60.0
        for place, pollable in enumerate(self._pollables):
            if now_s >= self._next_ticks.get(place, 0.0):
                self._next_ticks[place] = pollable.tick(now_s)
            wake_s = min(wake_s, self._next_ticks[place])
            self._register(place, pollable)
        return wake_s

    def _register(self, place: int, pollable: Pollable) -> None:
        """Follow a socket that is opened, closed, replaced, or has something to send."""
        descriptor = -1 if self.trouble else pollable.fileno()  # what cannot be kept is not read
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if pollable.wants_write() else 0)
        wanted = (descriptor, events if descriptor >= 0 else 0)
        known = self._registered.get(place, (-1, 0))
        if wanted == known:
            return
        if known[0] >= 0:
            with contextlib.suppress(KeyError, ValueError, OSError):
                self._selector.unregister(known[0])
        if descriptor >= 0:
            self._selector.register(descriptor, events, pollable)
        self._registered[place] = wanted

    def _sync(self) -> None:
        """Write arrivals and works in one transaction; answer and acknowledge only after its sync."""
        with self._lock:
            works, self._works, self._urgent = self._works, [], False
        connection = self._connection
        results: list[tuple[Work, Any]] = []
        try:
            if self._doubtful:
                self._begin_anew()
            connection.execute("BEGIN IMMEDIATE")
            self._arrivals.write(connection)
            results = [(work, result) for work in works for result in self._done(work)]
            connection.execute("COMMIT")
        except BaseException as error:
            with self._lock:
                self._works = [*(work for work in works if not work.future.done()), *self._works]
            self._suffer(error)
            return
        self._waiting_since_s = None
        self._arrivals.written()
        if self.trouble:
            log.warning("the journal is written again; what had come in meanwhile is in it")
            self.trouble = ""
        for work, result in results:
            _answer(partial(work.concluded, result), work.future)
        self._arrivals.acknowledge()

    def _done(self, work: Work) -> Iterator[Any]:
        """Do a work in the transaction; its result, or nothing where it fails by itself."""
        self._connection.execute("SAVEPOINT work")
        try:
            result = work.write(self._connection)
        except Exception as error:
            # SQLite gave the whole transaction up, or the disk fails: not this work's fault
            if not self._connection.in_transaction or primary_code(error) in _SPACE | _DISK | _DAMAGE:
                raise
            self._connection.execute("ROLLBACK TO work")
            work.future.set_exception(error)
        else:
            yield result
        self._connection.execute("RELEASE work")

    def _begin_anew(self) -> None:
        """After a failed write: what was committed goes into the main file, synced, and the WAL starts over.

        Only frames whose own sync succeeded are copied: SQLite shows no other ones to this process.
        """
        (busy, _, _) = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise sqlite3.OperationalError("a reader holds the journal; trying again")
        self._doubtful = False

    def _suffer(self, error: BaseException) -> None:
        """Wait out what may pass, with everything kept; anything else ends the writer."""
        with contextlib.suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        code = primary_code(error)
        passes = code in _SPACE | _DISK or (self._doubtful and isinstance(error, sqlite3.OperationalError))
        self._doubtful = self._doubtful or code in _DISK
        if is_damage(error):
            self._damaged(error)
        if not passes or not self._patient or not self.here():
            self._fail(error)
            return
        self._next_try_s = time.monotonic() + RETRY_S
        trouble = f"the journal cannot be written: {error}"
        if trouble != self.trouble:
            log.error(
                "%s; nothing is acknowledged meanwhile. Make room on the disk, or see to it and its rights",
                trouble,
            )
            self.trouble = trouble

    def _fail(self, error: BaseException) -> None:
        """Nobody is acknowledged any more."""
        with self._lock:
            self.failure = self.failure or error
            works, self._works = self._works, []
            asked, self._asked = self._asked, []
        with contextlib.suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        for future in [*(work.future for work in works), *(answer for _, answer in asked)]:
            if not future.done():
                refusal = StorageFailed(f"the journal cannot be written: {error}")
                refusal.__cause__ = error
                future.set_exception(refusal)


def _answer(question: Callable[[], Any], answer: "Future[Any]") -> None:
    try:
        answer.set_result(question())
    except Exception as error:
        answer.set_exception(error)
