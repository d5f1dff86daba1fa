"""Roll: the open alarms of a site; the only place where one changes its state and a change is recorded."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from alerts.alert import AlertChange
from alerts.belief import WEAK
from alerts.flood import HELD
from alerts.incidents import EVENT, SECOND_NS, Alarm, Incident, Incidents
from alerts.overlays import Overlays
from alerts.rules import worse
from alerts.states import State, Turn, after
from alerts.telling import particulars
from config.channels import ChannelTable
from config.grades import Grades

QUIET = "P4"
"""The grade of which nobody is told."""

FRESH_NS = 3600 * SECOND_NS
"""So long after people were last told of an incident, a danger of another name in it is news to them."""


class Surroundings(Protocol):
    """What the alerts need to know about a channel beside the verdict."""

    def in_warmup(self, channel: int) -> bool:
        """It was first heard not long ago."""

    def recent(self, channel: int) -> Mapping[str, Any] | None:
        """Its last values, for a small plot; None for wristbands."""


class Roll:
    """Alarms by point, alert and channel. `changes` collects what is recorded until somebody takes it."""

    def __init__(
        self, channels: ChannelTable, grades: Grades, incidents: Incidents, overlays: Overlays
    ) -> None:
        self.channels = channels
        self.grades = grades
        self.incidents = incidents
        self.overlays = overlays
        self.alarms: dict[str, Alarm] = {}  # by the key of their point; at NORMAL they are gone
        self.now_ns = 0
        self.around: Surroundings | None = None
        self.changes: list[AlertChange] = []
        self._by_alert: dict[str, Alarm] = {}
        self._on_channel: dict[int, dict[str, Alarm]] = {}

    def clear(self) -> None:
        """Nobody is on it."""
        self.alarms, self._by_alert, self._on_channel = {}, {}, {}

    def keep(self, alarm: Alarm) -> None:
        """A new alarm."""
        self.alarms[alarm.key] = alarm
        self._by_alert[alarm.alert_id] = alarm
        self._on_channel.setdefault(alarm.channel, {})[alarm.key] = alarm

    def drop(self, alarm: Alarm) -> None:
        """An alarm that is over."""
        del self.alarms[alarm.key]
        del self._by_alert[alarm.alert_id]
        del self._on_channel[alarm.channel][alarm.key]

    def alert(self, alert_id: str) -> Alarm | None:
        """The open alarm of an alert id."""
        return self._by_alert.get(alert_id)

    def of_incident(self, incident_id: str) -> list[Alarm]:
        """The open alarms of an incident, also of one that is over."""
        return [alarm for alarm in self.alarms.values() if alarm.incident == incident_id]

    def beside(self, alarm: Alarm) -> Iterator[Alarm]:
        """The other open alarms of its channel."""
        return (one for one in list(self._on_channel.get(alarm.channel, {}).values()) if one is not alarm)

    def on_channel(self, channel: int) -> list[Alarm]:
        """The open alarms of a channel."""
        return list(self._on_channel.get(channel, {}).values())

    def step(self, alarm: Alarm, turn: Turn) -> bool:
        """Move along the table; back at NORMAL an alarm is forgotten. False where there is no such step."""
        state = after(alarm.state, turn)
        if state is None:
            return False
        was_active = alarm.active
        alarm.state = state
        if was_active and not alarm.active:
            self.incidents.calm(alarm, self.now_ns)
            self.overlays.flood.release(alarm.key)
        if state is State.NORMAL:
            self.drop(alarm)
        return True

    def muted(self, alarm: Alarm) -> bool:
        """An overlay lies over it."""
        channel = self.channels.ids[alarm.channel] if alarm.channel >= 0 else ""
        return bool(self.overlays.of(alarm, channel))

    def tell(self, alarm: Alarm, *, anew: bool = False, counts: bool = True) -> bool:
        """Whether people are told of a change of this alarm: its incident opens or grows worse, or `anew`.

        An old incident also grows worse by a danger of another name: a leak beside a valve that has been
        shut for hours must not drown in it. P4 is information: recorded and shown, never called out.
        In a flood of alarms P3 wait for its end (`counts`: this call is one of the flood).
        """
        incident = self.incidents.open.get(alarm.incident)
        if worse(alarm.grade, HELD):
            self.overlays.flood.release(alarm.key)
        if alarm.grade == QUIET or self.muted(alarm):
            return False
        if incident is not None and not (anew or self._is_news(alarm, incident)):
            return False
        if counts and not self.overlays.flood.call(alarm, self.now_ns, anew=anew):
            return False
        if incident is not None:
            if worse(alarm.grade, incident.told):
                incident.told = alarm.grade
            incident.told_ns = self.now_ns
            incident.named |= {incident.kind, alarm.own_kind}
        alarm.told = True
        return True

    def _is_news(self, alarm: Alarm, incident: Incident) -> bool:
        if worse(alarm.grade, incident.told):
            return True
        named = alarm.family == EVENT and alarm.own_kind not in WEAK and alarm.own_kind not in incident.named
        return named and self.now_ns - incident.told_ns >= FRESH_NS

    def emit(self, alarm: Alarm, type: str, *, notify: bool = False, event_ns: int = 0, **also: Any) -> None:
        """Record one change. also: actor, reason, because, because_zh, extra."""
        alarm.seq += 1
        grading = self.grades.of(alarm.medium, alarm.kind, quantity=alarm.quantity)
        channel = self.channels[alarm.channel] if alarm.channel >= 0 else None
        warmup, extra = False, {}
        if channel is not None:
            warmup = self.around is not None and self.around.in_warmup(alarm.channel)
            extra = particulars(alarm, channel, grading)
            overlays = self.overlays.of(alarm, channel.id)
            if overlays:
                extra["overlays"] = [str(overlay) for overlay in overlays]
            if alarm.key in self.overlays.flood.held:
                extra["suppressed_by"] = self.overlays.flood.alert_id
            if self.overlays.flood.on and type in ("raised", "updated"):
                extra["flood"] = True
        extra["because_zh"] = also.get("because_zh", alarm.because_zh)
        self.changes.append(
            AlertChange(
                type=type,
                alert_id=alarm.alert_id,
                seq=alarm.seq,
                incident=alarm.incident,
                fingerprint=alarm.fingerprint,
                occurrence=alarm.occurrence,
                state=str(alarm.state),
                grade=alarm.grade,
                tier=grading.tier,
                kind=alarm.kind,
                rule=alarm.rule,
                medium=alarm.medium,
                place=alarm.place,
                channel=None if channel is None else channel.id,
                event_ns=event_ns or self.now_ns,
                detected_ns=self.now_ns,
                because=also.get("because", alarm.because),
                notify=notify,
                warmup=warmup,
                numbers=alarm.numbers,
                observed=alarm.observed,
                actor=also.get("actor", "gateway"),
                reason=also.get("reason", ""),
                advice=grading.advice,
                extra={**extra, **also.get("extra", {})},
            )
        )
