"""Raising: points that turned become alarms, alarms become incidents, and what it means is concluded."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import tzinfo
from hashlib import sha256
from typing import Any

from alerts.alert import short_hash
from alerts.belief import DECIDED, REFINED, WEAK, believe
from alerts.board import Board, Turned, plain
from alerts.boards import Risen
from alerts.candidates import Candidates
from alerts.incidents import EVENT, MAINTENANCE, SECOND_NS, Alarm, Incident
from alerts.land import zones_of
from alerts.roll import Roll
from alerts.rules import Announcements, worse
from alerts.states import State, Turn
from alerts.telling import because, because_zh, is_gone
from alerts.upstream import Upstream
from alerts.why import contributions, marked, pictured, why
from config.channels import Link, Planned
from config.defaults import defaults_for
from detectors.findings import ALARM, Explanation

LADDER = re.compile(r"(.+\.(?:high|low))(_high|_low)?")  # gas.ch4.high_high says all that gas.ch4.high would
PICTURED, PICTURED_IN_ALL = 8, 500
"""Alarms of an incident, and of all, that carry a plot and their reasons in one moment beside those told."""

NOTICED = frozenset({"demand_change", "brief_draw"})
"""Kinds by which a detector says that nothing is broken where more, or less, is used."""
MOVED = {"flow": 1, "pressure": -1}
"""The way in which more use moves a quantity."""
BEFORE_NS = 15 * 60 * 10**9  # what was noticed had begun before it could be told
SILENT = frozenset({"sensor_fault:dropout", "sensor_fault:battery_death"})
"""Faults that say nothing about the values that do come."""


class Fresh:
    """An alarm that is new, on again, or more severe in this moment."""

    __slots__ = ("alarm", "anew", "before", "joined", "turn", "was")

    def __init__(
        self, alarm: Alarm, turn: Turn, *, was: str = "", anew: bool = False, before: str = ""
    ) -> None:
        self.alarm = alarm
        self.turn = turn
        self.was = was  # its grade before, "" where it was not on
        self.anew = anew  # it had been seen and was over, or happened once more: tell again
        self.before = before  # the alert that this one takes the place of
        self.joined: list[str] = []  # incidents that it shows to be the same one


class Raising:
    """Works on a roll of alarms; told from the announcements what is expected."""

    def __init__(
        self, roll: Roll, announcements: Announcements, zone: tzinfo, links: Sequence[Link] = ()
    ) -> None:
        self.roll = roll
        self._upstream = Upstream(links, roll.channels)
        self._candidates = Candidates(links)
        self._shares: dict[str, list[dict[str, Any]]] = {}  # by incident, of this moment
        self._ranked: dict[str, list[dict[str, Any]]] = {}  # candidates by incident, of this moment
        self._pictured: Counter[str] = Counter()  # plots by incident, of this moment
        self._noticed: dict[tuple[str, str], list[tuple[int, Planned]]] = {}  # by medium and zone: way, works
        self._zone = zone  # of the times in a plot
        self.announcements = announcements
        self._totals: dict[tuple[str, str], int] = {}
        for medium, quantity in zip(roll.channels.medium, roll.channels.quantity):
            self._totals[medium, quantity] = self._totals.get((medium, quantity), 0) + 1
        self._zones = zones_of(roll.channels)

    def rise(self, risen: Sequence[Risen]) -> None:
        """All that rose in one moment: first where each belongs, then what it means, then what is told.

        Order inside a tick means nothing, so they are sorted first. At most one of an incident is told.
        """
        roll = self.roll
        fresh: list[Fresh] = []
        touched: dict[str, Incident] = {}
        merged: dict[str, str] = {}
        for board, turned in sorted(risen, key=self.order):
            one = self._alarm(board, turned)
            roll.step(one.alarm, turned.turn)
            self._describe(one.alarm, turned)
            fresh.append(one)
            incident = roll.incidents.open.get(one.alarm.incident)
            if incident is None or turned.turn is Turn.LASTED:
                incident, dissolved = roll.incidents.join(one.alarm, roll.now_ns)
                one.joined = [other.id for other in dissolved]
                merged |= dict.fromkeys(one.joined, incident.id)
            else:
                incident.hear(one.alarm)
            touched[incident.id] = incident
        touched = {id: incident for id, incident in touched.items() if id not in merged}
        keys = {one.alarm.key for one in fresh}
        self._follow(merged, keys)
        self._learn(fresh)
        for incident in touched.values():
            if incident.family == EVENT:
                age_s = (roll.now_ns - incident.opened_ns) / SECOND_NS
                belief = believe(list(incident.clues.values()), self._totals, self._zones, age_s)
                incident.kind, incident.reason = belief.kind, belief.reason
                incident.sure = belief.sure
        self._notice()
        for one in fresh:
            self._grade(one.alarm, one.was)
            self._suppress(one.alarm, keys)
        self._shares, self._ranked, self._pictured = {}, {}, Counter()
        for one in sorted(fresh, key=lambda one: (one.alarm.grade, roll.channels.ids[one.alarm.channel])):
            self._announce(one)
        for incident in touched.values():
            self._reconsider(incident, keys)

    def _learn(self, fresh: Sequence[Fresh]) -> None:
        """What turned strange in one moment teaches who moves together; nobody's wristband does."""
        onsets = {
            one.alarm.place
            for one in fresh
            if one.turn is Turn.LASTED and one.alarm.family == EVENT and one.alarm.medium != "wristband"
        }
        self.roll.incidents.comovement.note(onsets, self.roll.now_ns)

    def release(self, alarm: Alarm) -> None:
        """The alarm is over: what it suppressed speaks for itself again."""
        for other in self.roll.beside(alarm):
            if other.suppressed_by == alarm.alert_id:
                other.suppressed_by = ""
                if other.active:
                    reason = f"{alarm.rule} is over, this is not"
                    self.roll.emit(other, "updated", notify=self.roll.tell(other), reason=reason)

    def outlasted(self, alarm: Alarm) -> None:
        """The announced works are over, and the alarm is still on: it counts in full."""
        was, before = alarm.announced, alarm.grade
        self._notice()
        self._grade(alarm, before, self.roll.now_ns)
        if alarm.grade != before:
            self.roll.step(alarm, Turn.WORSENED)
            self.roll.overlays.tighten(alarm)
            reason = f"it outlasted the announced {was.replace('_', ' ')}"
            self.roll.emit(alarm, "updated", notify=self.roll.tell(alarm), reason=reason)

    def order(self, pair: Risen) -> tuple[int, str, str]:
        """Order inside a tick means nothing: by when it was measured, by channel and rule."""
        board, turned = pair
        points = board.points
        channel = self.roll.channels.ids[points.channel[turned.point]]
        return turned.event_ns, channel, points.rule[turned.point]

    def _alarm(self, board: Board, turned: Turned) -> Fresh:
        """The alarm that a point raises: the known one again, or a new one in place of one left unseen."""
        key = board.keys[turned.point]
        known = self.roll.alarms.get(key)
        if known is not None and turned.turn is Turn.WORSENED:
            return Fresh(known, turned.turn, was=known.grade)
        if known is not None and known.incident in self.roll.incidents.open:
            known.occurrence += 1
            return Fresh(known, turned.turn, anew=turned.anew or known.state is State.LATCH_ACK)
        channel = int(board.points.channel[turned.point])
        where = self.roll.channels[channel]
        fingerprint = sha256("\x1f".join((key, where.place)).encode()).hexdigest()
        alarm = Alarm(
            key=key,
            fingerprint=fingerprint,
            alert_id=short_hash(fingerprint, self.roll.now_ns),
            rule=board.points.rule[turned.point],
            channel=channel,
            medium=where.medium,
            place=where.place,
            zone=where.zone,
            quantity=where.quantity,
            period_s=where.period_s,
            own_kind=self._own_kind(board, turned.point, where.medium, where.quantity),
            outlet=defaults_for(where).regulated,
        )
        if known is not None:
            self.roll.step(known, Turn.RETIRED)
            self.roll.emit(known, "updated", reason=f"came again as {alarm.alert_id}")
        self.roll.keep(alarm)
        before = "" if known is None else known.alert_id
        return Fresh(alarm, Turn.LASTED, anew=turned.anew, before=before)

    def _own_kind(self, board: Board, point: int, medium: str, quantity: str) -> str:
        """What levels and learning rules see of a sensor at fault is that fault, but on life-safety gas."""
        kind, rule = board.points.kind[point], board.points.rule[point]
        channel = int(board.points.channel[point])
        of_values = not kind or (LADDER.fullmatch(rule) and medium != "wristband") or rule.startswith(DECIDED)
        if not of_values or self.roll.grades.is_life_safety(medium, quantity):
            return kind
        faults = (
            alarm.own_kind
            for alarm in self.roll.on_channel(channel)
            if alarm.active and alarm.family == MAINTENANCE and alarm.own_kind not in SILENT
        )
        return next(faults, kind)

    def _describe(self, alarm: Alarm, turned: Turned) -> None:
        explanation = turned.explanation or Explanation("is unusual")
        alarm.severity, alarm.event_ns = turned.severity, turned.event_ns
        alarm.direction, alarm.sentence = int(explanation.direction), explanation.sentence
        if alarm.medium != "wristband":
            alarm.numbers = plain(explanation.numbers)
            alarm.score, alarm.scores = float(explanation.score), plain(explanation.scores)
            alarm.observed = None if explanation.observed is None else plain(explanation.observed)
            nominal = float(self.roll.channels.nominal[alarm.channel])
            alarm.gone = is_gone(alarm.observed, alarm.numbers, nominal)

    def _grade(self, alarm: Alarm, was: str, when_ns: int | None = None) -> None:
        """Kind, grade and sentence after what is believed of its incident; `was` is kept where worse."""
        incident = self.roll.incidents.open[alarm.incident]
        alarm.kind = self._kind(alarm, incident)
        when_ns = alarm.event_ns if when_ns is None else when_ns
        agreed = incident.sure and alarm.kind == incident.kind
        severity = ALARM if agreed else alarm.severity
        noticed = self._noticed.get((alarm.medium, alarm.zone), ()) if alarm.quantity in MOVED else ()
        sign = alarm.direction * MOVED.get(alarm.quantity, 0)
        works = [entry for way, entry in noticed if way == sign]
        worth = self.announcements.worth(
            alarm.medium, alarm.place, alarm.kind, alarm.quantity, severity, when_ns, works
        )
        alarm.grade = was if was and worse(was, worth.grade) else worth.grade
        if alarm.rebound and incident.told and worse(alarm.grade, incident.told):
            alarm.grade = incident.told
        alarm.announced, alarm.announced_until_ns = worth.announced, worth.until_ns
        alarm.because = because(alarm, incident, worth.grading)
        alarm.because_zh = because_zh(alarm, incident, worth.grading)

    def _notice(self) -> None:
        """What detectors recognised by themselves and is on: works that nobody announced, by zone."""
        self._noticed = {}
        for alarm in self.roll.alarms.values():
            if alarm.own_kind in NOTICED and alarm.active:
                lasts_ns = 0 if alarm.own_kind == "brief_draw" else self.roll.now_ns - alarm.event_ns
                works = Planned(
                    alarm.own_kind, alarm.zone, alarm.event_ns - BEFORE_NS, alarm.event_ns + lasts_ns
                )
                self._noticed.setdefault((alarm.medium, alarm.zone), []).append((alarm.direction, works))

    def _kind(self, alarm: Alarm, incident: Incident) -> str:
        own = alarm.own_kind
        if incident.family != EVENT:
            return own
        if (
            alarm.medium == "wristband" and not alarm.rebound
        ):  # a person's alarms keep their own names: a racing heart is no fall
            return believe([alarm.clue()], self._totals).kind
        return incident.kind if own in WEAK or incident.kind in REFINED.get(own, ()) else own

    def _announce(self, one: Fresh) -> None:
        alarm, roll = one.alarm, self.roll
        extra: dict[str, Any] = {}
        if one.joined:
            extra["supersedes"] = one.joined
        if one.before:
            extra["previous_alert"] = one.before
        if alarm.announced:
            extra["announced"] = alarm.announced
            if roll.grades.announced(alarm.announced).test:
                extra["test"] = True
        if alarm.suppressed_by:
            extra["suppressed_by"] = alarm.suppressed_by
        roll.overlays.tighten(alarm)
        lasted = one.turn is Turn.LASTED
        notify = roll.tell(alarm, anew=one.anew)
        extra |= self._evidence(alarm, notify)
        roll.emit(
            alarm,
            "raised" if lasted else "updated",
            notify=notify,
            event_ns=alarm.event_ns,
            reason="" if lasted else "more severe",
            extra=extra,
        )

    def _evidence(self, alarm: Alarm, notify: bool) -> dict[str, Any]:
        """Why, and a plot; where people are told, also the picture and where it could be shut off.

        Of a wristband nothing of it. Ten thousand alarms in one moment would otherwise draw for seconds,
        and the first message would wait for the last picture.
        """
        if alarm.medium == "wristband":
            return {}
        self._pictured.update((alarm.incident, ""))
        many = self._pictured[alarm.incident] > PICTURED or self._pictured[""] > PICTURED_IN_ALL
        if many and not notify:
            return {}
        recent = None if self.roll.around is None else self.roll.around.recent(alarm.channel)
        days = () if recent is None else recent.get("days", ())
        shares = self._shares_in(alarm.incident)
        found: dict[str, Any] = {"why": why(alarm, shares, days, self.roll.channels)}
        if notify and (feeding := self._upstream.of(alarm.place)):
            found["upstream"] = feeding
        if candidates := self._ranked.get(alarm.incident):
            found["candidates"] = candidates
        if recent is not None:
            plot = marked(alarm, recent)
            if notify:
                plot |= pictured(plot, alarm.event_ns, self._zone, self.roll.channels.ids[alarm.channel])
            found["plot"] = plot
        return found

    def _shares_in(self, incident_id: str) -> list[dict[str, Any]]:
        """Contributions by channel; reckoned once a moment, for of a flood thousands may ask."""
        if incident_id not in self._shares:
            incident = self.roll.incidents.open.get(incident_id)
            known = (self.roll.alarms.get(key) for key in (() if incident is None else incident.alarms))
            together = [alarm for alarm in known if alarm is not None and alarm.active]
            self._shares[incident_id] = contributions(together, self.roll.channels)
            if incident is not None and incident.family == EVENT:
                self._ranked[incident_id] = self._candidates.among(together)
        return self._shares[incident_id]

    def _reconsider(self, incident: Incident, fresh: set[str]) -> None:
        """Alarms that were there before: where kind or grade is another now, the first of them says so.

        A grade that rises re-arms: one that had been acknowledged wants to be seen again.
        """
        first = True
        for key in incident.alarms:
            alarm = self.roll.alarms.get(key)
            if key in fresh or alarm is None or not alarm.active or alarm.incident != incident.id:
                continue
            kind, grade = alarm.kind, alarm.grade
            self._grade(alarm, grade)
            if (alarm.kind, alarm.grade) == (kind, grade):
                continue
            seen = alarm.state is State.ACTIVE_ACK
            if alarm.grade != grade:
                self.roll.step(alarm, Turn.WORSENED)
                self.roll.overlays.tighten(alarm)
            if first or (seen and alarm.grade != grade):
                reason = "more severe" if alarm.kind == kind else f"now believed to be {alarm.kind}"
                self.roll.emit(alarm, "updated", notify=self.roll.tell(alarm), reason=reason)
                first = False

    def _suppress(self, alarm: Alarm, fresh: set[str]) -> None:
        """A higher level of the same measurement says all that a lower one would."""
        rung = LADDER.fullmatch(alarm.rule)
        for other in self.roll.beside(alarm) if rung is not None else ():
            step = LADDER.fullmatch(other.rule)
            if (
                rung is None
                or step is None
                or step[1] != rung[1]
                or bool(step[2]) == bool(rung[2])
                or not other.active
            ):
                continue
            lower, upper = (other, alarm) if rung[2] else (alarm, other)
            if lower.suppressed_by != upper.alert_id:
                lower.suppressed_by = upper.alert_id
                if lower.key not in fresh:
                    extra = {"suppressed_by": upper.alert_id}
                    self.roll.emit(lower, "suppressed", reason=f"{upper.rule} says more", extra=extra)

    def _follow(self, merged: Mapping[str, str], fresh: set[str]) -> None:
        """Alarms of incidents that turned out to be part of another one."""
        for alarm in list(self.roll.alarms.values()) if merged else ():
            into = alarm.incident
            while into in merged:
                into = merged[into]
            if into != alarm.incident:
                before, alarm.incident = alarm.incident, into
                if alarm.key not in fresh:
                    reason, extra = "same cause as an earlier incident", {"supersedes": [before]}
                    self.roll.emit(alarm, "updated", reason=reason, extra=extra)
