"""PagerDuty: incidents by the Events API v2: trigger, acknowledge, resolve."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import msgspec

from alerts.notifiers.base import CloudEvent, Home, Notifier
from alerts.notifiers.posting import Post
from alerts.notifiers.wording import is_over, kind_of, one_line
from config.forms import Seconds
from config.secrets import Secret
from config.settings import WebAddress

SEVERITY = {"P1": "critical", "P2": "error", "P3": "warning", "P4": "info"}  # domain facts §11
SUMMARY_MOST = 1024  # characters, as PagerDuty allows


@dataclass
class Pagerduty(Notifier):
    """One PagerDuty alert an alarm: its `dedup_key` is the alert id, so that repeats fold into it."""

    routing_key: Secret  # integration key of the service
    url: WebAddress = "https://events.pagerduty.com"
    timeout_s: Seconds = 10.0
    _post: Post = field(init=False, repr=False)
    _site: str = field(default="", init=False, repr=False)

    at_once: ClassVar[int] = 1

    def __post_init__(self) -> None:
        self._post = Post(self.url.rstrip("/") + "/v2/enqueue", self.timeout_s, "pagerduty")

    def join(self, home: Home) -> None:
        self._site = home.site

    def wants(self, change: CloudEvent) -> bool:
        """What people are told, and what ends or takes it."""
        told = bool(change.get("data", {}).get("notify"))
        return super().wants(change) and (told or kind_of(change) in ("acknowledged", "cleared"))

    def notify(self, changes: Sequence[CloudEvent]) -> Collection[str] | None:
        for change in changes:
            self._post.send(msgspec.json.encode(self._event(change)), {"content-type": "application/json"})
        return None

    def close(self) -> None:
        self._post.close()

    def _event(self, change: CloudEvent) -> dict[str, Any]:
        data = change["data"]
        action = "trigger"
        if is_over(change):
            action = "resolve"
        elif kind_of(change) == "acknowledged":
            action = "acknowledge"
        summary = one_line(
            f"{data.get('grade')} {data.get('title') or data.get('kind')} at {data.get('place')}: "
        )
        return {
            "routing_key": self.routing_key.reveal(),
            "event_action": action,
            "dedup_key": str(data["alert_id"])[:255],
            "payload": {
                "summary": (summary + one_line(str(data.get("because", ""))))[:SUMMARY_MOST],
                "source": f"{self._site}/{data.get('place', '')}",
                "severity": SEVERITY.get(str(data.get("grade")), "warning"),
                "timestamp": data["t"]["event"],
                "component": data.get("channel") or data.get("place"),
                "group": data.get("zone") or data.get("medium"),
                "class": data.get("kind"),
                "custom_details": {
                    "incident": data.get("incident"),
                    "advice": data.get("advice"),
                    "state": data.get("state"),
                },
            },
        }
