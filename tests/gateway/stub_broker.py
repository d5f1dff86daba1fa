"""A stub broker for tests: holds its window exactly, which mosquitto does not, or sends what is no MQTT.

It speaks just enough MQTT 3.1.1 to one subscriber: CONNECT, SUBSCRIBE, PINGREQ, PUBLISH at QoS 1, PUBACK.
"""

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator, Sequence


class StrictStubBroker:
    """Sends its messages in order, never more than `window` unacknowledged; those again when reconnected."""

    def __init__(self, window: int, messages: Sequence[tuple[str, bytes]]) -> None:
        self.window = window
        self.messages = list(messages)
        self.most_unacknowledged = 0
        self.acknowledged: list[int] = []  # numbers of the messages, in the order of their PUBACKs
        self.connections = 0
        self.cut_after = 0  # hang up once after so many acknowledgements
        self.garbage = b""  # sent instead of an answer to SUBSCRIBE
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                link, _ = self._server.accept()
            except OSError:
                return
            self.connections += 1
            with link, contextlib.suppress(OSError, EOFError):
                link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._talk(link)

    def _talk(self, link: socket.socket) -> None:
        todo = [n for n in range(len(self.messages)) if n not in set(self.acknowledged)]
        flying: dict[int, int] = {}  # packet id: number of the message
        while True:
            kind, body = _packet(link)
            if kind == 0x10:
                link.sendall(b"\x20\x02\x01\x00")
            elif kind == 0x82:
                link.sendall(self.garbage or b"\x90\x03" + body[:2] + b"\x01")
                self._refill(link, todo, flying)
            elif kind == 0xC0:
                link.sendall(b"\xd0\x00")
            elif kind == 0x40:
                self.acknowledged.append(flying.pop(struct.unpack(">H", body)[0]))
                if self.cut_after and len(self.acknowledged) >= self.cut_after:
                    self.cut_after = 0
                    return
                self._refill(link, todo, flying)
            elif kind == 0xE0:
                return

    def _refill(self, link: socket.socket, todo: list[int], flying: dict[int, int]) -> None:
        out = b""
        while todo and len(flying) < self.window:
            number = todo.pop(0)
            packet_id = number % 65535 + 1
            flying[packet_id] = number
            topic, payload = self.messages[number]
            body = struct.pack(">H", len(topic)) + topic.encode() + struct.pack(">H", packet_id) + payload
            out += b"\x32" + _length(len(body)) + body
        self.most_unacknowledged = max(self.most_unacknowledged, len(flying))
        if out:
            link.sendall(out)


@contextlib.contextmanager
def strict_stub_broker(window: int, messages: Sequence[tuple[str, bytes]] = ()) -> Iterator[StrictStubBroker]:
    broker = StrictStubBroker(window, messages)
    try:
        yield broker
    finally:
        broker.close()


def _packet(link: socket.socket) -> tuple[int, bytes]:
    """First byte and body of the next packet."""
    kind, size, shift = _exactly(link, 1)[0], 0, 0
    while True:
        byte = _exactly(link, 1)[0]
        size |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return kind, _exactly(link, size)


def _exactly(link: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = link.recv(size - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def _length(size: int) -> bytes:
    out = bytearray()
    while size > 127:
        out.append(size & 127 | 128)
        size >>= 7
    return bytes([*out, size])
