"""Arrivals: what has come in and is in no committed tick yet; it waits for its sync, and for its tick.

It is admitted once, in order of arrival, and keeps its id and place from then on: a tick may take it before
its sync, since the tick's own commit brings it along, and a write that failed is simply done again.
"""

import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from config.channels import ChannelTable
from ingest import journal
from ingest.columns import encode
from ingest.inbox import Inbox
from ingest.lanes import Lanes
from ingest.readings import CONFLICT, STAMPED, ReadingBatch
from ingest.recall import Recall
from ingest.ticks import tick_of
from ingest.wallclock import WallClock
from ingest.writer import GROUP

IntArray = NDArray[np.int32]
Counts = Counter[tuple[str, str, str]]  # by lane, what, reason
Letter = tuple[str, str, bytes, str, int]  # lane, topic, payload, reason, at_ns

UNUSABLE = "unusable"  # under this name come readings that a source could not hand in
MOST_WAITING = 500_000  # readings in memory when the disk cannot keep up; more are dropped, and counted
MOST_OPEN = 200_000  # readings of rows without a tick that stay in memory; more are read back when cut
MOST_A_TICK = 500_000  # readings; what a long outage of judging has left is judged in several ticks


@dataclass(frozen=True, slots=True)
class _Delivery:
    readings: ReadingBatch
    stamp_ns: int


@dataclass(frozen=True, slots=True)
class Stored:
    """An arrivals row that no tick holds yet."""

    id: int
    second_ns: int
    readings: ReadingBatch | None  # None: in the file alone
    count: int  # readings in the row; more than `readings` where channels are no longer listed


@dataclass(slots=True)
class _Staged:
    """What is admitted and not yet synced; written again, the same, until that has worked."""

    rows: list[Stored] = field(default_factory=list)
    blobs: list[bytes] = field(default_factory=list)  # one a row
    received: Counter[str] = field(default_factory=Counter)
    counts: Counts = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)  # the journal's own
    letters: list[Letter] = field(default_factory=list)
    callbacks: list[Callable[[], None]] = field(default_factory=list)
    size: int = 0  # as `waiting` counts


class Arrivals:
    """`take` and `note` from any thread; the rest in the storage thread, or before it starts."""

    def __init__(self, channels: ChannelTable, clock: WallClock) -> None:
        self._recall = Recall(self._lately)
        self.inbox = Inbox(channels, recall=self._recall.known)
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
        self._staged = _Staged()
        self._durable: list[Callable[[], None]] = []
        self._open = 0  # readings of open rows that are in memory
        self._last_id = 0
        self._journal_number = self._table_number = np.zeros(0, dtype=np.int32)
        self._connection: sqlite3.Connection | None = None

    def recover(
        self,
        connection: sqlite3.Connection,
        upto: int,
        journal_number: IntArray,
        table_number: IntArray,
    ) -> None:
        """Take up the rows behind the last boundary, and teach the inbox what has arrived lately."""
        self._journal_number, self._table_number = journal_number, table_number
        self._connection = connection
        self._lanes.recover(connection)
        (newest,) = connection.execute("SELECT max(id) FROM arrivals").fetchone()
        self._last_id = max(newest or 0, upto)
        for readings in journal.recent_arrivals(connection):
            self.inbox.remember(journal.joined_into([readings], table_number))
        self.open_rows = [Stored(id, 0, None, count) for id, count in journal.arrival_sizes(connection, upto)]

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

    def stage(self) -> None:
        """Admit what has come in: it has its id, second and conflicts from here on."""
        staged = self._staged
        with self._lock:
            deliveries, self._deliveries = self._deliveries, []
            staged.received += self._received
            staged.counts += self._counts
            staged.letters += self._letters
            staged.callbacks += self._callbacks
            staged.size = self._waiting
            self._received, self._counts, self._letters, self._callbacks = Counter(), Counter(), [], []
        if deliveries:
            self._admit(deliveries)

    def write(self, connection: sqlite3.Connection) -> None:
        self.stage()
        staged = self._staged
        connection.executemany(
            "INSERT INTO arrivals VALUES (?, ?, ?, ?)",
            [(row.id, row.second_ns, row.count, blob) for row, blob in zip(staged.rows, staged.blobs)],
        )
        if staged.letters:
            connection.executemany(journal.DEAD_LETTER, staged.letters)
        for (lane, what, reason), n in staged.counts.items():
            journal.count(connection, "lane", lane, what, n, reason)
        for source, n in staged.received.items():
            journal.count(connection, "inbox", source, "received", n)
        for what, n in staged.notes.items():
            journal.count(connection, "journal", "", what, n)

    def written(self) -> None:
        staged, self._staged = self._staged, _Staged()
        self._durable = staged.callbacks
        with self._lock:
            self._waiting -= staged.size
        if self._open > MOST_OPEN:  # judging is far behind: what is safe in the file need not fill memory
            self.open_rows = [replace(row, readings=None) for row in self.open_rows]
            self._open = 0

    def acknowledge(self) -> None:
        callbacks, self._durable = self._durable, []
        for callback in callbacks:
            callback()

    def cut(self, now_ns: int, whatever: bool) -> tuple[Stored, ...]:
        """Give up the rows of a tick: ids and stamps rise together, so they are the first ones.

        What would make the tick too large is left for the next, however it is stamped.
        """
        self.stage()
        size = len(self.open_rows)
        while not whatever and size and self.open_rows[size - 1].second_ns > now_ns:
            size -= 1
        most = self._as_many_as_fit(size)
        rows = tuple(self.open_rows[:most])
        overdue = [replace(row, second_ns=0) for row in self.open_rows[most:size]]
        self.open_rows = overdue + self.open_rows[size:]
        self._open -= sum(len(row.readings) for row in rows if row.readings is not None)
        with self._lock:  # what is stamped from here on lies behind the tick
            if whatever:
                self._restamp(now_ns)
            else:
                self._last_stamp_ns = max(self._last_stamp_ns, now_ns)
        return rows

    def _as_many_as_fit(self, size: int) -> int:
        """How many of the first rows make a tick; at least one, where there is one."""
        total = 0
        for place, row in enumerate(self.open_rows[:size]):
            total += row.count
            if total > MOST_A_TICK:
                return max(place, 1)
        return size

    def _restamp(self, now_ns: int) -> None:
        """Stream time has jumped: what came in a moment ago belongs to the new reckoning."""
        self._last_stamp_ns = now_ns
        for place, delivery in enumerate(self._deliveries):
            self._last_stamp_ns += max(len(delivery.readings), 1)
            self._deliveries[place] = replace(delivery, stamp_ns=self._last_stamp_ns)

    def _admit(self, deliveries: list[_Delivery]) -> None:
        """Admit a group as rows, one a second of arrival; counts what was not kept."""
        group = ReadingBatch.joined([_with_times(delivery) for delivery in deliveries])
        staged = self._staged
        admitted = self.inbox.admit(group)
        ends = list(accumulate(len(delivery.readings) for delivery in deliveries))
        if admitted.duplicates:
            ends = np.concatenate(([0], np.cumsum(admitted.kept)))[ends].tolist()
            for lane, n in self._lanes.of(group.channel[~admitted.kept]).items():
                self._gone(staged.counts, lane, n, "duplicate", "")
        self._note(admitted.readings)
        seconds = [tick_of(delivery.stamp_ns) for delivery in deliveries]
        start = 0
        for place, end in enumerate(ends):
            last_of_second = place + 1 == len(seconds) or seconds[place + 1] != seconds[place]
            if last_of_second and end > start:
                whole = end - start == len(admitted.readings)
                readings = admitted.readings if whole else admitted.readings.where(np.arange(start, end))
                self._add_row(seconds[place], readings)
                start = end

    def _note(self, readings: ReadingBatch) -> None:
        """Count what can only be promised at least once, and what came with two values."""
        if np.count_nonzero(readings.flags == STAMPED) == len(readings):
            return
        for what, n in (
            ("without a time of their own", len(readings) - np.count_nonzero(readings.flags & STAMPED)),
            ("conflict", np.count_nonzero(readings.flags & CONFLICT)),
        ):
            if n:
                self._staged.notes[what] += int(n)

    def _add_row(self, second_ns: int, readings: ReadingBatch) -> None:
        self._last_id += 1
        row = Stored(self._last_id, second_ns, readings, len(readings))
        self._staged.rows.append(row)
        self._staged.blobs.append(encode(readings, self._journal_number))
        self.open_rows.append(row)
        self._open += len(readings)
        self._recall.add(readings)

    def _lately(self) -> Iterator[ReadingBatch]:
        """What has arrived within the last hour, synced or not, oldest first."""
        if self._connection is not None:
            for readings in journal.recent_arrivals(self._connection):
                yield journal.joined_into([readings], self._table_number)
        for row in self._staged.rows:
            if row.readings is not None:
                yield row.readings


def _with_times(delivery: _Delivery) -> ReadingBatch:
    """The readings, with the time of their arrival where they carry none."""
    readings, size = delivery.readings, len(delivery.readings)
    bare = (readings.flags & STAMPED) == 0
    if not bare.any():
        return readings
    arrival = delivery.stamp_ns - np.arange(size - 1, -1, -1)
    return replace(readings, time_ns=np.where(bare, arrival, readings.time_ns))
