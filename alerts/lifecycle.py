"""Lifecycle: from findings and commands to alert changes, by the states of ISA-18.2; no clock or disk."""

from collections.abc import Iterator, Sequence
from datetime import UTC, tzinfo
from typing import Any

from alerts.alert import AlertChange
from alerts.board import NEVER_NS, Board, Turned
from alerts.boards import Boards, Risen
from alerts.flood import FLOOD
from alerts.floodnotice import FloodNotice
from alerts.incidents import Alarm, Incidents, Merging
from alerts.orders import CommandResult, Orders
from alerts.overlays import Overlays
from alerts.raising import Raising
from alerts.roll import Roll, Surroundings
from alerts.roster import Duty, from_json, to_json
from alerts.rules import Announcements
from alerts.states import Turn
from alerts.telling import back_to_normal
from config.channels import ChannelTable, Link, Planned
from config.grades import Grades, read_grades
from config.snapshot import State
from detectors.findings import Findings, Points
from ingest.ticks import Command

__all__ = ["CommandResult", "Lifecycle", "Surroundings"]


class Lifecycle:
    """The alarms of a site. `update` is called once or more a tick, in the order of the stream.

    Everything that waits is a deadline in stream time. Commands act first: they speak of what had been told
    before this tick. At rest, an update costs one comparison of arrays for each detector.
    """

    def __init__(
        self,
        channels: ChannelTable,
        links: Sequence[Link] = (),
        *,
        points: Sequence[Points],
        planned: Sequence[Planned] = (),
        grades: Grades | None = None,
        timezone: tzinfo | None = None,
        merging: Merging | None = None,
    ) -> None:
        grades = grades or read_grades()
        self.channels = channels
        self.timezone = timezone
        self.boards = Boards(points, channels)
        self.incidents = Incidents(links, merging or Merging())
        self.overlays = Overlays()
        self.roll = Roll(channels, grades, self.incidents, self.overlays)
        self.announcements = Announcements(planned, channels, grades)
        self._orders = Orders(self.roll, self.announcements)
        self._raising = Raising(self.roll, self.announcements, timezone or UTC, links)
        self._flood_notice = FloodNotice(self.roll)
        self._orphans: list[Alarm] = []
        self._wake_ns = NEVER_NS

    def update(
        self,
        findings: Sequence[Findings],
        commands: Sequence[Command],
        now_ns: int,
        around: Surroundings,
    ) -> list[AlertChange]:
        """What these verdicts and commands change."""
        turned = self.boards.hear(findings, now_ns)
        return self.conclude([*turned, *self.boards.due(now_ns)], commands, now_ns, around)

    def conclude(
        self, turned: Sequence[Risen], commands: Sequence[Command], now_ns: int, around: Surroundings
    ) -> list[AlertChange]:
        """What the points that turned in this tick, and its commands, change. Once a tick at most."""
        roll = self.roll
        roll.now_ns, roll.around, roll.changes = now_ns, around, []
        for alarm in self._orphans:
            self._retire(alarm)
        self._orphans = []
        for command in commands:
            self._orders.obey(command)
        for together in _rounds(turned):
            self._take(together)
        if turned or commands or now_ns >= self._wake_ns:
            self._expire()
            self._flood_notice.conclude()
            self._wake_ns = self._next_wake_ns()
        return roll.changes

    def next_deadline_ns(self) -> int | None:
        """The first moment at which something changes although nothing is heard; None = never."""
        first = min(self._wake_ns, self.boards.next_deadline_ns())
        return None if first == NEVER_NS else first

    def command_results(self) -> list[CommandResult]:
        """What became of the commands since the last call; the daemon confirms them to the centre."""
        return self._orders.results()

    def open_alarms(self) -> list[Alarm]:
        """All alarms that are not back to NORMAL; may be called from another thread."""
        return list(self.roll.alarms.values())

    @property
    def duties(self) -> tuple[Duty, ...]:
        """Who of this site's own people is on duty when, as the centre said last."""
        return self._orders.duties

    def state(self) -> State:
        """Everything that the alarms remember, as JSON; what boards hold follows from the active alarms."""
        delays = [board.delays() for board in self.boards]
        alarms = self.roll.alarms.values()
        known = [alarm.channel for alarm in alarms if alarm.channel >= 0]
        return {
            "alarms": [alarm.to_json() for alarm in alarms],
            "channels": {str(channel): self.channels.ids[channel] for channel in known},
            "incidents": self.incidents.state(),
            "comovement": self.incidents.comovement.state(),
            "overlays": self.overlays.state(),
            "duties": to_json(self.duties),
            "planned": [[p.kind, p.place, p.start_ns, p.end_ns] for p in self.announcements.planned],
            "rising": [one for rising, _ in delays for one in rising],
            "falling": [one for _, falling in delays for one in falling],
        }

    def restore(self, state: State) -> None:
        """Go on from a snapshot. Alarms whose channel or rule is gone are cleared in the next update."""
        saved: dict[str, Any] = dict(state)
        ids: dict[str, str] = saved.get("channels", {})
        self.overlays.restore(saved.get("overlays", {}))
        self.incidents.restore(saved.get("incidents", []))
        self.incidents.comovement.restore(saved.get("comovement", {}))
        self._orders.duties = from_json(saved.get("duties", []))
        if "planned" in saved:
            self.announcements.replace([Planned(*entry) for entry in saved["planned"]])
        spots = self.boards.by_key()
        for board in self.boards:
            board.restart()
        self.roll.clear()
        self._orphans = []
        for one in saved.get("alarms", []):
            alarm = Alarm.from_json(one)
            channel = ids.get(str(alarm.channel), "") if alarm.key in spots else ""
            alarm.channel = self.channels.number.get(channel, -1)
            self.roll.keep(alarm)
            if alarm.key == FLOOD:
                continue
            if alarm.channel < 0:
                self._orphans.append(alarm)
            elif alarm.active:
                board, point = spots[alarm.key]
                board.hold(point, alarm.severity)
        for key, *rising in saved.get("rising", []):
            if key in spots:
                board, point = spots[key]
                board.resume_rising(point, rising)
        for key, *falling in saved.get("falling", []):
            if key in spots:
                board, point = spots[key]
                board.resume_falling(point, falling)
        self._wake_ns = 0 if self._orphans else self._next_wake_ns()

    def _take(self, turned: Sequence[Risen]) -> None:
        returned = [pair for pair in turned if pair[1].turn is Turn.RETURNED]
        for board, one in sorted(returned, key=self._raising.order):
            self._return(board, one)
        risen = [pair for pair in turned if pair[1].turn is not Turn.RETURNED]
        if risen:
            self._raising.rise(risen)

    def _return(self, board: Board, one: Turned) -> None:
        """An alarm's condition is over; told where the alarm had been, or where this ends a told incident."""
        roll = self.roll
        alarm = roll.alarms.get(board.keys[one.point])
        if alarm is None:
            return
        incident = self.incidents.open.get(alarm.incident)
        self.overlays.returned(alarm)
        latching = bool(board.points.latching[one.point])
        roll.step(alarm, Turn.RETURNED_LATCHING if latching else Turn.RETURNED)
        told, alarm.told = alarm.told, False
        last = incident is not None and bool(incident.told) and not incident.active
        calm, calm_zh = back_to_normal(alarm)
        roll.emit(
            alarm,
            "cleared",
            notify=told or last,
            event_ns=one.event_ns,
            because=calm,
            because_zh=calm_zh,
        )
        self._raising.release(alarm)

    def _retire(self, alarm: Alarm) -> None:
        told = alarm.told
        self.roll.step(alarm, Turn.RETIRED)
        reason = "no longer watched: its channel or rule left the settings"
        self.roll.emit(alarm, "cleared", notify=told, reason=reason)

    def _expire(self) -> None:
        now_ns = self.roll.now_ns
        shelves, things = self.overlays.expired(now_ns)
        for key in shelves:
            alarm = self.roll.alarms.get(key)
            if alarm is not None:
                self._orders.unmute(alarm, "unshelved", "the shelf's time is up")
        for thing in things:
            self._orders.back_in_service(thing, "the time is up")
        if self.announcements.planned:
            for alarm in self.open_alarms():
                if alarm.announced and alarm.active and alarm.announced_until_ns <= now_ns:
                    self._raising.outlasted(alarm)
        self.incidents.close_quiet(now_ns)

    def _next_wake_ns(self) -> int:
        wakes = [self.incidents.ends_ns(incident) for incident in self.incidents.open.values()]
        if self.announcements.planned:
            wakes += [a.announced_until_ns for a in self.open_alarms() if a.announced and a.active]
        return min([self.overlays.next_deadline_ns(), *wakes])


def _rounds(turned: Sequence[Risen]) -> Iterator[list[Risen]]:
    """Where several rows settled in one tick a point may turn again: all first turns come first."""
    rounds: list[list[Risen]] = []
    times: dict[str, int] = {}
    for pair in turned:
        key = pair[0].keys[pair[1].point]
        number = times[key] = times.get(key, 0) + 1
        if number > len(rounds):
            rounds.append([])
        rounds[number - 1].append(pair)
    yield from rounds
