"""Acts: what staff may do about an incident, when it is refused, and what its gateway is then told."""

from collections.abc import Mapping
from typing import Any

import msgspec

from alerts.centre.care import ANSWERS
from alerts.centre.cases import LATCHED, Incident, Waiting, waiting_for
from alerts.centre.events import CASE, STAFF_SOURCE, Fact
from alerts.centre.stages import OVER, STEPS, may
from config.workdays import limit

ASIDE = ("shelved", "unshelved", "reset", "noted", "called_back", "ambulance")  # acts that move no case
ACTS = (*STEPS, *ASIDE)
OUTCOMES = ("real", "false_alarm", "sensor_fault", "exercise")  # what the field found
SHELF_CAP_S = {"P1": 0, "P2": 3600, "P3": 8 * 3600, "P4": 8 * 3600}  # domain facts §2 (a design choice there)
SHELF_LEAST_S = 60
NOTE_MOST = 1000
TO_MOST = 120
FIELDS: Mapping[str, tuple[str, ...]] = {  # what a step asks for, beside `seen`; see `_DETAILS`
    "acknowledged": (),
    "filed": ("note",),
    "rejected": ("reason",),
    "dispatched": ("to", "limit", "note"),
    "engaged": (),
    "returned": ("reason",),
    "started": (),
    "transferred": ("to", "limit", "reason"),
    "reported": ("outcome", "note"),
    "verifying": (),
    "reworked": ("reason",),
    "confirmed": ("outcome", "note"),
    "closed": ("note",),
    "evaluated": ("score", "note"),
}
SCORES = ("1", "2", "3", "4", "5")  # of an evaluation, 5 the best


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
    _check_stage(incident, kind)
    body: dict[str, Any] = {"actor": actor, **_DETAILS[kind](incident, form)}
    if kind == "closed" and (missing := waiting_for(incident, now_ns, verify_ns, gateway_silent)):
        raise NotYet(missing)
    commands = [] if incident.gateway == "centre" else _commands(incident, kind, body)
    body["commands"] = [{"id": f"{once}-{n}", **command} for n, command in enumerate(commands)]
    return Fact(0, now_ns, STAFF_SOURCE, once, f"{CASE}{kind}.v1", incident.key, msgspec.json.encode(body))


def allowed(incident: Incident) -> tuple[str, ...]:
    """The steps that staff can take now, in the order of the loop."""
    steps = may(incident.stage)
    again = "acknowledged" not in steps and not incident.acknowledged and incident.stage not in OVER
    return ("acknowledged", *steps) if again else steps


def _check_stage(incident: Incident, kind: str) -> None:
    """Whether the table holds such a step; a case that has grown worse may also be acknowledged anew."""
    stage = incident.stage
    if kind in allowed(incident) or (kind in ASIDE and (stage not in OVER or kind == "noted")):
        return
    if stage in OVER:
        raise ActRefused("closed_already")
    if kind == "acknowledged":
        raise ActRefused("acknowledged_already")
    if kind == "closed" and incident.finding is None:
        return  # said in full by what it still waits for
    raise ActRefused("wrong_stage", stage=str(stage), act=kind)


def _acknowledge(incident: Incident, form: Mapping[str, str]) -> dict[str, Any]:
    return {}


def _file(incident: Incident, form: Mapping[str, str]) -> dict[str, Any]:
    return {"note": _note(form, "note", required=False)}


def _reject(incident: Incident, form: Mapping[str, str]) -> dict[str, Any]:
    """Only what is over can be left unfiled: a signal out of band always has a case."""
    if not incident.in_band or incident.latched:
        raise ActRefused("still_out")
    return {"reason": _note(form, "reason", required=True)}


def _hand_over(incident: Incident, form: Mapping[str, str]) -> dict[str, Any]:
    """To a unit or person, with a limit of its own where local rules set one."""
    to = " ".join(form.get("to", "").split())
    if not 2 <= len(to) <= TO_MOST:
        raise ActRefused("to_missing", most=TO_MOST)
    body = {"to": to, "note": _note(form, "note", required=False)}
    if written := form.get("limit", "").strip():
        try:
            body["limit"] = limit(written).text
        except ValueError as error:
            raise ActRefused("limit_unclear") from error
    return body


def _transfer(incident: Incident, form: Mapping[str, str]) -> dict[str, Any]:
    return {**_hand_over(incident, form), "reason": _note(form, "reason", required=True)}


def _why(incident: Incident, form: Mapping[str, str]) -> dict[str, Any]:
    return {"reason": _note(form, "reason", required=True)}


def _evaluate(incident: Incident, form: Mapping[str, str]) -> dict[str, Any]:
    if form.get("score") not in SCORES:
        raise ActRefused("score_missing")
    return {"score": int(form["score"]), "note": _note(form, "note", required=False)}


def _call_back(incident: Incident, form: Mapping[str, str]) -> dict[str, Any]:
    """What a wearer said when called back."""
    if incident.lead.said.medium != "wristband":
        raise ActRefused("not_a_person")
    if form.get("answer") not in ANSWERS:
        raise ActRefused("answer_missing")
    return {"answer": form["answer"], "note": _note(form, "note", required=False)}


def _ambulance(incident: Incident, form: Mapping[str, str]) -> dict[str, Any]:
    """120 was called, beside whatever else is under way."""
    return {"note": _note(form, "note", required=False)}


def _say(incident: Incident, form: Mapping[str, str]) -> dict[str, Any]:
    return {"note": _note(form, "note", required=True)}


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
    if not incident.acknowledged:
        raise ActRefused("acknowledge_first")
    return {}


def _close(incident: Incident, form: Mapping[str, str]) -> dict[str, Any]:
    return {"note": _note(form, "note", required=False)}


_DETAILS = {
    "acknowledged": _acknowledge,
    "filed": _file,
    "rejected": _reject,
    "dispatched": _hand_over,
    "engaged": _file,
    "returned": _why,
    "started": _file,
    "transferred": _transfer,
    "reported": _confirm,
    "verifying": _file,
    "reworked": _why,
    "evaluated": _evaluate,
    "noted": _say,
    "called_back": _call_back,
    "ambulance": _ambulance,
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
    """What its gateways are asked to do, without ids; each is asked about its own incidents and alarms."""
    if kind == "shelved":
        wanted = {name: body[name] for name in ("seconds", "one_shot", "reason") if name in body}
        return _to_each(incident, "shelve", wanted)
    if kind == "unshelved":
        return _to_each(incident, "unshelve", {})
    if kind == "reset":
        latched = [alarm for alarm in incident.alarms.values() if alarm.now.state in LATCHED]
        return [
            {"kind": "reset", "body": {"alert_id": alarm.id}, **_other(incident, alarm.gateway)}
            for alarm in sorted(latched, key=lambda alarm: alarm.id)
        ]
    if kind in STEPS and not incident.acknowledged:  # whoever does anything about it has seen it
        return _to_each(incident, "ack", {})
    return []


def _to_each(incident: Incident, kind: str, wanted: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The same command to every gateway that tells of it, by the name that it has there."""
    theirs = {
        (alarm.gateway, alarm.now.incident)
        for alarm in incident.alarms.values()
        if alarm.gateway not in (incident.gateway, "centre")
    }
    return [
        {"kind": kind, "body": {"incident": id, **wanted}, **_other(incident, gateway)}
        for gateway, id in [(incident.gateway, incident.id), *sorted(theirs)]
    ]


def _other(incident: Incident, gateway: str) -> dict[str, str]:
    return {} if gateway == incident.gateway else {"gateway": gateway}
