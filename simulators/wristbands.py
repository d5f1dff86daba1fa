"""Wristbands: the bands of a site, published over MQTT as their readings would come in."""

import argparse
import heapq
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from config.channels import ChannelTable
from config.errors import SettingsError
from config.profiles import Profile
from config.quantities import conversion
from simulators.live import LiveWorld, call_when_told_to_stop
from simulators.noise import FloatArray
from simulators.scenarios import SECOND_NS, rfc3339
from simulators.sensors import over_mqtt
from simulators.site import read_site

MOST_ENTRIES = 200  # in one message, when a backlog comes in


@dataclass(frozen=True)
class Outlet:
    """A point of a message: raw = value * scale + offset, or `nothing` where nothing is measured."""

    channel: int
    name: str
    scale: float = 1.0
    offset: float = 0.0
    nothing: int | None = None

    def raw(self, value: float) -> float | None:
        """The number on the wire."""
        return self.nothing if isnan(value) else round(value * self.scale + self.offset, 9)


@dataclass(frozen=True)
class Sending:
    """The channels that one device sends together."""

    device: str
    place: str
    period_ns: int
    points: tuple[Outlet, ...]

    def entry(self, time_ns: int, row: FloatArray) -> dict[str, Any]:
        """The JSON object for one moment; row (channels,)."""
        raw = {point.name: point.raw(float(row[point.channel])) for point in self.points}
        return {"t": rfc3339(time_ns), "v": {name: value for name, value in raw.items() if value is not None}}


def sendings(channels: ChannelTable, model: Profile) -> list[Sending]:
    """What there is to send: channels that are sent by device and period, in raw values of their model."""
    groups: dict[tuple[str, str, int], list[Outlet]] = {}
    known = {point.name: point for point in model.points}
    for number, channel in enumerate(channels.channels):
        if not over_mqtt(channel):
            continue
        device, _, name = channel.id.rpartition(".")
        outlet = Outlet(number, name)
        if point := known.get(name):
            scale, offset = conversion(channel.unit, point.unit)
            nothing = point.sentinel[0] if point.sentinel else None
            outlet = Outlet(number, name, scale / point.scale, (offset - point.offset) / point.scale, nothing)
        group = (device, channel.place, round(channel.period_s * SECOND_NS))
        groups.setdefault(group, []).append(outlet)
    return [Sending(*group, tuple(points)) for group, points in groups.items()]


class Post:
    """Entries on their way: taken at whole multiples of a period, handed over when they arrive."""

    def __init__(self, live: LiveWorld, now_ns: int) -> None:
        self.live = live
        self.sendings = sendings(live.site.channels, live.site.bands)
        self._next_ns = [-(-now_ns // sending.period_ns) * sending.period_ns for sending in self.sendings]
        self._waiting: list[tuple[int, int, str, dict[str, Any]]] = []  # arrival, order, device, entry
        self._order = 0

    def next_ns(self) -> int:
        """When there is something to do next."""
        return min([*self._next_ns, *(item[0] for item in self._waiting[:1])])

    def due(self, now_ns: int) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        """Measure what is to be measured by now; then the messages that arrive by now: (device, entries)."""
        for number, sending in enumerate(self.sendings):
            while self._next_ns[number] <= now_ns:
                self._measure(sending, self._next_ns[number])
                self._next_ns[number] += sending.period_ns
        arrived: dict[str, list[dict[str, Any]]] = {}
        while self._waiting and self._waiting[0][0] <= now_ns:
            _, _, device, entry = heapq.heappop(self._waiting)
            arrived.setdefault(device, []).append(entry)
        for device, entries in arrived.items():
            for start in range(0, len(entries), MOST_ENTRIES):
                yield device, entries[start : start + MOST_ENTRIES]

    def _measure(self, sending: Sending, time_ns: int) -> None:
        came = self.live.arrivals(sending.place, time_ns)
        entry = sending.entry(int(came.stamp_ns[0]), self.live.row(time_ns)) if len(came.row) else {}
        for arrival_ns in came.arrival_ns.tolist():
            self._order += 1
            heapq.heappush(self._waiting, (arrival_ns, self._order, sending.device, entry))


def publish(live: LiveWorld, host: str, port: int, *, with_stdin: bool) -> None:
    """Publish until told to stop; prints one JSON line once the broker has taken the connection."""
    stop = threading.Event()
    call_when_told_to_stop(stop.set, with_stdin=with_stdin)
    publish_until(stop, live, host, port, lambda ready: print(json.dumps(ready), flush=True))


def publish_until(
    stop: threading.Event, live: LiveWorld, host: str, port: int, ready: Callable[[dict[str, Any]], object]
) -> None:
    """Publish until `stop` is set; `ready` is told once the broker has taken the connection."""
    post = Post(live, time.time_ns())
    if not post.sendings:
        raise SettingsError("channels.csv lists no channel that is sent; there is nothing to publish")
    client = mqtt.Client(
        CallbackAPIVersion.VERSION2, client_id=f"bands-of-{live.site.id}-{live.seed}", clean_session=True
    )
    connected = threading.Event()
    client.on_connect = lambda *_: connected.set()
    client.connect_async(host, port, keepalive=15)
    client.loop_start()
    while not connected.wait(0.1) and not stop.is_set():
        pass
    bands = len({sending.device for sending in post.sendings})
    ready({"bands": bands, "broker": f"{host}:{port}"})
    while not stop.wait(max(0.0, (post.next_ns() - time.time_ns()) / SECOND_NS)):
        for device, entries in post.due(time.time_ns()):
            payload = json.dumps(entries[0] if len(entries) == 1 else entries)
            client.publish(f"watchline/v1/{live.site.id}/{device}/readings", payload, qos=1)
    client.disconnect()
    client.loop_stop()


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the wristbands of a site (a folder with gateway.toml and its lists) in real time."""
    parser = argparse.ArgumentParser(prog="python -m simulators.wristbands", description=main.__doc__)
    parser.add_argument("site", type=Path, help="folder with gateway.toml")
    parser.add_argument(
        "--broker", default="127.0.0.1:1883", metavar="HOST:PORT", help="(default: %(default)s)"
    )
    parser.add_argument(
        "--script", type=Path, help="what happens when, a JSON list; read again when it changes"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--with-stdin", action="store_true", help="stop when stdin closes")
    given = parser.parse_args(arguments)
    host, _, port = given.broker.rpartition(":")
    if not host or not port.isdecimal():
        parser.error(f"--broker {given.broker}: write host:port, such as 127.0.0.1:1883")
    try:
        live = LiveWorld(read_site(given.site), given.seed, given.script)
        publish(live, host, int(port), with_stdin=given.with_stdin)
    except SettingsError as error:
        print("\n".join(error.mistakes), file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
