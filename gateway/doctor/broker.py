"""Broker: whether it can be reached, lets strangers in, and keeps what devices send while nobody takes it.

mosquitto's defaults keep 1,000 messages for a client that is away or slow and drop the rest, although each
was acknowledged to its device. What a broker says it dropped is read from its $SYS topics. What it would drop
is tried: a session of our own goes away, is sent a few more messages than that, and counts what it gets.
"""

import contextlib
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import paho.mqtt.client as paho

from gateway.doctor.complaint import Complaint, advice, fine, is_here, problem
from gateway.sources.mqtt import Mqtt
from gateway.subscription import dial_trouble

TRIED = 1_100  # messages: a tenth more than mosquitto keeps by default
PATIENCE_S = 5.0  # for an answer of the broker
QUIET_S = 0.5  # a broker that has sent nothing for so long has sent all that it will
DROPPED = "$SYS/broker/publish/messages/dropped"
VERSION = "$SYS/broker/version"
SETTINGS = (
    "in mosquitto.conf: max_queued_messages 0, max_inflight_messages 1000, persistence true, "
    "autosave_interval 1; then restart it"
)


class Unusable(Exception):
    """The broker cannot be asked; the message says why."""


def examine(source: Mqtt, site: str, *, trial: bool) -> Iterator[Complaint]:
    """One broker; `trial` sends it messages on a topic of our own, which no one else reads."""
    about = str(source)
    if not is_here(source.host) and not (source.tls or source.ca or source.cert):
        what = "the password and every reading" if source.username else "every reading"
        yield problem(about, f"{what} cross the network unencrypted", "set tls = true, and its port")
    try:
        with _Visit(source, site) as visit:
            said = visit.system()
    except Unusable as why:
        yield problem(about, str(why), "start it, or correct host, port, user and certificates")
        return
    yield fine(about, f"answers ({said.get(VERSION, 'it does not say what it is')})")
    yield from _strangers(source, site, about)
    yield from _dropped(said, about)
    if trial:
        yield from _trial(source, site, about)


def _strangers(source: Mqtt, site: str, about: str) -> Iterator[Complaint]:
    try:
        with _Visit(replace(source, username="", password=None, cert=None, key=None), site):
            pass
    except Unusable:
        return
    says = "it lets in clients without user or certificate: whoever reaches it can send false readings"
    do = "allow_anonymous false, with password_file and acl_file, in mosquitto.conf"
    yield (advice if is_here(source.host) else problem)(about, says, do)


def _dropped(said: dict[str, str], about: str) -> Iterator[Complaint]:
    if DROPPED not in said:
        yield fine(about, "it does not say on $SYS how much it dropped")
    elif (n := int(said[DROPPED] or 0)) > 0:
        says = f"it has dropped {n:,} messages since its start (those of our own trials among them)"
        yield problem(about, says, SETTINGS)


def _trial(source: Mqtt, site: str, about: str) -> Iterator[Complaint]:
    try:
        kept, window = _kept(source, site)
    except Unusable as why:
        yield fine(about, f"what it keeps could not be tried: {why}")
        return
    if kept < TRIED:
        says = (
            f"it keeps only {kept:,} messages while a client is away, and drops the rest, acknowledged or not"
        )
        yield problem(about, says, SETTINGS)
    else:
        yield fine(about, f"it keeps {TRIED:,} messages and more while a client is away")
    if window < source.window and source.version == "3.1.1":
        says = f"it sends {window:,} messages before it waits; this source expects {source.window:,}"
        do = f"max_inflight_messages {source.window} in mosquitto.conf: fewer syncs, and less wear of flash"
        yield advice(about, says, do)


def _kept(source: Mqtt, site: str) -> tuple[int, int]:
    """How many of the tried messages come after an absence, and how many before the first acknowledgement."""
    name = f"watchline-doctor-{secrets.token_hex(4)}"
    topic = f"watchline/doctor/{name}"
    try:
        with _Visit(source, site, name, clean=False) as visit:
            visit.subscribe(topic)
        with _Visit(source, site) as visit:
            visit.publish(topic, TRIED)
        with _Visit(source, site, name, clean=False) as visit:
            window = visit.settle()
            if not window:
                raise Unusable(f"it does not let this user write and read {topic}")
            return visit.take_all(), window
    finally:
        with contextlib.suppress(Unusable), _Visit(source, site, name):
            pass  # a clean session ends the one before it


class _Visit:
    """A connection for the time of a `with`; Unusable where there is none. A clean session ends with it."""

    def __init__(self, source: Mqtt, site: str, name: str = "", clean: bool = True) -> None:
        name = name or f"watchline-doctor-{secrets.token_hex(4)}"
        self._client = client = replace(source, version="3.1.1").client(site, name, clean)
        self._user = source.username
        self._refusal: str | None = None  # of the connection; "" = it was taken
        self._granted = False
        self._published = 0
        self._answered = False  # to the last request of `_catch_up`
        self._last_s = 0.0  # when the last message came
        self._messages: list[paho.MQTTMessage] = []
        client.on_connect = self._on_connect
        client.on_subscribe = lambda *_: setattr(self, "_granted", True)
        client.on_unsubscribe = lambda *_: setattr(self, "_answered", True)
        client.on_publish = self._on_publish
        client.on_message = self._on_message

    def __enter__(self) -> "_Visit":
        try:
            self._client.reconnect()
        except Exception as error:  # whatever TLS and the name service come up with
            raise Unusable(dial_trouble(error)) from error
        self._client.loop_start()
        if not self._until(lambda: self._refusal is not None):
            self._leave()
            raise Unusable("it took the connection and then said nothing")
        if self._refusal:
            self._leave()
            who = f'user "{self._user}"' if self._user else "a client without a user name"
            raise Unusable(f"it refuses {who}: {self._refusal}")
        return self

    def __exit__(self, *_: object) -> None:
        self._leave()

    def system(self) -> dict[str, str]:
        """What the broker says of itself: its retained $SYS topics; nothing where we may not read them."""
        self.subscribe("$SYS/broker/#", 0)
        self.settle()
        return {message.topic: message.payload.decode("utf-8", "replace") for message in self._messages}

    def subscribe(self, topic: str, qos: int = 1) -> None:
        self._client.subscribe(topic, qos)
        if not self._until(lambda: self._granted):
            raise Unusable(f"it did not answer a subscription of {topic}")

    def publish(self, topic: str, count: int) -> None:
        """At QoS 1, and until each is acknowledged."""
        for number in range(count):
            self._client.publish(topic, str(number), qos=1)
        if not self._until(lambda: self._published >= count, 4 * PATIENCE_S):
            raise Unusable(f"it acknowledged {self._published:,} of {count:,} messages, then no more")

    def settle(self) -> int:
        """Wait until nothing comes any more; how many messages have come so far.

        A busy broker is quiet too: only its answer to a later request shows that what went before has come.
        """
        self._last_s = time.monotonic()
        end_s = self._last_s + 6 * PATIENCE_S
        while time.monotonic() < end_s:
            come = len(self._messages)
            answered = self._catch_up()
            self._until(lambda: time.monotonic() - self._last_s > QUIET_S)
            if answered and len(self._messages) == come:
                break
        return len(self._messages)

    def _catch_up(self) -> bool:
        """Wait for an answer of the broker, which comes after all that it had sent before."""
        self._answered = False
        self._client.unsubscribe(f"watchline/doctor/{secrets.token_hex(4)}")
        return self._until(lambda: self._answered)

    def take_all(self) -> int:
        """Acknowledge what comes, until nothing does; how many different messages there were."""
        acknowledged = 0
        while acknowledged < len(self._messages):
            for message in self._messages[acknowledged:]:
                self._client.ack(message.mid, message.qos)
                acknowledged += 1
            self._catch_up()
            if acknowledged == len(self._messages):
                self.settle()
        return len({message.payload for message in self._messages})

    def _leave(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _until(self, holds: Callable[[], bool], seconds: float = PATIENCE_S) -> bool:
        end_s = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > end_s:
                return False
            time.sleep(0.01)
        return True

    def _on_connect(self, client: Any, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        self._refusal = str(reason) if reason.is_failure else ""

    def _on_publish(self, *_: Any) -> None:
        self._published += 1

    def _on_message(self, client: Any, data: Any, message: paho.MQTTMessage) -> None:
        self._messages.append(message)
        self._last_s = time.monotonic()
