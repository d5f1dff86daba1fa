"""Opening: the journal as an earlier life left it, locked, brought to this schema, put right where damaged.

What was left in the WAL is copied into the main file and synced before anything is acknowledged: a page that
can be read is not yet a page that is safe, if the earlier life ended with a sync that failed.
"""

import contextlib
import fcntl
import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from config.errors import SettingsError
from ingest import journal
from ingest.folders import make_folder
from ingest.frames import mend
from ingest.salvage import READY, free_name, put_in_place, salvage
from ingest.writer import is_damage

log = logging.getLogger(__name__)

ALWAYS_READ_BYTES = 64 << 20  # so large a journal is read page by page at each start, within half a second


class FolderInUse(SettingsError):
    """Another process writes this journal."""


def open_writer(folder: Path) -> tuple[sqlite3.Connection, IO[str]]:
    """The writing connection and the held lock; SettingsError says why there is none.

    A damaged file is no reason: it is put aside, and what can be read of it is taken over.
    """
    lock = _locked(folder)
    try:
        with explained(folder / journal.FILE_NAME):
            if (folder / READY).exists():  # an earlier start was interrupted while it put the journal right
                put_in_place(folder)
            return _opened_or_put_right(folder), lock
    except BaseException:
        lock.close()
        raise


def put_right(folder: Path, reason: BaseException) -> sqlite3.Connection:
    """Take over what can be read of a damaged journal, whose writing connection is closed; a new one."""
    with explained(folder / journal.FILE_NAME):
        salvage(folder, str(reason))
        return _opened(folder)


def _opened_or_put_right(folder: Path) -> sqlite3.Connection:
    connection = None
    try:
        aside = folder / f"{free_name(folder)}-wal"
        if lost := mend(folder / journal.FILE_NAME, aside):
            raise journal.damaged(f"{lost} frames of the write-ahead log are not what was written")
        _check_header(folder / journal.FILE_NAME)
        connection = _opened(folder)
        _look_closely(folder, connection)
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        if connection is not None:
            connection.close()
        if not is_damage(error):
            raise
        return put_right(folder, error)
    return connection


def _check_header(path: Path) -> None:
    """A file that asks for a later way of writing would be read-only to SQLite, not damaged."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        header = file.read(20)
        if len(header) == 20 and header[18] not in (1, 2):
            raise journal.damaged(f"its header asks for the write format {header[18]}")


def _locked(folder: Path) -> IO[str]:
    try:
        make_folder(folder)
        lock = (folder / "journal.lock").open("w")
    except OSError as error:
        raise SettingsError(
            f"{folder}: cannot be written: {error.strerror}; make room, correct its rights,"
            " or choose another data folder"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise FolderInUse(f"{folder}: another gateway is using this data folder; stop it first") from error
    return lock


def _opened(folder: Path) -> sqlite3.Connection:
    path = folder / journal.FILE_NAME
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
    try:
        connection.execute(f"PRAGMA page_size={journal.PAGE_BYTES}")  # of a new file
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
        connection.execute(f"PRAGMA wal_autocheckpoint={journal.CHECKPOINT_BYTES // page_bytes}")
        connection.execute("PRAGMA journal_size_limit=33554432")
        _checkpoint(connection)
        journal.set_up(connection)
        _checkpoint(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _checkpoint(connection: sqlite3.Connection) -> None:
    """Copy all of the WAL into the main file, and sync that."""
    busy, left, copied = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy and left != copied:
        raise sqlite3.OperationalError("another program holds it; end it first")


def _look_closely(folder: Path, connection: sqlite3.Connection) -> None:
    """Read all pages of a small file, and of any where an earlier life has met damage."""
    if changed := journal.changed_tables(connection):
        raise journal.damaged(f"the definition of {changed[0]} is not what was written")
    word = folder / journal.SUSPECT
    if word.exists():
        log.warning("an earlier life of this gateway met damage in the journal; every page of it is read now")
    elif (folder / journal.FILE_NAME).stat().st_size > ALWAYS_READ_BYTES:
        return
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if connection.execute("SELECT 1 FROM arrivals WHERE readings <= 0 LIMIT 1").fetchone():
        verdict = "an arrival holds fewer readings than one"
    for table in journal.tables(connection):
        if connection.execute(f"SELECT 1 FROM {table} WHERE {journal.misfit(connection, table)}").fetchone():
            verdict = f"a row of {table} holds what does not belong there"
        journal.read_texts(connection, table)
    if verdict != "ok":
        raise journal.damaged(verdict)
    word.unlink(missing_ok=True)


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """What the user can do about it."""
    try:
        yield
    except ValueError as error:
        raise SettingsError(
            f"{path}: written by a newer version of this program ({error});"
            " start that version, or choose another data folder"
        ) from error
    except (sqlite3.Error, OSError) as error:
        raise SettingsError(
            f"{path}: cannot be used: {error}; make room on the disk, correct the rights of the folder,"
            " or choose another data folder"
        ) from error
