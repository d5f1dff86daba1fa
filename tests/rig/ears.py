"""Ears: what a gateway heard from its broker and what it acknowledged, read off its own sockets."""

import re
from dataclasses import dataclass, field

from gateway.payloads import Message
from tests.rig.tape import Event

CONNECT, PUBLISH, PUBACK = 0x10, 0x30, 0x40
EVENT_ID = re.compile(rb'"id": ?"([0-9a-f]+-\d+)"')


@dataclass
class Ears:
    """Follows a tape. `waiting` are messages heard and not acknowledged, by packet id."""

    acknowledged: list[Message] = field(default_factory=list)
    waiting: dict[int, Message] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)  # events that were posted to somebody
    _broker: int = -1  # the descriptor
    _heard: bytearray = field(default_factory=bytearray)

    def follow(self, event: Event) -> None:
        if event.kind == "sent":
            if event.data[:1] == bytes([CONNECT]) and b"MQTT" in event.data[:12]:
                self._broker, self._heard, self.waiting = event.at, bytearray(), {}
            elif event.at == self._broker:
                self._said(event.data)
            else:
                self.told.update(id.decode() for id in EVENT_ID.findall(event.data))
        elif event.kind == "received" and event.at == self._broker:
            self._heard += event.data
            while (packet := _packet(self._heard)) is not None:
                self._take(*packet)

    def _said(self, data: bytes) -> None:
        buffer = bytearray(data)
        while (packet := _packet(buffer)) is not None:
            kind, body = packet
            if kind & 0xF0 == PUBACK:
                self.acknowledged.append(self.waiting.pop(int.from_bytes(body[:2], "big")))

    def _take(self, kind: int, body: bytes) -> None:
        if kind & 0xF0 != PUBLISH:
            return
        size = int.from_bytes(body[:2], "big")
        topic, rest = body[2 : 2 + size].decode(), body[2 + size :]
        self.waiting[int.from_bytes(rest[:2], "big")] = Message(topic, bytes(rest[2:]))


def _packet(buffer: bytearray) -> tuple[int, bytes] | None:
    """Take the first whole MQTT packet off a buffer: its first byte, and its body."""
    size, shift, place = 0, 0, 1
    while True:
        if place >= len(buffer):
            return None
        size |= (buffer[place] & 0x7F) << shift
        shift, place = shift + 7, place + 1
        if not buffer[place - 1] & 0x80:
            break
    if len(buffer) < place + size:
        return None
    kind, body = buffer[0], bytes(buffer[place : place + size])
    del buffer[: place + size]
    return kind, body
