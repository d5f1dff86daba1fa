"""Feeder: a publisher in a process of its own, over a bare socket (-m gateway.bench.feeder …).

Its own process, so that what it costs is not counted; a bare socket, so that it is not what is slow.
"""

import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import islice

from gateway.bench.intake import messages

WINDOW = 200  # unacknowledged messages
LEAST_PAUSE_S = 0.002  # between sends, paced
CONNECT = b"\x10\x12\x00\x04MQTT\x04\x02\x00\x00\x00\x06feeder"


def main(arguments: Sequence[str]) -> None:
    """PORT COUNT VALUES RATE (messages a second, 0: flat out); QoS 1, returns when all are acknowledged."""
    port, count, values, rate = (int(argument) for argument in arguments)
    with socket.create_connection(("127.0.0.1", port)) as broker:
        broker.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        broker.sendall(CONNECT)
        _read(broker, 4)
        (_paced if rate else _flat_out)(broker, _packets(count, values), count, rate)
        broker.sendall(b"\xe0\x00")


def feed(port: int, count: int, values: int, rate: int = 0) -> "subprocess.Popen[bytes]":
    """Start one; it ends when the broker has acknowledged everything."""
    numbers = (port, count, values, rate)
    return subprocess.Popen([sys.executable, "-m", "gateway.bench.feeder", *map(str, numbers)])


def _flat_out(broker: socket.socket, packets: Iterator[bytes], count: int, rate: int) -> None:
    while part := list(islice(packets, WINDOW)):
        broker.sendall(b"".join(part))
        _read(broker, 4 * len(part))


def _paced(broker: socket.socket, packets: Iterator[bytes], count: int, rate: int) -> None:
    """Evenly, whatever the broker still owes; acknowledgements are read as they come."""
    begin_s, sent, owed = time.perf_counter(), 0, 4 * count
    while sent < count:
        due = min(int((time.perf_counter() - begin_s) * rate) + 1, count)
        broker.sendall(b"".join(islice(packets, due - sent)))
        sent = due
        while select.select([broker], [], [], 0)[0]:
            owed -= len(_some(broker, 1 << 16))
        time.sleep(max(LEAST_PAUSE_S, 1 / rate))
    _read(broker, owed)


def _packets(count: int, values: int) -> Iterator[bytes]:
    for number, message in enumerate(messages(count, values)):
        topic = message.topic.encode()
        mid = number % 65535 + 1
        rest = len(topic).to_bytes(2, "big") + topic + mid.to_bytes(2, "big") + message.payload
        yield b"\x32" + _length(len(rest)) + rest


def _length(size: int) -> bytes:
    """MQTT's variable byte integer."""
    written = bytearray()
    while True:
        size, low = divmod(size, 128)
        written.append(low | (128 if size else 0))
        if not size:
            return bytes(written)


def _read(broker: socket.socket, size: int) -> None:
    while size > 0:
        size -= len(_some(broker, min(size, 1 << 16)))


def _some(broker: socket.socket, most: int) -> bytes:
    """What has come, at least a byte."""
    if not (got := broker.recv(most)):
        raise ConnectionError("the broker hung up")
    return got


if __name__ == "__main__":
    main(sys.argv[1:])
