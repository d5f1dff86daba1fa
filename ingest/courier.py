"""Courier: carries what was committed to a far place, keeps trying, and never forgets how far it came.

Each courier has its own cursor and thread, reads through its own read-only connection, and hands its
cursor back to the storage thread together with the counts of what became of the readings.
"""

import contextlib
import logging
import random
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Collection
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol

from config.errors import DeliveryFailed
from ingest import journal
from ingest.storage import Storage, StorageFailed

log = logging.getLogger(__name__)

FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 60.0
REFUSED_WAIT_S = 30.0  # a wrong token or bucket: someone has to change a setting
LONGEST_WISH_S = 600.0  # a receiver's Retry-After is believed up to here
STOP_S = 10.0  # what may still be carried at a stop
LOOK_S = 5.0  # between looks for work when nobody wakes us


@dataclass(frozen=True, slots=True)
class Place:
    """How far a courier came: the last tick carried, and the last arrival in it."""

    tick: int
    arrival: int


@dataclass(frozen=True)
class Trip:
    """What became of the readings up to a place; `letters` are (topic, payload, reason) to be laid aside."""

    upto: Place
    stored: int = 0
    dead: Counter[str] = field(default_factory=Counter)
    withheld: Counter[str] = field(default_factory=Counter)
    letters: list[tuple[str, bytes, str]] = field(default_factory=list)


class Carrier(Protocol):
    """The far side: `carry` takes the next ticks behind a place there, or raises DeliveryFailed.

    It may be asked to carry the same ticks again, and must then not double them. None: nothing to do yet.
    """

    name: str

    def carry(self, connection: sqlite3.Connection, after: Place, stopping: bool) -> Trip | None: ...


class Courier:
    """A carrier's thread. `trouble` says why nothing moves at present, "" where all is well."""

    def __init__(self, storage: Storage, carrier: Carrier) -> None:
        self.name = carrier.name
        self.trouble = ""
        self._storage = storage
        self._carrier = carrier
        self._news = storage.subscribe()
        self._stop = threading.Event()
        self._lock = threading.Lock()  # the storage thread corrects our place
        self._moved: Future[Place] | None = None
        self._thread = threading.Thread(target=self._run, name=f"courier {carrier.name}", daemon=True)

    def start(self) -> None:
        self._place = self._storage.submit(lambda connection: _registered(connection, self.name)).result()
        self._thread.start()

    def stop(self) -> None:
        """Carry on for at most 10 s while it works; what was not carried waits in the journal."""
        self._stop.set()
        self._news.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            with contextlib.closing(self._storage.reader()) as connection:
                while not self._stop.is_set():
                    self._news.clear()
                    if not self._trip(connection):
                        self._news.wait(LOOK_S)
                end_s = time.monotonic() + STOP_S
                while self._trip(connection) and time.monotonic() < end_s:
                    pass
            if self._moved is not None:
                self._storage.submit(lambda connection: None).result()  # takes the lazy ones along
                self._moved.result()
        except StorageFailed as error:
            self.trouble = str(error)
        except Exception:
            self.trouble = "stopped by a bug; see the log"
            log.exception("courier %s", self.name)

    def _trip(self, connection: sqlite3.Connection) -> bool:
        """Carry the next ticks, trying until it works or we are stopped; False when there were none."""
        wait_s = FIRST_WAIT_S
        while True:
            start = self._place
            try:
                trip = self._carrier.carry(connection, start, self._stop.is_set())
                break
            except DeliveryFailed as failure:
                self._tell(failure)
                wished_s = min(failure.retry_after_s or 0.0, LONGEST_WISH_S)
                least_s = REFUSED_WAIT_S if failure.permanent else wait_s
                if self._stop.wait(max(wished_s, least_s * random.uniform(0.7, 1.3))):
                    return False
                wait_s = min(2 * wait_s, LONGEST_WAIT_S)
        if self.trouble:
            log.warning("%s takes readings again", self.name)
            self.trouble = ""
        if trip is None:
            return False
        self._move(start, trip)
        return True

    def _tell(self, failure: DeliveryFailed) -> None:
        """Once when it is lost, and again when the reason changes."""
        if str(failure) != self.trouble:
            log.error("%s does not take readings, they wait in the journal: %s", self.name, failure)
            self.trouble = str(failure)

    def _move(self, start: Place, trip: Trip) -> None:
        """Hand the cursor back; it rides with the next sync, since carrying twice does no harm."""
        if self._moved is not None and self._moved.done():
            self._moved.result()
        with self._lock:
            if self._place == start:
                self._place = trip.upto
        name = self.name

        def settle(moved: "Future[Place]") -> None:
            # Pruning may have moved the cursor meanwhile: what we carried is not counted, and carried again.
            if moved.exception() is None and moved.result() != trip.upto:
                with self._lock:
                    self._place = moved.result()

        self._moved = self._storage.submit(
            lambda connection: _advance(connection, name, start, trip), lazy=True
        )
        self._moved.add_done_callback(settle)


def retire(storage: Storage, names: Collection[str]) -> None:
    """Forget the couriers that the settings no longer name, so that the journal does not wait for them."""

    def work(connection: sqlite3.Connection) -> None:
        known = [name for (name,) in connection.execute("SELECT courier FROM cursors")]
        for name in set(known) - set(names):
            connection.execute("DELETE FROM cursors WHERE courier = ?", (name,))
            connection.execute("DELETE FROM counters WHERE owner = 'courier' AND name = ?", (name,))

    storage.submit(work).result()


def _registered(connection: sqlite3.Connection, name: str) -> Place:
    """Where a courier stands; a new one starts at the oldest reading kept, and the rest counts as pruned."""
    row = connection.execute("SELECT tick, arrival FROM cursors WHERE courier = ?", (name,)).fetchone()
    if row is not None:
        return Place(*row)
    (removed,) = connection.execute(
        "SELECT coalesce(sum(n), 0) FROM counters WHERE owner = 'journal' AND what = 'removed'"
    ).fetchone()
    journal.count(connection, "courier", name, "pruned", removed)
    connection.execute("INSERT INTO cursors VALUES (?, 0, 0)", (name,))
    return Place(0, 0)


def _advance(connection: sqlite3.Connection, name: str, start: Place, trip: Trip) -> Place:
    """In the storage thread: count a trip and move the cursor; where it stands now."""
    tick, arrival = connection.execute(
        "SELECT tick, arrival FROM cursors WHERE courier = ?", (name,)
    ).fetchone()
    if (tick, arrival) != (start.tick, start.arrival):
        return Place(tick, arrival)
    journal.count(connection, "courier", name, "stored", trip.stored)
    for what, counts in (("dead-lettered", trip.dead), ("withheld", trip.withheld)):
        for reason, n in counts.items():
            journal.count(connection, "courier", name, what, n, reason)
    for topic, payload, reason in trip.letters:
        connection.execute(journal.DEAD_LETTER, (name, topic, payload[: journal.PAYLOAD_KEPT], reason, 0))
    connection.execute(
        "UPDATE cursors SET tick = ?, arrival = ? WHERE courier = ?",
        (trip.upto.tick, trip.upto.arrival, name),
    )
    return trip.upto
