"""Progress: which ticks a courier has carried: all up to its cursor, and spans ahead of it.

A span ahead comes of carrying live readings first while a backlog waits. What lies between is a gap, which
is carried later. The storage thread alone writes it, in one transaction with the counts of the ledger.
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from ingest import journal


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A boundary in the journal: a tick, and the last arrival in it."""

    tick: int
    arrival: int


@dataclass(frozen=True, slots=True)
class Gap:
    """What is not carried yet: ticks behind `after` up to `upto`, or whatever comes where that is None."""

    after: Place
    upto: Place | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """`ahead` holds (after, upto] of spans, rising, none touching another or the cursor."""

    cursor: Place
    ahead: tuple[tuple[Place, Place], ...] = ()

    def gaps(self) -> list[Gap]:
        """Oldest first; the last one is open."""
        begins = [self.cursor, *(upto for _, upto in self.ahead)]
        ends = [*(after for after, _ in self.ahead), None]
        return [Gap(begin, end) for begin, end in zip(begins, ends)]

    def carried(self, after: Place, upto: Place) -> "Progress | None":
        """With (after, upto] carried too; None when part of it was carried or forgotten before."""
        if not any(gap.after <= after and (gap.upto is None or upto <= gap.upto) for gap in self.gaps()):
            return None
        return _merged(self.cursor, [*self.ahead, (after, upto)])

    def forgotten(self, upto: Place) -> tuple["Progress", list[tuple[Place, Place]]]:
        """When everything up to a place is deleted: where it stands, and (after, upto] of the lost."""
        lost = [
            (gap.after, upto if gap.upto is None else min(gap.upto, upto))
            for gap in self.gaps()
            if gap.after < upto
        ]
        return _merged(max(self.cursor, upto), self.ahead), lost


def _merged(cursor: Place, spans: Iterable[tuple[Place, Place]]) -> Progress:
    rest: list[tuple[Place, Place]] = []
    for after, upto in sorted(spans):
        if after <= cursor:
            cursor = max(cursor, upto)
        elif rest and rest[-1][1] == after:
            rest[-1] = (rest[-1][0], upto)
        else:
            rest.append((after, upto))
    return Progress(cursor, tuple(rest))


def read_progress(connection: sqlite3.Connection, courier: str) -> Progress | None:
    """Where a courier stands; None when it has no place in the journal."""
    row = connection.execute("SELECT tick, arrival FROM cursors WHERE courier = ?", (courier,)).fetchone()
    if row is None:
        return None
    spans: list[tuple[int, int, int, int]] = []
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'ahead'").fetchone():
        spans = connection.execute(
            "SELECT after_tick, after_arrival, upto_tick, upto_arrival FROM ahead WHERE courier = ?"
            " ORDER BY after_tick",
            (courier,),
        ).fetchall()
    return Progress(Place(*row), tuple((Place(*span[:2]), Place(*span[2:])) for span in spans))


def pending(connection: sqlite3.Connection, courier: str) -> int:
    """Readings that the journal holds and the courier has not carried, counted one by one."""
    progress = read_progress(connection, courier)
    if progress is None:
        return 0
    spans = [
        (gap.after.arrival, (1 << 62) if gap.upto is None else gap.upto.arrival) for gap in progress.gaps()
    ]
    return sum(_readings(connection, after, upto) for after, upto in spans)


def register(connection: sqlite3.Connection, courier: str) -> Progress:
    """Where a courier stands; a new one starts at the oldest reading kept, and the rest counts as pruned."""
    known = read_progress(connection, courier)
    if known is not None:
        return known
    (removed,) = connection.execute(
        "SELECT coalesce(sum(n), 0) FROM counters WHERE owner = 'journal'"
        " AND what IN ('removed', 'lost', 'thinned')"
    ).fetchone()
    journal.count(connection, "courier", courier, "pruned", removed)
    connection.execute("INSERT INTO cursors VALUES (?, 0, 0)", (courier,))
    return Progress(Place(0, 0))


def unregister(connection: sqlite3.Connection, courier: str) -> None:
    """Forget a courier, so that nothing waits for it."""
    connection.execute("DELETE FROM cursors WHERE courier = ?", (courier,))
    connection.execute("DELETE FROM ahead WHERE courier = ?", (courier,))
    connection.execute("DELETE FROM counters WHERE owner = 'courier' AND name = ?", (courier,))


def advance(connection: sqlite3.Connection, courier: str, after: Place, upto: Place) -> tuple[bool, Progress]:
    """Take (after, upto] as carried; False, and where it stands, when pruning was there before."""
    before = read_progress(connection, courier)
    if before is None:
        raise LookupError(f"courier {courier} has no place in the journal")
    later = before.carried(after, upto)
    if later is None:
        return False, before
    _save(connection, courier, before, later)
    return True, later


def forget(connection: sqlite3.Connection, upto: Place) -> None:
    """Before arrivals up to a place are deleted: what no courier has carried of them counts as pruned."""
    couriers = connection.execute("SELECT courier FROM cursors WHERE tick < ?", (upto.tick,)).fetchall()
    for (courier,) in couriers:
        before = read_progress(connection, courier)
        if before is None:
            continue
        later, lost = before.forgotten(upto)
        n = sum(_readings(connection, begin.arrival, end.arrival) for begin, end in lost)
        journal.count(connection, "courier", courier, "pruned", n)
        _save(connection, courier, before, later)


def forget_some(connection: sqlite3.Connection, tick: int, readings: int) -> None:
    """Readings of one tick are deleted: they count as pruned for each courier that has not carried it."""
    for (courier,) in connection.execute("SELECT courier FROM cursors WHERE tick < ?", (tick,)).fetchall():
        known = read_progress(connection, courier)
        gaps = [] if known is None else known.gaps()
        if any(gap.after.tick < tick and (gap.upto is None or tick <= gap.upto.tick) for gap in gaps):
            journal.count(connection, "courier", courier, "pruned", readings)


def _save(connection: sqlite3.Connection, courier: str, before: Progress, later: Progress) -> None:
    """Write what differs."""
    if later.cursor != before.cursor:
        place = (later.cursor.tick, later.cursor.arrival, courier)
        connection.execute("UPDATE cursors SET tick = ?, arrival = ? WHERE courier = ?", place)
    for after, _ in set(before.ahead) - set(later.ahead):
        connection.execute("DELETE FROM ahead WHERE courier = ? AND after_tick = ?", (courier, after.tick))
    for after, upto in set(later.ahead) - set(before.ahead):
        row = (courier, after.tick, after.arrival, upto.tick, upto.arrival)
        connection.execute("INSERT INTO ahead VALUES (?, ?, ?, ?, ?)", row)


def _readings(connection: sqlite3.Connection, after: int, upto: int) -> int:
    (n,) = connection.execute(
        "SELECT coalesce(sum(readings), 0) FROM arrivals WHERE id > ? AND id <= ?", (after, upto)
    ).fetchone()
    return int(n)
