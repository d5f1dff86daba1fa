"""Incidents: the alarms of one cause, merged by place, by links, or else by zone and coincidence in time."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from alerts.alert import short_hash
from alerts.belief import WEAK, Clue, believe
from alerts.comovement import Comovement
from alerts.states import ACTIVE, State
from config.channels import Link
from config.grades import FAULT

SECOND_NS = 1_000_000_000
EVENT, MAINTENANCE, NOTICE = "event", "maintenance", "notice"
"""Families: what happened in the city, sensors at fault, and information; they never merge."""

NOTICES = frozenset({"late_detected", "regime_change", "demand_change", "brief_draw", "alarm_flood"})
"""Kinds that are information, or a question."""

EVERYWHERE = frozenset({"voltage_sag", "frequency_deviation"})
"""Kinds that one cause brings to a whole network at once, across zones and links."""


@dataclass(slots=True)
class Alarm:
    """The ISA-18.2 state of one rule on one channel. `key` names its point; identity is the fingerprint."""

    key: str
    fingerprint: str
    alert_id: str
    rule: str
    channel: int
    medium: str
    place: str
    zone: str
    quantity: str
    period_s: float
    own_kind: str  # what the detector itself says, "" = ask the evidence
    state: State = State.PENDING
    severity: int = 0
    grade: str = ""
    kind: str = ""
    seq: int = 0
    occurrence: int = 1
    incident: str = ""
    told: bool = False  # people were told that it is on
    event_ns: int = 0
    sentence: str = ""  # what its detector said
    because: str = ""  # what people are told …
    because_zh: str = ""  # … and in Chinese
    direction: int = 0
    gone: bool = False
    outlet: bool = False  # its channel lies behind a gas regulator
    rebound: bool = False  # a channel of its incident that swings back: no new evidence
    numbers: dict[str, Any] = field(default_factory=dict)
    score: float = 0.0  # how unusual, on the calibrated scale
    scores: dict[str, Any] = field(default_factory=dict)  # of every rule on its channel at that moment
    observed: dict[str, Any] | None = None
    announced: str = ""  # the announcement that lowers its grade
    announced_until_ns: int = 0
    suppressed_by: str = ""  # the alert whose alarm says it all

    @property
    def active(self) -> bool:
        """Its condition holds."""
        return self.state in ACTIVE

    @property
    def family(self) -> str:
        """With what it may merge."""
        if self.own_kind.startswith(FAULT):
            return MAINTENANCE
        return NOTICE if self.own_kind in NOTICES else EVENT

    def clue(self) -> Clue:
        """What it contributes to the belief of its incident."""
        return Clue(
            self.medium,
            self.place,
            self.quantity,
            self.direction,
            self.rule,
            self.own_kind,
            self.gone,
            self.outlet,
            self.channel,
            self.zone,
        )

    def to_json(self) -> dict[str, Any]:
        return {column.name: getattr(self, column.name) for column in fields(self)}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> "Alarm":
        return cls(**{**saved, "state": State(saved["state"])})


SETS = ("active", "places", "zones", "named")


@dataclass(slots=True)
class Incident:
    """The alarms of one cause. It is over once all are calm and have been so for a while."""

    id: str
    family: str
    medium: str
    opened_ns: int
    grown_ns: int  # when the last alarm joined
    period_s: float  # longest of its channels
    kind: str = ""
    reason: str = ""
    sure: bool = False  # several signs agree
    told: str = ""  # the worst grade that people were told, "" = nothing yet
    told_ns: int = 0  # when they were told last
    named: set[str] = field(default_factory=set)  # what detectors called by its name, and people were told
    calm_ns: int = 0  # since when all its alarms are calm; meaningless while any is active
    alarms: dict[str, None] = field(default_factory=dict)  # keys, in order of joining
    active: set[str] = field(default_factory=set)  # keys whose condition holds
    places: set[str] = field(default_factory=set)
    zones: set[str] = field(default_factory=set)
    clues: dict[str, Clue] = field(default_factory=dict)  # by key: what each had to say
    leaning: dict[str, int] = field(default_factory=dict)  # by place and quantity: the first direction

    def hear(self, alarm: Alarm) -> None:
        """Take an alarm as evidence, unless it only says that a channel swings back."""
        way = self.leaning.setdefault(f"{alarm.place} {alarm.quantity}", alarm.direction)
        alarm.rebound = alarm.own_kind in WEAK and alarm.direction != 0 and alarm.direction == -way
        if not alarm.rebound:
            self.clues[alarm.key] = alarm.clue()

    def to_json(self) -> dict[str, Any]:
        plain = {column.name: getattr(self, column.name) for column in fields(self)}
        for name in SETS:
            plain[name] = sorted(plain[name])
        clues = {key: asdict(clue) for key, clue in self.clues.items()}
        return {**plain, "alarms": list(self.alarms), "leaning": dict(self.leaning), "clues": clues}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> "Incident":
        sets = {name: set(saved.get(name, ())) for name in SETS}
        clues = {key: Clue(**clue) for key, clue in saved["clues"].items()}
        return cls(**{**saved, **sets, "alarms": dict.fromkeys(saved["alarms"]), "clues": clues})


@dataclass(frozen=True)
class Merging:
    """How far apart, in place and time, alarms may lie and still have one cause.

    Times count in stream time from when the incident last grew, or last calmed; where channels report
    slowly, in periods: a slow channel cannot say earlier that it is part of it.
    """

    hops: int = 3  # over links, in either direction: a burst is felt upstream and downstream
    linked_s: float = 15 * 60.0
    linked_periods: float = 6.0
    zone_s: float = 5 * 60.0
    zone_periods: float = 3.0
    network_s: float = 2 * 60.0  # for kinds that come everywhere at once
    network_periods: float = 2.0
    quiet_s: float = 30 * 60.0  # all alarms calm for so long: the incident is over


class Incidents:
    """The open incidents of a site, found by place and zone."""

    def __init__(self, links: Sequence[Link], merging: Merging) -> None:
        self.merging = merging
        self.comovement = Comovement()
        self.open: dict[str, Incident] = {}
        self._neighbours: dict[str, set[str]] = {}
        for link in links:
            self._neighbours.setdefault(link.source, set()).add(link.target)
            self._neighbours.setdefault(link.target, set()).add(link.source)
        self._near: dict[str, frozenset[str]] = {}
        self._at: dict[str, list[str]] = {}  # ids by place
        self._in: dict[tuple[str, str], list[str]] = {}  # ids by medium and zone

    def join(self, alarm: Alarm, now_ns: int) -> tuple[Incident, list[Incident]]:
        """The incident to which the alarm now belongs, and those that turn out to be the same one.

        Those have been dissolved: their alarms belong to it, too. `alarm.incident` is set.
        """
        found = sorted(
            self._same_cause(alarm, now_ns), key=lambda incident: (incident.opened_ns, incident.id)
        )
        if found:
            incident, others = (
                found[0],
                [i for i in found[1:] if alarm.place in i.places or self._close(i, alarm)],
            )
        else:
            incident, others = self._opened(alarm, now_ns), []
        for other in others:
            self._absorb(incident, other)
        self._add(incident, alarm, now_ns)
        return incident, others

    def calm(self, alarm: Alarm, now_ns: int) -> Incident | None:
        """The alarm's condition is over; its incident, unless that is over, too."""
        incident = self.open.get(alarm.incident)
        if incident is not None:
            incident.active.discard(alarm.key)
            incident.calm_ns = now_ns
        return incident

    def close_quiet(self, now_ns: int) -> None:
        """Forget the incidents that are over."""
        for incident in [one for one in self.open.values() if self.ends_ns(one) <= now_ns]:
            self._forget(incident)

    def ends_ns(self, incident: Incident) -> int:
        """When an incident will be over if nothing more happens."""
        if incident.active:
            return 2**63 - 1
        return incident.calm_ns + round(self.merging.quiet_s * SECOND_NS)

    def near(self, place: str) -> frozenset[str]:
        """Places within the hops, itself included."""
        if place not in self._near:
            reached = ring = {place}
            for _ in range(self.merging.hops):
                ring = {n for p in ring for n in self._neighbours.get(p, ())} - reached
                reached = reached | ring
            self._near[place] = frozenset(reached)
        return self._near[place]

    def state(self) -> list[dict[str, Any]]:
        return [incident.to_json() for incident in self.open.values()]

    def restore(self, saved: Iterable[Mapping[str, Any]]) -> None:
        self.open, self._at, self._in = {}, {}, {}
        for one in saved:
            incident = Incident.from_json(one)
            self.open[incident.id] = incident
            self._index(incident, incident.places, incident.zones)

    def _same_cause(self, alarm: Alarm, now_ns: int) -> list[Incident]:
        family = alarm.family
        here = self._of(self._at.get(alarm.place, ()), family)
        if family == NOTICE:
            return [incident for incident in here if incident.kind == alarm.own_kind]
        if here or alarm.medium == "wristband":  # one person is one incident
            return here + ([] if family == MAINTENANCE else self._linked(alarm, now_ns, known=here))
        if family == MAINTENANCE:
            return self._same_fault(alarm, now_ns)
        found = self._linked(alarm, now_ns, known=[])
        return found or self._coinciding(alarm, now_ns)

    def _linked(self, alarm: Alarm, now_ns: int, known: list[Incident]) -> list[Incident]:
        if alarm.medium == "wristband":
            return []
        ids = {id for place in self.near(alarm.place) for id in self._at.get(place, ())}
        m = self.merging
        return [
            incident
            for incident in self._of(sorted(ids), EVENT)
            if incident not in known
            and incident.medium != "wristband"
            and _within(incident, alarm, now_ns, m.linked_s, m.linked_periods)
        ]

    def _coinciding(self, alarm: Alarm, now_ns: int) -> list[Incident]:
        """Where no links tell: same medium and time, and the same zone or a place that came with it before.

        Some kinds come everywhere at once.
        """
        m = self.merging
        found = [
            incident
            for incident in self._of(self._likely(alarm), EVENT)
            if not (alarm.place in self._neighbours and self._linked_somewhere(incident))
            and _within(incident, alarm, now_ns, m.zone_s, m.zone_periods)
        ]
        kind = believe([alarm.clue()], {}).kind
        if not found and kind in EVERYWHERE:
            found = [
                incident
                for incident in self.open.values()
                if incident.kind == kind and _within(incident, alarm, now_ns, m.network_s, m.network_periods)
            ]
        return found

    def _likely(self, alarm: Alarm) -> list[str]:
        """Ids of incidents of its medium in its zone, or at a place that turned strange with it before."""
        ids = list(self._in.get((alarm.medium, alarm.zone), ()))
        for place in sorted(self.comovement.with_(alarm.place)):
            there = self._at.get(place, ())
            ids += [id for id in there if id not in ids and self.open[id].medium == alarm.medium]
        return ids

    def _same_fault(self, alarm: Alarm, now_ns: int) -> list[Incident]:
        """Sensors of a zone that fail alike at once: a cable, a radio cell, a broker."""
        m = self.merging
        return [
            incident
            for incident in self._of(self._in.get((alarm.medium, alarm.zone), ()), MAINTENANCE)
            if incident.kind == alarm.own_kind and _within(incident, alarm, now_ns, m.zone_s, m.zone_periods)
        ]

    def _of(self, ids: Iterable[str], family: str) -> list[Incident]:
        return [self.open[id] for id in ids if self.open[id].family == family]

    def _linked_somewhere(self, incident: Incident) -> bool:
        return any(place in self._neighbours for place in incident.places)

    def _close(self, incident: Incident, alarm: Alarm) -> bool:
        return not incident.places.isdisjoint(self.near(alarm.place))

    def _opened(self, alarm: Alarm, now_ns: int) -> Incident:
        id = short_hash("incident", alarm.alert_id)
        kind = believe([alarm.clue()], {}).kind if alarm.family == EVENT else alarm.own_kind
        incident = Incident(id, alarm.family, alarm.medium, now_ns, now_ns, alarm.period_s, kind)
        self.open[id] = incident
        return incident

    def _add(self, incident: Incident, alarm: Alarm, now_ns: int) -> None:
        alarm.incident = incident.id
        incident.grown_ns = now_ns
        incident.period_s = max(incident.period_s, alarm.period_s)
        if alarm.key not in incident.alarms:
            incident.alarms[alarm.key] = None
        incident.active.add(alarm.key)
        incident.hear(alarm)
        self._index(incident, {alarm.place} - incident.places, {alarm.zone} - incident.zones)
        incident.places.add(alarm.place)
        incident.zones.add(alarm.zone)

    def _absorb(self, incident: Incident, other: Incident) -> None:
        self._forget(other)
        incident.alarms |= other.alarms
        incident.clues |= other.clues
        incident.leaning = other.leaning | incident.leaning
        incident.active |= other.active
        incident.period_s = max(incident.period_s, other.period_s)
        if other.told and (not incident.told or other.told < incident.told):
            incident.told = other.told
        incident.told_ns = max(incident.told_ns, other.told_ns)
        incident.named |= other.named
        self._index(incident, other.places - incident.places, other.zones - incident.zones)
        incident.places |= other.places
        incident.zones |= other.zones

    def _index(self, incident: Incident, places: set[str], zones: set[str]) -> None:
        for place in places:
            self._at.setdefault(place, []).append(incident.id)
        for zone in zones:
            self._in.setdefault((incident.medium, zone), []).append(incident.id)

    def _forget(self, incident: Incident) -> None:
        del self.open[incident.id]
        for place in incident.places:
            self._at[place].remove(incident.id)
        for zone in incident.zones:
            self._in[incident.medium, zone].remove(incident.id)


def _within(incident: Incident, alarm: Alarm, now_ns: int, seconds: float, periods: float) -> bool:
    slowest_s = max(incident.period_s, alarm.period_s)
    return now_ns - incident.grown_ns <= max(seconds, periods * slowest_s) * SECOND_NS
