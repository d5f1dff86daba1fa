"""Alertmanager: active alarms to Prometheus Alertmanager (`/api/v2/alerts`), kept alive until resolved."""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import msgspec

from alerts.alert import rfc3339
from alerts.notifiers.base import CloudEvent, Home, Notifier
from alerts.notifiers.posting import Post
from alerts.notifiers.wording import is_over
from config.forms import Seconds
from config.grades import read_grades
from config.settings import WebAddress

PATH = "/api/v2/alerts"
LIVES_S = 240  # endsAt: now + 4 min; Alertmanager forgets what is not told again (domain facts §13)
SECOND_NS = 10**9


@dataclass
class Alertmanager(Notifier):
    """Labels are identity (alert, rule, channel, place, grade), never values; an alarm that ends is resolved.

    What is active is told again every `beat_s`, from memory: after a restart with the next change, or, where
    none comes, not at all; receivers that must not miss an end are served by the centre.
    """

    url: WebAddress
    beat_s: Seconds = 60.0  # time between two tellings of what is active
    timeout_s: Seconds = 10.0
    _post: Post = field(init=False, repr=False)
    _site: str = field(default="", init=False, repr=False)
    _active: dict[str, CloudEvent] = field(default_factory=dict, init=False, repr=False)
    _beaten_s: float = field(default_factory=time.monotonic, init=False, repr=False)

    at_once: ClassVar[int] = 200

    def __post_init__(self) -> None:
        self._post = Post(self.url.rstrip("/") + PATH, self.timeout_s, "alertmanager")

    def join(self, home: Home) -> None:
        self._site = home.site

    def next_beat_s(self) -> float | None:
        if not self._active:
            return None
        return max(0.0, self._beaten_s + self.beat_s - time.monotonic())

    def notify(self, changes: Sequence[CloudEvent]) -> Collection[str] | None:
        newest = dict(self._active)
        for change in changes:
            newest[str(change["data"]["alert_id"])] = change
        now_ns = time.time_ns()
        alerts = [self._alert(change, now_ns) for change in newest.values()]
        self._post.send(msgspec.json.encode(alerts), {"content-type": "application/json"})
        self._active = {id: change for id, change in newest.items() if not is_over(change)}
        self._beaten_s = time.monotonic()
        return None

    def close(self) -> None:
        self._post.close()

    def _alert(self, change: CloudEvent, now_ns: int) -> dict[str, Any]:
        data: Mapping[str, Any] = change["data"]
        rule = data.get("rule", {})
        labels = {
            "alertname": data.get("kind", "unknown"),
            "alert_id": data["alert_id"],
            "site": self._site,
            "place": data.get("place", ""),
            "channel": data.get("channel", ""),
            "medium": data.get("medium", ""),
            "rule": rule.get("id", "") if isinstance(rule, dict) else rule,
            "incident": data.get("incident", ""),
        }
        grading = read_grades().of(str(data.get("medium", "")), str(data.get("kind", "")))
        notes = {
            "grade": data.get("grade", ""),
            "summary": data.get("title") or grading.title,
            "summary_zh": data.get("title_zh") or grading.title_zh,
            "description": data.get("because", ""),
            "advice": data.get("advice", ""),
            "state": data.get("state", ""),
        }
        over = is_over(change)
        return {
            "labels": {name: str(value) for name, value in labels.items() if value},
            "annotations": {name: str(value) for name, value in notes.items() if value},
            "startsAt": data["t"]["event"],
            "endsAt": rfc3339(now_ns if over else now_ns + LIVES_S * SECOND_NS),
        }
