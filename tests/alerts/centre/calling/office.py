"""Office: a casebook, a desk and a caller in this process, with a clock that a test sets; can be killed."""

import asyncio
import shutil
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from alerts.centre.calling.caller import Caller
from alerts.centre.calling.escalation import SECOND_NS
from alerts.centre.calling.receivers import Receivers
from alerts.centre.casebook import Casebook
from alerts.centre.desk import Desk
from alerts.centre.events import Event, Fact
from alerts.centre.people.directory import Directory
from config.routing import Routing, read_routing
from tests.alerts.centre.world import Story

START_NS = 1_767_225_600 * SECOND_NS + 5 * 3600 * SECOND_NS  # 2026-01-01 13:00 in Shanghai


class Office:
    """A centre without its web. `now_s` counts from the start."""

    def __init__(
        self, folder: Path, directory: Path, routing: Routing | None = None, *, tells: bool = True
    ) -> None:
        self.directory_path = directory
        self.routing = routing or read_routing()
        self.tells = tells
        self.folder = folder
        self.lives = 0
        self.now_s = 0.0
        self._open()

    def _open(self) -> None:
        self.casebook = Casebook(self.folder / f"life-{self.lives}" / "casebook.db")
        self.casebook.open()
        self.desk = Desk(self.casebook, {"gw": 60.0}, clock=lambda: self.now_ns)
        self.desk.load()
        self.directory = Directory(self.directory_path)
        receivers = Receivers(self.directory, self.routing, "hub", "chief")
        self.caller = Caller(self.desk, receivers, self.routing, tells=self.tells)
        self.caller.load()

    @property
    def now_ns(self) -> int:
        return START_NS + int(self.now_s * SECOND_NS)

    def kill(self) -> None:
        """Gone without a goodbye: the next life has the files as they are on the disk now."""
        before = self.folder / f"life-{self.lives}"
        self.lives += 1
        shutil.copytree(before, self.folder / f"life-{self.lives}")
        self.close()
        self._open()

    def close(self) -> None:
        self.casebook.close()
        self.directory.close()

    def tell(self, event: Mapping[str, Any]) -> None:
        decoded = msgspec.json.decode(msgspec.json.encode(event), type=Event)
        self.do(self.desk.receive("gw", [decoded]))

    def act(self, key: str, kind: str, once: str, **form: str) -> None:
        self.do(self.desk.act(key, kind, {"seen": "999999999", **form}, actor="wang", once=once))

    def sweep(self) -> int:
        """One round of the caller, as `run` does it."""
        changed = {*self.desk.board.open, *self.caller.climbs.by_incident}
        return int(self.do(self.caller.round(changed)))

    def do(self, work: Any) -> Any:
        return asyncio.run(work)

    def run(self, until_s: float) -> None:
        """Let time go by, sweeping whenever something is due."""
        self.sweep()
        while (due_s := (self.caller.climbs.next_ns() - START_NS) / SECOND_NS) <= until_s:
            self.now_s = max(self.now_s, due_s)
            self.sweep()
        self.now_s = until_s

    def calls(self) -> list[tuple[float, list[str], list[str]]]:
        """(when in seconds, steps, people and organisations) of every call that is on the record."""
        with self.casebook.reading() as connection:
            facts = [Fact(*row) for row in connection.execute(
                "SELECT number, received_ns, source, id, type, incident, data FROM fact"
                " WHERE type = 'city.linkage.case.summoned.v1' ORDER BY number"
            )]  # fmt: skip
        found = []
        for fact in facts:
            body = msgspec.json.decode(fact.data)
            people = [one["person"] or one["org"] for one in body["receivers"]]
            found.append(((fact.received_ns - START_NS) / SECOND_NS, body["steps"], people))
        return found

    def letters(self) -> list[dict[str, Any]]:
        """What waits in the outbox."""
        with sqlite3.connect(self.casebook.path) as connection:
            return [msgspec.json.decode(row[0]) for row in connection.execute("SELECT event FROM outbox")]


def story(place: str = "gas.block3.riser", **given: Any) -> Story:
    """An alarm of gateway gw."""
    known: dict[str, Any] = {
        "medium": "gas",
        "kind": "third_party_damage",
        "grade": "P1",
        "tier": "district",
        "extra": {"owner": "gas_company"},
        "event_ns": START_NS,
        "detected_ns": START_NS,
    }
    return Story("urn:watchline:gw", place, {**known, **given})
