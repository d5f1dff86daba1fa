"""The short way through a tick in which nothing happens ends where the long way does, to the bit."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.channels import Channel, ChannelTable
from detectors.base import EventDetector, Findings, Memory
from detectors.fall import Fall
from detectors.limits import Limits
from ingest.readings import BAD, CONFLICT, EARLY, GOOD, LATE, STAMPED, UNCERTAIN, ReadingBatch
from ingest.window import Window

SECOND_NS = 10**9
START_NS = 1_767_600_000 * SECOND_NS
BAND = (
    ("acceleration_peak", "[g]", 1.0),
    ("steps", "{steps}/min", 4.0),
    ("on_wrist", "1", 1.0),
    ("heart_rate", "/min", 70.0),
    ("spo2", "%", 96.0),
    ("fall", "1", 0.0),
    ("sos", "1", 0.0),
)
PLANT = (
    ("gas", "ch4", "%{LEL}", 2.0),
    ("power", "voltage", "V", 221.0),
    ("water", "pressure", "kPa", 300.0),
)


def site() -> tuple[ChannelTable, np.ndarray[Any, Any]]:
    """Three wristbands and two places of pipes and wires, no nominal value given; and what is usual there."""
    bands = [
        (Channel(f"b{n}.{quantity}", "wristband", f"b{n}", quantity, unit, 10.0), usual)
        for n in range(3)
        for quantity, unit, usual in BAND
    ]
    plants = [
        (Channel(f"p{n}.{quantity}", medium, f"p{n}", quantity, unit, 10.0 + 20 * n), usual)
        for n in range(2)
        for medium, quantity, unit, usual in PLANT
    ]
    listed = [*bands, *plants]
    return ChannelTable([channel for channel, _ in listed]), np.array([usual for _, usual in listed])


def stream(seed: int, ticks: int) -> list[ReadingBatch]:
    """Bands and plants take turns, now and then with a gap, a bad or late reading, or something strange."""
    rng = np.random.default_rng(seed)
    table, usual = site()
    worn = np.flatnonzero(table.is_wristband)
    sets = [worn, np.flatnonzero(~table.is_wristband), worn[:7]]
    batches = []
    for tick in range(ticks):
        channel = sets[tick % 3 if rng.random() < 0.9 else int(rng.integers(3))]
        if rng.random() < 0.1:
            channel = channel[rng.random(len(channel)) < 0.8]
        value = usual[channel] * rng.uniform(0.97, 1.03, len(channel))
        quality = np.full(len(channel), GOOD)
        flags = np.full(len(channel), STAMPED)
        time_ns = np.full(len(channel), START_NS + 10 * tick * SECOND_NS)
        if rng.random() < 0.25:
            odd = rng.random(len(channel)) < 0.1
            value[odd] = rng.choice([np.nan, 0.0, 1.0, 4.0, 60.0, 1e6], odd.sum())
            quality[odd] = rng.choice([GOOD, GOOD, UNCERTAIN, BAD], odd.sum())
            flags[odd] |= rng.choice([0, 0, LATE, EARLY, CONFLICT], odd.sum())
            time_ns[odd] -= rng.integers(0, 40, odd.sum()) * SECOND_NS
        batches.append(
            ReadingBatch.of(channel, time_ns, value, quality, START_NS + 10 * tick * SECOND_NS, flags)
        )
    return batches


def judged(
    detector: EventDetector, batches: list[ReadingBatch], long_way: bool
) -> tuple[list[Findings | None], Memory]:
    table, _ = site()
    detector.points(table)
    if long_way:
        object.__setattr__(detector, "usual", None)
    memory = detector.fresh_memory(table)
    verdicts = []
    for batch in batches:
        verdict = detector.judge(batch, int(batch.arrival_ns[0]) if len(batch) else START_NS, memory)
        verdicts.append(verdict)
    return verdicts, memory


@pytest.mark.parametrize("kind", [Limits, Fall])
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_the_short_way_says_what_the_long_way_says(kind: type[EventDetector], seed: int) -> None:
    batches = stream(seed, 120)

    short, remembered = judged(kind(), batches, long_way=False)
    long, known = judged(kind(), batches, long_way=True)

    for one, other in zip(short, long, strict=True):
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            for column in ("score", "severity", "heard", "event_ns"):
                np.testing.assert_array_equal(getattr(one, column), getattr(other, column), err_msg=column)
    for name, array in known.items():
        np.testing.assert_array_equal(remembered[name], array, err_msg=name)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_readings_find_the_same_cells_either_way(seed: int) -> None:
    table, _ = site()
    short, long = Window(table), Window(table)
    for batch in stream(seed, 60):
        short.take(batch)
        long._take_any(batch)
        now_ns = int(batch.arrival_ns.max()) if len(batch) else 0
        rows = zip(short.settled(now_ns), long.settled(now_ns), strict=True)
        for (number, row), (same_number, same_row) in rows:
            assert number == same_number
            assert row.end_ns == same_row.end_ns
            np.testing.assert_array_equal(row.values, same_row.values)
    assert short.missed == long.missed


def test_the_short_way_is_taken_at_all() -> None:
    table, usual = site()
    limits = Limits()
    limits.points(table)
    memory = limits.fresh_memory(table)
    channel = np.arange(len(table), dtype=np.int32)
    for tick in range(3):
        limits.judge(ReadingBatch.of(channel, START_NS + tick * SECOND_NS, usual), START_NS, memory)

    *_, recurring = limits.site
    assert recurring.of(ReadingBatch.of(channel, START_NS, usual)) is not None
