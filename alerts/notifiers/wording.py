"""Wording: an alert change as a message for people: a subject, a text, and a line for a small screen."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

from alerts.notifiers.base import CloudEvent
from alerts.shortmessage import in_one
from config.grades import read_grades

_WORDS = {
    "raised": ("报警", "raised"),
    "updated": ("更新", "update"),
    "escalated": ("加重", "worse"),
    "called": ("请处置", "you are called"),
    "cleared": ("恢复", "over"),
    "acknowledged": ("已确认", "acknowledged"),
    "unshelved": ("搁置结束", "shelf ended"),
    "repeat": ("重复", "repeat"),
    "test": ("测试", "test"),
    "place": ("地点", "Place"),
    "since": ("时间", "Since"),
    "why": ("依据", "Why"),
    "advice": ("处置", "What to do"),
    "incident": ("事件号", "Incident"),
}
_GRADES = {"P1": "一级", "P2": "二级", "P3": "三级", "P4": "四级"}


@dataclass(frozen=True, slots=True)
class Message:
    """One change for people."""

    subject: str
    text: str
    short: str  # one SMS


def message(event: CloudEvent, language: str, zone: tzinfo) -> Message:
    """In "zh" or "en". Of a wristband it holds kind, grade, place and advice, as does its alert."""
    data: Mapping[str, Any] = event.get("data", {})
    chinese = language == "zh"
    grading = read_grades().of(str(data.get("medium", "")), str(data.get("kind", "")))
    grade = str(data.get("grade", ""))
    what = "called" if data.get("to") else kind_of(event)
    marks = [word(name, chinese) for name in ("repeat", "test") if data.get(name)]
    if chinese:
        title = str(data.get("title_zh") or grading.title_zh)
        because = str(data.get("because_zh") or data.get("because", ""))
        advice = str(data.get("advice_zh") or grading.advice_zh)
    else:
        title = str(data.get("title") or grading.title)
        because, advice = str(data.get("because", "")), str(data.get("advice") or grading.advice)
    place = str(data.get("place", ""))
    when = moment_of(event).astimezone(zone)
    head = "".join(f"[{mark}]" for mark in [*marks, _GRADES.get(grade, grade) if chinese else grade])
    subject = one_line(f"{head} {title} · {place} · {word(what, chinese)}")
    lines = [
        subject,
        f"{word('place', chinese)}: {place}",
        f"{word('since', chinese)}: {when:%Y-%m-%d %H:%M:%S}",
        f"{word('why', chinese)}: {because}",
        f"{word('advice', chinese)}: {advice}",
        f"{word('incident', chinese)}: {data.get('incident', '')}",
    ]
    end = f" {when:%H:%M} {word(what, chinese)}"  # stays whole: what is over must not read as an alarm
    return Message(subject, "\n".join(lines), in_one(one_line(f"{head}{title} {place}"), end))


def kind_of(event: CloudEvent) -> str:
    """raised, updated, cleared …"""
    return str(event.get("type", "")).removeprefix("city.linkage.alert.").partition(".")[0]


def moment_of(event: CloudEvent) -> datetime:
    """When it happened, UTC; the epoch where the event does not say."""
    times = event.get("data", {}).get("t", {})
    text = str(times.get("event") or event.get("time") or "1970-01-01T00:00:00Z")
    return datetime.fromisoformat(text).astimezone(UTC)


def is_over(event: CloudEvent) -> bool:
    """Whether the alarm's condition is over after this change."""
    return str(event.get("data", {}).get("state", "")) in ("NORMAL", "RTN_UNACK")


def word(name: str, chinese: bool) -> str:
    pair = _WORDS.get(name)
    return name if pair is None else pair[0 if chinese else 1]


def one_line(text: str) -> str:
    """Without line breaks: a subject is a header, and nothing said in an alert may add one."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
