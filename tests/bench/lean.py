"""Bench of a lean MQTT reader of our own, a second client in the house which is not shipped.

Run as `python -m tests.bench.lean`. A bare socket in the storage thread instead of paho: frames are walked in
Python, the acknowledgements of a group leave in one write. What it hands over is as with the shipped client;
both, and paho with an empty callback, take the same messages from one broker in turn. MQTT 3.1.1, QoS 1; no
TLS, no keepalive, no reconnecting.
"""

import argparse
import math
import socket
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from gateway.bench import broker, servers
from gateway.bench.figures import Effort
from gateway.bench.intake import TOPIC, senders
from gateway.payloads import Decoder, Message
from ingest.storage import Storage

CHUNK = 1 << 18  # bytes a read
PUBLISH = 0x30


class Lean:
    """One connection, made at once; see `ingest.writer.Pollable`."""

    up = True

    def __init__(self, port: int, values: int, storage: Storage, now_ns: Callable[[], int]) -> None:
        self.readings = 0
        self._decoder = Decoder(senders(values), TOPIC.format("+"))
        self._storage, self._now_ns = storage, now_ns
        self._rest = b""
        self._waiting = 0
        self._topics: dict[bytes, str] = {}
        self._socket = socket.create_connection(("127.0.0.1", port))
        name = broker.OURS.encode()
        self._socket.sendall(
            bytes([0x10, 12 + len(name)]) + b"\x00\x04MQTT\x04\x00\x00\x00\x00" + bytes([len(name)]) + name
        )
        if self._socket.recv(4, socket.MSG_WAITALL)[3:] != b"\x00":
            raise ConnectionError("the broker refuses")

    def fileno(self) -> int:
        return self._socket.fileno() if self._waiting < 2 * broker.WINDOW else -1

    def wants_write(self) -> bool:
        return False

    def waiting(self) -> int:
        return self._waiting

    def window(self) -> int:
        return broker.WINDOW

    def patience_s(self) -> float:
        return math.inf

    def tick(self, monotonic_s: float) -> float:
        return monotonic_s + 1.0

    def writable(self) -> None:
        """Nothing is left to send."""

    def close(self) -> None:
        self._socket.close()

    def readable(self) -> None:
        """One read; every whole frame of it as one batch."""
        data = self._rest + self._socket.recv(CHUNK)
        messages, acks = self._walk(data)
        if not messages:
            return
        self._waiting += len(messages)
        decoded = self._decoder.decode(messages, self._now_ns())
        self.readings += len(decoded.readings)
        self._storage.deliver(decoded.readings, partial(self._acknowledge, bytes(acks)), "mqtt")

    def _walk(self, data: bytes) -> tuple[list[Message], bytearray]:
        messages, acks, topics = [], bytearray(), self._topics
        place, end = 0, len(data)
        while end - place >= 2:
            size, shift, body = 0, 0, place + 1
            while body < end:
                byte = data[body]
                body += 1
                size |= (byte & 127) << shift
                if byte < 128:
                    break
                shift += 7
            else:
                break
            after = body + size
            if after > end:
                break
            if data[place] & 0xF0 == PUBLISH:
                start = body + 2 + (data[body] << 8 | data[body + 1])
                raw = data[body + 2 : start]
                topic = topics.get(raw) or topics.setdefault(raw, raw.decode())
                if data[place] & 6:
                    acks += b"\x40\x02" + data[start : start + 2]
                    start += 2
                messages.append(Message(topic, data[start:after]))
            place = after
        self._rest = data[place:]
        return messages, acks

    def _acknowledge(self, acks: bytes) -> None:
        self._waiting -= len(acks) // 4
        self._socket.sendall(acks)


class LeanOurs(broker.Ours):
    """The same storage with the lean reader in it."""

    def _source(self, port: int, values: int, window: int) -> Lean:
        return Lean(port, values, self.storage, self.clock.now_ns)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=5, help="the readers take turns; medians are shown")
    args = parser.parse_args()
    program = servers.installed("mosquitto")
    if program is None:
        raise SystemExit("mosquitto is not installed: apt-get install mosquitto")
    with (
        tempfile.TemporaryDirectory(prefix="watchline-bench-") as name,
        servers.broker(program, Path(name)) as port,
    ):
        for values in (1, 20):
            effort = Effort(Path(name))
            count = args.messages // (1 if values == 1 else 4)
            costs: dict[str, list[float]] = {"lean": [], "shipped": [], "paho, empty callback": []}
            for number in range(args.rounds):
                broker.open_session(port, broker.BARE)
                for kind, ours in (("lean", LeanOurs), ("shipped", broker.Ours)):
                    place = f"{kind}-{number}"
                    costs[kind].append(broker.by_us(effort, port, values, count, "", place, ours))
                    if kind == "lean":
                        broker.forget(port, broker.BARE)
                        broker.open_session(port, broker.BARE)
                paho = broker.heard_by_paho(port, count, lambda: None)
                costs["paho, empty callback"].append(paho / count / values)
                time.sleep(0.1)
            for kind, each in costs.items():
                print(
                    f"{values:3} a message  {kind:22} {statistics.median(each):7.2f} us a reading", flush=True
                )


if __name__ == "__main__":
    main()
