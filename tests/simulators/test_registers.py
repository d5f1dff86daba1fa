"""Values as a device model puts them on the wire."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.channels import Channel, ChannelTable
from config.profiles import WORDS, Point, Profile
from gateway.registers import plan
from simulators.registers import table, words


def point(**fields: object) -> Point:
    return Point(**{"name": "x", "quantity": "pressure", "unit": "kPa", **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("order", "float_words", "int_words"),
    [  # 123.456 and 0x12345678 as Telegraf's documentation orders them
        ("ABCD", [0x42F6, 0xE979], [0x1234, 0x5678]),
        ("CDAB", [0xE979, 0x42F6], [0x5678, 0x1234]),
        ("BADC", [0xF642, 0x79E9], [0x3412, 0x7856]),
        ("DCBA", [0x79E9, 0xF642], [0x7856, 0x3412]),
    ],
)
def test_the_four_byte_orders(order: str, float_words: list[int], int_words: list[int]) -> None:
    assert words(point(type="float32", order=order), 123.456) == float_words
    assert words(point(type="uint32", order=order), 0x12345678) == int_words


def test_what_cannot_be_said_stops_at_the_end_and_nothing_measured_is_a_sentinel() -> None:
    assert words(point(type="uint16", scale=0.1), -5.0) == [0]
    assert words(point(type="uint16", scale=0.1), 1e9) == [65535]
    assert words(point(type="int16", scale=0.1, offset=-40.0), -40.1) == [65535]
    assert words(point(type="int16", sentinel=(-32768,)), math.nan) == [0x8000]
    assert words(point(type="int16"), math.nan) == [0]
    assert math.isnan(np.array(words(point(type="float32"), math.nan), dtype=">u2").view(">f4")[0])


def test_bits_are_packed_lowest_first() -> None:
    coils = {point(name=f"c{n}", table="coil", type="bit", address=n): float(n in (1, 17)) for n in range(18)}
    status = {point(name="s", table="input", type="bit", address=8, bit=3): 1.0}

    assert table(coils, "coil", 0, 2) == [2, 2]
    assert table(status, "input", 7, 3) == [0, 8, 0]


@given(
    st.sampled_from([kind for kind in WORDS if kind != "bit"]),
    st.sampled_from(["ABCD", "CDAB", "BADC", "DCBA"]),
    st.sampled_from([1.0, 0.1, 0.01, 2.5]),
    st.sampled_from([0.0, -40.0]),
    st.lists(st.floats(-40.0, 250.0), min_size=1, max_size=8),
)
def test_a_gateway_reads_back_what_a_device_meant(
    kind: str, order: str, scale: float, offset: float, values: list[float]
) -> None:
    points = tuple(
        point(name=f"p{n}", type=kind, order=order, scale=scale, offset=offset, address=n * WORDS[kind])
        for n in range(len(values))
    )
    profile = Profile("any", "any", "modbus", points)
    channels = ChannelTable(
        [Channel(f"a.{point.name}", "gas", "a", "pressure", "kPa", 1.0) for point in points]
    )
    least = offset if kind.startswith("uint") else -math.inf
    meant = [max(value, least) for value in values]

    for block in plan(profile, "a", channels):
        sent = table(dict(zip(points, values)), "holding", block.address, block.count)
        decoded, _ = block.decode(sent)
        for number, value in zip(block.channel, decoded):
            assert abs(value - meant[number]) <= scale / 2 + 1e-4 * abs(meant[number])
