"""The bands of a site, heard through a real broker."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from config.channels import ChannelTable
from config.profiles import read_profile
from gateway.payloads import Decoder, Message
from simulators.district import demo_district
from simulators.live import LiveWorld
from simulators.scenarios import SECOND_NS, Event, nanoseconds, planned, rfc3339, script_row
from simulators.site import read_site
from simulators.world import World
from simulators.wristbands import Post
from tests.parts import Server, mosquitto
from tests.simulators.processes import refusal, simulator

SEED = 7
DISTRICT = demo_district(1.0)
CHANNELS = DISTRICT.channels
BANDS = ("band.a07", "band.b12", "band.c31", "band.d05")
START = nanoseconds("2026-01-05T10:00:00+08:00")
Heard = list[tuple[str, Any]]  # device, payload


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with mosquitto(tmp_path_factory.mktemp("broker")) as server:
        yield server


@pytest.fixture
def site(tmp_path: Path) -> Path:
    DISTRICT.write(tmp_path, site="demo", modbus_port=5020, mqtt_port=1883)
    return tmp_path


def listen(port: int, enough: Callable[[Heard], bool]) -> Heard:
    """What is published on the built-in topics until it is enough."""
    heard: Heard = []
    client = mqtt.Client(CallbackAPIVersion.VERSION2)

    def take(_: mqtt.Client, __: Any, message: mqtt.MQTTMessage) -> None:
        root, version, name, device, last = message.topic.split("/")
        assert (root, version, name, last, message.qos) == ("watchline", "v1", "demo", "readings", 1)
        heard.append((device, json.loads(message.payload)))

    client.on_message = take
    client.connect("127.0.0.1", port)
    client.subscribe("watchline/v1/+/+/readings", qos=1)
    client.loop_start()
    end = time.monotonic() + 20
    while not enough(heard) and time.monotonic() < end:
        time.sleep(0.05)
    client.loop_stop()
    client.disconnect()
    assert enough(heard), heard
    return list(heard)


def _entries(payload: Any) -> list[dict[str, Any]]:
    return payload if isinstance(payload, list) else [payload]


def expected(device: str, time_ns: int, world: World) -> dict[str, float]:
    """What the world shows of a device, point by point; its sentinel 0 where nothing is measured."""
    numbers = CHANNELS.at_place(device).tolist()
    row = world.values(np.array([time_ns]), numbers)[0]
    names = [CHANNELS.ids[number].rpartition(".")[2] for number in numbers]
    return {name: float(value) for name, value in zip(names, np.nan_to_num(row))}


def posted(site: Path, *events: Event, seconds: int = 120) -> list[tuple[int, str, list[dict[str, Any]]]]:
    """Messages of a stretch of time, without waiting for it: (second, device, entries)."""
    (site / "script.json").write_text(json.dumps([script_row(event) for event in events]))
    post = Post(LiveWorld(read_site(site), SEED, site / "script.json"), START)
    return [
        (second, device, entries)
        for second in range(seconds)
        for device, entries in post.due(START + second * SECOND_NS)
    ]


def test_what_is_published_equals_the_file_at_that_moment(broker: Server, site: Path) -> None:
    world = World(CHANNELS, DISTRICT.links, SEED)
    with simulator(
        "wristbands", site, "--broker", f"127.0.0.1:{broker.port}", "--seed", str(SEED)
    ) as running:
        assert running.ready["bands"] == 4
        heard = listen(
            broker.port, lambda heard: len({device for device, _ in heard}) == 4 and len(heard) > 8
        )

    for device, payload in heard:
        for entry in _entries(payload):
            assert entry["v"] == expected(device, nanoseconds(entry["t"]), world)


def test_an_event_may_be_added_while_the_bands_run(broker: Server, site: Path) -> None:
    script = site / "script.json"
    arguments = ("--broker", f"127.0.0.1:{broker.port}", "--script", str(script))
    with simulator("wristbands", site, *arguments):
        start = rfc3339((time.time_ns() // SECOND_NS + 2) * SECOND_NS)
        script.write_text(json.dumps([{"kind": "fall", "place": "band.c31", "start": start}]))
        heard = listen(broker.port, lambda heard: any(payload["v"]["fall"] for _, payload in heard))

    fell = [(device, payload) for device, payload in heard if payload["v"]["fall"]]
    assert {device for device, _ in fell} == {"band.c31"}
    assert fell[0][1]["t"] == start
    assert fell[0][1]["v"]["acceleration_peak"] > 3


@pytest.mark.parametrize("end", ["stopped", "abandoned"])
def test_it_ends_when_told_or_when_its_parent_dies(broker: Server, site: Path, end: str) -> None:
    with simulator("wristbands", site, "--broker", f"127.0.0.1:{broker.port}") as running:
        assert getattr(running, end)() == 0


def test_the_gateway_reads_what_a_band_means(site: Path) -> None:
    band = read_profile("wristband")
    decoder = Decoder(CHANNELS, "watchline/v1/demo/+/readings", band=band)
    messages = [
        Message(f"watchline/v1/demo/{device}/readings", json.dumps(entries).encode())
        for _, device, entries in posted(site, seconds=20)
    ]

    decoded = decoder.decode(messages, START + 20 * SECOND_NS)

    assert decoded.dead == []
    assert len(decoded.readings) == sum(
        len(entry["v"]) for message in messages for entry in _entries(json.loads(message.payload))
    )
    world = World(CHANNELS, DISTRICT.links, SEED)
    for channel, time_ns, value in zip(
        decoded.readings.channel, decoded.readings.time_ns, decoded.readings.value
    ):
        assert world.values(np.array([time_ns]), [int(channel)])[0, 0] == value


def test_a_model_with_another_scale_is_spoken_in_its_raw_values(site: Path) -> None:
    (site / "raw.toml").write_text(
        'title = "Raw band"\nprotocol = "mqtt"\n[[point]]\nname = "skin_temperature"\n'
        'quantity = "skin_temperature"\nunit = "[degF]"\nscale = 0.1\n'
    )
    raw, plain = read_profile("raw.toml", site), read_site(site)
    live = LiveWorld(plain, SEED, None)
    fahrenheit = Post(
        LiveWorld(type(plain)(plain.id, plain.channels, plain.links, (), raw), SEED, None), START
    )

    sent = {device: entries[0] for device, entries in fahrenheit.due(START + SECOND_NS)}["band.a07"]

    celsius = expected("band.a07", nanoseconds(sent["t"]), live.world)["skin_temperature"]
    assert sent["v"]["skin_temperature"] == pytest.approx((celsius * 9 / 5 + 32) * 10)


def test_a_backlog_comes_at_once_with_its_old_times(site: Path) -> None:
    event = Event("sensor_fault:backlog", "band.a07", START + 20 * SECOND_NS, START + 80 * SECOND_NS, 0.0)
    messages = [(second, entries) for second, device, entries in posted(site, event) if device == "band.a07"]

    assert not any(21 < second < 80 for second, _ in messages)
    late = [entry for second, entries in messages if 80 <= second <= 84 for entry in entries]
    assert len(late) >= 60
    assert max(len(entries) for _, entries in messages) > 10  # as arrays
    taken = [entry["t"] for _, entries in messages for entry in entries]
    assert len(set(taken)) == len(taken) >= 118


def test_duplicates_and_disorder_are_played(site: Path) -> None:
    end = START + 100 * SECOND_NS
    twice = Event("sensor_fault:duplicates", "band.b12", START, end, 0.5)
    mixed = Event("sensor_fault:out_of_order", "band.d05", START, end, 30.0)
    times: dict[str, list[str]] = {device: [] for device in BANDS}
    for _, device, entries in posted(site, twice, mixed, seconds=140):
        times[device] += [entry["t"] for entry in entries]

    assert len(times["band.b12"]) > len(set(times["band.b12"])) + 25
    assert times["band.d05"] != sorted(times["band.d05"])
    assert len(set(times["band.d05"])) == len(times["band.d05"]) >= 138
    assert times["band.a07"] == sorted(set(times["band.a07"]))


def test_a_band_on_its_charger_says_that_it_is_not_worn(site: Path) -> None:
    world = World(CHANNELS, DISTRICT.links, SEED)
    number = CHANNELS.number["band.a07.on_wrist"]
    evening = START + np.arange(0, 3 * 86400, 60) * SECOND_NS
    off = evening[world.values(evening, [number])[:, 0] == 0][0]
    post = Post(LiveWorld(read_site(site), SEED, None), int(off))

    entry = {device: entries[0] for device, entries in post.due(int(off) + SECOND_NS)}["band.a07"]

    assert entry["v"]["on_wrist"] == entry["v"]["steps"] == 0
    assert entry["v"]["acceleration_peak"] == pytest.approx(1.0, abs=0.05)
    assert entry["v"]["heart_rate"] == entry["v"]["spo2"] == entry["v"]["skin_temperature"] == 0  # sentinel


def test_a_site_without_bands_or_a_broker_without_port_is_refused(tmp_path: Path) -> None:
    few = ChannelTable([c for c in CHANNELS.channels if c.medium == "water"])
    type(DISTRICT)(few, (), ()).write(tmp_path, site="demo", modbus_port=5020, mqtt_port=1883)

    code, said = refusal("wristbands", str(tmp_path))
    assert (code, "nothing to publish" in said) == (2, True)
    code, said = refusal("wristbands", str(tmp_path), "--broker", "localhost")
    assert (code, "host:port" in said) == (2, True)


def test_the_seed_decides_a_live_event_alike_in_every_process() -> None:
    row = {"kind": "fall", "start": "2026-01-05T10:00:00Z"}

    assert planned("fall", CHANNELS, SEED, 0, row) == planned("fall", demo_district().channels, SEED, 0, row)
