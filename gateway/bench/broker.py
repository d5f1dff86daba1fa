"""Broker: MQTT intake flat out, beside paho with an empty callback; a broker's whole queue is drained."""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from config.channels import ChannelTable
from gateway.bench.figures import Effort, Figure, cpu_us
from gateway.bench.intake import TOPIC, WAIT_S, messages_of
from gateway.payloads import Message
from gateway.sources.mqtt import Mqtt
from ingest.storage import Storage
from ingest.wallclock import WallClock

PLACES = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin"
WINDOW = 1000
CONF = """listener {port} 127.0.0.1
allow_anonymous true
max_queued_messages 0
max_inflight_messages {window}
"""
OURS, BARE = "watchline-bench", "bare"  # client ids, and so the broker's sessions


def mqtt(effort: Effort) -> Iterator[Figure]:
    """QoS 1 messages of one value: our client to the synced journal, and paho to nowhere."""
    name, beside = "QoS 1, one value a message, to the synced journal", "paho, empty callback"
    program = shutil.which("mosquitto", path=PLACES)
    if program is None:
        note = "not measured: mosquitto is not installed (apt-get install mosquitto)"
        yield Figure("mqtt", name, None, "us/reading", None, beside, note=note)
        return
    count, rounds = effort.of(20_000, 500), effort.of(3, 1)
    table, messages = messages_of(count, 1)
    costs = []
    with _broker(program, effort.folder) as port:
        for number in range(rounds):
            for client_id in (OURS, BARE):
                _open_session(port, client_id)
            _publish(port, messages)
            ours = _drained_by_us(effort.folder / f"mqtt-{number}", table, port, count)
            costs.append((ours / count, _drained_by_paho(port, count) / count))
    ours, bare = (min(column) for column in zip(*costs))
    yield Figure("mqtt", name, ours, "us/reading", bare, beside, note=f"window {WINDOW}")


def _drained_by_us(folder: Path, table: ChannelTable, port: int, count: int) -> float:
    """CPU microseconds, synced commits included."""
    clock = WallClock()
    storage = Storage(folder, table, clock)
    storage.open()
    source = Mqtt(host="127.0.0.1", port=port, window=WINDOW).subscription(
        table, storage, clock.now_ns, "bench"
    )
    storage.host(source)

    def drain() -> None:
        storage.start()
        _until(lambda: source.readings >= count and not source.waiting())

    cost = cpu_us(drain)
    storage.stop()
    source.close()
    return cost


def _drained_by_paho(port: int, count: int) -> float:
    client, heard = _client(BARE), 0

    def on_message(*_: Any) -> None:
        nonlocal heard
        heard += 1
        if heard == count:
            client.disconnect()

    client.on_message = on_message
    client.connect("127.0.0.1", port)
    return cpu_us(client.loop_forever)


def _open_session(port: int, client_id: str) -> None:
    """Have the broker keep what comes for this client from now on."""
    client = _client(client_id)
    client.on_connect = lambda client, *_: client.subscribe(TOPIC.format("+"), 1)
    client.on_subscribe = lambda client, *_: client.disconnect()
    client.connect("127.0.0.1", port)
    client.loop_forever()


def _publish(port: int, messages: Sequence[Message]) -> None:
    client = _client("feeder")
    client.max_inflight_messages_set(WINDOW)
    client.connect("127.0.0.1", port)
    client.loop_start()
    last = [client.publish(message.topic, message.payload, 1) for message in messages][-1]
    last.wait_for_publish(WAIT_S)
    client.disconnect()
    client.loop_stop()


def _client(client_id: str) -> paho.Client:
    return paho.Client(CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=False)


@contextlib.contextmanager
def _broker(program: str, folder: Path) -> Iterator[int]:
    """mosquitto on a free port of this machine, for the time of a `with`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    conf = folder / "mosquitto.conf"
    conf.write_text(CONF.format(port=port, window=WINDOW) + (f"user {_me()}\n" if os.getuid() == 0 else ""))
    broker = subprocess.Popen([program, "-c", conf], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _until(lambda: _answers(port))
        yield port
    finally:
        broker.terminate()
        broker.wait(WAIT_S)


def _me() -> str:
    import pwd

    return pwd.getpwuid(os.getuid()).pw_name


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
        return True
    return False


def _until(true: Callable[[], bool]) -> None:
    end_s = time.monotonic() + WAIT_S
    while not true():
        if time.monotonic() > end_s:
            raise TimeoutError(f"nothing came of it within {WAIT_S:g} s; is the machine overloaded?")
        time.sleep(0.005)
