"""Sight: incidents turned into what a page shows, in one language and time zone; no request and no HTML."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from alerts.centre.acts import FIELDS, SHELF_CAP_S, allowed
from alerts.centre.calling.receivers import Receivers
from alerts.centre.care import ANSWERS, care_of
from alerts.centre.cases import ARMING, Act, Alarm, Incident, Told, Waiting, timeline, waiting_for
from alerts.centre.desk import Desk, Gateway
from alerts.centre.events import Change, nanoseconds
from alerts.centre.evidence import CERTAINTY, packet, score_of
from alerts.centre.stages import FILED, OVER, STEPS, Stage
from alerts.centre.words import Words
from alerts.plots import draw, plain_unit, series_of
from config.grades import ANY, read_grades

SECOND_NS = 1_000_000_000
LATE_S = 60  # received this much later than noticed: said so
SHELVES_S = (900, 3600, 4 * 3600, 8 * 3600)
TIMELINE_MOST = 200
FIGURES = frozenset({"expected", "spread", "unchanged_s", "age_s"})  # the rest stands in the sentence why
LOOP = ("accepted", "registered", "dispatched", "handling", "feedback", "verifying", "closed")
LOOP_AT = {  # the step of the loop that is under way, or comes next
    Stage.RECEIVED: 0,
    Stage.ACCEPTED: 1,
    Stage.REGISTERED: 2,
    Stage.DISPATCHED: 3,
    Stage.ENGAGED: 3,
    Stage.HANDLING: 3,
    Stage.TRANSFERRED: 3,
    Stage.FEEDBACK: 5,
    Stage.VERIFYING: 5,
    Stage.CLOSED: 7,
    Stage.EVALUATED: 7,
    Stage.REJECTED: 7,
}
TOLD_OF_ACTS = ("to", "outcome", "score", "limit", "reason", "note", "account", "area", "address")
OWN_PLACE = ("acknowledged", "confirmed", "closed")  # steps that have a place of their own on the page
TELLS = ARMING | {"cleared"}  # changes whose reason says something new


@dataclass(frozen=True)
class Eye:
    """Who is looking: language, time zone, and what time it is."""

    words: Words
    timezone: ZoneInfo
    now_ns: int

    def clock(self, time_ns: int) -> str:
        """Hours, minutes and seconds; the date too when it is not today's."""
        moment = datetime.fromtimestamp(time_ns // SECOND_NS, self.timezone)
        today = datetime.fromtimestamp(self.now_ns // SECOND_NS, self.timezone).date()
        return f"{moment:%H:%M:%S}" if moment.date() == today else f"{moment:%Y-%m-%d %H:%M:%S}"

    def minute(self, time_ns: int) -> str:
        """Hours and minutes; month and day too when it is not today's."""
        moment = datetime.fromtimestamp(time_ns // SECOND_NS, self.timezone)
        today = datetime.fromtimestamp(self.now_ns // SECOND_NS, self.timezone).date()
        return f"{moment:%H:%M}" if moment.date() == today else f"{moment:%m-%d %H:%M}"

    def iso(self, time_ns: int) -> str:
        return datetime.fromtimestamp(time_ns // SECOND_NS, self.timezone).isoformat()

    def ago(self, time_ns: int) -> str:
        return self.words("ago", time=self.words.span((self.now_ns - time_ns) / SECOND_NS))


def card(incident: Incident, desk: Desk, eye: Eye) -> dict[str, Any]:
    """What the list shows of an incident."""
    lead, words = incident.lead.said, eye.words
    stage, quiet = incident.stage, incident.quiet
    shown = ("information" if incident.open else "over") if quiet else str(stage)
    due_ns = desk.clocks.due_ns(incident)
    waits = not incident.acknowledged and stage not in OVER and not quiet
    return {
        "key": incident.key,
        "grade": incident.grade,
        "grade_word": words.of("grade", incident.grade),
        "title": _title(lead, words),
        "kind": lead.kind,
        "medium": words.of("medium", lead.medium),
        "place": lead.place,
        "places": len({alarm.now.place for alarm in incident.alarms.values()}),
        "because": because(lead, words),
        "since": eye.clock(incident.since_ns),
        "since_iso": eye.iso(incident.since_ns),
        "ago": eye.ago(incident.since_ns),
        "stage": shown,
        "stage_word": words.of("stage", shown),
        "acked_by": _acked_by(incident),
        "may_acknowledge": waits,
        "due_iso": eye.iso(due_ns) if due_ns is not None else "",
        "due": eye.clock(due_ns) if due_ns is not None else "",
        "overdue": due_ns is not None and due_ns < eye.now_ns,
        "assigned": incident.assigned if stage in FILED else "",
        "in_band": incident.in_band,
        "state_word": words.of("state", incident.lead.now.state),
        "shelved": _shelved(incident, eye),
        "learning": incident.learning,
        "seen": incident.known,
        "open": incident.open,
    }


def whole(incident: Incident, desk: Desk, eye: Eye, receivers: Receivers | None = None) -> dict[str, Any]:
    """What the page of one incident shows; `receivers` know who and what is near."""
    lead, words = incident.lead.said, eye.words
    waiting = waiting_for(incident, eye.now_ns, desk.verify_ns, desk.unheard(incident))
    cap_s = (
        0 if incident.gateway == "centre" else min(SHELF_CAP_S[a.now.grade] for a in incident.alarms.values())
    )
    case_open = incident.stage not in OVER and not incident.quiet
    steps = () if incident.quiet else allowed(incident)
    return {
        **card(incident, desk, eye),
        "gateway": incident.gateway,
        "first_seen": eye.clock(min(alarm.first.detected_ns for alarm in incident.alarms.values())),
        "sure": words.of("sure", CERTAINTY[incident.grade]),
        "score": "" if (score := score_of(lead)) is None else f"{score:.2f}",
        "figures": _figures(lead, words),
        "tier": words.of("tier", lead.tier),
        "owner": words.of("owner", lead.owner) if lead.owner else "",
        "first": words.of("first", incident.grade),
        "advice": words.advice(lead.medium, lead.kind, lead.advice, lead.advice_zh),
        "plots": _plots(incident, eye),
        "evidence": _evidence(packet(incident, eye.timezone, eye.now_ns, receivers, desk.rationale), eye),
        "wristband": lead.medium == "wristband",
        "alarms": [_alarm(alarm, eye) for alarm in _by_gravity(incident)],
        "timeline": [_line(line, incident, desk, eye) for line in timeline(incident)[:TIMELINE_MOST]],
        "waiting": [_waiting(one, eye) for one in waiting],
        "case_open": case_open,
        "may_close": case_open and not waiting,
        "may_confirm": "confirmed" in steps and "reported" not in steps,
        "may_report": "reported" in steps,
        "steps": [(act, FIELDS[act]) for act in steps if act not in (*OWN_PLACE, "reported")],
        "loop": _loop(incident, words),
        "care": _care(incident, eye),
        "may_reset": case_open and bool(incident.latched) and incident.acknowledged,
        "shelves": [(seconds, words.span(seconds)) for seconds in SHELVES_S if seconds <= cap_s],
        "p1": incident.grade == "P1",
        "may_shelve": case_open and cap_s > 0 and not incident.in_band and _shelved(incident, eye) == "",
        "may_unshelve": case_open and any(a.shelved_until_ns is not None for a in incident.alarms.values()),
    }


def gateway_line(gateway: Gateway, desk: Desk, eye: Eye) -> dict[str, Any]:
    """How one gateway is doing."""
    state = "never_heard" if not gateway.heard_ns else "silent" if desk.silent(gateway.id) else "well"
    if state == "well" and gateway.learning:
        state = "learning"
    status = gateway.heartbeat or {}
    trouble = status.get("trouble")
    figures = {k: v for k, v in status.items() if isinstance(v, int | float) and not isinstance(v, bool)}
    return {
        "id": gateway.id,
        "name": str(status.get("name", "")),
        "trouble": [f"{part}: {why}" for part, why in trouble.items()] if isinstance(trouble, dict) else [],
        "state": state,
        "state_word": eye.words(state),
        "heard": eye.clock(gateway.heard_ns) if gateway.heard_ns else "",
        "heard_iso": eye.iso(gateway.heard_ns) if gateway.heard_ns else "",
        "ago": eye.ago(gateway.heard_ns) if gateway.heard_ns else "",
        "pending": len(desk.board.pending(gateway.id)),
        "figures": sorted(figures.items())[:20],
    }


def audit_line(type: str, body: Mapping[str, Any], incident: str, at_ns: int, eye: Eye) -> dict[str, Any]:
    """One line of the audit log."""
    word = type.removeprefix("city.linkage.").removeprefix("case.").removesuffix(".v1")
    details = [str(body[name]) for name in TOLD_OF_ACTS if body.get(name)]
    return {
        "at": eye.clock(at_ns),
        "who": str(body.get("actor", "")),
        "what": eye.words.of("act", word),
        "incident": incident,
        "details": " · ".join(details),
    }


def _title(change: Change, words: Words) -> str:
    return words.title(change.medium, change.kind, change.title, change.title_zh)


def _by_gravity(incident: Incident) -> Sequence[Alarm]:
    return sorted(incident.alarms.values(), key=lambda a: (a.in_band, a.now.grade, a.first.detected_ns, a.id))


def _loop(incident: Incident, words: Words) -> list[tuple[str, str]]:
    """The seven steps, each with how far it is: done, now or ahead."""
    stage = incident.stage
    at = LOOP_AT[stage]
    how = ["done" if number < at else "now" if number == at else "ahead" for number in range(len(LOOP))]
    return [(words.of("loop", name), one) for name, one in zip(LOOP, how)]


def _care(incident: Incident, eye: Eye) -> dict[str, Any] | None:
    """Of a wearer: what is to be done now, until when, and whether 120 is to be called."""
    care = care_of(incident, eye.now_ns)
    if care is None or incident.stage in OVER:
        return None
    return {
        "what": eye.words.of("care", care.step),
        "due": "" if care.due_ns is None else eye.clock(care.due_ns),
        "due_iso": "" if care.due_ns is None else eye.iso(care.due_ns),
        "ambulance": care.ambulance,
        "answers": [(answer, eye.words.of("answer", answer)) for answer in ANSWERS],
    }


def _acked_by(incident: Incident) -> str:
    act = incident.last_act(*STEPS)
    if act:
        return act.actor
    told = incident.acknowledged_at_gateway
    return told.change.actor if told else ""


def _shelved(incident: Incident, eye: Eye) -> str:
    until_ns = incident.shelved_until_ns
    if until_ns is None:
        return ""
    return eye.words("shelved_until", time=eye.clock(until_ns)) if until_ns else eye.words("shelved")


def because(change: Change, words: Words) -> str:
    """Its sentence in the language of the page, where it was told in it."""
    return change.because_zh or change.because if words.language == "zh" else change.because


def reason(text: str, words: Words, medium: str = "") -> str:
    """Why a change came, in the language of the page; what has no words in it as it came."""
    for pattern, (chinese, _) in words.table("said").items():
        found = re.fullmatch(pattern, text)
        if found is not None and words.language == "zh":
            named = [
                words.title(medium, part, "", "") if is_kind(medium, part) else part
                for part in found.groups()
            ]
            return str(chinese).format(*named)
    return text


def is_kind(medium: str, word: str) -> bool:
    """Whether grades.toml names such a kind."""
    return any(word in read_grades().kind.get(table, {}) for table in (medium, ANY))


def _evidence(found: Mapping[str, Any], eye: Eye) -> dict[str, Any]:
    """The packet in one language; the picture is drawn by the page itself."""
    language, action, where = eye.words.language, found["action"], found["where"]
    record = action["purpose"] is not None
    return {
        "why": found["why"]["text"][language],
        "purpose": action["purpose"][language] if record else "",
        "consequence": action["consequence"][language] if record else "",
        "respond": eye.words.span(action["respond_s"]) if record else "",
        "map": where.get("map", ""),
        "cameras": where["cameras"],
        "candidates": where["candidates"],
        "upstream": where["upstream"],
        "responders": where["responders"],
        "sms": found["sms"][language],
    }


def _figures(lead: Change, words: Words) -> list[tuple[str, str]]:
    """Name and value of what stands behind a judgement; of a wristband nothing."""
    observed, numbers = lead.observed, lead.numbers
    if lead.medium == "wristband":
        return []
    figures = []
    if observed and isinstance(observed.get("value"), int | float):
        unit = plain_unit(str(observed.get("unit", "")))
        figures.append(("value", f"{observed['value']:.6g} {unit}"))
        if isinstance(observed.get("limit"), int | float):
            sign = {">=": "≥", "<=": "≤"}.get(str(observed.get("op", "")), "")
            figures.append(("limit", f"{sign} {observed['limit']:.6g} {unit}".strip()))
    figures += [(name, f"{value:.5g}") for name, value in sorted(numbers.items()) if name in FIGURES]
    return [(words.of("figure", name), value) for name, value in figures]


def _plots(incident: Incident, eye: Eye) -> list[str]:
    """Up to three drawings; of a wristband none."""
    drawings: list[str] = []
    for alarm in _by_gravity(incident):
        if alarm.now.medium == "wristband" or len(drawings) == 3:
            continue
        series = series_of(alarm.plot, nanoseconds(alarm.said.t.event))
        if series is not None:
            title = eye.words("plot_title", place=alarm.now.channel or alarm.now.place)
            drawings.append(draw(series, eye.timezone, title))
    return drawings


def _alarm(alarm: Alarm, eye: Eye) -> dict[str, Any]:
    change = alarm.now
    return {
        "title": _title(change, eye.words),
        "grade": change.grade,
        "place": change.channel or change.place,
        "state_word": eye.words.of("state", change.state),
        "in_band": alarm.in_band,
        "because": because(change, eye.words),
    }


def _line(line: Any, incident: Incident, desk: Desk, eye: Eye) -> dict[str, Any]:
    shown = {"at": eye.clock(line.at_ns), "iso": eye.iso(line.at_ns), "late": "", "commands": []}
    if line.act is not None:
        return {**shown, **_act_line(line.act, desk, eye)}
    return {**shown, **_told_line(line.told, eye)}


def _told_line(told: Told, eye: Eye) -> dict[str, Any]:
    change = told.change
    late = told.received_ns - told.detected_ns > LATE_S * SECOND_NS
    actor = change.actor if change.actor not in ("", "gateway") else ""
    return {
        "who": actor,
        "what": eye.words.of("change", told.type),
        "grade": change.grade,
        "text": reason(change.reason, eye.words, change.medium)
        or (because(change, eye.words) if told.type in TELLS else ""),
        "place": change.channel or change.place,
        "late": eye.words("received_late", time=eye.clock(told.received_ns)) if late else "",
    }


def _act_line(act: Act, desk: Desk, eye: Eye) -> dict[str, Any]:
    words = eye.words
    texts = []
    if "outcome" in act.body:
        texts.append(words.of("outcome", act.body["outcome"]))
    if "seconds" in act.body:
        texts.append(words.span(act.body["seconds"]))
    if act.body.get("one_shot"):
        texts.append(words("one_shot"))
    if "to" in act.body:
        texts.append(f"→ {act.body['to']}")
    if "receivers" in act.body:
        names = [one["person"] or one["org"] for one in act.body["receivers"]]
        texts.append(f"{words.of('call', act.body['why'])} → {', '.join(names)}")
    if "answer" in act.body:
        texts.append(words.of("answer", act.body["answer"]))
    if act.body.get("called"):
        texts.append(", ".join(act.body["called"]))
    if "score" in act.body:
        texts.append(words("score_of", score=act.body["score"]))
    texts += [act.body[name] for name in ("limit", "reason", "note") if act.body.get(name)]
    commands = []
    for id in desk.board.commands_of(act):
        result = desk.board.result_of(id)
        if result is None:
            commands.append(("waiting", words("command_waiting")))
        elif result.result == "applied":
            commands.append(("applied", words("command_applied")))
        else:
            commands.append(("refused", words("command_refused", reason=result.reason)))
    return {
        "who": act.actor,
        "what": words.of("act", act.kind),
        "grade": "",
        "text": " · ".join(texts),
        "place": "",
        "commands": commands,
    }


def _waiting(one: Waiting, eye: Eye) -> dict[str, Any]:
    words = eye.words
    if one.what == "window" and one.until_ns is not None:
        left = words.span((one.until_ns - eye.now_ns) / SECOND_NS)
        return {"what": "window", "text": words("window", time=eye.clock(one.until_ns), left=left)}
    key = {"gateway": "gateway_wait", "reset": "reset_wait"}.get(one.what, one.what)
    return {"what": one.what, "text": words(key, count=one.alarms)}
