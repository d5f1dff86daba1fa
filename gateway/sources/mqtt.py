"""MQTT: readings that a broker brings; how to reach it, and what its topics and payloads mean."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from pydantic import Field

from config.channels import ChannelTable
from config.errors import SettingsError
from config.forms import FilePath
from config.profiles import Profile, read_profile
from config.secrets import Secret
from gateway.ahead import ReadAhead
from gateway.payloads import Decoder
from gateway.sources.base import Store
from gateway.subscription import Subscription

DIAL_S = 5.0  # longest wait for TCP, and again for TLS
SESSION_EXPIRY_S = 7 * 86400  # MQTT 5: how long the broker keeps what comes while we are away


@dataclass(frozen=True)
class Mqtt:
    """A broker's messages: QoS 1, one persistent session, acknowledged after the journal's sync.

    The built-in mapping takes topic `watchline/v1/<site>/<device>/readings` with JSON
    `{"t": RFC 3339 or ms, "v": {point: number, …}}` or an array of those into channels `<device>.<point>`.
    """

    host: str  # name or address of the broker
    port: Annotated[int, Field(ge=1, le=65535)] = 1883  # TCP port; brokers use 8883 for TLS
    topic: str = ""  # filter with one + for the device; empty: watchline/v1/<site>/+/readings
    client_id: str = ""  # names the session at the broker, so it must stay; empty: watchline-<site>
    version: Literal["3.1.1", "5"] = "3.1.1"  # MQTT 5 costs twice the processor time
    username: str = ""  # empty: none is sent
    password: Secret | None = None  # { env = "NAME" } or { file = "path" }
    tls: bool = False  # also switched on by ca or cert
    ca: FilePath | None = None  # certificates that may sign the broker's; without it, the system's
    cert: FilePath | None = None  # our own certificate, where the broker asks for one
    key: FilePath | None = None  # and its private key
    keepalive_s: Annotated[int, Field(ge=2, le=3600)] = 15  # a dead link is noticed within twice this
    window: Annotated[int, Field(ge=1, le=65535)] = (
        1000  # the broker's max_inflight_messages; MQTT 5 asks for it
    )
    profile: Profile | None = (
        None  # device model, for units and "no value" numbers other than the channels' own
    )
    mapping: Literal["builtin"] = "builtin"  # how payloads are read

    lane: ClassVar[str] = "mqtt"

    def __post_init__(self) -> None:
        mistakes = []
        if (self.cert is None) != (self.key is None):
            mistakes.append("cert and key belong together; give both or neither")
        if self.password is not None and not self.username:
            mistakes.append("password needs a username beside it")
        if self.profile is not None and self.profile.protocol != "mqtt":
            mistakes.append(f"profile {self.profile.name} is for {self.profile.protocol}, not for MQTT")
        if mistakes:
            raise SettingsError(mistakes)

    def __str__(self) -> str:
        return f"MQTT broker {self.host}:{self.port}"

    def check(self, channels: ChannelTable, site: str = "site") -> None:
        """SettingsError where topic, profile or certificates cannot serve the site's channels."""
        self._decoder(channels, site)
        self._security()

    def subscription(
        self, channels: ChannelTable, store: Store, now_ns: Callable[[], int], site: str
    ) -> Subscription:
        """What the storage thread hosts; SettingsError as `check`. Connects when first ticked."""
        return Subscription(self, self._decoder(channels, site), store, now_ns, site)

    def filter(self, site: str) -> str:
        return self.topic or f"watchline/v1/{site}/+/readings"

    def _decoder(self, channels: ChannelTable, site: str) -> Decoder:
        return Decoder(channels, self.filter(site), self.profile, band=read_profile("wristband"))

    def _security(self) -> ssl.SSLContext | None:
        if not (self.tls or self.ca or self.cert):
            return None
        try:
            context = ssl.create_default_context(cafile=None if self.ca is None else str(self.ca))
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(f"ca: {self.ca} cannot be used: {error.strerror or error}") from error
        if self.cert is not None and self.key is not None:
            try:
                context.load_cert_chain(str(self.cert), str(self.key), password=_no_passphrase)
            except (OSError, ssl.SSLError, ValueError) as error:
                raise SettingsError(
                    f"cert {self.cert} with key {self.key} cannot be used: {error}"
                ) from error
        return context

    def client(self, site: str, name: str = "", clean: bool = False) -> ReadAhead:
        """paho, set up to keep its session and to leave acknowledging and all waiting to us.

        `name` stands in for the client id; `clean` is for MQTT 3.1.1 alone: the session ends with the visit.
        """
        modern = self.version == "5"
        client = ReadAhead(
            CallbackAPIVersion.VERSION2,
            client_id=name or self.client_id or f"watchline-{site}",
            clean_session=None if modern else clean,
            protocol=paho.MQTTv5 if modern else paho.MQTTv311,
            reconnect_on_failure=False,  # it would connect, and wait, inside a read
            manual_ack=True,
        )
        if self.username:
            client.username_pw_set(self.username, self.password.reveal() if self.password else None)
        if (context := self._security()) is not None:
            client.tls_set_context(context)
        client.connect_timeout = DIAL_S
        self.aim(client)
        return client

    def aim(self, client: paho.Client) -> None:
        """Tell a client where to connect to next; a connection that it has is cut."""
        if self.version == "5":
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = SESSION_EXPIRY_S
            properties.ReceiveMaximum = self.window
            client.connect_async(
                self.host, self.port, self.keepalive_s, clean_start=False, properties=properties
            )
        else:
            client.connect_async(self.host, self.port, self.keepalive_s)


def _no_passphrase() -> str:
    """Without it OpenSSL would ask at the terminal, and wait."""
    raise ValueError("the key is encrypted; give one without a passphrase, readable by its owner only")
