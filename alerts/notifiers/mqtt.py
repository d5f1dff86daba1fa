"""MQTT: the open incidents as retained messages of a broker, and a last will that says when we are gone."""

import ssl
import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import msgspec
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from alerts.notifiers.base import CloudEvent, Home, Notifier
from alerts.notifiers.wording import is_over
from config.errors import DeliveryFailed
from config.forms import FilePath, Seconds
from config.secrets import Secret
from config.settings import Port


@dataclass
class _Shown:
    """An incident as it stands at the broker: its newest change, and its alarms that are not over."""

    change: CloudEvent
    open: set[str]


@dataclass
class Mqtt(Notifier):
    """`watchline/v1/<site>/alerts/<incident>`, retained, grade inside, emptied when the incident is over.

    The payload is the incident's newest change as a CloudEvent, with `data.open`, its alarms; QoS 1.
    `…/status`, retained, says `online`, and `offline` as the last will. A change counts as told when the
    broker acknowledged it.
    """

    host: str  # name or address of the broker
    port: Port = 1883
    username: str = ""  # empty: none is sent
    password: Secret | None = None  # { env = "NAME" } or { file = "path" }
    tls: bool = False  # also switched on by ca
    ca: FilePath | None = None  # certificates that may sign the broker's; without it, the system's
    client_id: str = ""  # empty: watchline-alerts-<site>
    timeout_s: Seconds = 10.0
    _site: str = field(default="", init=False, repr=False)
    _client: paho.Client | None = field(default=None, init=False, repr=False)
    _shown: dict[str, _Shown] = field(default_factory=dict, init=False, repr=False)

    at_once: ClassVar[int] = 100

    def join(self, home: Home) -> None:
        self._site = home.site

    def notify(self, changes: Sequence[CloudEvent]) -> Collection[str] | None:
        client = self._connected()
        sent = [(change["id"], self._publish(client, change)) for change in changes]
        try:
            for _, receipt in sent:
                receipt.wait_for_publish(self.timeout_s)
        except (RuntimeError, ValueError) as error:
            self.close()
            raise DeliveryFailed(f"{self._name}: {error}") from error
        done = [id for id, receipt in sent if receipt.is_published()]
        if len(done) < len(sent):
            self.close()  # paho would go on by itself, and a repeat might then overtake a newer change
            raise DeliveryFailed(f"{self._name} did not acknowledge within {self.timeout_s:g} s")
        return done

    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.publish(self._status, b"offline", qos=1, retain=True)
            client.disconnect()
            client.loop_stop()

    @property
    def _name(self) -> str:
        return f"broker {self.host}:{self.port}"

    @property
    def _status(self) -> str:
        return f"watchline/v1/{self._site}/status"

    def _topic(self, incident: str) -> str:
        return f"watchline/v1/{self._site}/alerts/{incident}"

    def _publish(self, client: paho.Client, change: CloudEvent) -> paho.MQTTMessageInfo:
        data = change["data"]
        incident = str(data["incident"])
        shown = self._shown.setdefault(incident, _Shown(change, set()))
        (shown.open.discard if is_over(change) else shown.open.add)(str(data["alert_id"]))
        if str(change.get("time")) >= str(shown.change.get("time")):  # P1 is told before what came earlier
            shown.change = change
        newest = {**shown.change, "data": {**shown.change["data"], "open": sorted(shown.open)}}
        payload = msgspec.json.encode(newest) if shown.open else b""
        if not shown.open:
            del self._shown[incident]
        return client.publish(self._topic(incident), payload, qos=1, retain=True)

    def _connected(self) -> paho.Client:
        if self._client is not None and self._client.is_connected():
            return self._client
        self.close()
        name = self.client_id or f"watchline-alerts-{self._site}"
        client = paho.Client(CallbackAPIVersion.VERSION2, client_id=name)
        client.will_set(self._status, b"offline", qos=1, retain=True)
        if self.username:
            client.username_pw_set(self.username, self.password.reveal() if self.password else None)
        if self.tls or self.ca is not None:
            client.tls_set_context(ssl.create_default_context(cafile=self.ca))
        answered = threading.Event()
        said: list[str] = []

        def on_connect(*told: object) -> None:
            said.append(str(told[3]))
            answered.set()

        client.on_connect = on_connect
        client.on_message = lambda client, userdata, message: self._heard(message)
        client.connect_timeout = self.timeout_s
        try:
            client.connect(self.host, self.port, keepalive=15)
            client.loop_start()
        except OSError as error:
            raise DeliveryFailed(f"{self._name} does not answer: {error}", unsent=True) from error
        if not answered.wait(self.timeout_s) or said != ["Success"]:
            client.loop_stop()
            raise DeliveryFailed(
                f"{self._name} does not let us in: {said[0] if said else 'no answer'}", unsent=True
            )
        self._remember(client)
        self._client = client
        return client

    def _remember(self, client: paho.Client) -> None:
        """What we said before this start still stands at the broker: it is where we go on.

        The broker sends what it retains before it acknowledges what comes after the subscription.
        """
        client.subscribe(self._topic("+"), qos=1)
        try:
            client.publish(self._status, b"online", qos=1, retain=True).wait_for_publish(self.timeout_s)
        except (RuntimeError, ValueError) as error:
            raise DeliveryFailed(f"{self._name}: {error}") from error
        client.unsubscribe(self._topic("+"))

    def _heard(self, message: paho.MQTTMessage) -> None:
        incident = message.topic.rpartition("/")[2]
        try:
            said = msgspec.json.decode(message.payload)
            self._shown.setdefault(incident, _Shown(said, set(said["data"]["open"])))
        except (msgspec.DecodeError, LookupError, TypeError):
            return  # emptied, or not ours
