"""Floodnotice: says that a flood of alarms has begun, what was held in it, and tells what outlasts it."""

from collections.abc import Mapping
from typing import Any

from alerts.alert import short_hash
from alerts.flood import FLOOD, SYSTEM, TEN_MINUTES_NS, Flood
from alerts.incidents import SECOND_NS, Alarm
from alerts.roll import Roll
from alerts.states import Turn

SITE = "site"
"""Place of the notice: all of it."""


class FloodNotice:
    """Works on a roll of alarms, once a tick, after everything else has been told."""

    def __init__(self, roll: Roll) -> None:
        self.roll = roll

    def conclude(self) -> None:
        """What people must hear about the flood in this moment."""
        flood, now_ns = self.roll.overlays.flood, self.roll.now_ns
        notice = self.roll.alarms.get(FLOOD)
        if not flood.on:
            return
        if notice is None or notice.alert_id != flood.alert_id:
            self._begin(flood, notice)
        elif flood.over(now_ns):
            self._end(flood, notice)
        elif flood.fresh and now_ns - flood.said_ns >= TEN_MINUTES_NS:
            self._tell(notice, "updated", flood, *_lasting(flood, now_ns))

    def _begin(self, flood: Flood, before: Alarm | None) -> None:
        roll = self.roll
        if before is not None:
            roll.step(before, Turn.RETIRED)
            roll.emit(before, "updated", reason=f"came again as {flood.alert_id}")
        notice = Alarm(
            key=FLOOD,
            fingerprint=short_hash(FLOOD),
            alert_id=flood.alert_id,
            rule=FLOOD,
            channel=-1,
            medium=SYSTEM,
            place=SITE,
            zone="",
            quantity="",
            period_s=0.0,
            own_kind=FLOOD,
            kind=FLOOD,
            grade=roll.grades.of(SYSTEM, FLOOD).grade,
            event_ns=roll.now_ns,
        )
        roll.keep(notice)
        roll.step(notice, Turn.LASTED)
        roll.incidents.join(notice, roll.now_ns)
        self._tell(
            notice,
            "raised",
            flood,
            f"Alarm flood: {flood.calls} alarms within ten minutes; P1 and P2 are still told one by one, P3 "
            "together, until fewer than 5 come in ten minutes.",
            f"报警洪水：十分钟内 {flood.calls} 条报警；P1、P2 仍逐条通知，P3 汇总，直至十分钟内少于 5 条。",
        )

    def _end(self, flood: Flood, notice: Alarm) -> None:
        roll = self.roll
        lasted, lasted_zh = _lasting(flood, roll.now_ns)
        told = f"{lasted[:-1]}. It is over: what is still on follows."
        notice.because, notice.because_zh = told, f"{lasted_zh[:-1]}。洪水已结束，仍在报警的随后通知。"
        extra = _held(flood)
        held = flood.end()
        roll.step(notice, Turn.RETURNED)
        roll.emit(notice, "cleared", notify=notice.told, extra=extra)
        notice.told = False
        alarms = (roll.alarms[key] for key in held if key in roll.alarms)
        for alarm in sorted(alarms, key=lambda alarm: (alarm.grade, alarm.key)):
            if alarm.active and roll.tell(alarm, anew=held[alarm.key], counts=False):
                roll.emit(alarm, "updated", notify=True, reason="the alarm flood is over, this is not")

    def _tell(self, notice: Alarm, type: str, flood: Flood, because: str, because_zh: str) -> None:
        notice.because, notice.because_zh = because, because_zh
        flood.said(self.roll.now_ns)
        notify = self.roll.tell(notice, anew=True, counts=False)
        self.roll.emit(notice, type, notify=notify, extra=_held(flood))


def _lasting(flood: Flood, now_ns: int) -> tuple[str, str]:
    """How long it lasts and what was held, in English and Chinese."""
    minutes = round((now_ns - flood.since_ns) / SECOND_NS / 60)
    held = sum(flood.kinds.values())
    kinds = ", ".join(f"{count} {_plain(name)}" for name, count in _by_number(flood.kinds))
    return (
        f"Alarm flood for {minutes} min: {flood.calls} alarms, {held} of P3 not told one by one"
        + (f": {kinds}." if kinds else "."),
        f"报警洪水已持续 {minutes} 分钟：{flood.calls} 条报警，其中 {held} 条 P3 未逐条通知。",
    )


def _by_number(kinds: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(kinds.items(), key=lambda pair: (-pair[1], pair[0]))


def _plain(name: str) -> str:
    medium, _, kind = name.partition("/")
    return f"{medium} {kind.replace('sensor_fault:', 'sensor ').replace('_', ' ')}"


def _held(flood: Flood) -> dict[str, Any]:
    return {"summarised": dict(_by_number(flood.kinds))} if flood.kinds else {}
