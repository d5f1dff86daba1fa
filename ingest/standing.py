"""Standing: what a gateway's journal says of its state, read beside it while it runs or not."""

import fcntl
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ingest.journal import FILE_NAME
from ingest.ledger import Ledger, ledger_of, one_moment

T = TypeVar("T")
LOCK_NAME = "journal.lock"


@dataclass(frozen=True)
class Standing:
    """One moment of a journal. Times are stream time; 0 where nothing has happened yet."""

    ledger: Ledger
    last_tick_ns: int  # the last tick in which something happened: empty ones are not recorded
    clock_good: bool
    oldest_pending_ns: Mapping[str, int]  # by courier, of those that have something to carry
    dead_letters: int  # laid aside and still kept
    size_bytes: int  # of the journal and what lies beside it


def read_standing(folder: Path, also: Callable[[sqlite3.Connection], T]) -> tuple[Standing, T]:
    """And what `also` reads at the same moment. SettingsError where there is no journal."""
    with one_moment(folder) as connection:
        ledger = ledger_of(connection)
        last = connection.execute("SELECT now_ns, clock_good FROM ticks ORDER BY id DESC LIMIT 1").fetchone()
        last_tick_ns, clock_good = last or (0, 1)
        oldest = {
            courier: _oldest_after(connection, tick)
            for courier, tick in connection.execute("SELECT courier, tick FROM cursors").fetchall()
        }
        (letters,) = connection.execute("SELECT count(*) FROM dead_letters").fetchone()
        told = also(connection)
    size = sum(file.stat().st_size for file in folder.glob(f"{FILE_NAME}*"))
    pending = {courier: ns for courier, ns in oldest.items() if ns and ledger.couriers[courier].pending}
    return Standing(ledger, last_tick_ns, bool(clock_good), pending, letters, size), told


def in_use(folder: Path) -> bool:
    """Whether a gateway holds this journal now."""
    path = folder / LOCK_NAME
    try:
        place = path.stat()
    except OSError:
        return False
    try:
        # The kernel's list, and not a try: for an instant that would keep a gateway from starting.
        locks = Path("/proc/locks").read_text("ascii")
    except OSError:
        return _is_locked(path)
    # By the file's number alone: some file systems show another device here than to stat(2).
    return any("FLOCK" in line and f":{place.st_ino} " in line for line in locks.splitlines())


def _is_locked(path: Path) -> bool:
    with path.open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def _oldest_after(connection: sqlite3.Connection, tick: int) -> int:
    """When the first tick with readings behind this one was; 0 where there is none."""
    row = connection.execute(
        "SELECT now_ns FROM ticks WHERE id > ? AND readings > 0 ORDER BY id LIMIT 1", (tick,)
    ).fetchone()
    return int(row[0]) if row else 0
