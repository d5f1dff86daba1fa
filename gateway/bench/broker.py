"""Broker: MQTT intake to the synced journal and to a stored point, beside paho with an empty callback.

Flat out a broker's whole queue is drained, paced the messages come one by one. Both clients take the same
messages from the same broker in turn; medians of the rounds. The publisher is another process.
"""

import json
import sqlite3
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from gateway.bench.feeder import feed
from gateway.bench.figures import Effort, Figure, cpu_us
from gateway.bench.intake import TOPIC, senders
from gateway.bench.servers import BUCKET, WAIT_S, ask, broker, installed, store, until
from gateway.sources.mqtt import Mqtt
from ingest.courier import Courier
from ingest.influx import Influx
from ingest.progress import pending
from ingest.storage import Storage
from ingest.ticks import Epoch
from ingest.wallclock import WallClock

WINDOW = 1000
MOSQUITTO_WINDOW = 20  # its max_inflight_messages, unless it is told otherwise
OURS, BARE = "watchline-bench", "bare"  # client ids, and so the broker's sessions
BESIDE = "paho, empty callback"
TO_JOURNAL = {1: ("QoS 1, one value a message, to the synced journal", "1.0 x"), 20: ("20 values", "2 x")}
TO_STORE = {1: ("one value, to a stored point", "1.2 x"), 20: ("20 values, to stored points", "2.7 x")}
PACED = 1_000  # messages a second
FLOOD, FLOOD_S = 20_000, 60


def mqtt(effort: Effort) -> Iterator[Figure]:
    """QoS 1 at a window of 1,000: our client to the journal and to InfluxDB, and paho to nowhere."""
    program = installed("mosquitto")
    if program is None:
        yield _missing("mqtt", TO_JOURNAL[1][0], "mosquitto")
        return
    with broker(program, effort.folder) as port:
        for values, (name, goal) in TO_JOURNAL.items():
            yield _drained(effort, port, values, name, goal, "")
        yield _at_a_pace(effort, port)
        influxd, nginx = installed("influxd"), installed("nginx")
        if influxd is None or nginx is None:
            yield _missing("mqtt", TO_STORE[1][0], "influxd or nginx")
            return
        with store(influxd, nginx, effort.folder / "store") as url:
            by_us(effort, port, 1, 20, url, "warm")  # loads pyarrow and the client of InfluxDB
            for values, (name, goal) in TO_STORE.items():
                yield _drained(effort, port, values, name, goal, url)


def flood(effort: Effort) -> Iterator[Figure]:
    """20,000 messages a second at QoS 1 through a broker with mosquitto's default limits: what is lost.

    Once with the broker's window in our settings, once with the one they have by default.
    """
    name = f"{FLOOD:,} messages/s at QoS 1, mosquitto's default limits: lost"
    program = installed("mosquitto")
    if program is None:
        yield _missing("flood", name, "mosquitto")
        return
    count = FLOOD * effort.of(FLOOD_S, 1)
    for window in (MOSQUITTO_WINDOW, WINDOW):
        with broker(program, effort.folder, "") as port:
            ours = Ours(effort.folder / f"flood-{window}", port, 1, window=window)
            ours.start()
            until(lambda: ours.source.up)  # noqa: B023
            begin_s = time.monotonic()
            feeder = feed(port, count, 1, FLOOD)
            cost = cpu_us(partial(_until_quiet, ours, feeder.poll))
            took_s = time.monotonic() - begin_s
            ours.stop()
        lost, note = (
            count - ours.heard,
            f"of {count:,} in {took_s:.0f} s; window = {window:,} in our settings",
        )
        yield Figure("flood", name, float(lost), "readings", goal="0", note=note)
        yield Figure("flood", "to the synced journal", cost / ours.heard, "us/reading", note=note)


class Ours:
    """Our client in the storage thread, as it runs live; with `url`, a courier that stores in InfluxDB."""

    def __init__(self, folder: Path, port: int, values: int, url: str = "", window: int = WINDOW) -> None:
        self.table = senders(values)
        self.clock = WallClock()
        self.storage = Storage(folder, self.table, self.clock)
        self.storage.open()
        self.source = self._source(port, values, window)
        self.storage.host(self.source)
        self.courier = Courier(self.storage, Influx(url, BUCKET)) if url else None
        self._epoch: Epoch | None = Epoch("start")

    def _source(self, port: int, values: int, window: int) -> Any:
        settings = Mqtt(host="127.0.0.1", port=port, window=window, client_id=OURS)
        return settings.subscription(self.table, self.storage, self.clock.now_ns, "bench")

    @property
    def heard(self) -> int:
        return int(self.source.readings)

    def start(self) -> None:
        self.storage.start()
        if self.courier is not None:
            self.courier.start()

    def tick(self) -> None:
        self.storage.commit_tick(self.storage.close_tick(self.clock.now_ns(), self._epoch), [])
        self._epoch = None

    def take(self, readings: int) -> None:
        """Until so many are durable, and stored where there is a courier; a tick a second, as live."""
        reader, begin_s = self.storage.reader(), time.monotonic()
        due_s = begin_s + 1.0
        while not self._done(readings, reader):
            now_s = time.monotonic()
            if now_s > begin_s + WAIT_S:
                trouble = self.courier.trouble if self.courier else ""
                raise TimeoutError(f"{self.heard} of {readings} readings within {WAIT_S:g} s {trouble}")
            if now_s > due_s:
                due_s += 1.0
                self.tick()
            time.sleep(0.02)
        reader.close()

    def _done(self, readings: int, reader: sqlite3.Connection) -> bool:
        durable = self.heard >= readings and not self.source.waiting()
        return durable and (self.courier is None or not pending(reader, self.courier.name))

    def stop(self) -> None:
        if self.courier is not None:
            self.courier.stop()
        self.storage.stop()
        self.source.close()


def _drained(effort: Effort, port: int, values: int, name: str, goal: str, url: str) -> Figure:
    count = effort.of(40_000, 500) // (4 if values > 1 else 1)
    ours, bare = [], []
    for number in range(effort.of(3, 1)):
        open_session(port, BARE)
        ours.append(by_us(effort, port, values, count, url, str(number)))
        bare.append(heard_by_paho(port, count, lambda: None) / (count * values))
    return _beside(name, ours, bare, goal, f"window {WINDOW}")


def _at_a_pace(effort: Effort, port: int) -> Figure:
    count = PACED * effort.of(6, 1)
    ours, bare = [], []
    for number in range(effort.of(3, 1)):
        ours.append(_paced_by_us(effort.folder / f"paced-{number}", port, count) / count)
        forget(port, OURS)
        open_session(port, BARE)
        bare.append(heard_by_paho(port, count, lambda: feed(port, count, 1, PACED)) / count)
        forget(port, BARE)
    return _beside(f"{PACED:,} messages/s, to the synced journal", ours, bare, "1.3 x", "as they come")


def _paced_by_us(folder: Path, port: int, count: int) -> float:
    us = Ours(folder, port, 1)
    us.start()
    until(lambda: us.source.up)
    feed(port, count, 1, PACED)
    until(lambda: us.heard > 0, 0.001)
    cost = cpu_us(lambda: us.take(count))
    us.stop()
    return cost


def by_us(
    effort: Effort, port: int, values: int, count: int, url: str, round: str, kind: type[Ours] = Ours
) -> float:
    """CPU microseconds a reading of a broker's queue, commits and ticks included."""
    readings = count * values
    open_session(port, OURS)
    feed(port, count, values).wait(WAIT_S)
    us = kind(effort.folder / f"drained-{values}-{bool(url)}-{round}", port, values, url)
    cost = cpu_us(lambda: _taken(us, readings)) / readings
    us.stop()
    if url:
        _check_stored(url, readings)
    return cost


def _taken(us: Ours, readings: int) -> None:
    us.start()
    us.take(readings)


def _beside(name: str, ours: list[float], bare: list[float], goal: str, note: str) -> Figure:
    beside = statistics.median(bare)
    return Figure("mqtt", name, statistics.median(ours), "us/reading", beside, BESIDE, goal, note)


def _missing(stage: str, name: str, what: str) -> Figure:
    return Figure(
        stage, name, None, "us/reading", None, BESIDE, note=f"not measured: {what} is not installed"
    )


def _check_stored(url: str, readings: int) -> None:
    """That every reading can be read back: a cost without its effect would be no figure."""
    answer = json.loads(ask(url, "SELECT count(value) FROM gas"))
    (series,) = answer["results"][0]["series"]
    if series["values"][0][1] != readings:
        raise RuntimeError(f"InfluxDB has {series['values'][0][1]} of {readings} readings")
    ask(url, "DROP MEASUREMENT gas")


def _until_quiet(ours: Ours, ended: Callable[[], int | None]) -> None:
    """Until the feeder has ended and nothing has come for a second; a tick a second."""
    before = -1
    while ended() is None or ours.heard != before or ours.source.waiting():
        before = ours.heard
        time.sleep(1.0)
        ours.tick()


def heard_by_paho(port: int, count: int, begin: Callable[[], object]) -> float:
    client, heard = _client(BARE), 0

    def on_message(*_: Any) -> None:
        nonlocal heard
        heard += 1
        if heard == count:
            client.disconnect()

    client.on_message = on_message
    client.connect("127.0.0.1", port)
    begin()
    return cpu_us(client.loop_forever)


def open_session(port: int, client_id: str) -> None:
    """Have the broker keep what comes for this client from now on."""
    client = _client(client_id)
    client.on_connect = lambda client, *_: client.subscribe(TOPIC.format("+"), 1)
    client.on_subscribe = lambda client, *_: client.disconnect()
    client.connect("127.0.0.1", port)
    client.loop_forever()


def forget(port: int, client_id: str) -> None:
    """End a session, with what the broker has kept for it."""
    client = _client(client_id, clean=True)
    client.on_connect = lambda client, *_: client.disconnect()
    client.connect("127.0.0.1", port)
    client.loop_forever()


def _client(client_id: str, clean: bool = False) -> paho.Client:
    return paho.Client(CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=clean)
