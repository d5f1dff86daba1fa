"""Cases: facts folded into incidents and what people do about them; pure, whatever the order of arrival."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import msgspec

from alerts.centre.events import (
    ALERT,
    CASE,
    CENTRE_SOURCE,
    CONFIRMED,
    Change,
    Confirmation,
    Fact,
    change_of,
    nanoseconds,
    site_of,
)

GRADES = ("P1", "P2", "P3", "P4")
IN_BAND = frozenset({"NORMAL", "RTN_UNACK"})  # the condition is false
ARMING = frozenset(
    {"raised", "updated", "escalated", "unshelved"}
)  # these call people, where `notify` says so
LATCHED = frozenset({"LATCH_UNACK", "LATCH_ACK"})  # in band or not: someone must reset it by hand
UNACKNOWLEDGED = frozenset({"ACTIVE_UNACK", "RTN_UNACK", "LATCH_UNACK"})


class Stage(StrEnum):
    """Where a case stands: those steps of the seven-step loop (domain facts §3) that are walked here."""

    RECEIVED = "received"  # 受理: nobody has taken it yet
    ACCEPTED = "accepted"  # 接单: someone has acknowledged it
    VERIFYING = "verifying"  # 核查: confirmed in the field, the signal must prove it
    CLOSED = "closed"  # 结案


NEXT: Mapping[tuple[Stage, str], Stage] = {  # (where it stands, what is done) -> where it then stands
    (Stage.RECEIVED, "acknowledged"): Stage.ACCEPTED,
    (Stage.RECEIVED, "confirmed"): Stage.VERIFYING,
    (Stage.ACCEPTED, "confirmed"): Stage.VERIFYING,
    (Stage.VERIFYING, "confirmed"): Stage.VERIFYING,
    (Stage.VERIFYING, "closed"): Stage.CLOSED,
}


@dataclass(frozen=True, slots=True)
class Told:
    """A change as the centre came to know it."""

    number: int
    received_ns: int
    type: str  # raised, updated, acknowledged, cleared, shelved …
    change: Change

    @property
    def detected_ns(self) -> int:
        return nanoseconds(self.change.t.detected)


@dataclass(frozen=True, slots=True)
class Act:
    """What a member of staff did: acknowledged, shelved, unshelved, confirmed, reset, closed."""

    number: int
    id: str  # whoever presses a button twice sends the same
    at_ns: int
    kind: str
    actor: str
    body: Mapping[str, Any]


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


@dataclass
class Alarm:
    """One alarm of a gateway: its changes by `seq`, whichever came first."""

    gateway: str
    id: str
    told: dict[int, Told] = field(default_factory=dict)

    @property
    def ordered(self) -> list[Told]:
        return [self.told[seq] for seq in sorted(self.told)]

    @property
    def now(self) -> Change:
        """The newest change that is known."""
        return self.told[max(self.told)].change

    @property
    def first(self) -> Told:
        return self.told[min(self.told)]

    @property
    def in_band(self) -> bool:
        return self.now.state in IN_BAND

    @property
    def calm_since_ns(self) -> int | None:
        """When the centre learned that the signal is back in band, counted from the last time it was not."""
        since = None
        for told in reversed(self.ordered):
            if told.change.state not in IN_BAND:
                break
            since = told.received_ns
        return since

    @property
    def shelved_until_ns(self) -> int | None:
        """While shelved: when that ends (0 where the gateway did not say); else None."""
        until = None
        for told in self.ordered:
            if told.type == "shelved":
                until = nanoseconds(told.change.shelved_until) if told.change.shelved_until else 0
            elif told.type in ("unshelved", "raised"):
                until = None
        return until

    @property
    def plot(self) -> Any:
        """The newest plot that came with a change."""
        return next((told.change.plot for told in reversed(self.ordered) if told.change.plot), None)


@dataclass
class Incident:
    """The alarms of one cause, and the case that people keep about it."""

    gateway: str
    id: str
    alarms: dict[str, Alarm] = field(default_factory=dict)
    acts: dict[int, Act] = field(default_factory=dict)
    moved_to: str = ""  # the incident that took over its last alarm

    @property
    def key(self) -> str:
        return f"{self.gateway}/{self.id}"

    @property
    def lead(self) -> Alarm:
        """The alarm that stands for the incident: the gravest, then the one that came first."""
        return min(
            self.alarms.values(), key=lambda alarm: (alarm.now.grade, alarm.first.detected_ns, alarm.id)
        )

    @property
    def grade(self) -> str:
        return self.lead.now.grade

    @property
    def known(self) -> int:
        """Its newest fact."""
        return max(
            [told.number for alarm in self.alarms.values() for told in alarm.told.values()] + [*self.acts, 0]
        )

    @property
    def since_ns(self) -> int:
        return min(nanoseconds(alarm.first.change.t.event) for alarm in self.alarms.values())

    @property
    def quiet(self) -> bool:
        """Information or learning only: it asks nothing of anyone, and ends when its signals do."""
        return not self.acts and all(
            told.change.grade == "P4" or told.change.warmup
            for alarm in self.alarms.values()
            for told in alarm.told.values()
        )

    @property
    def learning(self) -> bool:
        return all(alarm.now.warmup for alarm in self.alarms.values())

    @property
    def armed(self) -> int:
        """The newest fact that called people: an act counts only when it came after."""
        every = [told for alarm in self.alarms.values() for told in alarm.told.values()]
        calls = [told.number for told in every if told.change.notify and told.type in ARMING]
        return max(calls) if calls else min(told.number for told in every)

    @property
    def stage(self) -> Stage:
        stage = Stage.RECEIVED
        for act in self.acts_since_armed:
            stage = NEXT.get((stage, act.kind), stage)
        if stage is Stage.RECEIVED and self.acknowledged_at_gateway:
            return Stage.ACCEPTED
        return stage

    @property
    def acts_since_armed(self) -> list[Act]:
        armed = self.armed
        return [self.acts[number] for number in sorted(self.acts) if number > armed]

    @property
    def acknowledged_at_gateway(self) -> Told | None:
        """Someone of the gateway's own roster took it, and no alarm waits for an acknowledgement."""
        if any(alarm.now.state in UNACKNOWLEDGED for alarm in self.alarms.values()):
            return None
        taken = [t for a in self.alarms.values() for t in a.told.values() if t.type == "acknowledged"]
        return max(taken, key=lambda told: told.number, default=None)

    @property
    def in_band(self) -> bool:
        return all(alarm.in_band for alarm in self.alarms.values())

    @property
    def latched(self) -> list[Alarm]:
        return [alarm for alarm in self.alarms.values() if alarm.now.state in LATCHED]

    @property
    def shelved_until_ns(self) -> int | None:
        """While every alarm that still speaks is shelved: when the first of them ends; else None."""
        speaking = [alarm.shelved_until_ns for alarm in self.alarms.values() if not alarm.in_band]
        ends = [end for end in speaking if end is not None]
        return min(ends) if ends and len(ends) == len(speaking) else None

    @property
    def open(self) -> bool:
        """Whether it still wants attention. A signal that returns never closes a case."""
        if not self.alarms:
            return False
        if self.quiet:
            return not self.in_band
        return self.stage is not Stage.CLOSED

    def last_act(self, kind: str) -> Act | None:
        """The newest act of this kind that still counts."""
        return next((act for act in reversed(self.acts_since_armed) if act.kind == kind), None)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Something that must come true before a case may be closed."""

    what: str  # field, signal, window, reset, gateway
    until_ns: int | None = None
    alarms: int = 0


def waiting_for(incident: Incident, now_ns: int, verify_ns: int, gateway_silent: bool) -> list[Waiting]:
    """What still stands between a case and its closing (domain facts §3); empty when it may be closed.

    Needed: a confirmation from the field since it last grew worse, and every signal back in band for
    `verify_ns`, told by a gateway that is being heard: silence proves nothing.
    """
    missing = []
    if incident.last_act("confirmed") is None:
        missing.append(Waiting("field"))
    if incident.latched:
        missing.append(Waiting("reset", alarms=len(incident.latched)))
    out = sum(not alarm.in_band and alarm.now.state not in LATCHED for alarm in incident.alarms.values())
    if out:
        missing.append(Waiting("signal", alarms=out))
    if gateway_silent:
        missing.append(Waiting("gateway"))
    calm = [since for alarm in incident.alarms.values() if (since := alarm.calm_since_ns) is not None]
    if not out and not incident.latched and calm and max(calm) + verify_ns > now_ns:
        missing.append(Waiting("window", until_ns=max(calm) + verify_ns))
    return missing


class Board:
    """What the casebook says now: every fact folded once, a gateway's events in any order."""

    def __init__(self) -> None:
        self.incidents: dict[str, Incident] = {}
        self.open: dict[str, Incident] = {}
        self._closed: dict[str, Incident] = {}  # the newest closing last
        self.number = 0  # of the newest fact folded
        self.silent: dict[str, Alarm] = {}  # gateways that the centre no longer hears
        self._alarms: dict[tuple[str, str], Alarm] = {}
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

    def _fold_change(self, fact: Fact) -> set[str]:
        change = change_of(fact)
        gateway = site_of(fact.source)
        kind = fact.type.removeprefix(ALERT).partition(".")[0]
        alarm = self._alarms.setdefault((gateway, change.alert_id), Alarm(gateway, change.alert_id))
        homes = {told.change.incident for told in alarm.told.values()}
        alarm.told[change.seq] = Told(fact.number, fact.received_ns, kind, change)
        homes.add(change.incident)
        home = self._incident(gateway, alarm.now.incident)
        for id in homes:  # a late parent may take over an alarm: it lives where its newest change says
            incident = self._incident(gateway, id)
            if incident is home:
                incident.alarms[alarm.id] = alarm
                incident.moved_to = ""
            else:
                incident.alarms.pop(alarm.id, None)
                incident.moved_to = "" if incident.alarms else home.key
        if fact.source == CENTRE_SOURCE:
            self._note_silence(alarm)
        return {f"{gateway}/{id}" for id in homes}

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
        incident.acts[fact.number] = Act(fact.number, fact.id, fact.received_ns, kind, body["actor"], body)
        for command in body.get("commands", ()):
            issued = Command(
                command["id"],
                fact.incident,
                gateway,
                command["kind"],
                body["actor"],
                fact.received_ns,
                command["body"],
            )
            self._commands[issued.id] = issued
            if (gateway, issued.id) not in self._confirmed:
                self._pending.setdefault(gateway, {})[issued.id] = issued
        return {fact.incident}

    def _fold_confirmation(self, fact: Fact) -> set[str]:
        confirmation = msgspec.json.decode(fact.data, type=Confirmation)
        gateway = site_of(fact.source)
        self._confirmed.setdefault((gateway, confirmation.command), confirmation)
        command = self._pending.get(gateway, {}).pop(confirmation.command, None)
        return set() if command is None else {command.incident}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an incident's timeline: a change told by the gateway, or an act of staff."""

    at_ns: int
    number: int
    told: Told | None = None
    act: Act | None = None


def timeline(incident: Incident) -> list[Line]:
    """All that happened, newest first."""
    return sorted(_lines(incident), key=lambda line: (line.at_ns, line.number), reverse=True)


def _lines(incident: Incident) -> Iterator[Line]:
    for alarm in incident.alarms.values():
        for told in alarm.told.values():
            yield Line(told.detected_ns, told.number, told=told)
    for act in incident.acts.values():
        yield Line(act.at_ns, act.number, act=act)
