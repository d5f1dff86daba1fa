"""Patrols: rounds at key sites; one that is done is on the record, one that is left out is an incident."""

import sqlite3
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from alerts.alert import short_hash
from alerts.centre.calling import noticed
from alerts.centre.casebook import append
from alerts.centre.desk import Desk
from alerts.centre.events import STAFF_SOURCE, Fact
from alerts.centre.people.directory import Directory
from alerts.centre.people.rota import Repeat, repeat_of

SECOND_NS = 1_000_000_000
BACK_NS = 7 * 86_400 * SECOND_NS  # rounds that a centre which was away for longer missed are past walking
LOOK_NS = 10 * SECOND_NS
DONE = "city.linkage.patrol.done.v1"


class PatrolRefused(Exception):
    """No such round is due; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One time at which a round is due."""

    round: str
    site: str
    rota: str
    start_ns: int
    end_ns: int
    done_by: str  # "" = nobody has put it on the record
    done_ns: int

    def state(self, now_ns: int) -> str:
        """done, missed, due or ahead."""
        if self.done_by:
            return "done"
        return "missed" if self.end_ns <= now_ns else "due" if self.start_ns <= now_ns else "ahead"


class Patrols:
    """Rounds by the directory's list; each of their times is known by round and start."""

    def __init__(self, desk: Desk, directory: Directory) -> None:
        self.desk = desk
        self.directory = directory
        self._looked_ns = 0
        self._settled: set[str] = set()  # occurrences that were done, or whose omission is on the record

    async def look(self) -> None:
        """Raise an incident for each round that was due and is not on the record, once."""
        now_ns = self.desk.clock()
        if 0 <= now_ns - self._looked_ns < LOOK_NS:
            return
        self._looked_ns = now_ns
        rounds = self.directory.table("rounds")
        if not rounds:
            return
        known = await self.desk.run(lambda connection: _known_since(connection, rounds, now_ns))
        missed = []
        for row in rounds:
            since_ns = max(known[row["round"]], now_ns - BACK_NS)
            for start_ns, end_ns in _repeat(row).between(since_ns, now_ns):
                id = _id(row["round"], start_ns)
                if start_ns >= since_ns and end_ns <= now_ns and id not in self._settled:
                    missed.append((id, self._missed(row, start_ns, end_ns, now_ns)))

        def work(connection: sqlite3.Connection) -> list[Fact]:
            facts = [fact for id, fact in missed if not _is_done(connection, id)]
            return self.desk.append(connection, facts)

        if missed:
            await self.desk.record(work)
            self._settled |= {id for id, _ in missed}

    async def around(self, now_ns: int, back_ns: int, ahead_ns: int) -> list[Occurrence]:
        """Every time at which a round is due around now, by start; none from before it was known."""
        times = [
            (row, start_ns, end_ns)
            for row in self.directory.table("rounds")
            for start_ns, end_ns in _repeat(row).between(now_ns - back_ns, now_ns + ahead_ns)
        ]

        def look(connection: sqlite3.Connection) -> list[Occurrence]:
            known = dict(connection.execute("SELECT round, since_ns FROM round_known"))
            return [
                Occurrence(
                    row["round"],
                    row["site"],
                    row["rota"],
                    start_ns,
                    end_ns,
                    *_done_by(connection, _id(row["round"], start_ns)),
                )
                for row, start_ns, end_ns in times
                if start_ns >= known.get(row["round"], now_ns) or end_ns > now_ns
            ]

        return sorted(await self.desk.read(look), key=lambda one: (one.start_ns, one.round))

    async def done(self, round: str, actor: str, note: str = "") -> int:
        """Put a round on the record that is due now; its start. PatrolRefused where none is."""
        now_ns = self.desk.clock()
        row = next((one for one in self.directory.table("rounds") if one["round"] == round), None)
        if row is None:
            raise PatrolRefused(f"round: there is no round {round[:80]!r}; import it first")
        due = [start for start, end in _repeat(row).between(now_ns, now_ns + 1) if start <= now_ns < end]
        if not due:
            raise PatrolRefused(f"round: {round} is not due now, but from {row['start']} ({row['timezone']})")
        body = {"actor": actor, "round": round, "site": row["site"], "start_ns": due[0], "note": note[:1000]}
        fact = Fact(0, now_ns, STAFF_SOURCE, _id(round, due[0]), DONE, "", msgspec.json.encode(body))
        await self.desk.record(lambda connection: append(connection, [fact]))
        return due[0]

    def _missed(self, row: dict[str, Any], start_ns: int, end_ns: int, now_ns: int) -> Fact:
        zone = ZoneInfo(row["timezone"])
        begin, end = (datetime.fromtimestamp(ns // SECOND_NS, zone) for ns in (start_ns, end_ns))
        site = self.directory.site(row["site"])
        name, place = (site.name, site.grid) if site else (row["site"], row["rota"])
        because = (
            f"Round {row['round']} at {name} was due from {begin:%Y-%m-%d %H:%M} to {end:%H:%M}"
            f" by {row['rota']} and is not on the record."
        )
        id = _id(row["round"], start_ns)
        return noticed.raised("patrol", id, "", "patrol_missed", place, because, end_ns, now_ns)


def _repeat(row: dict[str, Any]) -> Repeat:
    start = time.fromisoformat(row["start"])
    end = (datetime.combine(datetime.min, start) + timedelta(minutes=row["within_min"])).time()
    return repeat_of(row, end)


def _id(round: str, start_ns: int) -> str:
    return f"patrol-{short_hash(round, start_ns)}"


def _is_done(connection: sqlite3.Connection, id: str) -> bool:
    return bool(_done_by(connection, id)[0])


def _done_by(connection: sqlite3.Connection, id: str) -> tuple[str, int]:
    """Who walked a round and when; ("", 0) where it is not on the record."""
    row = connection.execute(
        "SELECT CAST(data AS TEXT) ->> '$.actor', received_ns FROM fact WHERE source = ? AND id = ?",
        (STAFF_SOURCE, id),
    ).fetchone()
    return (str(row[0]), int(row[1])) if row else ("", 0)


def _known_since(connection: sqlite3.Connection, rounds: list[dict[str, Any]], now_ns: int) -> dict[str, int]:
    """Since when the centre knows each round: one that is new is not missed before."""
    known = dict(connection.execute("SELECT round, since_ns FROM round_known"))
    fresh = [(row["round"], now_ns) for row in rounds if row["round"] not in known]
    connection.executemany("INSERT INTO round_known VALUES (?, ?)", fresh)
    return known | dict(fresh)
