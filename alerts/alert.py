"""Alert: an alarm raised, worsened, acknowledged, cleared …; what goes into the outbox and over the wire."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

TYPE_PREFIX = "city.linkage.alert."
TYPE_SUFFIX = ".v1"


@dataclass(frozen=True, slots=True)
class AlertChange:
    """One transition of one alarm. Ids hold no randomness and no wall clock.

    type: raised, updated, acknowledged, cleared, shelved, unshelved, suppressed, escalated.
    state: the ISA-18.2 state after the change (domain facts §2). grade: P1 (highest) to P4.
    """

    type: str
    alert_id: str
    seq: int
    incident: str
    fingerprint: str
    occurrence: int
    state: str
    grade: str
    tier: str
    kind: str
    rule: str
    medium: str
    place: str
    channel: str | None
    event_ns: int
    detected_ns: int
    because: str
    notify: bool
    warmup: bool
    numbers: Mapping[str, float] = field(default_factory=dict)
    observed: Mapping[str, Any] | None = None
    actor: str = "gateway"
    reason: str = ""
    advice: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)  # further members of `data`: plot, owner …

    @property
    def id(self) -> str:
        """The CloudEvents id; a repeat keeps it."""
        return f"{self.alert_id}-{self.seq}"

    def cloud_event(self, source: str) -> dict[str, Any]:
        """CloudEvents 1.0 JSON (domain facts §14); `t.sent` is added by whoever sends it."""
        data: dict[str, Any] = {
            "alert_id": self.alert_id,
            "incident": self.incident,
            "fingerprint": self.fingerprint,
            "occurrence": self.occurrence,
            "seq": self.seq,
            "state": self.state,
            "grade": self.grade,
            "tier": self.tier,
            "kind": self.kind,
            "rule": {"id": self.rule, "version": 1},
            "medium": self.medium,
            "place": self.place,
            "because": self.because,
            "notify": self.notify,
            "warmup": self.warmup,
            "t": {"event": rfc3339(self.event_ns), "detected": rfc3339(self.detected_ns)},
            "actor": self.actor,
        }
        if self.channel is not None:
            data["channel"] = self.channel
        if self.numbers:
            data["numbers"] = dict(self.numbers)
        if self.observed is not None:
            data["observed"] = dict(self.observed)
        if self.reason:
            data["reason"] = self.reason
        if self.advice:
            data["advice"] = self.advice
        data.update(self.extra)
        return {
            "specversion": "1.0",
            "id": self.id,
            "source": source,
            "type": f"{TYPE_PREFIX}{self.type}{TYPE_SUFFIX}",
            "subject": f"{self.medium}/{self.place}",
            "time": rfc3339(self.detected_ns),
            "datacontenttype": "application/json",
            "data": data,
        }


@lru_cache(maxsize=4096)  # the alarms of a flood share their moments
def rfc3339(time_ns: int) -> str:
    """UTC with milliseconds and a Z, such as 2026-01-05T02:14:07.250Z."""
    moment = datetime.fromtimestamp(time_ns // 1_000_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{time_ns % 1_000_000_000 // 1_000_000:03d}Z"


def short_hash(*parts: str | int) -> str:
    """A stable id of 24 hex digits from its parts (SHA-256)."""
    return hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).hexdigest()[:24]
