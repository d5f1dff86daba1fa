"""A logger sends samples; its channels' names say what is made of them, and what cannot be made is said."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from config.channels import Channel, ChannelTable
from gateway.payloads import Decoded, Decoder, Message
from gateway.watch import build_watch, with_deadlines
from ingest.ticks import Tick
from simulators.district import write_channels
from tests.living import Publisher, gateway, until
from tests.parts import mosquitto

NOW = 1_767_600_000 * 10**9
TABLE = ChannelTable(
    [
        Channel("logger7.noise_band_400_1500", "water", "logger7", "leak_noise", "dB", 1800.0),
        Channel("logger7.noise_kurtosis_400_1500", "water", "logger7", "spectral_kurtosis", "1", 1800.0),
        Channel("logger7.surge_swing", "water", "logger7", "pressure_swing", "kPa", 60.0),
        Channel("logger7.pressure", "water", "logger7", "pressure", "kPa", 60.0),
    ]
)


def decoded(entry: dict[str, Any]) -> Decoded:
    message = Message("watchline/v1/s/logger7/readings", json.dumps(entry).encode())
    return Decoder(TABLE, "watchline/v1/s/+/readings").decode([message], NOW)


def values(found: Decoded) -> dict[str, float]:
    return {TABLE.ids[n]: v for n, v in zip(found.readings.channel.tolist(), found.readings.value.tolist())}


def noise(samples: int = 8192) -> list[float]:
    return [float(f"{x:.4f}") for x in np.random.default_rng(2).normal(0, 0.1, samples)]


def test_a_recording_fills_the_channels_whose_names_ask_for_it() -> None:
    found = decoded({"t": NOW // 10**6, "v": {"pressure": 301.5}, "w": {"noise": {"hz": 4096, "x": noise()}}})

    heard = values(found)
    assert set(heard) == {"logger7.pressure", *TABLE.ids[:2]}
    assert heard["logger7.noise_band_400_1500"] == pytest.approx(10 * math.log10(0.01 * 1100 / 2048), abs=0.5)
    assert heard["logger7.noise_kurtosis_400_1500"] < 5.0
    assert (found.readings.time_ns == NOW // 10**6 * 10**6).all()
    assert not found.dead and not found.left


def test_a_recording_alone_is_a_message() -> None:
    found = decoded({"w": {"surge": {"hz": 100, "x": [300.0, 290.0, 310.0, 305.0] * 32}}})

    assert values(found) == {"logger7.surge_swing": 20.0}


@pytest.mark.parametrize(
    ("wave", "said"),
    [
        ({"hz": 4096, "x": [1.0] * 10}, "10 samples"),
        ({"hz": 0, "x": noise()}, "positive"),
        ({"hz": 1000, "x": noise()}, "no band of 400 to 1500 Hz"),
        ({"hz": 4096, "x": [*noise(), 1e300]}, "no finite number"),
        ({"hz": "fast", "x": noise()}, "hz"),
        ({"hz": 4096, "x": [None] * 100}, "x"),
        (7, "object"),
    ],
)
def test_what_cannot_be_made_of_it_is_said_and_the_rest_arrives(wave: object, said: str) -> None:
    found = decoded({"v": {"pressure": 301.5}, "w": {"noise": wave}})

    assert values(found) == {"logger7.pressure": 301.5}
    assert found.left and said in found.left[0][1].detail
    assert found.left[0][1].reason == "recording not usable"


def test_a_recording_that_nobody_asked_for_is_named() -> None:
    found = decoded({"v": {"pressure": 301.5}, "w": {"camera": {"hz": 4096, "x": noise(64)}}})

    assert "camera_band_400_1500" in found.left[0][1].detail


def recording(loud: float, rng: np.random.Generator) -> dict[str, Any]:
    """A quarter of a second at a hydrant, with a knock now and then."""
    samples = rng.normal(0.0, loud, 1024)
    if rng.random() < 0.1:
        samples[rng.integers(0, len(samples))] += 20.0 * loud
    return {"hz": 4096, "ref": 0.001, "x": [round(float(one), 4) for one in samples]}


def days_at_a_hydrant(days: float, hiss_from: float) -> Iterator[Tick]:
    """Half-hourly recordings, louder by day; from then on a leak hisses in all of them."""
    rng = np.random.default_rng(4)
    decoder = Decoder(TABLE, "watchline/v1/s/+/readings")
    for number in range(round(days * 48)):
        at_ns, hour = NOW + number * 1800 * 10**9, (16 + number / 2) % 24  # NOW is 16:00 in Shanghai
        loud = 0.05 * (1.0 + 0.8 * (6 <= hour < 23) * rng.random()) + 0.2 * (number >= hiss_from * 48)
        entry = {"t": at_ns // 10**6, "w": {"noise": recording(loud, rng)}}
        message = Message("watchline/v1/s/logger7/readings", json.dumps(entry).encode())
        yield Tick(at_ns + 10**9, decoder.decode([message], at_ns + 10**9).readings)


def test_a_hiss_in_the_recordings_of_a_logger_is_told_as_a_leak_and_knocks_are_not() -> None:
    watch = build_watch(TABLE)
    changes = [
        change
        for tick in with_deadlines(days_at_a_hydrant(5.0, hiss_from=4.5), watch)
        for change in watch.step(tick)
    ]

    told = [change for change in changes if change.notify]
    assert [(change.kind, change.channel) for change in told[:1]] == [("slow_leak", TABLE.ids[0])]
    assert 0 <= told[0].detected_ns - NOW - 4.5 * 86400 * 10**9 <= 2 * 3600 * 10**9
    assert {change.channel for change in changes} == {TABLE.ids[0]}


def test_a_recording_over_mqtt_raises_an_alert(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    with mosquitto(tmp_path / "broker") as broker, gateway(tmp_path / "gateway") as one:
        one.folder.mkdir()
        write_channels(one.folder / "channels.csv", TABLE)
        one.settings.write_text(
            '[site]\nid = "s"\nchannels = "channels.csv"\n'
            f'[[source]]\nkind = "mqtt"\nhost = "127.0.0.1"\nport = {broker.port}\n'
            '[[watching]]\nkind = "limits"\nchannels = "*.noise_band_*"\n'
            "[watching.options]\nhigh = 40.0\non_delay_s = 0.0\non_samples = 1\n"
        )
        one.start()
        one.ready()
        with contextlib.closing(Publisher(broker.port, "s")) as publisher:
            publisher.send_raw("logger7", json.dumps({"w": {"noise": recording(0.02, rng)}}))
            publisher.settled()
            publisher.send_raw("logger7", json.dumps({"w": {"noise": recording(0.3, rng)}}))
            (alert,) = until(lambda: one.raised(channel=TABLE.ids[0]))

    assert alert["data"]["observed"]["limit"] == 40.0
    assert 45.0 < alert["data"]["observed"]["value"] < 50.0
