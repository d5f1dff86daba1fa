"""Lanes: what became of each device's readings; counted from the journal, not reading by reading.

A lane is a device: a channel's name without its last part, or the topic of a message that no device is known
to send. What arrived durably is counted from the arrivals themselves, once a minute and before any of them is
removed; the ledger adds what has arrived since. So the hot path counts nothing but what is unusual, and a
crash loses no count.
"""

import sqlite3
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ingest import journal
from ingest.columns import Damaged, channels_of

MOST_LANES = 1_000  # more devices or topics than these share one lane, for a sender of nonsense has no end
OTHER = "other"
DAMAGED = "damaged in the journal"  # readings that are there and cannot be told apart any more
MARK = ("lanes", "", "counted", "")  # the counter that holds the last arrival counted


def lane_of(channel: str) -> str:
    """The device of a channel: `w17` of `w17.heart_rate`; a name without dots is its own device."""
    return channel.rpartition(".")[0] or channel


class Lanes:
    """The names in use, bounded; and the counts of what is unusual."""

    def __init__(self, ids: Sequence[str]) -> None:
        self._of = tuple(map(lane_of, ids))  # by number in the channel table
        self._known: set[str] = set()

    def recover(self, connection: sqlite3.Connection) -> None:
        """Learn the names in use, and count what an earlier life left uncounted."""
        known = connection.execute("SELECT DISTINCT name FROM counters WHERE owner = 'lane'")
        self._known = {name for (name,) in known}
        connection.execute("BEGIN IMMEDIATE")
        settle(connection)
        connection.execute("COMMIT")

    def named(self, lane: str) -> str:
        """The lane under which it is counted: itself, or `other` where there are too many."""
        if lane in self._known:
            return lane
        if len(self._known) >= MOST_LANES:
            return OTHER
        self._known.add(lane)
        return lane

    def of(self, channel: NDArray[np.int32]) -> Counter[str]:
        """How many of these readings, by channel number, each lane has."""
        numbers, sizes = np.unique(channel, return_counts=True)
        found: Counter[str] = Counter()
        for number, size in zip(numbers.tolist(), sizes.tolist()):
            found[self._of[number]] += size
        return found


def settle(connection: sqlite3.Connection) -> None:
    """Inside a transaction: count what arrived since the last time; before any arrival is removed."""
    mark = _mark(connection)
    (newest,) = connection.execute("SELECT coalesce(max(id), 0) FROM arrivals").fetchone()
    if mark is None:
        _begin(connection)
    elif newest > mark:
        for lane, durable in uncounted(connection).items():
            journal.count(connection, "lane", lane, "received", durable)
            journal.count(connection, "lane", lane, "durable", durable)
    if mark is None or newest > mark:
        connection.execute(
            "INSERT INTO counters VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (owner, name, what, reason) DO UPDATE SET n = excluded.n",
            (*MARK, newest),
        )


def uncounted(connection: sqlite3.Connection) -> Counter[str]:
    """Durable readings by lane that arrived after the last count."""
    mark = _mark(connection)
    if mark is None:  # a journal of an earlier version, which counted each group
        return Counter()
    ids = journal.listed(connection).id
    sizes = np.zeros(len(ids), dtype=np.int64)
    found: Counter[str] = Counter()
    with journal.watched(connection):
        for count, blob in connection.execute("SELECT readings, columns FROM arrivals WHERE id > ?", (mark,)):
            try:
                numbers = np.bincount(channels_of(blob), minlength=len(ids))
            except Damaged:
                found[DAMAGED] += count if isinstance(count, int) else 0
                continue
            sizes += numbers[: len(ids)]
            if nameless := int(numbers[len(ids) :].sum()):
                found[DAMAGED] += nameless
    names = connection.execute("SELECT DISTINCT name FROM counters WHERE owner = 'lane'")
    known = {name for (name,) in names}
    for number in np.flatnonzero(sizes).tolist():
        lane = lane_of(ids[number])
        if lane not in known and len(known) >= MOST_LANES:
            lane = OTHER
        known.add(lane)
        found[lane] += int(sizes[number])
    return found


def _mark(connection: sqlite3.Connection) -> int | None:
    row = connection.execute(
        "SELECT n FROM counters WHERE owner = ? AND name = ? AND what = ? AND reason = ?", MARK
    ).fetchone()
    return int(row[0]) if row is not None and isinstance(row[0], int) else None


def _begin(connection: sqlite3.Connection) -> None:
    """In a journal of an earlier version every arrival is counted already, by source."""
    (received,) = connection.execute(
        "SELECT coalesce(sum(n), 0) FROM counters WHERE owner = 'lane' AND what = 'received'"
    ).fetchone()
    journal.count(connection, "inbox", "earlier version", "received", received)
