"""Webhook: each change as a structured CloudEvent in a signed POST, to whoever speaks Standard Webhooks."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from time import time
from typing import Any

import msgspec

from alerts.alert import short_hash
from alerts.notifiers.base import CloudEvent, Notifier
from alerts.notifiers.posting import Post
from alerts.signing import sign
from config.forms import Seconds
from config.secrets import SigningSecret
from config.settings import WebAddress

EVENT = "application/cloudevents+json; charset=utf-8"
BATCH = "application/cloudevents-batch+json; charset=utf-8"
BATCH_MOST = 100


@dataclass
class Webhook(Notifier):
    """`webhook-id` is the event's id (of a batch, a hash of its events' ids), so that a repeat is known."""

    url: WebAddress
    secret: SigningSecret  # whsec_ and base64, known to both sides
    timeout_s: Seconds = 10.0
    batch: bool = False  # several changes in one POST, as a JSON list
    private_network: bool = False  # the name in url may lead to an address inside, such as 10.1.2.3
    told_only: bool = False  # leave out changes that people are not told (data.notify false)
    _post: Post = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._post = Post(self.url, self.timeout_s, "webhook", self.private_network)

    @property
    def at_once(self) -> int:  # type: ignore[override]
        return BATCH_MOST if self.batch else 1

    def wants(self, change: CloudEvent) -> bool:
        data: Mapping[str, Any] = change.get("data", {})
        return super().wants(change) and (not self.told_only or bool(data.get("notify")))

    def notify(self, changes: Sequence[CloudEvent]) -> Collection[str] | None:
        if self.batch:
            ids = [change["id"] for change in changes]
            self._send(f"batch-{short_hash(*ids)}", msgspec.json.encode(changes), BATCH)
        else:
            for change in changes:
                self._send(change["id"], msgspec.json.encode(change), EVENT)
        return None

    def close(self) -> None:
        self._post.close()

    def _send(self, message_id: str, body: bytes, content_type: str) -> None:
        headers = sign(self.secret.reveal(), message_id, int(time()), body)
        self._post.send(body, {**headers, "content-type": content_type})
