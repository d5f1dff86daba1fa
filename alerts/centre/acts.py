"""Acts: what staff may do about an incident, when it is refused, and what its gateway is then told."""

from collections.abc import Mapping
from typing import Any

import msgspec

from alerts.centre.cases import LATCHED, Incident, Stage, Waiting, waiting_for
from alerts.centre.events import CASE, STAFF_SOURCE, Fact

ACTS = ("acknowledged", "shelved", "unshelved", "confirmed", "reset", "closed")
OUTCOMES = ("real", "false_alarm", "sensor_fault", "exercise")  # what the field found
SHELF_CAP_S = {"P1": 0, "P2": 3600, "P3": 8 * 3600, "P4": 8 * 3600}  # domain facts §2 (a design choice there)
SHELF_LEAST_S = 60
NOTE_MOST = 1000


class ActRefused(Exception):
    """Not now, or not so. `code` and `details` are turned into words for the page."""

    def __init__(self, code: str, **details: Any) -> None:
        self.code = code
        self.details = details
        super().__init__(f"{code} {details}" if details else code)


class NotYet(ActRefused):
    """A case may not be closed yet; `waiting` says what for."""

    def __init__(self, waiting: list[Waiting]) -> None:
        self.waiting = waiting
        super().__init__("not_yet")


def prepare(
    incident: Incident,
    kind: str,
    form: Mapping[str, str],
    *,
    actor: str,
    once: str,
    now_ns: int,
    verify_ns: int,
    gateway_silent: bool,
) -> Fact:
    """The fact that an act is, with the commands it gives the gateway; ActRefused where it may not be done.

    `form["seen"]` is the newest fact that the actor had on the page: whoever acts on a picture in which the
    incident had not yet grown worse is asked to look again. `once` names the act: pressed twice, done once.
    """
    if kind not in ACTS:
        raise ActRefused("unknown_act")
    seen = form.get("seen", "")
    if not seen.isdecimal() or int(seen) < incident.armed:
        raise ActRefused("grew_worse")
    if incident.stage is Stage.CLOSED:
        raise ActRefused("closed_already")
    body: dict[str, Any] = {"actor": actor, **_DETAILS[kind](incident, form)}
    if kind == "closed" and (missing := waiting_for(incident, now_ns, verify_ns, gateway_silent)):
        raise NotYet(missing)
    commands = [] if incident.gateway == "centre" else _commands(incident, kind, body)
    body["commands"] = [{"id": f"{once}-{n}", **command} for n, command in enumerate(commands)]
    return Fact(0, now_ns, STAFF_SOURCE, once, f"{CASE}{kind}.v1", incident.key, msgspec.json.encode(body))


def _acknowledge(incident: Incident, form: Mapping[str, str]) -> dict[str, Any]:
    if incident.stage is not Stage.RECEIVED:
        raise ActRefused("acknowledged_already")
    return {}


def _shelve(incident: Incident, form: Mapping[str, str]) -> dict[str, Any]:
    cap = min(SHELF_CAP_S[alarm.now.grade] for alarm in incident.alarms.values())
    if incident.gateway == "centre" or cap == 0:
        raise ActRefused("not_shelvable")
    reason = _note(form, "reason", required=True)
    if form.get("seconds") == "one_shot":
        return {"one_shot": True, "reason": reason}
    seconds = form.get("seconds", "")
    if not (seconds.isdecimal() and len(seconds) < 8 and SHELF_LEAST_S <= int(seconds) <= cap):
        raise ActRefused("shelf_length", minutes=cap // 60)
    return {"seconds": int(seconds), "reason": reason}


def _unshelve(incident: Incident, form: Mapping[str, str]) -> dict[str, Any]:
    if all(alarm.shelved_until_ns is None for alarm in incident.alarms.values()):
        raise ActRefused("not_shelved")
    return {}


def _confirm(incident: Incident, form: Mapping[str, str]) -> dict[str, Any]:
    if form.get("outcome") not in OUTCOMES:
        raise ActRefused("outcome_missing")
    return {"outcome": form["outcome"], "note": _note(form, "note", required=True)}


def _reset(incident: Incident, form: Mapping[str, str]) -> dict[str, Any]:
    if not incident.latched:
        raise ActRefused("nothing_latched")
    if incident.stage is Stage.RECEIVED:
        raise ActRefused("acknowledge_first")
    return {}


def _close(incident: Incident, form: Mapping[str, str]) -> dict[str, Any]:
    return {"note": _note(form, "note", required=False)}


_DETAILS = {
    "acknowledged": _acknowledge,
    "shelved": _shelve,
    "unshelved": _unshelve,
    "confirmed": _confirm,
    "reset": _reset,
    "closed": _close,
}


def _note(form: Mapping[str, str], field: str, *, required: bool) -> str:
    text = form.get(field, "").strip()
    if required and len(text) < 2:
        raise ActRefused(f"{field}_missing")
    if len(text) > NOTE_MOST:
        raise ActRefused("too_long", most=NOTE_MOST)
    return text


def _commands(incident: Incident, kind: str, body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the gateway is asked to do, without ids."""
    if kind == "shelved":
        wanted = {name: body[name] for name in ("seconds", "one_shot", "reason") if name in body}
        return [{"kind": "shelve", "body": {"incident": incident.id, **wanted}}]
    if kind == "unshelved":
        return [{"kind": "unshelve", "body": {"incident": incident.id}}]
    if kind == "reset":
        latched = [alarm.id for alarm in incident.alarms.values() if alarm.now.state in LATCHED]
        return [{"kind": "reset", "body": {"alert_id": id}} for id in sorted(latched)]
    if kind == "acknowledged" or (kind == "confirmed" and incident.stage is Stage.RECEIVED):
        return [{"kind": "ack", "body": {"incident": incident.id}}]
    return []
