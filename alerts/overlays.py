"""Overlays: what mutes an alarm's notification, never its record: shelves, out of service, floods."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from alerts.flood import Flood
from alerts.incidents import Alarm
from alerts.rules import SHELF_CAP_S
from alerts.states import Overlay

SECOND_NS = 1_000_000_000
NEVER_NS = 2**63 - 1


class Refused(Exception):
    """A command that cannot be carried out; the text says why and what would be possible."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """One alarm put aside by staff; ends at `until_ns`, or with the first return to normal if `one_shot`."""

    since_ns: int
    until_ns: int
    one_shot: bool
    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class OutOfService:
    """A channel or a place that an engineer works on; ends by word, or at `until_ns`."""

    until_ns: int
    actor: str
    permit: str


class Overlays:
    """All that is muted now. A shelf belongs to an alarm's point, so it outlives the alarm's return."""

    def __init__(self) -> None:
        self.shelves: dict[str, Shelf] = {}  # by the alarm's key
        self.out_of_service: dict[str, OutOfService] = {}  # by "channel:<number's id>" or "place:<place>"
        self.flood = Flood()

    def of(self, alarm: Alarm, channel_id: str) -> list[Overlay]:
        """What lies over an alarm; nothing = its changes may be told."""
        found = []
        if alarm.key in self.shelves:
            found.append(Overlay.SHELVED)
        if alarm.suppressed_by or alarm.key in self.flood.held:
            found.append(Overlay.SUPPRESSED)
        if self.out_of_service and (
            f"channel:{channel_id}" in self.out_of_service or f"place:{alarm.place}" in self.out_of_service
        ):
            found.append(Overlay.OUT_OF_SERVICE)
        return found

    def shelve(
        self, alarm: Alarm, seconds: float | None, one_shot: bool, actor: str, reason: str, now_ns: int
    ) -> Shelf:
        """Put an alarm aside; Refused beyond the cap of its grade, without a reason, and for P1."""
        cap_s = cap_of(alarm.grade)
        if not reason:
            raise Refused("a shelf needs a reason")
        if cap_s <= 0:
            raise Refused(f"a {alarm.grade} alarm cannot be shelved; acknowledge it")
        if seconds is None and not one_shot:
            raise Refused("a shelf needs seconds, or one_shot")
        if seconds is not None and not 0 < seconds <= cap_s:
            raise Refused(f"a {alarm.grade} alarm can be shelved for {cap_s:g} s at most, not {seconds:g} s")
        until_ns = now_ns + round((cap_s if seconds is None else seconds) * SECOND_NS)
        shelf = Shelf(now_ns, until_ns, one_shot, actor, reason)
        self.shelves[alarm.key] = shelf
        return shelf

    def tighten(self, alarm: Alarm) -> None:
        """The alarm's grade rose: its shelf ends no later than the new grade allows."""
        shelf = self.shelves.get(alarm.key)
        if shelf is not None:
            latest_ns = shelf.since_ns + round(cap_of(alarm.grade) * SECOND_NS)
            if latest_ns < shelf.until_ns:
                self.shelves[alarm.key] = Shelf(
                    shelf.since_ns, latest_ns, shelf.one_shot, shelf.actor, shelf.reason
                )

    def returned(self, alarm: Alarm) -> None:
        """A one-shot shelf ends with the first return to normal."""
        shelf = self.shelves.get(alarm.key)
        if shelf is not None and shelf.one_shot:
            del self.shelves[alarm.key]

    def expired(self, now_ns: int) -> tuple[list[str], list[str]]:
        """Keys of shelves, and names of things out of service, whose time is up; they are lifted."""
        shelves = [key for key, shelf in self.shelves.items() if shelf.until_ns <= now_ns]
        things = [name for name, out in self.out_of_service.items() if out.until_ns <= now_ns]
        for key in shelves:
            del self.shelves[key]
        for name in things:
            del self.out_of_service[name]
        return shelves, things

    def next_deadline_ns(self) -> int:
        """When something will expire."""
        shelves = (shelf.until_ns for shelf in self.shelves.values())
        things = (out.until_ns for out in self.out_of_service.values())
        return min(*shelves, *things, self.flood.next_deadline_ns(), NEVER_NS)

    def state(self) -> dict[str, Any]:
        return {
            "shelves": {key: asdict(shelf) for key, shelf in self.shelves.items()},
            "out_of_service": {name: asdict(out) for name, out in self.out_of_service.items()},
            "flood": self.flood.state(),
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Absolute ends survive; what cannot be read comes back unshelved (as OPC UA restarts)."""
        self.shelves = _read(Shelf, saved.get("shelves"))
        self.out_of_service = _read(OutOfService, saved.get("out_of_service"))
        self.flood.restore(saved.get("flood", {}))


def cap_of(grade: str) -> float:
    """Longest shelf of a grade, in seconds."""
    return SHELF_CAP_S.get(grade, 0.0)


def _read(form: Any, saved: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, fields in saved.items() if isinstance(saved, Mapping) else ():
        try:
            one = form(**fields)
            if isinstance(one.until_ns, int):
                found[key] = one
        except TypeError:
            continue
    return found
