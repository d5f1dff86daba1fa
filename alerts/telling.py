"""Telling: an alarm in words and members of `data`; of a wristband no number, value, plot or position."""

import re
from collections.abc import Mapping
from typing import Any

from alerts.incidents import EVENT, Alarm, Incident
from alerts.plots import plain_unit
from config.channels import Channel
from config.chinese import Chinese, read_chinese
from config.grades import Grading

LATE = re.compile(r"measured (\d+) min before it was received")
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


def because_zh(alarm: Alarm, incident: Incident, grading: Grading) -> str:
    """The same in Chinese, made of what was measured and not of the English sentence."""
    if alarm.medium == "wristband":
        return f"{grading.title_zh}。"
    words = read_chinese()
    quantity = words.quantity.get(alarm.quantity, alarm.quantity)
    sentence = f"{alarm.place} {quantity}{_seen_zh(alarm, words)}"
    if late := LATE.search(alarm.sentence):
        sentence += f"（测量后 {late[1]} 分钟才收到）"
    if incident.family == EVENT and incident.kind == alarm.kind and incident.reason:
        reason = words.reason.get(incident.reason)
        sentence += f"；很可能是{grading.title_zh}" + (f"，因为{reason}" if reason else "")
    if alarm.announced:
        sentence += f"（此处已公告：{words.announced.get(alarm.announced, alarm.announced)}）"
    return sentence + "。"


def _seen_zh(alarm: Alarm, words: Chinese) -> str:
    """What was seen: the value beside its limit, or what the rule says with what was expected."""
    observed, numbers = alarm.observed or {}, alarm.numbers
    unit = plain_unit(str(observed.get("unit", "")))
    value = f"{observed['value']:.5g} {unit}".rstrip() if "value" in observed else ""
    if "limit" in observed and value:
        level = words.level.get(alarm.rule.rpartition(".")[2], "限值")
        reached = "达到或超过" if observed.get("op") == ">=" else "达到或低于"
        return f"为 {value}，{reached}{level} {observed['limit']:.5g} {unit}".rstrip()
    said = words.phrase(alarm.rule, alarm.direction)
    if not value or alarm.rule == "late_detected":
        return said + (f"：{value}" if value else "")
    said += f"：{value}"
    if "expected" in numbers:
        said += f"，预期 {numbers['expected']:.4g}"
        said += f" ± {numbers['spread']:.2g}" if "spread" in numbers else ""
    return said


def back_to_normal(alarm: Alarm) -> tuple[str, str]:
    """What people are told when an alarm clears, in English and Chinese."""
    if alarm.medium == "wristband":
        return "Back to normal.", "已恢复正常。"
    name = alarm.quantity.replace("_", " ")
    quantity = read_chinese().quantity.get(alarm.quantity, alarm.quantity)
    return (
        f"{name[:1].upper()}{name[1:]} at {alarm.place} is back to normal.",
        f"{alarm.place} {quantity}已恢复正常。",
    )


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
