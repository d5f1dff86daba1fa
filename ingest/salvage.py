"""Salvage: a damaged journal is put aside under another name, and all that can still be read lives on.

Rows are copied one key after another, and a page that cannot be read is stepped over by looking for the
next key that can. What was lost is counted, so that the ledger balances; the damaged file is never deleted.
"""

import contextlib
import logging
import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from ingest import journal
from ingest.columns import Damaged, decode
from ingest.lanes import DAMAGED, MARK
from ingest.ledger import ledger_of
from ingest.memo import Memo, put_back, recall
from ingest.parquet import sync
from ingest.writer import is_damage

log = logging.getLogger(__name__)

READY = "journal.salvaged"  # whole and synced; takes the journal's place as soon as the damaged one is aside
PART = "journal.salvaging"
COMPANIONS = ("-wal", "-shm", "")  # the WAL first: it must never meet another main file
AT_ONCE = 1_000
LAST_KEY = (1 << 63) - 1
SALVAGED = "salvaged"  # the source under which readings are counted whose own count was lost
Row = tuple[Any, ...]


def salvage(folder: Path, reason: str) -> None:
    """Put the journal aside and leave a sound one with what could be read; sqlite3.Error where no room is."""
    log.error("the journal is damaged (%s); taking over what can be read of it", reason)
    damaged = folder / journal.FILE_NAME
    aside = free_name(folder)
    for leftover in folder.glob(f"{PART}*"):
        leftover.unlink()
    new = sqlite3.connect(folder / PART, isolation_level=None)
    with contextlib.closing(new):
        new.execute(f"PRAGMA page_size={journal.PAGE_BYTES}")
        new.execute("PRAGMA journal_mode=OFF")
        new.execute("PRAGMA synchronous=OFF")
        journal.set_up(new)
        memo = recall(folder)
        new.executemany("INSERT INTO channel VALUES (?, ?, ?, ?, ?, ?, ?)", memo.channels)
        with contextlib.closing(_open_damaged(damaged, memo)) as old:
            kept = {table: _copy(old, new, table) for table in _tables(old, new)}
        new.execute("BEGIN")
        _chain_ticks(new)
        lost = _balance(new)
        new.execute(
            "INSERT INTO damage (at, file, reason, lost) VALUES (?, ?, ?, ?)",
            (datetime.now(UTC).isoformat(timespec="seconds"), aside, reason, lost),
        )
        journal.count(new, "journal", "", "damaged files put aside", 1)
        new.execute("COMMIT")
    sync(folder / PART)
    (folder / PART).replace(folder / READY)
    sync(folder)
    put_in_place(folder)
    told = ", ".join(f"{n:,} of {table}" for table, n in kept.items() if n)
    log.error(
        "the damaged journal is now %s; taken over: %s; %s readings are lost."
        " Check the disk; the file is needed for nothing but inquiries",
        *(folder / aside, told or "nothing", f"{lost:,}"),
    )


def put_in_place(folder: Path) -> None:
    """Finish a salvage: the damaged file goes aside, the sound one takes its name. May be done again."""
    with contextlib.closing(sqlite3.connect(folder / READY)) as ready:
        (aside,) = ready.execute("SELECT file FROM damage ORDER BY id DESC LIMIT 1").fetchone()
    for companion in COMPANIONS:
        present = folder / f"{journal.FILE_NAME}{companion}"
        if present.exists():
            present.rename(folder / f"{aside}{companion}")
    sync(folder)
    (folder / READY).replace(folder / journal.FILE_NAME)
    (folder / journal.SUSPECT).unlink(missing_ok=True)
    sync(folder)


def free_name(folder: Path) -> str:
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    names = (f"journal-damaged-{stamp}{tail}.sqlite" for tail in ("", *(f"-{n}" for n in range(1, 1000))))
    return next(name for name in names if not (folder / name).exists())


def _open_damaged(path: Path, memo: Memo) -> sqlite3.Connection:
    """For reading; where its tables are not found as they were, with the memo's pages in place of its own."""
    try:
        old = _readable(path)
        if 1 not in memo.pages or not journal.changed_tables(old):
            return old
        old.close()
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        if not is_damage(error) or 1 not in memo.pages:
            return sqlite3.connect(":memory:")  # nothing in it can be found
    before = put_back(path, memo)
    kept = path.with_name(f"{free_name(path.parent)}.pages")
    kept.write_bytes(msgspec.msgpack.encode(before))
    with contextlib.suppress(sqlite3.DatabaseError, UnicodeDecodeError):
        return _readable(path)
    return sqlite3.connect(":memory:")


def _readable(path: Path) -> sqlite3.Connection:
    old = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None)
    old.text_factory = lambda text: text.decode(errors="replace")
    try:
        old.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except BaseException:
        old.close()
        raise
    return old


def _tables(old: sqlite3.Connection, new: sqlite3.Connection) -> list[str]:
    """Those of the old file; tables that came in later than the schema are created. Large ones last."""
    wanted = "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    known = {name for name, _ in new.execute(wanted)}
    names = []
    for name, sql in old.execute(wanted).fetchall():
        if name not in known:
            try:
                new.execute(sql)
            except sqlite3.Error as error:
                log.error("table %s cannot be taken over: %s", name, error)
                continue
        names.append(name)
    return sorted(names, key=lambda name: (name == "arrivals", name))


def _copy(old: sqlite3.Connection, new: sqlite3.Connection, table: str) -> int:
    """Copy what can be read of a table; the number of rows."""
    theirs = _columns(new, table)
    columns = [name for name in _columns(old, table) if name in theirs]
    if not columns:
        return 0
    names = ", ".join(f'"{column}"' for column in columns)
    key = _integer_key(new, table)
    rows = _rows_by_key(old, table, names, key) if key else _rows_from_both_ends(old, table, names)
    places = ", ".join("?" * len(columns))
    insert = f'INSERT OR IGNORE INTO "{table}" ({names}) VALUES ({places})'
    copied = 0
    new.execute("BEGIN")
    for row in rows:
        if table == "arrivals" and not _whole(row, columns):
            continue
        with contextlib.suppress(sqlite3.Error):  # a row that is torn
            copied += max(new.execute(insert, row).rowcount, 0)
    copied -= new.execute(f'DELETE FROM "{table}" WHERE {journal.misfit(new, table)}').rowcount
    new.execute("COMMIT")
    return copied


def _columns(connection: sqlite3.Connection, table: str) -> dict[str, int]:
    return {row[1]: row[5] for row in connection.execute(f'PRAGMA table_info("{table}")')}


def _integer_key(connection: sqlite3.Connection, table: str) -> str:
    """The column by which rows are found one by one, if there is one."""
    (sql,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    if "WITHOUT ROWID" in sql:
        return ""
    keys = [name for name, place in _columns(connection, table).items() if place]
    return keys[0] if len(keys) == 1 else ""


def _whole(row: Row, columns: list[str]) -> bool:
    """Whether a row of arrivals holds the readings that it says it does."""
    named = dict(zip(columns, row))
    try:
        return bool(len(decode(named["columns"])) == named["readings"])
    except (Damaged, TypeError, KeyError):
        return False


def _rows_by_key(old: sqlite3.Connection, table: str, names: str, key: str) -> Iterator[Row]:
    """Rows in the order of their integer key, whatever pages cannot be read in between."""
    sql = f'SELECT {key}, {names} FROM "{table}" WHERE {key} >= ? ORDER BY {key} LIMIT {AT_ONCE + 1}'
    start = -LAST_KEY
    while True:
        batch: list[Row] = []
        whole = False
        with contextlib.suppress(sqlite3.DatabaseError, UnicodeDecodeError):
            batch.extend(old.execute(sql, (start,)))
            whole = True
        rising = _rising(batch, start)
        for reached, *row in rising:
            start = reached + 1
            yield tuple(row)
        if whole and len(batch) <= AT_ONCE:
            return
        if not rising or not whole:
            following = _next_readable(old, table, key, start)
            if following is None:
                return
            start = following


def _rising(rows: list[Row], start: int) -> list[Row]:
    """Without rows whose key stands out of the order, for such a key is damaged."""
    keys = [row[0] for row in rows]
    found = []
    for place, row in enumerate(rows):
        if row[0] >= start and all(row[0] < key for key in keys[place + 1 : place + 2]):
            found.append(row)
            start = row[0] + 1
    return found


def _next_readable(old: sqlite3.Connection, table: str, key: str, start: int) -> int | None:
    """The least key behind a place that cannot be read from which reading works again."""

    def reads(place: int) -> bool:
        try:
            sql = f'SELECT {key}, * FROM "{table}" WHERE {key} >= ? ORDER BY {key} LIMIT 1'
            return all(row[0] >= place for row in old.execute(sql, (place,)))
        except (sqlite3.DatabaseError, UnicodeDecodeError):
            return False

    begin = max(start, 0)
    step = 1
    while not reads(begin + step):
        step *= 2
        if begin + step > LAST_KEY:
            return None
    low, high = begin + step // 2, begin + step  # reading fails at low, unless it is the start itself
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reads(middle) else (middle, high)
    return high


def _rows_from_both_ends(old: sqlite3.Connection, table: str, names: str) -> Iterator[Row]:
    """Rows of a small table without integer key, up to the first page that cannot be read from either end."""
    keys = sorted(((place, name) for name, place in _columns(old, table).items() if place))
    for way in ("ASC", "DESC"):
        order = ", ".join(f'"{name}" {way}' for _, name in keys)
        with contextlib.suppress(sqlite3.DatabaseError, UnicodeDecodeError):
            yield from old.execute(f'SELECT {names} FROM "{table}" ORDER BY {order or "1"}')
            return


def _chain_ticks(new: sqlite3.Connection) -> None:
    """Let every arrival up to the last known boundary belong to exactly one tick again.

    Where ticks were lost, the boundaries at which couriers stand are kept, so that none carries twice.
    """
    places = _boundaries(new)
    last_id, last_ns, last_upto = 0, 0, _first_arrival(new) - 1
    for tick, now_ns, after, upto in _every_tick(new):
        while places and places[0][0] < tick:
            lost, arrival = places.pop(0)
            if lost > last_id:
                last_ns = _tick_at(new, lost, last_ns, last_upto, max(arrival, last_upto))
                last_id, last_upto = lost, max(arrival, last_upto)
        if places and places[0][0] == tick:
            places.pop(0)
        if after > last_upto and tick - 1 > last_id:
            last_ns = _tick_at(new, tick - 1, last_ns, last_upto, after)
            last_upto = after
        elif after != last_upto:
            new.execute("UPDATE ticks SET after_arrival = ? WHERE id = ?", (last_upto, tick))
        last_id, last_ns, last_upto = tick, now_ns, max(upto, last_upto)
    for lost, arrival in places:
        last_ns = _tick_at(new, lost, last_ns, last_upto, max(arrival, last_upto))
        last_id, last_upto = lost, max(arrival, last_upto)
    new.execute(
        "UPDATE ticks SET readings = (SELECT coalesce(sum(readings), 0) FROM arrivals"
        " WHERE arrivals.id > after_arrival AND arrivals.id <= upto_arrival)"
    )
    if not last_id:  # what was carried under the numbers of lost ticks must not meet them again
        _tick_at(new, int(time.time()), last_ns, last_upto, last_upto)


def _every_tick(new: sqlite3.Connection) -> Iterator[Row]:
    """(id, now_ns, after_arrival, upto_arrival), oldest first, while ticks are put in between."""
    last = 0
    while rows := new.execute(
        "SELECT id, now_ns, after_arrival, upto_arrival FROM ticks WHERE id > ? ORDER BY id LIMIT ?",
        (last, AT_ONCE),
    ).fetchall():
        yield from rows
        last = rows[-1][0]


def _tick_at(new: sqlite3.Connection, tick: int, least_ns: int, after: int, upto: int) -> int:
    """A tick in place of a lost one; its moment."""
    (arrived_ns,) = new.execute(
        "SELECT max(second_ns) FROM arrivals WHERE id > ? AND id <= ?", (after, upto)
    ).fetchone()
    now_ns = max(arrived_ns or 0, least_ns)
    new.execute("INSERT OR REPLACE INTO ticks VALUES (?, ?, ?, ?, 0, 0, NULL)", (tick, now_ns, after, upto))
    return int(now_ns)


def _boundaries(new: sqlite3.Connection) -> list[tuple[int, int]]:
    """(tick, last arrival) that somebody stands at, rising."""
    found = set(new.execute("SELECT tick, arrival FROM cursors WHERE tick > 0"))
    if new.execute("SELECT 1 FROM sqlite_master WHERE name = 'ahead'").fetchone():
        found |= set(new.execute("SELECT after_tick, after_arrival FROM ahead"))
        found |= set(new.execute("SELECT upto_tick, upto_arrival FROM ahead"))
    return sorted(found)


def _first_arrival(new: sqlite3.Connection) -> int:
    (first,) = new.execute(
        "SELECT min(id) FROM"
        " (SELECT min(id) AS id FROM arrivals UNION SELECT min(after_arrival) + 1 FROM ticks)"
    ).fetchone()
    return int(first or 1)


def _balance(new: sqlite3.Connection) -> int:
    """Count what is missing, so that every reading is somewhere; how many readings were lost."""
    (newest,) = new.execute("SELECT coalesce(max(id), 0) FROM arrivals").fetchone()
    if new.execute("SELECT 1 FROM counters WHERE owner = ?", (MARK[0],)).fetchone() is None:
        new.execute("INSERT INTO counters VALUES (?, ?, ?, ?, ?)", (*MARK, newest))
    for name, lane in ledger_of(new).lanes.items():
        excess = lane.received - lane.durable - lane.duplicate - sum(lane.dropped.values())
        journal.count(new, "lane", name, "durable" if excess > 0 else "received", abs(excess))
    books = ledger_of(new)
    missing = books.durable - books.kept - books.removed  # durable, and not here any more
    if missing < 0:  # here, and its count is lost
        journal.count(new, "lane", DAMAGED, "received", -missing)
        journal.count(new, "lane", DAMAGED, "durable", -missing)
    unknown = sum(books.sources.values()) - sum(lane.received for lane in books.lanes.values())
    unknown -= max(-missing, 0)
    if unknown > 0:  # handed in, and counted by nobody else
        journal.count(new, "lane", DAMAGED, "received", unknown)
        journal.count(new, "lane", DAMAGED, "durable", unknown)
    else:
        journal.count(new, "inbox", SALVAGED, "received", -unknown)
    lost = max(missing, 0) + max(unknown, 0)
    journal.count(new, "journal", "", "lost", lost, "damaged file")
    for name, courier in ledger_of(new).couriers.items():
        gone = courier.stored + sum(courier.dead_lettered.values()) + sum(courier.withheld.values())
        excess = courier.durable - gone - courier.pruned - courier.pending
        if excess > 0:
            journal.count(new, "courier", name, "dead-lettered", excess, DAMAGED)
        else:
            journal.count(new, "courier", name, "stored", excess)
    return lost
