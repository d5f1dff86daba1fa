"""Telling: an alarm in words and members of `data`; of a wristband no number, value, plot or position."""

from collections.abc import Mapping
from typing import Any

from alerts.incidents import EVENT, Alarm, Incident
from config.channels import Channel
from config.grades import Grading

GONE_BELOW = 0.1  # of the nominal or expected value: an interruption (IEEE 1159)


def because(alarm: Alarm, incident: Incident, grading: Grading) -> str:
    """One plain sentence: what was seen, with its numbers, and what that most likely means."""
    sentence = alarm.sentence.strip().removesuffix(".")
    if alarm.medium == "wristband":
        told = "" if any(sign.isdigit() for sign in sentence) else sentence
        title = grading.title[:1].upper() + grading.title[1:]
        return f"{title}: {told}." if told else f"{title}."
    if not sentence:
        sentence = f"{alarm.quantity.replace('_', ' ').capitalize()} at {alarm.place} is unusual"
    if incident.family == EVENT and incident.kind == alarm.kind and incident.reason:
        sentence += f"; most likely: {grading.title}, since {incident.reason}"
    if alarm.announced:
        sentence += f" (announced here: {alarm.announced.replace('_', ' ')})"
    return sentence + "."


def is_gone(observed: Mapping[str, Any] | None, numbers: Mapping[str, Any], nominal: float) -> bool:
    """The value is nearly zero where it should not be."""
    value = (observed or {}).get("value", numbers.get("value"))
    usual = nominal if nominal == nominal else numbers.get("expected")
    if not isinstance(value, int | float) or not isinstance(usual, int | float):
        return False
    return abs(value) < GONE_BELOW * abs(usual)


def particulars(alarm: Alarm, channel: Channel, grading: Grading) -> dict[str, Any]:
    """Further members of `data`: owner, title and advice in Chinese; not for persons: where on the map."""
    found: dict[str, Any] = {
        "owner": grading.owner,
        "title": grading.title,
        "title_zh": grading.title_zh,
        "advice_zh": grading.advice_zh,
    }
    if channel.zone:
        found["zone"] = channel.zone
    if channel.grid:
        found["grid"] = channel.grid
    if alarm.medium == "wristband":
        return found
    found["quantity"] = alarm.quantity
    if channel.owner:
        found["owner_uscc"] = channel.owner
    if channel.lat == channel.lat and channel.lon == channel.lon:
        found["location"] = {"lat": channel.lat, "lon": channel.lon, "datum": "WGS84"}
    return found
