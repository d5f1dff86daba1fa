"""Pruning: what the journal may forget, and what it must when a courier stays away for too long."""

import sqlite3
from dataclasses import dataclass

from ingest.journal import DEAD_LETTERS_KEPT, REMEMBERED_NS, count
from ingest.progress import Place, forget

DAY_NS = 86_400 * 10**9
COMMANDS_KEPT_NS = 30 * DAY_NS  # the centre repeats a command until it is confirmed; its id stays known
ROWS_AT_ONCE = 5_000  # so that no prune holds up a tick for long


@dataclass(frozen=True)
class Limits:
    """How long and how large a backlog may grow for couriers whose receiver is away."""

    keep_ns: int = 14 * DAY_NS
    keep_bytes: int = 4 << 30


def prune(connection: sqlite3.Connection, limits: Limits, now_ns: int) -> None:
    """Inside a transaction: delete what lies behind every courier, both snapshots and the last hour.

    Beyond the limits arrivals go although a courier has not carried them, counted as pruned for it.
    Ticks that no snapshot covers yet always stay. The newest tick stays too: it says where the next begins.
    """
    (snapshot,) = connection.execute("SELECT min(tick) FROM snapshots").fetchone()
    (newest,) = connection.execute("SELECT max(id) FROM ticks").fetchone()
    if snapshot is None or newest is None:
        return
    ceiling = min(snapshot, newest - 1)
    row = connection.execute(
        "SELECT max(id) FROM ticks WHERE id <= ? AND now_ns < ?", (ceiling, now_ns - REMEMBERED_NS)
    ).fetchone()
    ceiling = row[0] or 0
    (slowest,) = connection.execute("SELECT coalesce(min(tick), ?) FROM cursors", (ceiling,)).fetchone()
    overdue = _overdue(connection, limits, now_ns)
    _forget(connection, min(ceiling, max(slowest, overdue)))
    connection.execute(
        "DELETE FROM dead_letters WHERE id <= (SELECT max(id) FROM dead_letters) - ?", (DEAD_LETTERS_KEPT,)
    )
    connection.execute(
        "DELETE FROM commands WHERE tick <= ? AND issued_ns < ?", (slowest, now_ns - COMMANDS_KEPT_NS)
    )


def _overdue(connection: sqlite3.Connection, limits: Limits, now_ns: int) -> int:
    """The last tick that is beyond the limits of age or size; 0 when none is."""
    (old,) = connection.execute(
        "SELECT max(id) FROM ticks WHERE now_ns < ?", (now_ns - limits.keep_ns,)
    ).fetchone()
    (pages,), (free,), (size,) = (
        connection.execute(f"PRAGMA {name}").fetchone()
        for name in ("page_count", "freelist_count", "page_size")
    )
    if (pages - free) * size <= limits.keep_bytes:
        return int(old or 0)
    (first, last) = connection.execute("SELECT min(id), max(id) FROM ticks").fetchone()
    return max(
        old or 0, int(first + (last - first) // 20)
    )  # the oldest twentieth, again and again until it fits


def _forget(connection: sqlite3.Connection, tick: int) -> None:
    """Delete ticks up to this one and their arrivals, at most 5,000 of each."""
    rows = connection.execute(
        "SELECT id, upto_arrival FROM ticks WHERE id <= ? ORDER BY id LIMIT ?", (tick, ROWS_AT_ONCE)
    ).fetchall()
    if not rows:
        return
    tick, upto = rows[-1]
    forget(connection, Place(tick, upto))
    (gone,) = connection.execute(
        "SELECT coalesce(sum(readings), 0) FROM arrivals WHERE id <= ?", (upto,)
    ).fetchone()
    count(connection, "journal", "", "removed", gone)
    connection.execute("DELETE FROM arrivals WHERE id <= ?", (upto,))
    connection.execute("DELETE FROM ticks WHERE id <= ?", (tick,))
