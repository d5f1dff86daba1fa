"""Alarmlog: alert changes and what people did, as annunciations and as times that alarms were on; pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from alerts.alert import TYPE_PREFIX, TYPE_SUFFIX, AlertChange
from alerts.flood import FLOOD

CALLS = frozenset({"raised", "updated", "escalated", "unshelved"})  # told by these, it is annunciated
OVER = frozenset({"NORMAL", "RTN_UNACK", "LATCH_UNACK", "LATCH_ACK"})  # the condition is false
NEVER_NS = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Entry:
    """One alert change, as far as an alarm system is judged by it."""

    type: str
    at_ns: int  # when the gateway said it, in stream time
    alert: str
    incident: str
    rule: str
    subject: str  # the channel, or the place where there is none
    grade: str
    kind: str
    state: str
    told: bool
    actor: str = ""
    reason: str = ""
    until_ns: int = 0  # of a shelf

    @property
    def tag(self) -> tuple[str, str]:
        """What ISA-18.2 calls an alarm: a rule on a channel."""
        return self.rule, self.subject

    @property
    def annunciated(self) -> bool:
        """It called people. That there are too many alarms is no further one."""
        return self.told and self.type in CALLS and self.state not in OVER and self.kind != FLOOD


@dataclass(frozen=True, slots=True)
class Taken:
    """Somebody acknowledged an incident at the centre."""

    at_ns: int
    incident: str
    actor: str = ""


@dataclass(frozen=True, slots=True)
class Setting:
    """A gateway went over to other settings."""

    at_ns: int
    gateway: str
    hash: str


@dataclass(frozen=True, slots=True)
class Activation:
    """One time that an alarm's condition held."""

    tag: tuple[str, str]
    start_ns: int
    end_ns: int  # NEVER_NS while it lasts
    kind: str
    grade: str
    incident: str


@dataclass
class Log:
    """Everything that is known, in the order of time."""

    entries: list[Entry]
    taken: list[Taken] = field(default_factory=list)
    settings: list[Setting] = field(default_factory=list)
    outcomes: dict[str, str] = field(default_factory=dict)  # by incident: what the field found last
    staff: frozenset[str] | None = None  # the accounts of the centre, where it is known
    since_ns: int = 0  # what was before is no longer kept

    def __post_init__(self) -> None:
        self.entries.sort(key=lambda entry: (entry.at_ns, entry.alert))
        self.taken.sort(key=lambda taken: taken.at_ns)
        self.settings.sort(key=lambda setting: setting.at_ns)

    def activations(self) -> list[Activation]:
        """Every time that an alarm was on, told or not, in order of their beginnings."""
        running: dict[str, Entry] = {}
        found: list[Activation] = []
        for entry in self.entries:
            began = running.get(entry.alert)
            if began is None and entry.type == "raised" and entry.state not in OVER:
                running[entry.alert] = entry
            elif began is not None and entry.state in OVER:
                del running[entry.alert]
                found.append(_activation(began, entry.at_ns))
        lasting = (_activation(entry, NEVER_NS) for entry in running.values())
        return sorted([*found, *lasting], key=lambda one: (one.start_ns, one.tag))

    def answers(self) -> list[tuple[Entry, int | None]]:
        """Every annunciation with the seconds in nanoseconds until somebody took it; None: nobody has."""
        alerts: dict[str, list[int]] = {}
        incidents: dict[str, list[int]] = {}
        for entry in self.entries:
            if entry.type == "acknowledged":
                alerts.setdefault(entry.alert, []).append(entry.at_ns)
                incidents.setdefault(entry.incident, []).append(entry.at_ns)
        for taken in self.taken:
            incidents.setdefault(taken.incident, []).append(taken.at_ns)
        return [
            (entry, _first_after(entry.at_ns, alerts.get(entry.alert, ()), incidents.get(entry.incident, ())))
            for entry in self.entries
            if entry.annunciated
        ]


def entry_from(change: AlertChange) -> Entry:
    """A change that was just made, as an entry."""
    return Entry(
        type=change.type,
        at_ns=change.detected_ns,
        alert=change.alert_id,
        incident=change.incident,
        rule=change.rule,
        subject=change.channel or change.place,
        grade=change.grade,
        kind=change.kind,
        state=change.state,
        told=change.notify,
        actor=change.actor,
        reason=change.reason,
    )


def entry_of(event: Mapping[str, Any], nanoseconds: Callable[[str], int]) -> Entry | None:
    """A CloudEvent as an entry; None where it is no alert. KeyError, TypeError, ValueError: it is damaged."""
    type_ = event["type"]
    if not (type_.startswith(TYPE_PREFIX) and type_.endswith(TYPE_SUFFIX)):
        return None
    data = event["data"]
    rule = data.get("rule") or {}
    until = data.get("shelved_until")
    return Entry(
        type=type_.removeprefix(TYPE_PREFIX).removesuffix(TYPE_SUFFIX),
        at_ns=nanoseconds(data["t"]["detected"]),
        alert=str(data["alert_id"]),
        incident=str(data["incident"]),
        rule=str(rule.get("id", "") if isinstance(rule, Mapping) else rule) or str(data["kind"]),
        subject=str(data.get("channel") or data["place"]),
        grade=str(data["grade"]),
        kind=str(data["kind"]),
        state=str(data["state"]),
        told=bool(data.get("notify", False)),
        actor=str(data.get("actor", "")),
        reason=str(data.get("reason", "")),
        until_ns=nanoseconds(until) if until else 0,
    )


def _activation(began: Entry, end_ns: int) -> Activation:
    return Activation(began.tag, began.at_ns, end_ns, began.kind, began.grade, began.incident)


def _first_after(at_ns: int, *times: Iterable[int]) -> int | None:
    later: Sequence[int] = [when for some in times for when in some if when >= at_ns]
    return min(later) - at_ns if later else None
