"""Areas: the part of the district whose people and incidents an account may see; without one, all of it."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from alerts.centre.accounts import Account
from alerts.centre.cases import Incident
from alerts.centre.desk import Desk
from alerts.centre.people.directory import Directory
from config.errors import SettingsError

REFUSED = "city.linkage.incident.refused.v1"


class Areas:
    """Which incidents an account may see. What lies nobody knows where is for the district alone."""

    def __init__(self, directory: Directory | None) -> None:
        self.directory = directory
        self._version = -1
        self._around: dict[str, frozenset[str]] = {}  # by place: the organisations in which it lies

    def sees(self, account: Account, incident: Incident) -> bool:
        """A place of it lies in the area, the area's own thing is at fault, or somebody of it was called."""
        if not account.area:
            return True
        if self.directory is None:
            return False
        return any(account.area in codes for codes in self._codes(self.directory, incident))

    def covers(self, account: Account, place: str) -> bool:
        """Whether a place lies in the area that an account is kept to."""
        if not account.area:
            return True
        return self.directory is not None and account.area in self._of_place(self.directory, place)

    async def refuses(self, desk: Desk, account: Account, incident: Incident) -> bool:
        """Whether somebody asked beyond the area that they are kept to; then it is on the record."""
        if self.sees(account, incident):
            return False
        desk.refused["incident of another area"] += 1
        await desk.note(REFUSED, actor=account.name, reason=f"{incident.key}: outside {account.area}")
        return True

    def _codes(self, directory: Directory, incident: Incident) -> Iterator[frozenset[str]]:
        if directory.version != self._version:
            self._version = directory.version
            self._around.clear()
        for alarm in incident.alarms.values():
            yield self._of_place(directory, alarm.now.place)
            if alarm.now.grid:
                yield self._of_organisation(directory, alarm.now.grid)
        for act in incident.acts.values():
            for receiver in act.body.get("receivers", ()):
                yield self._of_organisation(directory, str(receiver.get("org", "")))

    def _of_place(self, directory: Directory, place: str) -> frozenset[str]:
        if place not in self._around:
            asset = directory.asset(place)
            owner = directory.owner(asset.owner) if asset is not None else None
            codes = {one.code for one in directory.around(place)}
            self._around[place] = frozenset(codes | ({owner.code} if owner is not None else set()))
        return self._around[place]

    def _of_organisation(self, directory: Directory, code: str) -> frozenset[str]:
        key = f"organisation {code}"
        if key not in self._around:
            self._around[key] = frozenset(one.code for one in directory.lineage(code))
        return self._around[key]


def set_area(path: Path, account: str, area: str) -> None:
    """Keep an account to an area, running centre or not; SettingsError where there is no such account.

    This connection never checkpoints while a centre holds the file: only its writer does.
    """
    connection = sqlite3.connect(path, isolation_level=None, timeout=30)
    try:
        connection.execute("PRAGMA wal_autocheckpoint=0")
        if not keep_to(connection, account, area):
            raise SettingsError(f"--area: there is no account {account}")
    finally:
        connection.close()


def keep_to(connection: sqlite3.Connection, account: str, area: str) -> bool:
    """Keep an account to an organisation and what lies in it, "" = to nothing; whether it is there."""
    if connection.execute("SELECT 1 FROM account WHERE name = ?", (account,)).fetchone() is None:
        return False
    if area:
        connection.execute(
            "INSERT OR REPLACE INTO account_area (account, area) VALUES (?, ?)", (account, area)
        )
    else:
        connection.execute("DELETE FROM account_area WHERE account = ?", (account,))
    return True
