"""A logger sends samples; its channels' names say what is made of them, and what cannot be made is said."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from config.channels import Channel, ChannelTable
from gateway.payloads import Decoded, Decoder, Message

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
