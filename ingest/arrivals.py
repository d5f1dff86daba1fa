"""Arrivals: what has come in and is in no committed tick yet; it waits for its sync, then for its tick."""

import sqlite3
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from config.channels import ChannelTable
from ingest import journal
from ingest.columns import encode
from ingest.inbox import Inbox
from ingest.lanes import Lanes
from ingest.readings import STAMPED, ReadingBatch
from ingest.ticks import tick_of
from ingest.wallclock import WallClock
from ingest.writer import GROUP

IntArray = NDArray[np.int32]
Counts = Counter[tuple[str, str, str]]  # by lane, what, reason
Letter = tuple[str, str, bytes, str, int]  # lane, topic, payload, reason, at_ns

UNUSABLE = "unusable"  # under this name come readings that a source could not hand in
MOST_WAITING = 500_000  # readings in memory when the disk cannot keep up; more are dropped, and counted


@dataclass(frozen=True, slots=True)
class _Delivery:
    readings: ReadingBatch
    stamp_ns: int


@dataclass(frozen=True, slots=True)
class Stored:
    """An arrivals row that no tick holds yet."""

    id: int
    second_ns: int
    readings: ReadingBatch
    count: int  # readings in the row; more than `readings` where channels are no longer listed


class Arrivals:
    """`take` and `note` from any thread; the rest in the storage thread, or before it starts."""

    def __init__(self, channels: ChannelTable, clock: WallClock) -> None:
        self.inbox = Inbox(channels)
        self.open_rows: list[Stored] = []
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting = 0
        self._last_stamp_ns = 0
        self._deliveries: list[_Delivery] = []
        self._lanes = Lanes(channels.ids)
        self._received: Counter[str] = Counter()  # readings handed in, by source
        self._counts: Counts = Counter()  # what is unusual
        self._letters: list[Letter] = []
        self._callbacks: list[Callable[[], None]] = []
        self._durable: list[Callable[[], None]] = []
        self._new_rows: list[Stored] = []
        self._last_id = 0
        self._journal_number = np.zeros(0, dtype=np.int32)

    def recover(
        self,
        connection: sqlite3.Connection,
        upto: int,
        journal_number: IntArray,
        table_number: IntArray,
    ) -> None:
        """Take up the rows behind the last boundary, and teach the inbox what has arrived lately."""
        self._journal_number = journal_number
        self._lanes.recover(connection)
        (newest,) = connection.execute("SELECT max(id) FROM arrivals").fetchone()
        self._last_id = max(newest or 0, upto)
        for readings in journal.recent_arrivals(connection):
            self.inbox.remember(journal.joined_into([readings], table_number))
        for id, _, count, stored in journal.stored_arrivals(connection, upto, self._last_id):
            known = journal.joined_into([] if stored is None else [stored], table_number)
            self.open_rows.append(Stored(id, 0, known, count))

    def take(self, batch: ReadingBatch, on_durable: Callable[[], None] | None, source: str) -> bool:
        """Stamp and keep a delivery; True when the writer should look: at the first, and when many wait."""
        size = len(batch)
        with self._lock:
            self._received[source] += size
            if self._waiting + size > MOST_WAITING:
                for lane, n in self._lanes.of(batch.channel).items():
                    self._gone(self._counts, lane, n, "dropped", "storage too slow")
                return True
            # Strictly rising, a nanosecond a reading: what has no time of its own gets a distinct one.
            stamp_ns = max(self._clock.now_ns(), self._last_stamp_ns + size)
            self._last_stamp_ns = stamp_ns
            self._deliveries.append(_Delivery(batch, stamp_ns))
            if on_durable is not None:
                self._callbacks.append(on_durable)
            first = not self._waiting
            self._waiting += max(size, 1)
            return first or self._waiting >= GROUP

    def drop(self, lane: str, readings: int, reason: str, on_durable: Callable[[], None] | None) -> None:
        """Count readings of a device that came and cannot be kept."""
        with self._lock:
            self._received[UNUSABLE] += readings
            self._gone(self._counts, lane, readings, "dropped", reason)
            self._follow(on_durable)

    def lay_aside(self, letter: Letter, on_durable: Callable[[], None] | None) -> None:
        """Keep a message of which nothing can be used."""
        lane, _, _, reason, _ = letter
        with self._lock:
            self._counts[self._lanes.named(lane), "undecodable", reason] += 1
            self._letters.append(letter)
            self._follow(on_durable)

    def _gone(self, counts: Counts, lane: str, n: int, what: str, reason: str) -> None:
        """Readings that were received and are not kept."""
        name = self._lanes.named(lane)
        counts[name, "received", ""] += n
        counts[name, what, reason] += n

    def _follow(self, on_durable: Callable[[], None] | None) -> None:
        if on_durable is not None:
            self._callbacks.append(on_durable)
        self._waiting += 1

    def waiting(self) -> int:
        return self._waiting

    def write(self, connection: sqlite3.Connection) -> None:
        with self._lock:
            deliveries, self._deliveries = self._deliveries, []
            received, self._received = self._received, Counter()
            counts, self._counts = self._counts, Counter()
            letters, self._letters = self._letters, []
            self._durable, self._callbacks = self._callbacks, []
            self._waiting = 0
        self._new_rows = self._write_readings(connection, deliveries, counts) if deliveries else []
        if letters:
            connection.executemany(journal.DEAD_LETTER, letters)
        for (lane, what, reason), n in counts.items():
            journal.count(connection, "lane", lane, what, n, reason)
        for source, n in received.items():
            journal.count(connection, "inbox", source, "received", n)

    def written(self) -> None:
        self.open_rows += self._new_rows
        self._new_rows = []

    def acknowledge(self) -> None:
        callbacks, self._durable = self._durable, []
        for callback in callbacks:
            callback()

    def cut(self, now_ns: int, whatever: bool) -> tuple[Stored, ...]:
        """Give up the rows of a tick: ids and stamps rise together, so they are the first ones."""
        size = len(self.open_rows)
        while not whatever and size and self.open_rows[size - 1].second_ns > now_ns:
            size -= 1
        rows, self.open_rows = tuple(self.open_rows[:size]), self.open_rows[size:]
        with self._lock:  # what is stamped from here on lies behind the tick
            if whatever:
                self._restamp(now_ns)
            else:
                self._last_stamp_ns = max(self._last_stamp_ns, now_ns)
        return rows

    def _restamp(self, now_ns: int) -> None:
        """Stream time has jumped: what came in a moment ago belongs to the new reckoning."""
        self._last_stamp_ns = now_ns
        for place, delivery in enumerate(self._deliveries):
            self._last_stamp_ns += max(len(delivery.readings), 1)
            self._deliveries[place] = replace(delivery, stamp_ns=self._last_stamp_ns)

    def _write_readings(
        self,
        connection: sqlite3.Connection,
        deliveries: list[_Delivery],
        counts: Counts,
    ) -> list[Stored]:
        """Admit a group and write it, one row a second of arrival; adds to `counts` what was not kept."""
        group = ReadingBatch.joined([_with_times(delivery) for delivery in deliveries])
        admitted = self.inbox.admit(group)
        ends = np.cumsum([len(delivery.readings) for delivery in deliveries])
        kept = np.concatenate(([0], np.cumsum(admitted.kept)))[ends] if admitted.duplicates else ends
        if admitted.duplicates:
            for lane, n in self._lanes.of(group.channel[~admitted.kept]).items():
                self._gone(counts, lane, n, "duplicate", "")
        rows = []
        seconds = [tick_of(delivery.stamp_ns) for delivery in deliveries]
        start = 0
        for place, end in enumerate(kept.tolist()):
            last_of_second = place + 1 == len(seconds) or seconds[place + 1] != seconds[place]
            if last_of_second and end > start:
                whole = end - start == len(admitted.readings)
                readings = admitted.readings if whole else admitted.readings.where(np.arange(start, end))
                rows.append(self._write_row(connection, seconds[place], readings))
                start = end
        return rows

    def _write_row(self, connection: sqlite3.Connection, second_ns: int, readings: ReadingBatch) -> Stored:
        self._last_id += 1
        blob = encode(readings, self._journal_number)
        connection.execute(
            "INSERT INTO arrivals VALUES (?, ?, ?, ?)", (self._last_id, second_ns, len(readings), blob)
        )
        return Stored(self._last_id, second_ns, readings, len(readings))


def _with_times(delivery: _Delivery) -> ReadingBatch:
    """The readings, with the time of their arrival where they carry none."""
    readings, size = delivery.readings, len(delivery.readings)
    bare = (readings.flags & STAMPED) == 0
    if not bare.any():
        return readings
    arrival = delivery.stamp_ns - np.arange(size - 1, -1, -1)
    return replace(readings, time_ns=np.where(bare, arrival, readings.time_ns))
