"""Writer: the storage thread; it serves sockets and writes all that waits in one synced transaction."""

import contextlib
import os
import selectors
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol

GROUP = 1_000  # readings that are worth a sync by themselves
LATEST_S = 1.0  # what waits is synced after this time, even when nobody closes a tick


class StorageFailed(Exception):
    """The journal could not be written: nothing is acknowledged any more; the gateway must start again."""


class Pollable(Protocol):
    """A source whose socket lives in the storage thread."""

    def fileno(self) -> int: ...  # -1 while closed
    def wants_write(self) -> bool: ...
    def readable(self) -> None: ...
    def writable(self) -> None: ...
    def tick(self, monotonic_s: float) -> float: ...  # housekeeping, reconnecting; when to be called again
    def waiting(self) -> int: ...  # messages handed over and not yet acknowledged
    def window(self) -> int: ...  # how many the broker sends before it waits


class Arrivals(Protocol):
    """What has arrived and is not yet written; it belongs to `storage.py`."""

    def waiting(self) -> int: ...  # readings and messages
    def write(self, connection: sqlite3.Connection) -> None: ...  # inside the transaction
    def written(self) -> None: ...  # after its sync
    def acknowledge(self) -> None: ...  # last of all: tell the senders


@dataclass(slots=True)
class Work:
    """Something to be done in the next transaction, and what follows its sync."""

    write: Callable[[sqlite3.Connection], Any]
    after: Callable[[Any], Any] | None = None
    lazy: bool = False  # may wait for company, about a second
    future: "Future[Any]" = field(default_factory=Future)


class Writer:
    """Owns the writing connection from `start` on. Any failed write or sync ends it: see `failure`."""

    def __init__(self, connection: sqlite3.Connection, arrivals: Arrivals) -> None:
        self.failure: BaseException | None = None
        self._connection = connection
        self._arrivals = arrivals
        self._lock = threading.Lock()
        self._works: list[Work] = []
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

    def stop(self) -> None:
        """Write what waits, then end."""
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

    @property
    def is_running(self) -> bool:
        return self._thread.is_alive()

    def here(self) -> bool:
        """Whether the caller runs in the storage thread."""
        return threading.current_thread() is self._thread

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._turn()
            self._sync()
        except BaseException as error:
            self._fail(error)

    def _turn(self) -> None:
        """Wait for sockets and work, serve the sockets, write if it is time to."""
        now_s = time.monotonic()
        wake_s = self._serve_clocks(now_s)
        if self._arrivals.waiting() or self._works:
            self._waiting_since_s = self._waiting_since_s or now_s
            wake_s = min(wake_s, self._waiting_since_s + LATEST_S)
        eager = self._urgent or self._half_a_window_waits()
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
        if self._is_time(dry):
            self._sync()

    def _is_time(self, dry: bool) -> bool:
        since_s = self._waiting_since_s
        return (
            self._urgent
            or self._arrivals.waiting() >= GROUP
            or (dry and self._half_a_window_waits())
            or (since_s is not None and time.monotonic() - since_s >= LATEST_S)
        )

    def _half_a_window_waits(self) -> bool:
        return any(p.waiting() * 2 >= p.window() for p in self._pollables if p.waiting())

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
        descriptor = pollable.fileno()
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
        self._waiting_since_s = None
        connection = self._connection
        results: list[tuple[Work, Any]] = []
        try:
            connection.execute("BEGIN IMMEDIATE")
            self._arrivals.write(connection)
            for work in works:
                try:
                    connection.execute("SAVEPOINT work")
                    results.append((work, work.write(connection)))
                except Exception as error:
                    if (
                        not connection.in_transaction
                    ):  # SQLite gave the whole transaction up: disk full, I/O error
                        raise
                    connection.execute("ROLLBACK TO work")
                    work.future.set_exception(error)
                connection.execute("RELEASE work")
            connection.execute("COMMIT")
        except BaseException as error:
            with self._lock:
                self._works = [*(work for work in works if not work.future.done()), *self._works]
            self._fail(error)
            if not self.here():
                return
            raise
        self._arrivals.written()
        for work, result in results:
            try:
                work.future.set_result(result if work.after is None else work.after(result))
            except Exception as error:
                work.future.set_exception(error)
        self._arrivals.acknowledge()

    def _fail(self, error: BaseException) -> None:
        """A failed sync is fatal, for a second that succeeds proves nothing: nobody is acknowledged now."""
        with self._lock:
            self.failure = self.failure or error
            works, self._works = self._works, []
        with contextlib.suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        for work in works:
            if not work.future.done():
                refusal = StorageFailed(f"the journal cannot be written: {error}")
                refusal.__cause__ = error
                work.future.set_exception(refusal)
