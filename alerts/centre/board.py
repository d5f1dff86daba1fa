"""Board: what the casebook says now; every fact folded once, a gateway's events in any order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from alerts.centre.cases import Act, Alarm, Incident, Told
from alerts.centre.events import (
    ALERT,
    CASE,
    CENTRE_SOURCE,
    CONFIRMED,
    Confirmation,
    Fact,
    change_of,
    nanoseconds,
    site_of,
)


@dataclass(frozen=True, slots=True)
class Command:
    """What a gateway is asked to do; repeated to it until it confirms."""

    id: str
    incident: str
    gateway: str
    kind: str
    actor: str
    issued_ns: int
    body: Mapping[str, Any]


class Board:
    """What the casebook says now: every fact folded once, a gateway's events in any order."""

    def __init__(self) -> None:
        self.incidents: dict[str, Incident] = {}
        self.open: dict[str, Incident] = {}
        self._closed: dict[str, Incident] = {}  # the newest closing last
        self.number = 0  # of the newest fact folded
        self.silent: dict[str, Alarm] = {}  # gateways that the centre no longer hears
        self._alarms: dict[tuple[str, str], Alarm] = {}
        self._merged: dict[str, tuple[int, str]] = {}  # superseded -> (when that was noticed, by which)
        self._pending: dict[str, dict[str, Command]] = {}
        self._commands: dict[str, Command] = {}
        self._confirmed: dict[tuple[str, str], Confirmation] = {}

    def fold(self, fact: Fact) -> set[str]:
        """Take in one fact; the keys of the incidents that it touched."""
        self.number = max(self.number, fact.number)
        touched: set[str] = set()
        if fact.type.startswith(ALERT):
            touched = self._fold_change(fact)
        elif fact.type.startswith(CASE):
            touched = self._fold_act(fact)
        elif fact.type == CONFIRMED:
            touched = self._fold_confirmation(fact)
        for key in touched:
            self._file(self.incidents[key])
        return touched

    def recently_closed(self, most: int) -> list[Incident]:
        """The cases that were closed last, newest first."""
        return list(self._closed.values())[: -most - 1 : -1]

    def _file(self, incident: Incident) -> None:
        """Keep the two lists: what is open, and what people closed."""
        if incident.open:
            self.open[incident.key] = incident
            self._closed.pop(incident.key, None)
        else:
            self.open.pop(incident.key, None)
            if incident.alarms and not incident.quiet:
                self._closed.setdefault(incident.key, incident)

    def pending(self, gateway: str) -> Sequence[Command]:
        """Commands that a gateway has not confirmed yet, oldest first."""
        return list(self._pending.get(gateway, {}).values())

    def result_of(self, command: str) -> Confirmation | None:
        """What became of a command, once its own gateway said so."""
        issued = self._commands.get(command)
        return self._confirmed.get((issued.gateway, command)) if issued else None

    def commands_of(self, act: Act) -> list[str]:
        """The ids of the commands that an act gave."""
        return [command["id"] for command in act.body.get("commands", ())]

    def _incident(self, gateway: str, id: str) -> Incident:
        key = f"{gateway}/{id}"
        if key not in self.incidents:
            self.incidents[key] = Incident(gateway, id)
        return self.incidents[key]

    def moved_to(self, incident: Incident) -> str:
        """Of an incident without alarms: the one that took them over; else nothing."""
        if incident.alarms:
            return ""
        root = self._root(incident.key)
        return root if root != incident.key else min((a.home for a in incident.once.values()), default="")

    def _fold_change(self, fact: Fact) -> set[str]:
        change = change_of(fact)
        gateway = site_of(fact.source)
        kind = fact.type.removeprefix(ALERT).partition(".")[0]
        alarm = self._alarms.setdefault((gateway, change.alert_id), Alarm(gateway, change.alert_id))
        alarm.told[change.seq] = Told(fact.number, fact.received_ns, kind, change)
        incident = self._incident(gateway, change.incident)
        incident.once[alarm.id] = alarm
        moving = {alarm.id: alarm}
        for id in change.supersedes:
            moving |= self._merge(self._incident(gateway, id), incident, nanoseconds(change.t.detected))
        touched = {incident.key}
        for moved in moving.values():
            touched |= self._settle(moved)
        if fact.source == CENTRE_SOURCE and change.kind == "gateway_silent":
            self._note_silence(alarm)
        return touched

    def _merge(self, part: Incident, whole: Incident, noticed_ns: int) -> dict[str, Alarm]:
        """An incident turned out to be part of another; the alarms that this may move."""
        moving = dict(self.incidents[self._root(part.key)].alarms)
        if part is not whole:
            known = self._merged.get(part.key, (noticed_ns, whole.key))
            self._merged[part.key] = max(known, (noticed_ns, whole.key))
        return moving

    def _settle(self, alarm: Alarm) -> set[str]:
        """Bring an alarm to where its newest change belongs; the incidents that this touches."""
        home = self._root(f"{alarm.gateway}/{alarm.now.incident}")
        before, alarm.home = alarm.home, home
        if before and before != home:
            self.incidents[before].alarms.pop(alarm.id, None)
        self.incidents[home].alarms[alarm.id] = alarm
        return {before, home} - {""}

    def _root(self, key: str) -> str:
        """Where an incident has been merged into, however often."""
        seen = {key}
        while key in self._merged and self._merged[key][1] not in seen:
            key = self._merged[key][1]
            seen.add(key)
        return key

    def _note_silence(self, alarm: Alarm) -> None:
        if not alarm.in_band:
            self.silent[alarm.now.place] = alarm
        elif self.silent.get(alarm.now.place) is alarm:
            del self.silent[alarm.now.place]

    def _fold_act(self, fact: Fact) -> set[str]:
        body = msgspec.json.decode(fact.data)
        gateway, _, id = fact.incident.partition("/")
        kind = fact.type.removeprefix(CASE).partition(".")[0]
        incident = self._incident(gateway, id)
        if kind == "merged":  # into an incident of another gateway, which then stands for both
            return self._fold_merging(fact, incident, body)
        incident.acts[fact.number] = Act(fact.number, fact.id, fact.received_ns, kind, body["actor"], body)
        for command in body.get("commands", ()):
            to = str(command.get("gateway") or gateway)
            issued = Command(
                command["id"],
                fact.incident,
                to,
                command["kind"],
                body["actor"],
                fact.received_ns,
                command["body"],
            )
            self._commands[issued.id] = issued
            if (to, issued.id) not in self._confirmed:
                self._pending.setdefault(to, {})[issued.id] = issued
        return {fact.incident}

    def _fold_merging(self, fact: Fact, part: Incident, body: Mapping[str, Any]) -> set[str]:
        gateway, _, id = str(body["into"]).partition("/")
        whole = self._incident(gateway, id)
        touched = {part.key, whole.key}
        for alarm in self._merge(part, whole, fact.received_ns).values():
            touched |= self._settle(alarm)
        root = self.incidents[self._root(part.key)]
        root.acts |= part.acts  # cases fold: what was done about the part was done about the whole
        part.acts = {}
        return {*touched, root.key}

    def _fold_confirmation(self, fact: Fact) -> set[str]:
        confirmation = msgspec.json.decode(fact.data, type=Confirmation)
        gateway = site_of(fact.source)
        self._confirmed.setdefault((gateway, confirmation.command), confirmation)
        command = self._pending.get(gateway, {}).pop(confirmation.command, None)
        return set() if command is None else {command.incident}
