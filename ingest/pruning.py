"""Pruning: what the journal may forget, and what it must when a courier stays away for too long.

What every courier has carried goes after an hour. Of what some courier still lacks, nothing goes before the
limits of age, size or room on the disk are reached. Then the oldest readings of ordinary channels go first;
those that life may hang on (`config/defaults.toml`: methane, carbon monoxide, oxygen, SOS, falls) stay up to
twice as long, and give way last. Alert changes are not touched here: they wait until they are told. Whatever
goes is counted, for each courier that had not carried it.
"""

import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from config.defaults import is_life_safety
from ingest.columns import encode
from ingest.journal import (
    DEAD_LETTERS_KEPT,
    REMEMBERED_NS,
    StoredTick,
    count,
    listed,
    mark,
    set_mark,
    stored_arrivals,
    stored_ticks,
)
from ingest.progress import Place, forget, forget_some

DAY_NS = 86_400 * 10**9
COMMANDS_KEPT_NS = 30 * DAY_NS  # the centre repeats a command until it is confirmed; its id stays known
TICKS_AT_ONCE = 5_000  # so that no prune holds up a tick for long: forgotten,
REPACKED_AT_ONCE = 200  # and thinned or repacked
SMALL_ROW = 200  # readings; rows of fewer, such as a broker with a narrow window makes, are worth repacking
THINNED, REPACKED = "thinned", "repacked"  # how far: ticks


@dataclass(frozen=True)
class Limits:
    """How long and how large a backlog may grow for couriers whose receiver is away."""

    keep_ns: int = 14 * DAY_NS
    keep_bytes: int = 4 << 30
    room_bytes: int = 64 << 20  # to be left on the disk, so that the journal itself can go on


def prune(connection: sqlite3.Connection, limits: Limits, now_ns: int) -> None:
    """Inside a transaction, about once a minute.

    Ticks that no snapshot covers yet stay: a restart steps through them. Where the limits are reached before
    there is any snapshot, they go all the same. The newest tick always stays: it says where the next begins.
    """
    (newest,) = connection.execute("SELECT max(id) FROM ticks").fetchone()
    if newest is None:
        return
    (snapshot,) = connection.execute("SELECT min(tick) FROM snapshots").fetchone()
    covered = min(newest - 1, newest if snapshot is None else snapshot)
    settled = 0 if snapshot is None else _last_before(connection, now_ns - REMEMBERED_NS, covered, now_ns)
    (slowest,) = connection.execute("SELECT coalesce(min(tick), ?) FROM cursors", (settled,)).fetchone()
    _forget(connection, min(settled, slowest))
    _forget(connection, _last_before(connection, now_ns - 2 * limits.keep_ns, covered, now_ns))
    if _is_too_large(connection, limits):
        _make_room(connection, covered)
    else:
        _thin(connection, _last_before(connection, now_ns - limits.keep_ns, covered, now_ns, THINNED))
        _repack(connection, _last_before(connection, now_ns - REMEMBERED_NS, covered, now_ns, REPACKED))
    connection.execute(
        "DELETE FROM dead_letters WHERE id <= (SELECT max(id) FROM dead_letters) - ?", (DEAD_LETTERS_KEPT,)
    )
    connection.execute(
        "DELETE FROM commands WHERE tick <= ? AND issued_ns < ?", (slowest, now_ns - COMMANDS_KEPT_NS)
    )


def _last_before(
    connection: sqlite3.Connection, before_ns: int, covered: int, now_ns: int, done: str = ""
) -> int:
    """The last of the oldest ticks, of those behind a mark, from before a moment; 0 where there is none.

    A tick from far ahead bears the stamp of a clock that was wrong: it is old too.
    """
    rows = connection.execute(
        "SELECT id, now_ns FROM ticks WHERE id > ? AND id <= ? ORDER BY id LIMIT ?",
        (mark(connection, done) if done else 0, covered, TICKS_AT_ONCE),
    ).fetchall()
    old = [id for id, tick_ns in rows if tick_ns < before_ns or tick_ns > now_ns + DAY_NS]
    return int(old[-1]) if old else 0


def _is_too_large(connection: sqlite3.Connection, limits: Limits) -> bool:
    pages, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_count", "freelist_count", "page_size")
    )
    folder = Path(connection.execute("PRAGMA database_list").fetchone()[2]).parent
    room = shutil.disk_usage(folder).free + free * size
    return bool((pages - free) * size > limits.keep_bytes or room < limits.room_bytes)


def _make_room(connection: sqlite3.Connection, covered: int) -> None:
    """A piece at a time until it fits: the oldest ordinary readings, then the oldest twentieth of all."""
    if _is_precious(connection).any() and _thin(connection, covered):
        return
    first, last = connection.execute("SELECT min(id), max(id) FROM ticks").fetchone()
    _forget(connection, min(covered, first + (last - first) // 20))


def _forget(connection: sqlite3.Connection, tick: int) -> None:
    """Delete ticks up to this one and their arrivals, at most 5,000 of each."""
    rows = connection.execute(
        "SELECT id, upto_arrival FROM ticks WHERE id <= ? ORDER BY id LIMIT ?", (tick, TICKS_AT_ONCE)
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


def _thin(connection: sqlite3.Connection, upto: int) -> bool:
    """Leave of the next ticks only what life may hang on; False when there was none left to thin."""
    precious = _is_precious(connection)
    return _rewrite(connection, THINNED, upto, lambda channel: precious[channel])


def _repack(connection: sqlite3.Connection, upto: int) -> None:
    """Pack the small rows of a tick into one: a fifth of the bytes, while they wait for a courier."""
    _rewrite(connection, REPACKED, upto, None)


def _rewrite(
    connection: sqlite3.Connection,
    done: str,
    upto: int,
    keep: "Callable[[NDArray[np.int32]], NDArray[np.bool_]] | None",
) -> bool:
    """Write some ticks behind a mark again, a row each; what is not kept counts as thinned."""
    ticks = [t for t in stored_ticks(connection, mark(connection, done), REPACKED_AT_ONCE) if t.id <= upto]
    if not ticks:
        return False
    numbers = np.arange(len(listed(connection).id), dtype=np.int32)
    for tick in ticks:
        _rewrite_tick(connection, tick, keep, numbers)
    set_mark(connection, done, ticks[-1].id)
    return True


def _rewrite_tick(
    connection: sqlite3.Connection,
    tick: StoredTick,
    keep: "Callable[[NDArray[np.int32]], NDArray[np.bool_]] | None",
    numbers: NDArray[np.int32],
) -> None:
    rows = list(stored_arrivals(connection, tick.after_arrival, tick.upto_arrival))
    whole = [(id, second_ns, readings) for id, second_ns, _, readings in rows if readings is not None]
    if not whole or (keep is None and (len(whole) < 2 or tick.readings >= SMALL_ROW * len(whole))):
        return
    readings = type(whole[0][2]).joined([part for _, _, part in whole])
    kept = readings if keep is None else readings.where(keep(readings.channel))
    if keep is not None and len(kept) == len(readings):
        return
    for id, _, _ in whole:
        connection.execute("DELETE FROM arrivals WHERE id = ?", (id,))
    if len(kept):
        id, second_ns, _ = whole[-1]
        row = (id, second_ns, len(kept), encode(kept, numbers))
        connection.execute("INSERT INTO arrivals VALUES (?, ?, ?, ?)", row)
    gone = len(readings) - len(kept)
    if gone:
        count(connection, "journal", "", THINNED, gone)
        forget_some(connection, tick.id, gone)
        connection.execute("UPDATE ticks SET readings = readings - ? WHERE id = ?", (gone, tick.id))


def _is_precious(connection: sqlite3.Connection) -> NDArray[np.bool_]:
    """Whether life may hang on a channel, by journal number."""
    known = listed(connection)
    return np.array([is_life_safety(*kind) for kind in zip(known.medium, known.quantity)], dtype=bool)
