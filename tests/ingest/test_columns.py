"""Columns: what is packed comes back to the bit, and damage is seen."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.columns import SMALL, Damaged, channels_of, decode, encode
from ingest.readings import ReadingBatch

CHANNELS = 1_000


@st.composite
def batches(draw: st.DrawFn) -> ReadingBatch:
    size = draw(st.integers(1, 120))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    unit = draw(st.sampled_from([1, 1_000, 1_000_000, 1_000_000_000]))
    value = draw(
        st.sampled_from(
            [
                rng.normal(size=size),
                np.round(rng.normal(50, 20, size), 2),
                rng.normal(0, 1e300, size),
                np.ones(size),
            ]
        )
    ).copy()
    value[rng.random(size) < draw(st.sampled_from([0.0, 0.3, 1.0]))] = np.nan
    start = draw(st.integers(-(2**40), 2**60)) // unit * unit
    return ReadingBatch.of(
        rng.integers(0, CHANNELS, size),
        start + rng.integers(0, 10**6, size) * unit,
        value,
        rng.integers(0, 3, size),
        0,
        rng.integers(0, 16, size),
    )


@given(batches())
def test_readings_come_back_to_the_bit_each_channel_in_its_order(readings: ReadingBatch) -> None:
    number = np.random.default_rng(0).permutation(CHANNELS).astype(np.int32)

    back = decode(encode(readings, number))

    if len(readings) >= SMALL:
        readings = readings.where(np.argsort(number[readings.channel], kind="stable"))
    assert np.array_equal(back.channel, number[readings.channel])
    assert np.array_equal(channels_of(encode(readings, number)), back.channel)
    assert np.array_equal(back.time_ns, readings.time_ns)
    assert np.array_equal(back.value.view(np.int64), readings.value.view(np.int64))
    assert np.array_equal(back.quality, readings.quality)
    assert np.array_equal(back.flags, readings.flags)


@given(batches(), st.data())
@settings(max_examples=200)
def test_a_damaged_blob_is_never_taken_for_readings(readings: ReadingBatch, data: st.DataObject) -> None:
    blob = bytearray(encode(readings, np.arange(CHANNELS, dtype=np.int32)))
    place = data.draw(st.integers(0, len(blob) - 1))
    blob[place] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.one_of(st.none(), st.integers(0, len(blob) - 1)))

    with pytest.raises(Damaged):
        decode(bytes(blob[:cut]))
    with pytest.raises(Damaged):
        channels_of(bytes(blob[:cut]))


@given(st.binary(max_size=200))
def test_strangers_bytes_are_refused(blob: bytes) -> None:
    with pytest.raises(Damaged):
        decode(blob)


def test_a_thousand_readings_of_a_poll_take_few_bytes() -> None:
    rng = np.random.default_rng(1)
    readings = ReadingBatch.of(
        np.arange(1000), 1_760_000_000_000_000_000, np.round(rng.normal(50, 20, 1000), 2)
    )

    assert len(encode(readings, np.arange(1000, dtype=np.int32))) < 4_000
