"""Evidence: all that somebody needs who is sent out: what, where, since when, how sure, why, what to do."""

from collections.abc import Mapping
from datetime import tzinfo
from typing import Any

from alerts.alert import rfc3339
from alerts.centre.calling.caller import matter_of
from alerts.centre.calling.receivers import Receivers
from alerts.centre.cases import Incident
from alerts.centre.events import Change, nanoseconds
from alerts.notifiers.wording import message
from alerts.plots import draw_alone, series_of
from alerts.shortmessage import size_of
from config.grades import read_grades
from config.rationale import Rationale, read_rationale

CAMERAS_WITHIN_M = 500.0
NEAREST = ("grid", "community", "sub_district", "owner")
CERTAINTY = {"P1": "Observed", "P2": "Likely", "P3": "Likely", "P4": "Possible"}  # CAP; domain facts §11
MOST = 5


def packet(
    incident: Incident,
    zone: tzinfo,
    now_ns: int,
    receivers: Receivers | None = None,
    rationale: Rationale | None = None,
) -> dict[str, Any]:
    """The packet of an incident as plain values; texts are `{"en", "zh"}`.

    `rationale`: without it, the built-in records. Of a wristband: kind, grade, place and advice; no value,
    no plot, nothing on the map.
    """
    lead = incident.lead.said
    grading = read_grades().of(lead.medium, lead.kind)
    record = (rationale or read_rationale()).of(lead.medium, lead.kind)
    why = {} if lead.medium == "wristband" else _mapping(lead.why)
    short = _both(*(message(_event(lead), language, zone).short for language in ("en", "zh")))
    return {
        "incident": incident.key,
        "grade": incident.grade,
        "what": {
            "kind": lead.kind,
            "title": _both(lead.title or grading.title, lead.title_zh or grading.title_zh),
            "because": _both(lead.because, lead.because_zh or lead.because),
        },
        "where": _where(incident, now_ns, receivers),
        "since": rfc3339(incident.since_ns),
        "noticed": rfc3339(min(alarm.first.detected_ns for alarm in incident.alarms.values())),
        "sure": {"certainty": CERTAINTY[incident.grade], "score": score_of(lead)},
        "why": {**why, "text": _both(str(why.get("text", "")), str(why.get("text_zh", "")))},
        "plots": plots(incident, zone),
        "action": {
            "advice": _both(lead.advice or grading.advice, lead.advice_zh or grading.advice_zh),
            "purpose": None if record is None else _both(*record.purpose),
            "consequence": None if record is None else _both(*record.consequence),
            "respond_s": None if record is None else record.respond,
            "respond_by": None if record is None else rfc3339(_due_ns(incident, record.respond)),
            "basis": grading.why,
        },
        "sms": short,
        "sms_size": {
            language: {"alphabet": size.alphabet, "units": size.units, "of": size.most, "parts": size.parts}
            for language, size in ((language, size_of(text)) for language, text in short.items())
        },
    }


def score_of(change: Change) -> float | None:
    """How unusual its rule found it, from 0 to 1; None of a wristband, and where the gateway did not say."""
    if change.medium == "wristband":
        return None
    rule = _mapping(change.rule).get("id")
    by_rule = _mapping(change.why).get("by_rule")
    named = [one for one in _listed(by_rule) if isinstance(one, Mapping)]
    scores = [one.get("score") for one in named if one.get("rule") == rule]
    return float(scores[0]) if scores and isinstance(scores[0], int | float) else None


def plots(incident: Incident, zone: tzinfo, most: int = 3) -> list[dict[str, str]]:
    """Pictures of the gravest alarms, drawn here from their data; of a wristband none."""
    found: list[dict[str, str]] = []
    for alarm in sorted(incident.alarms.values(), key=lambda one: (one.now.grade, one.first.detected_ns)):
        change = alarm.said
        series = series_of(alarm.plot, nanoseconds(change.t.event))
        if change.medium != "wristband" and series is not None and len(found) < most:
            name = change.channel or change.place
            found.append({"channel": name, "svg": draw_alone(series, zone, name)})
    return found


def _where(incident: Incident, now_ns: int, receivers: Receivers | None) -> dict[str, Any]:
    lead = incident.lead.said
    places = list(dict.fromkeys(alarm.now.place for alarm in incident.alarms.values()))
    where: dict[str, Any] = {"place": lead.place, "places": places[:20], "channel": lead.channel or None}
    spot = None if lead.medium == "wristband" else _spot(lead, receivers)
    if spot is not None:
        lat, lon = spot
        where["location"] = {"lat": lat, "lon": lon, "datum": "WGS84"}
        where["map"] = f"geo:{lat:.6f},{lon:.6f}"
    where["candidates"] = _candidates(incident)
    where["upstream"] = _upstream(lead, receivers)
    where["cameras"] = [] if spot is None or receivers is None else _cameras(*spot, receivers)
    where["responders"] = [] if receivers is None else _responders(incident, now_ns, receivers)
    return where


def _spot(lead: Change, receivers: Receivers | None) -> tuple[float, float] | None:
    """Where it is: as the gateway says, else as the directory knows the asset."""
    said = _mapping(lead.location)
    lat, lon = said.get("lat"), said.get("lon")
    if not isinstance(lat, int | float) and receivers is not None:
        asset = receivers.directory.asset(lead.place)
        lat, lon = (asset.lat, asset.lon) if asset is not None else (None, None)
    if isinstance(lat, int | float) and isinstance(lon, int | float) and abs(lat) <= 90 and abs(lon) <= 180:
        return float(lat), float(lon)
    return None


def _candidates(incident: Incident) -> list[dict[str, Any]]:
    """Where the cause may lie, as the gateway ranked it when the last place joined."""
    every = [told for alarm in incident.alarms.values() for told in alarm.told.values()]
    named = [told for told in every if told.change.candidates and told.change.medium != "wristband"]
    if not named:
        return []
    said = _listed(max(named, key=lambda told: told.number).change.candidates)
    return [
        {"place": str(one.get("place", "")), "share": one.get("share"), "feeds": one.get("feeds")}
        for one in said[:MOST]
        if isinstance(one, Mapping)
    ]


def _upstream(lead: Change, receivers: Receivers | None) -> list[dict[str, Any]]:
    """Valves on the way, as the gateway's links say; else the one that the directory names."""
    if lead.medium == "wristband":
        return []
    said = [one for one in _listed(lead.upstream) if isinstance(one, Mapping)]
    found: list[dict[str, Any]] = [
        {"place": str(one.get("place", "")), "valve": str(one.get("valve", "")), "hops": one.get("hops")}
        for one in said[:MOST]
    ]
    asset = None if receivers is None else receivers.directory.asset(lead.place)
    if asset is not None and asset.valve and asset.valve not in {one["place"] for one in found}:
        found.append({"place": asset.valve, "valve": asset.valve, "hops": None})
    return found


def _cameras(lat: float, lon: float, receivers: Receivers) -> list[dict[str, Any]]:
    cameras = receivers.directory.cameras_near(lat, lon, CAMERAS_WITHIN_M, MOST)
    safe = ("https://", "http://", "rtsp://")  # a list from outside may hold anything
    return [
        {"id": one.id, "name": one.name, "link": one.link if one.link.startswith(safe) else ""}
        for one in cameras
    ]


def _responders(incident: Incident, now_ns: int, receivers: Receivers) -> list[dict[str, str]]:
    """Who is nearest and on duty now, by id: a wearer's carers, the grid's worker; no telephone."""
    names = ("community",) if incident.lead.said.medium == "wristband" else NEAREST
    found = receivers.of(names, matter_of(incident), now_ns)[:MOST]
    named = [(one, receivers.directory.organisation(one.org)) for one in found]
    return [
        {"org": one.org, "name": "" if org is None else org.name, "person": one.person} for one, org in named
    ]


def _due_ns(incident: Incident, respond_s: float) -> int:
    return incident.since_ns + round(respond_s * 10**9)


def _event(lead: Change) -> dict[str, Any]:
    """The change as the words for a small screen want it."""
    data = {
        "medium": lead.medium,
        "kind": lead.kind,
        "grade": lead.grade,
        "place": lead.place,
        "title": lead.title,
        "title_zh": lead.title_zh,
        "t": {"event": lead.t.event.isoformat()},
    }
    return {"type": "city.linkage.alert.raised.v1", "data": data}


def _both(english: str, chinese: str) -> dict[str, str]:
    return {"en": english, "zh": chinese}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
