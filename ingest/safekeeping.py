"""Safekeeping: one consistent copy of an SQLite file while others write it; checked before it appears."""

import contextlib
import os
import sqlite3
from pathlib import Path

from config.errors import InputError
from ingest.parquet import sync

PAGES_AT_ONCE = 4_096


def keep_safe(source: Path, target: Path) -> int:
    """Copy a database as it is at this moment; the size of the copy. InputError says what went wrong.

    The source is only read, within one transaction, so that its writer is never held up. The copy can be
    read by its owner alone, and has its name only once it is whole, checked and synced.
    """
    if not source.is_file():
        raise InputError(f"{source}: no such file; name gateway.toml, centre.toml or a data folder")
    if not target.parent.is_dir():
        raise InputError(f"{target}: the folder {target.parent} does not exist")
    if target.exists() and target.samefile(source):
        raise InputError(f"{target}: this is the state itself; name another file")
    part = target.with_name(target.name + ".part")
    try:
        part.unlink(missing_ok=True)
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        _copy(source, part)
        sync(part)
        part.replace(target)
        sync(target.parent)
    except (sqlite3.Error, OSError) as error:
        raise InputError(f"{source}: cannot be copied to {target}: {error}") from error
    finally:
        part.unlink(missing_ok=True)
    return target.stat().st_size


def _copy(source: Path, part: Path) -> None:
    address = f"{source.resolve().as_uri()}?mode=ro"
    with (
        contextlib.closing(sqlite3.connect(address, uri=True, timeout=10)) as original,
        contextlib.closing(sqlite3.connect(part, isolation_level=None)) as copy,
    ):
        original.execute("BEGIN")  # the copy would begin anew with each commit of the writer
        (tables,) = original.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if not tables:
            raise sqlite3.DatabaseError("it is empty, and holds no state of a gateway or centre")
        original.backup(copy, pages=PAGES_AT_ONCE)
        copy.execute("PRAGMA journal_mode=DELETE")  # one file, no companions
        (verdict,) = copy.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(f"the copy is damaged, and so is the original: {verdict}")
