"""Noticed: alarms of the centre itself, about what people report or leave out; no sensor is behind them."""

from collections.abc import Mapping
from typing import Any

import msgspec

from alerts.alert import rfc3339, short_hash
from alerts.centre.cases import Alarm
from alerts.centre.events import ALERT, CASE, CENTRE_SOURCE, Fact
from config.grades import read_grades

CENTRE = "centre"  # the site under which the centre's own alarms stand
RULES = ("report", "patrol")


def raised(
    rule: str, id: str, medium: str, kind: str, place: str, because: str, at_ns: int, now_ns: int, **more: Any
) -> Fact:
    """A new alarm with an incident of its own; the same `id` is the same alarm."""
    grading = read_grades().of(medium, kind)
    alert_id = short_hash(rule, id)
    data = {
        "alert_id": alert_id,
        "incident": short_hash(alert_id),
        "seq": 1,
        "state": "ACTIVE_UNACK",
        "grade": grading.grade,
        "tier": grading.tier,
        "owner": grading.owner,
        "kind": kind,
        "medium": medium,
        "place": place,
        "rule": {"id": rule, "version": 1},
        "because": because,
        "advice": grading.advice,
        "advice_zh": grading.advice_zh,
        "notify": True,
        "t": {"event": rfc3339(at_ns), "detected": rfc3339(now_ns)},
        **more,
    }
    return _fact("raised", data, now_ns)


def cleared(alarm: Alarm, because: str, now_ns: int) -> Fact:
    """Its end: somebody was there, no sensor can say so."""
    before: Mapping[str, Any] = msgspec.to_builtins(alarm.now)
    data = {
        **{name: value for name, value in before.items() if value not in (None, [], {}, "")},
        "seq": max(alarm.told) + 1,
        "state": "NORMAL",
        "notify": False,
        "because": because,
        "t": {"event": rfc3339(now_ns), "detected": rfc3339(now_ns)},
    }
    return _fact("cleared", data, now_ns)


def is_noticed(alarm: Alarm) -> bool:
    """Whether an alarm is one of these."""
    rule = alarm.now.rule.get("id") if isinstance(alarm.now.rule, dict) else ""
    return alarm.gateway == CENTRE and rule in RULES


def act(kind: str, incident: str, now_ns: int, **body: Any) -> Fact:
    """Something that the centre itself does about an incident; done once, however often it is tried."""
    id = short_hash(kind, incident, msgspec.json.encode(body, order="sorted").decode())
    data = msgspec.json.encode({"actor": CENTRE, **body})
    return Fact(0, now_ns, CENTRE_SOURCE, id, f"{CASE}{kind}.v1", incident, data)


def _fact(type: str, data: Mapping[str, Any], now_ns: int) -> Fact:
    id = f"{data['alert_id']}-{data['seq']}"
    incident = f"{CENTRE}/{data['incident']}"
    return Fact(0, now_ns, CENTRE_SOURCE, id, f"{ALERT}{type}.v1", incident, msgspec.json.encode(data))
