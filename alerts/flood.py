"""Flood: more alarms than people can take in; while it lasts P3 are told together, and not one by one.

Begin and end are those of ISA-18.2: more than 10 alarms within 10 minutes, fewer than 5 within 10 minutes.
"""

from collections import deque
from collections.abc import Mapping
from typing import Any

from alerts.alert import short_hash
from alerts.incidents import SECOND_NS, Alarm

FLOOD = "alarm_flood"
"""Kind and rule of the notice that says so; it is about the alarm system, and nothing in the city."""
SYSTEM = "system"
"""Medium of what the alarm system says of itself: no alert about anything that was watched."""

FLOOD_BEGINS, FLOOD_ENDS = 10, 5  # more than, fewer than, within ten minutes
TEN_MINUTES_NS = 600 * SECOND_NS
HELD = "P3"
"""The grade that waits; P1 and P2 are told one by one whatever happens."""
NEVER_NS = 2**63 - 1


class Flood:
    """Counts what calls people, or would. `held` lies over alarms as an overlay until the flood is over."""

    def __init__(self) -> None:
        self._calls: deque[int] = deque(maxlen=FLOOD_BEGINS + 1)  # the last ones that matter, oldest first
        self._clear()

    def _clear(self) -> None:
        self.since_ns = 0
        self.said_ns = 0  # when people were told of it last
        self.calls = 0  # since it began, and those that began it
        self.held: dict[str, bool] = {}  # by the alarm's key: whether it is to be told anew
        self.kinds: dict[str, int] = {}  # "medium/kind" of the incidents held
        self.fresh = 0  # held since people were told last
        self._incidents: dict[str, None] = {}  # held already: one more alarm of it is no further call

    @property
    def on(self) -> bool:
        """It lasts."""
        return self.since_ns > 0

    @property
    def alert_id(self) -> str:
        """The alert that speaks for what is held; "" while there is no flood."""
        return short_hash(FLOOD, self.since_ns) if self.on else ""

    def call(self, alarm: Alarm, now_ns: int, *, anew: bool) -> bool:
        """People are to be called about an alarm; False where that must wait."""
        if alarm.key == FLOOD:
            return True
        if alarm.grade == HELD and alarm.incident in self._incidents:
            self.held[alarm.key] = anew
            return False
        self._calls.append(now_ns)
        self.calls += self.on
        if not self.on and self._recent(now_ns) > FLOOD_BEGINS:
            self.since_ns = self.said_ns = now_ns
            self.calls = len(self._calls)
        if not self.on or alarm.grade != HELD:
            return True
        self.held[alarm.key] = anew
        self._incidents[alarm.incident] = None
        name = f"{alarm.medium}/{alarm.kind}"
        self.kinds[name] = self.kinds.get(name, 0) + 1
        self.fresh += 1
        return False

    def release(self, key: str) -> None:
        """An alarm is over, or worth more than to wait."""
        self.held.pop(key, None)

    def said(self, now_ns: int) -> None:
        """People have been told of all that is held by now."""
        self.said_ns, self.fresh = now_ns, 0

    def over(self, now_ns: int) -> bool:
        """It lasted until now; what was held is to be let go by `end`."""
        return self.on and self._recent(now_ns) < FLOOD_ENDS

    def end(self) -> dict[str, bool]:
        """There is no flood any more; what had been held, and whether it is to be told anew."""
        held = self.held
        self._clear()
        return held

    def next_deadline_ns(self) -> int:
        """When it will be over if nothing more happens, or people are to hear what was held."""
        if not self.on:
            return NEVER_NS
        ends_ns = self._calls[-FLOOD_ENDS] + TEN_MINUTES_NS if len(self._calls) >= FLOOD_ENDS else 0
        return min(ends_ns, self.said_ns + TEN_MINUTES_NS) if self.fresh else ends_ns

    def state(self) -> dict[str, Any]:
        return {
            "last": list(self._calls),
            "since_ns": self.since_ns,
            "said_ns": self.said_ns,
            "calls": self.calls,
            "held": dict(self.held),
            "kinds": dict(self.kinds),
            "fresh": self.fresh,
            "incidents": list(self._incidents),
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Go on from a snapshot; one of before there were floods knows of none."""
        self._clear()
        self._calls = deque(saved.get("last", ()), maxlen=FLOOD_BEGINS + 1)
        self.since_ns, self.said_ns = saved.get("since_ns", 0), saved.get("said_ns", 0)
        self.calls, self.fresh = saved.get("calls", 0), saved.get("fresh", 0)
        self.held, self.kinds = dict(saved.get("held", {})), dict(saved.get("kinds", {}))
        self._incidents = dict.fromkeys(saved.get("incidents", ()))

    def _recent(self, now_ns: int) -> int:
        return sum(now_ns - when < TEN_MINUTES_NS for when in self._calls)
