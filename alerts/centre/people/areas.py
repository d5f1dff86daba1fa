"""Areas: the part of the district whose people an account may see; without one, all of it."""

import sqlite3
from pathlib import Path

from config.errors import SettingsError


def area_of(connection: sqlite3.Connection, account: str) -> str:
    """The code of the organisation that an account is kept to, "" = none."""
    row = connection.execute("SELECT area FROM account_area WHERE account = ?", (account,)).fetchone()
    return str(row[0]) if row else ""


def set_area(path: Path, account: str, area: str) -> None:
    """Keep an account to an organisation and what lies in it; SettingsError where there is no such account.

    This connection never checkpoints while a centre holds the file: only its writer does.
    """
    connection = sqlite3.connect(path, isolation_level=None, timeout=30)
    try:
        connection.execute("PRAGMA wal_autocheckpoint=0")
        if connection.execute("SELECT 1 FROM account WHERE name = ?", (account,)).fetchone() is None:
            raise SettingsError(f"--area: there is no account {account}")
        connection.execute(
            "INSERT OR REPLACE INTO account_area (account, area) VALUES (?, ?)", (account, area)
        )
    finally:
        connection.close()
