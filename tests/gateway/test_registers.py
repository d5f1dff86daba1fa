"""Registers: blocks cover what is wanted with few reads, and a block's bits mean what the manual says."""

import struct
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.channels import Channel, ChannelTable
from config.errors import SettingsError
from config.profiles import Point, Profile
from gateway.registers import READS, Block, plan
from ingest.readings import BAD, GOOD

PLACE = "gas.block3.riser"
STRUCT = {
    "int16": "h",
    "uint16": "H",
    "int32": "i",
    "uint32": "I",
    "int64": "q",
    "uint64": "Q",
    "float32": "f",
    "float64": "d",
}
ORDERS = ("ABCD", "CDAB", "BADC", "DCBA")


def profile(*points: Point, **limits: int) -> Profile:
    return Profile("meter", "A meter", "modbus", points, **limits)


def site(points: Sequence[Point], **units: str) -> ChannelTable:
    """A channel for each point, in the point's own unit unless said otherwise."""
    return ChannelTable(
        [
            Channel(f"{PLACE}.{p.name}", "gas", PLACE, p.quantity, units.get(p.name, p.unit), 1.0)
            for p in points
        ]
    )


def block_of(*points: Point, **units: str) -> Block:
    (block,) = plan(profile(*points), PLACE, site(points, **units))
    return block


def words_of(value: float, type: str, order: str) -> list[int]:
    """The slow, obvious twin: registers as a device of that byte order sends them, by struct."""
    data = struct.pack(">" + STRUCT[type], value)
    words = [data[i : i + 2] for i in range(0, len(data), 2)]
    if order in ("CDAB", "DCBA"):
        words.reverse()
    if order in ("BADC", "DCBA"):
        words = [word[::-1] for word in words]
    return [int.from_bytes(word, "big") for word in words]


@pytest.mark.parametrize(
    ("order", "registers"),
    [("ABCD", "42f6e979"), ("CDAB", "e97942f6"), ("BADC", "f64279e9"), ("DCBA", "79e9f642")],
)
def test_a_float_is_read_in_each_of_the_four_byte_orders(order: str, registers: str) -> None:
    block = block_of(Point("pressure", "pressure", "kPa", type="float32", order=order))  # type: ignore[arg-type]

    values, quality = block.decode([int(registers[:4], 16), int(registers[4:], 16)])

    assert values[0] == np.float32(123.456)
    assert quality[0] == GOOD


@pytest.mark.parametrize(
    ("order", "registers"),
    [("ABCD", "12345678"), ("CDAB", "56781234"), ("BADC", "34127856"), ("DCBA", "78563412")],
)
def test_an_unsigned_counter_is_read_in_each_of_the_four_byte_orders(order: str, registers: str) -> None:
    block = block_of(Point("volume", "flow", "m3/h", type="uint32", order=order))  # type: ignore[arg-type]

    values, _ = block.decode([int(registers[:4], 16), int(registers[4:], 16)])

    assert values[0] == 0x12345678


@given(data=st.data())
def test_any_mixture_of_types_and_orders_reads_back_what_struct_packed(data: st.DataObject) -> None:
    points: list[Point] = []
    registers: list[int] = []
    expected: list[float] = []
    for number in range(data.draw(st.integers(1, 12))):
        type = data.draw(st.sampled_from(sorted(STRUCT)))
        order = data.draw(st.sampled_from(ORDERS))
        if type.startswith("float"):
            width: Literal[32, 64] = 32 if type == "float32" else 64
            value: float = data.draw(st.floats(width=width, allow_nan=False, allow_infinity=False))
        else:
            low, high = np.iinfo(type).min, np.iinfo(type).max
            value = data.draw(st.integers(int(low), int(high)))
        words = words_of(value, type, order)
        gap = data.draw(st.integers(0, 3))
        points.append(
            Point(f"p{number}", "flow", "m3/h", address=len(registers) + gap, type=type, order=order)  # type: ignore[arg-type]
        )
        registers += [0xFFFF] * gap + words
        expected.append(float(value))
    block = block_of(*points)

    values, quality = block.decode(registers[block.address :])

    by_channel = dict(zip(block.channel.tolist(), values.tolist()))
    assert [by_channel[number] for number in range(len(points))] == expected
    assert (quality == GOOD).all()


def test_scale_and_offset_come_before_the_change_of_unit() -> None:
    point = Point("pressure", "pressure", "bar", type="int16", scale=0.01, offset=1.0)

    values, _ = block_of(point, pressure="kPa").decode([250])

    assert values[0] == pytest.approx((250 * 0.01 + 1.0) * 100)


@pytest.mark.parametrize("sentinel", [0x8000, -0x8000])
def test_a_sentinel_is_bad_and_its_neighbours_are_not(sentinel: int) -> None:
    block = block_of(
        Point("a", "pressure", "kPa", address=0, type="int16", sentinel=(sentinel, 0x7FFF)),
        Point("b", "pressure", "kPa", address=1, type="int16"),
        Point("c", "pressure", "kPa", address=2, type="int16", sentinel=(-1,)),
    )

    values, quality = block.decode([0x8000, 0x8000, 5])

    assert quality.tolist() == [BAD, GOOD, GOOD]
    assert np.isnan(values[0])
    assert values[1:].tolist() == [-32768, 5]


@pytest.mark.parametrize("bits", ["7fc00000", "7f800000", "ff800000"])
def test_a_float_that_is_no_finite_number_is_bad(bits: str) -> None:
    values, quality = block_of(Point("a", "pressure", "kPa", type="float32")).decode(
        [int(bits[:4], 16), int(bits[4:], 16)]
    )

    assert np.isnan(values[0])
    assert quality[0] == BAD


def test_single_bits_are_read_from_registers_and_from_coils() -> None:
    register = block_of(
        Point("low", "valve_state", "1", type="bit", bit=0),
        Point("high", "valve_state", "1", type="bit", bit=15),
        Point("swapped", "valve_state", "1", type="bit", bit=8, order="BADC"),
    )
    coils = block_of(
        Point("a", "valve_state", "1", table="coil", type="bit", address=3),
        Point("b", "valve_state", "1", table="coil", type="bit", address=5),
    )

    assert register.decode([0x8001])[0].tolist() == [1, 1, 1]
    assert (coils.address, coils.count) == (3, 3)
    assert coils.decode([True, False, False, True, True])[0].tolist() == [1, 0]


def test_one_read_takes_near_points_and_leaves_far_ones_to_another() -> None:
    points = [Point(f"p{a}", "flow", "m3/h", address=a) for a in (0, 1, 9, 40, 41)]

    near = plan(profile(*points, max_gap=7), PLACE, site(points))
    strict = plan(profile(*points, max_gap=0), PLACE, site(points))

    assert [(b.address, b.count) for b in near] == [(0, 10), (40, 2)]
    assert [(b.address, b.count) for b in strict] == [(0, 2), (9, 1), (40, 2)]


@given(
    addresses=st.lists(st.integers(0, 600), min_size=1, max_size=60, unique=True),
    gap=st.integers(0, 20),
    most=st.integers(2, 125),
)
def test_blocks_cover_every_point_once_and_keep_to_the_devices_limits(
    addresses: list[int], gap: int, most: int
) -> None:
    points = [Point(f"p{a}", "flow", "m3/h", address=2 * a, type="float32") for a in addresses]

    blocks = plan(profile(*points, max_gap=gap, max_registers=most), PLACE, site(points))

    assert sorted(np.concatenate([block.channel for block in blocks])) == list(range(len(points)))
    for block in blocks:
        assert block.count <= most
        ends = sorted((want.point.address, want.end) for want in block.wanted)
        assert all(start - end <= gap for (_, end), (start, _) in pairwise(ends))
        for part in block.split():
            assert part.count == 2 * len(part.wanted)


def test_tables_and_periods_are_read_apart_and_only_by_reading_functions() -> None:
    points = [
        Point("a", "flow", "m3/h", table="holding"),
        Point("b", "flow", "m3/h", table="input"),
        Point("c", "valve_state", "1", table="coil", type="bit"),
        Point("d", "valve_state", "1", table="discrete", type="bit"),
        Point("e", "flow", "m3/h", table="holding", address=1, period_s=60.0),
    ]

    blocks = plan(profile(*points), PLACE, site(points))

    assert sorted(block.function_code for block in blocks) == [1, 2, 3, 3, 4]
    assert [block.period_s for block in blocks if block.period_s] == [60.0]
    assert set(READS.values()) == {1, 2, 3, 4}


def test_points_without_a_channel_are_not_read() -> None:
    points = [Point("a", "flow", "m3/h", address=0), Point("b", "flow", "m3/h", address=1)]

    (block,) = plan(profile(*points), PLACE, site(points[1:]))

    assert (block.address, block.count) == (1, 1)


def test_a_device_that_feeds_no_channel_is_a_mistake_that_names_what_it_would_feed() -> None:
    with pytest.raises(SettingsError, match=r"gas\.block3\.riser\.a"):
        plan(profile(Point("a", "flow", "m3/h")), PLACE, ChannelTable([]))


def test_units_that_do_not_fit_are_all_named_at_once() -> None:
    points = [Point("a", "flow", "m3/h"), Point("b", "pressure", "kPa")]

    with pytest.raises(SettingsError) as caught:
        plan(profile(*points), PLACE, site(points, a="kPa", b="Cel"))

    assert len(caught.value.mistakes) == 2
    assert f"channel {PLACE}.a" in caught.value.mistakes[0]
