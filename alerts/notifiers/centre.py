"""Centre: the linkage centre; changes and heartbeats go up signed, and signed answers bring commands down."""

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import msgspec

from alerts.alert import rfc3339, short_hash
from alerts.notifiers.base import CloudEvent, Home, Notifier
from alerts.notifiers.posting import Answer, Post
from alerts.signing import ID, SignatureRefused, sign, verify
from config.errors import DeliveryFailed
from config.forms import Seconds
from config.lists import time_ns
from config.secrets import SigningSecret
from config.settings import WebAddress
from ingest.ticks import Command

log = logging.getLogger(__name__)

PATH = "/api/v1/changes"
HEARTBEAT = "city.linkage.node.heartbeat.v1"
CONTENT_TYPE = "application/cloudevents-batch+json"
TOLERANCE_S = 300


class _Order(msgspec.Struct):
    id: str
    kind: str
    actor: str
    issued: str
    body: dict[str, Any]


class _Reply(msgspec.Struct):
    stored: list[str]
    commands: list[_Order] = []


@dataclass
class Centre(Notifier):
    """A 2xx counts only with the centre's own signature over it: no captive portal can swallow an alarm."""

    url: WebAddress
    secret: SigningSecret
    heartbeat_s: Seconds = 60.0
    timeout_s: Seconds = 10.0
    _post: Post = field(init=False, repr=False)
    _home: Home | None = field(default=None, init=False, repr=False)
    _beaten_s: float | None = field(default=None, init=False, repr=False)
    _clock: Callable[[], int] = field(default=time.time_ns, init=False, repr=False)

    at_once: ClassVar[int] = 500

    def __post_init__(self) -> None:
        self._post = Post(self.url.rstrip("/") + PATH, self.timeout_s, "centre")

    def join(self, home: Home) -> None:
        self._home = home

    def wants(self, change: CloudEvent) -> bool:
        """Everything: alert changes, and the confirmations of its own commands."""
        return True

    def next_beat_s(self) -> float | None:
        if self._beaten_s is None:
            return 0.0
        return max(0.0, self._beaten_s + self.heartbeat_s - time.monotonic())

    def notify(self, changes: Sequence[CloudEvent]) -> Collection[str] | None:
        home = self._home
        if home is None:
            raise RuntimeError("join() comes before the first notify()")
        events = list(changes)
        now_ns = self._clock()
        beats = not events or self.next_beat_s() == 0.0
        if beats:
            events.append(_heartbeat(home, now_ns))
        body = msgspec.json.encode(events)
        message_id = f"post-{short_hash(*(event['id'] for event in events))}"
        secret = self.secret.reveal()
        headers = {
            **sign(secret, message_id, now_ns // 10**9, body),
            "content-type": CONTENT_TYPE,
            "watchline-gateway": home.site,
        }
        answer = self._post.send(body, headers)
        reply = self._believed(secret, message_id, answer)
        if beats:
            self._beaten_s = time.monotonic()
        for event_id in reply.stored:
            home.receipt(event_id)
        for order in reply.commands:
            self._hand_over(home, order)
        return set(reply.stored)

    def close(self) -> None:
        self._post.close()

    def _believed(self, secret: str, message_id: str, answer: Answer) -> _Reply:
        try:
            verify(secret, answer.headers, answer.body, self._clock() // 10**9, TOLERANCE_S)
        except SignatureRefused as refusal:
            raise DeliveryFailed(f"{self._post.name}: the answer is not the centre's: {refusal}") from refusal
        if answer.headers[ID] != message_id:
            raise DeliveryFailed(f"{self._post.name}: the answer belongs to another message")
        try:
            return msgspec.json.decode(answer.body, type=_Reply)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise DeliveryFailed(f"{self._post.name}: the answer cannot be read: {error}") from error

    def _hand_over(self, home: Home, order: _Order) -> None:
        try:
            issued_ns = time_ns(order.issued)
        except ValueError as error:
            log.warning("command %s of the centre is left out: issued: %s", order.id[:80], error)
            return
        home.command(Command(order.id, order.kind, order.body, order.actor, issued_ns))


def _heartbeat(home: Home, now_ns: int) -> Mapping[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"heartbeat-{home.site}-{now_ns}",
        "source": f"urn:watchline:{home.site}",
        "type": HEARTBEAT,
        "time": rfc3339(now_ns),
        "datacontenttype": "application/json",
        "data": dict(home.status()),
    }
