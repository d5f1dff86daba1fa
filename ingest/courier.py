"""Courier: carries what was committed to a far place, keeps trying, and never forgets how far it came.

Each courier has its own place in the journal and its own thread, reads through its own read-only
connection, and hands its progress back to the storage thread together with the counts of what became of
the readings. Carrying twice does no harm, so that progress may lag behind the deed but never run ahead.
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
from ingest import journal, progress
from ingest.progress import Gap, Place, Progress
from ingest.storage import Storage, StorageFailed
from ingest.writer import is_damage

__all__ = ["Carrier", "Courier", "Gap", "Place", "Trip", "retire"]

log = logging.getLogger(__name__)

FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 60.0
REFUSED_WAIT_S = 30.0  # a wrong token or bucket: someone has to change a setting
LONGEST_WISH_S = 600.0  # a receiver's Retry-After is believed up to here
LOOK_S = 5.0  # between looks for work when nobody wakes us

BACKLOG_TICKS = 300  # so many ticks behind, or
BACKLOG_READINGS = 20_000  # so many readings, and live ones go first
FRESH_TICKS = 2  # where live begins
MOST_SPANS = 1_000  # carried ahead of the cursor; a target that comes and goes makes a new one each time


@dataclass(frozen=True)
class Trip:
    """What became of the readings up to a place; `letters` are (topic, payload, reason) to be laid aside."""

    upto: Place
    stored: int = 0
    dead: Counter[str] = field(default_factory=Counter)
    withheld: Counter[str] = field(default_factory=Counter)
    letters: list[tuple[str, bytes, str]] = field(default_factory=list)


class Carrier(Protocol):
    """The far side of one target: `carry` takes the first ticks of a gap there, or raises DeliveryFailed.

    It may be asked to carry the same ticks again, and must then not double them. None: nothing to do yet.
    `stop` is set when we are to end; what takes long looks at it.
    """

    name: str
    fresh_first: bool  # the order of ticks means nothing there: live readings may go before a backlog
    stop_s: float  # how long a stop may take

    def carry(self, connection: sqlite3.Connection, gap: Gap, stop: threading.Event) -> Trip | None: ...


class Breaker:
    """Keeps us from knocking all the time where nobody opens: the pauses grow with each failure in a row."""

    def __init__(self) -> None:
        self._wait_s = FIRST_WAIT_S

    def pause_s(self, failure: DeliveryFailed) -> float:
        """How long to leave it alone after one more failure."""
        least_s = (REFUSED_WAIT_S if failure.permanent else self._wait_s) * random.uniform(0.7, 1.3)
        self._wait_s = min(2 * self._wait_s, LONGEST_WAIT_S)
        return max(min(failure.retry_after_s or 0.0, LONGEST_WISH_S), least_s)

    def close(self) -> None:
        """It works again."""
        self._wait_s = FIRST_WAIT_S


class Courier:
    """A carrier's thread. `trouble` says why nothing moves at present, "" where all is well."""

    def __init__(self, storage: Storage, carrier: Carrier) -> None:
        self.name = carrier.name
        self.trouble = ""
        self._storage = storage
        self._carrier = carrier
        self._breaker = Breaker()
        self._news = storage.subscribe()
        self._stop = threading.Event()
        self._left_behind = False
        self._lock = threading.Lock()  # the storage thread corrects our progress
        self._moved: Future[Progress] | None = None
        self._thread = threading.Thread(target=self._run, name=f"courier {carrier.name}", daemon=True)

    def start(self) -> None:
        name = self.name
        self._progress = self._storage.submit(lambda connection: progress.register(connection, name)).result()
        self._thread.start()

    def stop(self) -> None:
        """Carry the newest readings if that works at once, then end; the rest waits in the journal.

        A target that does not answer is not waited for: what it was given is carried again.
        """
        self.ask_to_stop()
        if self._thread.ident is None:  # the start came to nothing
            return
        self._thread.join(self._carrier.stop_s)
        if self._thread.is_alive():
            self._left_behind = True
            log.info("%s does not answer; what it was given is carried again at the next start", self.name)

    def ask_to_stop(self) -> None:
        """Begin to end, without waiting for it."""
        self._stop.set()
        self._news.set()

    def _run(self) -> None:
        try:
            with contextlib.closing(self._storage.reader()) as connection:
                while not self._stop.is_set():
                    self._news.clear()
                    if not self._turn(connection):
                        self._news.wait(LOOK_S)
                if not self.trouble:
                    with contextlib.suppress(sqlite3.OperationalError):
                        self._last_turns(connection)
            if self._moved is not None:
                self._storage.submit(lambda connection: None).result()  # takes the lazy ones along
                self._moved.result()
        except StorageFailed as error:
            self.trouble = str(error)
        except Exception:
            if not self._left_behind:  # else there is nothing left to hand anything back to
                self.trouble = "stopped by a bug; see the log"
                log.exception("courier %s", self.name)

    def _turn(self, connection: sqlite3.Connection) -> bool:
        """Carry something, or leave a target alone that failed; False when there is nothing to do."""
        try:
            return any(self._carry(connection, gap) for gap in self._gaps(connection))
        except DeliveryFailed as failure:
            self._leave_alone(failure)
        except sqlite3.DatabaseError as error:
            with journal.watched(connection):
                if is_damage(error) or not isinstance(error, sqlite3.OperationalError):
                    raise
            # else such as a disk that cannot be read at present
            self._leave_alone(DeliveryFailed(f"the journal cannot be read: {error}"))
        return True

    def _leave_alone(self, failure: DeliveryFailed) -> None:
        self._tell(failure)
        self._stop.wait(self._breaker.pause_s(failure))

    def _last_turns(self, connection: sqlite3.Connection) -> None:
        """What has just arrived goes along, as far as half of the time reaches."""
        end_s = time.monotonic() + self._carrier.stop_s / 2
        try:
            while time.monotonic() < end_s and self._carry(connection, self._gaps(connection)[0]):
                pass
        except DeliveryFailed as failure:
            self._tell(failure)

    def _gaps(self, connection: sqlite3.Connection) -> list[Gap]:
        """What is to be carried, in the order of its turn: live readings, then the oldest."""
        with self._lock:
            gaps = self._progress.gaps()
        if not self._carrier.fresh_first:
            return gaps[:1]
        live = gaps.pop()
        start = None if len(gaps) >= MOST_SPANS else _live_start(connection, live.after)
        return [live, *gaps] if start is None else [Gap(start), *gaps, Gap(live.after, start)]

    def _carry(self, connection: sqlite3.Connection, gap: Gap) -> bool:
        """One trip; False when there is nothing in the gap."""
        trip = self._carrier.carry(connection, gap, self._stop)
        if trip is None:
            return False
        self._breaker.close()
        if self.trouble:
            log.warning("%s takes readings again", self.name)
            self.trouble = ""
        self._move(gap.after, trip)
        return True

    def _tell(self, failure: DeliveryFailed) -> None:
        """Once when it is lost, and again when the reason changes."""
        if str(failure) != self.trouble:
            log.error("%s does not take readings, they wait in the journal: %s", self.name, failure)
            self.trouble = str(failure)

    def _move(self, after: Place, trip: Trip) -> None:
        """Hand our progress back; it rides with the next sync, since carrying twice does no harm."""
        if self._moved is not None and self._moved.done():
            self._moved.result()
        with self._lock:
            self._progress = self._progress.carried(after, trip.upto) or self._progress
        name = self.name

        def write(connection: sqlite3.Connection) -> Progress:
            fits, now = progress.advance(connection, name, after, trip.upto)
            if fits:
                _count(connection, name, trip)
            else:  # pruning was there before: what we carried is not counted, and what is left carried again
                with self._lock:
                    self._progress = now
            return now

        self._moved = self._storage.submit(write, lazy=True)


def retire(storage: Storage, names: Collection[str]) -> None:
    """Forget the couriers that the settings no longer name, so that the journal does not wait for them."""

    def work(connection: sqlite3.Connection) -> None:
        known = [name for (name,) in connection.execute("SELECT courier FROM cursors")]
        for name in set(known) - set(names):
            progress.unregister(connection, name)

    storage.submit(work).result()


def _live_start(connection: sqlite3.Connection, after: Place) -> Place | None:
    """Where live readings begin, when so much lies behind a place that they should not wait for it."""
    ticks, readings = connection.execute(
        "SELECT count(*), coalesce(sum(readings), 0) FROM"
        " (SELECT readings FROM ticks WHERE id > ? ORDER BY id LIMIT ?)",
        (after.tick, BACKLOG_TICKS),
    ).fetchone()
    if ticks < BACKLOG_TICKS and readings < BACKLOG_READINGS:
        return None
    row = connection.execute(
        "SELECT id, upto_arrival FROM ticks WHERE id > ? ORDER BY id DESC LIMIT 1 OFFSET ?",
        (after.tick, FRESH_TICKS),
    ).fetchone()
    return None if row is None else Place(*row)


def _count(connection: sqlite3.Connection, name: str, trip: Trip) -> None:
    """In the storage thread: what became of a trip's readings."""
    journal.count(connection, "courier", name, "stored", trip.stored)
    for what, counts in (("dead-lettered", trip.dead), ("withheld", trip.withheld)):
        for reason, n in counts.items():
            journal.count(connection, "courier", name, what, n, reason)
    for topic, payload, reason in trip.letters:
        connection.execute(journal.DEAD_LETTER, (name, topic, payload[: journal.PAYLOAD_KEPT], reason, 0))
