"""Orders: what staff may tell the alarms: acknowledge, shelve, out of service, context, adopt_regime …"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from alerts.alert import rfc3339
from alerts.incidents import Alarm
from alerts.overlays import NEVER_NS, OutOfService, Refused
from alerts.roll import Roll
from alerts.roster import Duty, duties_of
from alerts.rules import Announcements
from alerts.states import ACTIVE, State, Turn
from config.channels import ChannelTable, Planned
from config.errors import SettingsError
from config.lists import planned_from, time_ns
from ingest.ticks import Command

REASON_LEAST = 8  # characters, of a break-glass
CONFIRMED = "city.linkage.command.confirmed.v1"


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What became of a command: applied, or refused with the reason."""

    command: str  # its id
    applied: bool
    reason: str = ""

    def cloud_event(self, source: str, now_ns: int) -> dict[str, Any]:
        """The confirmation for the centre; goes into the outbox with the tick that applied the command."""
        return {
            "specversion": "1.0",
            "id": f"command-{self.command}",
            "source": source,
            "type": CONFIRMED,
            "time": rfc3339(now_ns),
            "datacontenttype": "application/json",
            "data": {
                "command": self.command,
                "result": "applied" if self.applied else "refused",
                "reason": self.reason,
            },
        }


def adopting(command: Command, channels: ChannelTable) -> list[int]:
    """The channels whose new level an `adopt_regime` takes as normal; Refused where it names none."""
    channel, place = _text(command.body, "channel"), _text(command.body, "place")
    if bool(channel) == bool(place):
        raise Refused("adopt_regime needs a channel or a place")
    if channel:
        if channel not in channels.number:
            raise Refused(f"no channel {channel!r} on this site")
        return [channels.number[channel]]
    if place not in channels.places:
        raise Refused(f"no place {place!r} on this site")
    return [number for number, where in enumerate(channels.place) if where == place]


class Orders:
    """Carries out commands on a roll of alarms. A mistake in a command is refused, never raised."""

    def __init__(self, roll: Roll, announcements: Announcements) -> None:
        self.roll = roll
        self.announcements = announcements
        self.duties: tuple[Duty, ...] = ()
        self._results: list[CommandResult] = []
        self._acts: Mapping[str, Callable[[Command], str]] = {
            "ack": self._acknowledge,
            "shelve": self._shelve,
            "unshelve": self._unshelve,
            "out_of_service": self._out_of_service,
            "context": self._context,
            "reset": self._reset,
            "adopt_regime": self._adopt_regime,
            "roster": self._roster,
            "vitals": self._vitals,
        }

    def obey(self, command: Command) -> None:
        """Carry out one command, and note what became of it."""
        act = self._acts.get(command.kind)
        if act is None:
            known = ", ".join(sorted(self._acts))
            self._answer(command, False, f"unknown command {command.kind[:40]!r}; known are {known}")
            return
        try:
            self._answer(command, True, act(command))
        except (Refused, SettingsError, ValueError) as error:
            self._answer(command, False, str(error))

    def results(self) -> list[CommandResult]:
        """What became of the commands since the last call."""
        results, self._results = self._results, []
        return results

    def unmute(self, alarm: Alarm, type: str, reason: str, actor: str = "gateway") -> None:
        """A shelf or maintenance ended: while the condition holds, it is annunciated at once."""
        self.roll.emit(
            alarm, type, notify=alarm.active and self.roll.tell(alarm, anew=True), actor=actor, reason=reason
        )

    def back_in_service(self, thing: str, reason: str, actor: str = "gateway") -> None:
        """The work on a channel or place is over; its alarms may be told again."""
        for alarm in self._at(thing):
            if alarm.active:
                self.unmute(alarm, "updated", f"back in service: {reason}", actor)

    def _answer(self, command: Command, applied: bool, reason: str) -> None:
        self._results.append(CommandResult(command.id, applied, reason))

    def _acknowledge(self, command: Command) -> str:
        """Stops the escalation of these alarms only; they stay open until they return."""
        done = 0
        for alarm in self._targets(command):
            if self.roll.step(alarm, Turn.ACKNOWLEDGED):
                self._record(alarm, "acknowledged", command)
                done += 1
        return "" if done else "was acknowledged already"

    def _reset(self, command: Command) -> str:
        for alarm in self._targets(command):
            if not self.roll.step(alarm, Turn.RESET):
                why = "acknowledge it first" if alarm.state is State.LATCH_UNACK else f"it is {alarm.state}"
                raise Refused(f"only a latched alarm whose condition is over can be reset; {why}")
            self._record(alarm, "updated", command, default="reset")
        return ""

    def _shelve(self, command: Command) -> str:
        body = command.body
        seconds = body.get("seconds")
        if seconds is not None and (isinstance(seconds, bool) or not isinstance(seconds, int | float)):
            raise Refused("seconds must be a number")
        targets = self._targets(command)
        one_shot = body.get("one_shot") is True
        shelves = self.roll.overlays.shelves
        before = dict(shelves)
        try:
            for alarm in targets:
                reason = _text(body, "reason")
                self.roll.overlays.shelve(alarm, seconds, one_shot, command.actor, reason, self.roll.now_ns)
        except Refused:
            self.roll.overlays.shelves = before
            raise
        for alarm in targets:
            until = rfc3339(shelves[alarm.key].until_ns)
            self._record(alarm, "shelved", command, extra={"shelved_until": until, "one_shot": one_shot})
        return ""

    def _unshelve(self, command: Command) -> str:
        lifted = [
            alarm
            for alarm in self._targets(command)
            if self.roll.overlays.shelves.pop(alarm.key, None) is not None
        ]
        for alarm in lifted:
            reason = _text(command.body, "reason") or "unshelved"
            self.unmute(alarm, "unshelved", reason, command.actor)
        return "" if lifted else "was not shelved"

    def _out_of_service(self, command: Command) -> str:
        body, channels = command.body, self.roll.channels
        channel, place = _text(body, "channel"), _text(body, "place")
        if channel and channel not in channels.number:
            raise Refused(f"no channel {channel!r} on this site")
        if place and place not in channels.places:
            raise Refused(f"no place {place!r} on this site")
        if bool(channel) == bool(place):
            raise Refused("out_of_service needs a channel or a place")
        thing = f"channel:{channel}" if channel else f"place:{place}"
        if body.get("return") is True:
            if self.roll.overlays.out_of_service.pop(thing, None) is None:
                return "was not out of service"
            self.back_in_service(thing, _text(body, "reason") or "returned", command.actor)
            return ""
        permit = _text(body, "permit")
        if not permit:
            raise Refused("out_of_service needs a permit id")
        until_ns = time_ns(_text(body, "until")) if body.get("until") else NEVER_NS
        if until_ns <= self.roll.now_ns:
            raise Refused(f"until {body['until']} is past; send return = true to end it")
        self.roll.overlays.out_of_service[thing] = OutOfService(until_ns, command.actor, permit)
        for alarm in self._at(thing):
            if alarm.active:
                self._record(alarm, "suppressed", command, default=f"out of service, permit {permit}")
        return ""

    def _context(self, command: Command) -> str:
        """Announced works and holidays: the whole list, as in context.json."""
        entries = command.body.get("planned")
        if not isinstance(entries, Sequence) or isinstance(entries, str):
            raise Refused('context needs {"planned": [...]}')
        planned, warnings = planned_from(entries, self.roll.channels)
        self.plan(planned)
        return "; ".join(warnings)

    def _roster(self, command: Command) -> str:
        """Who is to be called without the centre: the whole list, in place of the last."""
        self.duties = duties_of(command.body.get("duties"))
        return "" if self.duties else "nobody is on the roster: every contact of the gateway is called"

    def _vitals(self, command: Command) -> str:
        """Break-glass: whether it may be shown; the daemon then seals it for whoever asks."""
        body, channels = command.body, self.roll.channels
        person = _text(body, "person")
        if not any(p == person and m == "wristband" for p, m in zip(channels.place, channels.medium)):
            raise Refused(f"no wristband of {person!r} on this site")
        if len(" ".join(_text(body, "reason").split())) < REASON_LEAST:
            raise Refused(f"say why in at least {REASON_LEAST} characters")
        if time_ns(_text(body, "until")) <= self.roll.now_ns:
            raise Refused("it came too late: nobody waits for the answer any more")
        return ""

    def _adopt_regime(self, command: Command) -> str:
        """The detectors have taken the new level as normal in this tick; here it is only told."""
        chosen = adopting(command, self.roll.channels)
        for number in chosen:
            for alarm in self.roll.on_channel(number):
                if alarm.active:
                    self._record(alarm, "updated", command, default="adopted as normal from now on")
        return ""

    def plan(self, planned: Sequence[Planned]) -> None:
        """From now on these are the announcements."""
        self.announcements.replace(planned)

    def _targets(self, command: Command) -> list[Alarm]:
        """The open alarms that a command names by alert or incident."""
        alert_id, incident = _text(command.body, "alert_id"), _text(command.body, "incident")
        if bool(alert_id) == bool(incident):
            raise Refused(f"{command.kind} needs an alert_id or an incident")
        if incident:
            found = self.roll.of_incident(incident)
        else:
            alarm = self.roll.alert(alert_id)
            found = [] if alarm is None else [alarm]
        if not found:
            raise Refused(
                f"nothing open is named {alert_id or incident}; it is over, or was superseded by a newer one"
            )
        if command.kind == "reset":
            latched = [a for a in found if a.state in (State.LATCH_ACK, State.LATCH_UNACK)]
            return latched or found[:1]
        return (
            [alarm for alarm in found if alarm.state in ACTIVE] or found
            if command.kind == "shelve"
            else found
        )

    def _at(self, thing: str) -> list[Alarm]:
        what, _, name = thing.partition(":")
        if what == "channel":
            return self.roll.on_channel(self.roll.channels.number.get(name, -1))
        return [alarm for alarm in self.roll.alarms.values() if alarm.place == name]

    def _record(
        self,
        alarm: Alarm,
        type: str,
        command: Command,
        *,
        default: str = "",
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        self.roll.emit(
            alarm,
            type,
            event_ns=command.issued_ns,
            actor=command.actor,
            reason=_text(command.body, "reason") or default,
            extra={**(extra or {}), "command": command.id},
        )


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name, "")
    if not isinstance(value, str):
        raise Refused(f"{name} must be a text")
    return value
