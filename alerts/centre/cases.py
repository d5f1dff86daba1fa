"""Cases: an incident, its alarms, what people do about it, and when its case may be closed; pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from alerts.centre.events import Change, nanoseconds
from alerts.centre.stages import FIELD, OVER, STEPS, WORSENED, Stage, after

GRADES = ("P1", "P2", "P3", "P4")
IN_BAND = frozenset({"NORMAL", "RTN_UNACK"})  # the condition is false
ARMING = frozenset(
    {"raised", "updated", "escalated", "unshelved"}
)  # these call people, where `notify` says so
LATCHED = frozenset({"LATCH_UNACK", "LATCH_ACK"})  # in band or not: someone must reset it by hand
UNACKNOWLEDGED = frozenset({"ACTIVE_UNACK", "RTN_UNACK", "LATCH_UNACK"})


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
    """What a member of staff did: a step of the table in `stages`, or shelved, unshelved, reset, noted."""

    number: int
    id: str  # whoever presses a button twice sends the same
    at_ns: int
    kind: str
    actor: str
    body: Mapping[str, Any]


def _unsure(change: Change) -> bool:
    """Said while its channel is still being learned, by a rule that has to learn, and of no high grade.

    A level needs no learning; its rule is named after medium and quantity, such as "gas.ch4.high_high".
    """
    rule = change.rule.get("id", "") if isinstance(change.rule, dict) else ""
    level = str(rule).startswith(f"{change.medium}.")
    return change.warmup and change.grade not in ("P1", "P2") and not level


@dataclass
class Alarm:
    """One alarm of a gateway: its changes by `seq`, whichever came first."""

    gateway: str
    id: str
    told: dict[int, Told] = field(default_factory=dict)
    home: str = ""  # the key of the incident that it belongs to now

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
    def said(self) -> Change:
        """The newest change that says what is wrong, with its reasons; a clearing does not."""
        wrong = [told.change for told in self.ordered if told.type in ARMING]
        return wrong[-1] if wrong else self.now

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


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a case stands, and which fact brought it there."""

    stage: Stage
    since_ns: int  # when the centre stored that fact
    number: int


@dataclass
class Incident:
    """The alarms of one cause, and the case that people keep about it."""

    gateway: str
    id: str
    alarms: dict[str, Alarm] = field(default_factory=dict)
    acts: dict[int, Act] = field(default_factory=dict)
    once: dict[str, Alarm] = field(default_factory=dict)  # alarms that some change counted to it

    @property
    def key(self) -> str:
        return f"{self.gateway}/{self.id}"

    @property
    def gateways(self) -> tuple[str, ...]:
        """Those that tell of it, its own first; several where the centre merged what they said."""
        return tuple(dict.fromkeys([self.gateway, *(alarm.gateway for alarm in self.alarms.values())]))

    @property
    def lead(self) -> Alarm:
        """The alarm that stands for the incident: the gravest, then the one that came first."""
        return min(
            self.alarms.values(), key=lambda alarm: (alarm.now.grade, alarm.first.detected_ns, alarm.id)
        )

    @property
    def grade(self) -> str:
        """Its gravest alarm's, or what a key site beside it makes of that."""
        raised = [str(act.body["grade"]) for act in self.acts.values() if act.kind == "regraded"]
        return min([self.lead.now.grade, *raised])

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
            told.change.grade == "P4" or _unsure(told.change)
            for alarm in self.alarms.values()
            for told in alarm.told.values()
        )

    @property
    def learning(self) -> bool:
        return all(alarm.now.warmup for alarm in self.alarms.values())

    @property
    def armed(self) -> int:
        """The newest fact that called people: an act counts only when it came after."""
        return max(told.number for told in self._calls)

    @property
    def _calls(self) -> list[Told]:
        """The changes that called people; of an incident that called nobody, its first."""
        every = [told for alarm in self.alarms.values() for told in alarm.told.values()]
        calls = [told for told in every if told.change.notify and told.type in ARMING]
        return calls or [min(every, key=lambda told: told.number)]

    @property
    def stage(self) -> Stage:
        return self.standing.stage

    @property
    def standing(self) -> Standing:
        """Where the acts of staff, and the changes that called people, have brought the case."""
        calls = self._calls
        turns = {told.number: (WORSENED, told.received_ns) for told in calls}
        turns |= {act.number: (act.kind, act.at_ns) for act in self.acts.values()}
        born = min(calls, key=lambda told: told.number)
        now = Standing(Stage.RECEIVED, born.received_ns, born.number)
        for number in sorted(turns):
            kind, at_ns = turns[number]
            stage = after(now.stage, kind)
            if stage is not now.stage or (kind == WORSENED and stage is Stage.RECEIVED):
                now = Standing(stage, at_ns, number)
        if now.stage is Stage.RECEIVED and (taken := self.acknowledged_at_gateway) is not None:
            return Standing(Stage.ACCEPTED, taken.received_ns, taken.number)
        return now

    @property
    def acknowledged(self) -> bool:
        """Somebody has taken it since it last called people."""
        steps = any(act.kind in STEPS for act in self.acts_since_armed)
        return steps or self.acknowledged_at_gateway is not None

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
        return self.stage not in OVER

    def last_act(self, *kinds: str) -> Act | None:
        """The newest act of these kinds that still counts."""
        return next((act for act in reversed(self.acts_since_armed) if act.kind in kinds), None)

    @property
    def finding(self) -> Act | None:
        """What the field said last, unless it was sent back to work since."""
        newest = self.last_act(*FIELD, "reworked")
        return newest if newest is not None and newest.kind in FIELD else None

    @property
    def last_order(self) -> Act | None:
        """The order by which somebody has the case in hand; None when it was returned."""
        for number in sorted(self.acts, reverse=True):
            if self.acts[number].kind in ("dispatched", "transferred", "returned"):
                return self.acts[number] if self.acts[number].kind != "returned" else None
        return None

    @property
    def assigned(self) -> str:
        """Whom it was given to, while they have it."""
        return str(self.last_order.body.get("to", "")) if self.last_order else ""

    @property
    def called_ns(self) -> int:
        """When the centre learned that people are called, the last time."""
        return max(self._calls, key=lambda told: told.number).received_ns


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
    if incident.finding is None:
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
