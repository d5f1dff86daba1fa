"""Subscription: one connection to an MQTT broker, served by the storage thread; nothing in it waits."""

from __future__ import annotations

import logging
import math
import ssl
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTErrorCode

from gateway.payloads import Decoder, Left, Message, short
from gateway.sources.base import Backoff, Store

if TYPE_CHECKING:
    from gateway.sources.mqtt import Mqtt

log = logging.getLogger(__name__)

DIALLING_LOOK_S = 0.02  # how often that thread is looked at
CHORES_S = 1.0  # how often keepalive is seen to
STEADY_S = 10.0  # a connection that held this long was a good one: the next attempt follows soon
MOST_AT_ONCE = 500  # messages taken in one go, so that the storage thread comes round
MOST_BYTES_AT_ONCE = 4 << 20
MOST_BYTES_WAITING = 32 << 20  # of payloads that are not yet durable
STALL_S = 0.05  # a broker that waits for an acknowledgement sends within this time after it
LEAST_WINDOW = 10  # no broker is known to wait for fewer
HUSH_S = 0.02  # so long nothing after a burst: the broker may be waiting for us
SLOWEST_BURST_S = 0.0005  # a message; what comes more slowly comes by itself
USUAL_WINDOW = 20  # mosquitto's default max_inflight_messages
TOLD_AT_MOST = 1000  # different troubles of payloads that the log tells of


class Subscription:
    """One connection at a time to a broker, served by the storage thread; see `ingest.writer.Pollable`.

    Nothing here waits: looking up the name, TCP and TLS are done by a helper thread while the socket
    is not yet shown. Memory is bounded: while too much is not yet durable, the socket is hidden, whatever
    the broker sends (mosquitto 2.0.11 does not hold its window).
    """

    def __init__(
        self,
        settings: Mqtt,
        decoder: Decoder,
        store: Store,
        now_ns: Callable[[], int],
        site: str,
    ) -> None:
        self.settings = settings
        self.up = False  # the broker has taken our subscription
        self.losses = 0
        self.readings = 0
        self.trouble = "not connected yet"
        self._decoder = decoder
        self._client = client = settings.client(site)
        self._store = store
        self._now_ns = now_ns
        self._filter = settings.filter(site)
        self._dialling: threading.Thread | None = None
        self._dial_error: Exception | None = None
        self._closed = False
        self._linked = False  # the broker has taken our CONNECT; a session's messages may follow at once
        self._generation = 0  # of the connection; a receipt of an older one acknowledges nothing
        self._backoff = Backoff()
        self._next_dial_s = 0.0
        self._up_since_s = 0.0
        self._refusal = ""  # what the broker said before it hung up
        self._told: set[str] = set()  # troubles of this outage that the log knows
        self._told_payloads: set[tuple[str, str]] = set()
        self._inbox: list[Message] = []
        self._mids: list[int] = []  # packet ids of `inbox`; 0 where none is wanted
        self._inbox_bytes = 0
        self._waiting = 0
        self._waiting_bytes = 0
        self._window = _Window(settings.window)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_socket_register_write = lambda *_: None  # we look at want_write; without it acks recurse

    def __str__(self) -> str:
        return str(self.settings)

    @property
    def name(self) -> str:
        """What a list of parts calls it."""
        return str(self)

    def fileno(self) -> int:
        """The socket; -1 while there is none, or while no more may be taken in."""
        if self._dialling is not None or self._is_full():
            return -1
        sock = self._client.socket()
        return -1 if sock is None else sock.fileno()

    def wants_write(self) -> bool:
        return self._dialling is None and self._client.want_write()

    def waiting(self) -> int:
        """Messages handed over and not yet durable."""
        return self._waiting

    def window(self) -> int:
        """How many messages the broker sends before it waits: as set, or fewer where it was seen to stall."""
        return self._window.size

    def patience_s(self) -> float:
        """From when what waits is better synced, since the broker seems to have stopped for us."""
        return self._window.patience_s()

    def readable(self) -> None:
        """Take in what has come, up to a few hundred messages, and hand it over as one batch."""
        generation = self._generation
        self._guarded(self._read)
        self._hand_over(generation)

    def writable(self) -> None:
        self._guarded(self._client.loop_write)

    def tick(self, monotonic_s: float) -> float:
        """Connect, keep alive; returns when to be called again."""
        if self._closed:
            return monotonic_s + CHORES_S
        if self._dialling is not None:
            if self._dialling.is_alive():
                return monotonic_s + DIALLING_LOOK_S
            self._dialled()
        if self._client.socket() is not None:
            self._guarded(self._client.loop_misc)
            return monotonic_s + CHORES_S
        if self._is_full() or monotonic_s < self._next_dial_s:
            return max(self._next_dial_s, monotonic_s + DIALLING_LOOK_S)
        self._dialling = threading.Thread(target=self._dial, name="mqtt-dial", daemon=True)
        self._dialling.start()
        return monotonic_s + DIALLING_LOOK_S

    def close(self) -> None:
        """Leave the broker in good order, keeping the session; after the storage thread has ended."""
        self._closed = True
        self.up = self._linked = False
        if self._dialling is None and self._client.socket() is not None:
            self._client.disconnect()
            self._guarded(self._client.loop_write)

    # The connection

    def _dial(self) -> None:
        """In the helper thread, which has the client to itself: look up the name, connect, shake hands."""
        try:
            self._client.reconnect()
        except Exception as error:
            self._dial_error = error

    def _dialled(self) -> None:
        error, self._dial_error, self._dialling = self._dial_error, None, None
        self._refusal = ""
        if error is not None:
            self._lost(dial_trouble(error))

    def _guarded(self, step: Callable[[], object]) -> None:
        """paho may raise anything on bytes that are no MQTT: the broker's fault, and the connection's end."""
        try:
            step()
        except Exception as error:
            log.debug("%s", self, exc_info=True)
            self._cut(f"it sent what is no MQTT ({type(error).__name__}: {error})")

    def _cut(self, trouble: str) -> None:
        self.settings.aim(self._client)
        self._lost(trouble)

    def _lost(self, trouble: str) -> None:
        """Wait for the next attempt; say so once, and each new reason once."""
        now_s = time.monotonic()
        if self.up and now_s - self._up_since_s >= STEADY_S:
            self._backoff.reset()
        self._next_dial_s = now_s + self._backoff.pause_s()
        if self.up or not self._told:
            self.losses += 1
        self.up, self._linked, self.trouble = False, False, trouble
        self._generation += 1
        self._waiting = self._waiting_bytes = 0  # the broker will send them again
        if trouble not in self._told and not self._closed:
            self._told.add(trouble)
            log.warning("%s is lost: %s; tried again until it answers", self, trouble)

    def _on_connect(self, client: Any, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            self._refusal = self._refused(str(reason))
            return
        result, _ = self._client.subscribe(self._filter, 1)  # at every connect: the broker may have forgotten
        if result != MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._refusal = f"cannot subscribe: {paho.error_string(result)}"
            self._client.disconnect()
            return
        self._linked = True

    def _refused(self, reason: str) -> str:
        user = self.settings.username
        if reason in ("Not authorized", "Bad user name or password"):
            if not user:
                return f"it refuses a client without a user name ({reason}); set username and password"
            return (
                f'it refuses user "{user}" ({reason}); check username and password of this source, '
                "and the broker's list of users"
            )
        return f"it refuses the connection ({reason})"

    def _on_subscribe(self, client: Any, userdata: Any, mid: int, reasons: Any, properties: Any) -> None:
        refused = [str(reason) for reason in reasons if reason.is_failure]
        if refused:
            who = f'user "{self.settings.username}"' if self.settings.username else "anonymous clients"
            self._refusal = f"it does not let {who} read {self._filter} ({refused[0]}); check its access list"
            self._client.disconnect()
            return
        log.info("%s is %s", self, "back" if self.losses else "read")
        self.up, self.trouble, self._up_since_s = True, "", time.monotonic()
        self._told.clear()

    def _on_disconnect(self, client: Any, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        said = "" if str(reason) == "Unspecified error" else f" ({reason})"
        self._lost(self._refusal or f"the connection ended{said}")

    # Messages

    def _on_message(self, client: Any, userdata: Any, message: paho.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = "(not UTF-8)"
        self._inbox.append(Message(topic, bytes(message.payload), message.retain))
        self._mids.append(message.mid if message.qos else 0)
        self._inbox_bytes += len(message.payload)

    def _read(self) -> None:
        """Until the socket is dry: a packet a call; nothing new means dry, or a packet of another kind."""
        while len(self._inbox) < MOST_AT_ONCE and self._inbox_bytes < MOST_BYTES_AT_ONCE:
            before = len(self._inbox)
            if self._client.loop_read() != MQTTErrorCode.MQTT_ERR_SUCCESS:
                return
            if len(self._inbox) == before and not self._buffered():
                return
        self._client.reads_ahead = False
        try:
            while self._buffered() and self._client.loop_read() == MQTTErrorCode.MQTT_ERR_SUCCESS:
                pass  # what was read ahead, or decrypted, shows on no selector
        finally:
            self._client.reads_ahead = True

    def _buffered(self) -> bool:
        if self._client.buffered():
            return True
        sock = self._client.socket()
        return isinstance(sock, ssl.SSLSocket) and sock.pending() > 0

    def _hand_over(self, generation: int) -> None:
        if not self._inbox:
            return
        messages, mids, size = self._inbox, self._mids, self._inbox_bytes
        self._inbox, self._mids, self._inbox_bytes = [], [], 0
        if generation == self._generation:
            self._waiting += len(messages)
            self._waiting_bytes += size
            self._window.heard(self._waiting, len(messages) >= MOST_AT_ONCE, time.monotonic())
        decoded = self._decoder.decode(messages, self._now_ns())
        parts = len(decoded.dead) + (len(decoded.readings) > 0)
        receipt = _Receipt(self, generation, mids, size, parts)
        for number, left in decoded.left:
            self._tell(left, "")
            self._store.drop(self._lane(messages[number].topic), left.readings, left.reason)
        for number, left in decoded.dead:
            topic, payload, _ = messages[number]
            self._tell(left, f" from {short(topic)}")
            self._store.dead_letter(self._lane(topic), topic, payload, left.reason, receipt.part_is_durable)
        if len(decoded.readings):
            self.readings += len(decoded.readings)
            self._store.deliver(decoded.readings, receipt.part_is_durable, self.settings.lane)

    def _lane(self, topic: str) -> str:
        """Whose line of the ledger a message belongs to."""
        return short(self._decoder.device_of(topic))

    def _tell(self, left: Left, origin: str) -> None:
        """Each trouble once; a device that repeats it is counted in the ledger."""
        trouble = left.reason, left.detail
        if trouble in self._told_payloads or len(self._told_payloads) >= TOLD_AT_MOST:
            return
        self._told_payloads.add(trouble)
        log.warning("%s: a payload%s cannot be used in full: %s: %s", self, origin, left.reason, left.detail)

    def _is_full(self) -> bool:
        return self._waiting >= 2 * max(self.settings.window, MOST_AT_ONCE) or (
            self._waiting_bytes >= MOST_BYTES_WAITING
        )

    def acknowledge(self, generation: int, mids: list[int], size: int) -> None:
        """A group is durable: tell the broker, if it is the same connection that brought it."""
        if generation != self._generation:
            return
        self._waiting -= len(mids)
        self._waiting_bytes -= size
        if not self._waiting and self._window.acknowledged(time.monotonic()):
            log.warning(
                "%s sends only %d messages before it waits; raise its max_inflight_messages to %d",
                *(self, self._window.size, self.settings.window),
            )
        if not self._linked:
            return
        for mid in mids:
            if mid:
                self._client.ack(mid, 1)
        self._guarded(self._client.loop_write)


class _Receipt:
    """Waits until each part of a group of messages is durable, then acknowledges them in their order."""

    def __init__(
        self, subscription: Subscription, generation: int, mids: list[int], size: int, parts: int
    ) -> None:
        self._subscription = subscription
        self._group = (generation, mids, size)
        self._parts = parts

    def part_is_durable(self) -> None:
        self._parts -= 1
        if not self._parts:
            self._subscription.acknowledge(*self._group)


class _Window:
    """How many messages the broker sends before it waits for acknowledgements.

    MQTT 3.1.1 does not say, and mosquitto's default is 20 where 1,000 may be set here: then half a window
    would never wait, each tick would bring 20 messages, and the broker would drop the rest. So it is learned
    from what a stalled broker looks like, twice: at once upon an acknowledgement a burst, then nothing. The
    same number twice is the window; different ones come from a broker that overshoots it (mosquitto does when
    acknowledgements come in bunches), and then its usual default is assumed. Until something is learned a
    burst that falls silent is synced soon. A wrong guess only costs some more commits.
    """

    def __init__(self, most: int) -> None:
        self.size = most
        self._stalled_at = 0
        self._came = 0  # messages since everything was acknowledged
        self._more = False  # the last read ended because it had enough, not because nothing was left
        self._first_s = self._last_s = self._acknowledged_s = 0.0

    def heard(self, waiting: int, more: bool, now_s: float) -> None:
        """So many messages wait for their acknowledgement now, and there may be `more` to read at once."""
        if not self._came:
            self._first_s = now_s
        self._came, self._last_s, self._more = max(self._came, waiting), now_s, more

    def patience_s(self) -> float:
        """Monotonic time from which what waits should be acknowledged; inf = there is no hurry."""
        return self._last_s + HUSH_S if self._is_burst() else math.inf

    def acknowledged(self, now_s: float) -> bool:
        """All that had come is acknowledged; True when something was learned."""
        came, at_once = self._came, self._came > 0 and self._follows_at_once()
        stalled = self._is_burst() and not self._more and now_s - self._last_s >= HUSH_S
        self._came, self._acknowledged_s = 0, now_s
        if not stalled:
            if not at_once:
                self._stalled_at = 0
            return False
        before, self._stalled_at = self._stalled_at, came
        if not before or came >= self.size:
            return False
        self.size = came if came == before else min(came, USUAL_WINDOW)
        return True

    def _is_burst(self) -> bool:
        quick = self._last_s - self._first_s <= self._came * SLOWEST_BURST_S
        return self._came >= LEAST_WINDOW and self._follows_at_once() and quick

    def _follows_at_once(self) -> bool:
        return self._first_s - self._acknowledged_s < STALL_S


def dial_trouble(error: Exception) -> str:
    """Why no connection came about, and what to look at."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message}); check ca, and the name in host"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed ({error.reason or error}); check tls, ca, cert and port"
    if isinstance(error, TimeoutError):
        return "no connection in time"
    if isinstance(error, OSError):
        return f"no connection ({error.strerror or error})"
    return f"no connection ({type(error).__name__}: {error})"
