"""Turnover: somebody takes the place of somebody else on a rota, for a time; swaps and overrides."""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from alerts.alert import rfc3339
from alerts.centre.desk import Desk
from alerts.centre.people import directory as people
from alerts.centre.people.directory import Directory
from alerts.centre.people.lists import LISTS
from alerts.centre.people.rota import SECOND_NS, Change, Turn, swap

CHANGED = "city.linkage.rota.changed.v1"
REASON_MOST = 200


class TurnoverRefused(Exception):
    """Not so. `code` and `details` are turned into words."""

    def __init__(self, code: str, **details: Any) -> None:
        self.code, self.details = code, details
        super().__init__(f"{code} {details}" if details else code)


class Turnovers:
    """Each change is a row of the list `changes`, and a line of the audit log; the last word counts."""

    def __init__(self, desk: Desk, directory: Directory) -> None:
        self.desk = desk
        self.directory = directory

    async def override(
        self, rota: str, person: str, start: datetime, end: datetime, instead_of: str, reason: str, actor: str
    ) -> str:
        """`person` is primary for a time, instead of somebody, or of whoever it is; the change's id."""
        if start.tzinfo is None or end.tzinfo is None or end <= start:
            raise TurnoverRefused("turnover_span")
        self._check(rota, person, *([instead_of] if instead_of else []))
        change = Change(self._id(), person, _ns(start), _ns(end), instead_of)
        await self._store(rota, [change], reason, actor)
        return change.id

    async def swap(self, rota: str, one: Turn, other: Turn, reason: str, actor: str) -> None:
        """Two people take each other's turn."""
        if one.person == other.person:
            raise TurnoverRefused("turnover_same")
        self._check(rota, one.person, other.person)
        await self._store(rota, swap(self._id(), one, other), reason, actor)

    def _check(self, rota: str, *persons: str) -> None:
        for id in persons:
            if self.directory.person(id) is None:
                raise TurnoverRefused("no_person", person=id[:80])
        if rota not in self.directory.rotas():
            raise TurnoverRefused("no_rota", rota=rota[:80])

    def _id(self) -> str:
        return f"{rfc3339(self.desk.clock())}-{secrets.token_hex(4)}"

    async def _store(self, rota: str, changes: Sequence[Change], reason: str, actor: str) -> None:
        rows = [
            {
                "change": one.id,
                "rota": rota,
                "start": _written(one.start_ns),
                "end": _written(one.end_ns),
                "instead_of": one.instead_of,
                "person": one.person,
                "reason": reason[:REASON_MOST],
            }
            for one in changes
        ]
        await asyncio.to_thread(self._put, rows)
        for row in rows:
            await self.desk.note(CHANGED, actor=actor, **row)

    def _put(self, rows: Sequence[Mapping[str, Any]]) -> None:
        with people.writing(self.directory.path) as connection:
            people.put(connection, LISTS["changes"], rows)


def _ns(moment: datetime) -> int:
    return int(moment.timestamp()) * SECOND_NS


def _written(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns // SECOND_NS, UTC).isoformat()
