"""Caller: keeps every open incident's climb durable and calls whoever is due, in one transaction a time."""

import asyncio
import logging
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from alerts.alert import rfc3339, short_hash
from alerts.centre.calling.attending import Attending
from alerts.centre.calling.escalation import (
    NEVER,
    SECOND_NS,
    Call,
    Climb,
    Climbs,
    advance,
    answered,
    begin,
    climb_on,
    shelved,
)
from alerts.centre.calling.ladder import Matter
from alerts.centre.calling.patrols import Patrols
from alerts.centre.calling.receivers import AMBULANCE, Receiver, Receivers
from alerts.centre.calling.rosters import Rosters
from alerts.centre.calling.wearers import cared_for, follows_care, plan_of
from alerts.centre.care import care_of
from alerts.centre.casebook import CasebookFailed, append
from alerts.centre.cases import Incident
from alerts.centre.desk import Desk
from alerts.centre.events import ALERT, CASE, CENTRE_SOURCE, Fact
from alerts.centre.stages import Stage
from config.grades import read_grades
from config.routing import Routing

log = logging.getLogger(__name__)

AT_ONCE = 200  # incidents called about in one transaction
LOOK_S = 30.0  # a clock that was set is noticed after so long
RETRY_S = 1.0
UNKNOWN_KIND = "unknown_kind"
BESIDE = -1  # number of the call that is no step of the ladder
ON_THE_SPOT = frozenset({Stage.HANDLING, Stage.FEEDBACK, Stage.VERIFYING, Stage.TRANSFERRED})
COLUMNS = "incident, armed, grade, began_ns, step, calls, called_ns, taken, arrived, due_ns"


class Caller:
    """Runs on the desk's loop. `tells`: somebody reads the outbox, so that calls go there too.

    `areas`: by gateway the organisation in whose area it stands, for its roster.
    """

    def __init__(
        self,
        desk: Desk,
        receivers: Receivers,
        routing: Routing,
        *,
        tells: bool,
        areas: Mapping[str, str] | None = None,
    ) -> None:
        self.desk = desk
        self.attending = Attending(desk, receivers, routing)
        self.patrols = Patrols(desk, receivers.directory)
        self.rosters = Rosters(desk, receivers, areas or {})
        self.receivers = receivers
        self.routing = routing
        self.climbs = Climbs()
        self.trouble = ""  # why nobody can be called, "" where all is well
        self._tells = tells

    def load(self) -> None:
        """The climbs as they were kept; what happened to their incidents since is seen in `catch_up`."""
        with self.desk.casebook.reading() as connection:
            rows = connection.execute(f"SELECT {COLUMNS} FROM climb")
            self.climbs = Climbs(map(_climb, rows))

    async def run(self) -> None:
        """Call whenever something is due, until cancelled. What cannot be stored is tried again."""
        listener = self.desk.listen()
        try:
            changed = {*self.desk.board.open, *self.climbs.by_incident}
            while True:
                try:
                    first = set(sorted(changed, key=self._urgency)[:AT_ONCE])
                    await self.round(first)
                    changed -= first
                except (CasebookFailed, sqlite3.Error) as error:
                    self._note_trouble(str(error))
                    await asyncio.sleep(RETRY_S)
                    continue
                self._note_trouble("")
                due_ns = self.climbs.next_ns() if not changed else 0
                wait_s = LOOK_S if due_ns == NEVER else (due_ns - self.desk.clock()) / SECOND_NS
                changed |= await listener.wait(min(LOOK_S, max(0.0, wait_s)))
        finally:
            self.desk.leave(listener)

    def _note_trouble(self, trouble: str) -> None:
        """Said once when nobody can be called, and once when it is over."""
        if trouble and trouble != self.trouble:
            log.error("nobody can be called until casebook and directory can be used: %s", trouble)
        elif self.trouble and not trouble:
            log.warning("people are called again")
        self.trouble = trouble

    def _urgency(self, key: str) -> str:
        incident = self.desk.board.open.get(key)
        return "P9" if incident is None else incident.grade

    async def round(self, changed: set[str]) -> int:
        """All that is due now, and what follows from incidents that changed; how many calls were made."""
        await self.patrols.look()
        await self.attending.attend(changed)
        await self.catch_up(changed)
        made = await self.sweep() + await self._call_ambulance(changed)
        await self.rosters.send()
        return made

    async def catch_up(self, keys: set[str]) -> None:
        """Start, answer or end the climbs of incidents that changed."""
        kept: list[Climb] = []
        ended: list[str] = []
        for key in keys:
            known = self.climbs.by_incident.get(key)
            climb = self._climb_of(key, known)
            if climb is None and known is not None:
                ended.append(key)
            elif climb is not None and climb != known:
                kept.append(climb)
        if not kept and not ended:
            return

        def work(connection: sqlite3.Connection) -> None:
            _keep(connection, kept)
            connection.executemany("DELETE FROM climb WHERE incident = ?", [(key,) for key in ended])

        await self.desk.run(work)
        for climb in kept:
            self.climbs.keep(climb)
        for key in ended:
            self.climbs.drop(key)

    async def sweep(self) -> int:
        """Make the calls that are due, stored with the climbs in one transaction; how many."""
        made = 0
        while due := self.climbs.due(self.desk.clock(), AT_ONCE):
            try:
                made += await self._call(due)
            except CasebookFailed:
                for climb in due:
                    self.climbs.keep(climb)
                raise
        return made

    async def _call(self, due: Sequence[Climb]) -> int:
        now_ns = self.desk.clock()
        facts: list[Fact] = []
        letters: list[tuple[str, str, str, int]] = []
        after: list[Climb] = []
        for climb in due:
            incident = self.desk.board.incidents.get(climb.incident)
            if incident is None or not incident.alarms:
                continue
            matter = matter_of(incident)
            climb, call, names, receivers = self._reach(climb, matter, now_ns)
            after.append(climb)
            if call is not None:
                fact = _fact(climb, call, names, receivers, now_ns, matter.flagged)
                facts.append(fact)
                letters.append(_letter(fact, incident, call, receivers))

        await self._store(facts, letters, after)
        for climb in after:
            self.climbs.keep(climb)
        return len(facts)

    async def _store(
        self, facts: Sequence[Fact], letters: Sequence[tuple[str, str, str, int]], climbs: Sequence[Climb]
    ) -> None:
        """Calls, what tells of them, and the climbs after them: one transaction."""

        def work(connection: sqlite3.Connection) -> list[Fact]:
            stored = append(connection, facts)
            fresh = {fact.id for fact in stored}
            if self._tells:
                connection.executemany(
                    "INSERT INTO outbox (event_id, grade, event, created_ns) VALUES (?, ?, ?, ?)",
                    [letter for letter in letters if letter[0] in fresh],
                )
            _keep(connection, climbs)
            return stored

        await self.desk.record(work)

    async def _call_ambulance(self, keys: set[str]) -> int:
        """120, and the desk with it, once somebody's need is confirmed: beside all other calls; how many."""
        now_ns = self.desk.clock()
        facts: list[Fact] = []
        letters: list[tuple[str, str, str, int]] = []
        for key in keys:
            incident = self.desk.board.open.get(key)
            care = None if incident is None else care_of(incident, now_ns)
            if incident is None or care is None or care.ambulance != "now" or _was_called(incident):
                continue
            matter, names = matter_of(incident), [AMBULANCE, "desk"]
            receivers = self.receivers.of(names, matter, now_ns) or self.receivers.of(
                ["last"], matter, now_ns
            )
            call = Call(key, BESIDE, (), AMBULANCE)
            climb = begin(key, incident.armed, incident.grade, incident.called_ns)
            facts.append(_fact(climb, call, names, receivers, now_ns, matter.flagged))
            letters.append(_letter(facts[-1], incident, call, receivers))
        if facts:
            await self._store(facts, letters, [])
        return len(facts)

    def _reach(
        self, climb: Climb, matter: Matter, now_ns: int
    ) -> tuple[Climb, Call | None, list[str], list[Receiver]]:
        """Advance a climb; where nobody stands on the steps that are due, the next are called at once."""
        rules, ladder = plan_of(matter, self.routing)
        climb, call = advance(climb, rules, ladder, now_ns)
        if call is None:
            return climb, None, [], []
        steps = list(call.steps)
        while True:
            names = [name for step in steps for name in ladder[step].to]
            below = [name for step in ladder[: max(steps)] for name in step.to if name != "backups"]
            receivers = self.receivers.of(names, matter, now_ns, below)
            if receivers or climb.step >= len(ladder):
                return climb, call, list(dict.fromkeys(names)), receivers
            steps.append(climb.step)
            climb = climb_on(climb, rules, ladder)

    def _climb_of(self, key: str, known: Climb | None) -> Climb | None:
        incident = self.desk.board.open.get(key)
        if incident is None or incident.quiet:
            return None
        grade, armed = incident.grade, incident.armed
        climb = known
        if climb is None or climb.armed != armed or climb.grade != grade:
            climb = begin(key, armed, grade, incident.called_ns)
        matter = matter_of(incident)
        rules, ladder = plan_of(matter, self.routing)
        taken = incident.acknowledged
        arrived = taken and incident.stage in ON_THE_SPOT
        care = care_of(incident, self.desk.clock()) if follows_care(matter, self.routing) else None
        if care is None:
            climb = answered(climb, rules, ladder, taken=taken, arrived=arrived)
        else:
            climb = cared_for(climb, care, rules, ladder, taken=taken, arrived=arrived)
        until_ns = incident.shelved_until_ns
        if until_ns is not None and (until_ns == 0 or until_ns > self.desk.clock()):
            return shelved(climb, until_ns)
        return climb


def _was_called(incident: Incident) -> bool:
    """Whether 120 was called for this alarm already."""
    return any(
        act.kind == "summoned" and act.body.get("why") == AMBULANCE for act in incident.acts_since_armed
    )


def matter_of(incident: Incident) -> Matter:
    """What decides who is called, from the incident's leading alarm."""
    lead = incident.lead.said
    grading = read_grades().of(lead.medium, lead.kind)
    return Matter(
        incident.grade,
        lead.medium,
        lead.kind,
        lead.tier or grading.tier,
        lead.owner or grading.owner,
        lead.place,
        police=lead.kind == "police_matter",
        flagged=not read_grades().knows(lead.medium, lead.kind),
    )


def _climb(row: tuple[Any, ...]) -> Climb:
    incident, armed, grade, began_ns, step, calls, called_ns, taken, arrived, due_ns = row
    return Climb(incident, armed, grade, began_ns, step, calls, called_ns, bool(taken), bool(arrived), due_ns)


def _keep(connection: sqlite3.Connection, climbs: Sequence[Climb]) -> None:
    connection.executemany(
        f"INSERT OR REPLACE INTO climb ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        climbs,
    )


def _fact(
    climb: Climb, call: Call, names: Sequence[str], receivers: Sequence[Receiver], now_ns: int, flagged: bool
) -> Fact:
    """A call as the casebook holds it: who, and no telephone number."""
    body = {
        "actor": "centre",
        "receivers": [{"org": one.org, "person": one.person} for one in receivers],
        "steps": list(names),
        "why": call.why,
        "grade": climb.grade,
        **({"flag": UNKNOWN_KIND} if flagged else {}),
    }
    id = f"call-{short_hash(climb.incident, climb.armed, climb.grade, call.number)}"
    return Fact(0, now_ns, CENTRE_SOURCE, id, f"{CASE}summoned.v1", climb.incident, msgspec.json.encode(body))


def _letter(
    fact: Fact, incident: Incident, call: Call, receivers: Sequence[Receiver]
) -> tuple[str, str, str, int]:
    """The same as a change `escalated` for the notifiers, with the ways to reach those who are called."""
    said: dict[str, Any] = msgspec.to_builtins(incident.lead.said)
    data = {
        **{name: value for name, value in said.items() if value not in (None, "", [], {}) and name != "plot"},
        "notify": True,
        "case": incident.key,
        "why": call.why,
        **({"flag": UNKNOWN_KIND} if matter_of(incident).flagged else {}),
        "to": [{"org": one.org, "person": one.person, "contacts": one.contacts} for one in receivers],
    }
    event = {
        "specversion": "1.0",
        "id": fact.id,
        "source": CENTRE_SOURCE,
        "type": f"{ALERT}escalated.v1",
        "time": rfc3339(fact.received_ns),
        "subject": f"{data.get('medium', '')}/{data['place']}",
        "datacontenttype": "application/json",
        "data": data,
    }
    return fact.id, incident.grade, msgspec.json.encode(event).decode(), fact.received_ns
